"""``cellclaims harvest``: what it writes and says."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

from cellclaims.harvest.stream import Portion, Spread, stream
from cellclaims.harvest.table_files import as_cells, as_refused, refused_beside, write

#: So many reasons are said at the end, the most frequent first.
REASONS = 8


def harvest(
    paths: list[str],
    into: Path | None,
    *,
    workers: int,
    spread: Spread | None,
    say: Callable[[str], object],
    tell: Callable[[str], object],
) -> int:
    """Harvest files into two tables, or say rows and refusals as lines of JSON; the number of unreadable values.

    Parameters
    ----------
    paths, workers, spread
        As :func:`cellclaims.harvest.stream.stream` takes them.
    into : Path or None
        ``.parquet`` or ``.csv``; without it each row and refusal goes to ``say``.
    say, tell : callable
        For results and for remarks (standard output and standard error).

    Raises
    ------
    HarvestError
        If a path is missing or ``into`` cannot be written.
    """
    found = stream(paths, workers=workers, spread=spread)
    portions = found if into is None else write(found, into)
    records, unreadable, rows, reasons = 0, 0, 0, Counter()
    for portion in portions:
        records, unreadable, rows = records + portion.records, unreadable + portion.unreadable, rows + len(portion.rows)
        reasons.update(_kind(refusal.reason) for refusal in portion.refused)
        if into is None:
            for line in _lines(portion):
                say(line)
    tell(f"{records} records: {rows} rows, {reasons.total()} refusals, {unreadable} of them for what is no record")
    for reason, count in sorted(reasons.items(), key=lambda one: (-one[1], one[0]))[:REASONS]:
        tell(f"  {count:6}  {reason}")
    if into is not None:
        tell(f"{into}, {refused_beside(into)}")
    return unreadable


def _lines(portion: Portion) -> Iterator[str]:
    """Rows without their empty cells, and refusals, each as a line of JSON."""
    for row in portion.rows:
        yield json.dumps({"row": {name: cell for name, cell in as_cells(row).items() if cell}}, ensure_ascii=False)
    for refusal in portion.refused:
        yield json.dumps({"refused": as_refused(refusal)}, ensure_ascii=False)


def _kind(reason: str) -> str:
    """A reason without what was found, so that equal ones are counted together."""
    return reason.split(": '")[0].split(", found")[0].split(" (posted with the comment")[0][:100]
