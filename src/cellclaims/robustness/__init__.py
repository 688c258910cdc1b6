"""Robustness of a pooled effect to single studies, unpublished studies and choices of method.

Names follow metafor. They are loaded on first access, so that ``import cellclaims.robustness`` is
fast::

    from cellclaims import robustness
    robustness.egger(yi, vi)
"""

from __future__ import annotations

from cellclaims.lazy import load_lazily

#: Public name -> module that defines it.
WHERE = {
    "leave_one_out": "influence",
    "cumulative": "influence",
    "influence": "influence",
    "Influence": "influence",
    "baujat": "influence",
    "Baujat": "influence",
    "all_subsets": "influence",
    "Subsets": "influence",
    "bootstrap": "influence",
    "Bootstrap": "influence",
    "egger": "small_study",
    "RegressionTest": "small_study",
    "rank_test": "rank_correlation",
    "RankTest": "rank_correlation",
    "pet_peese": "small_study",
    "PetPeese": "small_study",
    "trim_and_fill": "trim_fill",
    "TrimAndFill": "trim_fill",
    "fail_safe_n": "publication_bias",
    "FailSafeN": "publication_bias",
    "tes": "publication_bias",
    "ExcessSignificance": "publication_bias",
    "selection_model": "selection_model",
    "SelectionModel": "selection_model",
    "hc": "publication_bias",
    "HenmiCopas": "publication_bias",
    "second_opinion": "second_opinion",
    "second_opinion_of_proportions": "second_opinion",
    "s_value": "publication_bias",
    "SValue": "publication_bias",
}

__all__ = sorted(WHERE)

load_lazily(__name__)
