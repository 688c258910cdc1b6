"""The same pool under other choices of its studies: without each in turn, and one study at a time by year.

The rows are those of the pool, so that leaving a study out brings in no other report of its cohort.
"""

from __future__ import annotations

import numpy as np
import pandas as pd

from cellclaims import meta
from cellclaims.errors import PoolingError
from cellclaims.pool import Pool

#: The smallest pool whose studies are left out in turn, and the first step of a cumulative analysis.
LEAVE_ONE_OUT_FROM, CUMULATIVE_FROM = 4, 3
COLUMNS = ("label", "k", "estimate", "low", "high")


def without_each(pool: Pool) -> pd.DataFrame:
    """The pooled value without each study in turn, by the pool's own model.

    Parameters
    ----------
    pool : Pool

    Returns
    -------
    DataFrame
        One row per study, in the order of the pool: its ``label``, ``k`` of the others, ``estimate``, ``low`` and
        ``high`` on the reader's scale. Empty for fewer than :data:`LEAVE_ONE_OUT_FROM` studies.
    """
    if not pool.is_pooled or pool.k < LEAVE_ONE_OUT_FROM:
        return pd.DataFrame(columns=list(COLUMNS))
    every = np.arange(pool.k)
    return pd.DataFrame(
        [(pool.rows.label.iloc[left], *_refitted(pool, every != left)) for left in every], columns=list(COLUMNS)
    )


def by_year(pool: Pool) -> pd.DataFrame:
    """The pooled value as the studies were published, one more at a time.

    Parameters
    ----------
    pool : Pool

    Returns
    -------
    DataFrame
        One row per step from :data:`CUMULATIVE_FROM` studies on: ``label`` of the study that is added with its year,
        ``k``, ``estimate``, ``low`` and ``high`` on the reader's scale.
    """
    if not pool.is_pooled:
        return pd.DataFrame(columns=list(COLUMNS))
    order = pool.rows.assign(place=range(pool.k)).sort_values(["year", "study_id"], kind="stable").place.to_numpy()
    lines = []
    for step in range(CUMULATIVE_FROM, pool.k + 1):
        keep = np.isin(np.arange(pool.k), order[:step])
        lines.append((f"+ {pool.rows.label.iloc[order[step - 1]]}", *_refitted(pool, keep)))
    return pd.DataFrame(lines, columns=list(COLUMNS))


def _refitted(pool: Pool, keep: np.ndarray) -> tuple[int, float, float, float]:
    """k, estimate and limits of some of the studies; NaN where no participant or every one had the event."""
    rows, level = pool.rows[keep], float(pool.settings["level"])
    if pool.measure == "RD":
        counts = {name: rows[column].to_numpy(float) for name, column in
                  (("ai", "events"), ("n1i", "n"), ("ci", "events_control"), ("n2i", "n_control"))}  # fmt: skip
        fit = meta.mantel_haenszel("RD", **counts, level=level)
    elif pool.scale == "logit":
        events, n = rows.events.to_numpy(float), rows.n.to_numpy(float)
        if not 0 < events.sum() < n.sum():
            return len(rows), np.nan, np.nan, np.nan
        fit = meta.glmm(events, n, level=level, test=pool.settings["test"], nodes=pool.settings["nodes"])
    else:
        chosen = {name: pool.settings[name] for name in ("method", "test")}
        fit = meta.fit(rows.yi.to_numpy(float), rows.vi.to_numpy(float), level=level, **chosen)
    return len(rows), *(pool.shown(float(x)) for x in (fit.beta, fit.ci_lb, fit.ci_ub))


def as_effects(pool: Pool) -> meta.Fit:
    """A pool as normal effects by REML and Hartung-Knapp, for diagnostics: proportions on the logit, another model.

    Parameters
    ----------
    pool : Pool
        Of differences, changes or proportions.

    Returns
    -------
    Fit
        With the studies' labels.

    Raises
    ------
    PoolingError
        For fewer than two studies, or a risk difference.
    """
    if pool.k < 2 or pool.measure == "RD":
        raise PoolingError(f"as_effects: expected two studies or more of one measure, found {pool.k} of {pool.measure}")
    labels = list(pool.rows.label)
    if pool.scale == "logit":
        made = meta.escalc("PLO", xi=pool.rows.events.to_numpy(float), ni=pool.rows.n.to_numpy(float), slab=labels)
        return meta.fit(made, method="REML", test="adhoc")
    return meta.fit(
        pool.rows.yi.to_numpy(float), pool.rows.vi.to_numpy(float), slab=labels, method="REML", test="adhoc"
    )
