"""Results in, matplotlib Figure out; rounds only through ``reporting`` and computes no statistics.

Every function returns a :class:`matplotlib.figure.Figure` that stands apart from pyplot; :func:`show` saves
and displays it, :func:`save` only saves.
"""

from cellclaims.figures.advertised import ClaimRow, advertised
from cellclaims.figures.certainty_profile import certainty_profile
from cellclaims.figures.change import change
from cellclaims.figures.durability import durability
from cellclaims.figures.evidence_map import evidence_map, evidence_years
from cellclaims.figures.flow import Step, flow
from cellclaims.figures.forest import forest
from cellclaims.figures.interval_rows import Mark
from cellclaims.figures.missing_results import missing_results
from cellclaims.figures.sensitivity import sensitivity
from cellclaims.figures.show import save, show
from cellclaims.figures.specification_curve import specification_curve
from cellclaims.figures.traffic_light import traffic_light

__all__ = [
    "ClaimRow", "Mark", "Step", "advertised", "certainty_profile", "change", "durability", "evidence_map",
    "evidence_years", "flow", "forest", "missing_results", "save", "sensitivity", "show", "specification_curve",
    "traffic_light",
]  # fmt: skip
