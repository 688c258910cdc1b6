"""How well a found publication fits a report of ``studies.csv``: one number from 0 to 1, with its reasons.

The score is the weighted mean of four agreements, each from 0 to 1: title 0.6, first author 0.2, year 0.1, journal
0.1. What the report does not state has no weight, so that a report without a year can still reach 1. It orders
candidates for a person and decides nothing. :data:`LIKELY` and :data:`NEAR` come from the reports whose DOI is known
(tests/test_resolve.py): set against all other reports of the review, the right record of each ranks first.
"""

from __future__ import annotations

import re
import unicodedata
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from difflib import SequenceMatcher
from functools import lru_cache

WEIGHTS = {"title": 0.6, "author": 0.2, "year": 0.1, "journal": 0.1}
#: Candidates below this are not listed: they share words of the field and little else.
LIKELY = 0.55
#: Candidates that come this close to the best one are flagged: the score does not tell them apart.
NEAR = 0.05
#: A title of at least so many words that is the beginning of the other one, as where a subtitle was left out.
BEGINNING_WORDS = 5
BEGINNING = 0.95
#: The letters of two titles are compared only where so large a share of their words is the same.
SHARED = 0.3
#: Remarks of ours in a title or a journal: "(title not seen)", "(conference abstract)".
REMARKS = re.compile(r"\([^()]*\)")


@dataclass(frozen=True)
class Facts:
    """What is known of a publication; an empty text or tuple is not stated.

    Attributes
    ----------
    title : str
    author : str
        Surname of the first author, with initials or not; ``others`` are the surnames of all.
    year : str
    journals : tuple of str
        Its names, in full and abbreviated.
    """

    title: str
    author: str = ""
    year: str = ""
    journals: tuple[str, ...] = ()
    others: tuple[str, ...] = ()


@dataclass(frozen=True)
class Score:
    """The weighted mean and the agreements that it is made of."""

    value: float
    parts: dict[str, float]


def score(report: Facts, found: Facts) -> Score:
    """How well a found publication fits a report.

    Examples
    --------
    >>> report = Facts("Single-donor, marginal-dose islet transplantation", "Hering BJ", "2005", ("JAMA",))
    >>> score(report, report).value
    1.0
    >>> parts = score(report, Facts("Single-donor marginal-dose islet transplantation.", "Hering", "2006")).parts
    >>> parts["title"], parts["year"], parts["journal"]
    (1.0, 0.5, 0.0)
    """
    parts = {"title": title_agreement(report.title, found.title)}
    if report.author:
        parts["author"] = author_agreement(report.author, found.author, found.others)
    if report.year:
        parts["year"] = year_agreement(report.year, found.year)
    if report.journals:
        parts["journal"] = max((journal_agreement(report.journals[0], name) for name in found.journals), default=0.0)
    weight = sum(WEIGHTS[name] for name in parts)
    return Score(sum(WEIGHTS[name] * value for name, value in parts.items()) / weight, parts)


def title_agreement(one: str, other: str) -> float:
    """Mean of the share of common words and of the share of letters in order; almost 1 where one begins the other.

    Letters forgive what words do not: "haematopoietic" and "hematopoietic".

    Examples
    --------
    >>> title_agreement("Reversal of diabetes (title not seen)", "Reversal of Diabetes")
    1.0
    """
    first, second = words(one), words(other)
    if not (first and second):
        return 0.0
    if first == second:
        return 1.0
    shared = 2 * (Counter(first) & Counter(second)).total() / (len(first) + len(second))
    shorter, longer = sorted((first, second), key=len)
    if len(shorter) >= BEGINNING_WORDS and longer[: len(shorter)] == shorter:
        return BEGINNING
    if shared < SHARED:
        return shared
    letters = SequenceMatcher(None, " ".join(first), " ".join(second), autojunk=False).ratio()
    return (shared + letters) / 2


def author_agreement(report: str, first: str, others: Sequence[str]) -> float:
    """1 for the same first author, a half where the surname is another author's.

    Examples
    --------
    >>> author_agreement("O'Connell PJ", "O'Connell", ()), author_agreement("Gu (Bin)", "Wang", ("Wang", "Gu"))
    (1.0, 0.5)
    """
    if same_person(report, first):
        return 1.0
    return 0.5 if any(same_person(report, other) for other in others) else 0.0


def same_person(one: str, other: str) -> bool:
    """Whether the surname of one stands in the other, initials and first names aside."""
    first, second = (set(long_words(name)) or set(words(name)) for name in (one, other))
    return bool(first and second) and (first <= second or second <= first)


def long_words(name: str) -> list[str]:
    """The words of a name that are no initials."""
    return [one for part in REMARKS.sub(" ", name).split() if not is_initials(part) for one in words(part)]


def is_initials(part: str) -> bool:
    """Whether a part of a name is initials.

    Examples
    --------
    >>> is_initials("BJ"), is_initials("D.E."), is_initials("Hu")
    (True, True, False)
    """
    letters = re.sub(r"[.\-]", "", part)
    return letters.isupper() and len(letters) <= 3


def year_agreement(report: str, found: str) -> float:
    """1 for the same year, a half for the year before or after: online and printed years differ."""
    if not (report.isdigit() and found.isdigit()):
        return 0.0
    return {0: 1.0, 1: 0.5}.get(abs(int(report) - int(found)), 0.0)


def journal_agreement(one: str, other: str) -> float:
    """Share of the words that agree in order, abbreviated or not; volumes, pages and remarks aside.

    Examples
    --------
    >>> journal_agreement("Am J Transplant", "American Journal of Transplantation")
    1.0
    >>> journal_agreement("Diabetes 69 Suppl 1", "Diabetes Care")
    0.6666666666666666
    """
    first, second = (journal_words(name) for name in (one, other))
    if not (first and second):
        return 0.0
    agreeing, place = 0, 0
    for word in first:
        following = range(place, len(second))
        found = next((at for at in following if starts_alike(word, second[at])), None)
        if found is not None:
            agreeing, place = agreeing + 1, found + 1
    return 2 * agreeing / (len(first) + len(second))


def starts_alike(one: str, other: str) -> bool:
    """Whether one word abbreviates the other."""
    return one.startswith(other) or other.startswith(one)


def journal_words(name: str) -> list[str]:
    """The words of a journal's name without small words, volume and pages."""
    small = {"of", "the", "and", "in", "for", "suppl", "supplement"}
    return [word for word in words(name) if word not in small and not any(sign.isdigit() for sign in word)]


@lru_cache(maxsize=4096)
def words(text: str) -> tuple[str, ...]:
    """Letters and digits of a text without remarks, accents and case, word by word.

    Examples
    --------
    >>> words("Wharton's jelly–derived β-cells (title not seen)")
    ('wharton', 's', 'jelly', 'derived', 'β', 'cells')
    """
    plain = unicodedata.normalize("NFKD", REMARKS.sub(" ", text).casefold())
    return tuple(re.findall(r"[^\W_]+", "".join(sign for sign in plain if not unicodedata.combining(sign))))


def in_words(found: Score) -> str:
    """The agreements of a score for a person.

    Examples
    --------
    >>> in_words(Score(0.96, {"title": 0.934, "author": 1.0, "year": 0.5}))
    'title 0.93, first author agrees, year agrees in part'
    """
    named = {"author": "first author", "year": "year", "journal": "journal"}
    says = {1.0: "agrees", 0.0: "differs"}
    rest = [
        f"{named[name]} {says.get(value, 'agrees in part')}" for name, value in found.parts.items() if name in named
    ]
    return ", ".join([f"title {found.parts['title']:.2f}", *rest])
