"""Pooling of a user's own studies: from a CSV file to a summary, a forest plot and files (``cellclaims pool``).

Columns have metafor's names, or are ``yi`` with ``vi`` or ``sei``. All faults of a file are listed at once, with
row, column, what was expected and what was found; nothing is written then.
"""

from __future__ import annotations

import csv
import io
import json
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from cellclaims import meta
from cellclaims.errors import DataError
from cellclaims.files import csv_text, write_atomically
from cellclaims.meta.effect_sizes import COUNTS, POSITIVE, SIZES, columns_of, measure_in_words

if TYPE_CHECKING:
    import pandas as pd

    from cellclaims.meta import Fit

#: Columns with the names of studies; the first one in the file is used.
LABELS = ("slab", "study", "label", "author", "trial")
#: Columns of given effects.
GIVEN = (("yi", "vi"), ("yi", "sei"))
#: Number of faults listed; of further ones the number is given.
SHOWN = 20
#: Largest file, in bytes.
LARGEST_FILE = 5_000_000


@dataclass(frozen=True)
class OwnStudies:
    """The studies of a file, checked.

    Attributes
    ----------
    path : Path
    labels : tuple of str
    columns : dict
        Column name to its numbers, in the order of the rows.
    unused : tuple of str
        Columns that were not used.
    """

    path: Path
    labels: tuple[str, ...]
    columns: Mapping[str, np.ndarray]
    unused: tuple[str, ...]


def read(path: Path, measure: str | None = None) -> OwnStudies:
    """Read and check a CSV file of studies.

    Parameters
    ----------
    path : Path
        UTF-8, with a header; cells separated by commas, decimals by points.
    measure : str, optional
        Effect measure to compute; without it the file must have ``yi`` and ``vi`` or ``sei``.

    Returns
    -------
    OwnStudies

    Raises
    ------
    DataError
        With every fault of the file.
    PoolingError
        For an unknown measure.
    """
    choices = GIVEN if measure is None else columns_of(measure)
    header, rows = _cells(path)
    chosen = next((choice for choice in choices if set(choice) <= set(header)), None)
    if chosen is None:
        wanted = " or ".join(", ".join(choice) for choice in choices)
        hint = "" if measure else "; or give a --measure to compute effects"
        raise DataError(f"{path}: header: expected columns {wanted}{hint}, found {', '.join(header)}")
    known = set().union(*choices)
    used = [name for name in header if name in known]
    label = next((name for name in LABELS if name in header), None)
    faults = list(_faults(header, rows, used, label))
    if faults:
        more = [f"and {len(faults) - SHOWN} more"] if len(faults) > SHOWN else []
        raise DataError(
            "\n".join(
                f"{path}: {fault}" if i == 0 else f"  {fault}" for i, fault in enumerate([*faults[:SHOWN], *more])
            )
        )
    place = {name: header.index(name) for name in header}
    labels = tuple(row[place[label]].strip() if label else str(i) for i, (_, row) in enumerate(rows, start=1))
    numbers = {name: np.array([float(row[place[name]]) for _, row in rows]) for name in used}
    return OwnStudies(path, labels, numbers, tuple(n for n in header if n not in used and n != label))


def _cells(path: Path) -> tuple[list[str], list[tuple[int, list[str]]]]:
    """Return the header, and each non-blank row with the line on which it begins."""
    try:
        content = path.read_bytes()
    except OSError as error:
        raise DataError(f"{path}: expected a CSV file of studies, found {error.strerror or error}") from None
    if len(content) > LARGEST_FILE:
        raise DataError(f"{path}: expected at most {LARGEST_FILE:,} bytes, found {len(content):,}")
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = content[: error.start].count(b"\n") + 1
        raise DataError(f"{path}: row {line}: expected UTF-8, found byte {content[error.start]:#04x}") from None
    reader = csv.reader(io.StringIO(text, newline=""), strict=True)
    found, begins = [], 1
    try:
        for row in reader:
            if any(cell.strip() for cell in row):
                found.append((begins, row))
            begins = reader.line_num + 1
    except csv.Error as error:
        raise DataError(f"{path}: row {reader.line_num}: expected cells separated by commas, found {error}") from None
    if not found:
        raise DataError(f"{path}: expected a header and studies, found an empty file")
    header = [name.strip() for name in found[0][1]]
    if len(header) == 1 and (";" in header[0] or "\t" in header[0]):
        kind = "semicolons" if ";" in header[0] else "tabs"
        raise DataError(f"{path}: header: expected columns separated by commas, found {kind}")
    twice = sorted({name for name in header if header.count(name) > 1})
    if twice:
        raise DataError(f"{path}: header: expected each column once, found twice: {', '.join(map(repr, twice))}")
    if len(found) == 1:
        raise DataError(f"{path}: expected at least one study below the header, found none")
    return header, found[1:]


def _faults(
    header: Sequence[str], rows: Sequence[tuple[int, list[str]]], used: Sequence[str], label: str | None
) -> Iterator[str]:
    """Yield the faults of the rows: row, column, expected, found."""
    labels: dict[str, int] = {}
    for line, row in rows:
        if len(row) != len(header):
            yield f"row {line}: expected {len(header)} cells, found {len(row)}"
            continue
        cells = dict(zip(header, row, strict=True))
        for name in used:
            expected = _expected(name, cells[name])
            if expected:
                yield f"row {line}, column {name}: expected {expected}, found {cells[name]!r}"
        if label is None:
            continue
        own = cells[label].strip()
        if not own:
            yield f"row {line}, column {label}: expected a label, found {cells[label]!r}"
        elif not own.isprintable():
            yield f"row {line}, column {label}: expected a label of printable characters, found {own!r}"
        elif own in labels:
            yield f"row {line}, column {label}: expected each label once, found {own!r} as in row {labels[own]}"
        labels.setdefault(own, line)


def _expected(name: str, cell: str) -> str:
    """Return what was expected in a cell; empty if it is valid."""
    try:
        value = float(cell)
    except ValueError:
        comma = " (with a decimal point)" if "," in cell else ""
        return f"a number{comma}"
    if not math.isfinite(value):
        return "a finite number"
    if name in COUNTS and value < 0:
        return "a count, zero or more"
    if name in SIZES and value < 1:
        return "a size of at least 1"
    if name in POSITIVE | {"vi", "sei"} and value <= 0:
        return "a value above zero"
    if name == "ri" and abs(value) > 1:
        return "a correlation from -1 to 1"
    return ""


def pool(
    path: Path,
    measure: str | None = None,
    *,
    method: str = "REML",
    test: str = "adhoc",
    level: float = 0.95,
    to: str = "only0",
    add: float | None = None,
) -> tuple[Fit, OwnStudies]:
    """Pool the studies of a file.

    Parameters
    ----------
    path : Path
    measure : str, optional
        As in :func:`cellclaims.meta.escalc`, in upper or lower case; without it the file must contain effects.
    method, test, level
        As in :func:`cellclaims.meta.fit`.
    to, add
        Continuity correction, as in :func:`cellclaims.meta.escalc`.

    Returns
    -------
    Fit
    OwnStudies

    Raises
    ------
    DataError
        With every fault of the file.
    PoolingError
        If effects cannot be computed or pooled.
    """
    studies = read(path, measure)
    columns = dict(studies.columns)
    if measure is None:
        vi = columns["vi"] if "vi" in columns else columns["sei"] ** 2
        effects = {"yi": columns["yi"], "vi": vi, "slab": studies.labels}
        return meta.fit(**effects, method=method, test=test, level=level), studies
    sizes = meta.escalc(measure, slab=studies.labels, to=to, add=add, **columns)
    return meta.fit(sizes, method=method, test=test, level=level), studies


def report(fit: Fit, studies: OwnStudies) -> str:
    """Return the text for the terminal: the studies, the summary, columns that were not used."""
    table = fit.studies()
    width = max(len(label) for label in (*studies.labels, "study"))
    lines = [f"{'study'.ljust(width)}  {'effect':>10}  {'SE':>8}  {'weight':>7}"]
    for row in table.itertuples():
        if row.kept:
            numbers = f"{row.yi:>10.4f}  {row.sei:>8.4f}  {row.weight:>6.1f}%"
        else:
            numbers = f"{'not defined':>10}"
        lines.append(f"{row.slab.ljust(width)}  {numbers}")
    text = "\n".join([*lines, "", fit.summary()])
    return text + (f"\nColumns not used: {', '.join(map(_shown, studies.unused))}" if studies.unused else "")


def _shown(text: str) -> str:
    """Return text without control characters, which a terminal would interpret."""
    return "".join(c if c.isprintable() else "\N{REPLACEMENT CHARACTER}" for c in text)


def write(fit: Fit, studies: OwnStudies, into: Path) -> list[Path]:
    """Write the results: forest plot (SVG, PNG), studies and summary as CSV, both as JSON.

    Parameters
    ----------
    fit : Fit
    studies : OwnStudies
    into : Path
        A folder; created if it does not exist.

    Returns
    -------
    list of Path
        The files written.
    """
    from cellclaims import figures  # imported late, because output to the terminal needs no figures

    name = studies.path.stem if studies.path.stem.replace("_", "a").replace("-", "a").isalnum() else "studies"
    name = name if name.isascii() else "studies"
    drawing = figures.forest(fit, title=f"Studies of {studies.path.name}")
    estimate = (
        f"{measure_in_words(fit.measure)} {fit.beta:.3g} ({100 * fit.level:g}% CI {fit.ci_lb:.3g} to {fit.ci_ub:.3g})"
    )
    alt = f"Forest plot of {int(fit.k)} studies. Pooled {estimate}."
    table, summary = fit.studies(), fit.to_frame()
    values = {"studies": _records(table), "summary": _records(summary)[0], "columns_not_used": list(studies.unused)}
    texts = {
        into / f"{name}_studies.csv": _csv(table),
        into / f"{name}_summary.csv": _csv(summary),
        into / f"{name}.json": json.dumps(values, indent=1, ensure_ascii=False, allow_nan=False) + "\n",
    }
    drawn = figures.save(drawing, alt=alt, name=f"{name}_forest", folder=into)
    for path, text in texts.items():
        write_atomically(path, text)
    return [*drawn, *texts]


def _records(table: pd.DataFrame) -> list[dict[str, object]]:
    """Return rows for JSON; missing and infinite values are null."""
    return [{name: _value(value) for name, value in row.items()} for row in table.to_dict("records")]


def _value(value: object) -> object:
    if isinstance(value, float | np.floating):
        return float(value) if math.isfinite(value) else None
    return value.item() if isinstance(value, np.generic) else value


def _csv(table: pd.DataFrame) -> str:
    """Return rows as CSV with all digits, missing values empty, and formulas quoted."""
    return csv_text([table.columns, *(record.values() for record in _records(table))])
