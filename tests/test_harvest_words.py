"""Times, units and topics as registries word them: what each is read as, and what is left unread."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cellclaims.harvest.reading import Unread, events_of, numeral, whole
from cellclaims.harvest.times import doubt_of, months_of, times
from cellclaims.harvest.vocabulary import counted_in, curve_unit, measured_in, named, simple

#: Words -> months, 52 weeks and 365 days being 12.
NAMED = {
    "Week 28": [6.5],
    "26 weeks": [6.0],
    "Day 84": [2.8],
    "At 6 months post-intervention": [6.0],
    "Baseline, 13, 26, 52, and 104 weeks": [3.0, 6.0, 12.0, 24.0],
    "Baseline (Pre-Transplant) and Days 28, 84, and Weeks 28, 36, and 52": [0.9, 2.8, 6.5, 8.3, 12.0],
    "Baseline (Pre-Transplant) and Days 28 and -84, and Weeks 28, -36, and -52": [0.9, 2.8, 6.5, 8.3, 12.0],
    "1, 3, 6, 9,12,18 ... months": [1.0, 3.0, 6.0, 9.0, 12.0, 18.0],
    "1, 3, 6, 9, 12, 18, 24, 36, 48 and 60 months": [1.0, 3.0, 6.0, 9.0, 12.0, 18.0, 24.0, 36.0, 48.0, 60.0],
    "Days 28 & 84, and Weeks 24, 36": [0.9, 2.8, 5.5, 8.3],
    "26 Weeks Versus 13 Weeks (n=269, 269, 276, 136)": [3.0, 6.0],
    "HbA1c less than or equal to 6.5%, 26 weeks": [6.0],
    "<7.0% at 104 Weeks": [24.0],
    "Year 3 in Period II": [36.0],
    "2-year": [24.0],
    "one year after final islet transplant": [12.0],
    "Non-HDL W52": [12.0],
    "12 months (±2 weeks)": [12.0],
    "365 days": [12.0],
    "adults aged 18 years, at 6 months": [6.0],
    "2-D echocardiography": [],
    "2 hour": [],
    "30 mg": [],
    "Baseline (Day 1)": [],
    "duration of graft function": [],
}


@pytest.mark.parametrize(("words", "months"), NAMED.items())
def test_times_are_read_out_of_the_words(words, months):
    assert times(words).distinct == months


@pytest.mark.parametrize(
    ("words", "sureness"),
    [
        ("at Week 52", "plain"),
        ("Week 52 Post-Transplant", "plain"),
        ("Baseline through 52 weeks", "span"),
        ("during the first 12 months", "span"),
        ("for 3 months", "span"),
        ("up to 26 weeks", "vague"),
        ("an expected average of 10 days", "vague"),
        ("every 3 months", "vague"),
        ("approximately 2 years", "vague"),
        (">= 2 weeks", "vague"),
        ("4 Weeks After Last Dose", "vague"),
        ("Month 12 or early termination", "vague"),
    ],
)
def test_how_surely_a_time_is_named(words, sureness):
    assert {mark.sureness for mark in times(words).marks} == {sureness}


@pytest.mark.parametrize(
    ("words", "baseline"), [("BL", True), ("Day 1 (baseline)", True), ("Post Baseline Mean", False)]
)
def test_the_baseline_is_told_from_what_comes_after(words, baseline):
    assert times(words).baseline is baseline


@pytest.mark.parametrize(
    ("kind", "own", "title", "frame", "months"),
    [
        ("level", "Baseline", "HbA1c", "Baseline, Week 52", "0"),
        ("level", "Week 52", "HbA1c at Week 26", "Weeks 26 and 52", "12"),
        ("level", "", "HbA1c at 6 months", "24 weeks", "6"),  # the same time in other units
        ("change", "", "Change in HbA1c", "Baseline through 52 weeks", "12"),
        ("change", "Change from BL at Week 12", "Change in HbA1c", "Baseline, Weeks 12 and 36", "2.8"),
        ("level", "", "HbA1c at baseline", "", "0"),
    ],
)
def test_the_time_nearest_to_the_value_counts(kind, own, title, frame, months):
    assert months_of(kind, own, title, frame)[0] == months


@pytest.mark.parametrize(
    ("kind", "own", "title", "frame"),
    [
        ("status", "", "Insulin independence", "Baseline through 52 weeks"),
        ("level", "Baseline and Week 52", "HbA1c", "Week 52"),
        ("change", "", "Change in HbA1c", "Baseline"),
        ("change", "", "Change in HbA1c", "3 to 6 months"),
        ("level", "", "HbA1c", "end of study"),
    ],
)
def test_a_time_that_is_not_sure_is_not_taken(kind, own, title, frame):
    with pytest.raises(Unread, match="time"):
        months_of(kind, own, title, frame)


def test_a_class_whose_time_the_time_frame_does_not_name_is_flagged():
    assert doubt_of("Week 24", "26 weeks, 52 weeks", "5.5") == ""  # within what 24 weeks for 6 months is
    assert doubt_of("Week 36", "26 weeks, 52 weeks", "8.3").startswith(
        "questionable: the time frame does not name this time"
    )


@given(st.integers(1, 400), st.sampled_from(["week", "month", "day"]))
def test_both_orders_and_plurals_say_the_same(number, unit):
    forms = (
        f"{number} {unit}s",
        f"{number}-{unit}",
        f"{unit} {number}",
        f"{unit.upper()}S {number}",
        f"{number}{unit}s",
    )
    assert len({tuple(times(form).distinct) for form in forms}) == 1


@pytest.mark.parametrize(
    "unit",
    [
        "percent",
        "percentage",
        "Percentage (%)",
        "percentage of HbA1c",
        "percentage of glycosylated hemoglobin",
        "percentage of total hemoglobin",
        "Percent Hemoglobin",
        "Percent of hemoglobin",
        "% HbA1c",
        "HbA1c (%)",
        "percentage points",
    ],
)
def test_the_units_of_hba1c_seen_are_percent(unit):
    assert measured_in("hba1c", simple(unit), "") == "%"


@pytest.mark.parametrize(
    ("topic", "unit", "tidy"),
    [
        ("hba1c", "mmol/mol", "mmol/mol"),
        ("c_peptide", "ng/mL", "ng/mL"),
        ("c_peptide", "picomoles per liter (pmol/L)", "pmol/L"),
        ("c_peptide", "nmol / L", "nmol/L"),
        ("insulin_dose", "IU per day", "U/day"),
        ("insulin_dose", "units/kg/day", "U/kg/day"),
        ("insulin_dose", "U/kg", "U/kg"),
        ("insulin_dose", "percent change from baseline", "% relative change"),
    ],
)
def test_units_get_their_one_spelling(topic, unit, tidy):
    assert measured_in(topic, simple(unit), "") == tidy


@pytest.mark.parametrize(
    ("topic", "unit"),
    [("hba1c", "percent of participants"), ("hba1c", "mg/dl"), ("c_peptide", "pg/ml"), ("insulin_dose", "units")],
)
def test_a_unit_that_the_outcome_does_not_allow_is_refused(topic, unit):
    with pytest.raises(Unread, match="unit: "):
        measured_in(topic, unit, "")


def test_an_area_under_the_curve_has_the_units_of_the_tables():
    assert curve_unit(simple("nmol/L x 120 min")) == "nmol/L x 120 min"
    with pytest.raises(Unread, match="found 'nmol/l per fortnight'"):
        curve_unit("nmol/l per fortnight")


@pytest.mark.parametrize(
    ("unit", "title", "how"),
    [
        ("participants", "", "count"),
        ("Number of subjects", "", "count"),
        ("Percentage of subjects", "", "percent"),
        ("participants (%)", "", "percent"),
        ("percent", "percentage of patients with hba1c <7%", "percent"),
    ],
)
def test_people_are_counted_or_their_share(unit, title, how):
    assert counted_in("NUMBER", simple(unit), title) == how


def test_percent_alone_is_no_share_of_people():
    with pytest.raises(Unread, match="expected participants or their percentage"):
        counted_in("NUMBER", "percent", "hba1c at week 52")


@pytest.mark.parametrize(
    ("words", "topics"),
    [
        ("HbA₁c", ["hba1c"]),
        ("Hb A1c", ["hba1c"]),
        ("Glycosylated Haemoglobin", ["hba1c"]),
        ("Hemoglobin A1C", ["hba1c"]),
        ("glycated hemoglobin", ["hba1c"]),
        ("C peptide", ["c_peptide"]),
        ("N-terminal pro-B-type natriuretic peptide", []),
        ("Advanced Glycation End Products", []),
        ("hemoglobin", []),
        ("Fasting insulin", []),
        ("insulin-free", ["insulin_independence"]),
        ("Daily insulin requirements", ["insulin_dose"]),
        ("SAEs", ["serious_adverse_event"]),
    ],
)
def test_topics_are_known_by_their_names(words, topics):
    assert named(simple(words)) == topics


@given(st.integers(1, 300), st.integers(0, 300), st.integers(0, 2))
def test_events_of_a_percentage_are_those_that_were_counted_or_none(n, events, digits):
    printed = f"{100 * min(events, n) / n:.{digits}f}"
    found = events_of(printed, n)
    fitting = [one for one in range(n + 1) if abs(100 * one / n - float(printed)) <= 0.5 * 10**-digits * (1 + 1e-9)]
    assert found == (str(fitting[0]) if len(fitting) == 1 else "")


@given(st.text(max_size=12))
def test_whatever_reads_as_a_number_is_that_number(text):
    try:
        read = numeral(text, "value")
    except Unread:
        return
    assert float(read) == float(text.strip().replace(",", "." if text.count(",") == 1 and "." not in text else ""))


@pytest.mark.parametrize(
    "text", ["1,476", "12,345", "1,2,3", "1.2.3", "--1", "١٢", "Infinity", "nan", "0x10", "9" * 16]
)
def test_what_can_be_two_numbers_or_none_is_no_number(text):
    with pytest.raises(Unread):
        numeral(text, "value")


@pytest.mark.parametrize(("text", "read"), [("1,234.5", "1234.5"), ("1,234,567", "1234567"), ("-12,5", "-12.5")])
def test_a_comma_that_can_only_be_one_thing_is_turned(text, read):
    assert numeral(text, "value") == read


def test_a_count_is_whole_and_not_negative():
    assert whole("19.0", "value") == "19"
    with pytest.raises(Unread, match="whole number of participants"):
        whole("19.5", "value")
