"""Recognition of the review's outcomes, narrowing words and units in a registry's wording.

A *topic* is an outcome before it is known how it was measured: ``hba1c``, ``c_peptide``, ``insulin_dose``,
``insulin_independence``, ``serious_adverse_event``.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import lru_cache

from cellclaims import units
from cellclaims.errors import DataError
from cellclaims.harvest.reading import Unread, quoted
from cellclaims.harvest.times import BASELINE, MARK, NO_TIME

#: Participants by any of their names, and what says that a figure is a percentage.
PEOPLE = r"(?:participants?|subjects?|patients?|recipients?|individuals?|people|persons?|adults|children)"
_PERCENT = r"(?:percent(?:age)?|%)"

_PATTERNS = {
    "insulin_independence": r"insulin[\s-]*(?:independ\w*|free\w*)|\boff[\s-](?:of\s+)?(?:exogenous\s+)?insulin"
    r"|free(?:dom)?\s+(?:from|of)\s+(?:exogenous\s+)?insulin|\bno\s+need\s+(?:of|for)\s+(?:exogenous\s+)?insulin"
    r"|without\s+(?:exogenous\s+)?insulin\b",
    "serious_adverse_event": r"(?<!non)(?<!non[\s-])(?<!not\s)serious[\s-]+"
    r"(?:\(?(?:treatment|therapy)[\s-]+emergent\)?[\s-]+|te[\s-]+|\()?"
    r"(?:adverse\b\)?(?:\s+(?:events?|experiences?)\b)?|t?e?aes?\b|events?\b)(?:\s*\(s\))?"
    r"|(?:treatment[\s-]+emergent\s+|te[\s-]?)?\bt?e?saes?\b(?:\s*\(s\))?",
    "hba1c": r"\bhg?b\s?-?a\s?-?1\s?-?\(?c?\b|h(?:a)?emoglobin,?\s+(?:a1c|a-1c|a\s?\(1c\)|a1\b)|\ba\s?-?1\s?-?c\b"
    r"|gly(?:cosyl|c|k|co)(?:yl)?(?:ated|osylated)\s+(?:h(?:a)?emoglobin|hb\b)|gly(?:co|cated\s+)h(?:a)?emoglobin",
    "c_peptide": r"\bc[\s-]?peptide|\bconnecting peptide",
    "insulin_dose": r"insulin\s+(?:dos\w+|requirement\w*|us(?:e|age)\b|consumption|needs?\b|units?\b|intake)"
    r"|(?:dos\w+|amount|units?|requirement\w*|use|intake)\s+of\s+(?:\w+\s+){0,2}insulin\b|\b(?:daily|exogenous)\s+insulin\b",
}
TOPICS = {name: re.compile(pattern) for name, pattern in _PATTERNS.items()}

#: Every match of the pattern of HbA1c contains one of these.
_HBA1C = re.compile(r"a[ (-]?1|gly[ck]|hb|hgb")

#: Serious events in other words than the pattern of the topic.
_MAY_BE_SERIOUS = re.compile(r"(?<!non-)(?<!non )\bserious\b")
#: A class or category that says only that the events of its title are serious.
_SERIOUS_ALONE = re.compile(r"(?<!non-)(?<!non )(?<!not )\bserious\b")
_ADVERSE = re.compile(r"\badverse\s+(?:events?|experiences?)\b|\bt?e?aes?\b")

#: Other measured quantities: a value under such a title may not be that of the topic.
OTHERS = re.compile(
    r"glucose|glyc(?:a)?emic variab|weight|lipid|cholesterol|triglycerid|blood pressure|body mass|creatinine|\begfr\b"
    r"|albumin|fructosamine|anhydroglucitol"
)

#: Words which say that something else is measured, though the topic is named.
NOT_IT = re.compile(
    r"correlat|\bratio\b|\bhoma|antibod|\btime[\s-](?:to|until)|predict|pro-?insulin|associat|\bindex|relationship"
    r"|variabilit|\brates? of|awareness|knowledge|satisfaction|coefficient|sensitivity|resistance|\bduration|\bcost"
    r"|number of (?:tests|measurements|episodes|events)|autoantibod|fluctuat|\bslopes?\b|\bstandard deviations? of"
    r"|time[\s-](?:averaged|weighted|normali[sz]ed)|\b(?:maxim(?:um|al)|minim(?:um|al)|highest|lowest|nadir)\b"
)

#: Whose or which part of a body, a comparison, or a time before the treatment: another outcome, wherever it is said.
_ANOTHER = re.compile(
    r"\burin(?:e|ary)\b|\bsaliva\w*|\bcord blood\b|\bnew-?borns?\b|\bneonat\w+|\binfants?\b|\boffspring\b"
    r"|\bf(?:o)?et(?:us|al)\b|\bmaternal\b|\bmothers?\b|\bpartners?\b|\bcaregivers?\b"
    r"|\A(?:\w+\s+){0,2}?donors?'?\s+(?:fasting|serum|hba1c|c[\s-]?peptide)"
    r"|\b(?:in|of|among)\s+(?:the\s+|living\s+|healthy\s+|related\s+)*donors?\b(?![\s-]*(?:pancrea|islet|kidney|cell|tissue|organ"
    r"|blood|bone|specific|type|age))"
    r"|\bwithin[\s-](?:subject|participant|patient|individual|person)s?\b"
    r"|\b(?:intra|inter)-?(?:subject|participant|patient|individual)s?\b"
    r"|\bbetween[\s-](?:the\s+)?(?:two\s+|both\s+|treatment\s+|study\s+)*(?:groups?|arms?|treatments?|subjects?)\b"
    r"|\bdifferences?\s+(?:from|versus|vs\.?|to|against)\s+(?:placebo|control|comparator)\b"
    r"|\b(?:placebo|control)[\s-]+(?:corrected|adjusted|subtracted)\b"
    r"|\btreatment\s+(?:difference|effect)s?\b"
    r"|(?<!from )\b(?:before|prior\s+to)\s+(?:the\s+)?(?:first\s+|start\s+of\s+|study\s+)*"
    r"(?:treatment|drug|dos(?:e|ing)|randomi[sz]ation|surgery|therapy|intervention)\b"
    r"|(?<!from )\bpre-?treatment\b|\brun-?in\b|\bwash-?out\b|\bscreening (?:period|phase)\b"
)

#: A part of the arm, named in a title, a class or a category.
_PART_OF_ARM = re.compile(
    r"\b(?:whose|among(?:st)?|sub-?groups?|sub-?sets?|stratum|strata|sub-?study|completers?)\b"
    r"|\b(?:males?|females?|wom[ae]n|men|boys|girls)\b|\b(?:in|of|for)\s+those\b|\bthose\s+(?:who|with|on|still)\b"
    rf"|\b(?:in|for)\s+(?:the\s+|those\s+|all\s+)*{PEOPLE}\s+(?:who|whose|not|without|aged?|taking|receiving|having"
    r"|previously|already|randomi[sz]ed\s+(?:at|in|to)|treated\s+with|on)\b"
    rf"|\b(?:in|for)\s+(?:the\s+|those\s+|all\s+)*{PEOPLE}\s+with\s+"
    r"(?!(?:\w+[\s-]+){0,2}?(?:diabetes|t[12]dm?\b|type\s*[12i]))"
)

#: A change that is a part of its start and no difference of points.
RELATIVE = re.compile(
    rf"(?<!absolute )(?:{_PERCENT}|\brelative|\bproportional)[\s-]+(?:mean\s+|of\s+)?"
    r"(?P<what>change|reduc\w*|decreas\w*|increas\w*)"
)


@lru_cache(maxsize=256)
def narrowed(topic: str, titles: str, frame: str, description: str) -> str:
    """Return the words that turn a topic into another outcome or a part of the arm; empty if there are none.

    Parameters
    ----------
    topic : str
        The topic that the titles name.
    titles, frame, description : str
        Simplified: the titles of the outcome, its class and category with its unit; its time frame; its description.

    Examples
    --------
    >>> narrowed("c_peptide", "fasting urinary c-peptide", "6 months", "")
    'urinary'
    >>> narrowed("hba1c", "change in hba1c in subjects with type 2 diabetes", "", "")
    ''
    """
    if topic == "serious_adverse_event":
        found = _ANOTHER.search(f"{titles} {frame}")
        return found[0] if found else ""
    for text in (titles, frame, description):
        if found := _ANOTHER.search(text):
            return found[0]
    found = _PART_OF_ARM.search(titles)
    return found[0] if found else ""


#: Words that make a figure a change.
CHANGE = re.compile(r"\bchang|\bdifference|\bdelta\b|from baseline|\bfrom bl\b")

#: Words allowed in a class or category in addition to topic, time and threshold.
_NEUTRAL = re.compile(
    r"\b(?:an?|the|at|in|of|on|to|from|and|by|with|post|pre|after|since|following|changes?|changed|difference|visits?(?:\s*\d+)?"
    r"|end|endpoint|study|treatment|(?:post|pre)?-?transplant(?:ation)?|post-?intervention|intervention|follow-?up|up"
    r"|follow|time|points?|timepoint|values?|levels?|mean|median|overall|all|any|least|one|participants?|patients"
    r"|subjects|number|percent|percentage|locf|infusion|randomi[sz]ation|measured|concentration|result|results|actual"
    r"|observed|absolute|first|last|final|initial|islet|achiev\w*|attain\w*|who|reach\w*|baseline|yes|ever|some|once"
    r"|ls|squares|adjusted|mmrm|ancova|itt|fas|oc|cases|double-?blind|blood)\b"
)
_NEUTRAL_OF = {
    "insulin_dose": re.compile(r"\b(?:tdi|tdd|total|daily|dose|insulin|exogenous|units?|iu|u|kg|day|per)\b"),
    "c_peptide": re.compile(
        r"\b(?:fasting|basal|stimulated|peak|mixed[\s-]meal|tolerance|test|mmtt|auc|area under the curve|serum|plasma"
        r"|\d+[\s-]*(?:min(?:ute)?s?|h(?:ou)?rs?))\b"
    ),
    "insulin_independence": re.compile(r"\b(?:insulin|exogenous|independent|independence|full graft function)\b"),
    "serious_adverse_event": re.compile(
        r"\b(?:experienc\w*|all[\s-]?caus(?:e|ality|alities)|treatment[\s-]?emergent|occurrences?|incidence|with|had|have|having"
        r"|reported|total)\b"
    ),
}

_OF_OTHERS = re.compile(
    r"(?:the\s+)?(?:(?:living|healthy|related|kidney|organ)\s+)*(?:donors?|new-?borns?|neonates?|infants?|offspring|mothers|partners?"
    r"|caregivers?|relatives)(?:\s+(?:group|arm|cohort|only))?|.*\b(?:difference|minus)\b.*",
    re.IGNORECASE,
)


def of_others(group: str) -> str:
    """Return a title of people other than the patients treated, or of a difference; empty for other titles.

    >>> of_others("Living donors"), of_others("Islets of one donor")
    ('Living donors', '')
    """
    return group if _OF_OTHERS.fullmatch(group.strip()) else ""


#: Splits a title into the things that it lists.
_LISTED = re.compile(r"\s*(?:[,;:/&]|\band\b|\bor\b|\bincluding\b|\bas\s+well\s+as\b)\s*")
#: Serious adverse events of some kind only.
_SOME_KIND = re.compile(
    r"\b(?:un)?related\b|\bfatal\b|\blife-?\s?threatening\b|\b(?:leading|led|lead)\s+to\b|\bresult(?:ing|ed)\s+in\b"
    r"|\brequir\w+|\bdue\s+to\b|\battribut\w+|\bcaused\s+by\b|\bcausally\b|\breactions?\b|\bun-?expected\b"
    r"|\bspecial\s+interest\b|\bdiscontinu\w+|\bwithdr\w+|\bdeaths?\b|\bdied\b"
)
_ALL_CAUSES = re.compile(r"\ball[\s-]?caus(?:e|ality|alities)\b|\bregardless\b|\birrespective\b")
#: Separate items of a list, which do not narrow the serious events in the same list.
_OTHER_HEADS = re.compile(
    r"\b(?:deaths?|mortality|discontinuations?|withdrawals?"
    r"|(?:other\s+|non-?serious\s+)?(?:adverse\s+(?:events?|experiences?)|t?e?aes?\b))"
)
_ABBREVIATION = re.compile(r"\(\s*(?:non-?)?(?:te-?)?s?t?e?ae?'?s?(?:\(s\))?\s*\)|\(\s*s\s*\)")
#: Words allowed in the title of adverse events without narrowing them.
_ANY_KIND = re.compile(
    r"\b(?:incidence|count|experienc\w*|occurrences?|treatment-?\s?emergent|emergent|te-?|s|safety|tolerability|reported"
    r"|during|events?|each|arm|group|frequency|who|had|have|having|total|through(?:out)?|entire|whole|period|phase"
    r"|short-term|double-?blind|on-treatment|up|serious|adverse|percent|proportion|rates?|as|a|measured?|assess\w*"
    r"|evaluat\w*|summary|trial|drug|dose|all-?caus\w*|non-?serious|other|whether|regardless|subject|person|patient|more)(?![\w-])"
)
#: In a description, where serious adverse events are mostly defined: only what narrows those that are counted.
_KIND_DESCRIBED = re.compile(
    r"\b(?:(?<!un)related|fatal|unexpected)\s+(?:serious\s+(?:adverse|t?e?aes?)|t?e?saes?\b)"
    r"|(?:serious\s+adverse\s+events?|\bt?e?saes?)\b(?:\s*\(t?e?saes?\))?"
    r"(?:(?!whether|regardless|irrespective|\bnot\b|\bor\b)[^.;]){0,60}?"
    r"(?:\brelated\s+to\b|\bconsidered\s+(?:\w+\s+)?related\b|\b(?:leading|led)\s+to\s+(?:\w+\s+){0,3}?(?:discontinu|withdraw))"
    r"|\bonly\s+(?:\w+\s+){0,3}?(?:\w+-)?related\b"
)


@lru_cache(maxsize=256)
def some_kind(title: str, own: str, description: str) -> str:
    """Return the words that narrow serious adverse events; empty if there are none.

    A title may list several items; a word that narrows one of them may narrow those after it ("related AEs and
    SAEs") or before it ("AEs and SAEs leading to withdrawal").

    Examples
    --------
    >>> some_kind("treatment-related adverse events (aes) and serious adverse events (saes)", "saes", "")
    'related'
    >>> some_kind("deaths, serious aes, and discontinuations due to aes", "saes", "")
    ''
    >>> some_kind("cardiac adverse events", "serious adverse events", "")
    'cardiac'
    """
    if found := _SOME_KIND.search(own):
        return found[0]
    alone = bool(TOPICS["serious_adverse_event"].search(own))
    if not _ALL_CAUSES.search(own):
        for text in _narrowing(title, alone):
            return text
    found = _KIND_DESCRIBED.search(description)
    return found[0] if found else ""


def _narrowing(title: str, alone: bool) -> Iterator[str]:
    """Yield words of a title that narrow its serious events; ``alone`` if the class selects them from a list."""
    items = [item for item in _LISTED.split(_ABBREVIATION.sub(" ", title)) if item.strip()]
    serious = [k for k, item in enumerate(items) if TOPICS["serious_adverse_event"].search(item)]
    last = serious[-1] if serious else len(items)
    for k, item in enumerate(items):
        events = TOPICS["serious_adverse_event"].search(item) or _OTHER_HEADS.search(item)
        found = _SOME_KIND.search(item)
        head = _ANY_KIND.sub("", residue(item, "serious_adverse_event")).strip()
        own_head = alone and k not in serious and _OTHER_HEADS.match(head)
        behind = k > last and events and found and found.start() < events.start()
        if own_head or behind:
            continue
        if found:
            yield found[0]
        if k <= last or not alone:
            left = TOPICS["serious_adverse_event"].sub(" ", item)
            left = _OTHER_HEADS.sub(" ", left) if alone else left
            if kind := " ".join(_ANY_KIND.sub(" ", residue(left, "serious_adverse_event")).split()):
                yield kind


#: A threshold of HbA1c; what a registry spells out is put into signs first.
_SPELT_OUT = (
    (re.compile(r"\\"), ""),
    (re.compile(r"\(?\byes\s*/\s*no\b\)?"), ""),
    (re.compile(r"\b(?:mmol|millimoles?)\s*(?:/|per)\s*mole?\b"), "mmol/mol"),
    (re.compile(r"less than or equal to|(?:at|equal to) or (?:below|less than|under)|no more than|=<|≤|⩽"), "<="),
    (re.compile(r"greater than or equal to|(?:at|equal to) or (?:above|more than)|at least|no less than|=>|≥|⩾"), ">="),
    (re.compile(r"\b(?:less|lower) than|\bbelow\b|\bunder\b"), "<"),
    (re.compile(r"\b(?:greater|more|higher) than|\babove\b|\bover\b(?=\s*\d)"), ">"),
)
THRESHOLD = re.compile(r"(<=|>=|<|>)\s*(?:of\s+)?(\d{1,4}(?:\.\d{1,3})?)\s*(%|percent\b|ng/ml|nmol/l|pmol/l|mmol/mol)?")
#: The same threshold of HbA1c in the other unit: "<7% (<53 mmol/mol)", "7.0 % [53 mmol/mol]".
_TWO_UNITS = re.compile(
    r"(?P<first>(?P<sign><=|>=|<|>)\s*(?:of\s+)?(?P<percent>\d{1,2}(?:\.\d{1,2})?)\s*(?:%|percent\b))"
    r"\s*(?:[(\[,;/]|or\b|\s)\s*(?:i\.?e\.?,?\s*)?(?P<again><=|>=|<|>)?\s*(?P<mmol>\d{2,3}(?:\.\d)?)\s*mmol/mol\s*[)\]]?"
)


@lru_cache(maxsize=256)
def simple(text: str) -> str:
    """Return the text in lower case, on one line, with comparisons as signs, without the registry's escapes.

    >>> simple("HbA₁c Less Than or Equal to 6.5%"), simple("HbA1c \\\\<7.0% (53 mmol/mol) (Yes/no)")
    ('hba1c <= 6.5%', 'hba1c <7.0%')
    """
    lower = " ".join(text.lower().replace("₁", "1").split())
    for pattern, sign in _SPELT_OUT:
        lower = pattern.sub(sign, lower)
    return " ".join(_TWO_UNITS.sub(_in_percent, lower).split())


def _in_percent(found: re.Match) -> str:
    """Return a threshold given in two equal units in the first unit only."""
    same = found["again"] in (None, found["sign"]) and in_percent(found["mmol"]) == float(found["percent"])
    return found["first"] if same else found[0]


def in_percent(mmol: str) -> float:
    """Return a threshold of HbA1c in mmol/mol as a percentage of one decimal, as guidelines round it.

    >>> in_percent("53"), in_percent("48")
    (7.0, 6.5)
    """
    return round(units.NGSP_SLOPE * float(mmol) + units.NGSP_INTERCEPT, 1)


def speaks(text: str) -> bool:
    """Return whether a text may name a topic; if no pattern of a topic matches, it is then refused, not skipped.

    >>> [speaks(text) for text in ("HbA₁c at Week 12", "Serious, related TEAEs", "pro-B-type natriuretic peptide")]
    [True, True, False]
    """
    lower = text.lower()
    if "₁" in lower:
        lower = lower.replace("₁", "1")
    return bool(named(lower)) or bool("serious" in lower and _MAY_BE_SERIOUS.search(lower))


def named(text: str) -> list[str]:
    """Return the topics that a text in lower case names.

    Most texts contain no topic, which a simple search finds much faster than the patterns.
    """
    found = []
    insulin = "insulin" in text
    if insulin and TOPICS["insulin_independence"].search(text):
        found.append("insulin_independence")
    if ("serious" in text or "sae" in text) and TOPICS["serious_adverse_event"].search(text):
        found.append("serious_adverse_event")
    if "hba1c" in text or (_HBA1C.search(text) and TOPICS["hba1c"].search(text)):
        found.append("hba1c")
    if "peptide" in text and TOPICS["c_peptide"].search(text):
        found.append("c_peptide")
    if insulin and TOPICS["insulin_dose"].search(text):
        found.append("insulin_dose")
    return found


@lru_cache(maxsize=256)
def _something_else(text: str) -> str:
    other = NOT_IT.search(text)
    return other[0] if other else ""


_named = lru_cache(maxsize=256)(named)


def topic_of(own: str, title: str, unit: str) -> str:
    """Return the topic of a measurement: by its class and category, else by the title, else by the unit.

    Parameters
    ----------
    own, title, unit : str
        Simplified: the titles of class and category together, the outcome's title, its unit.

    Raises
    ------
    Unread
        If several topics are named, another quantity is measured, or class and category name something else.
    """
    found = _named(own) or _named(title) or _named(unit)
    if not found:
        raise Unread(f"title, class and unit name another outcome: {quoted('; '.join(filter(None, (title, own))))}")
    topic = found[0]
    if len(found) > 1 and found != ["insulin_independence", "insulin_dose"]:  # "free of any use of insulin"
        raise Unread(f"several outcomes are named together: {', '.join(found)}")
    if topic != "serious_adverse_event" and (other := _something_else(title) or _something_else(own)):
        raise Unread(f"something else than the outcome itself is measured: {quoted(other)}")
    if rest := residue(own, topic):
        raise Unread(f"the class or category names something in addition to the outcome and its time: {quoted(rest)}")
    return topic


@lru_cache(maxsize=256)
def spelt_out(own: str, title: str) -> str:
    """Return the words of class and category; one that says only "serious" under a title of adverse events in full.

    >>> spelt_out("serious", "number of participants with adverse events")
    'serious adverse events'
    """
    if not _named(own) and _ADVERSE.search(title):
        return _SERIOUS_ALONE.sub("serious adverse events", own)
    return own


#: Text between a topic and the word that joins another item to it.
_JOINED = r"(?:\s*\([^)]*\)|\s+(?:levels?|values?|concentrations?))*"
_LED_IN = r"(?:the\s+|mean\s+|changes?\s+(?:from\s+baseline\s+)?in\s+|levels?\s+of\s+|in\s+)*"
_BESIDE = {
    topic: (
        re.compile(rf"(?:{pattern}){_JOINED}\s+(?:and|&|plus)\s+(?P<other>[^,;:(]+)"),
        re.compile(rf"(?P<other>[^,;:)]+?)\s+(?:and|&|plus)\s+{_LED_IN}(?:{pattern})"),
    )
    for topic, pattern in _PATTERNS.items()
}


@lru_cache(maxsize=256)
def joined_to(topic: str, title: str) -> str:
    """Return the item that a title joins to a topic by "and", to which a value may belong; empty if there is none.

    >>> joined_to("hba1c", "mean amplitude and hba1c"), joined_to("hba1c", "hba1c at weeks 24 and 52")
    ('mean amplitude', '')
    """
    for pattern in _BESIDE[topic]:
        for found in pattern.finditer(title):
            left = residue(found["other"], topic)
            if left and not left.replace(" ", "").isdecimal():
                return found["other"].strip()
    return ""


@lru_cache(maxsize=256)
def residue(own: str, topic: str) -> str:
    """Return the words of a class and category other than topic, time, threshold and neutral words.

    >>> residue("hba1c <7%, 26 weeks", "hba1c"), residue("day 28", "hba1c"), residue("males, week 4", "hba1c")
    ('', '', 'males')
    """
    left = own
    for pattern in (TOPICS[topic], THRESHOLD, NO_TIME, BASELINE, MARK, _NEUTRAL_OF.get(topic), _NEUTRAL):
        left = pattern.sub(" ", left) if pattern else left
    return " ".join(re.findall(r"\w[\w.-]*", left))


# Units as registries spell them -> the one spelling of :mod:`cellclaims.units`, by outcome.
# "Percent" of HbA1c is the NGSP percentage; the same word for a count of people is a proportion. So a spelling
# is
# read for one outcome only, and what an outcome does not allow is refused with what was found.


_HAEMOGLOBIN = r"(?:(?:total|glyc\w*ated|glycosylated)\s+)?(?:h(?:a)?emoglobin|hb)(?:\s+a1c)?|(?:total\s+)?hba1c|a1c"

#: Outcome -> (pattern of a whole simplified unit, tidy unit).
_SPELLINGS = {
    "hba1c": (
        (
            rf"(?:{_HAEMOGLOBIN})?[\s,(]*{_PERCENT}(?:\s*\(%\))?[)]?(?:\s+(?:of\s+)?(?:{_HAEMOGLOBIN}))?(?:\s*\(hba1c\))?",
            "%",
        ),
        (rf"{_PERCENT}[\s-]*points?(?:\s+of\s+hba1c)?", "%"),
        (r"mmol\s*(?:/|per)\s*mol|millimoles?\s*(?:/|per)\s*mole?", "mmol/mol"),
    ),
    "c_peptide": (
        (r"ng\s*/\s*ml|nanograms?\s*(?:/|per)\s*milliliter|(?:u|µ|μ)g\s*/\s*l|ng\s+per\s+ml", "ng/mL"),
        (r"nmol\s*/\s*l|nanomoles?\s*(?:/|per)\s*liter|nm", "nmol/L"),
        (r"pmol\s*/\s*l|picomoles?\s*(?:/|per)\s*liter(?:\s*\(pmol/l\))?", "pmol/L"),
    ),
    "insulin_dose": (
        (r"(?:international\s+)?(?:units?|iu|u)\s*(?:/|per)\s*(?:day|d)|(?:international\s+)?units?\s+daily", "U/day"),
        (r"(?:international\s+)?(?:units?|iu|u)\s*(?:/|per)\s*(?:kg|kilogram)\s*(?:/|per)\s*(?:day|d)", "U/kg/day"),
        (r"(?:international\s+)?(?:units?|iu|u)\s*(?:/|per)\s*(?:kg|kilogram)", "U/kg"),
        (rf"{_PERCENT}\s+change(?:\s+from\s+baseline)?", "% relative change"),
        (rf"{_PERCENT}\s+(?:reduction|decrease)(?:\s+from\s+baseline)?", "% relative reduction"),
    ),
}
_WHOLE = {
    topic: [(re.compile(pattern), unit) for pattern, unit in spellings] for topic, spellings in _SPELLINGS.items()
}

_COUNT = re.compile(rf"(?:number\s+of\s+|count\s+of\s+)?(?:study\s+|treated\s+)?{PEOPLE}")
_SHARE = re.compile(
    rf"{_PERCENT}\s*(?:\(%\)\s*)?(?:of\s+)?(?:the\s+|study\s+|treated\s+)*{PEOPLE}|{PEOPLE}\s*\(?{_PERCENT}\)?"
)
_SHARE_TITLE = re.compile(rf"{_PERCENT}\s+of\s+(?:\w+\s+)?{PEOPLE}|proportion\s+of\s+(?:\w+\s+)?{PEOPLE}")
_BARE = re.compile(rf"{_PERCENT}(?:\s*\(%\))?")


@lru_cache(maxsize=256)
def measured_in(topic: str, unit: str, title: str) -> str:
    """Return the tidy unit of a measured outcome.

    Raises
    ------
    Unread
        If the outcome does not allow the unit, or it can mean two things.

    Examples
    --------
    >>> measured_in("hba1c", "percentage of glycosylated hemoglobin", ""), measured_in("c_peptide", "ng/ml", "")
    ('%', 'ng/mL')
    >>> measured_in("insulin_dose", "units", "total daily insulin dose")
    'U/day'
    """
    allowed = _WHOLE[topic]
    relative = RELATIVE.search(title)
    if relative and (_BARE.fullmatch(unit) or RELATIVE.fullmatch(unit)):
        return _relative(topic, relative["what"])
    for pattern, tidy in allowed:
        if pattern.fullmatch(unit):
            if relative:
                raise Unread(f"unit: the title says {quoted(relative[0])}, the unit {quoted(unit)}")
            return tidy
    if topic == "insulin_dose" and re.fullmatch(r"(?:international\s+)?units?|iu|u", unit) and "daily" in title:
        return "U/day"
    if topic == "c_peptide" and unit == "pg/ml":
        raise Unread("unit: C-peptide in 'pg/ml' is questionable (a thousandth of usual values) and not corrected")
    raise Unread(f"unit: expected one of {', '.join(dict.fromkeys(u for _, u in allowed))}, found {quoted(unit)}")


def _relative(topic: str, what: str) -> str:
    """Return the unit of a change in percent of baseline; a reduction only if the tables have one."""
    if what == "change":
        return "% relative change"
    if topic == "insulin_dose" and what.startswith(("reduc", "decreas")):
        return "% relative reduction"
    raise Unread(f"the title turns the sign or may turn it: {quoted(what)}")


def curve_unit(unit: str) -> str:
    """Return the tidy unit of an area under the curve of C-peptide, one of those in the tables."""
    for printed in (unit, unit.replace("/l", "/L"), unit.replace("/ml", "/mL")):
        try:
            found = units.tidy(printed)
        except DataError:
            continue
        if found in units.UNITS_OF["c_peptide_auc"]:
            return found
    raise Unread(f"unit: expected one of {', '.join(units.UNITS_OF['c_peptide_auc'][:4])}, found {quoted(unit)}")


def counted_in(param: str, unit: str, title: str) -> str:
    """Return how people are counted: ``"count"`` or ``"percent"``.

    >>> counted_in("NUMBER", "percentage of participants", ""), counted_in("COUNT_OF_PARTICIPANTS", "participants", "")
    ('percent', 'count')
    """
    if param == "COUNT_OF_PARTICIPANTS":
        return "count"
    if _COUNT.fullmatch(unit):
        return "count"
    if _SHARE.fullmatch(unit) or (_BARE.fullmatch(unit) and _SHARE_TITLE.search(title)):
        return "percent"
    raise Unread(f"unit: expected participants or their percentage, found {quoted(unit)}")
