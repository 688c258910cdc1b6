"""What a posted figure means: its words are read together, none that narrows it is passed over, and none is lost."""

from __future__ import annotations

import re

import pytest

from cellclaims.harvest import posted
from cellclaims.harvest.reading import Unread
from cellclaims.harvest.times import is_ever, months_of, times
from cellclaims.harvest.vocabulary import measured_in, simple, some_kind

from .harvest_records import OUTCOMES, counted, counts, measured, outcome, recorded, study

PERCENT = {"paramType": "NUMBER", "unitOfMeasure": "Percentage of Participants"}


def rows(*outcomes, events=None):
    """The values of every row; nothing may be refused."""
    found = posted(study(*outcomes, events=events))
    assert found.refused == []
    return [row.values for row in found.rows]


def reasons(*outcomes, events=None):
    """Why everything is refused."""
    found = posted(study(*outcomes, events=events))
    assert found.rows == []
    return {refusal.reason for refusal in found.refused}


def with_class(name, *values, **more):
    return [{"title": name, **measured(*values, **more)}]


# Serious adverse events: all of them, or a refusal.


@pytest.mark.parametrize(
    ("title", "own"),
    [
        ("Number of Participants With Serious Adverse Events", ""),
        ("Number of Participants With Serious TEAE(s)", ""),
        ("Number of Participants With Serious Treatment-Emergent Adverse Events", ""),
        ("Number of Participants With Treatment-Emergent Serious Adverse Events (TESAEs)", ""),
        ("Number of Participants With Adverse Events", "Serious"),
        ("Number of Participants With Adverse Events", "Any serious TEAE(s)"),
        ("Number of Participants With Adverse Events (AEs) and Serious Adverse Events (SAEs)", "SAEs"),
        ("Deaths, Serious AEs, AEs, and Discontinuations Due to AEs", "Serious Adverse Events"),
        ("Participants With AEs, SAEs, and AEs Leading to Discontinuation", "Participants with any SAE"),
        ("All-Causality and Treatment-Related TEAEs", "Participants with all-causality SAEs"),
    ],
)
def test_all_serious_adverse_events_are_read_in_any_of_their_names(title, own):
    found = rows(counted(title, classes=with_class(own, "5", "2") if own else [measured("5", "2")]))
    assert [(one["outcome"], one["events"], one["n"], one["months"]) for one in found] == [
        ("serious_adverse_event", "5", "20", "12"),
        ("serious_adverse_event", "2", "18", "12"),
    ]


@pytest.mark.parametrize(
    ("title", "own", "description", "said"),
    [
        ("Treatment-Related Adverse Events (AEs) and Serious Adverse Events (SAEs)", "SAEs", "", "related"),
        ("AEs and SAEs Leading to Discontinuation", "SAEs", "", "leading to"),
        ("Cardiac Adverse Events", "Serious Adverse Events", "", "cardiac"),
        ("Serious Adverse Events of the Liver", "", "", "liver"),
        ("Fatal Serious Adverse Events", "", "", "fatal"),
        ("Serious Adverse Events Before Treatment", "", "", "before"),
        ("Serious Adverse Events During the Extension", "", "", "extension"),
        ("Newborns With Serious Adverse Events", "", "", "newborns"),
        ("Adverse Events", "Serious, related", "", "related"),
        ("Serious Adverse Events", "", "Participants with treatment-related serious adverse events.", "related"),
        ("Serious Adverse Events", "", "Number of SAEs considered possibly related to the cells.", "related"),
        ("Serious Adverse Events", "", "SAEs that led to withdrawal from the study were counted.", "withdraw"),
    ],
)
def test_a_part_of_the_serious_adverse_events_is_never_the_whole(title, own, description, said):
    one = counted(title, classes=with_class(own, "5") if own else [measured("5")], description=description)
    (reason,) = reasons(one)
    assert said in reason


@pytest.mark.parametrize(
    "description",
    [
        "An SAE is an event resulting in death or requiring hospitalization, whether or not related to the treatment.",
        "Serious adverse events, regardless of whether they were considered related to the study drug.",
    ],
)
def test_a_definition_of_serious_adverse_events_narrows_nothing(description):
    assert len(rows(counted("Serious Adverse Events", "5", "2", description=description))) == 2
    assert some_kind("serious adverse events", "", simple(description)) == ""


def test_events_that_are_not_serious_are_no_serious_events():
    assert posted(study(counted("Participants With Non-Serious Adverse Events", "5"))).rows == []
    assert reasons(counted("Serious and Non-Serious Adverse Events", "5"))


@pytest.mark.parametrize(
    ("group", "module", "said"),
    [
        ("Newborns", {}, "the group is not one of the patients treated: 'Newborns'"),
        ("Living donors", {}, "the group is not one of the patients treated"),
        ("Islets", {"description": "Only treatment-related events were collected."}, "by the description"),
    ],
)
def test_the_module_of_adverse_events_is_read_with_its_words(group, module, said):
    one = {"title": group, "seriousNumAffected": 2, "seriousNumAtRisk": 8}
    (reason,) = reasons(events={"eventGroups": [one], **module})
    assert said in reason


# What narrows the other outcomes.


@pytest.mark.parametrize(
    ("title", "more", "said"),
    [
        ("Fasting Urinary C-peptide at Week 52", {"unitOfMeasure": "nmol/L"}, "'urinary'"),
        ("Fasting C-peptide at Week 52", {"unitOfMeasure": "nmol/L", "description": "In 24 h urine."}, "'urine'"),
        ("Maternal HbA1c at Week 52", {}, "'maternal'"),
        ("HbA1c of Newborns at Week 52", {}, "'newborns'"),
        ("HbA1c of the Donor at Week 52", {}, "'of the donor'"),
        ("Within-Subject Change in HbA1c at Week 52", {}, "'within-subject'"),
        ("HbA1c at Week 52, Difference Between Groups", {}, "'between groups'"),
        (
            "HbA1c at Week 52",
            {"description": "Difference between the two groups in HbA1c."},
            "'between the two groups'",
        ),
        ("Placebo-Corrected HbA1c at Week 52", {}, "'placebo-corrected'"),
        ("HbA1c Before Treatment", {}, "'before treatment'"),
        ("HbA1c", {"timeFrame": "Run-in, 12 weeks"}, "'run-in'"),
        ("HbA1c at Week 52 in Participants Whose HbA1c Was 9% or More", {}, "in participants whose"),
        ("HbA1c at Week 52 for Patients Randomized at Entry in Period III", {}, "'for patients randomized at'"),
        ("HbA1c at Week 52 in Males", {}, "'males'"),
        ("Time-Averaged HbA1c Over 52 Weeks", {}, "'time-averaged'"),
        ("Highest HbA1c Until Week 52", {}, "'highest'"),
        ("Glycated Albumin and HbA1c at Week 52", {}, "'albumin'"),
        ("Mean Amplitude and HbA1c at Week 52", {}, "'mean amplitude'"),
        ("HbA1c and Quality of Life at Week 52", {}, "'quality of life at week 52'"),
        ("HbA1c at Any Time", {}, "a value at any time has no time"),
    ],
)
def test_a_word_that_narrows_the_outcome_makes_another_one(title, more, said):
    (reason,) = reasons(outcome(title, **more))
    assert said in reason


def test_donors_of_islets_are_not_those_who_are_measured():
    said = "Insulin independence of recipients of islets from a single donor, 12 months after the first infusion."
    assert len(rows(counted("Insulin Independence After Single-Donor Islets", "5", "2", description=said))) == 2


@pytest.mark.parametrize(
    "title", ["HbA1c in Subjects With Type 2 Diabetes at Week 52", "HbA1c at Week 52 in All Randomized Participants"]
)
def test_the_whole_arm_may_be_named(title):
    assert len(rows(outcome(title))) == 2


def test_a_group_of_donors_is_not_an_arm():
    for other in ("Donors", "Difference between groups", "Cells minus placebo"):
        groups = [{"id": "OG000", "title": "Islets of one donor"}, {"id": "OG001", "title": other}]
        found = posted(study(outcome(groups=groups)))
        assert [row.arm_title for row in found.rows] == ["Islets of one donor"]
        assert [one.reason for one in found.refused] == [f"the group is not one of the patients treated: '{other}'"]


# Relative changes, and thresholds of a change.


@pytest.mark.parametrize(
    ("title", "unit", "expected"),
    [
        ("Percent Change From Baseline in HbA1c at Week 52", "Percent", "% relative change"),
        ("Relative Change in HbA1c at Week 52", "%", "% relative change"),
        ("Percent Change From Baseline in HbA1c at Week 52", "Percent change", "% relative change"),
        ("Absolute Percent Change in HbA1c at Week 52", "%", "%"),
        ("Change in HbA1c (Percent) at Week 52", "percent", "%"),
    ],
)
def test_a_percent_change_is_no_difference_of_points(title, unit, expected):
    found = rows(outcome(title, [measured("-2.2", "-0.3", spread="3.8")], unitOfMeasure=unit))
    assert [(one["unit"], one["kind"], one["center"]) for one in found] == [
        (expected, "change", "-2.2"),
        (expected, "change", "-0.3"),
    ]


@pytest.mark.parametrize(
    ("more", "said"),
    [
        ({"unitOfMeasure": "percentage of HbA1c"}, "unit: the title says 'percent change'"),
        ({"title": "Percent Reduction in HbA1c at Week 52"}, "turns the sign or may turn it"),
        (
            {"title": "Change in HbA1c at Week 52", "description": "Percent change from baseline."},
            "the description mentions a percent change",
        ),
    ],
)
def test_a_change_that_may_be_relative_is_refused(more, said):
    one = {"title": "Percent Change in HbA1c at Week 52", **more}
    (reason,) = reasons(outcome(classes=[measured("-2.2", spread="3.8")], **one))
    assert said in reason


def test_the_percent_change_of_a_dose_keeps_its_own_units():
    assert measured_in("insulin_dose", "%", "percent change in daily insulin dose") == "% relative change"
    assert measured_in("insulin_dose", "%", "percent reduction in daily insulin dose") == "% relative reduction"


@pytest.mark.parametrize(
    ("title", "description", "said"),
    [
        ("Participants With HbA1c Change <7% at Week 52", "", "a change, not a level"),
        ("Participants With HbA1c Lowered by <7% at Week 52", "", "a change, not a level"),
        ("HbA1c <7.0% (58 mmol/mol) at Week 52", "", "in two units that are not the same"),
        ("HbA1c <7% at Week 52", "Share with HbA1c ≤7.0% at Week 52.", "the description names another threshold: <= 7"),
        ("HbA1c <7 ng/mL at Week 52", "", "expected a threshold in % or mmol/mol"),
    ],
)
def test_a_threshold_is_one_of_the_level_and_said_alike_everywhere(title, description, said):
    (reason,) = reasons(counted(title, "5", description=description))
    assert said in reason


@pytest.mark.parametrize(
    ("title", "name"),
    [
        ("Participants With an A1C <7% (<53 mmol/Mol) at Week 52", "hba1c_lt_7"),
        ("Participants Who Achieve HbA1c Below 7.0% (53 mmol/mol) (Yes/no) at Week 52", "hba1c_lt_7"),
        ("HbA1c ≤6.5% [48 mmol/mol] at Week 52", "hba1c_le_6_5"),
        ("HbA1c <53 mmol/mol at Week 52", "hba1c_lt_7"),
    ],
)
def test_a_threshold_in_two_units_is_one(title, name):
    assert [one["outcome"] for one in rows(counted(title, "5", "2"))] == [name, name]


def test_the_class_no_counts_the_others():
    classes = [*with_class("Yes", "11", "8"), *with_class("No", "9", "10")]
    found = posted(study(counted("HbA1c <7% (Yes/No) at Week 52", classes=classes)))
    assert [row.values["events"] for row in found.rows] == ["11", "8"]
    assert [one.reason for one in found.refused] == ["the class 'No' counts those without the outcome"]


# When: at a month, ever, or not since the start.


@pytest.mark.parametrize(
    ("title", "more", "months"),
    [
        ("Insulin Independence at Any Time", {"timeFrame": "24 months"}, "24"),
        ("Ever Insulin Independent", {"timeFrame": "2 years"}, "24"),
        ("Insulin Independence at Some Point", {"timeFrame": "through 24 months"}, "24"),
        ("Insulin Independence", {"timeFrame": "24 months", "description": "Independent at any point."}, "24"),
        ("Insulin Independence at Least Once", {"timeFrame": "3, 6, 12 months"}, ""),
    ],
)
def test_what_was_so_at_any_time_is_counted_as_ever(title, more, months):
    found = rows(counted(title, "7", "5", **more))
    assert [(one["timing"], one["months"]) for one in found] == [("ever", months)] * 2


def test_a_class_may_say_ever_beside_a_status_at_a_month():
    classes = [*with_class("Ever", "7", "5"), *with_class("At 24 months", "4", "2")]
    found = rows(counted("Insulin Independence", classes=classes, timeFrame="24 months"))
    assert [(one["timing"], one["events"]) for one in found] == [
        ("ever", "7"),
        ("ever", "5"),
        ("at_month", "4"),
        ("at_month", "2"),
    ]


def test_a_status_at_a_month_is_not_ever():
    assert rows(counted("Insulin Independence", "7", timeFrame="24 months"))[0]["timing"] == "at_month"
    assert not is_ever("Insulin independence at every visit", "several timepoints")


@pytest.mark.parametrize(
    ("words", "offset"),
    [
        ("From first dose to end of study plus 30 days", "plus 30 days"),
        ("52 weeks + 30 days", "+ 30 days"),
        ("30 days after the last dose of study drug", "after the last dose"),
        ("4 weeks after end of treatment", "after end"),
        ("12 months after surgery", "after surgery"),
        ("Month 12 post-op", "post-op"),
        ("Week 52 of the extension", "extension"),
        ("Week 24 (+7 days)", ""),
        ("Week 24 (+/- 7 days)", ""),
        ("12 months post-transplant", ""),
        ("Week 4 post-treatment", ""),
    ],
)
def test_a_time_that_is_not_counted_from_the_start_is_known(words, offset):
    assert times(words).offset == offset


@pytest.mark.parametrize("kind", ["level", "change", "status", "span"])
@pytest.mark.parametrize("words", ["52 weeks plus 30 days", "12 months after surgery", "Week 12 of the extension"])
def test_a_time_that_is_not_counted_from_the_start_is_no_month(kind, words):
    with pytest.raises(Unread, match="not counted from the start"):
        months_of(kind, "", "HbA1c", words)
    with pytest.raises(Unread, match="not counted from the start"):
        months_of(kind, "Week 12", "HbA1c", words)


def test_serious_events_until_days_after_the_end_have_no_month():
    one = counted("Participants With SAEs", "1", "0", timeFrame="From first dose to end of study plus 30 days")
    assert [(row["timing"], row["months"], row["events"]) for row in rows(one)] == [
        ("not_stated", "", "1"),
        ("not_stated", "", "0"),
    ]
    group = {"title": "Islets", "seriousNumAffected": 2, "seriousNumAtRisk": 8}
    (row,) = rows(events={"eventGroups": [group], "timeFrame": "1 year plus 30 days"})
    assert (row["timing"], row["months"]) == ("not_stated", "")


def test_months_after_the_last_infusion_have_a_column_for_counts_alone():
    frame = "1 year after final islet transplant"
    (row, _) = rows(counted("Insulin independence", "5", "2", timeFrame=frame))
    assert (row["months"], row["time_origin"]) == ("12", "last_infusion")
    assert "not counted from the start" in reasons(outcome("HbA1c", timeFrame=frame)).pop()


@pytest.mark.parametrize(
    ("frame", "months"),
    [
        ("Week 0, week 26", "6"),
        ("Day 1 and Week 24", "5.5"),
        ("Baseline and 0.5 years", "6"),
        ("Baseline and .5 years", "6"),
        ("Baseline, half a year", "6"),
        ("Baseline to end of treatment (week 26)", "6"),
        ("Baseline (Week 0) and Week 26/EOT", "6"),
    ],
)
def test_the_later_of_two_times_is_that_of_a_change(frame, months):
    assert months_of("change", "", "Change in HbA1c", frame)[0] == months


@pytest.mark.parametrize(
    ("kind", "frame"),
    [
        ("change", "Week 0, End of treatment"),
        ("change", "Baseline, Week 12 and end of treatment"),
        ("change", "Week 0"),
        ("level", "Day 1 and Week 24"),
        ("level", "Week 24, end of study"),
    ],
)
def test_two_times_or_none_are_not_one(kind, frame):
    with pytest.raises(Unread, match="time"):
        months_of(kind, "", "HbA1c", frame)


def test_week_0_among_the_classes_is_the_baseline():
    classes = [*with_class("Week 0", "8.1", "8.0", spread="1"), *with_class("Week 26", "7.1", "7.9", spread="1")]
    found = rows(outcome("HbA1c", classes, timeFrame="Week 0, Week 26"))
    assert [one["months"] for one in found] == ["0", "0", "6", "6"]
    (reason,) = reasons(outcome("Change in HbA1c", classes, timeFrame="Week 0, Week 26"))
    assert reason == "the title mentions a change, a class the baseline itself"


def test_a_title_of_the_baseline_under_a_later_time_frame_is_refused():
    assert "the title names the baseline" in reasons(outcome("HbA1c at Baseline", timeFrame="52 weeks")).pop()


@pytest.mark.parametrize("name", ["Week 52 (n=20, n=18)", "Week 52 (N = 20; 18)", "Week 52 (n=20/18)"])
def test_numbers_of_patients_in_a_class_are_read_in_any_form(name):
    assert [one["n"] for one in rows(outcome("HbA1c", with_class(name, "7", "8", spread="1")))] == ["20", "18"]
    other = name.replace("18", "19")
    found = posted(study(outcome("HbA1c", with_class(other, "7", "8", spread="1"))))
    assert len(found.rows) == 1 and found.refused[0].reason.startswith("n: the denominator says 18, the class title")


# Nothing is dropped.

#: Titles of an outcome, of a class and of a category, and how many of two measurements are rows.
EVERYTHING = {
    ("HbA1c at Week 52", "", ""): 2,
    ("HbA1c", "Week 26", ""): 2,
    ("HbA1c", "Males", ""): 0,
    ("Glycohemoglobin at Week 52", "", ""): 2,
    ("HgbA1c at Week 52", "", ""): 2,
    ("Serious, Unexpected Adverse Drug Reactions", "", ""): 0,
    ("Adverse Events", "Serious", ""): 0,
    ("Safety", "Events", "serious"): 0,
    ("Safety", "", "SAEs, related"): 0,
    ("Connecting peptide", "", ""): 0,
    ("Units of insulin", "", ""): 0,
    ("Patients without insulin", "", ""): 0,
}


@pytest.mark.parametrize("titles", EVERYTHING)
def test_every_measurement_is_a_row_or_a_refusal(titles):
    title, class_title, category = titles
    classes = with_class(class_title, "7.1", "8.2", spread="1")
    classes[0]["categories"][0]["title"] = category
    found = posted(study(outcome(title, classes)))
    assert len(found.rows) == EVERYTHING[titles]
    told = [row.pointer for row in found.rows] + [one.pointer for one in found.refused]
    place = f"{OUTCOMES}/0/classes/0/categories/0/measurements"
    assert all(sum(f"{place}/{m}".startswith(one) for one in told) == 1 for m in range(2))


def test_an_outcome_that_its_description_alone_names_is_refused():
    one = counted("Safety and tolerability", "5", description="Participants with serious adverse events.")
    assert reasons(one) == {"only the description names the outcome"}


def test_characteristics_at_entry_are_named():
    record = study(outcome())
    measures = [{"title": "HbA1c"}, {"title": "Age"}]
    record["resultsSection"]["baselineCharacteristicsModule"] = {"measures": measures, "denoms": counts("20", "18")}
    found = posted(record)
    assert [(one.title, one.reason) for one in found.refused] == [
        ("HbA1c", "a characteristic at entry, not a posted outcome")
    ]
    assert len(found.rows) == 2


def test_every_recorded_measurement_of_a_topic_is_accounted_for(shared):
    """Looked for by plain words in all titles, apart from the patterns of the package; the counts are those seen."""
    found = {name: posted(one) for name, one in recorded(shared).items()}
    lost = []
    for name, record in recorded(shared).items():
        told = [one.pointer for one in (*found[name].rows, *found[name].refused)]
        for place, titles in measured_places(record):
            if LOOKED_FOR.search(titles) and sum(place == one or place.startswith(f"{one}/") for one in told) != 1:
                lost.append((name, place))
    assert lost == []
    assert sum(len(one.rows) for one in found.values()) == 350
    assert sum(len(one.refused) for one in found.values()) == 324


LOOKED_FOR = re.compile(
    r"a1c|glycated h|glycosylated h|\bc-?\s?peptide|(?<!non-)serious|\bsaes?\b|insulin (?:dose|requirement|independ)"
    r"|daily insulin",
    re.IGNORECASE,
)


def measured_places(record):
    """Pointer of each posted measurement, and all titles that stand above it."""
    outcomes = record.get("resultsSection", {}).get("outcomeMeasuresModule", {}).get("outcomeMeasures", [])
    for o, one in enumerate(outcomes):
        classes = one.get("classes", [])
        every = [one.get("title", ""), *(c.get("title", "") for c in classes)]
        every += [k.get("title", "") for c in classes for k in c.get("categories", [])]
        for c, a_class in enumerate(classes):
            for k, category in enumerate(a_class.get("categories", [])):
                for m in range(len(category.get("measurements", []))):
                    yield f"{OUTCOMES}/{o}/classes/{c}/categories/{k}/measurements/{m}", " | ".join(every)
