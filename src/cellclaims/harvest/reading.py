"""Reading the parts of a v2 study, with reasons where they are not as expected.

:class:`Unread` contains the reason why a part is not read; the caller lists it with the position.
"""

from __future__ import annotations

import re
from decimal import Decimal

from cellclaims.registries.answers import visible

#: A text that is quoted in a reason is cut to this length.
QUOTED = 80

#: Message if the extra for Parquet files is not installed.
NO_PYARROW = (
    "expected the package pyarrow for a Parquet file, found none: install the extra parquet (pip install "
    "'cellclaims[parquet]'), or use a name that ends in .csv"
)


class Unread(Exception):
    """Reason why a part is not read."""


def entry(value: object) -> dict:
    """Return the value, which should be an object."""
    if not isinstance(value, dict):
        raise Unread(f"expected an object, found {kind_of(value)}")
    return value


def entries(parent: dict, key: str) -> list:
    """Return the list under ``key``; empty if there is none."""
    value = parent.get(key)
    if value is None:
        return []
    if not isinstance(value, list):
        raise Unread(f"{key}: expected a list, found {kind_of(value)}")
    return value


def text(parent: dict, key: str) -> str:
    """Return the text under ``key``; empty if there is none."""
    value = parent.get(key)
    if value is None:
        return ""
    if not isinstance(value, str):
        raise Unread(f"{key}: expected text, found {kind_of(value)}")
    return value


def kind_of(value: object) -> str:
    """Return what a JSON value is, in words.

    >>> kind_of(None), kind_of(True), kind_of(1.5), kind_of([])
    ('nothing', 'true', 'the number 1.5', 'a list')
    """
    if value is None:
        return "nothing"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float):
        return f"the number {value!r}"
    if isinstance(value, int):
        return f"the number {value}" if value.bit_length() < 64 else "a number of many digits"
    return {str: "text", list: "a list", dict: "an object"}.get(type(value), type(value).__name__)


def quoted(printed: str) -> str:
    """Return a text from outside for a reason: in quotes, cut, hidden characters shown by number.

    >>> quoted("NA"), quoted("a\\u202eb")
    ("'NA'", "'a<U+202E>b'")
    """
    return repr(plain(printed if len(printed) <= QUOTED else printed[:QUOTED] + "..."))


def plain(printed: str) -> str:
    """Return a text from outside for a cell: one line, hidden characters shown by number.

    >>> plain(" Week\\n 12 "), plain("a\\u202eb")
    ('Week 12', 'a<U+202E>b')
    """
    return " ".join(visible(printed).split())


# Numbers as posted by registries: which texts are unambiguous, and the reason for others.


#: A number of at most 15 characters; ``.08``, ``-.2`` and ``134.`` are posted, too. ASCII digits only.
PLAIN = re.compile(r"[+-]?(?=[0-9.]{1,15}\Z)(?:[0-9]+\.?[0-9]*|\.[0-9]+)", re.ASCII)

#: What a comma can only be: thousands (two groups, or a point behind), or the sign of the decimals.
THOUSANDS = re.compile(r"[+-]?[1-9][0-9]{0,2}(?:(?:,[0-9]{3}){2,4}(?:\.[0-9]+)?|,[0-9]{3}\.[0-9]+)", re.ASCII)
DECIMALS = re.compile(r"[+-]?(?:0,[0-9]{1,12}|[0-9]{1,9},(?:[0-9]{1,2}|[0-9]{4,12}))", re.ASCII)

#: Posted in the place of a number.
MISSING = {"NA": "not available", "N/A": "not available", "NE": "not estimable", "NC": "not calculated"}


def numeral(value: object, what: str) -> str:
    """Return a posted number as numeric text: unchanged, except for unambiguous commas.

    Raises
    ------
    Unread
        If it is no number, or a comma in it can be thousands as well as decimals.

    Examples
    --------
    >>> [numeral(one, "value") for one in ("8.6", ".08", "-.2", "134.", "0,3139", "1,234.5")]
    ['8.6', '.08', '-.2', '134.', '0.3139', '1234.5']
    """
    if not isinstance(value, str):
        raise Unread(f"{what}: expected a number as text, found {kind_of(value)}")
    printed = value.strip()
    if PLAIN.fullmatch(printed):
        return printed
    if THOUSANDS.fullmatch(printed) and len(printed) <= 15:
        return printed.replace(",", "")
    if DECIMALS.fullmatch(printed) and len(printed) <= 15:
        return printed.replace(",", ".")
    raise Unread(f"{what}: {_why_not(printed)}")


def _why_not(printed: str) -> str:
    if printed.upper() in MISSING:
        return f"{printed} ({MISSING[printed.upper()]})"
    if re.fullmatch(r"[+-]?[0-9]{1,3},[0-9]{3}", printed, re.ASCII):
        return f"the comma of {printed} can be thousands or decimals"
    return f"expected a number, found {quoted(printed)}" if printed else "expected a number, found nothing"


def whole(value: object, what: str) -> str:
    """Return a posted count: a whole number that is not negative.

    >>> whole("19", "value"), whole("134.", "value")
    ('19', '134')
    """
    number = Decimal(numeral(value, what))
    if number < 0 or number != number.to_integral_value():
        raise Unread(f"{what}: expected a whole number of participants, found {quoted(str(value))}")
    return str(int(number))


def events_of(percent: str, n: int) -> str:
    """Return the only whole number of ``n`` that rounds to a posted percentage; empty if there are several, or none.

    >>> events_of("61.5", 265), events_of("50", 4), events_of("61.5", 4), events_of("50", 400)
    ('163', '2', '', '')
    """
    share = Decimal(percent)
    half = Decimal(5).scaleb(share.as_tuple().exponent - 1)
    near = int(share * n / 100)
    fitting = [
        one for one in range(max(near - 2, 0), min(near + 3, n) + 1) if abs(Decimal(100 * one) / n - share) <= half
    ]
    return str(fitting[0]) if len(fitting) == 1 else ""
