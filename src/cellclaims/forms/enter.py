"""A form into the tables: all of it or nothing, after a look at which pools it changes and how.

A study that is new is added at the end of each table, so that no row of another study gets another line. A study that
the tables have is only changed on request (``update``), with a reason that is kept in three places: CHANGELOG.md, an
anomaly for each outcome whose values changed, and a flag on each changed row.
"""

from __future__ import annotations

import os
import textwrap
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from pathlib import Path

from cellclaims import protocol
from cellclaims.errors import Fault, FormError, PoolingError, ProposalError, ProtocolError, listed
from cellclaims.evidence import check, load
from cellclaims.evidence.read import read_all
from cellclaims.evidence.schema import TableSchema
from cellclaims.files import NUMBER, csv_text, runs, write_atomically
from cellclaims.forms.sheets import CLAIMS, STUDY, evidence_workbook
from cellclaims.forms.submission import FormRow, Submission, read_form
from cellclaims.harvest.accept import tried, write_all
from cellclaims.harvest.held import Cells, Held, as_line, read_held
from cellclaims.journal_club.claim_file import NAMES_CLAIMS
from cellclaims.pool import Pool, pooled
from cellclaims.question import ESTIMANDS, Analysis, Question
from cellclaims.reporting.pools import before_and_after
from cellclaims.reporting.tables import Table
from cellclaims.runner.page import as_csv, pool_lines, pools_of
from cellclaims.selection import EvidenceBase
from cellclaims.yaml_files import one_of

GUIDE = "docs/add_a_study.md"
#: Table -> columns by which an old and a new row of a study are the same one, the closest first.
KEYS: dict[str, tuple[tuple[str, ...], ...]] = {
    "studies": (("study_id",),),
    "arms": (("arm_id",),),
    "cohorts": (("arm_id", "cohort_id"), ("arm_id",)),
    "sources": (("source_id",),),
    "continuous": (("arm_id", "outcome", "months", "kind", "center_type", "source_id"), ("arm_id", "outcome", "kind")),
    "binary": (("arm_id", "outcome", "definition_id", "timing", "months", "source_id"), ("arm_id", "definition_id")),
    "contrasts": (("treatment_arm", "control_arm", "outcome", "months", "measure"), ("treatment_arm", "outcome")),
    "judgements": (("outcome", "tool", "domain", "reviewer"),),
}
#: Table of values -> how a step of handling.csv finds a row of it.
STEPS = {
    "continuous": ("study_id", "arm_id", "outcome", "months", "kind"),
    "binary": ("study_id", "arm_id", "outcome", "definition_id", "timing", "months"),
    "contrasts": ("study_id", "outcome", "months", "locator"),
}
#: Columns of these tables that say something about a value and are none.
NO_VALUES = ("note", "locator", "read_twice")
#: Kind of the anomaly that a changed value becomes.
REPLACED = "value_replaced"
#: The reason of a preview that has none; it is never written.
NO_REASON = "no reason given yet"


@dataclass(frozen=True)
class Edit:
    """One difference of a form from the tables: a row that comes, goes, or changes in some cells."""

    table: str
    line: int | None
    before: Cells | None
    after: Cells | None

    def changed(self) -> list[str]:
        """The columns that differ; empty for a row that comes or goes."""
        if self.before is None or self.after is None:
            return []
        return [name for name in self.after if not alike(self.before[name], self.after[name])]

    @property
    def row(self) -> Cells:
        """The row, as it will be if it stays."""
        return self.after or self.before or {}


@dataclass
class Addition:
    """What a form would do, tried in a copy and not written yet.

    Attributes
    ----------
    form : Submission
    edits : list of Edit
    contents : dict
        Path -> its bytes before and after.
    preview : Table
        The pools that change, before and after.
    words : str
        What the form adds or changes, in one sentence.
    """

    form: Submission
    edits: list[Edit]
    contents: dict[Path, tuple[bytes, bytes]]
    preview: Table
    words: str
    differences: list[str] = field(default_factory=list)
    reasons: list[str] = field(default_factory=list)
    hints: list[str] = field(default_factory=list)


def alike(one: str, other: str) -> bool:
    """Whether two cells say the same: a spreadsheet makes 8 of 8.0."""
    if one == other:
        return True
    return bool(NUMBER.fullmatch(one) and NUMBER.fullmatch(other)) and float(one) == float(other)


def read(path: Path, folder: Path) -> Submission:
    """Read a form and refuse it if a cell is at fault.

    Raises
    ------
    FormError
        With every fault: sheet, row, column, expected and found.
    """
    held = read_held(folder)
    form = read_form(path, held.schema)
    if form.faults:
        raise FormError(f"{path}: nothing was added, {listed(_in_order(form.faults))}")
    return form


def _in_order(faults: Iterable[Fault]) -> list[Fault]:
    order = {sheet.title: number for number, sheet in enumerate((*STUDY, *CLAIMS))}
    return sorted(dict.fromkeys(faults), key=lambda f: (order.get(getattr(f, "sheet", ""), 0), f.row or 0))


def prepare(
    form: Submission, folder: Path, *, update: bool = False, reason: str = "", today: date | None = None
) -> Addition:
    """Try a form of a study: check the tables with it, and pool them without and with it.

    Parameters
    ----------
    form : Submission
        As :func:`read` gives it.
    folder : Path
        The evidence; nothing is written.
    update : bool
        Whether the study is one of the tables, to be changed.
    reason : str
        Why values change; needed to write an update that changes or removes values.
    today : date, optional
        Day of the change; today in UTC by default.

    Returns
    -------
    Addition

    Raises
    ------
    FormError
        If the study is (not) in the tables, or the check finds a fault; each names its place in the form.
    """
    held, day = read_held(folder), (today or datetime.now(UTC).date()).isoformat()
    _refuse_other_study(form, held, update)
    if runs(reason) or reason != " ".join(reason.split()):
        raise FormError(f"--reason: expected words on one line, found {reason!r}")
    edits, origins = _edits(form, held)
    if not edits:
        raise FormError(f"{form.name}: expected something new, found what the tables have already")
    reasons = list(_recorded(edits, held, form.study, reason, day)) if update else []
    contents = _contents(held, [*edits, *reasons], origins)
    with tried(held, contents) as copy:
        faults = [fault for fault in check.faults(copy) if not fault.anomaly_id]
        if faults:
            told = listed(_in_order(_in_the_form(fault, origins) for fault in faults))
            raise FormError(f"{form.name}: nothing was added, {told}")
        rules = protocol.load(folder)
        bases = EvidenceBase(load(folder), rules), EvidenceBase(load(copy), rules)
        changed = list(gains(*bases, form.study))
    words = _in_words(form.study, edits, update)
    done = Addition(form, edits, contents, before_and_after(changed, rules), words, list(_told(edits)))
    done.reasons = [edit.row["anomaly_id"] for edit in reasons if edit.table == "anomalies"]
    _add_changelog(done, held.folder, f"{day}: {words}" + (f" Reason: {reason}." if reason else ""))
    if not changed and not update:
        done.hints = list(_why_none(bases[1], form.study))
    return done


def differences(form: Submission, folder: Path) -> list[Edit]:
    """Every difference of the form of a study from the tables: rows that come, go or change."""
    return _edits(form, read_held(folder))[0]


def _refuse_other_study(form: Submission, held: Held, update: bool) -> None:
    known = held.has("studies", "study_id", form.study)
    row = form.rows["studies"][0]
    if known and not update:
        line = next(one["line"] for one in held.rows["studies"] if one["study_id"] == form.study)
        found = f"{form.study}, row {line} of published/studies.csv: `cellclaims add --update` changes it"
        raise FormError(str(row.fault("study_id", "new", "a study that the tables do not have", found)))
    if update and not known:
        names = one_of(sorted(one["study_id"] for one in held.rows["studies"]), form.study)
        near = names[names.index("(") :] if "(" in names else ""
        expected = f"a study of published/studies.csv {near}".strip()
        raise FormError(str(row.fault("study_id", "known", expected, f"{form.study}: add it without --update")))


def _in_the_form(fault: Fault, origins: Mapping[tuple[str, int], FormRow]) -> Fault:
    row = origins.get((fault.file, fault.row or 0))
    return row.fault(fault.column, fault.rule, fault.expected, fault.found) if row else fault


# What differs, and the new content of each table.


def _edits(form: Submission, held: Held) -> tuple[list[Edit], dict[tuple[str, int], FormRow]]:
    """Every difference of the form from the tables; ``origins`` says which row of the form a line of a file is of."""
    edits: list[Edit] = []
    origins: dict[tuple[str, int], FormRow] = {}
    for sheet in STUDY:
        if sheet.table not in form.rows:
            continue
        table = held.schema.tables[sheet.table]
        rows = sorted(form.rows[sheet.table], key=lambda row: _sorting(table, row.cells))
        old = [row for row in held.rows[sheet.table] if row.get("study_id") == form.study]
        pairs, new = _matched(sheet.table, old, rows)
        gone = {int(row["line"]) for row in old} - {int(before["line"]) for before, _ in pairs}
        for before, row in pairs:
            row.cells.update({name: before[name] for name in sheet.filled})
            line = int(before["line"])
            edit = Edit(sheet.table, line, before, {n: _kept(before[n], row.cells[n]) for n in table.names})
            origins[table.path, line - sum(one < line for one in gone)] = row
            if edit.changed():
                edits.append(edit)
        edits += [Edit(sheet.table, int(row["line"]), row, None) for row in old if int(row["line"]) in gone]
        if new and "judgement_id" in table.names:
            first = 1 + max((int(row["judgement_id"][1:]) for row in held.rows[sheet.table]), default=0)
            for number, row in enumerate(new, start=first):
                row.cells["judgement_id"] = f"j{number:04d}"
        after = 2 + len(held.rows[sheet.table]) - len(gone)
        for line, row in enumerate(new, start=after):
            origins[table.path, line] = row
            edits.append(Edit(sheet.table, None, None, {name: row.cells[name] for name in table.names}))
    return edits, origins


def _kept(before: str, after: str) -> str:
    """The cell as the table has it, where the form says the same."""
    return before if alike(before, after) else after


def _sorting(table: TableSchema, cells: Cells) -> list[tuple[float, str]]:
    """Rows of a form go into a table by its columns, numbers as numbers."""
    order = [column for column in table.columns if column.name not in NO_VALUES]
    return [
        (float(cells[column.name] or "-inf"), "") if column.numeric else (0.0, cells[column.name]) for column in order
    ]


def _matched(
    name: str, old: Sequence[Cells], rows: Sequence[FormRow]
) -> tuple[list[tuple[Cells, FormRow]], list[FormRow]]:
    """Old and new rows that are the same one, and the new rows that no old one is."""
    left, new = list(old), list(rows)
    pairs: list[tuple[Cells, FormRow]] = []
    whole = tuple(column for column in (old[0] if old else {}) if column not in ("line", "judgement_id"))
    for key in (whole, *KEYS[name]):
        for row in list(new):
            same = (one for one in left if all(alike(one[column], row.cells[column]) for column in key))
            if (before := next(same, None)) is not None:
                pairs.append((before, row))
                left.remove(before)
                new.remove(row)
    return pairs, new


def _contents(
    held: Held, edits: Sequence[Edit], origins: Mapping[tuple[str, int], FormRow]
) -> dict[Path, tuple[bytes, bytes]]:
    """Path -> its bytes before and after, the study's own row first: a process that is killed between two files leaves
    a study that ``--update`` completes.
    """
    found = {}
    for name in dict.fromkeys([*(sheet.table for sheet in STUDY), *(edit.table for edit in edits)]):
        table = held.schema.tables[name]
        path = held.folder / table.path
        before = path.read_bytes()
        after = edited(before, table.names, [edit for edit in edits if edit.table == name])
        if after != before:
            found[path] = (before, after)
    return found


def edited(content: bytes, names: Sequence[str], edits: Iterable[Edit]) -> bytes:
    """A table with rows changed where they are, taken out, and added at its end; every other byte stays.

    Examples
    --------
    >>> rows = b"a,b\\n1,x\\n2,y\\n"
    >>> edited(rows, ["a", "b"], [Edit("t", 2, {}, {"a": "1", "b": "z"}), Edit("t", None, None, {"a": "3", "b": ""})])
    b'a,b\\n1,z\\n2,y\\n3,\\n'
    """
    lines = content.splitlines(keepends=True)
    added = []
    for edit in edits:
        text = as_line([edit.after[name] for name in names], content).encode() if edit.after else b""
        if edit.line is None:
            added.append(text)
        else:
            lines[edit.line - 1] = text
    if added and lines and not lines[-1].endswith(b"\n"):
        lines[-1] += b"\r\n" if b"\r\n" in content else b"\n"
    return b"".join([*lines, *added])


# What stays on record of a change: anomalies, their handling, and a line of CHANGELOG.md.


def _recorded(edits: Sequence[Edit], held: Held, study: str, reason: str, day: str) -> Iterator[Edit]:
    """Rows of anomalies.csv and handling.csv for values that are replaced or taken out."""
    known = next(c for c in held.schema.tables["anomalies"].columns if c.name == "outcome").enum
    anomaly = max((int(row["anomaly_id"][1:]) for row in held.rows["anomalies"]), default=0)
    numbers = [row["handling_id"][1:] for row in held.rows["handling"] if row["handling_id"].startswith("h")]
    step = max((int(number) for number in numbers if number.isdigit()), default=0)
    replaced: dict[str, list[tuple[Edit, str]]] = {}
    for edit in edits:
        if edit.table in STEPS and (was := _was(edit)):
            replaced.setdefault(edit.row["outcome"], []).append((edit, was))
    for outcome, changes in replaced.items():
        anomaly += 1
        cells = {
            "anomaly_id": f"a{anomaly}",
            "table": "studies",
            "record_id": study,
            "outcome": outcome if outcome in known else "other",
            "kind": REPLACED,
            "printed": "; ".join(was for _, was in changes),
            "problem": f"replaced on {day}: {reason or NO_REASON}",
            "handling": "the new values are used and flagged",
        }
        yield Edit("anomalies", None, None, cells)
        for edit, was in changes:
            if edit.after is None:
                continue
            step += 1
            found = {name: edit.after[name] for name in STEPS[edit.table]}
            words = f"replaced on {day} ({was}): {reason or NO_REASON}"
            about = {"handling_id": f"h{step}", "anomaly_id": f"a{anomaly}", "variant": "primary", "table": edit.table}
            empty = dict.fromkeys(held.schema.tables["handling"].names, "")
            yield Edit("handling", None, None, empty | about | found | {"action": "flag", "reason": words})


def _was(edit: Edit) -> str:
    """The values of a row before and after, in words; empty where no value was replaced or taken out."""
    if edit.before is None:
        return ""
    place = ", ".join(edit.before.get(name, "") or "-" for name in STEPS[edit.table][1:])
    if edit.after is None:
        values = (edit.before.get(name, "") for name in ("center", "events", "n", "percent", "estimate"))
        return f"{place}: {' '.join(value for value in values if value)} taken out"
    changed = [name for name in edit.changed() if name not in NO_VALUES and edit.before[name]]
    values = ", ".join(f"{name} {edit.before[name]} to {edit.after[name] or 'nothing'}" for name in changed)
    return f"{place}: {values}" if changed else ""


def _add_changelog(done: Addition, folder: Path, line: str) -> None:
    """Put a line into the CHANGELOG.md next to the folder; for a copy of the data, show it instead."""
    path = folder.resolve().parent / "CHANGELOG.md"
    if folder.resolve().name != "data" or not path.is_file():
        done.hints.append(f"No CHANGELOG.md next to {folder} was changed; the line for its part Evidence: {line}")
        return
    before = path.read_bytes()
    done.contents[path] = (before, with_evidence(before.decode(), line).encode())


def with_evidence(text: str, line: str) -> str:
    """CHANGELOG.md with one more line at the end of its first part, Evidence.

    Examples
    --------
    >>> print(with_evidence("# Changelog\\n\\n## Evidence\\n\\n- one\\n\\n## 0.1\\n\\n- two\\n", "more"))
    # Changelog
    <BLANKLINE>
    ## Evidence
    <BLANKLINE>
    - one
    - more
    <BLANKLINE>
    ## 0.1
    <BLANKLINE>
    - two
    <BLANKLINE>
    """
    lines = text.split("\n")
    start = next((number for number, one in enumerate(lines) if one.strip() == "## Evidence"), None)
    if start is None:
        raise FormError("CHANGELOG.md: expected the heading '## Evidence', found none")
    end = next((n for n in range(start + 1, len(lines)) if lines[n].startswith("## ")), len(lines))
    while not lines[end - 1].strip():
        end -= 1
    wrapped = textwrap.wrap(line, 150, initial_indent="- ", subsequent_indent="  ", break_long_words=False)
    return "\n".join([*lines[:end], *wrapped, *lines[end:]])


# What is shown before anything is written.


def gains(before: EvidenceBase, after: EvidenceBase, study: str) -> Iterator[tuple[Question, Pool, Pool]]:
    """The pools that a study changes, each without and with the new rows.

    Asked are the outcomes that the study reports, for its type of diabetes, every product that its cells belong to and
    every estimand: differences between arms in studies of its design, changes within arms, proportions. Of questions
    with the same studies before and after, the one for the most products and the first estimand is given.

    Yields
    ------
    tuple of (Question, Pool, Pool)
    """
    known = set()
    for question, analysis in _questions(before, after, study):
        try:
            pools = pooled(before, question, analysis), pooled(after, question, analysis)
        except (PoolingError, ProtocolError):
            continue  # an outcome that the protocol does not pool
        rows = [pool.rows[["study_id", "yi", "vi", "events", "n"]] for pool in pools]
        key = (question.outcome, question.arms, analysis.measure, *(one.to_json() for one in rows))
        if key not in known and not rows[0].equals(rows[1]):
            known.add(key)
            yield question, *pools


def _questions(before: EvidenceBase, after: EvidenceBase, study: str) -> Iterator[tuple[Question, Analysis]]:
    rules = after.protocol
    report = next(row for row in after.evidence.studies.itertuples() if row.study_id == study)
    products = [name for name in rules["eligibility"]["products"] if report.intervention_class in rules.classes(name)]
    products.sort(key=lambda name: -len(rules.classes(name)))
    of = {
        name: set().union(*(_of_study(base, table, column, study) for base in (before, after) for table in tables))
        for name, column, tables in (
            ("measured", "outcome", ("continuous", "contrasts")),
            ("counted", "definition_id", ("binary",)),
        )
    }
    for product in products:
        for outcome in sorted(of["measured"]):
            asked = Question(outcome, (report.diabetes_type,), product)
            yield Question(outcome, (report.diabetes_type,), product, designs=(report.design,)), Analysis("MD")
            yield asked, Analysis("MC")
        for outcome in sorted(of["counted"]):
            for estimand in ESTIMANDS:
                for arms in ("cells", "control"):
                    asked = Question(outcome, (report.diabetes_type,), product, arms, estimand)
                    yield asked, Analysis("PLO")
                yield Question(outcome, (report.diabetes_type,), product, "cells", estimand), Analysis("RD")


def _of_study(base: EvidenceBase, table: str, column: str, study: str) -> set[str]:
    rows = getattr(base.evidence, table)
    return set(rows[column][rows.study_id == study])


def _why_none(base: EvidenceBase, study: str) -> Iterator[str]:
    """Why a study is in no pool, once for each reason."""
    told = set()
    for question, analysis in _questions(base, base, study):
        try:
            left = pooled(base, question, analysis).left_out
        except (PoolingError, ProtocolError):
            continue
        for reason in left.reason[left.study_id == study]:
            if (question.outcome, reason) not in told:
                told.add((question.outcome, reason))
                yield f"Not pooled, {question.outcome}: {reason}"


def _in_words(study: str, edits: Sequence[Edit], update: bool) -> str:
    """What a form adds or changes.

    Examples
    --------
    >>> _in_words("smith2026", [Edit("arms", None, None, {}), Edit("arms", None, None, {})], False)
    'smith2026 added: 2 rows of arms.csv.'
    """
    kinds = (
        ("", [edit for edit in edits if edit.before is None]),
        (" changed in", [edit for edit in edits if edit.before is not None and edit.after is not None]),
        (" taken out of", [edit for edit in edits if edit.after is None]),
    )
    parts = []
    for kind, mine in kinds:
        for table in dict.fromkeys(edit.table for edit in mine):
            count = sum(edit.table == table for edit in mine)
            how = kind or (" added to" if update else " of")
            parts.append(f"{count} row{'s' if count > 1 else ''}{how} {table}.csv")
    return f"{study} {'updated' if update else 'added'}: {', '.join(parts)}."


def _told(edits: Sequence[Edit]) -> Iterator[str]:
    """Each difference of an update, in words."""
    for edit in edits:
        where = f"{edit.table}.csv" + (f" row {edit.line}" if edit.line else "")
        if edit.before is None:
            yield f"{where}: new row {_shown(edit.after)}"
        elif edit.after is None:
            yield f"{where}: taken out {_shown(edit.before)}"
        else:
            for name in edit.changed():
                yield f"{where}, {name}: {edit.before[name] or 'empty'} -> {edit.after[name] or 'empty'}"


def _shown(cells: Cells) -> str:
    return ", ".join(f"{name} {value}" for name, value in cells.items() if value and name not in ("study_id", "line"))


def text_of(done: Addition, *, update: bool) -> str:
    """What a person sees before deciding: notes on the form, differences, and the pools before and after."""
    parts = [f"{done.form.name}: {note}" for note in done.form.notes]
    parts += done.differences if update else []
    parts += ["", done.words, "", repr(done.preview) if done.preview.cells else "No pool changes.", *done.hints]
    if done.reasons:
        parts.append(f"Recorded as {', '.join(done.reasons)} in anomalies.csv, with a flag on each changed row.")
    return "\n".join(parts).strip()


def write(done: Addition, *, update: bool, reason: str) -> str:
    """Write what was prepared, all of it or nothing; says what was written.

    Raises
    ------
    FormError
        If a value changes and no reason is given, or a file cannot be written or changed meanwhile.
    """
    if update and not reason:
        raise FormError("--reason: expected why the study changes (for CHANGELOG.md and anomalies.csv), found nothing")
    try:
        write_all(done.contents)
    except ProposalError as error:
        raise FormError(str(error).replace("nothing was accepted", "nothing was added")) from None
    return "\n".join(["written:", *(f"  {path}" for path in done.contents)])


# A form of claims: the two tables of another advertisement, in a separate folder.


#: Name of the file of parameter sets that makes a report of each claim.
BATCH = "one_claim_each.yml"


def write_claims(
    form: Submission,
    folder: Path,
    into: Path,
    *,
    notebooks: Path = Path("notebooks"),
    update: bool = False,
    dry_run: bool = False,
) -> str:
    """Check the claims of another advertisement as the review's own are; write ``claims.csv`` and ``documents.csv``.

    Parameters
    ----------
    form : Submission
    folder : Path
        The evidence that they will be set against; it is not changed.
    into : Path
        Folder of the two files, and of ``one_claim_each.yml``, from which ``cellclaims batch`` makes a report of each.
    notebooks : Path
        Folder of the notebooks that this batch runs.
    update : bool
        Replace files that are there.
    dry_run : bool
        Check and write nothing.

    Returns
    -------
    str
        What was, or would be, written.

    Raises
    ------
    FormError
        With every fault and its place in the form; or if there are files already.
    """
    held = read_held(folder)
    contents, origins = {}, {}
    for sheet in CLAIMS:
        table = held.schema.tables[sheet.table]
        rows = form.rows[sheet.table]
        text = csv_text([table.names, *([row.cells[name] for name in table.names] for row in rows)], guarded=False)
        origins |= {(table.path, line): row for line, row in enumerate(rows, start=2)}
        contents[folder / table.path] = (b"", text.encode())
    known = list(protocol.load(folder)["answers"])
    faults = [
        row.fault("answered_by", "counterpart", one_of(known, row.cells["answered_by"]), row.cells["answered_by"])
        for row in form.rows["claims"]
        if row.cells["answered_by"] not in known
    ]
    with tried(held, contents) as copy:
        # the review's other evidence names the review's own claims, which are not here
        found = [one for one in read_all(copy)[1] if not one.anomaly_id and one.rule != NAMES_CLAIMS]
    if faults := [*faults, *(_in_the_form(fault, origins) for fault in found)]:
        raise FormError(f"{form.name}: nothing was written, {listed(_in_order(faults))}")
    targets = {into / path.name: after for path, (_, after) in contents.items()}
    targets[into / BATCH] = _batch_of(form, into, folder, notebooks).encode()
    if not update and (there := [path for path in targets if path.exists()]):
        raise FormError(f"{there[0]}: expected a new file, found one: --update replaces it")
    count = len(form.rows["claims"])
    if not dry_run:
        for path, content in targets.items():
            write_atomically(path, content)
    did = "would be written" if dry_run else "written"
    notes = [f"{form.name}: {note}" for note in form.notes]
    return "\n".join([*notes, f"{did}, {count} claim{'s' if count > 1 else ''}:", *(f"  {path}" for path in targets)])


def _batch_of(form: Submission, into: Path, folder: Path, notebooks: Path) -> str:
    """The parameter sets of a batch with one report for each claim; places as seen from where each is read."""
    title = form.rows["documents"][0].cells["title"].replace("'", "''")
    lines = [
        f"title: '{title}'",
        "about: Each statement of the advertisement with the published results that answer it.",
        f"notebooks: '{_seen_from(into, notebooks)}'",
        "sets:",
        "  - notebook: claim",
        '    name: "{CLAIM}"',
        "    fixed:",
        f"      CLAIMS: '{_seen_from(notebooks, into / 'claims.csv')}'",
        f"      DATA: '{_seen_from(notebooks, folder)}'",
        "    grid:",
        "      CLAIM:",
        *(f"        - '{row.cells['claim_id']}'" for row in form.rows["claims"]),
    ]
    return "\n".join(lines) + "\n"


def _seen_from(start: Path, target: Path) -> str:
    return Path(os.path.relpath(target.resolve(), start.resolve())).as_posix().replace("'", "''")


# What others can take along: the evidence as one workbook, the pools of the last review as CSV.


def export(folder: Path, reports: Path, into: Path) -> list[Path]:
    """Write the evidence as one workbook, and the pools that the last review recorded as CSV.

    Parameters
    ----------
    folder : Path
        The evidence.
    reports : Path
        Folder of the reports of ``cellclaims review``; without its ``results.json`` there are no pools to write.
    into : Path
        Folder of the files.

    Returns
    -------
    list of Path
        ``evidence.xlsx``; with results, ``pools.csv`` (one line per pool) and ``pool_rows.csv`` (one line per study of
        a pool).
    """
    written = [into / "evidence.xlsx"]
    write_atomically(written[0], evidence_workbook(folder))
    pools = pools_of(reports / "results.json")
    if pools:
        rows = ({"notebook": p["notebook"], "pool": p["pool"], **row} for p in pools for row in p["rows"])
        lines = ({"notebook": pool["notebook"], **line} for pool, line in zip(pools, pool_lines(pools), strict=True))
        for name, text in (("pools.csv", as_csv(lines)), ("pool_rows.csv", as_csv(rows))):
            written.append(into / name)
            write_atomically(written[-1], text)
    return written
