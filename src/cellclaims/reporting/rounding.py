"""Round a number once, on its way to a reader: true minus sign, no negative zero, a dash for no number."""

from __future__ import annotations

import math

#: What stands where there is no number.
MISSING = "–"


def number(value: float, decimals: int = 2) -> str:
    """A number with ``decimals`` digits after the point, a true minus sign (U+2212) and thousands apart from
    10 000.

    Parameters
    ----------
    value : float
        Any unit; NaN gives a dash, an infinity its sign.
    decimals : int
        Digits after the point.

    Returns
    -------
    str

    Examples
    --------
    >>> number(-0.664, 2), number(-0.001, 2), number(12345.6, 0), number(float("nan"), 1)
    ('−0.66', '0.00', '12 346', '–')
    """
    if math.isnan(value):
        return MISSING
    if math.isinf(value):
        return "∞" if value > 0 else "−∞"
    text = f"{abs(value):,.{decimals}f}"
    text = text.replace(",", " " if abs(value) >= 10_000 else "")
    negative = value < 0 and any(digit in "123456789" for digit in text)
    return f"−{text}" if negative else text


def percent(p: float, decimals: int = 1) -> str:
    """A proportion (0 to 1) as a percentage.

    Examples
    --------
    >>> percent(0.444), percent(0.3, 0)
    ('44.4 %', '30 %')
    """
    return MISSING if math.isnan(p) else f"{number(100 * p, decimals)} %"


def interval(low: float, high: float, decimals: int = 2) -> str:
    """Two limits joined by "to", which stays clear where a limit is negative.

    Examples
    --------
    >>> interval(-1.131, -0.19)
    '−1.13 to −0.19'
    """
    return f"{number(low, decimals)} to {number(high, decimals)}"


def p_value(p: float) -> str:
    """A P value: three digits under 0.1, two above, never "0.000".

    Examples
    --------
    >>> p_value(0.0312), p_value(0.436), p_value(2e-9)
    ('p = 0.031', 'p = 0.44', 'p < 0.001')
    """
    if math.isnan(p):
        return f"p {MISSING}"
    if p < 0.001:
        return "p < 0.001"
    return f"p = {number(p, 3 if p < 0.1 else 2)}"
