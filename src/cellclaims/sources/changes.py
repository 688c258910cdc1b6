"""What changed between two snapshots of the registries and the literature.

Two states are compared by what both can say: a fact that one of the records does not carry, and records of one trial
from two sources, are not compared. What is compared is content: posted results that were sent again with the same
content are no change, whatever their date.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterator
from dataclasses import dataclass, replace

from cellclaims.sources.changes_state import FACTS, PaperState, State, TrialState
from cellclaims.sources.changes_values import difference, size
from cellclaims.sources.registrations import all_keys

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
