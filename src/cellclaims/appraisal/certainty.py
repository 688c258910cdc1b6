"""Certainty of a body of evidence by GRADE, from computed facts and recorded judgements.

Imprecision, inconsistency and small-study effects are computed by the rules of ``protocol.yml``
(:mod:`cellclaims.appraisal.certainty`); risk of bias starts from a default by design until reviewers' judgements are
recorded for all reports, and indirectness from the recorded match. Every step down is kept with its reason and who
judged it, so that a default never passes for a judgement. Nothing is rated up.

GRADE: Guyatt and others 2008, https://doi.org/10.1136/bmj.39489.470347.AD.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pandas as pd
from scipy.special import ndtri

from cellclaims import robustness
from cellclaims.errors import DataError
from cellclaims.pool import Pool, pooled
from cellclaims.protocol import Protocol
from cellclaims.question import Analysis
from cellclaims.selection import EvidenceBase, Question

# GRADE domains that are computed from a pool: imprecision, inconsistency and small-study effects.
#
# Each gives how many levels it takes away (0 or less) and why, by the rules of ``protocol.yml``, section
# ``certainty``.


#: Measures that compare arms; every other is a result within the arms that got cells.
COMPARES = ("MD", "RD")
#: How the reason of a domain ends that could not be looked at.
NOT_ASSESSED = "not assessed"
#: A step down (0 or less) and its reason.
Rated = tuple[int, str]


def imprecision(pool: Pool, protocol: Protocol) -> Rated:
    """Few reports, and an interval that holds more than one answer; the larger step is taken.

    The target is the smallest change that matters where there is one (HbA1c), as in Core GRADE 2
    (https://doi.org/10.1136/bmj-2024-081904), else the width of the interval. Two levels where the interval crosses two
    thresholds (GRADE guidance 34: minimally contextualised).
    """
    rules = protocol["certainty"]["imprecision"]
    few = pool.k == 0 or pool.is_few
    by_number = (rules["few_reports"], _count(pool.k)) if few else (0, "")
    by_interval = _by_interval(pool, protocol) if pool.fit is not None else (0, "")
    words = "; ".join(w for w in (by_number[1], by_interval[1]) if w)
    return min(by_number[0], by_interval[0]), words


def _by_interval(pool: Pool, protocol: Protocol) -> Rated:
    low, high = shown_limits(pool)
    if np.isnan(low) or np.isnan(high):
        return protocol["certainty"]["imprecision"]["very_wide"], "no interval can be given"
    if in_points(pool) and pool.question.outcome == "hba1c":
        return _against_what_matters(pool, low, high, protocol)
    step, words = _by_width(pool, high - low, protocol["certainty"])
    if pool.measure in COMPARES and low < 0 < high:
        return min(step, protocol["certainty"]["imprecision"]["wide"]), f"{words}; it holds no difference"
    return step, words


def in_points(pool: Pool) -> bool:
    """Whether the pool is of measured values (for HbA1c percentage points) and not of shares of patients."""
    return pool.measure in ("MD", "MC")


def shown_limits(pool: Pool) -> tuple[float, float]:
    """The 95 % limits in percentage points of HbA1c, or in per cent of patients."""
    return tuple(pool.shown(float(limit)) for limit in (pool.fit.ci_lb, pool.fit.ci_ub))


def _against_what_matters(pool: Pool, low: float, high: float, protocol: Protocol) -> Rated:
    rules, least = protocol["certainty"]["imprecision"], float(protocol["thresholds"]["hba1c_matters"]["value"])
    interval = f"the {pool.level_words} interval, {low:.2f} to {high:.2f},"
    held = [edge for edge in (-least, least) if low < edge < high]
    important = "the threshold for clinical importance"
    if len(held) == 2:
        return rules["very_wide"], f"{interval} includes a fall and a rise of {least:g} points, {important}"
    if held:
        return rules["wide"], f"{interval} includes {held[0]:g} points, {important}"
    needed = optimal_size(pool, least, protocol["certainty"]["power"])
    if pool.patients < needed:
        return rules["wide"], f"{pool.patients:.0f} patients, {needed:.0f} needed to find {least:g} points in one trial"
    return 0, f"{interval} lies on one side of {important}"


def optimal_size(pool: Pool, least: float, power: float) -> float:
    """Patients of one trial of two equal arms that finds a difference of ``least`` with that power, two-sided 5 %.

    n an arm = 2 (z_0.975 + z_power)^2 SD^2 / least^2, the SD as the reports' variances imply it; 0 for a change within
    an arm. Guyatt and others 2011 (GRADE 6), https://doi.org/10.1016/j.jclinepi.2011.01.012.
    """
    if pool.measure != "MD":
        return 0.0
    n, control = (pool.rows[c].to_numpy(float) for c in ("n", "n_control"))
    per_patient = pool.rows.vi.to_numpy(float) * n * control / (n + control)
    sd2 = np.average(per_patient, weights=n + control)
    return float(4 * (ndtri(0.975) + ndtri(power)) ** 2 * sd2 / least**2)


def _by_width(pool: Pool, width: float, rules: Mapping[str, Any]) -> Rated:
    """Wider than the limit, or than twice the limit; patients in 100 for shares."""
    unit, said = ("percentage points",) * 2 if in_points(pool) else ("percent", "patients in 100")
    limit = rules["wide"][unit]
    words = f"the {pool.level_words} interval spans {width:.3g} {said}, limit {limit:g}"
    step = "very_wide" if width > 2 * limit else "wide" if width > limit else ""
    return rules["imprecision"][step] if step else 0, words


def inconsistency(pool: Pool, rules: Mapping[str, Any]) -> Rated:
    """I² above the limit, or two reports of a difference whose intervals lie on opposite sides of none."""
    if not pool.is_pooled:
        return 0, f"one report or none: {NOT_ASSESSED}"
    step, limit, i2 = rules["inconsistency"]["step"], rules["inconsistency"]["I2"], pool.I2
    if in_points(pool) or pool.measure in COMPARES:
        below, above = (pool.rows.ci_ub < 0).any(), (pool.rows.ci_lb > 0).any()
        if below and above:
            return step, "intervals of the reports lie on opposite sides of no difference"
    if np.isnan(i2):
        return 0, f"I² cannot be given: {NOT_ASSESSED}"
    return (step if i2 > limit else 0), f"I² {i2:.0f} %, limit {limit:g} %"


def small_study(pool: Pool, rules: Mapping[str, Any]) -> Rated:
    """Do small reports show other results? Regression on size, from ten reports on.

    Differences and changes: on the standard error (Egger and others 1997, https://doi.org/10.1136/bmj.315.7109.629).
    Shares: logits on 1 / n, because the standard error of a logit follows from the share itself (Hunter and others
    2014, https://doi.org/10.1016/j.jclinepi.2014.03.003). At least ten: Sterne and others 2011,
    https://doi.org/10.1136/bmj.d4002.
    """
    fewest, limit = rules["small_study"]["fewest"], rules["small_study"]["p"]
    if pool.k < fewest:
        return 0, f"{_count(pool.k)}, fewer than {fewest}: {NOT_ASSESSED}"
    p = float(regression_on_size(pool).p)
    by = "standard error" if in_points(pool) else "1 / n"
    words = f"regression on {by}: P = {p:.2g}, limit {limit:g}"
    return (rules["small_study"]["step"] if p < limit else 0), words


def regression_on_size(pool: Pool) -> Any:
    """The regression test that fits the measure of a pool (:class:`cellclaims.robustness.RegressionTest`)."""
    rows = pool.rows
    if in_points(pool):
        return robustness.egger(rows.yi.to_numpy(float), rows.vi.to_numpy(float))
    n = rows.n.to_numpy(float) + rows.n_control.fillna(0).to_numpy(float)
    if pool.measure == "RD":
        return robustness.egger(rows.yi.to_numpy(float), rows.vi.to_numpy(float), ni=n, predictor="ninv")
    x = rows.events.to_numpy(float) + 0.5  # half a patient each way, so that nobody and everybody have a logit
    left = n + 1 - x
    return robustness.egger(np.log(x / left), 1 / x + 1 / left, ni=n, model="rma", predictor="ninv")


def _count(k: int) -> str:
    return f"{k} report{'s' * (k != 1)}"


# Risk of bias as readers recorded it: RoB 2, ROBINS-I and the JBI checklist for case series, by domain.
#
# The package judges nothing. It checks that a judgement is in the words of its tool, gathers the domains of a report,
# and says who judged. RoB 2: Sterne and others 2019, https://doi.org/10.1136/bmj.l4898. ROBINS-I: Sterne and others
# 2016, https://doi.org/10.1136/bmj.i4919. JBI: Munn and others 2020, https://doi.org/10.11124/JBISRIR-D-19-00099.


OVERALL = "overall"
JBI = "JBI case series checklist"
#: Tool -> its domains, for the JBI checklist its questions.
DOMAINS = {
    "RoB 2": (
        "randomisation process",
        "deviations from intended interventions",
        "missing outcome data",
        "measurement of the outcome",
        "selection of the reported result",
    ),
    "ROBINS-I": (
        "confounding",
        "selection of participants",
        "classification of interventions",
        "deviations from intended interventions",
        "missing data",
        "measurement of outcomes",
        "selection of the reported result",
    ),
    JBI: (
        "inclusion criteria",
        "condition measured",
        "valid identification",
        "consecutive inclusion",
        "complete inclusion",
        "demographics reported",
        "clinical information reported",
        "outcomes reported",
        "site demographics reported",
        "appropriate analysis",
    ),
}
#: Tool -> its words, each with how grave it is: 0 low, 1 in between or unknown, 2 high or serious, 3 critical.
WORDS = {
    "RoB 2": {"low": 0, "some concerns": 1, "high": 2},
    "ROBINS-I": {"low": 0, "no information": 1, "moderate": 1, "serious": 2, "critical": 3},
    JBI: {"yes": 0, "unclear": 1, "no": 2},
}
#: Words of an overall judgement. The JBI checklist has none of its own; readers of this review gave one of these.
OVERALL_WORDS = {**WORDS, JBI: {"low": 0, "moderate": 1, "high": 2}}
HIGH, CRITICAL = 2, 3
#: The maintainers' own readings. Every other reviewer is a person with a name, whose judgement replaces both.
READINGS = ("reading 1", "reading 2")
READ_BY = "two readings by the maintainers with reading software, mostly from abstracts and tables; no outside expert"


@dataclass(frozen=True)
class ReportJudgement:
    """The overall risk of bias of one report: the word, how grave it is, by which tool and whom, and how it was got."""

    study_id: str
    tool: str
    judgement: str
    grave: int
    reviewers: tuple[str, ...]
    how: str


def checked(judgements: pd.DataFrame) -> pd.DataFrame:
    """The same table, after every row was found in the words of its tool.

    Raises
    ------
    DataError
        Naming line, tool, and the domain or word that is not one of that tool.
    """
    _check_words(judgements.itertuples())
    return judgements


def _check_words(rows: Iterable[Any]) -> None:
    """Refuse a judgement that is not in the words of its tool."""
    for row in rows:
        domains = (*DOMAINS[row.tool], OVERALL)
        words = (OVERALL_WORDS if row.domain == OVERALL else WORDS)[row.tool]
        for column, known in (("domain", domains), ("judgement", tuple(words))):
            if (found := getattr(row, column)) not in known:
                expected = f"expected one of {row.tool}: {', '.join(known)}"
                where = f"appraisal/judgements.csv, row {row.Index}, column {column}"
                raise DataError(f"{where}: {expected}; found {found!r}")


def overall(judgements: pd.DataFrame, study_id: str, outcome: str = "", tool: str = "") -> ReportJudgement | None:
    """The risk of bias of a report for an outcome, or None where it was not judged as a whole.

    An overall judgement counts as recorded; without one, the gravest domain does, once every domain of the tool is
    judged (no domain can be better than the whole). The JBI checklist has no such rule: without an overall judgement
    the report is not judged by it. Where reviewers differ the graver judgement counts.

    Parameters
    ----------
    judgements : DataFrame
        judgements.csv.
    study_id : str
        The report.
    outcome : str
        The outcome, by its name in the protocol; only judgements that are valid for every outcome if empty.
    tool : str
        A tool of :data:`DOMAINS`; empty takes the first of them by which the report was judged.

    Returns
    -------
    ReportJudgement or None
    """
    rows = valid_judgements(judgements, study_id, outcome)
    for name in [tool] if tool else DOMAINS:
        mine = [row for row in rows if row.tool == name]
        whole = [row for row in mine if row.domain == OVERALL]
        if whole:
            return _gravest(whole, "overall judgement")
        if name != JBI and {*DOMAINS[name]} <= {row.domain for row in mine}:
            return _gravest(mine, "the gravest of all domains")
    return None


def valid_judgements(judgements: pd.DataFrame, study_id: str, outcome: str = "") -> list[Any]:
    """The judgements of a report that are valid for an outcome.

    A row without an outcome is valid for every outcome, unless the same reviewer judged the same domain by the same
    tool for this outcome. A row by a named person replaces both readings of the maintainers for its domain; their
    overall judgement falls away once named persons judged the report as a whole or in every domain of the tool.

    Parameters
    ----------
    judgements : DataFrame
        judgements.csv.
    study_id, outcome : str
        The report, and the outcome by its name in the protocol.

    Returns
    -------
    list of named tuples
        The rows that remain, in the order of the table; ``Index`` is the line.

    Raises
    ------
    DataError
        Where a row is not in the words of its tool.
    """
    of_study = judgements[(judgements.study_id == study_id).to_numpy(bool)]
    rows = [row for row in of_study.itertuples() if row.outcome in ("", outcome)]
    _check_words(rows)
    named = {(row.reviewer, row.tool, row.domain) for row in rows if row.outcome}
    rows = [row for row in rows if row.outcome or (row.reviewer, row.tool, row.domain) not in named]
    by_name: dict[str, set[str]] = {}
    for row in rows:
        if row.reviewer not in READINGS:
            by_name.setdefault(row.tool, set()).add(row.domain)
    return [row for row in rows if row.reviewer not in READINGS or not _superseded(row, by_name.get(row.tool, set()))]


def _superseded(row: Any, by_name: set[str]) -> bool:
    """Whether named persons judged this domain, or everything that the overall judgement is made of."""
    return row.domain in by_name or (row.domain == OVERALL and {*DOMAINS[row.tool]} <= by_name)


def agreement(judgements: pd.DataFrame) -> pd.DataFrame:
    """How often the two readings agree, by tool: equal judgements and Cohen's kappa.

    A pair is a report, an outcome and a domain that one of the readings names, with a valid judgement of each: its own
    row, or its row for every outcome of the report. A judgement that only one reading has is no pair.

    Parameters
    ----------
    judgements : DataFrame
        judgements.csv.

    Returns
    -------
    DataFrame
        ``tool``, ``level`` (domains or overall), ``pairs``, ``equal`` (proportion, 0 to 1) and ``kappa`` (NaN where
        all judgements of both readings are one word); a line for each tool and level with a pair.
    """
    pairs = _pairs(checked(judgements))
    lines = []
    for (tool, level), found in pairs.groupby(["tool", "level"], sort=False):
        words = sorted({*found.first, *found.second})
        codes = np.array([[words.index(a), words.index(b)] for a, b in zip(found.first, found.second, strict=True)])
        equal = float((codes[:, 0] == codes[:, 1]).mean())
        kappa = _kappa(codes) if len(words) > 1 else np.nan
        lines.append({"tool": tool, "level": level, "pairs": len(found), "equal": equal, "kappa": kappa})
    columns = ["tool", "level", "pairs", "equal", "kappa"]
    order = {tool: place for place, tool in enumerate(DOMAINS)}
    return pd.DataFrame(lines, columns=columns).sort_values(
        ["tool", "level"], key=lambda c: c.map(order) if c.name == "tool" else c, ignore_index=True
    )


def _kappa(codes: np.ndarray) -> float:
    """Cohen's kappa of two columns of codes from 0 on."""
    from statsmodels.stats.inter_rater import cohens_kappa, to_table  # 1 s: only who asks for it pays

    return float(cohens_kappa(to_table(codes, bins=int(codes.max()) + 1)[0], return_results=False))


def _pairs(judgements: pd.DataFrame) -> pd.DataFrame:
    """The judgements of both readings on the same report, outcome, tool and domain."""
    said = {
        (row.reviewer, row.study_id, row.outcome, row.tool, row.domain): row.judgement
        for row in judgements.itertuples()
        if row.reviewer in READINGS
    }
    asked = dict.fromkeys(key[1:] for key in said)
    lines = []
    for study, outcome, tool, domain in asked:
        first, second = (
            said.get((reader, study, outcome, tool, domain), said.get((reader, study, "", tool, domain)))
            for reader in READINGS
        )
        if first is not None and second is not None:
            level = OVERALL if domain == OVERALL else "domains"
            lines.append({"tool": tool, "level": level, "first": first, "second": second})
    return pd.DataFrame(lines, columns=["tool", "level", "first", "second"])


def _gravity(row: Any) -> int:
    return (OVERALL_WORDS if row.domain == OVERALL else WORDS)[row.tool][row.judgement]


def _gravest(rows: Sequence[Any], how: str) -> ReportJudgement:
    """The gravest of some judgements of one report by one tool, with everybody who judged."""
    worst = max(rows, key=_gravity)
    said: dict[str, set[str]] = {}
    for row in rows:
        said.setdefault(row.domain, set()).add(row.judgement)
    differ = "; reviewers differ" if any(len(words) > 1 for words in said.values()) else ""
    reviewers = tuple(dict.fromkeys(row.reviewer for row in rows))
    return ReportJudgement(worst.study_id, worst.tool, worst.judgement, _gravity(worst), reviewers, how + differ)


def judged_domains(judgements: pd.DataFrame, study_ids: Iterable[str], tool: str, outcome: str = "") -> pd.DataFrame:
    """Judgements of a tool as signs for the traffic light: "+" low, "?" in between or unknown, "-" high, "" none.

    Returns
    -------
    DataFrame
        Index: the reports that were judged with that tool, in the order given; columns: its domains and ``overall``.
    """
    columns = [*DOMAINS[tool], OVERALL]
    table = {}
    for study in dict.fromkeys(study_ids):
        rows = [row for row in valid_judgements(judgements, study, outcome) if row.tool == tool]
        if rows:
            grave = {domain: max((_gravity(row) for row in rows if row.domain == domain), default=None)
                     for domain in columns}  # fmt: skip
            table[study] = {domain: _sign(grave[domain]) for domain in columns}
            whole = overall(judgements, study, outcome, tool)
            table[study][OVERALL] = _sign(whole.grave if whole else None)
    return pd.DataFrame.from_dict(table, orient="index", columns=columns)


def _sign(grave: int | None) -> str:
    return "" if grave is None else "+?--"[int(grave)]


LEVELS = ("very low", "low", "moderate", "high")
#: Who judged a step: a rule on computed facts, a default that no reviewer judged, a recorded grade or judgement.
COMPUTED, DEFAULT, RECORDED = "computed", "default by design, not judged by a reviewer", "recorded grade"
OWN_QUESTION = "asked for its own population, product, outcome and time"


@dataclass(frozen=True)
class CertaintyStep:
    """One domain: how many levels it takes away (0 or less), why, and who judged it."""

    domain: str
    step: int
    reason: str
    judged_by: str


@dataclass(frozen=True)
class Certainty:
    """The level that remains, where it started, and the steps in between."""

    level: str
    start: str
    steps: tuple[CertaintyStep, ...]


def certainty_of_pool(
    pool: Pool, match: Mapping[str, Any], protocol: Protocol, judgements: pd.DataFrame | None = None
) -> Certainty:
    """Certainty of a pooled (or single) result.

    Parameters
    ----------
    pool : Pool
    match : mapping
        Recorded grade and reason for population, product, outcome and time; empty where the result is asked for its
        own question and nothing is indirect.
    protocol : Protocol
    judgements : DataFrame, optional
        judgements.csv: they take the place of the default once every report of the pool is judged.
    """
    rules = protocol["certainty"]
    compares = pool.measure in COMPARES
    randomised = compares and pool.k > 0 and bool((pool.rows.design == "rct").all())
    weights = _shares(pool.rows.weight.to_numpy(float)) if pool.k else np.array([])
    steps = [
        _risk_of_bias(
            list(pool.rows.study_id), weights, pool.question.outcome, randomised, compares, rules, judgements
        ),
        _computed("imprecision", imprecision(pool, protocol)),
        _computed("inconsistency", inconsistency(pool, rules)),
        _indirectness(match, rules),
        _computed("small-study effects", small_study(pool, rules)),
    ]
    return _from(randomised, steps, rules)


def certainty_of_reports(
    k: int,
    randomised: bool,
    agree: bool,
    match: Mapping[str, Any],
    protocol: Protocol,
    studies: Sequence[str] = (),
    judgements: pd.DataFrame | None = None,
) -> Certainty:
    """Certainty of reports that are counted by direction and not pooled.

    ``studies`` names those of studies.csv, for recorded judgements; each counts alike.
    """
    rules = protocol["certainty"]
    few = rules["imprecision"]["few_reports"] if k <= protocol["models"]["few_reports"] else 0
    apart = 0 if agree else rules["inconsistency"]["step"]
    words = "the reports agree in direction" if agree else "the reports differ in direction"
    weights = np.full(k, 1 / max(k, 1))
    named = [*studies, *[""] * (k - len(studies))]
    steps = [
        _risk_of_bias(named, weights, "", randomised, True, rules, judgements),
        _computed("imprecision", (few, f"{k} reports, not pooled")),
        _computed("inconsistency", (apart, words)),
        _indirectness(match, rules),
        _computed("small-study effects", (0, f"not pooled: {NOT_ASSESSED}")),
    ]
    return _from(randomised, steps, rules)


def _from(randomised: bool, steps: list[CertaintyStep], rules: Mapping[str, Any]) -> Certainty:
    start = rules["start"]["randomised" if randomised else "otherwise"]
    left = LEVELS.index(start) + sum(s.step for s in steps)
    return Certainty(LEVELS[max(left, 0)], start, tuple(steps))


def _computed(domain: str, rated: Rated) -> CertaintyStep:
    return CertaintyStep(domain, int(rated[0]), rated[1], COMPUTED)


def _shares(weights: np.ndarray) -> np.ndarray:
    known = np.nan_to_num(weights)
    return known / known.sum() if known.sum() > 0 else np.full(len(weights), 1 / len(weights))


def _risk_of_bias(
    studies: list[str],
    weights: np.ndarray,
    outcome: str,
    randomised: bool,
    compares: bool,
    rules: Mapping[str, Any],
    judgements: pd.DataFrame | None,
) -> CertaintyStep:
    """The default by design, or the recorded judgements once there is one for every report."""
    judged = [] if judgements is None else [overall(judgements, study, outcome) for study in studies]
    found = [one for one in judged if one]
    if studies and len(found) == len(studies):
        return _as_judged(found, weights, rules["judged"])
    if randomised:
        reason = "randomised; concealment, blinding and losses not judged"
    elif compares:
        reason = "not all reports are randomised"
    else:
        reason = "no comparison: a result within the arms that got cells"
    if found:
        reason += f"; {len(found)} of {len(studies)} reports are judged"
    return CertaintyStep(
        "risk of bias", rules["risk_of_bias"]["randomised" if randomised else "otherwise"], reason, DEFAULT
    )


def _as_judged(judged: list[ReportJudgement], weights: np.ndarray, rules: Mapping[str, Any]) -> CertaintyStep:
    """A step where reports at high (or critical) risk carry more than the stated share of the weight."""
    grave = np.array([one.grave for one in judged])
    high, critical = (float(weights[grave >= level].sum()) for level in (HIGH, CRITICAL))
    step = rules["critical"] if critical > rules["share"] else rules["high"] if high > rules["share"] else 0
    names = dict.fromkeys(name for one in judged for name in one.reviewers)
    words = f"{100 * high:.0f} % of the weight in reports judged at high risk, limit {100 * rules['share']:g} %"
    return CertaintyStep("risk of bias", step, words, f"recorded judgements of {reviewers_words(names)}")


def reviewers_words(names: Iterable[str]) -> str:
    """Who judged, in words: named persons by name, the maintainers' readings as what they are."""
    people = [name for name in dict.fromkeys(names) if name not in READINGS]
    return ", ".join([*people, *([READ_BY] if len(people) < len(set(names)) else [])])


def _indirectness(match: Mapping[str, Any], rules: Mapping[str, Any]) -> CertaintyStep:
    if not match:
        return CertaintyStep("indirectness", 0, OWN_QUESTION, COMPUTED)
    known = rules["indirectness"]
    steps = {what: known.get(grade, 0) for what, (grade, _) in match.items()}
    down = [what for what, step in steps.items() if step]
    reason = f"poor match in {' and '.join(down)}" if down else "no poor match"
    return CertaintyStep("indirectness", max(sum(steps.values()), known["most"]), reason, RECORDED)


# One question with its answer and its certainty.


@dataclass(frozen=True)
class AnsweredQuestion:
    """What was asked, the result with and without cells, and how sure it is: one line of a summary of findings.

    ``effect`` is the comparison where a randomised control counts the outcome, else the result within the arms that got
    cells; ``certainty`` is that of ``effect``. ``without`` is None where no randomised control counts the outcome.
    """

    title: str
    population: str
    effect: Pool
    with_cells: Pool
    without: Pool | None
    certainty: Certainty

    @property
    def pools(self) -> list[Pool]:
        """Every pool of the line once, the effect first."""
        known = {id(p): p for p in (self.effect, self.with_cells, self.without) if p is not None}
        return list(known.values())


def answered(
    base: EvidenceBase,
    question: Question,
    name: str,
    title: str,
    match: Mapping[str, Any] | None = None,
) -> AnsweredQuestion:
    """The answer to one question with its certainty: against untreated arms where randomised studies count the outcome.

    Randomised and other studies are never one comparison unless the question names its designs.

    Parameters
    ----------
    base : EvidenceBase
    question : Question
    name, title : str
        What the pools are called in files (with an ending for each), and in figures and tables.
    match : mapping, optional
        Recorded grades of what the answer is compared with; without them the question is its own and nothing is
        indirect.

    Returns
    -------
    AnsweredQuestion
    """
    if question.estimand == "most_favourable":
        title = f"{title} (most favourable report)"
    measured = question.outcome == "hba1c"
    compare, within = map(Analysis, ("MD", "MC") if measured else ("RD", "PLO"))
    people = " or ".join(base.protocol["eligibility"]["populations"][p] for p in question.population)
    randomised = question if question.designs else replace(question, designs=("rct",))
    effect = pooled(base, randomised.named(f"{name}_difference", f"{title}: cells minus control"), compare)
    if effect.k:
        others = set(base.evidence.studies.study_id) - set(effect.rows.study_id)
        same = replace(randomised, exclude=tuple(sorted(others | set(question.exclude))))
        with_cells, without = (
            pooled(base, replace(same, arms=arms, name=f"{name}_{arms}", title=f"{title}: {words}"), within)
            for arms, words in (("cells", "with cells"), ("control", "without cells"))
        )
    else:
        effect = with_cells = pooled(base, question.named(f"{name}_cells", title), within)
        without = None
    rated = certainty_of_pool(effect, match or {}, base.protocol, base.evidence.judgements)
    return AnsweredQuestion(title, people, effect, with_cells, without, rated)
