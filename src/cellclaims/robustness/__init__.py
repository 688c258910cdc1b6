"""How far a pooled effect hangs on single studies, on studies never seen, and on choices.

Names of the field (metafor). They are loaded when first asked for, so that ``import cellclaims.robustness`` stays
quick::

    from cellclaims import robustness
    robustness.egger(yi, vi)
"""

from __future__ import annotations

import sys
from importlib import import_module
from types import ModuleType

#: Public name -> the module of this package that holds it.
WHERE = {
    "leave_one_out": "influence",
    "cumulative": "influence",
    "influence": "influence",
    "Influence": "influence",
    "baujat": "influence",
    "Baujat": "influence",
    "all_subsets": "subsets",
    "Subsets": "subsets",
    "bootstrap": "subsets",
    "Bootstrap": "subsets",
    "Caution": "cautions",
    "cautions_in_words": "cautions",
    "egger": "small_study",
    "RegressionTest": "small_study",
    "rank_test": "rank_test",
    "RankTest": "rank_test",
    "pet_peese": "small_study",
    "PetPeese": "small_study",
    "trim_and_fill": "trim_fill",
    "TrimAndFill": "trim_fill",
    "fail_safe_n": "fail_safe",
    "FailSafeN": "fail_safe",
    "tes": "excess_significance",
    "ExcessSignificance": "excess_significance",
    "selection_model": "selection_model",
    "SelectionModel": "selection_model",
    "hc": "henmi_copas",
    "HenmiCopas": "henmi_copas",
    "s_value": "s_value",
    "SValue": "s_value",
    "specification_curve": "specifications",
    "SpecificationCurve": "specifications",
    "Analysis": "specifications",
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


class _Package(ModuleType):
    """Some functions have the name of the module that holds them (``s_value``): the function is what is public."""

    def __setattr__(self, name: str, value: object) -> None:
        """Refuse what importing a submodule does on the side: to put the module in the place of the function."""
        if not (name in WHERE and isinstance(value, ModuleType)):
            super().__setattr__(name, value)


sys.modules[__name__].__class__ = _Package
