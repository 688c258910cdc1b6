"""Registration numbers of trials, as people write them in titles and abstracts, in one spelling each."""

from __future__ import annotations

import re
from collections.abc import Iterable

#: What may stand between the letters of a register and its digits.
GAP = r"[\s:#-]{0,3}"

#: How a number is written, and its one spelling; ``{}`` are its groups.
FORMS = (
    (rf"NCT{GAP}(\d{{8}})", "NCT{}"),
    (r"ChiCTR[\s-]?(\d{10})", "ChiCTR{}"),
    (r"ChiCTR[\s-]?([A-Z]{2,4})[\s-]?(\d{8})", "ChiCTR-{}-{}"),
    (rf"ISRCTN{GAP}(\d{{8}})", "ISRCTN{}"),
    (r"IRCT[\s:]?(\d{5,}N\d+)", "IRCT{}"),
    (r"(?:EUCTR|EudraCT)(?:\s+(?:number|no\.?))?[\s:#-]{0,3}(\d{4}-\d{6}-\d{2})", "EUCTR{}"),
    (r"CTIS[\s:]?(\d{4}-\d{6}-\d{2}-\d{2})", "CTIS{}"),
    (r"UMIN(?:-CTR)?(?:\s+ID)?[\s:#-]{0,3}(\d{9})", "UMIN{}"),
    (r"jRCT([a-z]?\d{9,10})", "jRCT{}"),
    (r"CTRI/(\d{4}/\d{2,3}/\d{6})", "CTRI/{}"),
    (rf"ACTRN{GAP}(\d{{14}})", "ACTRN{}"),
    (rf"DRKS{GAP}(\d{{8}})", "DRKS{}"),
    (r"KCT(\d{7})", "KCT{}"),
    (r"PACTR(\d{15,16})", "PACTR{}"),
    (r"LBCTR(\d{10})", "LBCTR{}"),
    (r"TCTR(\d{11})", "TCTR{}"),
    (r"RPCEC(\d{8})", "RPCEC{}"),
)
PATTERNS = tuple((re.compile(rf"(?<![A-Za-z0-9]){form}(?!\d)", re.IGNORECASE), spelling) for form, spelling in FORMS)


def numbers_in(text: str) -> tuple[str, ...]:
    """The registration numbers in a text, each once, in the spelling of its register, sorted.

    Examples
    --------
    >>> numbers_in("registered as nct 00434811 and ChiCTR-ONC-10000985; JPRN-UMIN000007004")
    ('ChiCTR-ONC-10000985', 'NCT00434811', 'UMIN000007004')
    >>> numbers_in("NCT004348112 has a digit too many")
    ()
    """
    found = ((match, spelling) for form, spelling in PATTERNS for match in form.finditer(text))
    return tuple(sorted({_spelt(spelling, match.groups()) for match, spelling in found}))


def _spelt(spelling: str, parts: tuple[str, ...]) -> str:
    """Letters in capitals, but for those of jRCT."""
    return spelling.format(*(part.lower() if spelling.startswith("j") else part.upper() for part in parts))


def keys_of(number: str) -> frozenset[str]:
    """By which spellings a trial's own number is known: those found in it, else the number itself.

    Examples
    --------
    >>> sorted(keys_of("EUCTR2018-004758-39-IT")), sorted(keys_of("UIH-001"))
    (['EUCTR2018-004758-39'], ['UIH-001'])
    """
    return frozenset(numbers_in(number) or (number,))


def all_keys(numbers: Iterable[str]) -> frozenset[str]:
    """The spellings by which any of these trials is known."""
    return frozenset(key for number in numbers for key in keys_of(number))
