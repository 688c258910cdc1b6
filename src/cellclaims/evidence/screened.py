"""What was decided on the records that searches found: one decision for each record, and rules on its two tables.

A *record* is what a source gave: a registration or a publication, known by its identifiers. ``screening.csv`` has a row
for each reviewer's decision on it; ``searches.csv`` counts the records of each screened snapshot.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

from cellclaims import protocol, yaml_files
from cellclaims.evidence.schema import Finding

if TYPE_CHECKING:
    from cellclaims.evidence.schema import Evidence

#: What is said of a record on which reviewers differ and have not agreed yet.
CONFLICT = "conflict"
#: Stage of a reason in the protocol -> the decision that it goes with.
DECISION_OF = {"record": "exclude", "report": "exclude", "retrieval": "unsure"}


@dataclass(frozen=True)
class Screened:
    """One record with what all reviewers together decided.

    Attributes
    ----------
    identifier, title : str
        As in ``screening.csv``.
    ids : frozenset of str
        Everything by which the record is known.
    decision : {"include", "exclude", "unsure", "conflict"}
        The agreed decision, else the one that all reviewers made, else a conflict.
    reason : str
        Key of the protocol's list; empty without one.
    study_id : str
        The report that the record became; empty without one.
    said : tuple of str
        Each reviewer's decision, "reviewer: decision".
    """

    identifier: str
    title: str
    ids: frozenset[str]
    decision: str
    reason: str
    study_id: str
    said: tuple[str, ...]


def identifiers(identifier: str, also: str) -> frozenset[str]:
    """Everything by which a row of ``screening.csv`` is known.

    Examples
    --------
    >>> sorted(identifiers("pmid:1", "doi:10.1000/1; pmcid:PMC1"))
    ['doi:10.1000/1', 'pmcid:PMC1', 'pmid:1']
    """
    return frozenset([identifier, *filter(None, (one.strip() for one in also.split(";")))])


def screened(evidence: Evidence) -> list[Screened]:
    """Each record that somebody has decided on, in the order of the table.

    Parameters
    ----------
    evidence : Evidence

    Returns
    -------
    list of Screened
    """
    rows = evidence.screening
    return [_together(list(group.itertuples())) for _, group in rows.groupby("identifier", sort=False)]


def _together(rows: list) -> Screened:
    """The rows of one record as one: what was agreed counts, else what everybody said."""
    own = [row for row in rows if row.final == "no"]
    agreed = [row for row in rows if row.final == "yes"]
    counted = agreed or own
    decision = counted[0].decision if len({row.decision for row in counted}) == 1 else CONFLICT
    taken = counted[0] if decision != CONFLICT else None
    return Screened(
        rows[0].identifier,
        rows[0].title,
        frozenset().union(*(identifiers(row.identifier, row.also) for row in rows)),
        decision,
        taken.reason if taken else "",
        next((row.study_id for row in rows if row.study_id), "") if taken else "",
        tuple(f"{row.reviewer}: {row.decision}" for row in own),
    )


def decided_identifiers(evidence: Evidence) -> frozenset[str]:
    """Everything by which the records are known that were included or excluded; unsure ones and conflicts are open."""
    records = (one.ids for one in screened(evidence) if one.decision in ("include", "exclude"))
    return frozenset().union(*records)


def conflicts(evidence: Evidence) -> list[Screened]:
    """The records on which reviewers differ and for which no row with ``final`` yes says what they agreed on."""
    return [one for one in screened(evidence) if one.decision == CONFLICT]


def conflicts_in_words(evidence: Evidence) -> str:
    """The conflicts of screening, a line each; empty without one."""
    lines = [f"  {one.identifier}, {one.title}: {'; '.join(one.said)}" for one in conflicts(evidence)]
    head = "Records on which reviewers differ (agree on one, and enter it as a row with final yes):"
    return "\n".join([head, *lines]) if lines else ""


class Counts(NamedTuple):
    """What became of the records of the last screened search, and of all screened records.

    ``earlier`` counts records that were screened in an earlier search and that the last one did not find.
    """

    records: int
    merged: int
    known: int
    waiting: int
    earlier: int
    screened: int


def counts(evidence: Evidence) -> Counts | None:
    """Count the records of the last screened search; None where nothing was screened yet.

    ``records - merged - known - waiting + earlier`` is ``screened``.
    """
    rows = evidence.searches
    if rows.empty:
        return None
    last = rows[rows.snapshot == rows.snapshot.max()]
    records, merged, known, waiting = (int(last[name].sum()) for name in ("records", "merged", "known", "waiting"))
    decided = evidence.screening.identifier.nunique()
    return Counts(records, merged, known, waiting, decided - (records - merged - known - waiting), decided)


# Rules ---------------------------------------------------------------------------------------------------------------


def screening_reason_fits_decision(evidence: Evidence) -> Iterator[Finding]:
    """An excluded record has a reason, an included one has none."""
    for row in evidence.screening.itertuples():
        if row.decision == "exclude" and not row.reason:
            yield Finding("screening", row.Index, "reason", "a reason, as the decision is exclude", "nothing")
        elif row.decision == "include" and row.reason:
            yield Finding("screening", row.Index, "reason", "nothing, as the decision is include", row.reason)


def screening_reason_is_listed(evidence: Evidence) -> Iterator[Finding]:
    """A reason is one of the protocol's, and of a stage that goes with the decision."""
    rows = evidence.screening[evidence.screening.reason != ""]
    if rows.empty or not (evidence.folder / protocol.FILE).is_file():  # protocol.faults reports it
        return
    listed = listed_reasons(yaml_files.read(evidence.folder / protocol.FILE).content)
    for row in rows.itertuples():
        if row.reason not in listed:
            expected = f"one of {', '.join(listed) or 'no reasons'} (screening.reasons in {protocol.FILE})"
            yield Finding("screening", row.Index, "reason", expected, row.reason)
        elif (goes_with := DECISION_OF[listed[row.reason]["stage"]]) != row.decision != "include":
            expected = f"{goes_with}, as {row.reason} is of the stage {listed[row.reason]['stage']}"
            yield Finding("screening", row.Index, "decision", expected, row.decision)


def listed_reasons(content: object) -> dict[str, dict[str, str]]:
    """The reasons of a protocol's content by name, each with ``words`` and ``stage``; none where it has no list."""
    section = content.get("screening") if isinstance(content, dict) else None
    reasons = section.get("reasons") if isinstance(section, dict) else None
    return dict(reasons) if isinstance(reasons, dict) else {}


def screening_study_is_included(evidence: Evidence) -> Iterator[Finding]:
    """Only an included record became a report, and all rows of a record name the same one."""
    rows = evidence.screening
    for row in rows[rows.study_id != ""].itertuples():
        if row.decision != "include":
            expected = f"nothing, as the decision is {row.decision}"
            yield Finding("screening", row.Index, "study_id", expected, row.study_id)
    named = rows[rows.study_id != ""].drop_duplicates("identifier").set_index("identifier").study_id
    for row in rows[rows.study_id != ""].itertuples():
        if row.study_id != named[row.identifier]:
            expected = f"{named[row.identifier]}, as in another row of {row.identifier}"
            yield Finding("screening", row.Index, "study_id", expected, row.study_id)


def screening_agreed_once(evidence: Evidence) -> Iterator[Finding]:
    """Reviewers agree on one decision for a record."""
    agreed = evidence.screening[evidence.screening.final == "yes"]
    for row in agreed[agreed.duplicated("identifier")].itertuples():
        yield Finding("screening", row.Index, "final", f"one agreed decision on {row.identifier}", "a second one")


def screened_record_has_one_name(evidence: Evidence) -> Iterator[Finding]:
    """A record has one name: what one row gives as another identifier is not the name of another record."""
    named: dict[str, str] = {}
    for row in evidence.screening.itertuples():
        for one in identifiers(row.identifier, row.also):
            if (first := named.setdefault(one, row.identifier)) != row.identifier:
                found = f"{row.identifier}, which shares {one}"
                yield Finding("screening", row.Index, "identifier", f"{first}, as in an earlier row", found)


def search_counts_fit(evidence: Evidence) -> Iterator[Finding]:
    """What became of the records of a search is no more than it found, and no more than was decided on."""
    rows = evidence.searches
    for row in rows.itertuples():
        if (parts := row.merged + row.known + row.waiting) > row.records:
            expected = f"at most {row.records:g} merged, known and waiting"
            yield Finding("searches", row.Index, "records", expected, f"{parts:g}")
    counted = counts(evidence)
    if counted and counted.earlier < 0:
        line = rows.index[rows.snapshot == rows.snapshot.max()][0]
        missing = f"{-counted.earlier} more than screening.csv has decisions on"
        yield Finding("searches", line, "waiting", "every record decided, known or waiting", missing)


def screened_record_comes_from_a_search(evidence: Evidence) -> Iterator[Finding]:
    """The snapshot of a decision is one that ``searches.csv`` counts."""
    known = set(evidence.searches.snapshot)
    for row in evidence.screening[~evidence.screening.snapshot.isin(known)].itertuples():
        yield Finding("screening", row.Index, "snapshot", "a snapshot of screening/searches.csv", row.snapshot)


SCREENING_RULES = (
    screening_reason_fits_decision,
    screening_study_is_included,
    screening_agreed_once,
    screened_record_has_one_name,
    search_counts_fit,
    screened_record_comes_from_a_search,
)
SCREENING_CHECKED_ONLY = (screening_reason_is_listed,)
