"""Results in, drawings out; rounds only through ``reporting`` and computes no statistics.

Every function returns a :class:`Drawing`: a :class:`matplotlib.figure.Figure` apart from pyplot, with its alternative
text. :func:`show` saves and displays it, :func:`save` only saves.
"""

from cellclaims.figures.advertised import advertised
from cellclaims.figures.appraisal import certainty_profile, missing_results, traffic_light
from cellclaims.figures.diagnostics import funnel, gosh, influence
from cellclaims.figures.durability import durability
from cellclaims.figures.evidence import Step, evidence_map, evidence_years, flow
from cellclaims.figures.forest import change, facing, forest
from cellclaims.figures.show import Drawing, save, show
from cellclaims.figures.specifications import sensitivity, specification_curve
from cellclaims.reporting.claims import ClaimRow
from cellclaims.reporting.pools import Mark

__all__ = [
    "ClaimRow", "Drawing", "Mark", "Step", "advertised", "certainty_profile", "change", "durability", "evidence_map",
    "evidence_years", "facing", "flow", "forest", "funnel", "gosh", "influence", "missing_results", "save",
    "sensitivity", "show", "specification_curve", "traffic_light",
]  # fmt: skip
