"""What is asked at the controls, and the pool that answers it: one path for the page, the panel and the tests."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pandas as pd

from cellclaims import meta, pools
from cellclaims.claims import own_trials
from cellclaims.claims.counterparts import TYPES
from cellclaims.errors import ParameterError
from cellclaims.evidence import Evidence
from cellclaims.pools import Pool
from cellclaims.protocol import Protocol
from cellclaims.selection import ESTIMANDS, Question

#: The choice that the protocol makes.
PROTOCOL = "protocol"
#: Outcomes that are means of HbA1c, in words; every other outcome of the protocol is a share of patients.
MEANS = {"hba1c_change": "change of HbA1c after cells", "hba1c_difference": "HbA1c with cells minus without"}
METHODS = (PROTOCOL, "EE", "DL", "PM", "REML")
#: Tests by model: a share as the protocol fits it, anything pooled as a mean of effects.
BINOMIAL_TESTS, NORMAL_TESTS = (PROTOCOL, "t", "z"), (PROTOCOL, "adhoc", "knha", "t", "z")
#: Correlations and scales that make sense; the prior of tau is half-normal.
CORRELATIONS, SCALES, MONTHS, WINDOWS = (0.0, 0.99), (0.01, 10.0), (0.0, 240.0), (0.0, 120.0)
NAME = "asked"
#: Tables whose rows are of one study; sources stay, as a figure may stand in another study's source.
NARROWED = ("studies", "arms", "cohorts", "continuous", "binary", "contrasts", "handling")


@dataclass(frozen=True)
class Asked:
    """The state of the controls; every field has a parameter of the notebook, and the defaults are its defaults.

    ``months`` and ``window`` are in months, ``without`` holds study_ids, ``correlation`` is that of baseline with
    follow-up (for the SD of a change), ``tau_scale`` the scale of the half-normal prior of tau (logit, or points).
    """

    outcome: str = "insulin_independence"
    estimand: str = "most_favourable"
    months: float = 12.0
    window: float = 3.0
    without: tuple[str, ...] = ()
    method: str = PROTOCOL
    test: str = PROTOCOL
    correlation: float = 0.5
    tau_scale: float = 1.0
    population: tuple[str, ...] = ("T2D",)
    product: str = "any_cells"

    @property
    def is_share(self) -> bool:
        """Whether a share of patients is asked for, and not a mean."""
        return self.outcome not in MEANS

    @property
    def tests(self) -> tuple[str, ...]:
        """Tests that the chosen model knows."""
        return BINOMIAL_TESTS if self.is_share and self.method == PROTOCOL else NORMAL_TESTS

    def with_tests_that_fit(self) -> Asked:
        """The same, with the protocol's test where the chosen model does not know the chosen one."""
        return self if self.test in self.tests else replace(self, test=PROTOCOL)


def asked_of(evidence: Evidence, protocol: Protocol, claim: Any, **given: Any) -> Asked:
    """What the parameters ask, for the claim's type of diabetes.

    Raises
    ------
    ParameterError
        For a value that is not known or out of range: names the parameter, what was expected and found.

    Examples
    --------
    >>> from cellclaims import protocol
    >>> from cellclaims.evidence import load
    >>> from cellclaims.claims.counterparts import claim_of
    >>> evidence, rules = load("data"), protocol.load("data")
    >>> asked_of(evidence, rules, claim_of(evidence, "stop_all_2016"), METHOD="best")
    Traceback (most recent call last):
    cellclaims.errors.ParameterError: METHOD: expected one of protocol, EE, DL, PM, REML; found 'best'
    """
    values = {name.lower(): value for name, value in given.items()}
    values["without"] = tuple(values.get("without", ()))
    asked = replace(Asked(population=TYPES[claim.diabetes_type]), **values)
    for name, known in {
        "outcome": outcomes(protocol),
        "estimand": ESTIMANDS,
        "method": METHODS,
        "test": asked.tests,
    }.items():
        _one_of(name, getattr(asked, name), known)
    for name, limits in (
        ("months", MONTHS),
        ("window", WINDOWS),
        ("correlation", CORRELATIONS),
        ("tau_scale", SCALES),
    ):
        _between(name, getattr(asked, name), *limits)
    for study in asked.without:
        _one_of("without", study, tuple(evidence.studies.study_id))
    return asked


def _one_of(name: str, found: str, known: Iterable[str]) -> None:
    if found not in known:
        shown = ", ".join(known) if len(list(known)) <= 12 else "the study_ids of studies.csv"
        raise ParameterError(f"{name.upper()}: expected one of {shown}; found {found!r}")


def _between(name: str, found: float, low: float, high: float) -> None:
    if not low <= found <= high:
        raise ParameterError(f"{name.upper()}: expected a number from {low:g} to {high:g}; found {found!r}")


def outcomes(protocol: Protocol) -> dict[str, str]:
    """What can be asked for: the shares of the protocol and the two means of HbA1c, each in words."""
    shares = {name: about["name"] for name, about in protocol["outcomes"].items() if name != "hba1c"}
    return {**shares, **MEANS}


def question_of(evidence: Evidence, asked: Asked) -> Question:
    """The question of the pool: the clinic's own trials never answer for its claim."""
    outcome = asked.outcome if asked.is_share else "hba1c"
    estimand = asked.estimand if asked.is_share else "at_month"
    time = {"months": asked.months, "window": asked.window}
    question = Question(outcome, asked.population, asked.product, estimand=estimand, **time)
    return pools.without(question, (*own_trials(evidence), *asked.without))


def pool_of(evidence: Evidence, protocol: Protocol, asked: Asked) -> Pool:
    """The pool that answers what is asked, by :mod:`cellclaims.pools`.

    A share is fitted by the protocol's binomial-normal model, or, where an estimator of tau2 is chosen, as normal
    effects on the logit; HbA1c by the normal model with the chosen estimator and test.
    """
    question, title = question_of(evidence, asked), outcomes(protocol)[asked.outcome]
    if not asked.is_share:
        make = pools.change if asked.outcome == "hba1c_change" else pools.difference
        rules = with_model(protocol, "continuous", method=asked.method, test=asked.test)
        return make(evidence, rules, question, NAME, title, asked.correlation)
    if asked.method == PROTOCOL:
        return pools.proportion(evidence, with_model(protocol, "proportion", test=asked.test), question, NAME, title)
    chosen = {"method": asked.method, "test": asked.test}
    model = with_model(protocol, "continuous", **chosen)["models"]["continuous"]
    return on_logits(pools.proportion(evidence, protocol, question, NAME, title), model)


def with_model(protocol: Protocol, kind: str, **chosen: str) -> Protocol:
    """The protocol with another estimator or test of one kind of model; "protocol" leaves what it says."""
    models = protocol["models"]
    given = {name: value for name, value in chosen.items() if value != PROTOCOL}
    return Protocol({**protocol.content, "models": {**models, kind: {**models[kind], **given}}})


def on_logits(pool: Pool, model: dict[str, Any]) -> Pool:
    """A pool of shares fitted again as normal effects on the logit: half an event where a cell is empty.

    ``model`` names method, test and level. One report keeps the fit that it has.
    """
    if pool.k < 2:
        return pool
    effects = meta.escalc("PLO", xi=pool.rows.events.to_numpy(float), ni=pool.rows.n.to_numpy(float))
    chosen = {key: model[key] for key in ("method", "test", "level")}
    fit = meta.fit(effects.yi, effects.vi, **chosen)
    rows = pool.rows.assign(weight=np.atleast_1d(fit.weights))
    return replace(pool, rows=rows, fit=fit, settings={**model, "model": "normal", "interval": chosen["test"]})


def narrowed(evidence: Evidence, protocol: Protocol, asked: Asked) -> Evidence:
    """The evidence without what cannot answer at any setting of the controls, so that a move is quick.

    Rows of other populations and products go; the reports that a pool uses, and their order, stay.
    """
    studies = evidence.studies
    classes = protocol.classes(asked.product)
    mine = studies.diabetes_type.isin(asked.population) & studies.intervention_class.isin(classes)
    return of_studies(evidence, set(studies.study_id[mine]))


def of_studies(evidence: Evidence, ids: set[str]) -> Evidence:
    """The evidence of some studies."""
    tables = {name: getattr(evidence, name) for name in NARROWED}
    tables = {name: _plain(table[table.study_id.isin(ids)]) for name, table in tables.items()}
    return replace(evidence, **tables, sources=_plain(evidence.sources))


def _plain(table: pd.DataFrame) -> pd.DataFrame:
    """Text as Python's own: many small selections of it are quicker so. What is so already costs nothing."""
    other = {name: object for name, kind in table.dtypes.items() if kind not in (float, object)}
    return table.astype(other) if other else table
