"""Meta-analysis: one batched engine for normal-normal models, and further models.

An *effect* ``yi`` is one number from one study on the analysis scale, ``vi`` its sampling variance. A *fit*
pools the effects of one choice of studies; a *batch* is many fits at once: any leading shape in front of
the last axis, which has the ``k`` studies. ``keep`` selects the studies of a fit. Names follow metafor.

Names are loaded on first access, so that ``import cellclaims.meta`` is fast::

    from cellclaims import meta
    meta.fit([0.2, 0.5, 0.9], [0.04, 0.05, 0.06])
"""

from __future__ import annotations

from cellclaims.lazy import load_lazily

#: Public name -> module that defines it.
WHERE = {
    "fit": "fit",
    "Fit": "fit",
    "Caution": "flags",
    "Flag": "flags",
    "BinomialFlag": "flags",
    "StratifiedFlag": "flags",
    "predict": "fit",
    "Prediction": "fit",
    "confint": "tau2_limits",
    "HeterogeneityLimits": "tau2_limits",
    "regress": "regression",
    "Regression": "regression",
    "subgroups": "regression",
    "Subgroups": "regression",
    "permutation_test": "regression",
    "PermutationTest": "regression",
    "suspect_standard_errors": "inputs",
    "VarianceWarning": "inputs",
    "escalc": "effect_sizes",
    "glmm": "binomial",
    "BinomialFit": "binomial_fit",
    "beta_binomial": "beta_binomial",
    "BetaBinomialFit": "beta_binomial",
    "mantel_haenszel": "stratified",
    "peto": "stratified",
    "bayes": "bayes",
    "bayes_binomial": "bayes",
    "BayesFit": "bayes",
    "Prior": "bayes",
    "multilevel": "multilevel",
    "MultilevelFit": "multilevel",
    "OddsRatioFit": "odds_ratio",
    "glmm_odds_ratio": "odds_ratio",
    "StratifiedFit": "stratified",
    "EffectSizes": "effect_sizes",
    "robust": "multilevel",
    "RobustFit": "multilevel",
}

__all__ = sorted(WHERE)

load_lazily(__name__)
