"""One question -> the rows, the effects, the fit: a *pool* that anyone can recompute from its own rows.

A pool holds what a forest plot, a table, a verdict and ``results.json`` need, all of it unrounded. One report is
shown and not pooled; two to four are pooled and labelled.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any
from weakref import WeakKeyDictionary

import numpy as np
import pandas as pd
from scipy.special import expit, logit, ndtri

from cellclaims import meta
from cellclaims.anomalies import joined
from cellclaims.effects import each_by_its_side, mean_changes, mean_differences
from cellclaims.errors import PoolingError
from cellclaims.evidence import Evidence
from cellclaims.meta.binomial_fit import clopper_pearson, newcombe
from cellclaims.question import Analysis, Question
from cellclaims.selection import EvidenceBase, LeftOut, Record, Selected, independent, select_counts

ROW_COLUMNS = (  # in the order of results.json
    "study_id arm_id source_id label year diabetes_type product design randomised blinding months events n "
    "events_control n_control yi vi ci_lb ci_ub weight link detail note table line controlled secondary"
).split()
#: Types of the columns of a pool without rows; with rows they follow from the values.
TYPES = dict.fromkeys(ROW_COLUMNS, "str") | dict.fromkeys(
    "year months events n events_control n_control yi vi ci_lb ci_ub weight".split(), float
) | {"controlled": bool, "secondary": bool}  # fmt: skip
#: Text columns that may have nothing to say.
EMPTY = {"detail": "", "note": ""}
#: Why a report with only one of two sides is in no difference.
NO_PAIR = "no count for both an arm with cells and an untreated one"
#: Measure -> the scale on which it is pooled.
SCALES = {"PLO": "logit", "PAS": "arcsine", "PFT": "double arcsine", "OR": "log", "RR": "log"}


class PooledRows:
    """What follows from the rows of a pool, its measure and its scale: asked by every table and figure.

    Attributes
    ----------
    rows : DataFrame
        One row per study.
    measure, scale : str
    few : int
        The largest number of studies that counts as few.
    """

    rows: pd.DataFrame
    measure: str
    scale: str
    few: int

    @property
    def k(self) -> int:
        """Number of studies."""
        return len(self.rows)

    @property
    def is_pooled(self) -> bool:
        """Whether the studies are pooled."""
        return self.k >= 3 and self.fit is not None

    @property
    def I2(self) -> float:
        """I² in percent."""
        return float(self.fit.I2)

    bayes = None

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
            return "one report: shown, not pooled"
        return "few reports" if self.is_few else ""

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
    fit : Fit, BinomialFit or StratifiedFit
        None if no study is eligible.
    few : int
        The largest number of studies that counts as few.
    """

    question: Question
    analysis: Analysis
    settings: dict[str, Any]
    rows: pd.DataFrame = field(repr=False)
    left_out: pd.DataFrame = field(repr=False)
    fit: Any
    few: int = 4

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
        """The level of the pool's intervals, for their name: "95 %"."""
        return f"{100 * float(self.settings['level']):g} %"

    @property
    def controlled_reports(self) -> int:
        """Number of studies that had an untreated control arm, whether or not it is in the pool."""
        return int(self.rows.controlled.sum())

    @property
    def weight_from_secondary(self) -> float:
        """Percentage of the weight that comes from a table of a published review and not from the study itself."""
        return float(self.rows.weight[self.rows.secondary].sum()) if self.k else 0.0


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
        With ``fit`` None if no study is eligible. One study is given with its own interval.

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
    if analysis.model == "normal":
        level, test, nodes = model["level"], model["test"], model["nodes"]
    if chosen.records:
        counts = _numbers(chosen.records, "events"), _numbers(chosen.records, "n")
        fit = meta.glmm(*counts, level=level, test=test, nodes=nodes)
        low, high = clopper_pearson(*counts, level)
        found = {"ci_lb": logit(low), "ci_ub": logit(high), "weight": _information(*counts, fit), **_logits(*counts)}
    settings = {**model, "level": level, "test": test, "nodes": nodes}
    settings |= {"interval": _interval_of(fit), "weight": "information at the pooled proportion"}
    if analysis.model == "normal" and len(chosen.records) > 1:
        fit, settings = _on_logits(*counts, analysis)
        found["weight"] = np.atleast_1d(fit.weights)
    return _pool(base, question, analysis, settings, chosen.records, found, chosen.left, fit)


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
    """Difference of two proportions in controlled reports: Mantel-Haenszel, no correction for empty cells."""
    sides = [select_counts(base, replace(question, arms=arms)) for arms in ("cells", "control")]
    rows, counts = _with_control(*(side.records for side in sides))
    level, found, fit = analysis.level, counts, None
    if rows:
        cells = dict(zip(("ai", "n1i", "ci", "n2i"), counts.values(), strict=True))
        fit = meta.mantel_haenszel("RD", **cells, level=level)
        found = counts | _risk_differences(*counts.values(), level)
    settings = {"model": analysis.model, "method": analysis.method, "test": analysis.test, "level": level}
    paired = {row.study_id for row in rows}
    alone = [
        LeftOut(row.study_id, row.arm_id, row.months, row.table, row.line, NO_PAIR)
        for side in sides for row in side.records if row.study_id not in paired
    ]  # fmt: skip
    left = each_by_its_side(base, *(side.left for side in sides), alone)
    return _pool(base, question, analysis, settings | {"interval": "normal"}, rows, found, left, fit)


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
        fit = meta.fit(y, v, **{key: settings[key] for key in ("method", "test", "level")})
        reach = ndtri(0.5 + settings["level"] / 2) * np.sqrt(v)
        found = {"ci_lb": y - reach, "ci_ub": y + reach, "weight": np.atleast_1d(fit.weights)}
    return _pool(base, question, analysis, settings, chosen.records, found, [*made.left, *chosen.left], fit)


def _numbers(rows: Sequence[Record], name: str) -> np.ndarray:
    return np.array([getattr(row, name) for row in rows], dtype=float)


def _for_so_many(settings: dict[str, Any], k: int) -> dict[str, Any]:
    """One report is shown with its own normal interval; more are pooled by the protocol's method and test."""
    if k <= 1:
        return {**settings, "method": "EE", "test": "z", "interval": "normal"}
    t = f"t with {k - 1} df"
    words = {"z": "normal", "t": t, "knha": f"Hartung-Knapp, {t}"}
    return {
        **settings,
        "interval": words.get(settings["test"], f"Hartung-Knapp, never narrower than normal, {t}"),
    }


def _interval_of(fit: Any) -> str:
    """How the interval of a proportion was made: by t, or from the total count where no logit has a spread."""
    if fit is None:
        return "none"
    by_t = fit.k > 1 and 0 < fit.events < fit.n
    return f"t with {fit.k - 1} df on the logit" if by_t else "Clopper-Pearson"


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


def _with_control(cells: Sequence[Record], control: Sequence[Record]) -> tuple[list[Record], dict[str, np.ndarray]]:
    """Reports that count both sides in the same way at the same time, and the counts of both sides of each."""
    others, pairs = {row.study_id: row for row in control}, []
    for row in cells:
        other = others.get(row.study_id)
        if other is not None and other.timing == row.timing and _same(row.months, other.months):
            pairs.append((row, other))
    both = [
        row._replace(
            arm_id=f"{row.arm_id} v {other.arm_id}",
            source_id=";".join(dict.fromkeys((row.source_id, other.source_id))),
            line=f"{row.line};{other.line}",
            flag=joined(row.flag, other.flag),
        )
        for row, other in pairs
    ]
    counts = {f"{name}{end}": _numbers([pair[side] for pair in pairs], name)
              for side, end in enumerate(("", "_control")) for name in ("events", "n")}  # fmt: skip
    return both, counts


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
        "label": _labels(base, records),
        "link": [link(base.evidence, row.study_id, row.source_id) for row in records],
        "controlled": [row.study_id in base.controlled for row in records],
        "secondary": [base.is_secondary(row.source_id) for row in records],
    }
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
        few=base.protocol["models"]["few_reports"],
    )


def _labels(base: EvidenceBase, records: Sequence[Record]) -> list[str]:
    """The reports as readers know them; two of one label get their ids."""
    labels = [label(base.evidence, row.study_id) for row in records]
    alike = {x for x in labels if labels.count(x) > 1}
    return [f"{x} ({row.study_id})" if x in alike else x for x, row in zip(labels, records, strict=True)]


#: Evidence -> its studies by id, and the address at which each source was read.
_KNOWN: WeakKeyDictionary[Evidence, tuple[dict[str, Any], dict[str, str]]] = WeakKeyDictionary()


def _known(evidence: Evidence) -> tuple[dict[str, Any], dict[str, str]]:
    if evidence not in _KNOWN:
        studies = {row.study_id: row for row in evidence.studies.itertuples(index=False)}
        _KNOWN[evidence] = studies, dict(zip(evidence.sources.source_id, evidence.sources.url, strict=True))
    return _KNOWN[evidence]


def label(evidence: Evidence, study_id: str) -> str:
    """A report as readers know it: first author and year; without an author, its id in words.

    >>> _id_in_words("gillard2008"), _id_in_words("emory_nct00133809"), _id_in_words("leiden_iak")
    ('Gillard', 'Emory NCT00133809', 'Leiden IAK')
    """
    study = _known(evidence)[0][study_id]
    author = re.sub(r"\s+[A-Z]{1,4}$", "", study.first_author) or _id_in_words(study_id)
    return f"{author} {study.year:.0f}" if np.isfinite(study.year) else author


def _id_in_words(study_id: str) -> str:
    parts = re.sub(r"(?<=[a-z])(19|20)\d{2}(?=$|_)", "", study_id).split("_")
    return " ".join(p.upper() if len(p) <= 3 or p.startswith("nct") else p.capitalize() for p in parts)


def link(evidence: Evidence, study_id: str, source_id: str = "") -> str:
    """Address for readers: DOI, PubMed or registry where one is known, else the citable address of the source.

    Empty where neither is known: a copy, a mirror or a page that is not scientific is never a link.
    """
    studies, addresses = _known(evidence)
    study = studies[study_id]
    number = re.search(r"NCT\d{8}", study.registry_id)
    known = [study.doi and f"https://doi.org/{study.doi}", study.pmid and f"https://pubmed.ncbi.nlm.nih.gov/{study.pmid}/",
             number and f"https://clinicaltrials.gov/study/{number[0]}"]  # fmt: skip
    first = re.search(r"https?://[^\s;]+", addresses.get(source_id.split(";")[0], ""))
    return next((address for address in known if address), first[0] if first else "")
