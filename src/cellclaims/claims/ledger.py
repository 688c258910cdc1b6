"""The ledger: one entry for each answer and family of statements, with its finding and what the finding rests on."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from typing import Any

from cellclaims.appraisal import certainty_of_pool, certainty_of_reports
from cellclaims.claims import findings
from cellclaims.claims.counterparts import (
    CONTEXT,
    EFFECT,
    FAMILIES,
    MECHANISM,
    RATE,
    RECORD,
    REGISTRATION,
    TYPES,
    answer_of,
    asked,
    counts_of,
    family_of,
    is_measured,
    known,
    largest_blinded,
    measure_of,
    nearest_of,
    own_trials,
    place_of,
    shown,
    unsaid,
)
from cellclaims.claims.findings import EffectFinding, RateRules, StudyResult
from cellclaims.claims.topics import counting, facts_of, largest_blinded_of, name_of, results_of, rows_of
from cellclaims.evidence import Evidence
from cellclaims.pool import Pool, label, link, pooled
from cellclaims.protocol import Protocol
from cellclaims.selection import EvidenceBase, Question


@dataclass(frozen=True)
class Entry:
    """What may be said of the statements of one answer and family; percentages and percentage points, unrounded.

    Attributes
    ----------
    entry_id, family, answered_by, name : str
        ``name`` says in few words what is claimed.
    statements : list of dict
        Every statement that the entry covers, with its wording, its qualifiers, its text and its place there.
    advertised : dict or None
        Of a rate: value, unit, qualifier, and the number of patients that the text gives.
    unsaid : list of str
        What no statement of the entry states.
    close : dict
        How close the evidence is to the claim in outcome, population, product and time: a grade (yes, partly, no) and
        its reason for each.
    finding, rule : str
        One of the findings of the protocol; which part of its rule held.
    reasons : list of str
        The rule in the protocol's words.
    edges : list of str
        Edges of rules within a tenth, where the finding would be another one.
    outcome_finding : dict or None
        Of a mechanism: the finding on the outcome that it is said to have, with its counted results.
    certainty : str or None
        Of the evidence, by GRADE; None where there is none to rate.
    certainty_steps : list of dict
    studies : list of dict
        The results that the finding rests on, each study's own, with its interval.
    others : list of dict
        Results that are listed and not counted, and what is known without being a result.
    probabilities : dict
        Scale of the prior -> probability that a similar centre reaches the advertised percentage; empty for fewer than
        three studies.
    pool : dict or None
        k, participants, and the pooled value with its intervals, where three or more studies are pooled.
    nearest : list of dict
        Published outcomes that lack a component of the claim: listed, never compared with the advertised value.
    own_trial : list of dict
        What could be read of the trial whose registration the text cites; never counted.
    largest_blinded : dict or None
        The largest randomised blinded trial that reports the outcome.
    stability : float or None
        Proportion of the distinct specifications that give the same finding; None where there are too few to say.
    specifications : int
        Number of distinct specifications.
    """

    entry_id: str
    family: str
    answered_by: str
    name: str
    statements: list[dict[str, Any]]
    finding: str
    rule: str = ""
    reasons: list[str] = field(default_factory=list)
    edges: list[str] = field(default_factory=list)
    advertised: dict[str, Any] | None = None
    unsaid: list[str] = field(default_factory=list)
    close: dict[str, dict[str, str]] = field(default_factory=dict)
    outcome_finding: dict[str, Any] | None = None
    certainty: str | None = None
    certainty_steps: list[dict[str, Any]] = field(default_factory=list)
    studies: list[dict[str, Any]] = field(default_factory=list)
    others: list[dict[str, Any]] = field(default_factory=list)
    probabilities: dict[str, float] = field(default_factory=dict)
    pool: dict[str, Any] | None = None
    nearest: list[dict[str, Any]] = field(default_factory=list)
    own_trial: list[dict[str, Any]] = field(default_factory=list)
    largest_blinded: dict[str, Any] | None = None
    stability: float | None = None
    specifications: int = 0

    @property
    def claim_ids(self) -> list[str]:
        """The statements that the entry covers, by claim_id."""
        return [one["claim_id"] for one in self.statements]

    @property
    def documents(self) -> list[str]:
        """The texts in which they are, in the order of the statements."""
        return list(dict.fromkeys(one["document"] for one in self.statements))

    def as_json(self) -> dict[str, Any]:
        """The entry as JSON values."""
        return asdict(self) | {"claim_ids": self.claim_ids}


#: How an effect says that the medians that it was converted from differ the other way.
UNCLEAR = "direction unclear"


# Statements into entries.


def groups_of(evidence: Evidence) -> dict[str, list[Any]]:
    """The statements of each entry, by entry_id, in the order of claims.csv.

    Parameters
    ----------
    evidence : Evidence

    Returns
    -------
    dict of list
        Rows of claims.csv. A rate is an entry of its own by value, type of diabetes and text, a record by statement.
    """
    groups: dict[str, list[Any]] = {}
    for claim in evidence.claims.itertuples():
        family = family_of(claim)
        parts = [family, claim.answered_by]
        if family == RATE:
            parts += [f"{claim.value:g}", claim.diabetes_type, claim.document_id]
        elif family == RECORD:
            parts.append(claim.claim_id)
        groups.setdefault(".".join(parts), []).append(claim)
    return groups


def ledger(base: EvidenceBase) -> list[Entry]:
    """An entry for every group of statements, and one for each question of the review's own.

    Parameters
    ----------
    base : EvidenceBase
        The evidence and the protocol.

    Returns
    -------
    list of Entry
        Rates first, then effects, mechanisms, records and context; within a family in the order of claims.csv.
        Without their stability, which takes longer (:func:`cellclaims.claims.stability.with_stability`).

    Raises
    ------
    ProtocolError
        For a statement whose ``answered_by`` no answer has.
    """
    entries = [_entry(base, entry_id, claims) for entry_id, claims in groups_of(base.evidence).items()]
    entries += [_own_question(base, name) for name, one in base.protocol["answers"].items() if "own_question" in one]
    return sorted(entries, key=lambda entry: FAMILIES.index(entry.family))


def entry_with(entries: Iterable[Entry], claim_id: str) -> Entry:
    """The entry that covers a statement; raises KeyError for none."""
    for entry in entries:
        if claim_id in entry.claim_ids:
            return entry
    raise KeyError(claim_id)


def entry_of(base: EvidenceBase, claim: Any) -> Entry:
    """The entry that covers a statement, with all other statements that it covers.

    Parameters
    ----------
    base : EvidenceBase
    claim : Any
        A row of claims.csv.

    Returns
    -------
    Entry
    """
    for entry_id, claims in groups_of(base.evidence).items():
        if claim.claim_id in {one.claim_id for one in claims}:
            return _entry(base, entry_id, claims)
    raise KeyError(claim.claim_id)


def advertised_rates(base: EvidenceBase) -> list[Entry]:
    """The entries of all advertised percentages, in the order of claims.csv.

    Parameters
    ----------
    base : EvidenceBase

    Returns
    -------
    list of Entry
    """
    groups = groups_of(base.evidence).items()
    return [_entry(base, entry_id, claims) for entry_id, claims in groups if family_of(claims[0]) == RATE]


def _entry(base: EvidenceBase, entry_id: str, claims: Sequence[Any]) -> Entry:
    """The entry of some statements of one answer and family."""
    first = claims[0]
    answer = answer_of(base.protocol, first)
    family = family_of(first)
    about = {
        "entry_id": entry_id,
        "family": family,
        "answered_by": first.answered_by,
        "name": answer["name"],
        "statements": [_statement(base.evidence, claim) for claim in claims],
        "unsaid": unsaid(first) if family == RATE else [],
        "close": close_of(answer) if family in (RATE, EFFECT, MECHANISM) else {},
        "own_trial": _own_trial(base, answer, claims, family),
    }
    made = {RATE: _rate, EFFECT: _effect, MECHANISM: _mechanism, RECORD: _record, CONTEXT: _context}[family]
    return Entry(**about | made(base, answer, claims))


def close_of(answer: Mapping[str, Any]) -> dict[str, dict[str, str]]:
    """How close the evidence of an answer is: grade and reason for each of outcome, population, product and time."""
    return {what: {"grade": grade, "reason": reason} for what, (grade, reason) in answer.get("close", {}).items()}


def _statement(evidence: Evidence, claim: Any) -> dict[str, Any]:
    """A statement in our words with every qualifier, its text, and whether a copy of the text exists."""
    document = evidence.documents[evidence.documents.document_id == claim.document_id].iloc[0]
    return {
        "claim_id": claim.claim_id,
        "kind": claim.kind,
        "what": claim.what_is_claimed,
        "wording": claim.wording,
        "qualifier": "" if claim.qualifier == "none" else claim.qualifier,
        "document": claim.document_id,
        "title": document.title,
        "copy": document.copy_exists == "yes",
        "locator": claim.locator,
        "as_of": "" if math.isnan(claim.as_of) else f"{claim.as_of:g}",
        "note": claim.note,
    }


def _reasons(protocol: Protocol, family: str, finding: str) -> list[str]:
    """The rule of a finding in the words of the protocol."""
    steps = protocol["findings"]["rates" if family == RATE else "effects"]["order"]
    return [step["rule"] for step in steps if step["finding"] == finding]


# Rates.


def _rate(base: EvidenceBase, answer: Mapping[str, Any], claims: Sequence[Any]) -> dict[str, Any]:
    claim = claims[0]
    rules = RateRules.of(base.protocol["findings"]["rates"])
    population = TYPES[claim.diabetes_type]
    is_counted = "outcome" in answer and not is_measured(answer)
    is_defined = claim.definition_stated != "no" and answer.get("is_defined", True)
    studies, pool, better = [], None, "higher"
    if is_counted:
        question = asked(base, answer, population)
        studies, pool = counts_of(base, question), pooled(base, question, measure_of(question))
        better = base.protocol.outcome(answer["outcome"]).better
    events, n = [one["events"] for one in studies], [one["n"] for one in studies]
    chances = findings.probabilities_of(events, n, claim.value / 100, rules) if is_defined else {}
    decided = findings.rate_finding(
        events, n, claim.value / 100, chances, is_defined=is_defined, better=better, rules=rules
    )
    is_rated = pool is not None and pool.k > 0 and is_defined
    return {
        "advertised": {
            "value": float(claim.value),
            "unit": claim.unit,
            "qualifier": claim.figure_qualifier,
            "n_treated": None if math.isnan(claim.n_treated) else int(claim.n_treated),
            "diabetes_type": claim.diabetes_type,
        },
        "finding": decided.finding,
        "rule": decided.rule,
        "reasons": _reasons(base.protocol, RATE, decided.finding),
        "edges": list(decided.edges),
        "probabilities": {f"{scale:g}": p for scale, p in chances.items()},
        "studies": studies if is_defined else [],
        "others": [] if is_defined else studies,
        "pool": _pool(pool) if is_rated else None,
        "nearest": nearest_of(base, answer, population),
        "largest_blinded": largest_blinded(studies),
        **(rated(certainty_of(base, answer, pool)) if is_rated else {}),
    }


def _pool(pool: Pool) -> dict[str, Any] | None:
    """k, participants and the pooled value, where the studies are pooled."""
    if not pool.is_pooled:
        return None
    return {"k": pool.k, "n": pool.patients, "tau2": known(pool.tau2), "I2": known(pool.I2), **shown(pool)}


def certainty_of(base: EvidenceBase, answer: Mapping[str, Any], pool: Pool) -> Any:
    """The certainty of the evidence of a pool or of its one or two studies."""
    return certainty_of_pool(base, pool)


def rated(certainty: Any) -> dict[str, Any]:
    """A certainty as the fields of an entry."""
    return {"certainty": certainty.level, "certainty_steps": [asdict(step) for step in certainty.steps]}


# Effects and mechanisms.


def _effect(base: EvidenceBase, answer: Mapping[str, Any], claims: Sequence[Any]) -> dict[str, Any]:
    if "topic" in answer:
        rows = rows_of(base.evidence, answer["topic"])
        return _by_topic(base, answer, rows, findings.effect_finding(results_of(counting(rows))))
    if "outcome" not in answer:
        return _found(base, findings.EffectFinding(findings.NONE_FOUND))
    population = TYPES[claims[0].diabetes_type]
    if is_measured(answer):
        return _by_measure(base, answer, population)
    return _by_counts(base, answer, population) | {"nearest": nearest_of(base, answer, population)}


def _found(base: EvidenceBase, decided: EffectFinding) -> dict[str, Any]:
    return {
        "finding": decided.finding,
        "rule": decided.design,
        "reasons": _reasons(base.protocol, EFFECT, decided.finding),
        "edges": list(decided.edges),
    }


def _by_topic(base: EvidenceBase, answer: Mapping[str, Any], rows: Any, decided: EffectFinding) -> dict[str, Any]:
    """An effect that the rows of a topic answer: each result named, the best kind first."""
    facts = facts_of(base, rows, decided)
    facts = [_not_counted(fact, counting(rows)) for fact in facts]
    counted = [fact for fact in facts if fact["counted"]]
    return {
        **_found(base, decided),
        "studies": counted,
        "others": [fact for fact in facts if not fact["counted"] and not fact["own"]],
        "largest_blinded": largest_blinded_of(facts),
        **_certainty_of_results(base, decided, counted),
    }


def _not_counted(fact: dict[str, Any], rows: Any) -> dict[str, Any]:
    """A row of a counted study that the rule of closeness leaves out is not counted itself."""
    return fact if fact["line"] in rows.index else {**fact, "counted": False}


def _certainty_of_results(
    base: EvidenceBase, decided: EffectFinding, counted: Sequence[Mapping[str, Any]]
) -> dict[str, Any]:
    """The certainty of controlled results of a topic; none where no controlled result counts."""
    controlled = [fact for fact in counted if fact["kind"] in ("randomised", "controlled")]
    if not controlled or decided.finding not in findings.EFFECT_FINDINGS[:6]:
        return {}
    references = tuple(dict.fromkeys(fact["study_id"] for fact in controlled))
    largest = max(controlled, key=lambda fact: fact["n"] or 0)
    is_randomised = largest["kind"] == "randomised"
    agree = len({fact["direction"] for fact in controlled}) == 1
    people = {fact["study_id"]: math.nan if fact["n"] is None else fact["n"] for fact in controlled}
    certainty = certainty_of_reports(
        base,
        len(references),
        randomised=is_randomised,
        agree=agree,
        precise=bool(largest["excludes"]),
        participants=sum(people.values()),
        studies=references,
    )
    return rated(certainty)


def _by_measure(base: EvidenceBase, answer: Mapping[str, Any], population: tuple[str, ...]) -> dict[str, Any]:
    """A measured outcome: the interval of the pool decides, or each trial's own where fewer than three are pooled."""
    question = asked(base, answer, population)
    pool = pooled(base, question, measure_of(question))
    better = base.protocol.outcome(answer["outcome"]).better
    studies = [_measured(base, row) for row in pool.rows.itertuples()]
    if pool.is_pooled:
        finding = findings.pool_finding(pool.fit.ci_lb, pool.fit.ci_ub, better=better)
        decided = EffectFinding(finding, tuple(one["study_id"] for one in studies))
        rule = "pool"
    else:
        decided = findings.effect_finding([_result(one, better) for one in studies])
        rule = decided.design
    own = certainty_of(base, answer, pool) if pool.k else None
    reasons = [base.protocol["findings"]["effects"]["pool"]] if rule == "pool" else []
    return {
        **_found(base, decided),
        "rule": rule,
        **({"reasons": reasons} if reasons else {}),
        "studies": studies,
        "pool": _pool(pool),
        "largest_blinded": largest_blinded(studies),
        **(rated(own) if own else {}),
    }


def _measured(base: EvidenceBase, row: Any) -> dict[str, Any]:
    """One trial's own mean difference with its interval."""
    return {
        **place_of(row),
        "design": row.design,
        "blinding": row.blinding,
        "months": known(row.months),
        "n": float(row.n) + (0.0 if math.isnan(row.n_control) else float(row.n_control)),
        "value": float(row.yi),
        "ci_lb": float(row.ci_lb),
        "ci_ub": float(row.ci_ub),
        "weight": known(row.weight),
        "detail": row.detail,
        "secondary": bool(row.secondary),
        "note": row.note,
    }


def _result(one: Mapping[str, Any], better: str) -> StudyResult:
    """A study's own difference as a result: which way it points, and whether its interval excludes no effect."""
    towards = one["value"] < 0 if better == "lower" else one["value"] > 0
    is_unclear = one["value"] == 0 or UNCLEAR in one.get("detail", "")
    direction = findings.NEITHER if is_unclear else findings.TOWARDS if towards else findings.AWAY
    kind = "randomised" if one["design"] == "rct" else "controlled"
    excludes = not one["ci_lb"] <= 0 <= one["ci_ub"]
    return StudyResult(one["study_id"], kind, direction, excludes, one["n"])


def _by_counts(base: EvidenceBase, answer: Mapping[str, Any], population: tuple[str, ...]) -> dict[str, Any]:
    """An outcome that is held as counts: controlled only where both arms are reported."""
    outcomes = [answer["outcome"], *answer.get("also", ())]
    studies: dict[str, dict[str, Any]] = {}
    for outcome in outcomes:
        for one in counts_of(base, asked(base, {**answer, "outcome": outcome}, population)):
            studies.setdefault(one["study_id"], {**one, "outcome": outcome})
    better = base.protocol.outcome(answer["outcome"]).better
    decided = findings.effect_finding([_of_count(one, better) for one in studies.values()])
    return {
        **_found(base, decided),
        "studies": list(studies.values()),
        "largest_blinded": largest_blinded(list(studies.values())),
    }


def _of_count(one: Mapping[str, Any], better: str) -> StudyResult:
    """A count as a result: of a comparison where the control arm is reported, else of one arm."""
    if one["control"] is None:
        return StudyResult(one["study_id"], "uncontrolled", findings.NEITHER, None, one["n"])
    n = one["n"] + one["control"]["n"]
    return replace(_result({**one, **one["control"]["difference"]}, better), n=n)


def _mechanism(base: EvidenceBase, answer: Mapping[str, Any], claims: Sequence[Any]) -> dict[str, Any]:
    """A mechanism: the rows that test it; and the finding for the outcome that it is said to have."""
    if "topic" not in answer:
        return _found(base, EffectFinding(findings.NONE_FOUND))
    rows = rows_of(base.evidence, answer["topic"])
    usable = counting(rows)
    tests = usable.tests_mechanism == "yes"
    decided, outcome = findings.mechanism_finding(results_of(usable[tests]), results_of(usable[~tests]))
    made = _by_topic(base, answer, rows, decided)
    is_test = {row.row_id for row in usable[tests].itertuples()}
    studies = [fact for fact in made["studies"] if fact["row_id"] in is_test]
    others = [*[fact for fact in made["studies"] if fact["row_id"] not in is_test], *made["others"]]
    made |= {"studies": studies, "others": [{**fact, "counted": False} for fact in others]}
    if outcome is None:
        return made
    facts = [fact for fact in facts_of(base, usable[~tests], outcome) if fact["counted"]]
    made["outcome_finding"] = {"finding": outcome.finding, "design": outcome.design, "studies": facts}
    return made


# Records and context.


def _record(base: EvidenceBase, answer: Mapping[str, Any], claims: Sequence[Any]) -> dict[str, Any]:
    """A statement about a record: by the record itself; pages about registries are listed and are no record."""
    finding, read_on = findings.record_finding(base.protocol["findings"].get("records"), claims[0].claim_id)
    facts = []
    if "topic" in answer:
        rows = rows_of(base.evidence, answer["topic"])
        facts = [fact for fact in facts_of(base, rows) if not fact["own"]]
    reason = f"the record was read on {read_on}" if read_on else answer["why_not_checked"]
    return {"finding": finding, "rule": read_on, "reasons": [reason], "others": facts}


def _context(base: EvidenceBase, answer: Mapping[str, Any], claims: Sequence[Any]) -> dict[str, Any]:
    """A practice, a disclaimer, background, a reference to own data: no finding; what is known is listed."""
    ids = {claim.claim_id for claim in claims}
    rows = base.evidence.topic_evidence
    about = rows[[bool(ids & set(named.split(";"))) for named in rows.claim_ids]]
    facts = [fact for fact in facts_of(base, about) if fact["role"] == "context"]
    return {"finding": findings.NO_FINDING, "reasons": [], "others": facts}


# The clinic's own trial, and the review's own questions.


def _own_trial(
    base: EvidenceBase, answer: Mapping[str, Any], claims: Sequence[Any], family: str
) -> list[dict[str, Any]]:
    """What could be read of the trials whose registration the texts of these statements cite.

    With a rate even where it could not be read; with a topic where it reports on it; of registrations with the number
    that a statement gives. A number of patients treated is another matter: a trial of fewer contradicts nothing.
    """
    if family == CONTEXT or (family == RECORD and "topic" not in answer):
        return []
    documents = {claim.document_id for claim in claims}
    every = base.evidence.claims
    words = every.what_is_claimed[every.document_id.isin(documents)]
    given = {number for claim in claims for number in REGISTRATION.findall(claim.what_is_claimed)}
    cited = given or {number for text in words for number in REGISTRATION.findall(text)}
    mine = [s for s in own_trials(base.evidence) if cited & set(REGISTRATION.findall(base.studies[s].registry_id))]
    found = []
    for study in mine:
        rows = rows_of(base.evidence, answer["topic"]) if "topic" in answer else base.evidence.topic_evidence[:0]
        about = rows[(rows.reference == study) | ((rows.independent_of_clinic == "no") & (rows.reference != study))]
        found.append(
            {
                "study_id": study,
                "label": label(base.evidence, study),
                "link": link(base.evidence, study),
                "results": [
                    {
                        "row_id": row.row_id,
                        "label": "" if row.reference == study else f"{name_of(row)}, which may include it",
                        "result": row.result,
                    }
                    for row in about.itertuples()
                ],
            }
        )
    return [own for own in found if own["results"] or family == RATE]


def _own_question(base: EvidenceBase, name: str) -> Entry:
    """A question that the review asks, and no text: it covers no statement."""
    answer = base.protocol["answers"][name]
    population = tuple(answer["own_question"]["population"])
    return Entry(
        entry_id=f"{EFFECT}.{name}",
        family=EFFECT,
        answered_by=name,
        name=answer["name"],
        statements=[],
        close=close_of(answer),
        **_by_measure(base, answer, population),
    )


def pool_of_entry(base: EvidenceBase, entry: Entry) -> Pool | None:
    """The pool of the studies that answer an entry; None where no counted or measured outcome answers it.

    Parameters
    ----------
    base : EvidenceBase
    entry : Entry

    Returns
    -------
    Pool or None
    """
    question = question_of_entry(base, entry)
    if question is None:
        return None
    name = entry.entry_id.replace(".", "_")
    return pooled(base, question.named(name, question.title), measure_of(question))


def question_of_entry(base: EvidenceBase, entry: Entry) -> Question | None:
    """The question of an entry whose outcome is counted or measured; None for another one."""
    answer = base.protocol["answers"][entry.answered_by]
    if entry.family not in (RATE, EFFECT) or "outcome" not in answer or "topic" in answer:
        return None
    types = TYPES[entry.advertised["diabetes_type"]] if entry.advertised else None
    own = tuple(answer["own_question"]["population"]) if "own_question" in answer else ("T1D", "T2D")
    return asked(base, answer, types or own)
