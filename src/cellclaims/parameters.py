"""Allowed values of the notebooks' parameters; others are refused by name before anything is computed.

The runner checks values before a kernel starts, and :func:`cellclaims.review.open_review` checks them again when a
notebook runs in JupyterLab or with papermill. :mod:`cellclaims.runner.run` checks types against the notebook; this
module checks values against the evidence and the protocol.
"""

from __future__ import annotations

import difflib
import math
from collections.abc import Callable, Collection, Mapping
from functools import partial
from typing import Any

from cellclaims.errors import ParameterError
from cellclaims.overview import DESIGNS
from cellclaims.question import ESTIMANDS
from cellclaims.selection import EvidenceBase

#: Longest follow-up, widest window (months), and number of names listed in a message.
LONGEST, WIDEST, LISTED = 240.0, 120.0, 12


def refuse_impossible(base: EvidenceBase, given: Mapping[str, object]) -> None:
    """Raise an error for a value that is impossible with this evidence.

    Parameters
    ----------
    base : EvidenceBase
        The evidence and the protocol with the known names.
    given : mapping of str to object
        Values by name of the parameter (POPULATION, MONTHS, ...). Names without a rule are accepted, and None, which
        leaves a value to the protocol.

    Raises
    ------
    ParameterError
        For the first impossible value; names the parameter, what was expected and what was found.

    Examples
    --------
    >>> from cellclaims import evidence, protocol
    >>> base = EvidenceBase(evidence.load("data"), protocol.load("data"))
    >>> refuse_impossible(base, {"MONTHS": -5})
    Traceback (most recent call last):
    cellclaims.errors.ParameterError: MONTHS: expected a number of months from 0 to 240, found -5
    """
    for name, value in given.items():
        if name in RULES and value is not None and not (name == "CLAIM" and given.get("CLAIMS")):
            RULES[name](base, name, value)
    if {"SHORTEST", "LONGEST"} <= {*given} and given["SHORTEST"] > given["LONGEST"]:
        found = f"SHORTEST {given['SHORTEST']!r} and LONGEST {given['LONGEST']!r}"
        raise ParameterError(f"SHORTEST: expected at most LONGEST, found {found}")


def has_rule(names: Collection[str]) -> bool:
    """Return whether any of the names has a rule, which requires the evidence to be loaded."""
    return any(name in RULES for name in names)


def _number(low: float, high: float, what: str, base: EvidenceBase, name: str, value: object) -> None:
    """Return a rule for a finite number between two limits, both included."""
    is_number = isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
    if not is_number or not low <= value <= high:
        raise ParameterError(f"{name}: expected {what} from {low:g} to {high:g}, found {value!r}")


def _inside(low: float, high: float, base: EvidenceBase, name: str, value: object) -> None:
    """Return a rule for a number between two limits, both excluded."""
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    if not is_number or not low < value < high:
        raise ParameterError(f"{name}: expected a number between {low:g} and {high:g}, found {value!r}")


def _one(known: Callable[[EvidenceBase], Collection[str]], base: EvidenceBase, name: str, value: object) -> None:
    """Return a rule for one of the names in the evidence or the protocol."""
    names = list(known(base))
    if value in names:
        return
    close = difflib.get_close_matches(str(value), names, n=1)
    meant = f" (did you mean {close[0]!r}?)" if close else ""
    shown = ", ".join(names[:LISTED]) + (f" and {len(names) - LISTED} more" if len(names) > LISTED else "")
    raise ParameterError(f"{name}: expected one of {shown}, found {value!r}{meant}")


def _each(rule: Callable[[EvidenceBase, str, Any], None], base: EvidenceBase, name: str, value: object) -> None:
    """Return a rule for a list whose parts follow a rule."""
    if not isinstance(value, list | tuple):
        raise ParameterError(f"{name}: expected a list such as [...], found {value!r}")
    for part in value:
        rule(base, name, part)


def _at_least_one(rule: Callable[[EvidenceBase, str, Any], None], base: EvidenceBase, name: str, value: object) -> None:
    """Return a rule for a non-empty list whose parts follow a rule."""
    _each(rule, base, name, value)
    if not value:
        raise ParameterError(f"{name}: expected at least one name, found none")


def _populations(base: EvidenceBase) -> Collection[str]:
    return base.protocol["eligibility"]["populations"]


def _products(base: EvidenceBase) -> Collection[str]:
    return base.protocol["eligibility"]["products"]


def _studies(base: EvidenceBase) -> Collection[str]:
    return list(base.evidence.studies.study_id)


def _claims(base: EvidenceBase) -> Collection[str]:
    return list(base.evidence.claims.claim_id)


def _switches(base: EvidenceBase) -> Collection[str]:
    """Return the anomalies with an alternative handling; other names would change nothing."""
    steps = base.evidence.handling
    return list(dict.fromkeys(steps.anomaly_id[steps.variant == "alternative"]))


_month = partial(_number, 0.0, LONGEST, "a number of months")
_study = partial(_one, _studies)

#: Parameter -> its rule, for every notebook that declares the parameter.
RULES: Mapping[str, Callable[[EvidenceBase, str, Any], None]] = {
    "POPULATION": partial(_one, _populations),
    "POPULATIONS": partial(_at_least_one, partial(_one, _populations)),
    "PRODUCT": partial(_one, _products),
    "DESIGNS": partial(_each, partial(_one, lambda base: DESIGNS)),
    "ESTIMAND": partial(_one, lambda base: ESTIMANDS),
    "EXCLUDE": partial(_each, _study),
    "WITHOUT": partial(_each, _study),
    "ALTERNATIVE": partial(_each, partial(_one, _switches)),
    "CLAIM": partial(_one, _claims),
    "MONTHS": _month,
    "SHORTEST": _month,
    "LONGEST": _month,
    "YEARS": partial(_each, _month),
    "WINDOW": partial(_number, 0.0, WIDEST, "a number of months"),
    "CELL_WINDOW": partial(_number, 0.0, WIDEST, "a number of months"),
    "CORRELATION": partial(_inside, -1.0, 1.0),
    "TAU_SCALE": partial(_number, 0.01, 10.0, "a number"),
}
