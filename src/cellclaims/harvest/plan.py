"""What an acceptance would write: the new content of each table, held together, tried in a copy, written all or not.

Nothing is written before the copy with the new content passes every rule of ``cellclaims check``.
"""

from __future__ import annotations

import tempfile
from dataclasses import dataclass, field
from pathlib import Path

from cellclaims.errors import ProposalError
from cellclaims.files import write_atomically
from cellclaims.harvest.csv_lines import with_cell, with_rows
from cellclaims.harvest.held import Cells, Held
from cellclaims.harvest.sheet import runs
from cellclaims.tables import check
from cellclaims.tables.faults import Fault
from cellclaims.tables.schema import FILE

#: The order of writing: what a row names stands before the row, what vouches for it comes last. A process that is
#: killed between two files leaves tables without a fault, and accepting again adds what is missing.
ORDER = ("sources", "continuous", "binary", "studies", "accepted")


@dataclass
class Plan:
    """Rows to add, by table, and cells of ``studies.csv`` to fill; ``origins`` says which proposal a new line is of.

    ``held`` is told of every planned row, so that the next proposal is compared with it, too.
    """

    held: Held
    rows: dict[str, list[Cells]] = field(default_factory=lambda: {name: [] for name in ORDER})
    filled: list[tuple[Cells, str, str]] = field(default_factory=list)
    origins: dict[tuple[str, int], str] = field(default_factory=dict)

    def add(self, table: str, cells: Cells, origin: str) -> None:
        """Plan a row; columns that are not named stay empty.

        Raises
        ------
        ProposalError
            If a spreadsheet would run a cell as a formula: the tables are opened in one, too.
        """
        for column, cell in cells.items():
            if runs(cell):
                raise ProposalError(f"{origin}, column {column}: expected words, found the formula {cell[:80]!r}")
        line = len(self.held.rows[table]) + 2
        row = dict.fromkeys(self.held.schema.tables[table].names, "") | cells
        self.rows[table].append(row)
        self.held.rows[table].append(row | {"line": str(line)})
        self.origins[self.held.schema.tables[table].path, line] = origin

    def fill(self, study: Cells, column: str, value: str, origin: str) -> None:
        """Plan to fill an empty cell of a report."""
        self.filled.append((study, column, value))
        study[column] = value
        self.origins[self.held.schema.tables["studies"].path, int(study["line"])] = origin

    @property
    def empty(self) -> bool:
        """Whether there is nothing to write."""
        return not self.filled and not any(self.rows.values())

    def contents(self) -> dict[Path, tuple[bytes, bytes]]:
        """Path -> its bytes before and after, of each table that changes, in the order of writing."""
        found = {}
        for name in ORDER:
            path = self.held.folder / self.held.schema.tables[name].path
            before = path.read_bytes()
            names = self.held.schema.tables[name].names
            after = self.with_filled(before) if name == "studies" else before
            after = with_rows(after, [[row[column] for column in names] for row in self.rows[name]])
            if after != before:
                found[path] = (before, after)
        return found

    def with_filled(self, content: bytes) -> bytes:
        """``studies.csv`` with the planned cells."""
        names = self.held.schema.tables["studies"].names
        for study, column, value in self.filled:
            content = with_cell(content, int(study["line"]), names.index(column), value)
        return content


def try_out(plan: Plan, contents: dict[Path, tuple[bytes, bytes]]) -> None:
    """Run the whole check on a copy of the tables with the new content.

    Raises
    ------
    ProposalError
        With every fault that the check finds and no anomaly explains; a fault in a new line names its proposal.
    """
    held = plan.held
    with tempfile.TemporaryDirectory() as scratch:
        copy = Path(scratch)
        for name in (FILE, *(table.path for table in held.schema.tables.values())):
            source, target = held.folder / name, copy / name
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(contents[source][1] if source in contents else source.read_bytes())
        faults = [fault for fault in check.faults(copy) if not fault.anomaly_id]
    if faults:
        raise ProposalError("\n".join(["nothing was written, `cellclaims check` would find:", *in_words(plan, faults)]))


def in_words(plan: Plan, faults: list[Fault]) -> list[str]:
    """The check's own faults, each with the proposal that it comes from."""
    origins = (plan.origins.get((fault.file, fault.row or 0), "") for fault in faults)
    return [f"  {origin}: {fault}" if origin else f"  {fault}" for fault, origin in zip(faults, origins, strict=True)]


def write_all(contents: dict[Path, tuple[bytes, bytes]]) -> None:
    """Write every file or none: where one cannot be written, those before it are put back.

    Raises
    ------
    ProposalError
        If a file was changed since it was read, or cannot be written.
    """
    for path, (before, _) in contents.items():
        if path.read_bytes() != before:
            raise ProposalError(f"{path}: expected the table as it was read, found it changed meanwhile: try again")
    written: list[Path] = []
    try:
        for path, (_, after) in contents.items():
            write_atomically(path, after)
            written.append(path)
    except OSError as error:
        for path in written:
            write_atomically(path, contents[path][0])
        raise ProposalError(f"{error.filename or path}: nothing was accepted: {error.strerror or error}") from None
