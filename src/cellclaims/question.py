"""What is asked of the evidence, and how it is pooled: two frozen records, checked against the protocol.

A *question* names an outcome, an estimand, a time, a population, a product and whose arms are meant (those that got
cells, or untreated controls). An *analysis* names a measure, a model, an estimator, a test and what must be assumed.
Every parameter of a notebook is a field of one of them.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Any

from cellclaims.errors import PoolingError, ProtocolError
from cellclaims.protocol import Protocol

ESTIMANDS = ("at_month", "ever", "last_follow_up", "most_favourable", "any_time")
#: From which event months may be counted.
ORIGINS = ("first_infusion", "last_infusion")
ARMS = ("cells", "control")

#: Measure -> what one study contributes: a proportion (logit, double arcsine transformations), a mean change within an
#: arm, a mean difference or a risk difference between arms.
MEASURES = ("PLO", "PAS", "PFT", "MC", "MD", "RD")
MODELS = ("binomial_normal", "beta_binomial", "normal", "bayes", "mantel_haenszel")
#: Forms of a difference between arms, in the protocol's order of preference.
FORMS = ("adjusted", "change", "final")
#: A form that is never the main effect: the difference of changes computed from levels, with a correlation.
FROM_LEVELS = "levels"


@dataclass(frozen=True)
class Question:
    """What is asked of the evidence.

    Parameters
    ----------
    outcome : str
        A name of the protocol: an outcome of ``continuous.csv`` or a definition of ``binary.csv``.
    population : str or iterable of str
        Types of diabetes.
    product : str
        A product of the protocol.
    arms : {"cells", "control"}
        Arms that got cells, or untreated controls of such arms.
    estimand : {"at_month", "ever", "last_follow_up", "most_favourable", "any_time"}
        For counts: when the outcome counts. ``any_time`` takes an ever count, else the largest status (a lower bound of
        it); ``most_favourable`` the largest proportion whatever the time.
    months : float or (float, float), optional
        Follow-up asked for, in months, or the shortest and the longest one that is admitted, of which the longest that
        a study reports is used; the protocol's by default.
    window : float, optional
        How far a study may be from the month asked for; none where ``months`` is a pair.
    unit : str
        For an outcome that is reported in units that do not convert (insulin dose): which of them; the protocol's first
        by default.
    designs, exclude : iterable of str
        Designs to use (all if empty); study_ids to leave out.
    alternative : iterable of str
        Anomalies (a44, ...) whose alternative handling is used.
    secondary : bool
        False leaves out numbers that come from a table of a published review and not from the study's own report.
    co_treatments : bool
        False leaves out arms that got another treatment with the cells which the control arm did not get.
    origin : {"", "first_infusion", "last_infusion"}
        For counts at a month: only those whose months are counted from this event.
    fewest : int, optional
        Smallest number of participants of an arm; the protocol's by default.
    assumed : bool
        False leaves out rows with an assumed label or with the arm's number of participants in place of their own.
    name, title : str
        What the pool of this question is called in files, and in figures and tables.
    """

    outcome: str
    population: tuple[str, ...]
    product: str
    arms: str = "cells"
    estimand: str = "at_month"
    months: float | tuple[float, float] | None = None
    window: float | None = None
    unit: str = ""
    designs: tuple[str, ...] = ()
    alternative: tuple[str, ...] = ()
    exclude: tuple[str, ...] = ()
    secondary: bool = True
    co_treatments: bool = True
    origin: str = ""
    fewest: int | None = None
    assumed: bool = True
    name: str = ""
    title: str = ""

    def __post_init__(self) -> None:
        """Take one population as a text, and any list as a tuple, so that equal questions are equal."""
        for field_name in ("population", "designs", "alternative", "exclude"):
            object.__setattr__(self, field_name, _texts(getattr(self, field_name)))
        if isinstance(self.months, list | tuple):
            object.__setattr__(self, "months", tuple(float(month) for month in self.months))

    @property
    def span(self) -> tuple[float, float]:
        """The shortest and the longest follow-up that is admitted, in months; of a question with its month and window.

        Examples
        --------
        >>> Question("hba1c", "T2D", "msc", months=(2.75, 15)).span
        (2.75, 15.0)
        >>> Question("hba1c", "T2D", "msc", months=12, window=3).span
        (9, 15)
        """
        if isinstance(self.months, tuple):
            return self.months
        return self.months - self.window, self.months + self.window

    @property
    def target(self) -> float:
        """The follow-up that is preferred: the month asked for, or the longest one that is admitted."""
        return self.months[1] if isinstance(self.months, tuple) else self.months

    def admits(self, months: float) -> bool:
        """Whether a follow-up is in the window asked for; one that is not stated never is."""
        low, high = self.span
        return low <= months <= high

    def named(self, name: str, title: str) -> Question:
        """The same question under another name and title."""
        return replace(self, name=name, title=title)

    def without(self, studies: Iterable[str]) -> Question:
        """The same question without these studies: a claim's own trial never answers for the claim."""
        return replace(self, exclude=(*self.exclude, *studies))

    def at(self, protocol: Protocol) -> Question:
        """The same question with the protocol's month and window where none is given.

        Raises
        ------
        ProtocolError
            For a name that the protocol does not have, with the names that it has.
        """
        outcome = protocol.outcome(self.outcome)
        protocol.populations(list(self.population))
        protocol.classes(self.product)
        if self.estimand not in ESTIMANDS:
            raise ProtocolError(f"expected estimand to be one of {', '.join(ESTIMANDS)}; found {self.estimand!r}")
        if self.arms not in ARMS:
            raise ProtocolError(f"expected arms to be cells or control; found {self.arms!r}")
        if self.origin not in ("", *ORIGINS):
            raise ProtocolError(f"expected origin to be empty or one of {', '.join(ORIGINS)}; found {self.origin!r}")
        if self.unit and self.unit not in outcome.units:
            known = ", ".join(outcome.units) or "none"
            raise ProtocolError(f"expected unit of {self.outcome} to be one of {known}; found {self.unit!r}")
        fewest = protocol["eligibility"]["fewest_participants"] if self.fewest is None else self.fewest
        more = {"fewest": int(fewest), "unit": self.unit or next(iter(outcome.units), "")}
        months = outcome.months if self.months is None else self.months
        if isinstance(months, tuple) and (self.months is not None or self.window is None):
            low, high = months if len(months) == 2 else (1.0, 0.0)
            if not 0 <= low <= high or self.window is not None:
                found = f"{self.months!r} with window {self.window!r}"
                raise ProtocolError(f"expected months as (shortest, longest) without a window; found {found}")
            return replace(self, months=months, **more)
        if isinstance(months, tuple):
            raise ProtocolError(f"expected a month for the window {self.window!r}; found none")
        window = outcome.window if self.window is None else self.window
        return replace(self, months=float(months), window=float(window), **more)


@dataclass(frozen=True)
class Analysis:
    """How a question is pooled; an empty field takes the protocol's value.

    Parameters
    ----------
    measure : {"PLO", "PAS", "PFT", "MC", "MD", "RD"}
        Proportion on the logit or (double) arcsine scale, mean change, mean difference, risk difference.
    model : {"binomial_normal", "beta_binomial", "normal", "bayes", "mantel_haenszel"}
    method, test : str
        Estimator of the heterogeneity and test, as in :func:`cellclaims.meta.fit`.
    level : float
        Of intervals, between 0 and 1.
    correlation : float
        Of baseline with follow-up, for the SD of a change; between -1 and 1.
    prior : float
        Scale of the half-normal prior of tau, for the model "bayes".
    forms : iterable of str
        For a mean difference: which figures may give it (:data:`FORMS`, :data:`FROM_LEVELS`), the first that a report
        allows.
    nodes : int
        Quadrature points of the binomial-normal model.
    counted : bool
        False for an analysis that reproduces what others reported: shown, not counted among the specifications.

    Raises
    ------
    PoolingError
        For a measure, model or form that is not known, or a number out of its range.
    """

    measure: str = ""
    model: str = ""
    method: str = ""
    test: str = ""
    level: float | None = None
    correlation: float | None = None
    prior: float | None = None
    forms: tuple[str, ...] = FORMS
    nodes: int | None = None
    counted: bool = True

    def __post_init__(self) -> None:
        """Refuse what is not known or cannot be."""
        object.__setattr__(self, "forms", _texts(self.forms))
        for what, known in (("measure", MEASURES), ("model", MODELS)):
            if getattr(self, what) not in ("", *known):
                raise PoolingError(f"{what}: expected one of {', '.join(known)}, found {getattr(self, what)!r}")
        if unknown := [form for form in self.forms if form not in (*FORMS, FROM_LEVELS)]:
            known = ", ".join((*FORMS, FROM_LEVELS))
            raise PoolingError(f"forms: expected names among {known}, found {', '.join(unknown)}")
        for what, low, high in (("level", 0, 1), ("correlation", -1, 1), ("prior", 0, float("inf"))):
            value = getattr(self, what)
            if value is not None and not low < value < high:
                raise PoolingError(f"{what}: expected a number between {low} and {high}, found {value!r}")

    @property
    def is_of_counts(self) -> bool:
        """Whether the analysis pools counts of one group."""
        return self.model in ("binomial_normal", "beta_binomial") or self.measure in ("PLO", "PAS", "PFT")

    def at(self, protocol: Protocol) -> Analysis:
        """The same analysis with the protocol's model, method, test, level and correlation where none is given."""
        models = protocol["models"]
        if self.measure == "RD":
            own: dict[str, Any] = {
                "model": "mantel_haenszel", "method": "MH", "test": "z", "level": models["proportion"]["level"],
            }  # fmt: skip
        else:
            is_binomial = self.measure == "PLO" and self.model in ("", "binomial_normal")
            own = models["proportion" if is_binomial else "continuous"]
        given = {name: value for name, value in own.items() if not getattr(self, name)}
        correlation = models["correlation"]["value"] if self.correlation is None else self.correlation
        return replace(self, **given, correlation=float(correlation))


def _texts(value: str | Iterable[str]) -> tuple[str, ...]:
    return (value,) if isinstance(value, str) else tuple(value)
