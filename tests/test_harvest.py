"""Posted results become rows or refusals: known answers, what is refused by name, and that nothing is lost."""

from __future__ import annotations

import copy
import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cellclaims import evidence
from cellclaims.harvest import BINARY, CONTINUOUS, posted

from .harvest_records import OUTCOMES, at, counted, counts, measured, outcome, recorded, study
from .made_up_trials import DATA


def cells(found, *names):
    """Some cells of every row."""
    return [tuple(row.values[name] for name in names) for row in found.rows]


def only_reason(*outcomes):
    """The one reason for which everything in the outcomes is refused."""
    found = posted(study(*outcomes))
    assert found.rows == []
    (reason,) = {refusal.reason for refusal in found.refused}
    return reason


# Known answers: read in the record by eye, then written here.

#: NCT01790594, "HbA1c at Baseline (Pre-Transplant) Through Wk 52 Post-Transplant": months, n, mean, SD of both arms.
#: Days 28 and 84 are 28 * 12 / 365 = 0.9 and 2.8 months, weeks 28 and 36 are 6.5 and 8.3.
TRANSPLANT = {
    "Investigational": [
        ("0", "22", "8.6", "1.1"),
        ("0.9", "21", "6.0", "0.6"),
        ("2.8", "21", "4.8", "0.7"),
        ("6.5", "18", "5.3", "1.3"),
        ("8.3", "18", "5.3", "1.3"),
        ("12", "18", "5.5", "1.6"),
    ],
    "Control": [
        ("0", "21", "8.5", "1.9"),
        ("0.9", "21", "6.1", "0.6"),
        ("2.8", "17", "4.9", "0.3"),
        ("6.5", "16", "5.2", "0.5"),
        ("8.3", "17", "5.1", "0.6"),
        ("12", "16", "5.3", "0.5"),
    ],
}


@pytest.fixture(scope="module")
def studies(shared):
    return recorded(shared)


def test_a_level_at_six_times_with_shrinking_denominators(studies):
    record = studies["NCT01790594.json"]
    rows = [row for row in posted(record).rows if row.values["outcome"] == "hba1c"]
    for arm, expected in TRANSPLANT.items():
        mine = [row.values for row in rows if row.arm_title == arm]
        assert [(v["months"], v["n"], v["center"], v["dispersion_low"]) for v in mine] == expected
    assert {(v["kind"], v["center_type"], v["dispersion_type"], v["unit"]) for v in (row.values for row in rows)} == {
        ("level", "mean", "sd", "%")
    }
    assert rows[-1].pointer == f"{OUTCOMES}/11/classes/5/categories/0/measurements/1"
    assert rows[-1].n_pointer == f"{OUTCOMES}/11/classes/5/denoms/0/counts/1/value"


def test_counts_of_participants_and_their_reversal(studies):
    found = posted(studies["NCT01790594.json"])
    independent = [row for row in found.rows if row.values["outcome"] == "insulin_independence"]
    assert [(r.arm_title, r.values["events"], r.values["n"], r.values["months"]) for r in independent] == [
        ("Investigational", "19", "21", "12"),
        ("Control", "21", "21", "12"),
    ]
    composite = {r.pointer: r.reason for r in found.refused if r.pointer.startswith(f"{OUTCOMES}/25/")}
    assert len(composite) == 8  # death, two graft losses, undetectable C-peptide, in two arms
    assert "undetectable" in composite[f"{OUTCOMES}/25/classes/3/categories/0/measurements/0"]


def test_serious_adverse_events_of_the_events_module(studies):
    found = posted(studies["NCT01790594.json"])
    rows = [row for row in found.rows if row.pointer.startswith("/resultsSection/adverseEventsModule")]
    assert [(r.values["events"], r.values["n"], r.values["timing"]) for r in rows] == [
        ("20", "22", "not_stated"),  # "Transplantation until end of study (up to 76 weeks)"
        ("19", "21", "not_stated"),
        ("0", "3", "not_stated"),  # enrolled, not randomized
    ]
    (plain,) = {
        (row.values["timing"], row.values["months"])
        for row in posted(studies["NCT02476201.json"]).rows
        if row.values["outcome"] == "serious_adverse_event"
    }
    assert plain == ("at_month", "6")  # "6 months"


def test_a_change_with_standard_deviations(studies):
    rows = [row.values for row in posted(studies["NCT02455076.json"]).rows if row.values["outcome"] == "hba1c"]
    assert [(v["kind"], v["n"], v["center"], v["dispersion_low"], v["months"]) for v in rows] == [
        ("change", "46", "-1.3", "1.5", "2.8"),
        ("change", "50", "-1.1", "2.2", "2.8"),
        ("change", "52", "-1.4", "1.1", "2.8"),
    ]
    assert all("12 weeks from discharge" in v["note"] for v in rows)


def test_least_squares_means_with_standard_errors(studies):
    found = posted(studies["NCT01075282.json"])
    rows = [row.values for row in found.rows if row.values["outcome"] == "hba1c"]
    assert [(v["n"], v["center"], v["dispersion_type"], v["dispersion_low"], v["months"]) for v in rows] == [
        ("263", "-1.08", "se", "0.06", "12"),
        ("267", "-0.76", "se", "0.06", "12"),
        ("259", "-0.63", "se", "0.06", "12"),
    ]
    assert all(v["note"].startswith("least squares mean; ") for v in rows)
    # The other times stand with denominators that the class titles contradict.
    reasons = {r.pointer.split("/")[4]: r.reason for r in found.refused if "class title" in r.reason}
    assert sorted(reasons) == ["1", "2", "3"]
    assert reasons["1"] == "n: the denominator says 262, the class title 'n=263, 267, 259'"


def test_a_full_range_in_a_unit_that_cannot_be_is_refused_by_name(studies):
    record = copy.deepcopy(studies["NCT00763412.aact.json"])
    found = posted(record)
    reasons = [r.reason for r in found.refused if r.pointer.startswith(f"{OUTCOMES}/8/")]
    assert (
        reasons == ["unit: C-peptide in 'pg/ml' is questionable (a thousandth of usual values) and not corrected"] * 4
    )
    at(record, f"{OUTCOMES}/8")["unitOfMeasure"] = "ng/ml"  # had it been posted so
    names = ("outcome", "months", "n", "center", "dispersion_type", "dispersion_low", "dispersion_high")
    rows = [row.values for row in posted(record).rows if row.table == "continuous"]
    assert [tuple(values[name] for name in names) for values in rows] == [
        ("c_peptide_fasting", "24", "4", "1.5", "range", "0.8", "2.3"),
        ("c_peptide_fasting", "24", "4", "1.6", "range", "0.6", "2.5"),
        ("c_peptide_stimulated", "24", "4", "7.5", "range", "5", "8.7"),
        ("c_peptide_stimulated", "24", "4", "7.7", "range", "4.2", "11.9"),
    ]


# What a row holds.

CELLS = {
    "string": lambda text, column: not column.enum or text in column.enum,
    "integer": lambda text, column: text.isdecimal() and int(text) >= (column.minimum or 0),
    "number": lambda text, column: (
        (-1e9 if column.minimum is None else column.minimum)
        <= float(text)
        <= (1e9 if column.maximum is None else column.maximum)
    ),
}


TABLES = evidence.read_schema(DATA).tables


def misfits(row):
    """Cells of a row that its table would not take."""
    columns = {one.name: one for one in TABLES[row.table].columns}
    given_later = {"study_id", "arm_id", "source_id", "read_twice"}  # given when a person accepts the row
    missing = [
        name for name, one in columns.items() if one.required and name not in given_later and not row.values[name]
    ]
    wrong = [name for name, text in row.values.items() if text and not CELLS[columns[name].type](text, columns[name])]
    return missing + wrong


def test_every_recorded_row_fits_its_table(studies):
    found = [row for record in studies.values() for row in posted(record).rows]
    assert len(found) > 300
    assert {row.table for row in found} == {"continuous", "binary"}
    assert [(row.registration, row.pointer, misfits(row)) for row in found if misfits(row)] == []


def test_a_row_has_the_columns_that_a_record_can_answer():
    found = posted(study(outcome(), counted("Insulin independence at 1 year", "9", "0", timeFrame="1 year")))
    assert [list(row.values) for row in found.rows] == [CONTINUOUS] * 2 + [BINARY] * 2
    assert found.rows[0].arm_title == "Islets" and found.rows[0].registration == "NCT01234567"


# Units, numbers and dispersion.


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"unitOfMeasure": "% (mmol/mol)"}, "found '% (mmol/mol)'"),
        ({"unitOfMeasure": "percentage of participants"}, "found 'percentage of participants'"),
        ({"unitOfMeasure": "Percent change"}, "found 'percent change'"),
        ({"paramType": "GEOMETRIC_MEAN"}, "expected a mean or median, found 'GEOMETRIC_MEAN'"),
        ({"paramType": None}, "expected a mean or median, found ''"),
        ({"paramType": "NUMBER"}, "unit: expected participants or their percentage, found 'percent'"),
        ({"title": "Reduction in HbA1c at Week 52"}, "turns the sign or may turn it: 'reduc'"),
        ({"title": "HbA1c and fasting glucose at Week 52"}, "names another outcome, too: 'glucose'"),
        (
            {"title": "Ratio of C-peptide to glucose, Week 52"},
            "something else than the outcome itself is measured: 'ratio'",
        ),
        ({"timeFrame": "Week 26"}, "the title and the time frame 'Week 26' name different times"),
        ({"title": "HbA1c", "timeFrame": "Weeks 26 and 52"}, "the time frame names several times: 'Weeks 26 and 52'"),
        ({"title": "HbA1c", "timeFrame": "up to 52 weeks"}, "the time frame names no sure time"),
        ({"title": "HbA1c", "timeFrame": "Baseline, Week 52"}, "names the baseline and another time"),
        ({"title": "HbA1c", "timeFrame": ""}, "no time is said"),
        ({"typeUnitsAnalyzed": "Knees"}, "what is analysed are not participants: 'Knees'"),
        ({"reportingStatus": "NOT_POSTED", "anticipatedPostingDate": "2011-12"}, "not posted yet (expected 2011-12)"),
        ({"classes": []}, "posted without a measurement"),
        ({"denoms": counts("0", "0")}, "n: nobody was analysed"),
        ({"denoms": []}, "n: expected one denominator of participants for the group, found 0"),
        ({"denoms": counts("20", "18") * 2}, "n: expected one denominator of participants for the group, found 2"),
        (
            {"title": "Glucose", "unitOfMeasure": "mg/dl", "description": "and HbA1c"},
            "only the description names the outcome",
        ),
        ({"groups": "OG000"}, "groups: expected a list, found text"),
    ],
)
def test_what_is_not_clear_is_refused_by_name(change, reason):
    assert reason in only_reason(outcome(**change))


@pytest.mark.parametrize(
    ("value", "reason"),
    [
        ("NA", "value: NA (not available)"),
        ("NE", "value: NE (not estimable)"),
        ("", "value: expected a number, found nothing"),
        ("<0.1", "value: expected a number, found '<0.1'"),
        ("1,476", "value: the comma of 1,476 can be thousands or decimals"),
        ("7.1 %", "value: expected a number, found '7.1 %'"),
        ("1e5", "value: expected a number, found '1e5'"),
        ("٧", "value: expected a number, found '٧'"),
        ("7.\u202e1", "value: expected a number, found '7.<U+202E>1'"),
        (7.1, "value: expected a number as text, found the number 7.1"),
        (True, "value: expected a number as text, found true"),
        (None, "value: expected a number as text, found nothing"),
        ("71", "questionable, not corrected: a level of hba1c between 3 and 20 % possible, found 71"),
    ],
)
def test_what_is_no_number_is_refused_by_name(value, reason):
    assert only_reason(outcome(classes=[measured(value)])) == reason


def test_the_comment_of_a_value_stands_in_the_reason():
    missing = outcome(classes=[measured({"value": "NA", "comment": "lost samples"})])
    assert only_reason(missing) == "value (posted with the comment 'lost samples'): NA (not available)"


@pytest.mark.parametrize("value", [".08", "-.2", "-1.", "0,3139", "-1,25"])
def test_unusual_numbers_are_kept_and_clear_commas_turned(value):
    found = posted(study(outcome("Change in HbA1c at Week 52", [measured(value, spread="0.9")])))
    assert cells(found, "center") == [(value.replace(",", "."),)]


@pytest.mark.parametrize(
    ("declared", "posted_spread", "expected"),
    [
        ("Standard Deviation", {"spread": "0.9"}, ("sd", "0.9", "")),
        ("Standard Error", {"spread": "0.9"}, ("se", "0.9", "")),
        ("95% Confidence Interval", {"lowerLimit": "6.5", "upperLimit": "7.9"}, ("ci95", "6.5", "7.9")),
        ("Full Range", {"lowerLimit": "6.5", "upperLimit": "7.9"}, ("range", "6.5", "7.9")),
        ("Inter-Quartile Range", {"lowerLimit": "6.5", "upperLimit": "7.9"}, ("iqr", "6.5", "7.9")),
        ("Standard Deviation", {"spread": "0.9", "lowerLimit": "6"}, ("sd", "0.9", "")),
        ("Standard Deviation", {}, ("none", "", "")),
        ("Standard Deviation", {"spread": "NA"}, ("none", "", "")),
        ("Standard Deviation", {"lowerLimit": "6.5", "upperLimit": "7.9"}, ("none", "", "")),
        ("95% Confidence Interval", {"spread": "0.9"}, ("none", "", "")),
        ("90% Confidence Interval", {"lowerLimit": "6.5", "upperLimit": "7.9"}, ("none", "", "")),
        ("Geometric Coefficient of Variation", {"spread": "12"}, ("none", "", "")),
        (None, {"spread": "0.9"}, ("none", "", "")),
    ],
)
def test_dispersion_is_taken_by_its_declared_type_only(declared, posted_spread, expected):
    found = posted(study(outcome(classes=[measured({"value": "7.1", **posted_spread})], dispersionType=declared)))
    assert cells(found, "dispersion_type", "dispersion_low", "dispersion_high") == [expected]
    unused = len(posted_spread) - sum(1 for cell in expected[1:] if cell)
    note = found.rows[0].values["note"]
    assert (unused == 0) or any(str(text) in note for text in posted_spread.values())


def test_a_declared_dispersion_that_is_missing_is_said():
    (row,) = posted(study(outcome(classes=[measured("7.1")]))).rows
    assert row.values["note"] == "Standard Deviation declared, none posted; time as posted: HbA1c at Week 52"


@pytest.mark.parametrize(
    ("declared", "spread", "reason"),
    [
        ("Standard Deviation", {"spread": "-0.9"}, "sd: expected none below zero, found -0.9"),
        (
            "Full Range",
            {"lowerLimit": "7.5", "upperLimit": "7.9"},
            "range: expected 7.1 between the limits, found 7.5 to 7.9",
        ),
    ],
)
def test_a_dispersion_that_cannot_be_is_refused(declared, spread, reason):
    assert only_reason(outcome(classes=[measured({"value": "7.1", **spread})], dispersionType=declared)) == reason


# Denominators, classes, categories, groups.


def test_denominators_of_a_class_stand_before_those_of_the_outcome():
    own = {"title": "Week 52", "denoms": counts("16", "15"), **measured("7.1", "8.2")}
    found = posted(study(outcome("HbA1c", [own], timeFrame="Weeks 26 and 52")))
    assert cells(found, "n", "months") == [("16", "12"), ("15", "12")]
    assert found.rows[0].n_pointer == f"{OUTCOMES}/0/classes/0/denoms/0/counts/0/value"


def test_denominators_of_other_units_are_not_patients():
    own = {"title": "Week 52", "denoms": [{**counts("40", "36")[0], "units": "Eyes"}], **measured("7.1", "8.2")}
    assert "found 0" in only_reason(outcome("HbA1c", [own]))


@pytest.mark.parametrize(
    ("title", "reason"),
    [
        ("Males, Week 52", "names something in addition to the outcome and its time: 'males'"),
        ("Week 52 (n=19, 18)", "n: the denominator says 20, the class title 'n=19, 18'"),
        ("Week 52 (n=19, 18, 4)", "which cannot be assigned to 2 groups"),
        ("Fasting glucose, Week 52", "names something in addition"),
        ("Week 52 versus Week 26", "names something in addition to the outcome and its time: 'versus'"),
    ],
)
def test_a_class_that_is_another_measurement_is_refused(title, reason):
    found = posted(study(outcome("HbA1c", [{"title": title, **measured("7.1", "8.2")}], timeFrame="Week 52")))
    assert any(reason in refusal.reason for refusal in found.refused)
    assert len(found.rows) == (1 if "n=19, 18)" in title else 0)  # the second group's 18 agrees


def test_categories_say_yes_no_or_something_else():
    both = [measured("5", "2")["categories"][0], measured("15", "16")["categories"][0]]
    classes = [{"categories": [{"title": "Yes", **both[0]}, {"title": "No", **both[1]}]}]
    found = posted(study(counted("Insulin independence at Week 52", classes=classes)))
    assert cells(found, "events", "n") == [("5", "20"), ("2", "18")]
    assert [refusal.reason for refusal in found.refused] == ["the category 'No' counts those without the outcome"]


def test_groups_that_are_unknown_or_stand_twice_are_refused():
    twice = {
        "categories": [
            {"measurements": [{"groupId": "OG000", "value": "7"}] * 2 + [{"groupId": "OG009", "value": "7"}]}
        ]
    }
    found = posted(study(outcome(classes=[twice])))
    assert found.rows == []
    assert [r.reason for r in found.refused] == ["the group 'OG000' occurs twice in one category"] * 2 + [
        "the outcome has no group 'OG009' with a title"
    ]


# Counted outcomes.


@pytest.mark.parametrize(
    ("title", "name"),
    [
        ("Insulin independence at Week 52", "insulin_independence"),
        ("Number of subjects off insulin at Week 52", "insulin_independence"),
        ("HbA1c <7% at Week 52", "hba1c_lt_7"),
        ("HbA1c Less Than 7.0% at Week 52", "hba1c_lt_7"),
        ("Participants with HbA1c \\<= 6.5% at Week 52", "hba1c_le_6_5"),
        ("HbA1c below 6.5 % at Week 52", "hba1c_lt_6_5"),
        ("HbA1c <7% and no severe hypoglycemia at Week 52", "hba1c_lt_7_and_no_severe_hypoglycemia"),
        ("Basal C-peptide >= 0.5 ng/mL at Week 52", "graft_function"),
        ("Insulin dose reduced by at least 50% at Week 52", "insulin_dose_halved"),
        ("Participants with serious adverse events", "serious_adverse_event"),
    ],
)
def test_what_is_counted_gets_the_outcome_of_the_tables(title, name):
    found = posted(study(counted(title, "5", "2")))
    assert cells(found, "outcome", "events", "n", "months", "status") == [
        (name, "5", "20", "12", "printed"),
        (name, "2", "18", "12", "printed"),
    ]


@pytest.mark.parametrize(
    ("title", "reason"),
    [
        ("Loss of insulin independence at Week 52", "reverses the event or may reverse it: 'loss'"),
        ("Participants who are not insulin independent at Week 52", "reverses the event or may reverse it: 'not'"),
        ("Undetectable C-peptide at Week 52", "reverses the event or may reverse it: 'undetectable'"),
        ("Insulin independence or partial function at Week 52", "insulin independence or something else is counted"),
        ("HbA1c <8% at Week 52", "no outcome of the tables for the threshold < 8"),
        ("HbA1c >7% at Week 52", "no outcome of the tables for the threshold > 7"),
        ("HbA1c <7% or <=6.5% at Week 52", "expected one threshold, found 2"),
        ("HbA1c goal at Week 52", "expected one threshold, found 0"),
        ("HbA1c <7% and no weight gain at Week 52", "a further condition"),
        ("HbA1c <7% without hypoglycemia at Week 52", "a further condition"),
        ("Drug-related serious adverse events", "serious adverse events and something else: 'related'"),
        ("Serious adverse events and deaths", "serious adverse events and something else: 'deaths'"),
        ("Serious adverse events of infection", "of some kind only: 'infection'"),
        ("Number of participants requiring insulin use at Week 52", "expected a dose that is halved"),
        (
            "Change from baseline in participants with HbA1c <7% at Week 52",
            "a change, not a level or a proportion of patients: 'chang'",
        ),
        ("HbA1c <7% and C-peptide >= 0.5 ng/mL at Week 52", "several outcomes are named together: hba1c, c_peptide"),
    ],
)
def test_what_reverses_or_widens_the_event_is_refused(title, reason):
    assert reason in only_reason(counted(title, "5", "2"))


def test_a_percentage_becomes_events_where_one_number_fits():
    percent = {"paramType": "NUMBER", "unitOfMeasure": "percentage of participants"}
    found = posted(study(counted("HbA1c <7% at Week 52", "45.0", "45", **percent)))
    names = ("events", "n", "percent", "percent_printed", "status")
    assert cells(found, *names) == [("9", "20", "45.0", "45.0", "derived"), ("", "18", "45", "45", "printed")]
    adjusted = posted(study(counted("Adjusted share with HbA1c <7% at Week 52", "45.0", **percent)))
    assert cells(adjusted, "events", "status") == [("", "printed")]


@pytest.mark.parametrize(
    ("value", "reason"),
    [
        ("21", "questionable: 21 participants of 20"),
        ("-1", "expected a whole number"),
        ("2.5", "expected a whole number"),
    ],
)
def test_a_count_that_cannot_be_is_refused(value, reason):
    assert reason in only_reason(counted("Insulin independence at Week 52", value))


@pytest.mark.parametrize("value", ["101", "-1"])
def test_a_percentage_that_cannot_be_is_refused(value):
    percent = {"paramType": "NUMBER", "unitOfMeasure": "percentage of participants"}
    reason = only_reason(counted("HbA1c <7% at Week 52", value, **percent))
    assert reason == f"percentage: expected 0 to 100, found {value}"


def test_the_origin_of_the_months_is_taken_from_the_words():
    found = posted(study(counted("Insulin independence", "5", timeFrame="1 year after final islet transplant")))
    assert cells(found, "months", "time_origin") == [("12", "last_infusion")]


@pytest.mark.parametrize(
    ("group", "reason"),
    [
        ({"title": "", "seriousNumAffected": 2, "seriousNumAtRisk": 8}, "the event group has no title"),
        ({"seriousNumAffected": 2}, "seriousNumAtRisk: expected a number of participants, found nothing"),
        ({"seriousNumAffected": 2, "seriousNumAtRisk": 0}, "seriousNumAtRisk: nobody was at risk"),
        ({"seriousNumAffected": 9, "seriousNumAtRisk": 8}, "questionable: 9 participants of 8"),
        (
            {"seriousNumAffected": True, "seriousNumAtRisk": 8},
            "seriousNumAffected: expected a number of participants, found true",
        ),
        ({"seriousNumAffected": -1, "seriousNumAtRisk": 8}, "found the number -1"),
        ("EG000", "expected an object, found text"),
    ],
)
def test_event_groups_without_sound_numbers_are_refused(group, reason):
    named = {"title": "Islets", **group} if isinstance(group, dict) else group
    found = posted(study(events={"eventGroups": [named]}))
    assert found.rows == [] and reason in found.refused[0].reason


def test_level_or_change_by_the_description_only_where_the_figure_decides():
    said = {"title": "HbA1c at Week 52", "description": "Change from baseline in HbA1c."}
    assert cells(posted(study(outcome(classes=[measured("-0.8")], **said))), "kind") == [("change",)]
    assert cells(posted(study(outcome(classes=[measured("7.8")], **said))), "kind") == [("level",)]
    assert (
        only_reason(outcome(classes=[measured("3.5")], **said))
        == "the title mentions a level, the description a change"
    )


@pytest.mark.parametrize(
    "record", [[], "study", 7, None, {"resultsSection": {}}, {"resultsSection": 1, "protocolSection": 1}]
)
def test_what_is_no_study_is_refused_and_raises_nothing(record):
    found = posted(record)
    assert found.rows == [] and len(found.refused) == 1


def test_classes_of_levels_under_the_title_of_a_change_are_refused():
    classes = [
        {"title": title, **measured("0.5")} for title in ("Baseline", "Week 52", "Change from Baseline at Week 52")
    ]
    dose = outcome("Change in Daily Insulin Dose", classes, unitOfMeasure="U/kg/day", timeFrame="Baseline, Week 52")
    found = posted(study(dose))
    assert cells(found, "kind", "months") == [("change", "12")]
    assert [one.reason for one in found.refused] == ["the title mentions a change, a class the baseline itself"] * 2


@pytest.mark.parametrize(
    ("title", "reason"),
    [
        ("HbA1c <7% and insulin independence at Week 52", "several outcomes are named together"),
        ("Insulin independence without hypoglycemia at Week 52", "reverses the event or may reverse it: 'without'"),
        ("Insulin independence with normal fasting glucose at Week 52", "with a further condition: 'glucose'"),
    ],
)
def test_independence_with_a_further_condition_is_another_outcome(title, reason):
    assert reason in only_reason(counted(title, "5"))


@pytest.mark.parametrize(
    ("title", "own", "name"),
    [
        ("C-peptide, fasting", "", "c_peptide_fasting"),
        ("C-peptide during a mixed-meal test", "0 min", "c_peptide_fasting"),
        ("C-peptide during a mixed-meal test", "90 min", "c_peptide_stimulated"),
        ("C-peptide during a mixed-meal test", "AUC", "c_peptide_auc"),
        ("Stimulated C-peptide", "", "c_peptide_stimulated"),
    ],
)
def test_c_peptide_is_what_the_words_nearest_to_the_value_say(title, own, name):
    made = outcome(title, [{"title": own, **measured("0.5", spread="0.1")}], unitOfMeasure="ng/mL")
    assert cells(posted(study(made)), "outcome") == [(name,)]


@pytest.mark.parametrize(
    ("title", "reason"),
    [
        ("C-peptide at Week 52", "neither fasting nor stimulated nor an area under the curve is said"),
        ("Fasting and stimulated C-peptide", "fasting and stimulated are named together"),
    ],
)
def test_c_peptide_that_is_not_told_apart_is_refused(title, reason):
    assert reason in only_reason(outcome(title, unitOfMeasure="ng/mL"))


def test_a_level_under_the_title_of_a_change_is_doubted():
    doubted = outcome("Change in HbA1c at Week 52", [measured("7.1")])
    assert (
        only_reason(doubted) == "questionable, not corrected: a change of hba1c between -10 and 4 % possible, found 7.1"
    )


def test_a_study_without_results_gives_nothing():
    record = study(outcome())
    del record["resultsSection"]
    assert posted(record) == posted({}) and posted(record).refused == []


# Nothing is lost: every measurement of a relevant outcome is a row or a refusal, and never both.

#: The outcomes as a reader would look for them, told apart from the module's own patterns.
LOOKED_FOR = re.compile(
    r"hb ?a1c|haemoglobin a1c|hemoglobin a1c|glycosylated h|glycated h|c-peptide|serious adverse", re.IGNORECASE
)


def places(record):
    """Pointers of the measurements of outcomes that are looked for by title, class or category."""
    outcomes = record.get("resultsSection", {}).get("outcomeMeasuresModule", {}).get("outcomeMeasures", [])
    for o, one in enumerate(outcomes):
        classes = one.get("classes", [])
        titles = [one.get("title", ""), *(c.get("title", "") for c in classes)]
        titles += [k.get("title", "") for c in classes for k in c.get("categories", [])]
        if LOOKED_FOR.search(" | ".join(titles)):
            for c, a_class in enumerate(classes):
                for k, category in enumerate(a_class.get("categories", [])):
                    for m in range(len(category.get("measurements", []))):
                        yield f"{OUTCOMES}/{o}/classes/{c}/categories/{k}/measurements/{m}"


def unaccounted(record):
    """Measurements that are neither row nor refused, and those that are both or twice."""
    found = posted(record)
    rows, refused = [row.pointer for row in found.rows], [refusal.pointer for refusal in found.refused]
    for place in places(record):
        times = rows.count(place) + sum(place == one or place.startswith(f"{one}/") for one in refused)
        if times != 1:
            yield place, times


def test_nothing_recorded_is_lost(studies):
    assert sum(len(list(places(record))) for record in studies.values()) > 350
    assert [(name, *one) for name, record in studies.items() for one in unaccounted(record)] == []


TITLES = st.sampled_from(
    ["HbA1c", "HbA1c at Week 52", "Change in HbA1c", "C-peptide, fasting", "HbA1c <7%", "Serious adverse events"]
)
WORDS = st.sampled_from(
    ["", "Week 26", "Baseline", "26 weeks (n=20, 18)", "Males", "C-peptide", "<7%, Week 4", "Yes", "No"]
)
VALUES = st.sampled_from(["7.1", "-0.4", "12", "NA", "1,476", "", "0.5"])


@st.composite
def outcomes(draw):
    """Outcomes of any mixture of titles, classes, categories and values."""
    classes = []
    for _ in range(draw(st.integers(0, 3))):
        categories = [
            {**measured(*draw(st.lists(VALUES, max_size=3)))["categories"][0], "title": draw(WORDS)}
            for _ in range(draw(st.integers(0, 2)))
        ]
        classes.append({"title": draw(WORDS), "categories": categories})
    param = draw(st.sampled_from(["MEAN", "NUMBER", "COUNT_OF_PARTICIPANTS", "MEDIAN"]))
    unit = draw(st.sampled_from(["percent", "participants", "ng/mL", "percentage of participants"]))
    return outcome(draw(TITLES), classes, paramType=param, unitOfMeasure=unit, timeFrame=draw(WORDS))


@settings(max_examples=200)
@given(st.lists(outcomes(), max_size=3))
def test_nothing_made_up_is_lost(made):
    assert list(unaccounted(study(*made))) == []
