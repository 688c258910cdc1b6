"""What the listeners say: predictions, judgements, a sentence for the patient, answers to exercises.

Nothing is filled in before they say it: what nobody has said is ``None`` and is shown as a blank, ``___``.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from typing import Any, NamedTuple

from cellclaims.errors import ParameterError
from cellclaims.reporting.tables import Table, number

#: What is shown where the room has said nothing.
BLANK = "___"


class Asked(NamedTuple):
    """A question that a number answers: its words, its unit, the lowest and the highest answer, decimals shown."""

    question: str
    unit: str
    low: float
    high: float
    decimals: int


#: The three predictions, by name.
PREDICTIONS = {
    "exact": Asked("How many published studies report exactly the outcome that the page advertises?", "", 0, 200, 0),
    "shown": Asked("What percentage of treated participants had the outcome of the forest plot?", "%", 0, 100, 0),
    "placebo": Asked(
        "In Zang 2022, by how many percentage points did HbA1c change on placebo in 48 weeks (a fall is negative)?",
        "points", -5, 5, 2,
    ),
}  # fmt: skip
#: The domains of RoB 2, as `judgements.csv` names them, and its judgements.
DOMAINS = (
    "randomisation process",
    "deviations from intended interventions",
    "missing outcome data",
    "measurement of the outcome",
    "selection of the reported result",
    "overall",
)
JUDGEMENTS = ("low", "some concerns", "high")
#: How the room rates the published result as an answer to the page: name -> question.
RATINGS = {
    "same outcome": "Is the published outcome the advertised one?",
    "precise": "Is the published result precise enough to act on?",
    "unbiased": "Is it likely to be free of important bias?",
}
RATED = ("yes", "partly", "no")


@dataclass
class Audience:
    """The room's predictions, judgements by domain, ratings, sentence, and answers to exercises; empty at the start."""

    predictions: dict[str, float] = field(default_factory=dict)
    bias: dict[str, str] = field(default_factory=dict)
    ratings: dict[str, str] = field(default_factory=dict)
    sentence: str = ""
    answers: dict[str, float] = field(default_factory=dict)

    @classmethod
    def of(cls, given: Mapping[str, Any]) -> Audience:
        """The audience of the parameter ``AUDIENCE``; what is not given stays blank.

        Parameters
        ----------
        given : mapping
            Any of ``predictions``, ``bias``, ``ratings``, ``sentence`` and ``answers``.

        Returns
        -------
        Audience

        Raises
        ------
        ParameterError
            For an unknown name, a value that is no number or out of range, or a judgement that the tool does not have.

        Examples
        --------
        >>> Audience.of({"predictions": {"shown": 40}}).predictions
        {'shown': 40.0}
        >>> Audience.of({"predictions": {"shown": 140}})
        Traceback (most recent call last):
        cellclaims.errors.ParameterError: AUDIENCE, predictions, shown: expected a number from 0 to 100; found 140
        """
        _named("AUDIENCE", given, [one.name for one in fields(cls)])
        parts = {name: given.get(name, {}) for name in ("predictions", "bias", "ratings", "answers")}
        for name, part in parts.items():
            if not isinstance(part, Mapping):
                raise ParameterError(f"AUDIENCE, {name}: expected names with values; found {part!r}")
        _named("AUDIENCE, predictions", parts["predictions"], PREDICTIONS)
        for name, value in parts["predictions"].items():
            _number(f"AUDIENCE, predictions, {name}", value, PREDICTIONS[name].low, PREDICTIONS[name].high)
        for name, value in parts["answers"].items():
            _number(f"AUDIENCE, answers, {name}", value, -math.inf, math.inf)
        for part, names, known in (("bias", DOMAINS, JUDGEMENTS), ("ratings", RATINGS, RATED)):
            _named(f"AUDIENCE, {part}", parts[part], names)
            for name, value in parts[part].items():
                if value not in known:
                    raise ParameterError(
                        f"AUDIENCE, {part}, {name}: expected one of {', '.join(known)}; found {value!r}"
                    )
        sentence = given.get("sentence", "")
        if not isinstance(sentence, str):
            raise ParameterError(f"AUDIENCE, sentence: expected text; found {sentence!r}")
        numbers = {name: {k: float(v) for k, v in parts[name].items()} for name in ("predictions", "answers")}
        return cls(**numbers, bias=dict(parts["bias"]), ratings=dict(parts["ratings"]), sentence=sentence)


def _named(place: str, given: Mapping[str, Any], known: Any) -> None:
    for name in given:
        if name not in known:
            raise ParameterError(f"{place}: expected names among {', '.join(known)}; found {name!r}")


def _number(place: str, value: object, low: float, high: float) -> None:
    is_number = isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
    if not is_number or not low <= value <= high:
        limits = "a number" if math.isinf(low) else f"a number from {low:g} to {high:g}"
        raise ParameterError(f"{place}: expected {limits}; found {value!r}")


# What is typed into a field.


#: A number with a decimal point or comma and perhaps a percent sign; two counts.
TYPED = re.compile(r"[-+−]?\d*[.,]?\d+|[-+−]?\d+[.,]?")
COUNTS = re.compile(r"(\d+)\s*(?:/|of)\s*(\d+)")


def typed_number(text: str) -> float | None:
    """The number that somebody typed; None for an empty field.

    Parameters
    ----------
    text : str
        A number with a decimal point or a decimal comma, with or without "%", or two counts ("18/56", "18 of 56"),
        which are divided.

    Returns
    -------
    float or None

    Raises
    ------
    ValueError
        For anything else, in words that can be shown.

    Examples
    --------
    >>> typed_number("0,32"), typed_number("-0.6"), typed_number("28 %"), typed_number("18/56"), typed_number(" ")
    (0.32, -0.6, 28.0, 0.32142857142857145, None)
    >>> typed_number("1.234,5")
    Traceback (most recent call last):
    ValueError: "1.234,5" is not a number here. Type a number such as 0.32 or 0,32, or two counts such as 18/56.
    """
    text = text.strip()
    if not text:
        return None
    if counts := COUNTS.fullmatch(text):
        events, n = (int(part) for part in counts.groups())
        if n:
            return events / n
    bare = text.removesuffix("%").strip()
    if TYPED.fullmatch(bare):
        return float(bare.replace(",", ".").replace("−", "-"))
    raise ValueError(f'"{text}" is not a number here. Type a number such as 0.32 or 0,32, or two counts such as 18/56.')


def prediction_fault(name: str, value: float) -> str:
    """Why a prediction cannot be taken, in words; empty if it can.

    >>> prediction_fault("shown", 140)
    'Expected a number from 0 to 100, found 140.'
    """
    asked = PREDICTIONS[name]
    if asked.low <= value <= asked.high:
        return ""
    return f"Expected a number from {asked.low:g} to {asked.high:g}, found {value:g}."


# Tables of what the room said.


def predictions_table(audience: Audience, answers: Mapping[str, float | None] | None = None) -> Table:
    """The three predictions; with ``answers`` next to what was published.

    Parameters
    ----------
    audience : Audience
    answers : mapping of float, optional
        What was published, by prediction; None where nothing was.

    Returns
    -------
    Table

    Examples
    --------
    >>> given = Audience(predictions={"exact": 4})
    >>> predictions_table(given, {"exact": 0, "shown": 27.9, "placebo": None}).cells[0][1:]
    ('4', '0', '4 too high')
    >>> predictions_table(given).cells[1][1]
    '___ %'
    """
    if answers is None:
        header, caption = ("question", "your prediction"), "Three predictions"
    else:
        header = ("question", "your prediction", "published", "difference")
        caption = "Your predictions and the published results"
    rows = [
        (asked.question, _shown(audience.predictions.get(name), asked), *_published(audience, answers, name))
        for name, asked in PREDICTIONS.items()
    ]
    return Table(header, tuple(rows), caption)


def _shown(value: float | None, asked: Asked) -> str:
    shown = BLANK if value is None else number(value, asked.decimals)
    return f"{shown} {asked.unit}".strip() if asked.unit != "%" or value is None else f"{shown}%"


def _published(audience: Audience, answers: Mapping[str, float | None] | None, name: str) -> tuple[str, ...]:
    if answers is None:
        return ()
    asked, said, found = PREDICTIONS[name], audience.predictions.get(name), answers[name]
    if found is None or math.isnan(found):
        return "no study reports it", "–"
    if said is None:
        return _shown(found, asked), "–"
    off = round(said, asked.decimals) - round(found, asked.decimals)
    words = "right" if round(off, asked.decimals) == 0 else f"{number(abs(off), asked.decimals)} too {_side(off)}"
    return _shown(found, asked), words


def _side(off: float) -> str:
    return "high" if off > 0 else "low"


def ratings_table(audience: Audience) -> Table:
    """How the room rates the published result, and its sentence for the patient; blanks for what was not said."""
    rows = [(question, audience.ratings.get(name, BLANK)) for name, question in RATINGS.items()]
    rows.append(("Your sentence for the patient", audience.sentence or BLANK))
    return Table(("question", "the room"), tuple(rows), "Yes, partly or no, and one sentence")
