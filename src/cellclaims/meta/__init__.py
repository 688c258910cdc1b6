"""Pooling: one batched engine for normal-normal models, and the models that stand beside it.

An *effect* ``yi`` is one number from one study on the analysis scale, ``vi`` its sampling variance. A *fit*
pools the effects of one choice of studies; a *batch* is many fits at once: any leading shape in front of
the last axis, which holds the ``k`` studies. ``keep`` says which studies of a fit count. Names are those of
the field (metafor).

Names are loaded when first asked for, so that ``import cellclaims.meta`` stays quick::

    from cellclaims import meta
    meta.fit([0.2, 0.5, 0.9], [0.04, 0.05, 0.06])
"""

from __future__ import annotations

from importlib import import_module

#: Public name -> the module of this package that holds it.
WHERE = {
    "fit": "pooling",
    "Fit": "fit_result",
    "Flag": "fit_result",
    "confint": "intervals",
    "HeterogeneityLimits": "intervals",
    "escalc": "effect_sizes",
    "glmm": "binomial",
    "beta_binomial": "binomial",
    "mantel_haenszel": "stratified",
    "peto": "stratified",
    "bayes": "bayes",
    "bayes_binomial": "bayes",
    "multilevel": "multilevel",
    "robust": "multilevel",
}

__all__ = sorted(WHERE)


def __getattr__(name: str) -> object:
    """Import the module that holds ``name`` and hand the name out."""
    if name not in WHERE:
        raise AttributeError(f"module {__name__!r} has no name {name!r}; it has {', '.join(sorted(WHERE))}")
    value = getattr(import_module(f"{__name__}.{WHERE[name]}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    """The public names, loaded or not."""
    return sorted({*globals(), *WHERE})
