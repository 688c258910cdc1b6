"""What is asked at the controls, and the pool that answers it: one path for the page, the panel and the tests."""

from __future__ import annotations

import functools
import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from scipy.special import logit

from cellclaims import meta
from cellclaims.claims import own_trials
from cellclaims.claims.counterparts import INFUSED, TYPES, answer_of, claim_of, in_unit
from cellclaims.errors import ParameterError
from cellclaims.journal_club.paper import advertised_outcome, labels, nearest_outcomes
from cellclaims.pool import Pool, pooled
from cellclaims.protocol import Protocol
from cellclaims.question import Analysis
from cellclaims.reporting.pools import Mark
from cellclaims.reporting.tables import number
from cellclaims.selection import ESTIMANDS, EvidenceBase, Question

#: The choice that the protocol makes.
PROTOCOL = "protocol"
#: Outcomes that are means of HbA1c, in words; every other outcome of the protocol is a proportion of participants.
MEANS = {"hba1c_change": "change of HbA1c after cells", "hba1c_difference": "HbA1c, cells minus control"}
METHODS = (PROTOCOL, "EE", "DL", "PM", "REML")
#: Tests by model: a proportion as the protocol fits it, anything pooled as a mean of effects.
BINOMIAL_TESTS, NORMAL_TESTS = (PROTOCOL, "t", "z"), (PROTOCOL, "adhoc", "knha", "t", "z")
#: How the estimators and the tests are called; a test says its degrees of freedom.
METHOD_WORDS = {"EE": "equal effects", "DL": "DerSimonian-Laird", "PM": "Paule-Mandel", "REML": "REML"}
TEST_WORDS = {
    "z": "normal", "t": "t with {df} df", "knha": "Hartung-Knapp", "adhoc": "Hartung-Knapp with a floor",
}  # fmt: skip
#: Correlations and scales that make sense; the prior of tau is half-normal.
CORRELATIONS, SCALES, MONTHS, WINDOWS = (0.0, 0.99), (0.01, 10.0), (0.0, 240.0), (0.0, 120.0)
NAME = "asked"
#: Month and months around it where only one of them is chosen for an outcome that the protocol takes from a span.
YEAR = (12.0, 3.0)


@dataclass(frozen=True)
class Controls:
    """The state of the controls; every field has a parameter of the notebook, and the defaults are its defaults.

    ``outcome`` is empty until it follows the claim. ``months`` and ``window`` are in months, ``without`` has
    study_ids, ``secondary`` says whether numbers from tables of reviews count, ``correlation`` is that of baseline with
    follow-up (for the SD of a change), ``tau_scale`` the scale of the half-normal prior of tau (logit, or points).
    ``None`` is the protocol's value.
    """

    outcome: str = ""
    estimand: str = "most_favourable"
    months: float | None = None
    window: float | None = None
    without: tuple[str, ...] = ()
    secondary: bool = True
    method: str = PROTOCOL
    test: str = PROTOCOL
    correlation: float | None = None
    tau_scale: float | None = None
    population: tuple[str, ...] = ("T2D",)
    product: str = INFUSED

    @property
    def is_share(self) -> bool:
        """Whether the outcome is a proportion of participants, and not a mean."""
        return self.outcome not in MEANS

    @property
    def has_time(self) -> bool:
        """Whether the month and the months around it matter."""
        return not self.is_share or self.estimand == "at_month"

    @property
    def tests(self) -> tuple[str, ...]:
        """Tests that the chosen model knows."""
        return BINOMIAL_TESTS if self.is_share and self.method == PROTOCOL else NORMAL_TESTS

    def with_tests_that_fit(self) -> Controls:
        """The same, with the protocol's test where the chosen model does not know the chosen one."""
        return self if self.test in self.tests else replace(self, test=PROTOCOL)


def controls_of(base: EvidenceBase, claim: Any, **given: Any) -> Controls:
    """What the parameters ask; what is not given follows the claim and the protocol.

    Parameters
    ----------
    base : EvidenceBase
        The evidence and the protocol.
    claim : Any
        A row of claims.csv: its type of diabetes, its product and its outcome are the defaults.
    **given : Any
        Parameters of the notebook by name.

    Returns
    -------
    Controls

    Raises
    ------
    ParameterError
        For a value that is not known or out of range: names the parameter, what was expected and found.

    Examples
    --------
    >>> from cellclaims import protocol
    >>> from cellclaims.evidence import load
    >>> from cellclaims.claims.counterparts import claim_of
    >>> base = EvidenceBase(load("data"), protocol.load("data"))
    >>> controls_of(base, claim_of(base.evidence, "half_dose_2016")).outcome
    'insulin_halved_and_hba1c_lt_7'
    >>> controls_of(base, claim_of(base.evidence, "stop_all_2016"), METHOD="best")
    Traceback (most recent call last):
    cellclaims.errors.ParameterError: METHOD: expected one of protocol, EE, DL, PM, REML; found 'best'
    """
    values = {name.lower(): value for name, value in given.items()}
    values["without"] = tuple(values.get("without", ()))
    own = Controls(population=TYPES[claim.diabetes_type], product=_product(base, claim))
    asked = replace(own, **values)
    if not asked.outcome:
        asked = replace(asked, outcome=outcome_of(base, claim))
    known = {"outcome": outcomes(base.protocol), "estimand": ESTIMANDS, "method": METHODS, "test": asked.tests}
    for name, choices in known.items():
        _one_of(name, getattr(asked, name), choices)
    ranges = {"months": MONTHS, "window": WINDOWS, "correlation": CORRELATIONS, "tau_scale": SCALES}
    for name, limits in ranges.items():
        if getattr(asked, name) is not None:
            _between(name, getattr(asked, name), *limits)
    for study in asked.without:
        _one_of("without", study, tuple(base.evidence.studies.study_id))
    return asked


def _product(base: EvidenceBase, claim: Any) -> str:
    return answer_of(base.protocol, claim).get("product", INFUSED)


def _one_of(name: str, found: str, known: Iterable[str]) -> None:
    if found not in known:
        shown = ", ".join(known) if len(list(known)) <= 12 else "the study_ids of studies.csv"
        raise ParameterError(f"{name.upper()}: expected one of {shown}; found {found!r}")


def _between(name: str, found: float, low: float, high: float) -> None:
    if not low <= found <= high:
        raise ParameterError(f"{name.upper()}: expected a number from {low:g} to {high:g}; found {found!r}")


#: Keys of an outcome of the protocol that is measured, not counted.
MEASURED = {"unit", "units"}


def outcomes(protocol: Protocol) -> dict[str, str]:
    """The outcomes that can be chosen: the proportions of the protocol and the two means of HbA1c, each in words."""
    proportions = {name: about["name"] for name, about in protocol["outcomes"].items() if not MEASURED & {*about}}
    return {**proportions, **MEANS}


def outcome_of(base: EvidenceBase, claim: Any) -> str:
    """The outcome that the sitting starts with: the advertised one, or the nearest that somebody reports.

    Parameters
    ----------
    base : EvidenceBase
    claim : Any
        A row of claims.csv.

    Returns
    -------
    str
        For HbA1c, and for a statement that no pool answers, the difference between the arms.
    """
    return _start(base, claim.claim_id)


@functools.lru_cache(maxsize=64)
def _start(base: EvidenceBase, claim_id: str) -> str:
    claim = claim_of(base.evidence, claim_id)
    exact = advertised_outcome(base, claim)
    if exact in ("", "hba1c"):
        return "hba1c_difference"
    own = Controls(population=TYPES[claim.diabetes_type], product=_product(base, claim))
    tried = [exact, *nearest_outcomes(base, claim)]
    return next((name for name in tried if pool_of(base, replace(own, outcome=name)).k), exact)


def question_of(base: EvidenceBase, asked: Controls) -> Question:
    """The question of the pool: the clinic's own trials never answer for its claim.

    Parameters
    ----------
    base : EvidenceBase
        The evidence and the protocol.
    asked : Controls
        The state of the controls.

    Returns
    -------
    Question
    """
    outcome = asked.outcome if asked.is_share else "hba1c"
    estimand = asked.estimand if asked.is_share else "at_month"
    question = Question(outcome, asked.population, asked.product, estimand=estimand, secondary=asked.secondary)
    question = replace(question, months=asked.months, window=asked.window)
    if not asked.is_share and (asked.months, asked.window) != (None, None):  # the protocol has a span, not a month
        month, window = (
            own if value is None else value for value, own in zip((asked.months, asked.window), YEAR, strict=True)
        )
        question = replace(question, months=month, window=window)
    if asked.outcome == "hba1c_difference":
        question = replace(question, designs=tuple(base.protocol["answers"]["hba1c"].get("designs", ())))
    return question.without((*own_trials(base.evidence), *asked.without))


def analysis_of(asked: Controls) -> Analysis:
    """How the controls ask for the pool to be made; ``protocol`` leaves the review's own choice."""
    chosen = {name: value for name in ("method", "test") if (value := getattr(asked, name)) != PROTOCOL}
    if not asked.is_share:
        measure = "MC" if asked.outcome == "hba1c_change" else "MD"
        return Analysis(measure, correlation=asked.correlation, **chosen)
    if asked.method == PROTOCOL:
        return Analysis("PLO", **chosen)
    return Analysis("PLO", model="normal", **{"test": "", **chosen})


def pool_of(base: EvidenceBase, asked: Controls) -> Pool:
    """The pool that answers what is asked, by :func:`cellclaims.pool.pooled`.

    A proportion is fitted by the protocol's binomial-normal model, or, where an estimator of tau2 is chosen, as normal
    effects on the logit; HbA1c by the normal model with the chosen estimator and test.

    Parameters
    ----------
    base : EvidenceBase
        The evidence and the protocol.
    asked : Controls
        The state of the controls.

    Returns
    -------
    Pool
    """
    question = question_of(base, asked).named(NAME, outcomes(base.protocol)[asked.outcome])
    return pooled(base, question, analysis_of(asked))


# What the controls say that the protocol does not.


#: Field -> what it is called at the controls.
FIELDS = {
    "outcome": "outcome",
    "estimand": "counted",
    "months": "month",
    "window": "months around it",
    "without": "left out",
    "secondary": "numbers from tables of reviews",
    "method": "estimator",
    "test": "test",
    "correlation": "correlation r",
    "tau_scale": "prior scale of tau",
}
#: Estimand -> how it is called at the controls.
ESTIMAND_WORDS = {
    "at_month": "at the month",
    "ever": "at any time only",
    "last_follow_up": "at the last visit",
    "most_favourable": "most favourable report",
    "any_time": "at any time, else the highest",
}


def protocol_values(protocol: Protocol, asked: Controls) -> dict[str, Any]:
    """What the protocol takes for the fields that may be left to it, for the chosen outcome."""
    outcome = protocol.outcome(asked.outcome if asked.is_share else "hba1c")
    models = protocol["models"]
    return {
        "months": outcome.months,
        "window": outcome.window,
        "correlation": models["correlation"]["value"],
        "tau_scale": models["bayes"]["scale"]["logit" if asked.is_share else "hba1c"],
    }


def value_words(value: float | tuple[float, float] | None) -> str:
    """A value of the protocol in words: a number, a span, or none.

    >>> value_words(12.0), value_words((2.75, 15.0)), value_words(None)
    ('12', '2.75 to 15', 'none')
    """
    if value is None:
        return "none"
    return " to ".join(f"{part:g}" for part in value) if isinstance(value, tuple) else f"{value:g}"


def differences(base: EvidenceBase, claim: Any, asked: Controls) -> list[str]:
    """In what the controls differ from the protocol, in words; controls without effect here are not named.

    Parameters
    ----------
    base : EvidenceBase
    claim : Any
        A row of claims.csv: the outcome that it starts with is the protocol's.
    asked : Controls

    Returns
    -------
    list of str
        Empty where all is as the protocol says.
    """
    own, known = protocol_values(base.protocol, asked), labels(base)
    found = []
    if asked.outcome != outcome_of(base, claim):
        found.append(f"outcome ({outcomes(base.protocol)[asked.outcome]})")
    if asked.is_share and asked.estimand != "most_favourable":
        found.append(f"counted {ESTIMAND_WORDS[asked.estimand]}")
    applies = {"months": asked.has_time, "window": asked.has_time, "correlation": not asked.is_share, "tau_scale": True}
    for name, value in own.items():
        chosen = getattr(asked, name)
        if applies[name] and chosen is not None and chosen != value:
            found.append(f"{FIELDS[name]} ({chosen:g} instead of {value_words(value)})")
    words = {
        "method": METHOD_WORDS.get(asked.method),
        "test": TEST_WORDS.get(asked.test, "").removesuffix(" with {df} df"),
    }
    found += [f"{FIELDS[name]} ({words[name]})" for name in words if getattr(asked, name) != PROTOCOL]
    if not asked.secondary:
        found.append("without numbers from tables of reviews")
    if asked.without:
        found.append(f"left out: {', '.join(known[study] for study in asked.without)}")
    return found


# The answer to what is asked: the pool, and what it says of the advertised figure.


#: Quadrature of the live posterior: panels over tau with points each, points over the mean. Within 0.001 of the full.
LIVE_PANELS, LIVE_POINTS, LIVE_MEAN_PANELS = (1, 10), 16, (2, 8)
#: How a report of a count says when it was counted.
WHEN = {"ever": "at any time", "not_stated": "time not stated"}


@dataclass(frozen=True)
class Advertised:
    """The advertised figure for an outcome: its value (percent, or points, below zero for a fall) and its words.

    Without a figure the value is NaN, and the words say why.
    """

    value: float
    words: str

    @property
    def is_known(self) -> bool:
        """Whether there is a figure to compare with."""
        return not math.isnan(self.value)


def advertised_for(base: EvidenceBase, claim: Any, asked: Controls) -> Advertised:
    """The figure that the claim's page gives for the chosen outcome; none for another outcome.

    Parameters
    ----------
    base : EvidenceBase
    claim : Any
        The statement of the sitting, a row of claims.csv.
    asked : Controls

    Returns
    -------
    Advertised
    """
    if not asked.is_share:
        return _advertised_mean(base, claim, asked)
    # the sitting's own first
    rows = sorted(_page(base, claim.document_id), key=lambda row: row.claim_id != claim.claim_id)
    for row in rows:
        if row.unit == "percent" and advertised_outcome(base, row) == asked.outcome and not math.isnan(row.value):
            if not answer_of(base.protocol, row).get("is_defined", True):
                return Advertised(math.nan, f"The page does not define the outcome of its {row.value:g}%.")
            own = "" if row.claim_id == claim.claim_id else " on the same page"
            return Advertised(float(row.value), f"advertised{own}: {row.value:g}%")
    if claim.unit != "percent" or math.isnan(claim.value):
        return Advertised(math.nan, "The statement has no figure to compare with.")
    return Advertised(math.nan, f"The page gives no figure for this outcome{_nearest_words(base, rows, asked)}.")


@functools.lru_cache(maxsize=64)
def _page(base: EvidenceBase, document_id: str) -> tuple[Any, ...]:
    """The statements of one page."""
    claims = base.evidence.claims
    return tuple(claims[claims.document_id == document_id].itertuples())


def _nearest_words(base: EvidenceBase, rows: Iterable[Any], asked: Controls) -> str:
    """The figure of the page for an outcome near the chosen one, with that outcome's name."""
    for row in rows:
        exact = advertised_outcome(base, row)
        if row.unit == "percent" and not math.isnan(row.value) and asked.outcome in nearest_outcomes(base, row):
            return f"; its {row.value:g}% is for another one: {outcomes(base.protocol)[exact]}"
    return ""


def _advertised_mean(base: EvidenceBase, claim: Any, asked: Controls) -> Advertised:
    if asked.outcome == "hba1c_change":
        return Advertised(math.nan, "A change within one group is not an effect: it has no figure to compare with.")
    if claim.outcome == "hba1c" and not math.isnan(claim.value):
        value = -abs(float(claim.value))
        return Advertised(value, f"advertised: a fall of {-value:g} points")
    value = -float(base.protocol["thresholds"]["hba1c_matters"]["value"])
    return Advertised(value, f"threshold for clinical importance: a fall of {-value:g} points")


@dataclass(frozen=True)
class ClaimAnswer:
    """A pool, and the advertised figure for its outcome.

    ``labels`` are by study_id. ``scale`` is that of the prior of tau. ``posterior`` is the Bayesian fit for a similar
    centre, None where the studies are not pooled.
    """

    asked: Controls
    pool: Pool
    advertised: Advertised
    labels: Mapping[str, str]
    scale: float
    posterior: meta.BayesFit | None

    @property
    def claimed(self) -> float:
        """The advertised figure in the unit of the outcome; NaN without one."""
        return self.advertised.value

    @functools.cached_property
    def rows(self) -> list[Any]:
        """The studies of the pool, one by one."""
        return list(self.pool.rows.itertuples())

    @functools.cached_property
    def when(self) -> Mapping[str, str]:
        """When each study counted or measured, by study_id."""
        return {row.study_id: _when(row) for row in self.rows}

    @functools.cached_property
    def numbers(self) -> dict[str, float | None]:
        """The mean with its interval, and the prediction interval, in the unit of the outcome; None where undefined."""
        names = {"pooled": "beta", "ci_lb": "ci_lb", "ci_ub": "ci_ub"}
        fit, own = self.pool.fit, self.posterior
        found = {name: None if fit is None else in_unit(self.pool, getattr(fit, key)) for name, key in names.items()}
        for name in ("pi_lb", "pi_ub"):
            found[name] = None if own is None else in_unit(self.pool, float(getattr(own, name)))
        return found

    @property
    def p_mean(self) -> float | None:
        """Probability that the mean reaches the figure, by the model and test of its interval."""
        if not self.pool.is_pooled or not self.advertised.is_known:
            return None
        return self._reaches(self.pool.fit.p_mean_reaches, isinstance(self.pool.fit, meta.Fit))

    @property
    def p_new(self) -> float | None:
        """Probability that a similar centre reaches the figure, by the posterior of its prediction interval."""
        if self.posterior is None or not self.advertised.is_known:
            return None
        return self._reaches(self.posterior.p_new_setting_reaches, False)

    def _reaches(self, probability: Any, on_logit: bool) -> float | None:
        if not self.asked.is_share:
            return 1.0 - float(probability(self.claimed))
        share = self.claimed / 100
        if not 0 < share < 1:
            return None
        value = float(probability(float(logit(share)) if on_logit else share))
        return value if math.isfinite(value) else None

    def in_words(self) -> str:
        """The result, what a similar centre may show, and the probability of the advertised figure."""
        return " ".join(self.lines())

    def lines(self) -> list[str]:
        """The same, a line for each."""
        if not self.pool.k:
            return ["No study answers this question.", *self._note()]
        if not self.pool.is_pooled:
            return [self._side_by_side(), *self._note()]
        return [self._mean(), self._similar(), *self._note()]

    def _side_by_side(self) -> str:
        words = {1: "One study, with its own interval", 2: "Two studies, not pooled"}
        shown = "; ".join(f"{self.labels[row.study_id]} {self.value_words(row)}" for row in self.rows)
        return f"{words.get(self.pool.k, f'{self.pool.k} studies, not pooled')}: {shown}."

    def value_words(self, row: Any) -> str:
        """The value of one study with its interval, such as "20.0% (95% interval 9.6% to 34.6%)"."""
        low, high = (self.shown(self.pool.shown(limit)) for limit in (row.ci_lb, row.ci_ub))
        return f"{self.shown(self.value_of(row))} ({self.pool.level_words} interval {low} to {high})"

    def value_of(self, row: Any) -> float:
        """The value of one study: the percentage of its count, or its effect."""
        return 100 * row.events / row.n if self.asked.is_share else float(row.yi)

    def _mean(self) -> str:
        low, high = (self.shown(self.numbers[name]) for name in ("ci_lb", "ci_ub"))
        unit = "" if self.asked.is_share else " percentage points"
        value = f"{self.shown(self.numbers['pooled'])}{unit} ({self.pool.level_words} interval {low} to {high}"
        return f"Mean of {self.pool.k} studies, {self.pool.patients:g} participants: {value}; {self._model()})."

    def _model(self) -> str:
        settings = self.pool.settings
        test = TEST_WORDS[settings["test"]].format(df=self.pool.k - 1)
        if self.asked.is_share and settings["model"] != "normal":
            return f"binomial-normal model, {test}"
        where = " on the logit" if self.asked.is_share else ""
        return f"normal model{where}, {METHOD_WORDS.get(settings['method'], settings['method'])}, {test}"

    def _similar(self) -> str:
        if self.posterior is None:
            return "A prediction interval cannot be given."
        low, high = (self.shown(self.numbers[name]) for name in ("pi_lb", "pi_ub"))
        how = f"Bayesian, prior scale {self.scale:g}"
        return f"{self.pool.level_words} prediction interval for a similar centre: {low} to {high} ({how})."

    def _note(self) -> list[str]:
        if not self.advertised.is_known:
            return [self.advertised.words]
        if not self.pool.is_pooled:
            return ["No probability is given for fewer than three studies."] if self.pool.k else []
        return [
            f"Probability of reaching {self._figure()}: mean {chance(self.p_mean)} (model and test as for its "
            f"interval), similar centre {chance(self.p_new)} (Bayesian)."
        ]

    def _figure(self) -> str:
        if self.asked.is_share:
            return f"the advertised {self.claimed:g}%"
        return f"a fall of {-self.claimed:g} points"

    def shown(self, value: float | None) -> str:
        """A value in the unit of the outcome."""
        if value is None or math.isnan(value):
            return "not estimable"
        return f"{number(value, 1)}%" if self.asked.is_share else number(value, 2)


def chance(p: float | None) -> str:
    """A probability in words; "not estimable" for none.

    >>> chance(0.4211), chance(0.0002), chance(None)
    ('42.1%', 'under 0.1%', 'not estimable')
    """
    if p is None:
        return "not estimable"
    return "under 0.1%" if p < 0.001 else "over 99.9%" if p > 0.999 else f"{number(100 * p, 1)}%"


def marks_of(base: EvidenceBase, claim: Any, asked: Controls) -> list[Mark]:
    """The advertised figure as marks of a figure: value, words, kind; none where it has none for this outcome.

    Parameters
    ----------
    base : EvidenceBase
    claim : Any
        A row of claims.csv.
    asked : Controls
        The state of the controls.

    Returns
    -------
    list of Mark
    """
    found = advertised_for(base, claim, asked)
    if not found.is_known:
        return []
    return [Mark(found.value, found.words, "advertised" if found.words.startswith("advertised") else "threshold")]


def answer(base: EvidenceBase, claim: Any, asked: Controls) -> ClaimAnswer:
    """The pool that answers what is asked, with the advertised figure for its outcome.

    ``claim`` is a row of claims.csv.
    """
    pool = pool_of(base, asked)
    own = protocol_values(base.protocol, asked)["tau_scale"]
    scale = float(own if asked.tau_scale is None else asked.tau_scale)
    found = advertised_for(base, claim, asked)
    return ClaimAnswer(asked, pool, found, labels(base), scale, posterior(pool, scale))


def _when(row: Any) -> str:
    """When a study counted or measured, as its rows say."""
    month = f"month {row.months:g}" if math.isfinite(row.months) else "time not stated"
    if row.timing == "last_follow_up":
        return f"last visit, {month}"
    return WHEN.get(row.timing, month)


def posterior(pool: Pool, scale: float) -> meta.BayesFit | None:
    """The Bayesian fit with a half-normal prior of tau; None where the studies are not pooled."""
    if not pool.is_pooled:
        return None
    is_share = pool.scale == "logit"
    first, second = (pool.rows[name].to_numpy(float) for name in (("events", "n") if is_share else ("yi", "vi")))
    if is_share and not 0 < first.sum() < second.sum():
        return None
    return _posterior(is_share, tuple(first), tuple(second), scale)


@functools.lru_cache(maxsize=64)
def _posterior(is_share: bool, first: tuple[float, ...], second: tuple[float, ...], scale: float) -> meta.BayesFit:
    values = np.array(first), np.array(second)
    if is_share:
        return meta.bayes_binomial(*values, meta.Prior(scale), panels=LIVE_PANELS, mean_points=LIVE_POINTS)
    return meta.bayes(*values, meta.Prior(scale), panels=LIVE_MEAN_PANELS)


# What a move of a control changed.


#: Field -> why a move of it may change nothing.
NOTHING = {
    "outcome": "the same numbers answer both outcomes",
    "estimand": "the same reports count both ways",
    "months": "the same studies lie near that month",
    "window": "the same studies lie within these months",
    "without": "the same studies are in the pool",
    "secondary": "no number of this pool comes from a table of a review",
    "method": "the studies are not pooled, or both estimates agree",
    "test": "the studies are not pooled",
    "correlation": "no study of this pool needs it",
    "tau_scale": "the studies are not pooled",
}


def changed(base: EvidenceBase, name: str, before: ClaimAnswer, after: ClaimAnswer) -> str:
    """What a move of one control changed: studies that left or came in, or that nothing changed and why.

    Parameters
    ----------
    base : EvidenceBase
    name : str
        Field of :class:`Controls` that was changed.
    before, after : ClaimAnswer

    Returns
    -------
    str
        Empty where the numbers changed and the studies did not.
    """
    old, new = ({row.study_id: row for row in one.rows} for one in (before, after))
    left = [study for study in old if study not in new]
    came = [study for study in new if study not in old]
    if name == "outcome":
        return ""
    if left or came:
        parts = [f"Left: {', '.join(after.labels[study] for study in left)}." if left else ""]
        parts += (
            [f"Came in: {'; '.join(_came(base, study, new, left, old, after.labels) for study in came)}."]
            if came
            else []
        )
        return " ".join(part for part in parts if part)
    same = before.numbers == after.numbers and (before.p_mean, before.p_new) == (after.p_mean, after.p_new)
    return f"This changed nothing here: {NOTHING[name]}." if same and before.when == after.when else ""


def _came(
    base: EvidenceBase,
    study: str,
    new: Mapping[str, Any],
    left: list[str],
    old: Mapping[str, Any],
    labels: Mapping[str, str],
) -> str:
    """A study that came in, with the report of the same cohort whose place it takes."""
    own = base.cohorts(study, new[study].arm_id)
    twins = [labels[one] for one in left if own & base.cohorts(one, old[one].arm_id)]
    return labels[study] + (f" (shares participants with {', '.join(twins)})" if twins else "")
