"""What changed between two snapshots of the registries and the literature.

Two states are compared by items that both contain: an item missing from one of the records, and records of one trial
from two sources, are not compared. Only content counts: results posted again with the same content are not a
change, whatever their date.
"""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from hashlib import blake2b
from typing import Any
from urllib.parse import unquote

from cellclaims.evidence import Evidence
from cellclaims.registries.answers import list_at, text_at, value_at
from cellclaims.registries.records import Paper, Trial, all_keys, keys_of, numbers_in, papers, trials
from cellclaims.registries.store import Snapshot, Store

# Trials and papers of a snapshot, reduced to the items that are compared.
#
# A *state* is a snapshot as :func:`cellclaims.registries.changes.compare` wants it; it can be made without any store.


#: Items of a trial that are compared, in the order of the list of changes.
FACTS = ("status", "results posted on", "start", "primary completion", "completion", "enrolment", "primary outcome")
#: Modules of posted results other than outcomes, in words.
MODULES = {
    "participantFlowModule": "participant flow",
    "baselineCharacteristicsModule": "baseline characteristics",
    "adverseEventsModule": "adverse events",
    "moreInfoModule": "limitations and contacts",
}


@dataclass(frozen=True)
class TrialState:
    """One trial: its items in words (without those missing from the record) and its posted results.

    ``has_results`` is None if the record does not say; ``results`` are the unchanged parts of posted results by name.
    """

    number: str
    source: str
    title: str
    address: str
    facts: Mapping[str, str]
    has_results: bool | None = None
    results: Mapping[str, Any] = field(default_factory=dict, repr=False)


@dataclass(frozen=True)
class PaperState:
    """One paper: its identifiers, and the registrations it cites."""

    ids: tuple[str, ...]
    title: str
    address: str
    date: str
    registrations: tuple[str, ...]


@dataclass(frozen=True)
class NoticeState:
    """A retraction, a correction or an expression of concern of one publication, combined from all sources.

    ``kind`` is that of a :class:`cellclaims.registries.records.Notice`; ``ids`` are those of the publication, ``by``
    and ``date`` those of the notice, empty where no source says.
    """

    kind: str
    ids: tuple[str, ...]
    title: str = ""
    by: str = ""
    date: str = ""

    @property
    def words(self) -> str:
        """Return the kind, the day and the notice, in words."""
        return ", ".join(filter(None, [self.kind, self.date, self.by]))


@dataclass(frozen=True)
class Contradiction:
    """Two contradictory records of one trial in one snapshot.

    ``what`` is the fact or the part of the results, ``taken`` what the record says that counts, ``other`` what the
    other one says, ``where`` the address of that one's answer.
    """

    number: str
    title: str
    address: str
    what: str
    taken: str
    other: str
    where: str


@dataclass(frozen=True)
class State:
    """Content of a snapshot.

    Attributes
    ----------
    name, time : str
        Those of the snapshot.
    trials : mapping of TrialState
        By number.
    papers : tuple of PaperState
        All papers.
    refused : tuple of str
        What could not be read, a sentence each.
    notices : tuple of NoticeState
        Retractions, corrections and expressions of concern.
    contradictions : tuple of Contradiction
        Where two records of one trial differ.
    """

    name: str
    time: str
    trials: Mapping[str, TrialState]
    papers: tuple[PaperState, ...] = ()
    refused: tuple[str, ...] = ()
    notices: tuple[NoticeState, ...] = ()
    contradictions: tuple[Contradiction, ...] = ()


def state_of(store: Store, snapshot: Snapshot) -> State:
    """Return the state that a snapshot describes; answers and records that cannot be read are named in ``refused``.

    Raises
    ------
    SourceError
        If a body is missing or was changed.
    """
    refused: list[str] = []
    copies = Copies()
    found = {one.number: trial_state(one) for one in trials(store, snapshot, refused, copies.add)}
    published = list(papers(store, snapshot, refused))
    return State(
        snapshot.name,
        snapshot.started,
        found,
        tuple(map(paper_state, published)),
        tuple(refused),
        notice_states(published),
        tuple(copies.contradictions(found)),
    )


class Copies:
    """Further records of the trials of a snapshot, each different one kept for comparison."""

    def __init__(self) -> None:
        self.states: dict[tuple[str, str, str], tuple[TrialState, str]] = {}

    def add(self, trial: Trial) -> None:
        """Add one further record."""
        state = trial_state(trial)
        content = as_text((state.facts, in_any_order(state.results)))
        digest = blake2b(content.encode("utf-8", "surrogatepass"), digest_size=16).hexdigest()
        self.states.setdefault((state.number, state.source, digest), (state, trial.answer.address))

    def contradictions(self, taken: Mapping[str, TrialState]) -> Iterator[Contradiction]:
        """Yield the differences of further records from the one that is used, for items in both."""
        for (number, source, _), (other, where) in self.states.items():
            mine = taken[number]
            if mine.source == source:
                for one in (*changed_facts(mine, other), *changed_results(mine, other)):
                    yield Contradiction(number, mine.title, mine.address, one.what, one.before, one.after, where)


def notice_states(published: Iterable[Paper]) -> tuple[NoticeState, ...]:
    """Return the notices of all publications, each kind once, with the information of all sources."""
    published = list(published)
    known = {one: paper for paper in published for one in paper.ids}
    found: dict[tuple[str, tuple[str, ...]], NoticeState] = {}
    for paper in published:
        for one in paper.notices:
            about = known.get(one.of) if one.of else paper
            ids, title = (about.ids, about.title) if about else ((one.of,), "")
            new = NoticeState(one.kind, ids, title, one.by, one.date)
            old = found.get((one.kind, ids), new)
            found[one.kind, ids] = replace(old, by=old.by or new.by, date=old.date or new.date)
    return tuple(found.values())


def notices_of_sources(
    notices: Iterable[NoticeState], sources: Mapping[str, tuple[str, ...]]
) -> list[tuple[NoticeState, tuple[str, ...]]]:
    """Yield each notice with the rows of the review that use its publication; used ones first, by kind."""
    named = [(one, tuple(dict.fromkeys(name for key in one.ids for name in sources.get(key, ())))) for one in notices]
    return sorted(named, key=lambda pair: (not pair[1], NOTICE_KINDS.index(pair[0].kind), pair[0].ids))


def paper_state(paper: Paper) -> PaperState:
    """Return the description of a paper."""
    return PaperState(paper.ids, paper.title or paper.ids[0], paper.address, paper.date, paper.registrations)


def trial_state(trial: Trial) -> TrialState:
    """Return what is compared of a trial."""
    facts = export_facts(trial) if trial.source == "ictrp" else registry_facts(trial)
    told = {name: facts[name] for name in FACTS if facts.get(name)}
    title = trial.title or trial.number
    results = export_parts(trial) if trial.source == "ictrp" else parts_of(trial.record)
    return TrialState(trial.number, trial.source, title, trial.address, told, has_results(trial), results)


def registry_facts(trial: Trial) -> dict[str, str]:
    """Return the items of a study of ClinicalTrials.gov, in words."""
    protocol = value_at(trial.record, "protocolSection")
    ends = {
        name: text_at(protocol, "statusModule", f"{key}DateStruct", "date")
        for name, key in (("primary completion", "primaryCompletion"), ("completion", "completion"))
    }
    enrolled = value_at(protocol, "designModule", "enrollmentInfo")
    count, kind = text_at(enrolled, "count"), text_at(enrolled, "type").lower()
    measures = (text_at(one, "measure") for one in list_at(protocol, "outcomesModule", "primaryOutcomes"))
    return {
        "status": status_in_words(trial.status),
        "results posted on": trial.results_posted,
        "start": trial.start,
        **ends,
        "enrolment": f"{count} ({kind})" if count and kind else count,
        "primary outcome": "; ".join(filter(None, measures)),
    }


def export_facts(trial: Trial) -> dict[str, str]:
    """Return the items of a trial of an ICTRP export, in words."""
    return {
        "status": status_in_words(trial.status),
        "results posted on": trial.results_posted,
        "start": trial.start,
        "enrolment": text_at(trial.record, "Target_size"),
        "primary outcome": " ".join(text_at(trial.record, "Primary_outcome").split()),
    }


def status_in_words(status: str) -> str:
    """Return a status in one spelling for all registers.

    Examples
    --------
    >>> status_in_words("ACTIVE_NOT_RECRUITING"), status_in_words("Not Recruiting")
    ('active not recruiting', 'not recruiting')
    """
    return status.replace("_", " ").lower()


def has_results(trial: Trial) -> bool | None:
    """Return whether results are posted; None where the record does not say (a search for few fields)."""
    if trial.source == "ictrp":
        return bool(trial.results_posted) or text_at(trial.record, "results_yes_no") == "Yes"
    if "resultsSection" in trial.record:
        return True
    said = trial.record.get("hasResults")
    if isinstance(said, bool):  # results that were taken back may leave the day on which they were posted
        return said
    return True if trial.results_posted else None


def parts_of(record: Mapping[str, Any]) -> dict[str, Any]:
    """Return the parts of posted results by name: each outcome by title and time frame, and the other modules."""
    section = value_at(record, "resultsSection")
    outcomes = list_at(section, "outcomeMeasuresModule", "outcomeMeasures")
    named = unique(sorted(((outcome_name(one), one) for one in outcomes), key=lambda pair: (pair[0], as_text(pair[1]))))
    return named | {words: section[key] for key, words in MODULES.items() if value_at(section, key) is not None}


def export_parts(trial: Trial) -> dict[str, str]:
    """Return the texts about results in an ICTRP export, where results are posted."""
    texts = {key: text_at(trial.record, key) for key in trial.record if key.startswith("results_")}
    told = {key.replace("_", " "): text for key, text in texts.items() if text and key != "results_date_posted"}
    return told if has_results(trial) else {}


def outcome_name(outcome: Any) -> str:
    """Return an outcome as a reader knows it."""
    title, frame = (" ".join(text_at(outcome, key).split()) for key in ("title", "timeFrame"))
    return f"{title or 'outcome without a title'} ({frame})" if frame else title or "outcome without a title"


def unique(pairs: Iterable[tuple[str, Any]]) -> dict[str, Any]:
    """Return values by name; repeated names are numbered.

    Examples
    --------
    >>> unique([("Age", 1), ("Age", 2)])
    {'Age': 1, 'Age, no. 2': 2}
    """
    found: dict[str, Any] = {}
    times: dict[str, int] = {}
    for name, value in pairs:
        times[name] = times.get(name, 0) + 1
        found[name if times[name] == 1 else f"{name}, no. {times[name]}"] = value
    return found


# Where two versions of one part of posted results differ, in words.
#
# A part is JSON as ClinicalTrials.gov sends it. What is compared is its content: the entries of a list are known by
# their titles, terms or groups and not by their order, and a group by its title and not by the number that the registry
# gave it. A *place* is the path of keys and entries that leads to a value.


class ListEntry(str):
    """Return the step to an entry of a list: the name of the entry; empty if it has none."""


Place = tuple[str, ...]

#: Number of values listed one by one; the others are counted.
SHOWN = 3
#: So long may a value be before its middle is left out (a description, a method).
LONGEST = 80
#: Keys without a separate name below a title.
SPEAKING = ("value", "title")
#: What an entry of a list is called by; the first that it has.
NAMES = ("title", "term", "type", "units", "pmid", "paramType")
#: Numbers of groups: the registry's own, which may change while the content does not.
NUMBERS = ("id", "groupId", "groupIds")
#: Deeper than any known record; deeper lists are compared in their order.
DEEPEST = 60


def in_any_order(part: Any) -> Any:
    """Return a part with lists sorted by the names of entries, and with groups named by their titles.

    Examples
    --------
    >>> one = {"groups": [{"id": "A", "title": "Islets"}], "counts": [{"groupId": "A", "value": "3"}]}
    >>> other = {"counts": [{"groupId": "B", "value": "3"}], "groups": [{"title": "Islets", "id": "B"}]}
    >>> in_any_order(one) == in_any_order(other)
    True
    """
    return _in_any_order(part, _group_titles(part), 0)


def _in_any_order(node: Any, groups: Mapping[str, str], level: int) -> Any:
    if level > DEEPEST:
        return node
    if isinstance(node, Mapping):
        kept = (key for key in node if key not in NUMBERS or not groups)
        return {str(key): _in_any_order(node[key], groups, level + 1) for key in kept}
    if not isinstance(node, list):
        return node
    if not any(isinstance(one, Mapping | list) for one in node):
        return sorted(map(_as_words, node))
    entries = [(_called(one, groups), _in_any_order(one, groups, level + 1)) for one in node]
    numbered = unique(sorted(entries, key=lambda entry: (entry[0], as_text(entry[1]))))
    return {ListEntry(name): value for name, value in numbered.items()}


def _called(entry: Any, groups: Mapping[str, str]) -> str:
    """Return the name of an entry of a list: its own name and its groups."""
    named = next((text for name in NAMES if (text := " ".join(text_at(entry, name).split()))), "")
    numbers = [text_at(entry, "groupId"), *map(str, list_at(entry, "groupIds"))] if groups else []
    return ", ".join(filter(None, [named, *sorted(groups.get(number, number) for number in numbers)]))


def _group_titles(part: Any) -> dict[str, str]:
    """Return the titles of the groups of a part by number; equal titles get the number added."""
    found = [*list_at(part, "groups"), *list_at(part, "eventGroups")]
    titles = [(text_at(one, "id"), " ".join(text_at(one, "title").split())) for one in found]
    count = Counter(title for _, title in titles)
    return {
        number: title if title and count[title] == 1 else f"{title} ({number})".strip()
        for number, title in titles
        if number
    }


def as_text(part: Any) -> str:
    """Return a part as one text, the same for the same content."""
    return json.dumps(part, sort_keys=True, default=str)


def _as_words(value: Any) -> str:
    return value if isinstance(value, str) else repr(value)


def leaves(part: Any) -> Iterator[tuple[Place, str]]:
    """Yield every value of a part with its position, as text, in any order; empty lists and objects are values, too.

    Examples
    --------
    >>> sorted(leaves({"title": "Age", "classes": [{"title": "Week 52", "value": 3}]}))
    [(('classes', 'Week 52', 'title'), 'Week 52'), (('classes', 'Week 52', 'value'), '3'), (('title',), 'Age')]
    """
    waiting: list[tuple[Place, Any]] = [((), in_any_order(part))]
    while waiting:  # no recursion: nesting has no limit
        place, value = waiting.pop()
        if isinstance(value, Mapping) and value:
            waiting.extend(
                ((*place, key if isinstance(key, ListEntry) else str(key)), below) for key, below in value.items()
            )
        elif isinstance(value, list) and any(isinstance(one, Mapping | list) for one in value):
            waiting.extend(((*place, ListEntry(f"no. {number}")), below) for number, below in enumerate(value, start=1))
        elif isinstance(value, list) and value:
            yield place, "; ".join(map(_as_words, value))
        else:
            yield place, _as_words(value)


def difference(before: Any, after: Any) -> tuple[str, str]:
    """Return what differs between two versions of a part, each side in words; two empty texts if nothing does.

    Examples
    --------
    >>> old = {"groups": [{"id": "OG000", "title": "Islets"}], "classes": [
    ...     {"title": "Week 52", "categories": [{"measurements": [{"groupId": "OG000", "value": "6.1"}]}]}]}
    >>> difference(old, json.loads(json.dumps(old).replace("6.1", "6.2").replace("OG000", "OG001")))
    ('Week 52, Islets: 6.1', 'Week 52, Islets: 6.2')
    """
    old, new = dict(leaves(before)), dict(leaves(after))
    places = sorted((place for place in old.keys() | new.keys() if old.get(place) != new.get(place)), key=in_order)
    return _side(old, places), _side(new, places)


def in_order(place: Place) -> tuple[bool, list[list[tuple[bool, int, str]]]]:
    """Sort key: measured values first, then by position, with numbers by size ("Week 26" before "Week 104")."""
    parts = [[(not part.isdecimal(), int(part) if part.isdecimal() else 0, part) for part in NUMBER.split(step)]
             for step in place]  # fmt: skip
    return place[-1:] != ("value",), parts


#: Whole numbers in a text.
NUMBER = re.compile(r"([0-9]{1,9})")


def _side(values: Mapping[Place, str], places: list[Place]) -> str:
    told = [
        f"{place_in_words(place)}: {shortened(values[place])}" if place in values else "not there"
        for place in places[:SHOWN]
    ]
    more = len(places) - SHOWN
    return "; ".join([*told, *([f"and {more} more"] if more > 0 else [])])


def place_in_words(place: Place) -> str:
    """Return a position in words: its entries, and its key if needed.

    Examples
    --------
    >>> place_in_words(("classes", ListEntry("Week 52"), "measurements", ListEntry("Islets"), "spread"))
    'Week 52, Islets, spread'
    """
    words = [step for step in place if isinstance(step, ListEntry) and step and not step.startswith(", no. ")]
    last = next((step for step in reversed(place) if not isinstance(step, ListEntry)), "text")
    return ", ".join([*words, *([] if words and last in SPEAKING else [last])])


def shortened(text: str) -> str:
    """Return a long value without its middle part, on one line.

    Examples
    --------
    >>> shortened("one  line"), len(shortened("a" * 1000))
    ('one line', 80)
    """
    text = " ".join(text.split())
    half = (LONGEST - 5) // 2
    return text if len(text) <= LONGEST else f"{text[: LONGEST - 5 - half]} ... {text[-half:]}"


def size(part: Any) -> str:
    """Return the amount of content of a part, in words.

    Examples
    --------
    >>> size({"value": "1"}), size({"value": "1", "spread": "2"})
    ('1 entry', '2 entries')
    """
    count = sum(1 for _ in leaves(part))
    return "1 entry" if count == 1 else f"{count} entries"


#: Kinds of notices, the gravest first.
NOTICE_KINDS = ("retraction", "expression of concern", "correction")
#: Kinds of changes in the order of the list, each with the reverse change.
KINDS = {
    **{kind: f"{kind} gone" for kind in NOTICE_KINDS},
    **{f"{kind} gone": kind for kind in NOTICE_KINDS},
    "new trial": "trial gone",
    "trial gone": "new trial",
    "results posted": "results withdrawn",
    "results withdrawn": "results posted",
    "results changed": "results changed",
    "status changed": "status changed",
    "facts changed": "facts changed",
    "new paper": "paper gone",
    "paper gone": "new paper",
}


@dataclass(frozen=True, order=True)
class Change:
    """One change: its kind, the trial or paper, the item, before and after.

    ``number`` is the registration of a trial or of the trials that a paper cites; ``what`` names the fact or the
    part of the posted results.
    """

    kind: str
    number: str
    what: str
    before: str
    after: str
    title: str
    address: str

    def mirrored(self) -> Change:
        """Return the same change seen from the other side."""
        return replace(self, kind=KINDS[self.kind], before=self.after, after=self.before)


@dataclass(frozen=True)
class Changes:
    """All changes from one snapshot to another.

    ``refused`` names what could not be read in either, ``contradictions`` where two records of one trial in the later
    snapshot say different things, ``decided`` counts new trials and papers that are left out as screening decided on
    them.
    """

    since: str
    until: str
    lines: tuple[Change, ...]
    refused: tuple[str, ...] = ()
    contradictions: tuple[Contradiction, ...] = ()
    decided: int = 0

    def of(self, kind: str) -> tuple[Change, ...]:
        """Return the changes of one kind."""
        return tuple(line for line in self.lines if line.kind == kind)

    @property
    def counts(self) -> dict[str, int]:
        """Number of trials and papers with each kind of change that occurs, in the order of :data:`KINDS`."""
        found = Counter(kind for kind, _ in {(line.kind, line.number + line.address) for line in self.lines})
        return {kind: found[kind] for kind in KINDS if found[kind]}


def compare(
    old: State,
    new: State,
    known: Collection[str] = (),
    sources: Mapping[str, tuple[str, ...]] | None = None,
    decided: Collection[str] = (),
) -> Changes:
    """Return what changed from one state to another.

    Parameters
    ----------
    old, new : State
        What two snapshots say; ``compare(a, a)`` is empty, and ``compare(b, a)`` mirrors ``compare(a, b)`` but for
        titles and addresses, which are those of the second state.
    known : collection of str
        Registrations known to the review in addition to the trials of both states; papers that cite one are listed.
    sources : mapping of tuple, optional
        Identifier of a publication -> names of what the review uses of it (:func:`known_sources`).
    decided : collection of str
        Identifiers of records on which screening has decided: as new trials and papers they are no news.

    Returns
    -------
    Changes
        Lines in the order of :data:`KINDS`, of notices first those of sources of the review, then by number.
    """
    cited = frozenset(known) | all_keys(old.trials) | all_keys(new.trials)
    found = [*_notices(old, new, sources or {}), *_trials(old, new), *_papers(old, new, cited)]
    lines = [line for line in found if not (line.kind in SCREENED and _is_decided(line, new, decided))]
    order = {kind: place for place, kind in enumerate(KINDS)}
    refused = tuple(dict.fromkeys((*old.refused, *new.refused)))
    ordered = sorted(lines, key=lambda line: (order[line.kind], line.what == NOT_USED, line))
    left = len(found) - len(lines)
    return Changes(old.name, new.name, tuple(ordered), refused, new.contradictions, left)


#: Kinds of changes that screening decides on.
SCREENED = ("new trial", "new paper")


def _is_decided(line: Change, state: State, decided: Collection[str]) -> bool:
    """Return whether screening has decided on the record of a line."""
    if line.kind == "new trial":
        return not keys_of(line.number).isdisjoint(decided)
    mine = (paper.ids for paper in state.papers if (paper.title, paper.address) == (line.title, line.address))
    return any(not set(ids).isdisjoint(decided) for ids in mine)


#: Words for a publication that no table of the review uses.
NOT_USED = "not a source of the review"
#: Words for a publication that a table uses, before the names.
USED = "source of the review: "


def _notices(old: State, new: State, sources: Mapping[str, tuple[str, ...]]) -> Iterator[Change]:
    """Yield notices that are in one of the states only."""
    for mine, others, is_new in ((new, old, True), (old, new, False)):
        seen = {(one.kind, key) for one in others.notices for key in one.ids}
        for one, names in notices_of_sources(mine.notices, sources):
            if any((one.kind, key) in seen for key in one.ids):
                continue
            what = f"{USED}{', '.join(names)}" if names else NOT_USED
            sides = ("", one.words) if is_new else (one.words, "")
            kind = one.kind if is_new else KINDS[one.kind]
            yield Change(kind, one.ids[0], what, *sides, one.title, address_of(one.ids[0]))


def address_of(number: str) -> str:
    """Return the address of a publication from its identifier.

    Examples
    --------
    >>> address_of("doi:10.1000/1"), address_of("pmid:1")
    ('https://doi.org/10.1000/1', 'https://pubmed.ncbi.nlm.nih.gov/1')
    """
    kind, _, value = number.partition(":")
    places = {"doi": "https://doi.org/", "pmid": "https://pubmed.ncbi.nlm.nih.gov/",
              "pmcid": "https://europepmc.org/article/PMC/"}  # fmt: skip
    return f"{places[kind]}{value}" if kind in places else ""


def _trials(old: State, new: State) -> Iterator[Change]:
    for number in old.trials.keys() | new.trials.keys():
        before, after = old.trials.get(number), new.trials.get(number)
        if before is None:
            yield _line("new trial", after, "trial", "", in_short(after))
        elif after is None:
            yield _line("trial gone", before, "trial", in_short(before), "")
        elif before.source == after.source:
            yield from changed_facts(before, after)
            yield from changed_results(before, after)


def in_short(trial: TrialState) -> str:
    """Return status, start and results of a trial in a few words."""
    facts = trial.facts
    start = f"start {facts['start']}" if "start" in facts else ""
    posted = facts.get("results posted on", "")
    results = f"results posted {posted}".strip() if trial.has_results else ""
    return ", ".join(filter(None, [facts.get("status", ""), start, results])) or "no status"


def changed_facts(before: TrialState, after: TrialState) -> Iterator[Change]:
    """Yield items that are in both records and differ."""
    for name in FACTS:
        old, new = before.facts.get(name), after.facts.get(name)
        if old and new and old != new:
            yield _line("status changed" if name == "status" else "facts changed", after, name, old, new)


def changed_results(before: TrialState, after: TrialState) -> Iterator[Change]:
    """Yield results that were posted or withdrawn, or whose content differs, part by part."""
    if None not in (before.has_results, after.has_results) and before.has_results != after.has_results:
        kind = "results posted" if after.has_results else "results withdrawn"
        yield _line(kind, after, "posted results", _contents(before), _contents(after))
    elif before.results and after.results:
        for name in sorted({*before.results, *after.results}):
            sides = _sides(before.results.get(name), after.results.get(name))
            if any(sides):
                yield _line("results changed", after, name, *sides)


def _contents(trial: TrialState) -> str:
    if not trial.has_results:
        return "none"
    day = trial.facts.get("results posted on", "")
    count = len(trial.results)
    parts = f"{count} {'part' if count == 1 else 'parts'}" if count else ""
    return "; ".join(filter(None, [day, parts])) or "posted"


def _sides(old: object, new: object) -> tuple[str, str]:
    """Return both versions of a part in words: the amount if one is empty, else the differences."""
    if old is None or new is None:
        return "not there" if old is None else size(old), "not there" if new is None else size(new)
    return difference(old, new)


def _line(kind: str, trial: TrialState, what: str, before: str, after: str) -> Change:
    return Change(kind, trial.number, what, before, after, trial.title, trial.address)


def _papers(old: State, new: State, cited: Collection[str]) -> Iterator[Change]:
    before, after = (citing(state, cited) for state in (old, new))
    for mine, others, kind in ((after, before, "new paper"), (before, after, "paper gone")):
        seen = {one for paper in others for one in paper.ids}
        for paper in mine:
            if seen.isdisjoint(paper.ids):
                numbers = "; ".join(number for number in paper.registrations if number in cited)
                words = ("", paper.date or "no date")
                yield Change(kind, numbers, "paper", *(words if kind == "new paper" else words[::-1]),
                             paper.title, paper.address)  # fmt: skip


def citing(state: State, cited: Collection[str]) -> list[PaperState]:
    """Return the papers of a state that cite one of the registrations."""
    return [paper for paper in state.papers if not set(paper.registrations).isdisjoint(cited)]


# The registrations that the review knows, and what a snapshot says of them.


@dataclass(frozen=True)
class Known:
    """One registration of ``data/``: its reports, and whether results were posted at the last look-up.

    ``posted`` is "yes", "no" or "" (not looked up), ``seen_on`` the day of it; ``diabetes_types`` and ``classes`` are
    those of its reports.
    """

    number: str
    reports: tuple[str, ...] = ()
    diabetes_types: tuple[str, ...] = ()
    classes: tuple[str, ...] = ()
    posted: str = ""
    seen_on: str = ""


def known_registrations(evidence: Evidence) -> dict[str, Known]:
    """Return the registrations of ``studies.csv`` and ``registrations.csv`` by number, sorted."""
    found: dict[str, Known] = {}
    for study in evidence.studies.itertuples():
        for number in numbers_in(study.registry_id):
            one = found.get(number, Known(number))
            mine = (study.study_id, study.diabetes_type, study.intervention_class)
            parts = (one.reports, one.diabetes_types, one.classes)
            found[number] = Known(number, *(_added(old, new) for old, new in zip(parts, mine, strict=True)))
    for row in evidence.registrations.itertuples():
        for number in numbers_in(row.registry_id):
            one = found.get(number, Known(number))
            reports = _added(one.reports, row.study_id)
            found[number] = Known(number, reports, one.diabetes_types, one.classes, row.results_posted, row.seen_on)
    return dict(sorted(found.items()))


#: Tables that list publications and use nothing of them: what was looked through, and who accepted what.
NOT_SOURCES = ("documents", "accepted", "refused", "registrations", "screen")
#: Columns that identify publications.
IDENTIFIED = ("doi", "pmid", "pmcid", "url", "source_url")
#: Identifiers in an address.
IN_ADDRESS = (
    ("doi", re.compile(r"10\.\d{4,9}/[^\s;,\"<>?#]+")),
    ("pmid", re.compile(r"pubmed(?:\.ncbi\.nlm\.nih\.gov)?/(\d{1,8})\b")),
    ("pmcid", re.compile(r"\b(PMC\d+)\b")),
)


def known_sources(evidence: Evidence) -> dict[str, tuple[str, ...]]:
    """Return the publications that the tables use: identifier -> names of reports, or of rows with their table.

    Parameters
    ----------
    evidence : Evidence
        Every table with a column of DOIs, PubMed or PubMed Central numbers, or addresses.
    """
    found: dict[str, tuple[str, ...]] = {}
    for table, rows in vars(evidence).items():
        columns = [name for name in getattr(rows, "columns", ()) if name in IDENTIFIED]
        if table.startswith(NOT_SOURCES) or not columns:
            continue
        first = rows.columns[0]
        named = rows.study_id if "study_id" in rows.columns else [""] * len(rows)
        for name, study, cells in zip(rows[first], named, rows[columns].itertuples(index=False), strict=True):
            whose = study if isinstance(study, str) and study else f"{table} {name}"
            for column, cell in zip(columns, cells, strict=True):
                for number in identifiers_in(column, cell):
                    found[number] = _added(found.get(number, ()), whose)
    return found


def identifiers_in(column: str, cell: object) -> list[str]:
    """Return the identifiers in a cell, as papers are known by them.

    Examples
    --------
    >>> identifiers_in("url", "https://doi.org/10.1016/S2213-8587(18)30078-0; https://pubmed.ncbi.nlm.nih.gov/17005949/")
    ['doi:10.1016/s2213-8587(18)30078-0', 'pmid:17005949']
    >>> identifiers_in("pmid", "17005949")
    ['pmid:17005949']
    """
    if not isinstance(cell, str) or not cell.strip():
        return []
    if column in ("doi", "pmid", "pmcid"):
        value = cell.strip()
        return [f"{column}:{value.lower() if column == 'doi' else value.upper()}"]
    found = []
    for kind, form in IN_ADDRESS:
        for one in form.finditer(unquote(cell)):
            value = one[form.groups].rstrip(".")
            value = value[:-1] if value.endswith(")") and "(" not in value else value
            found.append(f"{kind}:{value.lower() if kind == 'doi' else value.upper()}")
    return found


def _added(old: tuple[str, ...], new: str) -> tuple[str, ...]:
    return tuple(dict.fromkeys([*old, *([new] if new else [])]))


@dataclass(frozen=True)
class FirstSight:
    """Comparison of one snapshot with the evidence.

    Attributes
    ----------
    found : tuple of (Known, TrialState)
        Known registrations that the snapshot describes.
    missing : tuple of Known
        Known registrations that it does not.
    unknown : tuple of TrialState
        Trials of the snapshot that the review does not know, by number.
    papers : tuple of PaperState
        Papers that cite a known registration.
    refused : tuple of str
        What could not be read.
    notices : tuple of (NoticeState, tuple of str)
        Retractions, corrections and expressions of concern of sources of the review, each with what uses it.
    contradictions : tuple of Contradiction
        Where two records of one trial differ.
    decided : int
        How many unknown trials and papers are left out, as screening has decided on them.
    """

    name: str
    found: tuple[tuple[Known, TrialState], ...]
    missing: tuple[Known, ...]
    unknown: tuple[TrialState, ...]
    papers: tuple[PaperState, ...]
    refused: tuple[str, ...] = ()
    notices: tuple[tuple[NoticeState, tuple[str, ...]], ...] = ()
    contradictions: tuple[Contradiction, ...] = ()
    decided: int = 0


def first_sight(
    state: State,
    known: Mapping[str, Known],
    sources: Mapping[str, tuple[str, ...]] | None = None,
    decided: Collection[str] = (),
) -> FirstSight:
    """Compare one snapshot with the evidence; ``sources`` and ``decided`` as :func:`compare` takes them."""
    by_key = {key: trial for number, trial in sorted(state.trials.items()) for key in keys_of(number)}
    unknown = [trial for number, trial in sorted(state.trials.items()) if keys_of(number).isdisjoint(known)]
    papers_ = citing(state, known.keys())
    open_trials = [trial for trial in unknown if keys_of(trial.number).isdisjoint(decided)]
    open_papers = [paper for paper in papers_ if set(paper.ids).isdisjoint(decided)]
    return FirstSight(
        state.name,
        tuple((one, by_key[number]) for number, one in known.items() if number in by_key),
        tuple(one for number, one in known.items() if number not in by_key),
        tuple(open_trials),
        tuple(open_papers),
        state.refused,
        tuple(pair for pair in notices_of_sources(state.notices, sources or {}) if pair[1]),
        state.contradictions,
        len(unknown) + len(papers_) - len(open_trials) - len(open_papers),
    )


def news_of(one: Known, trial: TrialState) -> str:
    """Return the information of the snapshot on results that are not in the review yet; empty if none.

    Examples
    --------
    >>> trial = TrialState("NCT00690066", "ctgov", "A trial", "", {"results posted on": "2026-01-02"}, True)
    >>> news_of(Known("NCT00690066", posted="no", seen_on="2021-12-23"), trial)
    'results posted, none when it was looked up on 2021-12-23'
    """
    if trial.has_results and one.posted == "no":
        return f"results posted, none when it was looked up on {one.seen_on}"
    if trial.has_results and not one.posted:
        return "results posted, not looked up before"
    return "results no longer posted" if trial.has_results is False and one.posted == "yes" else ""
