"""Update of a living review: pull, changes, a list to screen, check, review, and a dated page.

For a scheduler: it needs no input, refuses a second run at the same time, and reports the result by its exit status
and, with ``--json``, in one line. A failed step does not stop the others; the page and the line name it.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from cellclaims import evidence as tables
from cellclaims import protocol
from cellclaims.errors import ReviewError
from cellclaims.evidence import check
from cellclaims.evidence.screened import conflicts
from cellclaims.files import take_lock, write_atomically
from cellclaims.harvest.proposals import write_proposals
from cellclaims.pool import pooled
from cellclaims.question import Analysis, Question
from cellclaims.registries.changes import NOTICE_KINDS, USED, known_registrations
from cellclaims.registries.client import Settings
from cellclaims.registries.pull import Order, ordered
from cellclaims.registries.store import Store, dated
from cellclaims.reporting.living import Move, is_same, living_sentence, moved, moves_table, steps_table
from cellclaims.reporting.pools import say
from cellclaims.reporting.registries import News, registry_news
from cellclaims.reporting.results import record
from cellclaims.runner.page import news_page, provenance
from cellclaims.runner.review import review
from cellclaims.screening.worklist import WORK_COLUMNS, sort_records, worklist
from cellclaims.selection import EvidenceBase

#: Exit statuses: everything was done; a step failed; another run is at work (EX_TEMPFAIL: try again later).
DONE, FAILED, BUSY = 0, 1, 75
#: What the last run left for the next one, and the lock, inside the folder of the pages.
STATE, LOCK = "last.json", ".lock"
#: Changes after which a pool is refitted without the study: a source that cannot be relied on, other posted results.
REFITTED = (*NOTICE_KINDS, "results posted", "results changed", "results withdrawn")


@dataclass(frozen=True)
class LivingOrder:
    """Arguments of the command.

    Attributes
    ----------
    data, registry, notebooks, reports, into : Path
        Folders of the evidence, of the store, of the notebooks, of the reports, and of the dated pages.
    pull : bool
        False uses the last snapshot.
    folder : Path, optional
        Recorded answers to replay, instead of asking the sources.
    only : tuple of str
        Ask these sources alone.
    workers : int
        Notebooks at the same time.
    as_json : bool
        Print only one line of JSON.
    """

    data: Path = Path("data")
    registry: Path = Path("data/registry")
    notebooks: Path = Path("notebooks")
    reports: Path = Path("reports")
    into: Path = Path("reports/living")
    pull: bool = True
    folder: Path | None = None
    only: tuple[str, ...] = ()
    workers: int = 2
    as_json: bool = False


@dataclass
class Run:
    """Results of a run so far.

    Attributes
    ----------
    order : LivingOrder
    started : datetime
    steps, failed : dict of str
        Step -> what came of it, or why it failed.
    last : dict
        What the last run left: ``started``, ``snapshot`` and ``pools``; empty before the first.
    facts : dict
        What the line of JSON says.
    news : News or None
    moves, without : list of Move
    """

    order: LivingOrder
    started: datetime
    steps: dict[str, str] = field(default_factory=dict)
    failed: dict[str, str] = field(default_factory=dict)
    last: dict[str, Any] = field(default_factory=dict)
    facts: dict[str, Any] = field(default_factory=dict)
    news: News | None = None
    moves: list[Move] = field(default_factory=list)
    without: list[Move] = field(default_factory=list)


def run(order: LivingOrder, settings: Settings | None = None) -> int:
    """Do every step, write the page and the state for the next run, print the result; return the exit status.

    Parameters
    ----------
    order : LivingOrder
    settings : Settings, optional
        How the sources are asked; from the environment by default.

    Raises
    ------
    ReviewError
        If there is no folder of evidence.
    """
    if not order.data.is_dir():
        raise ReviewError(f"{order.data}: expected a folder of evidence, found none")
    with locked(order.into / LOCK) as is_alone:
        if not is_alone:
            tell(order, {"status": BUSY, "failed": {"start": "another run is at work"}})
            return BUSY
        one = Run(order, datetime.now(UTC), last=read_state(order.into / STATE))
        for name, step in STEPS.items():
            do(one, name, lambda step=step: step(one, settings))
        return conclude(one)


@contextmanager
def locked(path: Path) -> Iterator[bool]:
    """Lock while the block runs; yields False if another process has the lock. A killed process releases it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("ab") as file:
        yield take_lock(file, path)


def do(one: Run, name: str, step: Callable[[], str]) -> None:
    """Do one step; record a refusal and continue."""
    if not one.order.as_json:
        print(f"{name} ...", file=sys.stderr)
    try:
        one.steps[name] = step()
    except (ReviewError, OSError) as fault:
        one.failed[name] = " ".join(str(fault).split())
        one.steps[name] = f"failed: {one.failed[name]}"


def read_state(path: Path) -> dict[str, Any]:
    """Return the state of the last run; empty if there is no such file or it is damaged."""
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
        return found if isinstance(found, dict) and isinstance(found.get("pools"), list) else {}
    except (OSError, ValueError):
        return {}


# The steps.


def pull_step(one: Run, settings: Settings | None) -> str:
    """Ask the sources, or read saved answers; without either, name the last snapshot."""
    order, store = one.order, Store(one.order.registry)
    if order.pull or order.folder:
        done = ordered(Order(order.registry, order.data, order.only, order.folder), settings)
        if done.failed:
            why = "; ".join(f"{source}: {fault}" for source, fault in done.failed.items())
            raise ReviewError(f"{why}; the last complete snapshot stays in force")
    snapshot = store.snapshot()
    one.facts["snapshot"] = snapshot.name
    return dated(snapshot)


def changes_step(one: Run, _: Settings | None) -> str:
    """Compare the last snapshot with the one of the last run, else with the one before it."""
    store = Store(one.order.registry)
    since = one.last.get("snapshot", "")
    since = since if since in store.names() else ""
    one.news = registry_news(tables.load(one.order.data), since, registry=one.order.registry)
    one.facts |= {"since": since or None, "changes": len(one.news.lines)}
    return str(one.news.sentence)


def screen_step(one: Run, _: Settings | None) -> str:
    """Write the list of records to decide on, one per snapshot; an existing list may contain decisions and is kept."""
    evidence, store = tables.load(one.order.data), Store(one.order.registry)
    rows = worklist(evidence, sort_records(evidence, store, store.snapshot()))
    differ = len(conflicts(evidence))
    one.facts |= {"to_screen": len(rows), "conflicts": differ}
    if not rows:
        return f"no record waits for a decision; {differ} on which reviewers differ"
    path = one.order.into / f"worklist_{store.names()[-1]}.csv"
    if not path.exists():
        write_proposals(path, rows, WORK_COLUMNS)
    one.facts["worklist"] = str(path)
    return f"{len(rows)} records wait for a decision: {path.name}; {differ} on which reviewers differ"


def check_step(one: Run, _: Settings | None) -> str:
    """Check tables and protocol."""
    text, status = check.report(one.order.data)
    if status:
        raise ReviewError(f"cellclaims check finds: {text}")
    return text.strip().splitlines()[-1]


def review_step(one: Run, _: Settings | None) -> str:
    """Update all reports, and compare the pools with those of the last run."""
    quiet = one.order.as_json
    tell_ = (lambda line: None) if quiet else (lambda line: print(f"  {line}", file=sys.stderr))
    made = review(one.order.notebooks, one.order.reports, workers=one.order.workers, say=tell_)
    one.facts["notebooks"] = made
    now = pools_of(one.order.reports)
    one.moves = moved(one.last["pools"], now) if one.last else []
    return f"{len(made)} notebooks run" if made else "all reports were up to date"


def pools_of(reports: Path) -> list[dict[str, Any]]:
    """Return the recorded pools."""
    return json.loads((reports / "results.json").read_text(encoding="utf-8"))


def refit_step(one: Run, _: Settings | None) -> str:
    """Refit every pool with a study whose source was retracted, corrected, questioned or posted other results."""
    base = EvidenceBase(tables.load(one.order.data), protocol.load(one.order.data))
    reasons = affected(base, one.news.lines if one.news else ())
    if not reasons:
        return "no source of a pool was retracted, corrected, questioned or posted other results"
    records = pools_of(one.order.reports)
    other: list[str] = []
    one.without = list(without(base, records, reasons, other))
    names = ", ".join(reasons)
    rest = f"; not reproduced from their questions, so not refitted: {', '.join(other)}" if other else ""
    return f"{len(one.without)} pools refitted without {names}{rest}"


STEPS: Mapping[str, Callable[[Run, Settings | None], str]] = {
    "pull": pull_step,
    "changes": changes_step,
    "screen": screen_step,
    "check": check_step,
    "review": review_step,
    "with and without": refit_step,
}


def affected(base: EvidenceBase, lines: Sequence[Mapping[str, str]]) -> dict[str, str]:
    """Return studies whose source was retracted, corrected or questioned, or posted other results, with the reason.

    Parameters
    ----------
    base : EvidenceBase
    lines : sequence of dict
        What is new (:class:`cellclaims.reporting.registries.News`).
    """
    known = known_registrations(base.evidence)
    studies = set(base.evidence.studies.study_id)
    found: dict[str, str] = {}
    for line in lines:
        if line["kind"] not in REFITTED:
            continue
        if line["what"].startswith(USED):
            names = line["what"].removeprefix(USED).split(", ")
        else:
            names = known[line["number"]].reports if line["number"] in known else ()
        for name in names:
            if name in studies:
                found.setdefault(name, line["kind"])
    return found


def without(
    base: EvidenceBase, records: Sequence[Mapping[str, Any]], reasons: Mapping[str, str], other: list[str]
) -> Iterator[Move]:
    """Refit each pool with one of the studies, with and without it.

    Parameters
    ----------
    base : EvidenceBase
    records : sequence of dict
        The pools of the review, as recorded.
    reasons : mapping of str
        Study -> why it is left out.
    other : list of str
        Takes the names of pools that the engine does not reproduce from their question: a refit
        would compare two analyses.
    """
    for one in records:
        mine = [row["study_id"] for row in one["rows"]]
        for study in (name for name in reasons if name in mine):
            question, analysis = asked_of(one)
            whole = record(one["notebook"], pooled(base, question, analysis))
            if not is_same(one, whole):
                other.append(f"{one['notebook']}: {one['pool']}")
                break
            less = record(one["notebook"], pooled(base, question.without([study]), analysis))
            yield Move(whole, less, f"{study} ({reasons[study]})")


def asked_of(one: Mapping[str, Any]) -> tuple[Question, Analysis]:
    """Return the question and the analysis of a recorded pool, as far as recorded."""
    question = Question(**one["question"]).named(one["pool"], one["title"])
    said = one["settings"]
    models = {"beta_binomial", "bayes"} & {said.get("model")}
    return question, Analysis(
        one["measure"], next(iter(models), ""), level=said["level"], correlation=said.get("correlation")
    )


# The end of a run.


def conclude(one: Run) -> int:
    """Write the page and the state, print the result; return the exit status."""
    order = one.order
    status = FAILED if one.failed else DONE
    since = str(one.last.get("started", ""))[:10]
    sentence = say(living_sentence(since, one.moves, one.without, one.failed), one.news.sentence if one.news else "")
    shown = [
        *([moves_table(one.moves, "Pools that moved since the last run")] if one.moves else []),
        *([moves_table(one.without, "Pools with and without a retracted or changed source")] if one.without else []),
        *(one.news.tables if one.news else ()),
        steps_table(one.steps),
    ]
    one.facts |= {
        "moved": [moved_fact(move) for move in one.moves],
        "without": [moved_fact(move) for move in one.without],
    }
    try:
        page = order.into / f"{one.started:%Y-%m-%d_%H%M%S}.html"
        title = f"What changed since {since}" if since else "What is known on the first run"
        write_atomically(page, news_page(News(sentence, tuple(shown), ()), provenance(order.data), title))
        one.facts["page"] = str(page)
        if not one.failed:  # after a fault the next run compares with the last whole state, so that nothing is missed
            state = {
                "started": f"{one.started:%Y-%m-%dT%H:%M:%SZ}",
                "snapshot": one.facts.get("snapshot", ""),
                "pools": pools_of(order.reports),
            }
            write_atomically(order.into / STATE, json.dumps(state, ensure_ascii=False, allow_nan=False) + "\n")
    except (ReviewError, OSError) as fault:
        one.failed["page"], status = " ".join(str(fault).split()), FAILED
    tell(order, {"status": status, "failed": one.failed, **one.facts}, str(sentence))
    return status


def moved_fact(move: Move) -> dict[str, Any]:
    """Return a change for JSON: pool, excluded study, value and k before and after."""
    states = {"before": move.before, "after": move.after}
    return {
        "pool": ": ".join(move.names),
        "without": move.because or None,
        **{
            name: {key: state["result"][key] for key in ("beta", "k")} if state else None
            for name, state in states.items()
        },
    }


def tell(order: LivingOrder, facts: Mapping[str, Any], sentence: str = "") -> None:
    """Print one line of JSON, or the paragraph and the path of the page."""
    if order.as_json:
        print(json.dumps(facts, ensure_ascii=True))
        return
    for step, why in facts["failed"].items():
        print(f"cellclaims: {step}: {why}", file=sys.stderr)
    print("\n".join(filter(None, [sentence, facts.get("page", "")])))
