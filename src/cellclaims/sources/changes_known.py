"""The registrations that the review knows, and what a snapshot says of them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from cellclaims.sources.changes import citing
from cellclaims.sources.changes_state import PaperState, State, TrialState
from cellclaims.sources.registrations import keys_of, numbers_in
from cellclaims.tables import Evidence


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
