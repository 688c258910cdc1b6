"""Results in, matplotlib Figure out; rounds only through ``reporting`` and computes no statistics.

Every function returns a :class:`matplotlib.figure.Figure` that stands apart from pyplot; :func:`show` saves
and displays it, :func:`save` only saves.
"""

from .advertised import ClaimRow, advertised
from .certainty_profile import certainty_profile
from .change import change
from .durability import durability
from .evidence_map import evidence_map, evidence_years
from .flow import Step, flow
from .forest import forest
from .interval_rows import Mark
from .missing_results import missing_results
from .sensitivity import sensitivity
from .show import save, show
from .specification_curve import specification_curve
from .traffic_light import traffic_light

__all__ = [
    "ClaimRow", "Mark", "Step", "advertised", "certainty_profile", "change", "durability", "evidence_map",
    "evidence_years", "flow", "forest", "missing_results", "save", "sensitivity", "show", "specification_curve",
    "traffic_light",
]  # fmt: skip
