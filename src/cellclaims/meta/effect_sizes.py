"""Effect sizes and their sampling variances from the columns of a study, by the measure names of the field."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from cellclaims.errors import PoolingError
from cellclaims.meta import effect_counts as counts
from cellclaims.meta import effect_means as means
from cellclaims.meta.effect_columns import complete_group, complete_table, fill_empty, read_columns


class EffectSizes(NamedTuple):
    """Effects and sampling variances; both are NaN where the measure is not defined for a study."""

    yi: NDArray
    vi: NDArray

    @property
    def defined(self) -> NDArray:
        """Which studies have an effect: hand it on as ``keep`` and a study without one stays visible with weight 0."""
        return np.isfinite(self.yi)


@dataclass(frozen=True)
class Measure:
    """How a measure is computed: shape of its columns, function, what an empty cell gets, variance types."""

    columns: str
    function: Callable[..., tuple[NDArray, NDArray]]
    add: float = 0.5
    vtypes: tuple[str, ...] = ()


#: Alternative sets of columns for each shape; the first is named when columns are missing.
COLUMNS = {
    "table": (("ai", "n1i", "ci", "n2i"), ("ai", "bi", "ci", "di")),
    "rates": (("x1i", "t1i", "x2i", "t2i"),),
    "means": (("m1i", "sd1i", "n1i", "m2i", "sd2i", "n2i"),),
    "change": (("m1i", "sd1i", "m2i", "sd2i", "ni", "ri"),),
    "group": (("xi", "ni"), ("xi", "mi")),
    "rate": (("xi", "ti"),),
    "mean": (("mi", "sdi", "ni"),),
    "correlation": (("ri", "ni"),),
    "alpha": (("ai", "mi", "ni"),),
}

#: Measures by metafor's names.
MEASURES = {
    "OR": Measure("table", counts.log_odds_ratio),
    "RR": Measure("table", counts.log_risk_ratio),
    "RD": Measure("table", counts.risk_difference),
    "AS": Measure("table", counts.arcsine_difference, add=0.0),
    "PETO": Measure("table", counts.peto_log_odds_ratio),
    "PHI": Measure("table", counts.phi_coefficient, add=0.0),
    "YUQ": Measure("table", counts.yule_q),
    "YUY": Measure("table", counts.yule_y),
    "RTET": Measure("table", counts.tetrachoric, add=0.0),
    "OR2DL": Measure("table", counts.logistic_smd),
    "OR2DN": Measure("table", counts.cox_smd),
    "PBIT": Measure("table", counts.probit_difference),
    "IRR": Measure("rates", counts.log_rate_ratio),
    "IRD": Measure("rates", counts.rate_difference),
    "IRSD": Measure("rates", counts.root_rate_difference, add=0.0),
    "MD": Measure("means", means.mean_difference, vtypes=("LS", "HO")),
    "SMD": Measure("means", means.standardised_difference, vtypes=("LS", "LS2", "UB", "AV")),
    "SMDH": Measure("means", means.heteroscedastic_difference),
    "SMD1": Measure("means", means.control_standardised_difference),
    "SMD1H": Measure("means", means.control_heteroscedastic_difference),
    "ROM": Measure("means", means.log_ratio_of_means, vtypes=("LS", "HO", "AV", "AVHO")),
    "CVR": Measure("means", means.log_ratio_of_variation),
    "VR": Measure("means", means.log_ratio_of_sds),
    "RPB": Measure("means", means.point_biserial),
    "D2ORL": Measure("means", means.logistic_odds_ratio),
    "D2ORN": Measure("means", means.cox_odds_ratio),
    "MC": Measure("change", means.mean_change),
    "SMCC": Measure("change", means.standardised_by_change),
    "SMCR": Measure("change", means.standardised_by_raw),
    "SMCRH": Measure("change", means.standardised_by_raw_heteroscedastic),
    "ROMC": Measure("change", means.log_ratio_of_change),
    "CVRC": Measure("change", means.log_variation_of_change),
    "VRC": Measure("change", means.log_sds_of_change),
    "PR": Measure("group", counts.proportion),
    "PLN": Measure("group", counts.log_proportion),
    "PLO": Measure("group", counts.logit_proportion),
    "PAS": Measure("group", counts.arcsine_proportion, add=0.0),
    "PFT": Measure("group", counts.double_arcsine_proportion, add=0.0),
    "IR": Measure("rate", counts.rate),
    "IRLN": Measure("rate", counts.log_rate),
    "IRS": Measure("rate", counts.root_rate, add=0.0),
    "IRFT": Measure("rate", counts.double_root_rate, add=0.0),
    "MN": Measure("mean", means.mean),
    "MNLN": Measure("mean", means.log_mean),
    "COR": Measure("correlation", means.correlation),
    "UCOR": Measure("correlation", means.unbiased_correlation),
    "ZCOR": Measure("correlation", means.fisher_z),
    "ARAW": Measure("alpha", means.alpha),
    "AHW": Measure("alpha", means.alpha_hakstian_whalen),
    "ABT": Measure("alpha", means.alpha_bonett),
}


def escalc(
    measure: str,
    *,
    add: float | None = None,
    to: str = "only0",
    drop00: bool = False,
    vtype: str = "LS",
    **columns: ArrayLike,
) -> EffectSizes:
    """Effects ``yi`` and sampling variances ``vi`` of a measure.

    Parameters
    ----------
    measure : str
        A key of :data:`MEASURES`; its shape in :data:`COLUMNS` says which columns it takes.
    add : float, optional
        What a study with an empty cell gets in every cell; None: half an event where the measure needs one, else
        nothing.
    to : {"only0", "all", "if0all", "none"}
        Which studies get it: those with an empty cell, all, all if any has one, none.
    drop00 : bool
        Two groups: leave a study undefined that has no event, or nothing but events, in both groups.
    vtype : str
        Variance type, for measures that have several.
    **columns : array-like of float
        Columns by name, all of one shape.

    Returns
    -------
    EffectSizes
        ``(yi, vi)`` in the shape of the columns, NaN where the measure is not defined (see ``EffectSizes.defined``).

    Raises
    ------
    PoolingError
        A measure, option or column that is not known, a missing column, a value that cannot be.

    Examples
    --------
    >>> yi, vi = escalc("RR", ai=[4, 6], n1i=[123, 306], ci=[11, 29], n2i=[139, 303])
    >>> yi.round(4).tolist(), vi.round(4).tolist()
    ([-0.8893, -1.5854], [0.3256, 0.1946])
    """
    how = _find(measure)
    if vtype != "LS" and vtype not in how.vtypes:
        raise PoolingError(f"vtype of {measure}: expected one of {how.vtypes or ('LS',)}, found {vtype!r}")
    values = read_columns(_select(measure, how, columns))
    arguments, undefined = _arguments(how, values, how.add if add is None else add, to, drop00)
    options = {"vtype": vtype} if how.vtypes else {}
    with np.errstate(divide="ignore", invalid="ignore"):
        yi, vi = (np.asarray(part, float) for part in how.function(*arguments, **options))
    undefined = undefined | ~np.isfinite(yi) | ~np.isfinite(vi)
    return EffectSizes(np.where(undefined, np.nan, yi), np.where(undefined, np.nan, vi))


def _find(measure: str) -> Measure:
    if measure not in MEASURES:
        raise PoolingError(f"measure: expected one of {', '.join(MEASURES)}, found {measure!r}")
    return MEASURES[measure]


def _select(measure: str, how: Measure, columns: dict[str, ArrayLike]) -> dict[str, ArrayLike]:
    """The columns that the measure takes, in its order; refuses missing and unknown ones."""
    choices = COLUMNS[how.columns]
    known = set().union(*choices)
    if set(columns) - known:
        extra = ", ".join(sorted(set(columns) - known))
        raise PoolingError(f"{measure}: expected columns {' or '.join(map(str, choices))}, found also {extra}")
    for choice in choices:
        if set(choice) <= set(columns):
            return {name: columns[name] for name in choice}
    raise PoolingError(f"{measure}: expected columns {' or '.join(map(str, choices))}, found {sorted(columns)}")


def _arguments(
    how: Measure, values: dict[str, NDArray], add: float, to: str, drop00: bool
) -> tuple[tuple[NDArray, ...], NDArray]:
    """What the measure's function takes, and which studies are undefined by ``drop00``."""
    shape = next(iter(values.values())).shape
    undefined = np.zeros(shape, bool)
    if how.columns == "table":
        a, b, c, d = complete_table(values)
        undefined = drop00 & (((a == 0) & (c == 0)) | ((b == 0) & (d == 0)))
        return fill_empty((a, b, c, d), add, to), undefined
    if how.columns == "rates":
        x1, x2 = fill_empty((values["x1i"], values["x2i"]), add, to)
        undefined = drop00 & (values["x1i"] == 0) & (values["x2i"] == 0)
        return (x1, values["t1i"], x2, values["t2i"]), undefined
    if how.columns == "group":
        return fill_empty(complete_group(values), add, to), undefined
    if how.columns == "rate":
        return (*fill_empty((values["xi"],), add, to), values["ti"]), undefined
    return tuple(values.values()), undefined
