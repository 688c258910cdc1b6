"""Arithmetic of advertised counts: what two states of one figure mean for the patients added between them."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from scipy.special import gammaln, xlog1py, xlogy


def p_prints_again(share: float, earlier: int, later: int, rounding: float) -> float:
    """Probability that a share prints as before when a series has grown, if the true rate is that share.

    Given that the earlier state printed ``share``, summed over all counts of the earlier state and of the patients
    added since.

    Parameters
    ----------
    share : float
        Printed share, which is also taken as the true rate; 0 to 1, a multiple of the rounding step.
    earlier, later : int
        Patients in the earlier state and in the later one, which holds the earlier ones too.
    rounding : float
        Step of the printed percentage (1 for whole per cent); halves are rounded up.

    Returns
    -------
    float
        Exact but for the rounding of the machine; NaN where no count of the earlier state prints so.

    Examples
    --------
    >>> round(p_prints_again(0.6, 265, 508, 1), 2), round(p_prints_again(0.6, 265, 508, 5), 2)
    (0.26, 0.86)
    """
    first, added = np.arange(earlier + 1), np.arange(later - earlier + 1)
    wanted = _printed(np.array(share), rounding)
    before = _printed(first / earlier, rounding) == wanted
    after = _printed((first[before][:, None] + added) / later, rounding) == wanted
    p_first = np.exp(_log_binomial(first, earlier, share))[before]
    p_added = np.exp(_log_binomial(added, later - earlier, share))
    if not before.any():
        return math.nan
    return float((p_first[:, None] * p_added * after).sum() / p_first.sum())


def added_share(share_before: float, before: int, share_after: float, after: int) -> float:
    """Share among the added patients that turns one printed state into the other, if both were exact.

    >>> round(added_share(0.92, 265, 0.93, 508), 4)
    0.9409
    """
    return (share_after * after - share_before * before) / (after - before)


def _printed(share: np.ndarray, rounding: float) -> np.ndarray:
    """Multiples of the rounding step; the small shift keeps exact halves from falling by machine error."""
    return np.floor(100 * share / rounding + 0.5 + 1e-9).astype(int)


def _log_binomial(x: np.ndarray, n: int, p: float) -> np.ndarray:
    coefficient = math.lgamma(n + 1) - gammaln(x + 1) - gammaln(n - x + 1)
    return coefficient + xlogy(x, p) + xlog1py(n - x, -p)


#: A probability above this makes an agreement unremarkable.
UNREMARKABLE = 0.05
#: Steps to which a page may have rounded its percentages.
ROUNDINGS = (0.1, 0.5, 1.0, 2.0, 5.0)


def possible_counts(percent: float, n: int, rounding: float) -> tuple[int, int] | None:
    """Fewest and most of n patients that print as this percentage, or None if no whole number does.

    >>> possible_counts(93, 508, 1), possible_counts(12, 7, 1)
    ((470, 474), None)
    """
    counts = np.arange(n + 1)
    fitting = counts[_printed(counts / n, rounding) == _printed(np.array(percent / 100), rounding)]
    return (int(fitting[0]), int(fitting[-1])) if len(fitting) else None


def cannot_fail(n: int, rounding: float) -> bool:
    """Whether every percentage is some count of n: then a check of possible counts says nothing.

    >>> cannot_fail(508, 1), cannot_fail(30, 1)
    (True, False)
    """
    steps = int(100 / rounding + 1e-9)
    return len(set(_printed(np.arange(n + 1) / n, rounding))) >= steps + 1


def arithmetic(claims: Any, treated: Any) -> list[dict[str, Any]]:
    """What the advertised shares mean as counts of the advertised number, for every rounding; and what was added since.

    Parameters
    ----------
    claims : DataFrame
        claims.csv.
    treated : row of claims.csv
        The claim of a number treated; shares of the same number, year and type of diabetes stand on it.
    """
    shares = claims[
        (claims.unit == "percent") & (claims.n_treated == treated.n_treated) & (claims.as_of == treated.as_of)
    ]
    n = int(treated.n_treated)
    facts = [_share_facts(row, n) for row in shares.itertuples()]
    if len(shares) > 1:
        facts.append(_sum_fact(shares, n))
    earlier = claims[
        (claims.unit == "percent") & (claims.diabetes_type == treated.diabetes_type) & (claims.n_treated < n)
    ]
    pairs = shares.merge(earlier, on="outcome", suffixes=("", "_before"))
    return facts + [_added_facts(row, n) for row in pairs.itertuples()]


def _roundings(*percent: float) -> list[float]:
    """Steps to which these percentages may have been rounded: those that they are multiples of."""
    return [r for r in ROUNDINGS if all(abs(p / r - round(p / r)) < 1e-9 for p in percent)]


def _share_facts(row: Any, n: int) -> dict[str, Any]:
    steps = _roundings(row.value)
    return {
        "check": "possible counts",
        "claim": row.claim_id,
        "result": f"{row.value:g} % of {n}",
        "counts": {str(r): possible_counts(row.value, n, r) for r in steps},
        "uninformative": all(cannot_fail(n, r) for r in steps if r >= 1),
    }


def _sum_fact(shares: Any, n: int) -> dict[str, Any]:
    """Shares that exclude each other must not exceed the share that holds them all."""
    whole, parts = shares.value.max(), shares.value.sum() - shares.value.max()
    words = "fit within" if parts <= whole else "exceed"
    return {
        "check": "shares add up",
        "result": f"the smaller shares together, {parts:g} %, {words} the largest, {whole:g} %",
        "uninformative": bool(parts <= whole),
    }


def _added_facts(row: Any, n: int) -> dict[str, Any]:
    before, share, later = int(row.n_treated_before), row.value_before / 100, row.value / 100
    steps = _roundings(row.value_before, row.value)
    again = {str(r): _or_none(p_prints_again(share, before, n, r)) for r in steps} if share == later else {}
    added = 100 * added_share(share, before, later, n)
    return {
        "check": "patients added since",
        "claim": row.claim_id,
        "result": f"{n - before} patients added since {row.as_of_before:g} must have shown {added:.4g} %",
        "patients": f"{n - before} patients added since {row.as_of_before:g}",
        "share": f"{added:.4g} %",
        "range": {str(r): _added_range(row, before, n, r) for r in steps},
        "p_prints_again": again,
        "uninformative": bool(again) and (again["1.0"] or 0.0) > UNREMARKABLE,
    }


def _added_range(row: Any, before: int, n: int, rounding: float) -> list[int] | None:
    """Fewest and most events among the added patients that make both printed shares true."""
    earlier, later = possible_counts(row.value_before, before, rounding), possible_counts(row.value, n, rounding)
    if earlier is None or later is None:
        return None
    fewest, most = max(later[0] - earlier[1], 0), min(later[1] - earlier[0], n - before)
    return [fewest, most] if fewest <= most else None


def _or_none(value: float) -> float | None:
    return None if math.isnan(value) else value
