"""Specification curves: fits for every combination of reasonable choices, and counts of those that differ.

A *choice* (``protocol.yml``, ``specifications``) has *options*, the review's own first. One option of each choice and
one analysis make a *specification*. Choices within reports (which row, which effect) come before choices between
reports (which of them count), so that a few hundred row sets represent tens of thousands of
combinations.
"""

from cellclaims.specifications.choices import Choice, Option, analyses_of, choices_of
from cellclaims.specifications.curve import Curve, Fitted, fitted, without_idle
from cellclaims.specifications.fits import specification_curve
from cellclaims.specifications.row_sets import RowSets, report_tables, row_sets

__all__ = [
    "Choice",
    "Curve",
    "Fitted",
    "Option",
    "RowSets",
    "analyses_of",
    "choices_of",
    "fitted",
    "report_tables",
    "row_sets",
    "specification_curve",
    "without_idle",
]
