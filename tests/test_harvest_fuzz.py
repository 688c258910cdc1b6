"""Mutated records: nothing is raised, and every number of a row stands where the row says that it stands.

1,000 inputs here; ``make fuzz`` sets FUZZ_INPUTS to 100,000. Without the recorded answers the made-up ones are mutated.
"""

from __future__ import annotations

import copy
import json
import os
import re

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from cellclaims.harvest import posted
from cellclaims.harvest.study import relevant

from .harvest_records import OUTCOMES, REPOSITORY, at, counted, counts, measured, outcome, study
from .test_harvest import misfits

#: Inputs in all, and how many records get the same mutations in one example.
INPUTS, TOGETHER = int(os.environ.get("FUZZ_INPUTS", "1000")), 10

MADE_UP = [
    study(
        outcome(),
        events={
            "timeFrame": "1 year",
            "eventGroups": [{"title": "All", "seriousNumAffected": 2, "seriousNumAtRisk": 9}],
        },
    ),
    study(
        outcome("HbA1c", [{"title": "Week 26", "denoms": counts("19", "17"), **measured("6.8", "8.0", spread="1.0")}])
    ),
    study(outcome("Change in HbA1c at Week 52", [measured("-0.8", "0.1")], dispersionType=None)),
    study(counted("Insulin independence at Week 52", "9", "0")),
    study(
        counted("HbA1c <7% at Week 52", "45.0", "11.1", paramType="NUMBER", unitOfMeasure="percentage of participants")
    ),
    study(
        outcome(
            "Fasting C-peptide at Week 52",
            [measured("0.6", "0.1", lowerLimit="0.1", upperLimit="1.4")],
            dispersionType="Full Range",
            unitOfMeasure="ng/mL",
        )
    ),
]


def small(record):
    """One small study for each relevant outcome of a recorded one, with its adverse events."""
    results = record.get("resultsSection", {})
    events = results.get("adverseEventsModule", {})
    kept = {"timeFrame": events.get("timeFrame"), "eventGroups": events.get("eventGroups", [])[:2]}
    for one in results.get("outcomeMeasuresModule", {}).get("outcomeMeasures", []):
        if relevant(one) and len(json.dumps(one)) < 20_000:
            yield study({key: value for key, value in one.items() if key != "analyses"}, events=kept)


def read_seeds():
    """What is mutated: small parts of the recorded studies, and the made-up ones, as JSON."""
    folder = REPOSITORY.parent / "shared" / "registry" / "ctgov-v2"
    recorded = [one for path in sorted(folder.glob("*.json")) for one in small(json.loads(path.read_bytes()))]
    return [json.dumps(one) for one in [*MADE_UP, *recorded]]


SEEDS = read_seeds()

TEXTS = [
    *(
        "NA",
        "NE",
        "",
        "1,476",
        "0,3139",
        ".08",
        "-.2",
        "134.",
        "<7",
        "1e999",
        "NaN",
        "-Infinity",
        "9" * 40,
        "7.1\u202e",
        "٧.١",
    ),
    *(
        "7\x00.1",
        "<script>",
        "=cmd|' /C calc'!A0",
        "HbA1c",
        "Change in HbA1c",
        "C-peptide, fasting",
        "Week 12",
        "up to 5 years",
    ),
    *(
        "Baseline",
        "percent",
        "participants",
        "Percentage of participants",
        "pg/ml",
        "Standard Error",
        "Full Range",
        "OG001",
    ),
    *(
        "MEDIAN",
        "NUMBER",
        "COUNT_OF_PARTICIPANTS",
        "not insulin independent",
        "Males",
        "26 weeks (n=3, 4)",
        "NCT00000000",
        "20",
    ),
]
DEEP = json.loads("[" * 200 + "]" * 200)
VALUES = [
    None,
    True,
    False,
    0,
    -1,
    10**400,
    1.5,
    float("nan"),
    float("inf"),
    [],
    {},
    [1],
    {"value": "1"},
    DEEP,
    7,
    "7",
    *TEXTS,
]
STEPS = st.lists(
    st.tuples(
        st.integers(0, 10_000),
        st.sampled_from(["drop", "put", "text", "twice", "swap", "digit"]),
        st.integers(0, len(VALUES) - 1),
    ),
    min_size=1,
    max_size=4,
)


def nodes(value, above=None, key=None):
    """Every value of a record with what holds it and under which key."""
    if above is not None:
        yield above, key
    for name, one in value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ():
        yield from nodes(one, value, name)


def mutated(seed, steps):
    """A record changed at some places."""
    record = json.loads(seed)
    for place, how, what in steps:
        found = list(nodes(record))
        if not found:
            break
        above, key = found[place % len(found)]
        if how == "drop":
            above.pop(key)
        elif how == "put":
            above[key] = copy.deepcopy(VALUES[what])
        elif how == "text":
            above[key] = TEXTS[what % len(TEXTS)]
        elif how == "twice" and isinstance(above, list):
            above.append(copy.deepcopy(above[key]))
        elif how == "swap":
            other, name = found[(place + what) % len(found)]
            above[key], other[name] = copy.deepcopy(other[name]), copy.deepcopy(above[key])
        elif how == "digit" and isinstance(above[key], str):
            above[key] = re.sub(r"\d", str(what % 10), above[key], count=1)
    return record


# The oracle: it knows the shape of a record and nothing of the module.

SPREAD = {"sd": ("Standard Deviation", "spread"), "se": ("Standard Error", "spread")}
LIMITS = {"ci95": "95% Confidence Interval", "range": "Full Range", "iqr": "Inter-Quartile Range"}
SPELT = {
    word: str(n) for n, word in enumerate("one two three four five six seven eight nine ten eleven twelve".split(), 1)
}


def same_number(cell, printed):
    """Whether a cell is what was printed, a comma turned into a point or left out at most."""
    return isinstance(printed, str) and cell in {
        printed.strip(),
        printed.strip().replace(",", "."),
        printed.strip().replace(",", ""),
    }


def possible_months(*texts):
    """Every number in the texts, in every unit."""
    lower = " ".join(texts).lower().replace("eighteen", "18").replace("a year", "1 year")
    for word, number in SPELT.items():
        lower = lower.replace(word, number)
    return {
        round(float(n) * factor, 1)
        for n in re.findall(r"\d+(?:\.\d+)?", lower)
        for factor in (12 / 365, 12 / 52, 1, 12)
    }


def check_patients(record, row, posted_value, one, its_class):
    entry = at(record, row.n_pointer.rpartition("/")[0])
    assert int(float(entry["value"])) == int(row.values["n"]) > 0
    assert entry["groupId"] == posted_value["groupId"]
    assert at(record, row.n_pointer.rpartition("/counts/")[0])["units"].strip().lower() == "participants"
    in_class = row.n_pointer.startswith(row.pointer.partition("/categories/")[0] + "/")
    assert in_class == bool(its_class.get("denoms"))
    assert row.arm_title in [group["title"] for group in one["groups"] if group.get("id") == posted_value["groupId"]]


def check_numbers(row, posted_value, one):
    values = row.values
    if row.table == "continuous":
        assert same_number(values["center"], posted_value["value"])
        kind, low, high = values["dispersion_type"], values["dispersion_low"], values["dispersion_high"]
        if kind in SPREAD:
            assert (
                one["dispersionType"].strip() == SPREAD[kind][0]
                and same_number(low, posted_value["spread"])
                and not high
            )
        elif kind in LIMITS:
            assert one["dispersionType"].strip() == LIMITS[kind]
            assert same_number(low, posted_value["lowerLimit"]) and same_number(high, posted_value["upperLimit"])
        else:
            assert (kind, low, high) == ("none", "", "")
    elif values["percent"]:
        assert float(values["percent"]) == float(values["percent_printed"])
        assert same_number(values["percent"], posted_value["value"]) or float(values["percent"]) == float(
            posted_value["value"]
        )
        assert (
            not values["events"]
            or abs(100 * int(values["events"]) / int(values["n"]) - float(values["percent"])) <= 0.5
        )
    else:
        assert int(values["events"]) == float(posted_value["value"]) <= int(values["n"])


def check_outcome_row(record, row):
    posted_value = at(record, row.pointer)
    its_class = at(record, row.pointer.partition("/categories/")[0])
    one = at(record, row.pointer.partition("/classes/")[0])
    category = at(record, row.pointer.partition("/measurements/")[0])
    check_patients(record, row, posted_value, one, its_class)
    check_numbers(row, posted_value, one)
    said = [
        text for text in (its_class.get("title"), category.get("title"), one.get("title"), one.get("timeFrame")) if text
    ]
    months = row.values["months"]
    assert float(months or 0) in possible_months(*said) | {0.0}
    assert months or row.values["timing"] == "not_stated"


def check_events_row(record, row):
    group = at(record, row.pointer)
    assert int(row.values["events"]) == float(group["seriousNumAffected"]) <= int(row.values["n"])
    assert int(row.values["n"]) == float(group["seriousNumAtRisk"]) == float(at(record, row.n_pointer))
    assert row.arm_title == group["title"]


def check(record):
    """Whatever the record holds: texts in every cell, and numbers that stand in the record."""
    found = posted(record)
    for refusal in found.refused:
        assert all(
            isinstance(text, str) for text in (refusal.registration, refusal.pointer, refusal.title, refusal.reason)
        )
        assert refusal.reason and len(refusal.reason) < 2000
    for row in found.rows:
        assert misfits(row) == []
        if row.pointer.startswith(OUTCOMES):
            check_outcome_row(record, row)
        else:
            check_events_row(record, row)
    return found


def test_the_seeds_give_rows_of_many_kinds():
    rows = [row for seed in SEEDS for row in check(json.loads(seed)).rows]
    assert len({(row.values["outcome"], row.table) for row in rows}) >= 5


@settings(max_examples=max(INPUTS // TOGETHER, 1), suppress_health_check=list(HealthCheck))
@given(st.integers(0, 10_000), STEPS)
def test_no_mutation_raises_or_gives_a_number_that_is_not_there(start, steps):
    for number in range(TOGETHER):
        check(mutated(SEEDS[(start + number) % len(SEEDS)], steps))


@pytest.mark.parametrize("value", VALUES)
def test_any_value_at_any_place_of_a_study_is_survived(value):
    for seed in SEEDS[:2]:
        count = len(list(nodes(json.loads(seed))))
        for place in range(count):
            record = json.loads(seed)
            above, key = list(nodes(record))[place]
            above[key] = copy.deepcopy(value)
            check(record)
