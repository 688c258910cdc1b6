"""One question -> the rows, the effects, the fit: a *pool* that anyone can recompute from its own rows.

A pool holds what a forest plot, a table, a finding and ``results.json`` need, all of it unrounded. One study is shown
with its own result, two side by side; three or more are pooled. That is a rule of the review
(``models.fewest_pooled`` of the protocol), not of the engine: :func:`cellclaims.meta.fit` fits two studies and flags
the fit.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property, partial
from string import ascii_lowercase
from types import SimpleNamespace
from typing import Any, NamedTuple
from weakref import WeakKeyDictionary

import numpy as np
import pandas as pd
from scipy.special import expit, logit, ndtri, stdtrit

from cellclaims import meta
from cellclaims.anomalies import joined
from cellclaims.effects import each_by_its_side, mean_changes, mean_differences
from cellclaims.errors import PoolingError
from cellclaims.evidence import Evidence
from cellclaims.meta.binomial_fit import clopper_pearson, newcombe
from cellclaims.question import Analysis, Question
from cellclaims.selection import (
    EvidenceBase,
    LeftOut,
    Record,
    Selected,
    independent,
    report_counts,
    select_counts,
)

ROW_COLUMNS = (  # in the order of results.json
    "study_id arm_id source_id label year diabetes_type product design randomised blinding months timing time_origin "
    "co_treatment events n events_control n_control yi vi df ci_lb ci_ub weight link detail direction note table line "
    "controlled secondary"
).split()
#: Types of the columns of a pool without rows; with rows they follow from the values.
TYPES = dict.fromkeys(ROW_COLUMNS, "str") | dict.fromkeys(
    "year months events n events_control n_control yi vi df ci_lb ci_ub weight".split(), float
) | {"controlled": bool, "secondary": bool}  # fmt: skip
#: Text columns that may have nothing to say.
EMPTY = dict.fromkeys(("detail", "note", "timing", "time_origin", "direction"), "")
#: Why a report with only one of two sides is in no difference.
NO_PAIR = "no count for both an arm with cells and an untreated one"
#: Quadrature of the Bayesian model of counts: limits within 0.0001 on the logit, ten times as fast as by default.
QUADRATURE: dict[str, Any] = {"panels": (2, 8), "mean_points": 20}
#: A variance between studies below this is none.
SMALLEST_TAU2 = 1e-6
#: Numbers of studies that a label writes out.
COUNTS = {2: "two", 3: "three"}
#: Measure -> the scale on which it is pooled.
SCALES = {"PLO": "logit", "PAS": "arcsine", "PFT": "double arcsine", "OR": "log", "RR": "log"}


@dataclass(frozen=True)
class OneStudy:
    """The result of a single study, in the place of a fit.

    Attributes
    ----------
    beta, se, ci_lb, ci_ub : float
        Its estimate, standard error and own limits, on the analysis scale.
    level : float
        Of the limits, between 0 and 1.
    tau2, I2, Q, Q_p, pi_lb, pi_ub : float
        NaN: one study says nothing of the differences between studies.
    """

    beta: float
    se: float
    ci_lb: float
    ci_ub: float
    level: float
    tau2: float = math.nan
    I2: float = math.nan
    Q: float = math.nan
    Q_p: float = math.nan
    pi_lb: float = math.nan
    pi_ub: float = math.nan
    df: float = math.nan
    k: int = 1
    flags: tuple[str, ...] = ()


class PoolCaution(NamedTuple):
    """Something about a pool that a reader has to know, computed from its rows and its fit.

    Attributes
    ----------
    kind : str
        One of :data:`CAUTIONS`.
    value : float
        What reached the limit: percent of the weight, or a P value; NaN where there is no number.
    study : str
        The study that is meant, as readers know it; empty where none is.
    """

    kind: str
    value: float = math.nan
    study: str = ""


#: What a caution may be about.
CAUTIONS = ("one_study", "secondary", "hidden_heterogeneity", "time_origin", "co_intervention")


class PooledRows:
    """What follows from the rows of a pool, its measure and its scale: asked by every table and figure.

    Attributes
    ----------
    rows : DataFrame
        One row per study.
    measure, scale : str
    few : int
        The largest number of studies that counts as few.
    fewest : int
        The smallest number of studies that is pooled.
    """

    rows: pd.DataFrame
    measure: str
    scale: str
    few: int
    fewest: int
    fit: Any

    @property
    def k(self) -> int:
        """Number of studies."""
        return len(self.rows)

    @property
    def is_pooled(self) -> bool:
        """Whether the studies are pooled: enough of them, and events among them where events are counted."""
        return self.k >= self.fewest and self.fit is not None

    @property
    def is_few(self) -> bool:
        """Whether the pool has studies, but few: their heterogeneity can hardly be estimated."""
        return 0 < self.k <= self.few

    @property
    def patients(self) -> float:
        """Number of participants, those of the control arms included."""
        return float(self.rows.n.sum() + self.rows.n_control.fillna(0).sum())

    @property
    def label(self) -> str:
        """How far the number of studies allows a conclusion, in words (empty for enough)."""
        if self.k == 0:
            return "no eligible study"
        if self.k == 1:
            return "one study: its own result"
        if self.k < self.fewest:
            return f"{COUNTS.get(self.k, self.k)} studies: shown side by side, not pooled"
        if self.fit is None:
            return "no events: not pooled"
        return "few studies" if self.is_few else ""

    def back(self, value: float) -> float:
        """A value of the analysis scale as a proportion where it is a logit, as a ratio where it is a logarithm."""
        ways = {"logit": expit, "log": np.exp}
        return float(ways.get(self.scale, float)(value))

    def shown(self, value: float) -> float:
        """A value of the analysis scale on the reader's scale.

        Percent for a proportion, percentage points for a difference of two, else the unit of the outcome (for HbA1c
        percentage points), or a ratio.
        """
        return 100 * self.back(value) if self.scale == "logit" or self.measure == "RD" else self.back(value)


@dataclass(frozen=True)
class Pool(PooledRows):
    """The answer to one question, with every row that it was made from and every row that it left out.

    Attributes
    ----------
    question : Question
        What was asked, with the protocol's month and window filled in.
    analysis : Analysis
        How it was pooled, with the protocol's choices filled in.
    settings : dict
        Model, method, test, level and how the interval was made, as ``results.json`` records them.
    rows : DataFrame
        One row per study (:data:`ROW_COLUMNS`); yi, vi and limits on the analysis scale, weight in percent;
        ``controlled`` and ``secondary`` say whether the study had an untreated control arm, and whether the numbers
        come from a published review.
    left_out : DataFrame
        Study, arm, month, table, line and reason of every row that is not used.
    fit : OneStudy, Fit, BinomialFit or StratifiedFit
        None if no study is eligible, if there are too few to pool but more than one, or if no participant or every one
        had the event.
    few, fewest : int
        The largest number of studies that counts as few; the smallest number that is pooled.
    prior_scale : float
        Scale of the half-normal prior of tau on the analysis scale; NaN where the protocol states none.
    limits : mapping of float
        When a caution is due: ``one_study`` and ``secondary`` in percent of the weight, ``q_p`` as a P value.
    again : callable
        Makes the pool of another question or analysis from the same evidence.

    Notes
    -----
    The Bayesian fit is computed when it is asked for, and kept.
    """

    question: Question
    analysis: Analysis
    settings: dict[str, Any]
    rows: pd.DataFrame = field(repr=False)
    left_out: pd.DataFrame = field(repr=False)
    fit: Any
    few: int = 4
    fewest: int = 3
    prior_scale: float = math.nan
    limits: Mapping[str, float] = field(default_factory=dict, repr=False)
    again: Callable[[Question, Analysis], Pool] | None = field(default=None, repr=False)

    @property
    def name(self) -> str:
        """What the pool is called in files."""
        return self.question.name

    @property
    def title(self) -> str:
        """What the pool is called in figures and tables."""
        return self.question.title

    @property
    def measure(self) -> str:
        """What one study contributes: PLO, MC, MD or RD."""
        return self.analysis.measure

    @property
    def scale(self) -> str:
        """The analysis scale: logit for proportions, identity for differences and changes."""
        return SCALES.get(self.measure, "identity")

    @property
    def estimand(self) -> str:
        """What is estimated, in words."""
        words = {"MC": "mean change from baseline", "MD": "mean difference between arms"}
        return words.get(self.measure, self.question.estimand)

    @property
    def level_words(self) -> str:
        """The level of the pool's intervals, for their name: "95%"."""
        return f"{100 * float(self.settings['level']):g}%"

    @property
    def controlled_reports(self) -> int:
        """Number of studies that had an untreated control arm, whether or not it is in the pool."""
        return int(self.rows.controlled.sum())

    @property
    def weight_from_secondary(self) -> float:
        """Percentage of the weight that comes from a table of a published review and not from the study itself.

        Of the participants, where the studies are not pooled and have no weight.
        """
        if not self.k:
            return 0.0
        weight = self.rows.weight if self.rows.weight.notna().all() else 100 * self.rows.n / self.rows.n.sum()
        return float(weight[self.rows.secondary].sum())

    # How much the studies differ: empty where they are not pooled.

    @property
    def tau2(self) -> float:
        """Variance between studies on the analysis scale; NaN where they are not pooled."""
        return self._statistic("tau2")

    @property
    def I2(self) -> float:
        """I² in percent; NaN where the studies are not pooled."""
        return self._statistic("I2")

    @property
    def Q(self) -> float:
        """Cochran's Q, for proportions the likelihood-ratio statistic; NaN where the studies are not pooled."""
        return self._statistic("Q")

    @property
    def Q_p(self) -> float:
        """P value of Q; NaN where the studies are not pooled."""
        return self._statistic("Q_p")

    def _statistic(self, name: str) -> float:
        value = getattr(self.fit, name, None) if self.is_pooled else None
        return math.nan if value is None else float(value)

    # What is led with for a similar centre: the Bayesian fit.

    @cached_property
    def bayes(self) -> meta.BayesFit | None:
        """The Bayesian fit with the protocol's prior (or that of the analysis); see :meth:`bayes_at`."""
        return None if math.isnan(self.prior_scale) else self.bayes_at(self.prior_scale)

    def bayes_at(self, scale: float) -> meta.BayesFit | None:
        """The Bayesian random-effects fit by exact integration, with a flat mean and tau half-normal.

        Parameters
        ----------
        scale : float
            Scale of the prior of tau, in the unit of the effects, or on the logit.

        Returns
        -------
        BayesFit or None
            On the analysis scale: ``ci_lb`` and ``ci_ub`` are the interval of the mean, ``pi_lb`` and ``pi_ub`` that of
            a similar centre, ``p_mean_reaches`` and ``p_new_setting_reaches`` give probabilities. None where the
            studies are not pooled, or for a risk difference.
        """
        known = vars(self).setdefault("_bayes", {})
        if scale not in known:
            known[scale] = self._bayes_fit(meta.Prior(scale)) if self.is_pooled and self.measure != "RD" else None
        return known[scale]

    def _bayes_fit(self, prior: meta.Prior) -> meta.BayesFit:
        level = float(self.settings["level"])
        if self.scale != "logit":
            return meta.bayes(self.rows.yi.to_numpy(float), self.rows.vi.to_numpy(float), prior, level=level)
        counts = self.rows.events.to_numpy(float), self.rows.n.to_numpy(float)
        return meta.bayes_binomial(*counts, prior, level=level, **QUADRATURE)

    @property
    def bayes_fits(self) -> dict[float, meta.BayesFit]:
        """The Bayesian fits by the scale of the prior: the protocol's, and those that were asked for before."""
        fits = {self.prior_scale: self.bayes} | vars(self).get("_bayes", {})
        return {scale: fit for scale, fit in sorted(fits.items()) if fit is not None}

    @property
    def prior_scales(self) -> tuple[float, ...]:
        """The protocol's scale of the prior, half of it and double: what a sensitivity analysis shows."""
        scale = self.prior_scale
        return () if math.isnan(scale) else (scale / 2, scale, 2 * scale)

    # What a reader has to know of a pool.

    @cached_property
    def cautions(self) -> tuple[PoolCaution, ...]:
        """What a reader has to know of the pool, in the order of :data:`CAUTIONS`."""
        found = [self._one_study(), self._secondary(), self._hidden(), *self._mixed()]
        return tuple(caution for caution in found if caution)

    def _one_study(self) -> PoolCaution | None:
        if not self.is_pooled or self.rows.weight.isna().any():
            return None
        heaviest = self.rows.loc[self.rows.weight.idxmax()]
        over = heaviest.weight > self.limits.get("one_study", math.inf)
        return PoolCaution("one_study", float(heaviest.weight), str(heaviest.label)) if over else None

    def _secondary(self) -> PoolCaution | None:
        share = self.weight_from_secondary
        is_due = self.k > 1 and share >= self.limits.get("secondary", math.inf)
        return PoolCaution("secondary", share) if is_due else None

    def _hidden(self) -> PoolCaution | None:
        """No heterogeneity is estimated, and yet the studies differ by more than chance."""
        is_due = self.tau2 < SMALLEST_TAU2 and self.Q_p < self.limits.get("q_p", 0.0)
        return PoolCaution("hidden_heterogeneity", self.Q_p) if is_due else None

    def _mixed(self) -> list[PoolCaution]:
        """Months that count from different events, and treatments given with the cells in some studies."""
        if self.k < 2:
            return []
        origins = set(self.rows.time_origin) - {""}
        found = [PoolCaution("time_origin")] if len(origins) > 1 and set(self.rows.timing) == {"at_month"} else []
        given = self.rows[self.rows.co_treatment != ""]
        words = ", ".join(f"{row.label} ({row.co_treatment})" for row in given.itertuples())
        return found + ([PoolCaution("co_intervention", study=words)] if words else [])

    @cached_property
    def without_secondary(self) -> Pool | None:
        """The pool without numbers from tables of published reviews, where they weigh enough for a caution."""
        if self.again is None or not any(caution.kind == "secondary" for caution in self.cautions):
            return None
        words = f"{self.title}; without numbers from tables of reviews"
        question = replace(self.question, secondary=False).named(f"{self.name}_without_secondary", words)
        return self.again(question, self.analysis)


def pooled(base: EvidenceBase, question: Question, analysis: Analysis) -> Pool:
    """Select the rows that answer a question, make one effect per study, and pool them.

    Parameters
    ----------
    base : EvidenceBase
    question : Question
    analysis : Analysis
        Its measure decides what is pooled: ``PLO`` proportions (binomial-normal model; the normal model on logits if
        ``model`` is "normal"), ``MC`` mean changes within arms, ``MD`` mean differences between arms, ``RD`` risk
        differences (Mantel-Haenszel, no correction for empty cells).

    Returns
    -------
    Pool
        With ``fit`` None if no study is eligible, or too few to pool. One study is given with its own interval.

    Raises
    ------
    ProtocolError
        For a name in the question that the protocol does not have.
    PoolingError
        For a measure that cannot be pooled from the tables.
    """
    question, analysis = question.at(base.protocol), analysis.at(base.protocol)
    ways = {"PLO": _proportion, "MC": _change, "MD": _difference, "RD": _risk_difference}
    if analysis.measure not in ways:
        raise PoolingError(f"measure: expected one of {', '.join(ways)}, found {analysis.measure!r}")
    return ways[analysis.measure](base, question, analysis)


def _proportion(base: EvidenceBase, question: Question, analysis: Analysis) -> Pool:
    """Proportion of patients with the outcome: binomial-normal model, interval by t on the logit."""
    chosen, model = select_counts(base, question), base.protocol["models"]["proportion"]
    found, fit = {}, None
    level, test, nodes = analysis.level, analysis.test, analysis.nodes or model["nodes"]
    is_normal = analysis.model == "normal"
    if is_normal:
        level, test, nodes = model["level"], model["test"], model["nodes"]
    if chosen.records:
        counts = _numbers(chosen.records, "events"), _numbers(chosen.records, "n")
        low, high = clopper_pearson(*counts, level)
        found = {"ci_lb": logit(low), "ci_ub": logit(high), "weight": _no_weight(counts[0]), **_logits(*counts)}
        if len(chosen.records) == 1:
            fit = _own(found, level)
        elif _is_poolable(base, *counts):
            fit = meta.glmm(*counts, level=level, test=test, nodes=nodes)
            found["weight"] = _information(*counts, fit)
    settings = {**model, "level": level, "test": test, "nodes": nodes}
    settings |= {"interval": _interval_of(len(chosen.records), fit), "weight": "information at the pooled proportion"}
    if is_normal and fit is not None and len(chosen.records) > 1:
        fit, settings = _on_logits(*counts, analysis)
        found["weight"] = np.atleast_1d(fit.weights)
    return _pool(base, question, analysis, settings, chosen.records, found, chosen.left, fit)


def _is_poolable(base: EvidenceBase, events: np.ndarray, n: np.ndarray) -> bool:
    """Whether there are studies enough, and participants with the event and without it."""
    return len(n) >= base.protocol["models"]["fewest_pooled"] and 0 < events.sum() < n.sum()


def _no_weight(values: np.ndarray) -> np.ndarray:
    """Weights of studies that are not pooled: none, and all of it for a single study."""
    return np.full(len(values), 100.0 if len(values) == 1 else np.nan)


def _own(found: Mapping[str, np.ndarray], level: float, df: float = math.nan) -> OneStudy:
    """The result of the only study, by its own limits."""
    beta, variance, low, high = (float(found[name][0]) for name in ("yi", "vi", "ci_lb", "ci_ub"))
    return OneStudy(beta, math.sqrt(variance), low, high, level, df=df)


def _on_logits(events: np.ndarray, n: np.ndarray, analysis: Analysis) -> tuple[Any, dict[str, Any]]:
    """Proportions fitted as normal effects on the logit: half an event is added where a cell is empty."""
    made = meta.escalc("PLO", xi=events, ni=n)
    chosen = {"method": analysis.method, "test": analysis.test, "level": analysis.level}
    fit = meta.fit(made.yi, made.vi, **chosen)
    return fit, {"model": "normal", **chosen, "interval": analysis.test}


def _change(base: EvidenceBase, question: Question, analysis: Analysis) -> Pool:
    """Mean change from baseline within an arm (uncontrolled, or the control arms' own change)."""
    made = mean_changes(base, question, analysis.correlation)
    return _normal(base, question, analysis, made, {"correlation": analysis.correlation})


def _difference(base: EvidenceBase, question: Question, analysis: Analysis) -> Pool:
    """Mean difference between arms with cells and untreated arms."""
    return _normal(base, question, analysis, mean_differences(base, question, analysis.correlation, analysis.forms), {})


def _risk_difference(base: EvidenceBase, question: Question, analysis: Analysis) -> Pool:
    """Difference of two proportions in controlled studies: Mantel-Haenszel, no correction for empty cells."""
    sides = [report_counts(base, replace(question, arms=arms)) for arms in ("cells", "control")]
    pairs = _with_control(*(side.records for side in sides))
    neutral = replace(question, estimand="at_month")  # of a cohort the largest study, not the most favourable one
    chosen = independent(base, neutral, [both for both, _, _ in pairs])
    place = {both.line: number for number, (both, _, _) in enumerate(pairs)}
    kept = [pairs[place[row.line]] for row in chosen.records]
    rows, counts = chosen.records, _counts([(one, other) for _, one, other in kept])
    level, found, fit = analysis.level, counts, None
    if rows:
        found = counts | _risk_differences(*counts.values(), level)
        rows = _as_reported(base, question, rows, found, level)
        events, everyone = (counts[name] + counts[f"{name}_control"] for name in ("events", "n"))
        if len(rows) == 1:
            fit = _own(found, level)
        elif _is_poolable(base, events, everyone):
            cells = dict(zip(("ai", "n1i", "ci", "n2i"), counts.values(), strict=True))
            fit = meta.mantel_haenszel("RD", **cells, level=level)
        else:
            found["weight"] = _no_weight(events)
    settings = {"model": analysis.model, "method": analysis.method, "test": analysis.test, "level": level}
    settings["interval"] = "normal"
    if len(rows) == 1:
        settings["interval"] = "as reported" if AS_REPORTED in rows[0].flag else "Newcombe"
    paired = {both.study_id for both, _, _ in pairs}
    alone = [
        LeftOut(row.study_id, row.arm_id, row.months, row.table, row.line, NO_PAIR)
        for side in sides for row in side.records if row.study_id not in paired
    ]  # fmt: skip
    left = each_by_its_side(base, *(side.left for side in sides), [*alone, *chosen.left])
    return _pool(base, question, analysis, settings, rows, found, left, fit)


def switched(base: EvidenceBase, question: Question, analysis: Analysis) -> dict[str, Pool]:
    """The pool of a proportion again for each alternative handling of an anomaly that changes a row.

    Returns
    -------
    dict of Pool
        By title: the study, what is questioned, and the anomaly's code.
    """
    evidence, primary = base.evidence, pooled(base, question.named(question.name, "primary handling"), analysis)
    steps = evidence.handling[(evidence.handling.variant != "primary") & (evidence.handling.table == "binary")]
    pools = {}
    for anomaly in dict.fromkeys(steps.anomaly_id):
        other = replace(question, alternative=(*question.alternative, anomaly))
        made = pooled(
            base, other.named(f"{question.name}_{anomaly}", switch_words(evidence, anomaly, ("binary",))), analysis
        )
        if not _same_rows(made, primary):
            pools[made.title] = made
    return pools


def switch_words(evidence: Evidence, anomaly: str, tables: Sequence[str]) -> str:
    """What the alternative handling of an anomaly does, in words.

    Parameters
    ----------
    evidence : Evidence
    anomaly : str
        Its code, such as "a10".
    tables : sequence of str
        Tables whose steps are named; all of its steps where it has none on these.

    Returns
    -------
    str
        The study, what is questioned or used instead, and the code.
    """
    steps = evidence.handling[(evidence.handling.variant != "primary") & (evidence.handling.anomaly_id == anomaly)]
    own = steps[steps.table.isin(tables)]
    steps = own if len(own) else steps
    if steps.empty:
        return anomaly
    words = "; ".join(dict.fromkeys(steps.reason))
    study = steps.study_id.iloc[0]
    return f"{label(evidence, study)}: {words} ({anomaly})" if study else f"{words} ({anomaly})"


def _same_rows(one: Pool, other: Pool) -> bool:
    columns = ["study_id", "events", "n"]
    return one.rows[columns].equals(other.rows[columns])


def _normal(base: EvidenceBase, question: Question, analysis: Analysis, made: Selected, more: dict[str, Any]) -> Pool:
    chosen, found, fit = independent(base, question, made.records), {}, None
    own = base.protocol["models"]["continuous"]
    settings = {**own, "model": analysis.model, "method": analysis.method, "test": analysis.test}
    settings = _for_so_many({**settings, "level": analysis.level, **more}, len(chosen.records))
    if chosen.records:
        y, v = _numbers(chosen.records, "yi"), _numbers(chosen.records, "vi")
        df = _numbers(chosen.records, "df")
        reach = _quantiles(settings["level"], df) * np.sqrt(v)
        found = {"yi": y, "vi": v, "ci_lb": y - reach, "ci_ub": y + reach, "weight": _no_weight(y)}
        if len(y) == 1:
            fit = _own(found, settings["level"], float(df[0]))
            settings["interval"] = "normal" if np.isnan(df[0]) else f"t with {df[0]:g} df"
        elif len(y) >= base.protocol["models"]["fewest_pooled"]:
            fit = meta.fit(y, v, **{key: settings[key] for key in ("method", "test", "level")})
            found["weight"] = np.atleast_1d(fit.weights)
    return _pool(base, question, analysis, settings, chosen.records, found, [*made.left, *chosen.left], fit)


def _quantiles(level: float, df: np.ndarray) -> np.ndarray:
    """Quantile of each study's own interval: of t where its SE came by t, else of the normal distribution."""
    t = stdtrit(np.where(np.isnan(df), 1.0, df), 0.5 + level / 2)
    return np.where(np.isnan(df), ndtri(0.5 + level / 2), t)


def _numbers(rows: Sequence[Record], name: str) -> np.ndarray:
    return np.array([getattr(row, name) for row in rows], dtype=float)


def _for_so_many(settings: dict[str, Any], k: int) -> dict[str, Any]:
    """One study is shown with its own interval; more are pooled by the protocol's method and test."""
    if k <= 1:
        return {**settings, "method": "EE", "test": "z", "interval": "normal"}
    t = f"t with {k - 1} df"
    words = {"z": "normal", "t": t, "knha": f"Hartung-Knapp, {t}"}
    return {
        **settings,
        "interval": words.get(settings["test"], f"Hartung-Knapp, never narrower than normal, {t}"),
    }


def _interval_of(k: int, fit: Any) -> str:
    """How the interval of a proportion was made: by t where the studies are pooled, else from the counts."""
    if not k:
        return "none"
    return "Clopper-Pearson" if k == 1 or fit is None else f"t with {k - 1} df on the logit"


def _logits(events: np.ndarray, n: np.ndarray) -> dict[str, np.ndarray]:
    """Observed logits and their large-sample variances, infinite where nobody or everybody had the event; the
    binomial model does not use them.
    """
    with np.errstate(divide="ignore"):
        return {"yi": logit(events / n), "vi": 1 / events + 1 / (n - events)}


def _information(events: np.ndarray, n: np.ndarray, fit: Any) -> np.ndarray:
    """Weights in percent: the inverse of the variance of each logit at the pooled proportion, tau2 included."""
    p = np.clip(expit(fit.beta), 1e-6, 1 - 1e-6)
    tau2 = 0.0 if np.isnan(fit.tau2) else fit.tau2
    information = 1 / (1 / (n * p * (1 - p)) + tau2)
    return 100 * information / information.sum()


def _with_control(cells: Sequence[Record], control: Sequence[Record]) -> list[tuple[Record, Record, Record]]:
    """Studies that count both sides in the same way at the same time: both as one row, and the row of each side."""
    others, pairs = {row.study_id: row for row in control}, []
    for row in cells:
        other = others.get(row.study_id)
        if other is not None and other.timing == row.timing and _same(row.months, other.months):
            pairs.append((_both(row, other), row, other))
    return pairs


def _both(row: Record, other: Record) -> Record:
    """A treated arm and its control as one row, with the events and participants of the treated arm."""
    return Compared(
        **row._replace(
            arm_id=f"{row.arm_id} v {other.arm_id}",
            source_id=";".join(dict.fromkeys((row.source_id, other.source_id))),
            line=f"{row.line};{other.line}",
            flag=joined(row.flag, other.flag),
        )._asdict(),
        n_control=other.n,
    )


class Compared(SimpleNamespace):
    """A row of both arms of a study."""

    def _replace(self, **changed: Any) -> Compared:
        return Compared(**vars(self) | changed)


def _counts(pairs: Sequence[tuple[Record, Record]]) -> dict[str, np.ndarray]:
    """Events and participants of the treated arms and of their controls."""
    return {f"{name}{end}": _numbers([pair[side] for pair in pairs], name)
            for side, end in enumerate(("", "_control")) for name in ("events", "n")}  # fmt: skip


def _same(one: float, other: float) -> bool:
    return one == other or (np.isnan(one) and np.isnan(other))


def _risk_differences(
    a: np.ndarray, n1: np.ndarray, c: np.ndarray, n2: np.ndarray, level: float
) -> dict[str, np.ndarray]:
    """Difference of two proportions in each report, with Newcombe's limits, which stay between -1 and 1."""
    p1, p2, weight = a / n1, c / n2, n1 * n2 / (n1 + n2)
    low, high = newcombe(a, n1, c, n2, level)
    return {
        "yi": p1 - p2,
        "vi": p1 * (1 - p1) / n1 + p2 * (1 - p2) / n2,
        "ci_lb": low,
        "ci_ub": high,
        "weight": 100 * weight / weight.sum(),
    }


def _as_reported(
    base: EvidenceBase, question: Question, rows: list[Record], found: dict[str, np.ndarray], level: float
) -> list[Record]:
    """Put the interval that a report gives for its difference in the place of the one made from its counts.

    Only at the level of 95%, at which reports print them, and where the difference is the same to a tenth of a point.
    """
    if level != REPORTED_LEVEL:
        return rows
    known = base.contrasts(question.alternative)
    known = known[(known.measure == "risk difference") & (known.leave == "") & known.ci_low.notna()]
    out = []
    for place, row in enumerate(rows):
        arms = [row.arm_id.split(" v ")]
        own = known[(known.study_id == row.study_id) & (known.outcome == row.outcome) & (known.months == row.months)]
        own = own[[[one.treatment_arm, one.control_arm] in arms for one in own.itertuples()]] if len(own) else own
        own = own[(own.estimate / 100 - found["yi"][place]).abs() < 0.001]
        if len(own):
            found["ci_lb"][place], found["ci_ub"][place] = own.ci_low.iloc[0] / 100, own.ci_high.iloc[0] / 100
            row = row._replace(flag=joined(row.flag, AS_REPORTED))
        out.append(row)
    return out


#: Flag of a difference whose interval is that of its report.
AS_REPORTED = "interval as reported"
#: The level at which reports print intervals.
REPORTED_LEVEL = 0.95


def _pool(
    base: EvidenceBase,
    question: Question,
    analysis: Analysis,
    settings: dict[str, Any],
    records: Sequence[Record],
    found: Mapping[str, np.ndarray],
    left: Sequence[LeftOut],
    fit: Any,
) -> Pool:
    """The pool of these rows; ``found`` are columns that were computed from them."""
    own = {
        "product": [row.intervention_class for row in records],
        "note": [row.flag for row in records],
        "label": [label(base.evidence, row.study_id) for row in records],
        "link": [link(base.evidence, row.study_id, row.source_id) for row in records],
        "controlled": [row.study_id in base.controlled for row in records],
        "secondary": [base.is_secondary(row.source_id) for row in records],
        "co_treatment": [base.co_treatment(row.study_id, row.arm_id) for row in records],
    }
    models = base.protocol["models"]
    columns = {
        name: own.get(name) or found.get(name, [getattr(row, name, EMPTY.get(name, np.nan)) for row in records])
        for name in ROW_COLUMNS
    }
    return Pool(
        question=question,
        analysis=analysis,
        settings=settings,
        rows=pd.DataFrame(columns).astype(TYPES if not records else {}),
        left_out=pd.DataFrame.from_records(left, columns=list(LeftOut._fields)),
        fit=fit,
        few=models["few_reports"],
        fewest=models["fewest_pooled"],
        prior_scale=_prior_scale(base, question, analysis),
        limits=models["cautions"],
        again=partial(pooled, base),
    )


def _prior_scale(base: EvidenceBase, question: Question, analysis: Analysis) -> float:
    """The scale of the prior of tau: that of the analysis, else the protocol's for the outcome; NaN for neither."""
    if analysis.prior is not None:
        return float(analysis.prior)
    scales = base.protocol["models"]["bayes"]["scale"]
    name = "logit" if SCALES.get(analysis.measure) == "logit" else question.unit or question.outcome
    return float(scales.get(name, math.nan))


#: Evidence -> its studies by id, the address at which each source was read, and the label of each study.
_KNOWN: WeakKeyDictionary[Evidence, tuple[dict[str, Any], dict[str, str], dict[str, str]]] = WeakKeyDictionary()


def _known(evidence: Evidence) -> tuple[dict[str, Any], dict[str, str], dict[str, str]]:
    if evidence not in _KNOWN:
        studies = {row.study_id: row for row in evidence.studies.itertuples(index=False)}
        addresses = dict(zip(evidence.sources.source_id, evidence.sources.url, strict=True))
        _KNOWN[evidence] = studies, addresses, _labels(studies)
    return _KNOWN[evidence]


def label(evidence: Evidence, study_id: str) -> str:
    """A study as readers know it: first author and year, with a letter where several have both in common.

    Without an author it is called by its id in words.

    >>> _id_in_words("gillard2008"), _id_in_words("emory_nct00133809"), _id_in_words("leiden_iak")
    ('Gillard', 'Emory NCT00133809', 'Leiden IAK')
    """
    return _known(evidence)[2][study_id]


def _labels(studies: Mapping[str, Any]) -> dict[str, str]:
    """The label of every study; several of one author and year get letters in the order of their ids."""
    alike: dict[str, list[str]] = {}
    for study_id in sorted(studies):
        alike.setdefault(_author_and_year(studies[study_id]), []).append(study_id)
    letters = [""], list(ascii_lowercase)
    return {
        study_id: words + (letters[len(ids) > 1][place] if place < len(ascii_lowercase) else f" ({study_id})")
        for words, ids in alike.items() for place, study_id in enumerate(ids)
    }  # fmt: skip


def _author_and_year(study: Any) -> str:
    author = re.sub(r"\s+[A-Z]{1,4}$", "", study.first_author) or _id_in_words(study.study_id)
    return f"{author} {study.year:.0f}" if np.isfinite(study.year) else author


def _id_in_words(study_id: str) -> str:
    parts = [part for part in re.sub(r"(?<=[a-z_])(19|20)\d{2}(?=$|_)", "", study_id).split("_") if part]
    return " ".join(p.upper() if len(p) <= 3 or p.startswith("nct") else p.capitalize() for p in parts)


def link(evidence: Evidence, study_id: str, source_id: str = "") -> str:
    """Address for readers: DOI, PubMed or registry where one is known, else the citable address of the source.

    Empty where neither is known: a copy, a mirror or a page that is not scientific is never a link.
    """
    studies, addresses, _ = _known(evidence)
    study = studies[study_id]
    number = re.search(r"NCT\d{8}", study.registry_id)
    known = [study.doi and f"https://doi.org/{study.doi}", study.pmid and f"https://pubmed.ncbi.nlm.nih.gov/{study.pmid}/",
             number and f"https://clinicaltrials.gov/study/{number[0]}"]  # fmt: skip
    first = re.search(r"https?://[^\s;]+", addresses.get(source_id.split(";")[0], ""))
    return next((address for address in known if address), first[0] if first else "")
