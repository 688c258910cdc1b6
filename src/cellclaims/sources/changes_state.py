"""What a snapshot says of each trial and paper, cut down to what can change and be told.

A *state* is a snapshot as :func:`cellclaims.sources.changes.compare` wants it; it can be made without any store.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from cellclaims.sources.bodies import at, list_at, text_at
from cellclaims.sources.records import Paper, Trial, papers, trials
from cellclaims.sources.store import Snapshot, Store

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
    protocol = at(trial.record, "protocolSection")
    ends = {
        name: text_at(protocol, "statusModule", f"{key}DateStruct", "date")
        for name, key in (("primary completion", "primaryCompletion"), ("completion", "completion"))
    }
    enrolled = at(protocol, "designModule", "enrollmentInfo")
    count, kind = text_at(enrolled, "count"), text_at(enrolled, "type").lower()
    measures = (text_at(one, "measure") for one in list_at(protocol, "outcomesModule", "primaryOutcomes"))
    return {
        "status": in_words(trial.status),
        "results posted on": trial.results_posted,
        "start": trial.start,
        **ends,
        "enrolment": f"{count} ({kind})" if count and kind else count,
        "primary outcome": "; ".join(filter(None, measures)),
    }


def export_facts(trial: Trial) -> dict[str, str]:
    """Facts of a trial of an ICTRP export, in words."""
    return {
        "status": in_words(trial.status),
        "results posted on": trial.results_posted,
        "start": trial.start,
        "enrolment": text_at(trial.record, "Target_size"),
        "primary outcome": " ".join(text_at(trial.record, "Primary_outcome").split()),
    }


def in_words(status: str) -> str:
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
        return bool(trial.results_posted) or text_at(trial.record, "results_yes_no") == "Yes"
    if "resultsSection" in trial.record or trial.results_posted:
        return True
    said = trial.record.get("hasResults")
    return said if isinstance(said, bool) else None


def parts_of(record: Mapping[str, Any]) -> dict[str, Any]:
    """The parts of posted results by name: each outcome by title and time frame, and the other modules."""
    section = at(record, "resultsSection")
    outcomes = list_at(section, "outcomeMeasuresModule", "outcomeMeasures")
    named = unique((outcome_name(outcome), outcome) for outcome in outcomes)
    return named | {words: section[key] for key, words in MODULES.items() if at(section, key) is not None}


def export_parts(trial: Trial) -> dict[str, str]:
    """The texts about results in an ICTRP export, where results are posted."""
    texts = {key: text_at(trial.record, key) for key in trial.record if key.startswith("results_")}
    told = {key.replace("_", " "): text for key, text in texts.items() if text and key != "results_date_posted"}
    return told if has_results(trial) else {}


def outcome_name(outcome: Any) -> str:
    """An outcome as a reader knows it."""
    title, frame = (" ".join(text_at(outcome, key).split()) for key in ("title", "timeFrame"))
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
