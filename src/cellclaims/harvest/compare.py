"""A harvested row beside the rows that ``data/published`` holds: ``same``, ``differs`` or ``new``.

Two rows are *alike* if they answer the same question: arm, outcome, time, and level or change, mean or median (of a
count: definition and timing). Of alike rows the *figures* are compared: in one unit where two units convert into each
other, a percentage with the count that it stands for, always within the digits that are printed. What a harvested row
leaves empty is no statement and differs from nothing; what a held row leaves empty and the record fills differs.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

from cellclaims import dispersion, units
from cellclaims.errors import DataError
from cellclaims.tables.rules_counts import FLOAT_NOISE, rounding_limits

Cells = Mapping[str, str]

#: Times that differ by no more than this many months are one time: 52 weeks are 11.97 months.
SAME_TIME = 0.25
#: What two alike rows agree in, apart from time and unit.
ALIKE = {
    "continuous": ("outcome", "kind", "center_type"),
    "binary": ("outcome", "definition_id", "timing"),
}


@dataclass(frozen=True)
class Difference:
    """One column in which a held and a harvested row differ, with both figures in words."""

    column: str
    held: str
    read: str

    def __str__(self) -> str:
        return f"{self.column}: held {self.held or 'nothing'}, read {self.read or 'nothing'}"


@dataclass(frozen=True)
class Grade:
    """What a comparison found.

    Attributes
    ----------
    name : {"same", "differs", "new"}
    held : tuple of dict
        The alike rows; of ``same`` those alone whose figures are the same.
    differences : tuple of Difference
        Empty unless the grade is ``differs``: those from the first alike row that differs in fewest columns.
    """

    name: str
    held: tuple[Cells, ...] = ()
    differences: tuple[Difference, ...] = ()


def grade(table: str, read: Cells, held: Iterable[Cells]) -> Grade:
    """Compare a harvested row with the held rows of its arm.

    Examples
    --------
    >>> level = {"outcome": "hba1c", "kind": "level", "center_type": "mean", "months": "12", "unit": "mmol/mol",
    ...          "n": "15", "center": "42", "dispersion_type": "none", "dispersion_low": "", "dispersion_high": ""}
    >>> grade("continuous", level | {"unit": "%", "center": "6.0"}, [level]).name
    'same'
    >>> [str(one) for one in grade("continuous", level | {"n": "14"}, [level]).differences]
    ['n: held 15, read 14']
    """
    likes = [row for row in held if alike(table, read, row)]
    compared = [(tuple(FIGURES[table](row, read)), row) for row in likes]
    if equal := tuple(row for differences, row in compared if not differences):
        return Grade("same", equal)
    if not likes:
        return Grade("new")
    fewest = min((differences for differences, _ in compared), key=len)
    return Grade("differs", tuple(likes), fewest)


def alike(table: str, read: Cells, held: Cells) -> bool:
    """Whether two rows answer the same question."""
    if any(read[name] != held[name] for name in ALIKE[table]) or not same_time(read["months"], held["months"]):
        return False
    if table == "continuous":
        return convertible(read["unit"], held["unit"], read["outcome"])
    origins = {read["time_origin"], held["time_origin"]} - {""}
    return len(origins) < 2


def same_time(one: str, other: str) -> bool:
    """Whether two months are one time; empty is a time of its own.

    Examples
    --------
    >>> same_time("12", "11.97"), same_time("12", "11"), same_time("", ""), same_time("", "0")
    (True, False, True, False)
    """
    if not (one and other):
        return one == other
    return abs(float(one) - float(other)) <= SAME_TIME


def convertible(unit: str, other: str, outcome: str) -> bool:
    """Whether figures in two units can be compared."""
    try:
        units.convert(0.0, unit, other, outcome)
    except DataError:
        return False
    return True


# Measures ------------------------------------------------------------------------------------------------------------


def measure_differences(held: Cells, read: Cells) -> Iterator[Difference]:
    """Where centre, spread or number of patients differ."""
    if not same_figure("center", held, read):
        yield Difference("center", in_unit(held, "center"), in_unit(read, "center"))
    yield from number_differences(held, read)
    if read["dispersion_type"] not in ("", "none") and not same_spread(held, read):
        yield Difference("dispersion", spread(held), spread(read))


def number_differences(held: Cells, read: Cells) -> Iterator[Difference]:
    """Where the number of patients differs."""
    if read["n"] and not (held["n"] and float(held["n"]) == float(read["n"])):
        yield Difference("n", held["n"], read["n"])


def same_spread(held: Cells, read: Cells) -> bool:
    """Whether two spreads say the same: one kind with the same limits, or an SD and an SE of the same patients."""
    kinds = {held["dispersion_type"], read["dispersion_type"]}
    if kinds == {"sd", "se"}:
        return same_sd(held, read)
    return len(kinds) == 1 and all(same_figure(name, held, read) for name in ("dispersion_low", "dispersion_high"))


def same_sd(held: Cells, read: Cells) -> bool:
    """Whether an SD and an SE are of the same patients, within their printed digits."""
    if not (held["n"] or read["n"]) or held["unit"] != read["unit"]:
        return False
    by_kind = {row["dispersion_type"]: row["dispersion_low"] for row in (held, read)}
    n = float(read["n"] or held["n"])
    off = abs(dispersion.sd_from_se(float(by_kind["se"]), n) - float(by_kind["sd"]))
    return off <= dispersion.sd_from_se(half_digit(by_kind["se"]), n) + half_digit(by_kind["sd"]) + FLOAT_NOISE


def same_figure(column: str, held: Cells, read: Cells) -> bool:
    """Whether a figure is the same in one unit: exactly, or within the printed digits where it was converted."""
    if not (held[column] and read[column]):
        return held[column] == read[column]
    if held["unit"] == read["unit"]:
        return float(held[column]) == float(read[column])
    change = read["kind"] == "change" or (column == "dispersion_low" and read["dispersion_type"] in ("sd", "se"))
    pair = held["unit"], read["unit"], read["outcome"]
    off = abs(units.convert(float(held[column]), *pair, change=change) - float(read[column]))
    slack = abs(units.convert(half_digit(held[column]), *pair, change=True)) + half_digit(read[column])
    return off <= slack + FLOAT_NOISE


def half_digit(printed: str) -> float:
    """Half a unit of the last digit that is printed.

    Examples
    --------
    >>> half_digit("7.50"), half_digit("42"), half_digit("1.5e2")
    (0.005, 0.5, 5.0)
    """
    digits, _, power = printed.lower().partition("e")
    return 0.5 * 10.0 ** (int(power or 0) - len(digits.partition(".")[2]))


def in_unit(row: Cells, column: str) -> str:
    """A figure with its unit."""
    return f"{row[column]} {row['unit']}".strip() if row[column] else ""


def spread(row: Cells) -> str:
    """Kind and limits of a spread in words."""
    if row["dispersion_type"] in ("", "none"):
        return ""
    limits = " to ".join(filter(None, (row["dispersion_low"], row["dispersion_high"])))
    return f"{row['dispersion_type']} {limits} {row['unit']}".strip()


# Counts --------------------------------------------------------------------------------------------------------------


def count_differences(held: Cells, read: Cells) -> Iterator[Difference]:
    """Where count, share or number of patients differ."""
    yield from number_differences(held, read)
    if held["events"] and read["events"]:
        if int(held["events"]) != int(read["events"]):
            yield Difference("events", held["events"], read["events"])
        return
    one, other = share(held), share(read)
    if other and not (one and one[0] <= other[1] + FLOAT_NOISE and other[0] <= one[1] + FLOAT_NOISE):
        yield Difference("events" if read["events"] else "percent", counted(held), counted(read))
    elif read["events"] and not other and not held["events"]:
        yield Difference("events", counted(held), counted(read))


def share(row: Cells) -> tuple[float, float] | None:
    """Lowest and highest percentage that a row can mean: exact from a count, as wide as its digits from a percentage.

    Examples
    --------
    >>> share({"events": "6", "n": "8", "percent": "", "percent_printed": ""})
    (75.0, 75.0)
    >>> share({"events": "", "n": "", "percent": "70", "percent_printed": "70"})
    (69.5, 70.5)
    """
    if row["events"] and row["n"]:
        percent = 100 * int(row["events"]) / int(row["n"]) if int(row["n"]) else math.nan
        return percent, percent
    printed = row["percent_printed"] or row["percent"]
    return rounding_limits(printed) if printed else None


def counted(row: Cells) -> str:
    """A count or a share in words.

    Examples
    --------
    >>> counted({"events": "6", "n": "8", "percent": "", "percent_printed": ""})
    '6 of 8'
    """
    printed = row["percent_printed"] or row["percent"]
    if row["events"]:
        return f"{row['events']} of {row['n']}" if row["n"] else row["events"]
    return f"{printed} %" if printed else ""


#: Table -> what compares the figures of two alike rows.
FIGURES = {"continuous": measure_differences, "binary": count_differences}
