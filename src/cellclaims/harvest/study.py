"""Conversion of one v2 study: every measurement of a relevant outcome becomes a row or a refusal."""

from __future__ import annotations

import re
from collections.abc import Iterator

from cellclaims.harvest import vocabulary
from cellclaims.harvest.counted import binary_row, serious_row
from cellclaims.harvest.measurements import (
    Harvest,
    Measurement,
    PostedOutcome,
    Refusal,
    Row,
    continuous_row,
    measurements,
)
from cellclaims.harvest.reading import Unread, entries, entry, kind_of, plain, quoted, text
from cellclaims.harvest.vocabulary import simple
from cellclaims.registries.answers import list_at, text_at

OUTCOMES = "/resultsSection/outcomeMeasuresModule/outcomeMeasures"
AT_ENTRY = "/resultsSection/baselineCharacteristicsModule/measures"
EVENTS = "/resultsSection/adverseEventsModule/eventGroups"
NEXT = " | "  # between texts that are looked through together: no pattern of a topic reaches over it
_NUMBER = re.compile(r"NCT[0-9]{8}", re.ASCII)


def posted(record: dict) -> Harvest:
    """Return rows and refusals of one ClinicalTrials.gov study (API v2).

    Parameters
    ----------
    record : dict
        The study, which is not changed. One without posted results has no rows.

    Returns
    -------
    Harvest
        In the order of the record: outcomes first, then adverse events. No record raises an exception.

    Examples
    --------
    >>> group = {"title": "Islets", "seriousNumAffected": 2, "seriousNumAtRisk": 8}
    >>> found = posted({
    ...     "protocolSection": {"identificationModule": {"nctId": "NCT00133809"}},
    ...     "resultsSection": {"adverseEventsModule": {"timeFrame": "5 years", "eventGroups": [group]}},
    ... })
    >>> [(row.values["outcome"], row.values["events"], row.values["n"], row.values["months"]) for row in found.rows]
    [('serious_adverse_event', '2', '8', '60')]
    """
    found = Harvest()
    try:
        results = entry(record).get("resultsSection")
        if results is None:
            return found
        registration = _registration(record)
    except Unread as why:
        found.refused.append(Refusal("", "", "", str(why)))
        return found
    for one in _everything(registration, results):
        (found.rows if isinstance(one, Row) else found.refused).append(one)
    return found


def _registration(record: dict) -> str:
    section = entry(record.get("protocolSection"))
    number = text(entry(section.get("identificationModule")), "nctId")
    if not _NUMBER.fullmatch(number):
        raise Unread(f"nctId: expected NCT and eight digits, found {quoted(number)}")
    return number


def _everything(registration: str, results: object) -> Iterator[Row | Refusal]:
    for module, key, reader in (
        ("outcomeMeasuresModule", "outcomeMeasures", _outcomes),
        ("baselineCharacteristicsModule", "measures", _at_entry),
        ("adverseEventsModule", "eventGroups", _events),
    ):
        try:
            parent = entry(results).get(module)
            listed = entries(entry(parent), key) if parent is not None else []
        except Unread as why:
            yield Refusal(registration, f"/resultsSection/{module}", "", str(why))
            continue
        yield from reader(registration, listed, parent)


def _outcomes(registration: str, listed: list, _: object) -> Iterator[Row | Refusal]:
    for number, one in enumerate(listed):
        pointer = f"{OUTCOMES}/{number}"
        if not isinstance(one, dict):
            yield Refusal(registration, pointer, "", f"expected an object, found {kind_of(one)}")
        elif relevant(one):
            yield from _outcome(registration, one, pointer)


def _at_entry(registration: str, listed: list, _: object) -> Iterator[Refusal]:
    """Yield a refusal for each baseline measurement, which is not a result."""
    for number, one in enumerate(listed):
        if isinstance(one, dict) and _titled(one):
            title = plain(text_at(one, "title"))
            yield Refusal(
                registration, f"{AT_ENTRY}/{number}", title, "a characteristic at entry, not a posted outcome"
            )


def relevant(outcome: dict) -> bool:
    """Return whether an outcome names a topic anywhere: in a title, its unit or its description."""
    return _titled(outcome) or vocabulary.speaks(text_at(outcome, "description"))


def _titled(outcome: dict) -> bool:
    """Return whether it does so in a title or its unit."""
    titles = (text_at(outcome, "title"), text_at(outcome, "unitOfMeasure"), *_class_titles(outcome))
    return vocabulary.speaks(NEXT.join(titles))


def _class_titles(outcome: dict) -> Iterator[str]:
    """Return the titles of classes and categories; fast, because it is called for every outcome of every record."""
    for one in list_at(outcome, "classes"):
        if isinstance(one, dict):
            if "title" in one:
                yield text_at(one, "title")
            for category in list_at(one, "categories"):
                if isinstance(category, dict) and "title" in category:
                    yield text_at(category, "title")


def _outcome(registration: str, outcome: dict, pointer: str) -> Iterator[Row | Refusal]:
    """Return rows and refusals of one relevant outcome."""
    title = plain(text_at(outcome, "title"))
    try:
        head = PostedOutcome.of(outcome, pointer)
        classes = entries(outcome, "classes")
        _readable(outcome, head, classes)
    except Unread as why:
        yield Refusal(registration, pointer, title, str(why))
        return
    for one in measurements(head, classes):
        if not isinstance(one, Measurement):
            yield Refusal(registration, one[0], title, one[1])
            continue
        try:
            yield _row(registration, one)
        except Unread as why:
            yield Refusal(registration, one.pointer, plain("; ".join(filter(None, (head.title, one.own)))), str(why))


def _readable(outcome: dict, head: PostedOutcome, classes: list) -> None:
    """Refuse a whole outcome: not posted, without values, not about participants, named by its description only."""
    status = text(outcome, "reportingStatus")
    if status not in ("", "POSTED"):
        raise Unread(
            f"not posted yet (expected {plain(text(outcome, 'anticipatedPostingDate')) or 'at no stated date'})"
        )
    analysed = text(outcome, "typeUnitsAnalyzed")
    if analysed.strip().lower() not in ("", "participants"):
        raise Unread(f"what is analysed are not participants: {quoted(analysed)}")
    if not any(isinstance(c, dict) and c.get("categories") for c in classes):
        raise Unread("posted without a measurement")
    if not _titled(outcome):
        raise Unread("only the description names the outcome")


def _row(registration: str, one: Measurement) -> Row:
    outcome = one.outcome
    topic = vocabulary.topic_of(one.own_words, simple(outcome.title), simple(outcome.unit))
    if outcome.param in ("COUNT_OF_PARTICIPANTS", "NUMBER"):
        return binary_row(registration, one, topic)
    if topic in ("insulin_independence", "serious_adverse_event"):
        raise Unread(f"expected a count of participants, found {quoted(outcome.param)}")
    return continuous_row(registration, one, topic)


def _events(registration: str, listed: list, module: dict) -> Iterator[Row | Refusal]:
    """Yield serious adverse events, one row per group."""
    for number, group in enumerate(listed):
        pointer = f"{EVENTS}/{number}"
        try:
            said = (text(module, key) for key in ("timeFrame", "description"))
            yield serious_row(registration, entry(group), pointer, *said)
        except Unread as why:
            yield Refusal(registration, pointer, "Serious adverse events", str(why))
