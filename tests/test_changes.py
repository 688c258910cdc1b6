"""What is new: the laws of a comparison, each kind of change by hand, and what a reader is shown of hostile text."""

from __future__ import annotations

import copy
import csv
import io
import json
import re
import shutil
from dataclasses import replace
from pathlib import Path

import pytest
from click.testing import CliRunner
from hypothesis import given
from hypothesis import strategies as st

from cellclaims.cli import main
from cellclaims.errors import SourceError
from cellclaims.evidence import load as load_evidence
from cellclaims.files import unguard
from cellclaims.registries import Store
from cellclaims.registries.answers import visible
from cellclaims.registries.changes import (
    KINDS,
    NOTICE_KINDS,
    NoticeState,
    PaperState,
    State,
    TrialState,
    compare,
    difference,
    first_sight,
    known_registrations,
    known_sources,
    leaves,
    parts_of,
    state_of,
)
from cellclaims.registries.records import numbers_in, registry_trials
from cellclaims.registries.store import NONE
from cellclaims.reporting.registries import COLUMNS, MOST_REFUSED, lines_csv, registry_news, snapshot_words

from .made_up_registry import EARLY, LATE, kept, outcome, results, study, two_snapshots

DATA = Path(__file__).resolve().parent.parent / "data"


@pytest.fixture(scope="module")
def evidence():
    return load_evidence(DATA)


# --- laws -----------------------------------------------------------------------------------------------------------

NUMBERS = [f"NCT0000000{digit}" for digit in range(4)]
WORDS = st.sampled_from(["a", "b", "c"])
PARTS = st.dictionaries(WORDS, st.dictionaries(WORDS, WORDS | st.lists(WORDS, max_size=2), max_size=2), max_size=2)
TRIALS = st.builds(
    TrialState,
    number=st.just(""),
    source=st.sampled_from(["ctgov", "ictrp"]),
    title=WORDS,
    address=st.just("https://host"),
    facts=st.dictionaries(st.sampled_from(["status", "start", "enrolment"]), WORDS),
    has_results=st.sampled_from([None, False, True]),
    results=PARTS,
)
PAPERS = st.builds(
    PaperState,
    ids=st.lists(st.sampled_from(["pmid:1", "pmid:2", "doi:1", "doi:2"]), min_size=1, unique=True).map(tuple),
    title=WORDS,
    address=st.just("https://host"),
    date=st.just("2020"),
    registrations=st.lists(st.sampled_from([*NUMBERS, "NCT00000009"]), max_size=2, unique=True).map(tuple),
)


NOTICES = st.builds(
    NoticeState,
    kind=st.sampled_from(NOTICE_KINDS),
    ids=st.lists(st.sampled_from(["pmid:1", "pmid:2", "doi:1", "doi:2"]), min_size=1, unique=True).map(tuple),
    title=WORDS,
    by=st.sampled_from(["", "pmid:9"]),
)
SOURCES = {"pmid:1": ("one2020",), "doi:2": ("two2021", "three2022")}


@st.composite
def states(draw):
    found = draw(st.dictionaries(st.sampled_from(NUMBERS), TRIALS, max_size=4))
    named = {number: replace(trial, number=number) for number, trial in found.items()}
    notices = tuple(draw(st.lists(NOTICES, max_size=3)))
    return State("20261120T101500Z", "", named, tuple(draw(st.lists(PAPERS, max_size=3))), notices=notices)


@given(states())
def test_nothing_changed_between_a_state_and_itself(state):
    assert compare(state, state).lines == ()
    assert compare(state, copy.deepcopy(state)).lines == ()


@given(states(), states())
def test_a_comparison_seen_from_the_other_side_is_its_mirror(old, new):
    forth, back = compare(old, new, (), SOURCES), compare(new, old, (), SOURCES)
    bare = {replace(line, title="", address="") for line in forth.lines}
    assert {replace(line.mirrored(), title="", address="") for line in back.lines} == bare
    assert len(forth.lines) == len(back.lines)


@given(states(), states())
def test_what_stands_in_one_state_only_is_told_and_nothing_else_is_called_new(old, new):
    changes = compare(old, new)
    assert {line.number for line in changes.of("new trial")} == new.trials.keys() - old.trials.keys()
    assert {line.number for line in changes.of("trial gone")} == old.trials.keys() - new.trials.keys()
    posted = {n for n in old.trials.keys() & new.trials.keys() if old.trials[n].source == new.trials[n].source
              and (old.trials[n].has_results, new.trials[n].has_results) == (False, True)}  # fmt: skip
    assert {line.number for line in changes.of("results posted")} == posted
    assert sum(changes.counts.values()) <= len(changes.lines)
    assert [line.kind for line in changes.lines] == sorted((x.kind for x in changes.lines), key=[*KINDS].index)


@given(PARTS, PARTS)
def test_two_parts_differ_where_their_values_do(one, other):
    same = dict(leaves(one)) == dict(leaves(other))
    assert any(difference(one, other)) != same
    assert difference(one, other) == difference(other, one)[::-1]


STARTS = st.sampled_from(["", "=", "@", "-", "+1", "'", "'=", "\t", "\u202e", "\x1b["])
TEXTS = st.builds(str.__add__, STARTS, st.text(max_size=20))


@given(st.lists(TEXTS, min_size=len(COLUMNS), max_size=len(COLUMNS)))
def test_lines_as_csv_start_no_formula_and_give_every_text_back(cells):
    header, *lines = csv.reader(io.StringIO(lines_csv([dict(zip(COLUMNS, cells, strict=True))]), newline=""))
    assert tuple(header) == COLUMNS
    assert [[unguard(cell) for cell in line] for line in lines] == [cells]
    assert not any(cell.startswith(("=", "@", "\t", "\r")) for cell in lines[0])


@given(TEXTS)
def test_what_is_shown_has_no_control_and_no_direction_and_fits_a_line(text):
    shown = visible(text)
    assert not set(shown) & {chr(code) for code in (*range(32), 127, 0x200E, 0x202E, 0x2028, 0x2066, 0xFEFF)}
    shown.encode()


# --- each kind by hand ----------------------------------------------------------------------------------------------


def state(*studies, papers=(), name=LATE):
    """The state of made-up studies."""
    found = [one for content in studies for one in registry_trials(None, json.dumps(content).encode())]
    from cellclaims.registries.changes import trial_state

    return State(name, "", {one.number: trial_state(one) for one in found}, tuple(papers))


def told(old, new, known=()):
    """Changes as (kind, what, before, after)."""
    return [(x.kind, x.what, x.before, x.after) for x in compare(old, new, known).lines]


POSTED = study(status="COMPLETED", resultsSection=results(outcome(), adverseEventsModule={"timeFrame": "1 year"}))


def test_a_new_trial_says_its_state():
    (line,) = compare(state(), state(POSTED)).lines
    assert (line.kind, line.number) == ("new trial", "NCT01234567")
    assert (line.before, line.after) == ("", "completed, start 2013-02, results posted")
    assert line.address == "https://clinicaltrials.gov/study/NCT01234567"


def test_status_and_results_that_appear_are_two_changes_of_one_trial():
    changes = compare(state(study()), state(POSTED))
    assert [(line.kind, line.before, line.after) for line in changes.lines] == [
        ("results posted", "none", "2 parts"),
        ("status changed", "recruiting", "completed"),
    ]
    assert changes.counts == {"results posted": 1, "status changed": 1}


def test_a_changed_value_is_named_by_outcome_time_and_group():
    new = study(
        status="COMPLETED", resultsSection=results(outcome(value="6.9"), adverseEventsModule={"timeFrame": "1 year"})
    )
    assert told(state(POSTED), state(new)) == [
        ("results changed", "HbA1c (52 weeks)", "Week 52, Islets: 7.1", "Week 52, Islets: 6.9")
    ]


def test_an_outcome_that_is_added_and_a_module_that_changed_are_named():
    new = study(resultsSection=results(outcome(), outcome("C-peptide"), adverseEventsModule={"timeFrame": "2 years"}))
    assert told(state(study(resultsSection=POSTED["resultsSection"])), state(new)) == [
        ("results changed", "C-peptide (52 weeks)", "not there", "7 entries"),
        ("results changed", "adverse events", "timeFrame: 1 year", "timeFrame: 2 years"),
    ]


def test_results_sent_again_in_another_order_or_with_another_date_are_no_change_of_results():
    new = copy.deepcopy(POSTED)
    new["resultsSection"] = dict(reversed(new["resultsSection"].items()))
    new["protocolSection"]["statusModule"]["resultsFirstPostDateStruct"] = {"date": "2026-01-02"}
    old = copy.deepcopy(POSTED)
    old["protocolSection"]["statusModule"]["resultsFirstPostDateStruct"] = {"date": "2026-01-01"}
    assert told(state(old), state(new)) == [("facts changed", "results posted on", "2026-01-01", "2026-01-02")]


def test_results_that_disappear_are_told_although_the_day_of_their_posting_stays():
    new = copy.deepcopy(POSTED)
    del new["resultsSection"]
    new["hasResults"] = False
    for one in (old := copy.deepcopy(POSTED), new):
        one["protocolSection"]["statusModule"]["resultsFirstPostDateStruct"] = {"date": "2020-01-01"}
    assert told(state(old), state(new)) == [("results withdrawn", "posted results", "2020-01-01; 2 parts", "none")]


def shuffled(part, renumber):
    """The same content: every list turned round, and groups with other numbers."""
    if isinstance(part, dict):
        return {key: shuffled(value, renumber) for key, value in reversed(part.items())}
    if isinstance(part, list):
        return [shuffled(one, renumber) for one in reversed(part)]
    return renumber.get(part, part) if isinstance(part, str) else part


def test_measurements_in_another_order_and_groups_renumbered_are_no_change():
    flow = {
        "groups": [{"id": "FG000", "title": "Islets"}, {"id": "FG001", "title": "Insulin"}],
        "periods": [{"title": "Overall", "milestones": [
            {"type": "STARTED", "achievements": [{"groupId": "FG000", "numSubjects": "9"}]},
            {"type": "COMPLETED", "achievements": [{"groupId": "FG001", "numSubjects": "8"}]},
        ]}],
    }  # fmt: skip
    analyses = [{"groupIds": ["OG000", "OG001"], "paramType": "Mean Difference", "paramValue": "-0.9"}]
    one = study(resultsSection=results(outcome(analyses=analyses), outcome("C-peptide"), participantFlowModule=flow))
    turned = {"OG000": "OG001", "OG001": "OG000", "FG000": "FG001", "FG001": "FG000"}
    other = study(resultsSection=shuffled(one["resultsSection"], turned))
    assert one != other
    assert told(state(one), state(other)) == []
    changed = json.loads(json.dumps(other).replace('"-0.9"', '"-0.8"').replace('"9"', '"7"'))
    assert [line[1:] for line in told(state(one), state(changed))] == [
        (
            "HbA1c (52 weeks)",
            "Mean Difference, Insulin, Islets, paramValue: -0.9",
            "Mean Difference, Insulin, Islets, paramValue: -0.8",
        ),
        ("participant flow", "Overall, STARTED, Islets, numSubjects: 9", "Overall, STARTED, Islets, numSubjects: 7"),
    ]


def test_a_figure_that_moved_to_the_other_group_is_a_change():
    swapped = json.loads(json.dumps(outcome()).replace("OG000", "X").replace("OG001", "OG000").replace("X", "OG001"))
    swapped["groups"] = outcome()["groups"]
    old, new = (study(resultsSection=results(one)) for one in (outcome(), swapped))
    ((_, _, before, after),) = told(state(old), state(new))
    assert (before, after) == (
        "Week 52, Insulin: 8.0; Week 52, Islets: 7.1",
        "Week 52, Insulin: 7.1; Week 52, Islets: 8.0",
    )


def test_two_outcomes_of_one_name_may_change_places():
    old, new = (study(resultsSection=results(*pair)) for pair in
                ((outcome(), outcome(value="6.0")), (outcome(value="6.0"), outcome())))  # fmt: skip
    assert told(state(old), state(new)) == []


def test_what_is_nested_without_end_is_compared_all_the_same():
    deep = [1]
    for _ in range(300):
        deep = [deep]
    old, new = (study(resultsSection=results(m={"a": one})) for one in (deep, [deep]))
    assert parts_of(old) == parts_of(new) == {}
    assert difference({"a": deep}, {"a": deep}) == ("", "") != difference({"a": deep}, {"a": [deep]})


def test_two_outcomes_of_one_name_are_told_apart():
    twice = {"resultsSection": results(outcome(), outcome(value="6.0"))}
    assert list(parts_of(twice)) == ["HbA1c (52 weeks)", "HbA1c (52 weeks), no. 2"]


def test_facts_are_told_in_words():
    old, new = study(), study()
    old["protocolSection"] |= {
        "designModule": {"enrollmentInfo": {"count": 40, "type": "ESTIMATED"}},
        "outcomesModule": {"primaryOutcomes": [{"measure": "HbA1c"}]},
    }
    new["protocolSection"] |= {
        "designModule": {"enrollmentInfo": {"count": 22, "type": "ACTUAL"}},
        "outcomesModule": {"primaryOutcomes": [{"measure": "C-peptide"}, {"measure": "Safety"}]},
    }
    assert told(state(old), state(new)) == [
        ("facts changed", "enrolment", "40 (estimated)", "22 (actual)"),
        ("facts changed", "primary outcome", "HbA1c", "C-peptide; Safety"),
    ]


def test_what_one_record_does_not_say_is_no_change():
    """A search that asked for few fields says neither the status nor whether results are posted."""
    bare = {"protocolSection": {"identificationModule": {"nctId": "NCT01234567"}}}
    assert told(state(POSTED), state(bare)) == told(state(bare), state(POSTED)) == []


def test_records_of_two_sources_are_not_compared():
    old = state(study())
    other = replace(old.trials["NCT01234567"], source="ictrp", facts={"status": "not recruiting"})
    assert told(old, replace(old, trials={"NCT01234567": other})) == []


def test_a_long_change_is_counted_and_a_long_value_shortened():
    old = study(resultsSection=results(outcome(description="a" * 500, **{f"key{n}": "1" for n in range(9)})))
    new = study(resultsSection=results(outcome(description="b" * 500, **{f"key{n}": "2" for n in range(9)})))
    ((_, _, before, after),) = told(state(old), state(new))
    assert before.endswith("; and 7 more") and after.endswith("; and 7 more")
    assert len(before) < 200


def paper(*ids, cites=("NCT01234567",)):
    return PaperState(ids, f"Paper {ids[0]}", "https://doi.org/10.1/a", "2026-01", cites)


def test_a_new_paper_is_told_where_it_cites_a_known_registration():
    papers = [paper("pmid:1"), paper("pmid:2", cites=("NCT00000009",)), paper("pmid:3", cites=())]
    old, new = state(study()), state(study(), papers=papers)
    assert [(x.kind, x.number, x.after) for x in compare(old, new).lines] == [("new paper", "NCT01234567", "2026-01")]
    assert [x.number for x in compare(old, new, {"NCT00000009"}).lines] == ["NCT00000009", "NCT01234567"]


def test_a_paper_that_got_another_identifier_is_not_new():
    old, new = state(study(), papers=[paper("doi:10.1/a")]), state(study(), papers=[paper("pmid:1", "doi:10.1/a")])
    assert told(old, new) == []


# --- from the store to the reader -----------------------------------------------------------------------------------

HOSTILE = "=cmd|' /C calc'!A0 \u202e%39 <script>alert(1)</script> \x1b[31m"


def hostile():
    """A trial whose title, status and number of the page are what nobody wants on a screen."""
    one = study(status="=1+1")
    one["protocolSection"]["identificationModule"]["briefTitle"] = HOSTILE
    return one


@pytest.fixture
def store(tmp_path):
    """Two snapshots: a trial appears with a hostile title, another posts results, one answer is no study."""
    first = study("NCT00014911")
    later = study("NCT00014911", "COMPLETED", resultsSection=results(outcome()))
    return two_snapshots(
        tmp_path / "registry",
        [("ctgov", first)],
        [("ctgov", {"studies": [later, hostile()]}), ("ctgov", {"error": HOSTILE})],
    )


def run(store, *arguments):
    done = CliRunner().invoke(main, ["changes", "--registry", str(store.folder), "--data", str(DATA), *arguments])
    return done.exit_code, done.output


def test_the_command_tells_of_the_last_two_snapshots(store):
    status, output = run(store)
    assert status == 0
    assert f"From snapshot {EARLY} to {LATE}: new trials: 1; trials with newly posted results: 1;" in output
    assert "1 answer or record could not be read." in output
    assert "\x1b" not in output and "\u202e" not in output
    assert "<U+202E>" in output


def test_csv_starts_no_formula_and_gives_every_text_back(store):
    status, output = run(store, "--format", "csv")
    header, *lines = csv.reader(io.StringIO(output))
    assert (status, tuple(header)) == (0, COLUMNS)
    assert not any(cell.startswith(("=", "+", "@", "\t", "\r")) for line in lines for cell in line)
    titles = {unguard(line[header.index("title")]) for line in lines}
    assert HOSTILE in titles


def test_half_a_character_is_shown_and_written_as_its_code_point(tmp_path):
    half = study()
    half["protocolSection"]["identificationModule"]["briefTitle"] = "half \ud83d of one"
    store = two_snapshots(tmp_path, [], [("ctgov", half)])
    for kind in ("table", "csv", "html"):
        status, output = run(store, "--format", kind)
        assert status == 0 and "U+D83D" in output, kind


def test_json_holds_the_texts_as_they_stand(store):
    status, output = run(store, "--format", "json")
    content = json.loads(output)
    assert status == 0
    assert HOSTILE in {line["title"] for line in content["lines"]}
    assert "\u202e" not in output and "\x1b" not in output


def test_the_page_is_one_file_that_runs_and_asks_for_nothing(store):
    status, output = run(store, "--format", "html")
    assert status == 0
    assert "<script" not in output and "&lt;script&gt;" in output
    assert "\u202e" not in output and "\x1b" not in output
    assert "default-src 'none'" in output
    assert 'href="https://clinicaltrials.gov/study/NCT00014911"' in output
    known = ("https://clinicaltrials.gov/study/", "https://host/1", "http-equiv")
    assert "http" not in re.sub("|".join(known), "", output)


def test_an_address_that_is_none_is_no_link(store, evidence):
    export = b"<T><Trial><TrialID>X-1</TrialID><web_address>javascript:alert(1)</web_address></Trial></T>"
    store.add(kept(store, "20261121T101500Z", ("ictrp", export)))
    shown = "".join(table._repr_html_() for table in registry_news(evidence, registry=store.folder).tables)
    assert "X-1" in shown and "javascript" not in shown


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--since", "20200101T000000Z"], f"expected one of the snapshots {EARLY}, {LATE}"),
        (["--since", LATE, "--until", EARLY], f"not later than {EARLY}; found {LATE}"),
        (["--until", "yesterday"], f"expected one of the snapshots {EARLY}, {LATE}"),
    ],
)
def test_a_snapshot_that_is_not_there_is_refused_with_the_names(store, arguments, message):
    status, output = run(store, *arguments)
    assert status == 2
    assert message in output


def test_without_a_snapshot_the_command_says_what_to_do(tmp_path):
    status, output = run(Store(tmp_path))
    assert status == 2
    assert "found none: run `cellclaims pull`" in output


def test_two_snapshots_of_choice_are_compared(store, evidence):
    store.add(kept(store, "20261121T101500Z", ("ctgov", study("NCT00014911"))))
    back = registry_news(evidence, since=EARLY, registry=store.folder)
    assert back.lines == ()
    assert back.sentence == f"From snapshot {EARLY} to 20261121T101500Z nothing changed."
    assert {line["kind"] for line in registry_news(evidence, until=LATE, registry=store.folder).lines} == {
        "new trial",
        "results posted",
        "status changed",
    }


def test_what_cannot_be_read_is_counted_beyond_the_first(tmp_path, evidence):
    bad = [("ctgov", {"error": str(number)}) for number in range(MOST_REFUSED + 5)]
    store = two_snapshots(tmp_path, [], bad)
    *_, last = registry_news(evidence, registry=store.folder).tables
    assert len(last.cells) == MOST_REFUSED + 1
    assert last.cells[-1] == ("and 5 more",)


# --- records of one trial that contradict each other ----------------------------------------------------------------


def test_records_of_one_trial_that_contradict_each_other_are_told(tmp_path, evidence):
    one = study("NCT00014911", resultsSection=results(outcome()))
    other = study("NCT00014911", "COMPLETED", resultsSection=results(outcome(value="9.9")))
    store = two_snapshots(tmp_path, [("ctgov", one)], [("ctgov", one), ("ctgov", {"studies": [one, other]})])
    news = registry_news(evidence, registry=store.folder)
    assert "nothing changed" in news.sentence
    assert "1 trial comes in records that contradict each other." in news.sentence
    assert [line["kind"] for line in news.lines] == ["records contradict"] * 2
    (table,) = news.tables
    assert {tuple(map(str, row[2:])) for row in table.cells} == {
        ("status", "recruiting", "completed", "https://host/1"),
        ("HbA1c (52 weeks)", "Week 52, Islets: 7.1", "Week 52, Islets: 9.9", "https://host/1"),
    }
    store.add(kept(store, "20261121T101500Z", ("ctgov", one), ("ctgov", {"studies": [one]})))
    assert registry_news(evidence, registry=store.folder).tables == ()


# --- retractions, corrections, expressions of concern ---------------------------------------------------------------


def crossref_work(doi, title="Islets", **more):
    return {"status": "ok", "message-type": "work", "message": {"DOI": doi, "title": [title], **more}}


def updated(kind, doi="10.1000/notice"):
    return [{"type": kind, "DOI": doi, "updated": {"date-parts": [[2026, 1, 2]]}}]


def pubmed_article(pmid, doi="", types=(), links=()):
    """A record of PubMed with types of publication and links ``(RefType, PMID)``."""
    said = "".join(f"<PublicationType>{one}</PublicationType>" for one in types)
    linked = "".join(f'<CommentsCorrections RefType="{a}"><PMID>{b}</PMID></CommentsCorrections>' for a, b in links)
    ids = f'<ArticleId IdType="doi">{doi}</ArticleId>' if doi else ""
    return (
        "<PubmedArticleSet><PubmedArticle><MedlineCitation>"
        f"<PMID>{pmid}</PMID><Article><ArticleTitle>Islets {pmid}</ArticleTitle>"
        f"<PublicationTypeList>{said}</PublicationTypeList></Article>"
        f"<CommentsCorrectionsList>{linked}</CommentsCorrectionsList></MedlineCitation>"
        f"<PubmedData><ArticleIdList>{ids}</ArticleIdList></PubmedData></PubmedArticle></PubmedArticleSet>"
    ).encode()


def europepmc_paper(pmid, types=(), links=()):
    listed = [{"id": number, "type": kind} for kind, number in links]
    one = {"id": pmid, "source": "MED", "pmid": pmid, "title": "Islets", "pubTypeList": {"pubType": list(types)}}
    return {"resultList": {"result": [one | {"commentCorrectionList": {"commentCorrection": listed}}]}}


def summaries(uid, types, references=()):
    linked = [{"reftype": kind, "pmid": number} for kind, number in references]
    one = {"uid": uid, "title": "Islets", "pubtype": list(types), "references": linked}
    return {"header": {}, "result": {"uids": [uid], uid: one}}


#: What a source answers -> kind and publication of the notice that it names.
NOTICED = {
    "crossref retraction": ("crossref", crossref_work("10.1000/a", **{"updated-by": updated("retraction")}),
                            ("retraction", ("doi:10.1000/a",))),
    "crossref withdrawal": ("crossref", crossref_work("10.1000/a", **{"updated-by": updated("withdrawal")}),
                            ("retraction", ("doi:10.1000/a",))),
    "crossref corrigendum": ("crossref", crossref_work("10.1000/a", **{"updated-by": updated("corrigendum")}),
                             ("correction", ("doi:10.1000/a",))),
    "crossref concern": ("crossref", crossref_work("10.1000/a", **{"updated-by": updated("expression_of_concern")}),
                         ("expression of concern", ("doi:10.1000/a",))),
    "crossref notice": ("crossref", crossref_work("10.1000/n", "Retraction of",
                                                  **{"update-to": updated("retraction", "10.1000/A")}),
                        ("retraction", ("doi:10.1000/a",))),
    "crossref title": ("crossref", crossref_work("10.1000/a", "RETRACTED: Islets"), ("retraction", ("doi:10.1000/a",))),
    "pubmed type": ("pubmed", pubmed_article("7", types=["Journal Article", "Retracted Publication"]),
                    ("retraction", ("pmid:7",))),
    "pubmed link": ("pubmed", pubmed_article("7", links=[("CommentIn", "8"), ("ErratumIn", "9")]),
                    ("correction", ("pmid:7",))),
    "pubmed notice": ("pubmed", pubmed_article("9", types=["Retraction Notice"], links=[("RetractionOf", "7")]),
                      ("retraction", ("pmid:7",))),
    "pubmed concern": ("pubmed", pubmed_article("7", links=[("ExpressionOfConcernIn", "9")]),
                       ("expression of concern", ("pmid:7",))),
    "pubmed summary": ("pubmed", summaries("7", ["Retracted Publication"]), ("retraction", ("pmid:7",))),
    "pubmed summary link": ("pubmed", summaries("7", [], [("Erratum in", "9")]), ("correction", ("pmid:7",))),
    "europepmc type": ("europepmc", europepmc_paper("7", ["retracted publication"]), ("retraction", ("pmid:7",))),
    "europepmc link": ("europepmc", europepmc_paper("7", links=[("Erratum in", "9")]), ("correction", ("pmid:7",))),
}  # fmt: skip


@pytest.mark.parametrize("what", NOTICED)
def test_a_notice_is_read_in_the_words_of_its_source(tmp_path, what):
    source, content, expected = NOTICED[what]
    store = Store(tmp_path)
    found = state_of(store, kept(store, LATE, (source, content)))
    assert found.refused == ()
    assert [(one.kind, one.ids) for one in found.notices] == [expected]


@pytest.mark.parametrize(
    ("source", "content"),
    [
        ("crossref", crossref_work("10.1000/a", **{"updated-by": updated("new_version")})),
        ("crossref", crossref_work("10.1000/a", "Retracted sutures: a trial")),
        ("pubmed", pubmed_article("7", types=["Journal Article"], links=[("CommentIn", "8"), ("Cites", "9")])),
        ("europepmc", europepmc_paper("7", ["research-article"], [("Comment in", "9")])),
    ],
)
def test_what_is_no_notice_is_none(tmp_path, source, content):
    store = Store(tmp_path)
    assert state_of(store, kept(store, LATE, (source, content))).notices == ()


def test_what_several_sources_say_of_one_retraction_is_one_notice(tmp_path):
    store = Store(tmp_path)
    work = crossref_work("10.1000/a", **{"updated-by": updated("retraction")})
    article = pubmed_article("7", "10.1000/A", ["Retracted Publication"], [("RetractionIn", "9")])
    (one,) = state_of(store, kept(store, LATE, ("pubmed", article), ("crossref", work))).notices
    assert set(one.ids) == {"doi:10.1000/a", "pmid:7"}
    assert (one.by, one.date) == ("pmid:9", "2026-01-02")


@pytest.fixture
def retracted(tmp_path, evidence):
    """Two snapshots: a source of the review is retracted, another publication is corrected."""
    doi = next(doi for doi in evidence.studies.doi if isinstance(doi, str) and doi)
    other = crossref_work("10.1000/other", **{"updated-by": updated("retraction")})
    old = [("crossref", crossref_work(doi))]
    new = [("crossref", crossref_work(doi, **{"updated-by": updated("retraction")})), ("crossref", other)]
    return two_snapshots(tmp_path / "registry", old, new), doi


def test_a_retracted_source_of_the_review_is_told_first(retracted, evidence):
    store, doi = retracted
    study_id = evidence.studies.study_id[evidence.studies.doi == doi].iloc[0]
    news = registry_news(evidence, registry=store.folder)
    first, second = news.lines
    assert (first["kind"], first["number"], first["after"]) == (
        "retraction",
        f"doi:{doi.lower()}",
        "retraction, 2026-01-02, doi:10.1000/notice",
    )
    assert first["what"].startswith(f"source of the review: {study_id}")
    assert (second["number"], second["what"]) == ("doi:10.1000/other", "not a source of the review")
    assert f"Sources of this review: {study_id}" in news.sentence
    assert news.tables[0].caption == "Retracted publications"
    status, output = run(store)
    assert status == 0 and "publications retracted: 2" in output


def test_a_single_snapshot_names_the_sources_that_are_retracted(retracted, evidence):
    store, doi = retracted
    alone = Store(store.folder.parent / "alone")
    body = store.body(store.snapshot().answers[0])
    alone.add(kept(alone, LATE, ("crossref", body)))
    news = registry_news(evidence, registry=alone.folder)
    assert "Sources of this review with a notice: " in news.sentence
    assert news.lines[0]["number"] == f"doi:{doi.lower()}"


def test_a_retraction_that_is_taken_back_is_told(retracted, evidence):
    store, _ = retracted
    store.add(kept(store, "20261121T101500Z", ("crossref", crossref_work("10.1000/other"))))
    kinds = [line["kind"] for line in registry_news(evidence, registry=store.folder).lines]
    assert kinds == ["retraction gone", "retraction gone"]


@pytest.fixture
def copied(tmp_path, monkeypatch):
    """A copy of the tables without any snapshot; the check without its second reader, which takes a second."""
    monkeypatch.setattr("cellclaims.evidence.check._by_frictionless", lambda folder: [])
    return shutil.copytree(DATA, tmp_path / "data", ignore=shutil.ignore_patterns("registry"))


def test_the_check_lists_retracted_sources_and_is_quiet_without_a_snapshot(copied, evidence):
    def checked():
        return CliRunner().invoke(main, ["check", "--data", str(copied)]).output

    assert "retract" not in checked()
    doi = next(doi for doi in evidence.studies.doi if isinstance(doi, str) and doi)
    works = [crossref_work(doi, **{"updated-by": updated(kind)}) for kind in ("correction", "retraction")]
    store = Store(copied / "registry")
    store.add(kept(store, EARLY, ("crossref", works[0])))
    assert "retract" not in checked()
    store.add(kept(store, LATE, ("crossref", works[1])))
    said = checked()
    assert f"Sources that are known to be retracted (snapshot {LATE} of 2026-11-20):" in said
    assert f"https://doi.org/{doi.lower()}" in said


def test_sources_are_known_by_every_identifier_of_the_tables(evidence):
    known = known_sources(evidence)
    for row in evidence.studies.itertuples():
        assert not row.doi or row.study_id in known[f"doi:{row.doi.lower()}"]
        assert not row.pmid or row.study_id in known[f"pmid:{row.pmid}"]
    assert any(names and not set(names) & set(evidence.studies.study_id) for names in known.values())


# --- a single snapshot ----------------------------------------------------------------------------------------------


def test_known_registrations_are_those_of_the_tables(evidence):
    known = known_registrations(evidence)
    assert {number for cell in evidence.studies.registry_id for number in known if number in cell} <= known.keys()
    assert known["NCT00315133"].reports == ("couri2009", "voltarelli2007")
    assert (known["NCT00679042"].reports, known["NCT00679042"].posted) == (("lantidra2023",), "")
    named = {number for cell in evidence.studies.registry_id for number in numbers_in(cell)}
    unreported = [
        row for row in evidence.registrations.itertuples() if row.registry_id not in named and not row.study_id
    ]
    assert unreported
    for row in unreported:
        assert (known[row.registry_id].reports, known[row.registry_id].posted) == ((), row.results_posted)
    assert list(known) == sorted(known)


def test_a_single_snapshot_is_set_beside_what_the_review_knows(tmp_path, evidence):
    store = Store(tmp_path)
    studies = [study("NCT00690066", "COMPLETED", resultsSection=results(outcome())), study("NCT99999999")]
    europe = {"resultList": {"result": [{"id": "1", "pmid": "1", "title": "A", "abstractText": "NCT00434811"}]}}
    store.add(kept(store, LATE, ("ctgov", {"studies": studies}), ("europepmc", europe)))
    news = registry_news(evidence, registry=store.folder)
    known = known_registrations(evidence)
    assert f"contains 1 of {len(known)} known registrations, 1 of them with news" in news.sentence
    kinds = [line["kind"] for line in news.lines]
    assert kinds.count("known trial not found") == len(known) - 1
    first, *_, unknown, published = news.lines
    assert (first["number"], first["after"]) == (
        "NCT00690066",
        "results posted, none when it was looked up on 2021-12-23",
    )
    assert (unknown["number"], published["number"]) == ("NCT99999999", "NCT00434811")


def test_a_known_trial_is_found_under_the_number_of_another_register(evidence):
    known = known_registrations(evidence)
    number = "IRCT2016070428786N1"
    export = state_of_export(f"<T><Trial><TrialID>{number}-x</TrialID></Trial></T>")
    assert [one.number for one, _ in first_sight(export, known).found] == [number]


def state_of_export(text):
    from cellclaims.registries.changes import trial_state
    from cellclaims.registries.records import export_trials

    class AnyAnswer:
        time = ""

    found = list(export_trials(AnyAnswer(), text.encode()))
    return State(LATE, "", {one.number: trial_state(one) for one in found})


# --- which snapshot a report stands beside --------------------------------------------------------------------------


def test_a_report_names_its_snapshot_or_says_that_there_is_none(tmp_path, store):
    assert snapshot_words(tmp_path) == f"Registries: snapshot {LATE} of 2026-11-20."
    assert snapshot_words(tmp_path, EARLY) == f"Registries: snapshot {EARLY} of 2026-05-20."
    assert snapshot_words(tmp_path / "elsewhere") == f"Registries: {NONE}."
    with pytest.raises(SourceError, match=f"expected one of the snapshots {EARLY}, {LATE}; found '2025'"):
        snapshot_words(tmp_path, "2025")


# --- recorded answers -----------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def recorded(shared, tmp_path_factory):
    """A snapshot of six recorded studies and the recorded article that cites one more, with its store."""
    folder = shared / "registry"
    names = ["NCT00736879", "NCT01790594", "NCT04939077", "NCT02247427", "NCT02979587", "NCT03630471.aact"]
    bodies = [("ctgov", (folder / "ctgov-v2" / f"{name}.json").read_bytes()) for name in names]
    store = Store(tmp_path_factory.mktemp("recorded"))
    return store, kept(store, LATE, *bodies, ("pubmed", (folder / "eutils" / "pubmed-29768149.xml").read_bytes()))


def test_a_recorded_state_taken_back_shows_what_was_taken(recorded):
    store, snapshot = recorded
    new = state_of(store, snapshot)
    earlier = copy.deepcopy(dict(new.trials))
    posted = earlier.pop("NCT02979587"), earlier["NCT00736879"]
    earlier["NCT00736879"] = replace(posted[1], has_results=False, results={}, facts={"status": "recruiting"})
    changed = next(part for name, part in earlier["NCT01790594"].results.items() if name.startswith("HbA1c"))
    changed["classes"][0]["categories"][0]["measurements"][0]["value"] = "9.9"
    changes = compare(State(EARLY, "", earlier), new, {"NCT02149199"})
    assert changes.counts == {
        "new trial": 1, "results posted": 1, "results changed": 1, "status changed": 1, "new paper": 1,
    }  # fmt: skip
    (line,) = changes.of("results changed")
    assert line.before.startswith("Baseline, ") and line.before.endswith(": 9.9")
    assert compare(new, state_of(store, snapshot)).lines == ()
