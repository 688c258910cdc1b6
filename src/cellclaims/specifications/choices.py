"""The choices of ``protocol.yml`` for one question: the review's own option first, then what differs from it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from cellclaims.errors import ProtocolError
from cellclaims.pool import label
from cellclaims.protocol import Protocol
from cellclaims.question import Analysis
from cellclaims.selection import EvidenceBase, Question

#: Kinds of questions: proportions and differences between arms.
KINDS = ("rate", "difference")
#: Choices within a report, then between reports, in the order of the axes of a curve.
WITHIN = ("outcome", "timing", "figures", "effect", "handling")
BETWEEN = ("population", "product", "design", "blinding")
#: Tables that may contain a questionable value, by kind.
TABLES = {"rate": ("binary",), "difference": ("continuous", "contrasts")}
#: The review's own option in words.
OWN = {
    "timing": "as the review asks",
    "figures": "all values",
    "effect": "adjusted, change, final",
    "handling": "as recorded",
    "design": "any",
    "blinding": "any",
}
#: Models, tests and measures in words.
MODEL_WORDS = {
    ("binomial_normal", ""): "binomial-normal",
    ("beta_binomial", ""): "beta-binomial",
    ("normal", ""): "normal-normal",
    ("bayes", ""): "normal-normal, Bayes",
    ("normal", "PLO"): "normal-normal on logits",
    ("normal", "PAS"): "normal-normal on arcsines",
    ("normal", "PFT"): "Freeman-Tukey (reproduction)",
}
TEST_WORDS = {"adhoc": "Hartung-Knapp with floor", "knha": "Hartung-Knapp", "z": "normal", "t": "t with k − 1",
              "posterior": "posterior"}  # fmt: skip


@dataclass(frozen=True)
class Option:
    """One option: its name, a reason for it, and the settings it changes."""

    name: str
    why: str = "the review's own"
    settings: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Choice:
    """A choice; the first option is that of the review."""

    choice_id: str
    title: str
    options: tuple[Option, ...]


@dataclass(frozen=True)
class NamedAnalysis:
    """An analysis with its model, its estimator of tau2 and its test in words."""

    analysis: Analysis
    model: str
    method: str
    test: str


def choices_of(base: EvidenceBase, question: Question, kind: str) -> list[Choice]:
    """Return every choice with several options for a question, in the order WITHIN, BETWEEN.

    Raises
    ------
    ProtocolError
        If the protocol has no section ``specifications``, or names something that is not known.
    """
    if kind not in KINDS:
        raise ProtocolError(f"expected kind to be one of {', '.join(KINDS)}; found {kind!r}")
    question, content = question.at(base.protocol), _section(base.protocol)["choices"]
    own, choices = _own(base.protocol, question), []
    for choice_id in (*WITHIN, *BETWEEN):
        more = _listed(content, choice_id, question, kind)
        if choice_id == "handling":
            more = _handlings(base, question, kind, content)
        options = [own[choice_id], *(o for o in more if _differs(base.protocol, question, choice_id, o))]
        choices.append(Choice(choice_id, content[choice_id]["title"], tuple(options)))
    return choices


def analyses_of(protocol: Protocol, kind: str) -> list[NamedAnalysis]:
    """Return every way to pool, that of the review first."""
    named, nodes = [], int(protocol["models"]["proportion"]["nodes"])
    for way in _section(protocol)["analyses"][kind]:
        words = MODEL_WORDS[way["model"], way.get("measure", "")]
        own = {"measure": way.get("measure", ""), "prior": way.get("tau_scale"), "counted": way.get("counted", True)}
        for method in way["methods"]:
            for test in way["tests"]:
                analysis = Analysis(model=way["model"], method=method, test=test, nodes=nodes, **own)
                named.append(NamedAnalysis(analysis, words, method, TEST_WORDS[test]))
    return named


def _section(protocol: Protocol) -> Mapping[str, Any]:
    try:
        return protocol["specifications"]
    except KeyError:
        raise ProtocolError("protocol.yml: expected the section specifications, found none") from None


def _own(protocol: Protocol, question: Question) -> dict[str, Option]:
    """Return the question's own option of each choice."""
    names = OWN | {
        "outcome": protocol.outcome(question.outcome).name,
        "population": " and ".join(question.population),
        "product": protocol.product_name(question.product),
    }
    if question.designs:
        names["design"] = " or ".join(question.designs)
    return {choice_id: Option(name) for choice_id, name in names.items()}


def _listed(content: Mapping[str, Any], choice_id: str, question: Question, kind: str) -> list[Option]:
    """Return the options of a choice in the protocol, by kind or by outcome."""
    known = content[choice_id]
    by_outcome = (known.get("of") or {}).get(question.outcome, [])
    listed = by_outcome or known.get("options") or known.get(kind) or []
    return [Option(o["name"], o["why"], {k: v for k, v in o.items() if k not in ("name", "why")}) for o in listed]


def _handlings(base: EvidenceBase, question: Question, kind: str, content: Mapping[str, Any]) -> list[Option]:
    """Return the anomalies whose alternative handling concerns an eligible study, one at a time."""
    steps = base.evidence.handling[base.evidence.handling.table.isin(TABLES[kind])]
    switched = steps[(steps.variant != "primary") & ~steps.anomaly_id.isin(question.alternative)]
    outcomes = [o.settings.get("definition") for o in _listed(content, "outcome", question, kind)]
    types = [t for o in _listed(content, "population", question, kind) for t in o.settings["types"]]
    relevant = _relevant(base, question, kind, [question.outcome, *outcomes], types)
    options = []
    for anomaly, own in switched.groupby("anomaly_id", sort=False):
        studies = [s for s in dict.fromkeys(own.study_id) if s]
        if not studies or relevant & set(studies):
            name = f"{label(base.evidence, studies[0])} ({anomaly})" if studies else anomaly
            words = "; ".join(dict.fromkeys(own.reason))
            options.append(Option(name, words, {"alternative": anomaly, "studies": studies}))
    return options


def _relevant(base: EvidenceBase, question: Question, kind: str, outcomes: list[str], types: list[str]) -> set[str]:
    """Return the studies that are eligible under some choice."""
    rows = base.evidence.binary if kind == "rate" else base.evidence.continuous
    named = rows.definition_id if kind == "rate" else rows.outcome
    studies = base.evidence.studies[
        base.evidence.studies.diabetes_type.isin([*question.population, *types])
        & base.evidence.studies.intervention_class.isin(base.protocol.classes(question.product))
        & ~base.evidence.studies.study_id.isin(question.exclude)
    ]
    if kind == "difference":
        studies = studies[studies.study_id.isin(base.evidence.arms.study_id[base.evidence.arms.gets_cells == "no"])]
    return set(rows.study_id[named.isin(outcomes)]) & set(studies.study_id)


def _differs(protocol: Protocol, question: Question, choice_id: str, option: Option) -> bool:
    """Return whether the option differs from the question and applies to it."""
    asked = option.settings
    if choice_id == "population":
        return set(asked["types"]) != set(protocol.populations(list(question.population)))
    if choice_id == "product":
        own = set(protocol.classes(question.product))
        return classes_of(protocol, asked["products"]) < own
    if choice_id == "design":
        own = set(question.designs)
        return set(asked["designs"]) < own if own else True
    if choice_id == "timing":
        named = ("estimand", "months", "window")
        wanted = {
            name: tuple(asked[name]) if isinstance(asked[name], list) else asked[name]
            for name in named
            if name in asked
        }
        return any(value != getattr(question, name) for name, value in wanted.items())
    return True


def classes_of(protocol: Protocol, products: list[str]) -> set[str]:
    """Return the intervention classes of several products."""
    return {name for product in products for name in protocol.classes(product)}
