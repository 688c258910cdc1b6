"""Figures: drawings of results, without computing statistics; numbers are rounded through ``reporting``.

Every function returns a :class:`Drawing`: a :class:`matplotlib.figure.Figure` apart from pyplot, with its alternative
text. :func:`show` saves and displays it, :func:`save` only saves.
"""

from cellclaims.figures.advertised import advertised, directions
from cellclaims.figures.appraisal import missing_results, traffic_light
from cellclaims.figures.diagnostics import funnel, gosh, influence
from cellclaims.figures.durability import durability
from cellclaims.figures.estimates import estimates
from cellclaims.figures.evidence import Step, evidence_map, evidence_years, flow
from cellclaims.figures.forest import change, facing, forest
from cellclaims.figures.formula import formula, formula_svg
from cellclaims.figures.power import power_curves
from cellclaims.figures.show import Drawing, save, show
from cellclaims.figures.specifications import choices_that_matter, sensitivity
from cellclaims.reporting.claim_rows import ClaimRow, StudyMark
from cellclaims.reporting.pools import Mark

__all__ = [
    "ClaimRow",
    "Drawing",
    "Mark",
    "Step",
    "StudyMark",
    "advertised",
    "change",
    "choices_that_matter",
    "directions",
    "durability",
    "estimates",
    "evidence_map",
    "evidence_years",
    "facing",
    "flow",
    "forest",
    "formula",
    "formula_svg",
    "funnel",
    "gosh",
    "influence",
    "missing_results",
    "power_curves",
    "save",
    "sensitivity",
    "show",
    "traffic_light",
]
