"""What changed between two snapshots of the registries and the literature.

Two states are compared by what both can say: a fact that one of the records does not carry, and records of one trial
from two sources, are not compared. What is compared is content: posted results that were sent again with the same
content are no change, whatever their date.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from cellclaims.evidence import Evidence
from cellclaims.registries.answers import list_at, stripped_text_at, value_at
from cellclaims.registries.records import Paper, Trial, all_keys, keys_of, numbers_in, papers, trials
from cellclaims.registries.store import Snapshot, Store

# What a snapshot says of each trial and paper, cut down to what can change and be told.
#
# A *state* is a snapshot as :func:`cellclaims.registries.changes.compare` wants it; it can be made without any store.


#: Facts of a trial that are compared, in the order in which they are told.
FACTS = ("status", "results posted on", "start", "primary completion", "completion", "enrolment", "primary outcome")
#: Modules of posted results beside the outcomes, in words.
MODULES = {
    "participantFlowModule": "participant flow",
    "baselineCharacteristicsModule": "baseline characteristics",
    "adverseEventsModule": "adverse events",
    "moreInfoModule": "limitations and contacts",
}


@dataclass(frozen=True)
class TrialState:
    """One trial: its facts in words (a fact that the record does not carry is missing) and its posted results.

    ``has_results`` is None where the record does not say; ``results`` are the parts of posted results by name, as
    they stand.
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
    """One paper: everything by which it is known, and the registrations that it cites."""

    ids: tuple[str, ...]
    title: str
    address: str
    date: str
    registrations: tuple[str, ...]


@dataclass(frozen=True)
class State:
    """All trials by number, all papers, and what could not be read; ``name`` and ``time`` are the snapshot's."""

    name: str
    time: str
    trials: Mapping[str, TrialState]
    papers: tuple[PaperState, ...] = ()
    refused: tuple[str, ...] = ()


def state_of(store: Store, snapshot: Snapshot) -> State:
    """The state that a snapshot describes; answers and records that cannot be read are named in ``refused``.

    Raises
    ------
    SourceError
        If a body is missing or was changed.
    """
    refused: list[str] = []
    found = {trial.number: trial_state(trial) for trial in trials(store, snapshot, refused)}
    published = tuple(paper_state(paper) for paper in papers(store, snapshot, refused))
    return State(snapshot.name, snapshot.started, found, published, tuple(refused))


def paper_state(paper: Paper) -> PaperState:
    """What is told of a paper."""
    return PaperState(paper.ids, paper.title or paper.ids[0], paper.address, paper.date, paper.registrations)


def trial_state(trial: Trial) -> TrialState:
    """What is compared of a trial."""
    facts = export_facts(trial) if trial.source == "ictrp" else registry_facts(trial)
    told = {name: facts[name] for name in FACTS if facts.get(name)}
    title = trial.title or trial.number
    results = export_parts(trial) if trial.source == "ictrp" else parts_of(trial.record)
    return TrialState(trial.number, trial.source, title, trial.address, told, has_results(trial), results)


def registry_facts(trial: Trial) -> dict[str, str]:
    """Facts of a study of ClinicalTrials.gov, in words."""
    protocol = value_at(trial.record, "protocolSection")
    ends = {
        name: stripped_text_at(protocol, "statusModule", f"{key}DateStruct", "date")
        for name, key in (("primary completion", "primaryCompletion"), ("completion", "completion"))
    }
    enrolled = value_at(protocol, "designModule", "enrollmentInfo")
    count, kind = stripped_text_at(enrolled, "count"), stripped_text_at(enrolled, "type").lower()
    measures = (stripped_text_at(one, "measure") for one in list_at(protocol, "outcomesModule", "primaryOutcomes"))
    return {
        "status": status_in_words(trial.status),
        "results posted on": trial.results_posted,
        "start": trial.start,
        **ends,
        "enrolment": f"{count} ({kind})" if count and kind else count,
        "primary outcome": "; ".join(filter(None, measures)),
    }


def export_facts(trial: Trial) -> dict[str, str]:
    """Facts of a trial of an ICTRP export, in words."""
    return {
        "status": status_in_words(trial.status),
        "results posted on": trial.results_posted,
        "start": trial.start,
        "enrolment": stripped_text_at(trial.record, "Target_size"),
        "primary outcome": " ".join(stripped_text_at(trial.record, "Primary_outcome").split()),
    }


def status_in_words(status: str) -> str:
    """A status in one spelling for all registers.

    Examples
    --------
    >>> in_words("ACTIVE_NOT_RECRUITING"), in_words("Not Recruiting")
    ('active not recruiting', 'not recruiting')
    """
    return status.replace("_", " ").lower()


def has_results(trial: Trial) -> bool | None:
    """Whether results are posted; None where the record does not say (a search that asked for few fields)."""
    if trial.source == "ictrp":
        return bool(trial.results_posted) or stripped_text_at(trial.record, "results_yes_no") == "Yes"
    if "resultsSection" in trial.record or trial.results_posted:
        return True
    said = trial.record.get("hasResults")
    return said if isinstance(said, bool) else None


def parts_of(record: Mapping[str, Any]) -> dict[str, Any]:
    """The parts of posted results by name: each outcome by title and time frame, and the other modules."""
    section = value_at(record, "resultsSection")
    outcomes = list_at(section, "outcomeMeasuresModule", "outcomeMeasures")
    named = unique((outcome_name(outcome), outcome) for outcome in outcomes)
    return named | {words: section[key] for key, words in MODULES.items() if value_at(section, key) is not None}


def export_parts(trial: Trial) -> dict[str, str]:
    """The texts about results in an ICTRP export, where results are posted."""
    texts = {key: stripped_text_at(trial.record, key) for key in trial.record if key.startswith("results_")}
    told = {key.replace("_", " "): text for key, text in texts.items() if text and key != "results_date_posted"}
    return told if has_results(trial) else {}


def outcome_name(outcome: Any) -> str:
    """An outcome as a reader knows it."""
    title, frame = (" ".join(stripped_text_at(outcome, key).split()) for key in ("title", "timeFrame"))
    return f"{title or 'outcome without a title'} ({frame})" if frame else title or "outcome without a title"


def unique(pairs: Iterable[tuple[str, Any]]) -> dict[str, Any]:
    """Values by name; a name that comes again gets its number.

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
# A part is JSON as ClinicalTrials.gov sends it. A *place* is the path of keys and numbers that leads to a value in
# it; in
# words it is made of the titles that stand above the value and of the group that it belongs to.


Place = tuple[str | int, ...]

#: So many values are told one by one; the others are counted.
SHOWN = 3
#: So long may a value be before its middle is left out (a description, a method).
LONGEST = 80
#: Keys whose value alone says what it is, where titles stand above it.
SPEAKING = ("value", "title")


def leaves(part: Any) -> Iterator[tuple[Place, str]]:
    """Every value of a part with its place, as text; an empty list or object is a value, too. In any order.

    Examples
    --------
    >>> sorted(leaves({"title": "Age", "classes": [{"value": 3}]}))
    [(('classes', 0, 'value'), '3'), (('title',), 'Age')]
    """
    waiting: list[tuple[Place, Any]] = [((), part)]
    while waiting:  # no recursion: nesting has no limit
        place, value = waiting.pop()
        if isinstance(value, Mapping) and value:
            waiting.extend(((*place, str(key)), below) for key, below in value.items())
        elif isinstance(value, list) and value:
            waiting.extend(((*place, number), below) for number, below in enumerate(value))
        else:
            yield place, value if isinstance(value, str) else repr(value)


def difference(before: Any, after: Any) -> tuple[str, str]:
    """What differs between two versions of a part, each side in words; two empty texts if nothing does.

    Examples
    --------
    >>> old = {"groups": [{"id": "OG000", "title": "Islets"}], "classes": [
    ...     {"title": "Week 52", "categories": [{"measurements": [{"groupId": "OG000", "value": "6.1"}]}]}]}
    >>> import json
    >>> difference(old, json.loads(json.dumps(old).replace("6.1", "6.2")))
    ('Week 52, Islets: 6.1', 'Week 52, Islets: 6.2')
    """
    old, new = dict(leaves(before)), dict(leaves(after))
    places = sorted((place for place in old.keys() | new.keys() if old.get(place) != new.get(place)), key=in_order)
    return _side(before, old, places), _side(after, new, places)


def in_order(place: Place) -> tuple[bool, list[tuple[bool, int, str]]]:
    """Measured values first, then by place; numbers by their size."""
    steps = [(False, step, "") if isinstance(step, int) else (True, 0, step) for step in place]
    return place[-1:] != ("value",), steps


def _side(part: Any, values: Mapping[Place, str], places: list[Place]) -> str:
    told = [
        f"{place_in_words(part, place)}: {shortened(values[place])}" if place in values else "not there"
        for place in places[:SHOWN]
    ]
    more = len(places) - SHOWN
    return "; ".join([*told, *([f"and {more} more"] if more > 0 else [])])


def place_in_words(part: Any, place: Place) -> str:
    """A place in words: titles above it, its group, its key where that is needed."""
    groups, words, node = _groups(part), [], part
    *above, last = place or ("text",)
    for depth, step in enumerate(above, start=1):
        node = node[step] if isinstance(node, list) else {str(key): value for key, value in node.items()}[step]
        own = node.get("title") or groups.get(str(node.get("groupId"))) if isinstance(node, Mapping) else None
        if own and not (last == "title" and depth == len(above)):  # a changed title is no name of its own place
            words.append(str(own))
    return ", ".join([*words, *([] if words and last in SPEAKING else [str(last)])])


def _groups(part: Any) -> dict[str, str]:
    """Titles of the groups of a part by id."""
    groups = part.get("groups") if isinstance(part, Mapping) else None
    found = [group for group in groups if isinstance(group, Mapping)] if isinstance(groups, list) else []
    return {str(group.get("id")): str(group.get("title", group.get("id"))) for group in found}


def shortened(text: str) -> str:
    """A long value without its middle, on one line.

    Examples
    --------
    >>> shortened("one  line"), len(shortened("a" * 1000))
    ('one line', 80)
    """
    text = " ".join(text.split())
    half = (LONGEST - 5) // 2
    return text if len(text) <= LONGEST else f"{text[: LONGEST - 5 - half]} ... {text[-half:]}"


def size(part: Any) -> str:
    """How much a part holds, in words.

    Examples
    --------
    >>> size({"value": "1"}), size([1, 2])
    ('1 entry', '2 entries')
    """
    count = sum(1 for _ in leaves(part))
    return "1 entry" if count == 1 else f"{count} entries"


#: Kinds of changes in the order in which they are told, each with what it is seen from the other side.
KINDS = {
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
    """One change: its kind, the trial or paper, what of it, before and after.

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
        """The same change seen from the other side."""
        return replace(self, kind=KINDS[self.kind], before=self.after, after=self.before)


@dataclass(frozen=True)
class Changes:
    """Everything that changed from one snapshot to another; ``refused`` names what could not be read in either."""

    since: str
    until: str
    lines: tuple[Change, ...]
    refused: tuple[str, ...] = ()

    def of(self, kind: str) -> tuple[Change, ...]:
        """The changes of one kind."""
        return tuple(line for line in self.lines if line.kind == kind)

    @property
    def counts(self) -> dict[str, int]:
        """How many trials and papers changed in each way, in the order of :data:`KINDS`; kinds that occur."""
        found = Counter(kind for kind, _ in {(line.kind, line.number + line.address) for line in self.lines})
        return {kind: found[kind] for kind in KINDS if found[kind]}


def compare(old: State, new: State, known: Collection[str] = ()) -> Changes:
    """What changed from one state to another.

    Parameters
    ----------
    old, new : State
        What two snapshots say; ``compare(a, a)`` is empty, and ``compare(b, a)`` mirrors ``compare(a, b)`` but for
        titles and addresses, which are those of the second state.
    known : collection of str
        Registrations that the review knows beside the trials of both states: papers that cite one are told.

    Returns
    -------
    Changes
        Lines in the order of :data:`KINDS`, then by number.
    """
    cited = frozenset(known) | all_keys(old.trials) | all_keys(new.trials)
    lines = [*_trials(old, new), *_papers(old, new, cited)]
    order = {kind: place for place, kind in enumerate(KINDS)}
    refused = tuple(dict.fromkeys((*old.refused, *new.refused)))
    return Changes(old.name, new.name, tuple(sorted(lines, key=lambda line: (order[line.kind], line))), refused)


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
    """Status, start and results of a trial in a few words."""
    facts = trial.facts
    start = f"start {facts['start']}" if "start" in facts else ""
    posted = facts.get("results posted on", "")
    results = f"results posted {posted}".strip() if trial.has_results else ""
    return ", ".join(filter(None, [facts.get("status", ""), start, results])) or "no status"


def changed_facts(before: TrialState, after: TrialState) -> Iterator[Change]:
    """Facts that both records carry and that differ."""
    for name in FACTS:
        old, new = before.facts.get(name), after.facts.get(name)
        if old and new and old != new:
            yield _line("status changed" if name == "status" else "facts changed", after, name, old, new)


def changed_results(before: TrialState, after: TrialState) -> Iterator[Change]:
    """Results that were posted or withdrawn, or whose content differs, part by part."""
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
    return "; ".join(filter(None, [day, f"{len(trial.results)} parts" if trial.results else ""])) or "posted"


def _sides(old: object, new: object) -> tuple[str, str]:
    """Both versions of a part in words: how much where there was nothing, else where they differ."""
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
    """The papers of a state that cite one of the registrations."""
    return [paper for paper in state.papers if not set(paper.registrations).isdisjoint(cited)]


# The registrations that the review knows, and what a snapshot says of them.


@dataclass(frozen=True)
class Known:
    """One registration of ``data/``: the reports of it, and whether results were posted when it was last looked up.

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
    """The registrations of ``studies.csv`` and ``registrations.csv`` by number, sorted."""
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


def _added(old: tuple[str, ...], new: str) -> tuple[str, ...]:
    return tuple(dict.fromkeys([*old, *([new] if new else [])]))


@dataclass(frozen=True)
class FirstSight:
    """What one snapshot says beside what the review knows.

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
    """

    name: str
    found: tuple[tuple[Known, TrialState], ...]
    missing: tuple[Known, ...]
    unknown: tuple[TrialState, ...]
    papers: tuple[PaperState, ...]
    refused: tuple[str, ...] = ()


def first_sight(state: State, known: Mapping[str, Known]) -> FirstSight:
    """Set one snapshot beside what the review knows."""
    by_key = {key: trial for number, trial in sorted(state.trials.items()) for key in keys_of(number)}
    return FirstSight(
        state.name,
        tuple((one, by_key[number]) for number, one in known.items() if number in by_key),
        tuple(one for number, one in known.items() if number not in by_key),
        tuple(trial for number, trial in sorted(state.trials.items()) if keys_of(number).isdisjoint(known)),
        tuple(citing(state, known.keys())),
        state.refused,
    )


def news_of(one: Known, trial: TrialState) -> str:
    """What the snapshot says of results that the review does not have yet; empty if it is no news.

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
