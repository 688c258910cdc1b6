"""The paper of the hour and what belongs to it: results, risk of bias, closeness, harms, alternatives, control arms.

Every number is read from the evidence tables; a value that a report does not give is shown as "not reported".
"""

from __future__ import annotations

import functools
import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

import pandas as pd

from cellclaims.claims import Entry
from cellclaims.claims.counterparts import INFUSED, TYPES, UNSAID, answer_of
from cellclaims.claims.counterparts import asked as question_about
from cellclaims.evidence import Evidence
from cellclaims.journal_club.audience import BLANK, DOMAINS, Audience
from cellclaims.pool import Pool, label, pooled
from cellclaims.question import Analysis
from cellclaims.reporting.pools import Sentence, say
from cellclaims.reporting.tables import MISSING, Link, Table, number
from cellclaims.selection import NEVER_POOLED, EvidenceBase

#: The report around which the hour is built: the largest randomised blinded trial in type 2 diabetes.
PAPER, CELLS, PLACEBO = "zang2022", "ucmsc", "placebo"
#: Its primary outcome, by which the risk of bias is judged, and its last visit, in months.
PRIMARY, LAST = "insulin_halved_and_hba1c_lt_7", 11
NOT_REPORTED = "not reported"
TYPE_WORDS = {"T1D": "type 1 diabetes", "T2D": "type 2 diabetes", "both": "diabetes"}


# Studies by name.


@functools.lru_cache(maxsize=8)
def labels(base: EvidenceBase) -> Mapping[str, str]:
    """The label of every study by study_id; studies of one author and year have a letter.

    Parameters
    ----------
    base : EvidenceBase

    Returns
    -------
    mapping of str
    """
    return {study: label(base.evidence, study) for study in base.evidence.studies.study_id}


# The patient and the page.


def figure_of(claim: Any) -> str:
    """The advertised figure as a patient would say it; empty where the statement has none.

    >>> from types import SimpleNamespace
    >>> figure_of(SimpleNamespace(value=93.0, unit="percent", figure_qualifier="over"))
    'over 93%'
    """
    if math.isnan(claim.value) or claim.unit != "percent":
        return ""
    return f"{claim.figure_qualifier} {claim.value:g}%".strip()


def vignette(claim: Any) -> Sentence:
    """The patient who brings the page, said to be made up, and the statement with every qualifier.

    Parameters
    ----------
    claim : Any
        A row of claims.csv.

    Returns
    -------
    Sentence
    """
    kind, figure = TYPE_WORDS[claim.diabetes_type], figure_of(claim)
    asks = f"“Doctor, they print {figure}. Should I go?”" if figure else "“Doctor, what do you make of this?”"
    patient = f"Mr K. (58, a made-up patient) has had {kind} for twelve years and injects insulin. He brings a page:"
    return say(f"{patient} {asks}", str(claim.wording).replace(" %", "%"))


def page_table(claim: Any) -> Table:
    """What the statement says about itself, and what it leaves out.

    Parameters
    ----------
    claim : Any
        A row of claims.csv.

    Returns
    -------
    Table
    """
    words = {"yes": "stated", "partly": "stated in part"}
    rows = [(what, words.get(getattr(claim, column), "not stated")) for column, what in UNSAID.items()]
    return Table(("what a percentage needs", "on the page"), tuple(rows), "What the page states and leaves out")


# The paper: what was done, what was found, how far its result can be trusted.


def facts(evidence: Evidence) -> Sentence:
    """Who was treated with what, compared with what, for how long, and what the registry has."""
    study = evidence.studies[evidence.studies.study_id == PAPER].iloc[0]
    cells, placebo = (_size(evidence, arm) for arm in (CELLS, PLACEBO))
    entry = [_mean(evidence, arm, "hba1c", "level", 0.0) for arm in (CELLS, PLACEBO)]
    record = "".join(
        f" The record of {row.registry_id} gives {row.planned:g} participants; the paper has {cells + placebo:g}."
        for row in evidence.registrations[evidence.registrations.study_id == PAPER].itertuples()
        if math.isfinite(row.planned)
    )
    return say(
        f"Randomised, {study.blinding}-blind, placebo-controlled; {study.country}; {TYPE_WORDS[study.diabetes_type]} "
        f"treated with insulin; followed for {study.follow_up_months:g} months (48 weeks). {cells:g} participants had "
        f"{study.n_infusions:g} infusions of mesenchymal cells from umbilical cord, {placebo:g} had placebo. "
        f"Mean HbA1c at entry: {number(entry[0])}% and {number(entry[1])}%.{record}"
    )


def _size(evidence: Evidence, arm: str) -> float:
    rows = evidence.arms[(evidence.arms.study_id == PAPER) & (evidence.arms.arm_id == arm)].iloc[0]
    return float(rows.n_enrolled if math.isnan(rows.n_analysed) else rows.n_analysed)


def _mean(evidence: Evidence, arm: str, outcome: str, kind: str, months: float = LAST) -> float:
    """A mean of the paper as it was reported, in the unit of its row; NaN without one."""
    rows = evidence.continuous
    found = rows[
        (rows.study_id == PAPER) & (rows.arm_id == arm) & (rows.outcome == outcome)
        & (rows.kind == kind) & (rows.months == months)
    ]  # fmt: skip
    return float(found.center.iloc[0]) if len(found) else math.nan


def placebo_change(evidence: Evidence) -> float:
    """The change of HbA1c on placebo as the paper reports it, in percentage points."""
    return _mean(evidence, PLACEBO, "hba1c", "change")


def results_table(evidence: Evidence) -> Table:
    """The paper's results at its last visit, by arm."""
    arms = (CELLS, PLACEBO)
    halved = [_count(evidence, arm, PRIMARY) for arm in arms]
    risk = _contrast(evidence, "composite_primary")
    hba1c, dose = ([_mean(evidence, arm, name, "change") for arm in arms] for name in ("hba1c", "insulin_dose"))
    tests = {name: _contrast(evidence, name).p_value_printed for name in ("hba1c", "insulin_dose")}
    points = f"{number(hba1c[0] - hba1c[1])} points (P = {tests['hba1c']})"
    rows = (
        (
            "insulin dose halved and HbA1c below 7% (primary)", *map(_count_words, halved),
            f"{number(risk.estimate)} points ({number(risk.ci_low)} to {number(risk.ci_high)})",
        ),
        ("change of HbA1c, as reported", *(f"{number(v)} points" for v in hba1c), points),
        ("insulin dose reduced by", *(f"{number(v, 1)}%" for v in dose), f"P {tests['insulin_dose']}"),
        ("off insulin", NOT_REPORTED, NOT_REPORTED, MISSING),
        ("all glucose-lowering drugs stopped", NOT_REPORTED, NOT_REPORTED, MISSING),
    )  # fmt: skip
    header = ("outcome at 48 weeks", f"cells (n = {_size(evidence, CELLS):g})",
              f"placebo (n = {_size(evidence, PLACEBO):g})", "difference")  # fmt: skip
    return Table(header, rows, "Zang 2022: what the abstract reports")


def _count(evidence: Evidence, arm: str, definition: str) -> tuple[float, float]:
    rows = evidence.binary
    found = rows[(rows.study_id == PAPER) & (rows.arm_id == arm) & (rows.definition_id == definition)].iloc[0]
    return float(found.events), float(found.n)


def _count_words(count: tuple[float, float]) -> str:
    events, n = count
    return f"{events:g}/{n:g} ({number(100 * events / n, 1)}%)"


def _contrast(evidence: Evidence, outcome: str) -> Any:
    rows = evidence.contrasts
    return rows[(rows.study_id == PAPER) & (rows.outcome == outcome)].iloc[0]


READINGS = ("reading 1", "reading 2")


def bias_table(evidence: Evidence, audience: Audience, shown: bool = True) -> Table:
    """Risk of bias of the paper's primary result by domain: the room's judgement, and the two readings.

    Parameters
    ----------
    evidence : Evidence
    audience : Audience
    shown : bool
        False shows the room's column alone, to be filled in first.

    Returns
    -------
    Table
    """
    rows = judgements_of(evidence)
    read = [tuple(rows[reading, domain].judgement for reading in READINGS) if shown else () for domain in DOMAINS]
    cells = [(domain, audience.bias.get(domain, BLANK), *found) for domain, found in zip(DOMAINS, read, strict=True)]
    header = ("domain (RoB 2)", "the room", *(READINGS if shown else ()))
    return Table(header, tuple(cells), "Zang 2022, insulin halved and HbA1c below 7%: risk of bias")


def judgements_of(evidence: Evidence) -> dict[tuple[str, str], Any]:
    """The judgements on the paper's primary result, by reading and domain."""
    rows = evidence.judgements
    rows = rows[(rows.study_id == PAPER) & (rows.outcome == PRIMARY) & (rows.tool == "RoB 2")]
    return {(row.reviewer, row.domain): row for row in rows.itertuples()}


def agreement(evidence: Evidence) -> Sentence:
    """On how many domains the two readings agree, and what they rested on."""
    rows = judgements_of(evidence)
    domains = [domain for domain in DOMAINS if domain != "overall"]
    same = sum(rows[READINGS[0], domain].judgement == rows[READINGS[1], domain].judgement for domain in domains)
    read = "; ".join(dict.fromkeys(rows[reading, "overall"].text_read.replace("; ", ", ") for reading in READINGS))
    return say(
        f"The two readings agree on {same} of {len(domains)} domains and on the overall judgement."
        if rows[READINGS[0], "overall"].judgement == rows[READINGS[1], "overall"].judgement
        else f"The two readings agree on {same} of {len(domains)} domains, but not on the overall judgement.",
        f"Neither rested on the full text ({read}); both were made by the maintainers with reading software.",
    )


def support_table(evidence: Evidence) -> Table:
    """Why each reading judged as it did, folded."""
    rows = judgements_of(evidence)
    cells = [(domain, reading, rows[reading, domain].judgement, rows[reading, domain].support)
             for domain in DOMAINS for reading in READINGS]  # fmt: skip
    header = ("domain", "reading", "judgement", "reason")
    return Table(header, tuple(cells), "Why the readers judged so", folded=True)


# Which published outcome is the advertised one.


class Near(NamedTuple):
    """A published outcome and how close it is to the advertised one: exact, near or not, with the reason."""

    outcome: str
    name: str
    close: str
    why: str
    pool: Pool | None


def advertised_outcome(base: EvidenceBase, claim: Any) -> str:
    """The published outcome that answers the statement, by the protocol; empty where none is counted or measured."""
    return answer_of(base.protocol, claim).get("outcome", "")


def nearest_outcomes(base: EvidenceBase, claim: Any) -> dict[str, str]:
    """The published outcomes that lack a component of the advertised one, each with the difference in words."""
    return {near["outcome"]: near["difference"] for near in answer_of(base.protocol, claim).get("nearest", ())}


def outcomes_near(base: EvidenceBase, claim: Any) -> list[Near]:
    """The outcomes of the protocol, the exact one first, each with its published results in the claim's population."""
    exact, found = advertised_outcome(base, claim), []
    names = {name: about["name"] for name, about in base.protocol["outcomes"].items()}
    near = nearest_outcomes(base, claim)
    for name, words in names.items():
        if name == exact:
            close, why = "exact", "what the page advertises"
        else:
            close, why = ("near", near[name]) if name in near else ("not", "another outcome")
        is_measured = bool({"unit", "units"} & {*base.protocol["outcomes"][name]})
        pool = None if is_measured else published(base, claim, name)
        found.append(Near(name, words, close, why, pool))
    return sorted(found, key=lambda one: ("exact", "near", "not").index(one.close))


def published(base: EvidenceBase, claim: Any, outcome: str) -> Pool:
    """The published counts of an outcome after cells, at any time, without the clinic's own trials."""
    about = {"outcome": outcome, "product": answer_of(base.protocol, claim).get("product", INFUSED)}
    question = question_about(base, about, TYPES[claim.diabetes_type])
    return pooled(base, question.named(f"near_{outcome}", outcome), Analysis("PLO"))


def outcome_table(found: Sequence[Near], shown: bool = True) -> Table:
    """Published outcomes to sort into exact, near and not; with ``shown`` sorted, with what was published.

    Parameters
    ----------
    found : sequence of Near
    shown : bool
        False leaves the columns blank for the room.

    Returns
    -------
    Table
    """
    if not shown:
        rows = tuple((one.name, BLANK) for one in sorted(found, key=lambda one: one.name.lower()))
        return Table(("published outcome", "exact, near or not?"), rows, "Sort these published outcomes")
    header = ("published outcome", "close?", "why", "studies", "participants with it")
    rows = tuple((one.name, one.close, one.why, *_counted(one.pool)) for one in found)
    return Table(header, rows, "Published outcomes by how close they are to the advertised one", frozenset({3}))


def _counted(pool: Pool | None) -> tuple[str, str]:
    if pool is None:
        return "see notebook 2", MISSING
    if not pool.k:
        return "0", MISSING
    events, n = pool.rows.events.sum(), pool.rows.n.sum()
    return f"{pool.k}", f"{events:g} of {n:g}"


def example_sentence(evidence: Evidence, exact: float | None) -> Sentence:
    """A sentence for the patient, with the counts of the paper.

    Parameters
    ----------
    evidence : Evidence
    exact : float or None
        Number of published studies of exactly the advertised outcome.

    Returns
    -------
    Sentence
    """
    with_it = [round(100 * events / n) for events, n in (_count(evidence, arm, PRIMARY) for arm in (CELLS, PLACEBO))]
    first = (
        "I found no study that counted what the page promises"
        if not exact
        else (f"{exact:g} published studies counted what the page promises")
    )
    return say(
        f"“{first}; in the largest trial with a placebo {with_it[0]} of 100 people given cells and {with_it[1]} of 100 "
        "given placebo halved their insulin with good control after a year, no trial is long or large enough to tell "
        "how safe that is, and there are other ways to need less insulin.”"
    )


def finding_table(entry: Entry) -> Table:
    """What the review says of the statement, as few lines as fit a slide: finding, rule, certainty, closeness.

    Parameters
    ----------
    entry : Entry
        One entry of the ledger.

    Returns
    -------
    Table
    """
    rows = [("finding", entry.finding)]
    rows += [("rule", "; ".join(entry.reasons))] if entry.reasons else []
    rows += [("certainty of the evidence", entry.certainty)] if entry.certainty else []
    rows += [
        (f"close in {what}?", f"{grade['grade']}: {grade['reason']}")
        for what, grade in entry.close.items()
        if what in ("outcome", "time")
    ]
    rows += [
        (
            f"nearest: {near['name']}",
            f"{studies_words(near['k'])}, {near['events']:g} of {near['n']:g}: {near['difference']}",
        )
        for near in entry.nearest
    ]
    return Table(("the review", "says"), tuple(rows), f"The ledger's entry: {entry.name}")


def studies_words(k: int) -> str:
    """The number of studies in words.

    >>> studies_words(1), studies_words(5)
    ('one study', '5 studies')
    """
    return "one study" if k == 1 else f"{k} studies"


# Harms, alternatives, control arms, registration.


#: Harms as `definitions.csv` names them, in words.
HARMS = {
    "death": "death",
    "serious_adverse_event": "serious adverse event",
    "serious_adverse_event_related": "serious event judged related to the cells",
    "procedure_reaction": "reaction to the infusion or procedure",
    "fever": "fever",
    "severe_hypoglycaemia": "severe hypoglycaemia",
}


def harms_table(base: EvidenceBase, claim: Any) -> Table:
    """Harms in trials of cells in the claim's population: participants with each, by arm, and who reports it."""
    people, classes = TYPES[claim.diabetes_type], base.protocol.classes(INFUSED)
    rows = base.rows("binary")
    rows = rows[
        rows.diabetes_type.isin(people)
        & rows.intervention_class.isin(classes)
        & rows.n.notna()
        & rows.leave.isin(("", NEVER_POOLED))
    ]
    cells = tuple(_harm(labels(base), rows[rows.definition_id == name], words) for name, words in HARMS.items())
    return Table(("harm", "with cells", "controls", "reported by"), cells, "Harms that these trials report")


def _harm(names: Mapping[str, str], rows: pd.DataFrame, words: str) -> tuple[str, str, str, str]:
    treated, control = rows[rows.gets_cells == "yes"], rows[rows.gets_cells == "no"]
    who = ", ".join(names[study] for study in dict.fromkeys(rows.study_id)) or "no study"
    return words, *(_events(side) for side in (treated, control)), who


def _events(rows: pd.DataFrame) -> str:
    return f"{rows.events.sum():g} of {rows.n.sum():g}" if len(rows) else NOT_REPORTED


#: Benchmarks of the hour: what else gets people off insulin or off all drugs, and the row of its control group.
ALTERNATIVES = {"m033": "m034", "m039": "", "m006": "m008"}


def alternatives_table(evidence: Evidence) -> Table:
    """What else gets people with type 2 diabetes off insulin, or off all drugs, and how many in the control group."""
    rows = evidence.benchmarks.set_index("benchmark_id")
    cells = []
    for name, other in ALTERNATIVES.items():
        row = rows.loc[name]
        control = f"{number(float(rows.loc[other].estimate), 1)}%" if other else "no control group"
        told = row.definition.removeprefix("any: ")
        found = f"{number(float(row.estimate), 1)}%"
        cells.append((Link(row.comparison, row.url.split(" ")[0]), row.population, f"{told}, {row.months:g} months",
                      found, control))  # fmt: skip
    header = ("treatment", "who", "outcome", "treated", "control")
    return Table(header, tuple(cells), "Alternatives that published studies report", frozenset({3, 4}))


#: The other blinded trial in type 2 diabetes whose control arm reports HbA1c and insulin dose.
SHAM_TRIAL, SHAM = "bhansali2014", "sham"
#: A meta-analysis of placebo arms in type 2 diabetes.
PLACEBO_ARMS = "b082"


def control_arms_table(evidence: Evidence) -> Table:
    """What changed in people who got no cells: HbA1c in percentage points, insulin in percent of the dose at entry."""
    hba1c, dose = ([_sham(evidence, name, months) for months in (0, 12)] for name in ("hba1c", "insulin_dose"))
    many = evidence.topic_evidence.set_index("row_id").loc[PLACEBO_ARMS]
    rows = (
        ("Zang 2022, placebo", "11", f"{number(placebo_change(evidence))} (mean)",
         f"{number(-_mean(evidence, PLACEBO, 'insulin_dose', 'change'), 0)}%"),
        ("Bhansali 2014a, sham", "12", f"{_signed(hba1c[1] - hba1c[0])} (medians)",
         f"{number(100 * (dose[1] / dose[0] - 1), 0)}% (medians)"),
        ("placebo arms of 392 trials, type 2", "varies", f"{number(float(many.estimate))} (mean)", NOT_REPORTED),
    )  # fmt: skip
    header = ("control group", "months", "HbA1c, points", "insulin dose")
    return Table(header, rows, "What changed without cells", frozenset({1, 2, 3}))


def _signed(value: float) -> str:
    return f"{'+' if value > 0 else ''}{number(value, 1)}"


def _sham(evidence: Evidence, outcome: str, months: float) -> float:
    rows = evidence.continuous
    found = rows[
        (rows.study_id == SHAM_TRIAL) & (rows.arm_id == SHAM) & (rows.outcome == outcome) & (rows.months == months)
    ]
    return float(found.center.iloc[0])


#: What registries say of themselves and of a number: rows of topics/evidence.csv, with the name of the source.
REGISTRY_ROWS = {
    "b096": "World Health Organization, registry platform",
    "b097": "Chinese Clinical Trial Registry, guidance",
    "b100": "ClinicalTrials.gov, notice on every record",
    "b099": "Liu 2014, the report of a number that the page gives",
}


def registration_table(evidence: Evidence) -> Table:
    """What a registration means, by the registries themselves, and what one report gives under its number."""
    rows = evidence.topic_evidence.set_index("row_id")
    cells = [(Link(words, rows.loc[name].read_at), rows.loc[name].result) for name, words in REGISTRY_ROWS.items()]
    return Table(("source", "what it says"), tuple(cells), "Registration is a public record, not an approval")


def registration_words(claims: Iterable[Any]) -> Sentence:
    """The statements of the page on registration; that it has none where it has none."""
    said = [str(claim.wording) for claim in claims if claim.answered_by == "registration"]
    return say(said[0]) if said else say("The page says nothing about a registration.")
