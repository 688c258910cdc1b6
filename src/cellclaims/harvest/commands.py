"""The ``propose``, ``accept`` and ``resolve`` commands: their output, with progress in a terminal.

Without a file to write, ``propose`` and ``resolve`` print each proposal in two lines, for a first look.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from cellclaims.errors import SourceError
from cellclaims.harvest import accept as accepting
from cellclaims.harvest import resolve
from cellclaims.harvest.held import Cells, read_held
from cellclaims.harvest.proposals import (
    Found,
    from_file,
    from_registry,
    proposals,
    summary,
    with_answers,
    write_proposals,
)
from cellclaims.harvest.resolve import Lookups
from cellclaims.registries.client import Client, Settings, from_environment
from cellclaims.registries.store import Store


@contextmanager
def progress(unit: str, total: int | None = None) -> Iterator[Callable[[object], None]]:
    """Show a line that counts in a terminal."""
    from tqdm import tqdm

    with tqdm(total=total, unit=f" {unit}", disable=not sys.stderr.isatty(), leave=False) as bar:

        def told(what: object) -> None:
            bar.set_postfix_str(str(what), refresh=False)
            bar.update()

        yield told


def propose(into: Path | None, data: Path, registry: Path, harvest: Path | None = None, snapshot: str = "") -> str:
    """Write a file of proposals, or show them; return a summary in words.

    Parameters
    ----------
    into : Path or None
        The file to write; an existing file is never overwritten. With None nothing is written and the proposals are in
        the text.
    data : Path
        The evidence to compare the rows with.
    registry : Path
        Folder of the store.
    harvest : Path, optional
        A file of harvested rows, as CSV or Parquet, instead of the records of a snapshot.
    snapshot : str
        Name of the snapshot; the last by default.

    Raises
    ------
    ProposalError, SourceError, DataError
        If a file, a snapshot or a table cannot be used; nothing is written then.
    """
    held = read_held(data)
    unread: list[str] = []
    with progress("records") as told:
        rows = proposals(rows_of(harvest, Store(registry), snapshot, unread, told), held)
    if into:
        write_proposals(into, rows)
    without = sum(not row["sha256"] for row in rows)
    lines = [f"{into}: {summary(rows)}"] if into else [*map(proposal_in_words, rows), summary(rows)]
    if without:
        lines.append(
            f"{without} of them {'has' if without == 1 else 'have'} no answer of a snapshot and cannot be accepted"
        )
    if unread:
        lines.append(f"{len(unread)} other places could not be read: `cellclaims harvest` lists each with the reason")
    lines.append(
        f"fill in decision and reviewer, then: cellclaims accept {into}"
        if into
        else f"nothing was written: {TO_DECIDE}"
    )
    return "\n".join(lines)


#: Hint on how to decide on proposals.
TO_DECIDE = "use --into FILE.csv to write a file for decisions"


def proposal_in_words(row: Cells) -> str:
    """Return one proposal in two lines: trial, arm and value, then the rows of the tables.

    Examples
    --------
    >>> from cellclaims.harvest.proposals import PROPOSAL_COLUMNS
    >>> row = dict.fromkeys(PROPOSAL_COLUMNS, "") | {"grade": "new", "registration": "NCT00000001", "outcome": "hba1c",
    ...     "arm_title": "Islets", "months": "12", "kind": "level", "center": "7.1", "unit": "%", "n": "20",
    ...     "study_why": "no report names it"}
    >>> print(proposal_in_words(row))
    new      NCT00000001, Islets: hba1c level at month 12: 7.1 %, n 20
             report open (no report names it)
    """
    if row["events"] or row["percent"] or row["definition_id"]:
        what = " ".join(filter(None, [row["outcome"], row["timing"].replace("_", " ")]))
        of = f"{row['events']} of {row['n']}" if row["events"] else ""
        figure = ", ".join(filter(None, [of, f"{row['percent_printed']} %" if row["percent_printed"] else ""]))
    else:
        what = f"{row['outcome']} {row['kind']}"
        low, high = row["dispersion_low"], row["dispersion_high"]
        spread = f"{row['dispersion_type']} {low}{f' to {high}' if high else ''}" if low else ""
        figure = ", ".join(
            filter(None, [f"{row['center']} {row['unit']}", spread, f"n {row['n']}" if row["n"] else ""])
        )
    when = f" at month {row['months']}" if row["months"] else ""
    what = what.removesuffix(" at month") if when else what
    whose = f"{row['study_id']}, {row['arm_id']}" if row["arm_id"] else row["study_id"]
    place = whose or f"report open ({row['study_why']})"
    if row["study_id"] and not row["arm_id"]:
        place = f"{whose}, arm open ({row['arm_why']})"
    beside = "; ".join(filter(None, [place, row["differences"], f"held: {row['held']}" if row["held"] else ""]))
    return f"{row['grade']:8} {row['registration']}, {row['arm_title']}: {what}{when}: {figure}\n{'':8} {beside}"


def rows_of(
    harvest: Path | None, store: Store, name: str, unread: list[str], told: Callable[[object], None]
) -> Iterator[Found]:
    """Return the rows of a file with the answers of a snapshot, or of the snapshot; ``unread`` collects faults."""
    if harvest is None:
        yield from from_registry(store, store.snapshot(name), unread, told)
        return
    rows = list(from_file(harvest))
    if all(row.provenance.sha256 for row in rows) or not (name or store.names()):
        yield from rows
        return
    yield from with_answers(rows, from_registry(store, store.snapshot(name), unread, told))


def candidate_in_words(row: Cells) -> str:
    """Return one candidate for a report in two lines: the report with the score and the record, then the reasons.

    Examples
    --------
    >>> row = dict.fromkeys(resolve.COLUMNS, "") | {"study_id": "gamma2022", "rank": "1", "score": "0.98",
    ...     "title": "Islets", "first_author": "Gamma", "year": "2022", "doi": "10.9999/g", "reasons": "title 1.00"}
    >>> print(candidate_in_words(row))
    gamma2022, 1: 0.98  Gamma 2022, Islets (doi 10.9999/g)
        title 1.00
    """
    names = [f"{name} {row[name]}" for name in ("doi", "pmid", "pmcid") if row[name]]
    who = " ".join(filter(None, [row["first_author"], row["year"]]))
    record = ", ".join(filter(None, [who, row["title"], row["journal"]]))
    near = f"near equal: {row['near_equal']}" if row["near_equal"] else ""
    why = "; ".join(filter(None, [row["reasons"], near]))
    return f"{row['study_id']}, {row['rank']}: {row['score']}  {record} ({', '.join(names)})\n    {why}"


def accept(path: Path, data: Path, registry: Path | None = None, *, dry_run: bool = False) -> str:
    """Add the accepted rows of a file to the tables; return a summary in words.

    Raises
    ------
    ProposalError
        With all reasons; nothing is written then.
    """
    if sys.stderr.isatty():
        print("checking the tables with the accepted rows ...", file=sys.stderr)
    return accepting.in_words(accepting.accept(path, data, registry, dry_run=dry_run), dry_run=dry_run)


def find(
    into: Path | None, data: Path, registry: Path, *, offline: bool = False, settings: Settings | None = None
) -> str:
    """Write a file of candidates for reports without an identifier, or show them; return a summary in words.

    Raises
    ------
    ProposalError
        If the file exists.
    SourceError
        If a source gives no answer; what came before is kept, and asked again it goes on from there.
    """
    held = read_held(data)
    try:
        with (
            Client(settings or from_environment()) as client,
            progress("reports", len(resolve.unresolved(held))) as told,
        ):
            found = resolve.resolve(held, Lookups(Store(registry), None if offline else client), told)
    except SourceError as fault:
        raise SourceError(f"{fault}; what was answered is kept: ask again later, or use --offline") from None
    told = resolve.summary(found, len(held.rows["studies"]))
    if into is None:
        return "\n".join([*map(candidate_in_words, found.rows), told, f"nothing was written: {TO_DECIDE}"])
    write_proposals(into, found.rows, resolve.COLUMNS)
    return f"{into}: {told}"
