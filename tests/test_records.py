"""Trials and papers out of stored answers: every source, every oddity that was met, nothing silently dropped."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cellclaims.errors import SourceError
from cellclaims.registries import Answer, Store
from cellclaims.registries.answers import iso
from cellclaims.registries.records import (
    FORMS,
    Paper,
    crossref,
    europepmc,
    export_trials,
    keys_of,
    numbers_in,
    papers,
    pubmed,
    registry_trials,
    studies_in,
    together,
    trials,
)

from .made_up_registry import kept, study

NAME, TIME = "20261120T101500Z", "2026-11-20T10:15:00Z"


@pytest.fixture
def pulled(tmp_path):
    """A call that stores bodies, ``(source, content)`` or ``(source, content, status)``, as one snapshot."""

    def make(*bodies):
        store = Store(tmp_path)
        return store, kept(store, NAME, *bodies)

    return make


def resolved(content, pointer):
    """What stands at a JSON pointer."""
    for step in pointer.split("/")[1:]:
        content = content[int(step)] if isinstance(content, list) else content[step]
    return content


# --- trials ---------------------------------------------------------------------------------------------------------


def test_a_trial_of_a_page_and_of_its_own_answer_counts_once_the_fullest_first(pulled):
    full = study(status="COMPLETED", resultsSection={"outcomeMeasuresModule": {}})
    page = {"studies": [study("NCT00000001"), study()], "totalCount": 2}
    found = list(trials(*pulled(("ctgov", page), ("ctgov", full), ("ctgov", study()))))
    assert [(one.number, one.status, one.pointer) for one in found] == [
        ("NCT00000001", "RECRUITING", "/studies/0"),
        ("NCT01234567", "COMPLETED", ""),
    ]


def test_a_record_with_results_is_fuller_than_one_with_more_of_everything_else(pulled):
    wide = study(**{f"section{number}": {"a": 1} for number in range(9)})
    for order in ([wide, study(resultsSection={})], [study(resultsSection={}), wide]):
        (one,) = trials(*pulled(*(("ctgov", content) for content in order)))
        assert "resultsSection" in one.record


def test_a_pointer_leads_to_the_study(pulled):
    page = {"studies": [study(f"NCT0000000{number}") for number in range(3)]}
    store, snapshot = pulled(("ctgov", page))
    for one in trials(store, snapshot):
        assert resolved(json.loads(store.body(one.answer)), one.pointer) == one.record


def test_a_trial_of_the_registry_is_fuller_than_its_line_in_an_export(pulled):
    long = "".join(f"<Part{number}>text</Part{number}>" for number in range(20))
    export = f"<T><Trial><TrialID>NCT01234567</TrialID>{long}</Trial></T>".encode()
    found = list(trials(*pulled(("ictrp", export), ("ctgov", study()))))
    assert [one.source for one in found] == ["ctgov"]


def test_what_came_with_a_refusal_holds_no_trials(pulled):
    assert list(trials(*pulled(("ctgov", study(), 404)))) == []


@pytest.mark.parametrize(
    ("content", "found"),
    [
        ({"error": "no"}, "neither a study nor a page of studies: error"),
        (b"<html></html>", "expected ctgov records, found"),
        ([study()], "neither a study nor a page of studies: list"),
        (b"not json", "expected ctgov records, found"),
        (b"\xff\xfe\x00", "expected ctgov records, found"),
        ({"studies": [{"protocolSection": {}}]}, "/studies/0: expected an nctId, found none"),
        ({"studies": [7]}, "/studies/0: expected an nctId, found none"),
        (study(number=["NCT01234567"]), "study: expected an nctId, found none"),
        (b"[" * 200_000, "expected ctgov records, found"),
    ],
)
def test_what_cannot_be_read_is_an_error_or_a_sentence_and_the_rest_is_read(pulled, content, found):
    with pytest.raises(SourceError, match="https://host/0"):
        list(trials(*pulled(("ctgov", content))))
    refused = []
    good = ("ctgov", study("NCT00000009"))
    rest = list(trials(*pulled(("ctgov", content), good, ("pubmed", b"x")), refused))
    assert len(refused) == 1 and refused[0].startswith("https://host/0: ") and found in refused[0]
    assert [one.number for one in rest] == ["NCT00000009"]


BOMB = b'<!DOCTYPE a [<!ENTITY b "bb"><!ENTITY c "&b;&b;">]><clinical_study>&c;</clinical_study>'
OUTSIDE = b'<!DOCTYPE a [<!ENTITY b SYSTEM "file:///etc/hostname">]><T><Trial><TrialID>&b;</TrialID></Trial></T>'


@pytest.mark.parametrize("body", [BOMB, OUTSIDE])
@pytest.mark.parametrize("source", ["ictrp", "pubmed"])
def test_xml_with_entities_is_refused(pulled, source, body):
    refused = []
    store, snapshot = pulled((source, body))
    assert [*trials(store, snapshot, refused), *papers(store, snapshot, refused)] == []
    assert len(refused) == 1 and "Entit" in refused[0]


EXPORT = """<?xml version='1.0' encoding='UTF-8' ?>
<Trials_downloaded_from_ICTRP>
  <Trial><TrialID>ChiCTR2600122961
    </TrialID><Public_title>One&amp;#x0D;&lt;br&gt;two
    </Public_title><Date_registration3>20260420
    </Date_registration3><Date_registration>04/05/2026</Date_registration><Recruitment_Status>Not Recruiting
    </Recruitment_Status><Date_enrollement>{start}</Date_enrollement><results_date_posted>06/11/2022
    </results_date_posted><web_address>https://www.chictr.org.cn/showproj.html?proj=1</web_address></Trial>
  <Trial><Public_title>no number</Public_title></Trial>
</Trials_downloaded_from_ICTRP>"""


@pytest.mark.parametrize(
    ("start", "expected"),
    [
        ("July 15, 2026", "2026-07-15"),
        ("May 2026", "2026-05"),
        ("15/07/2026", "2026-07-15"),
        ("2026-07-15", "2026-07-15"),
        ("2026/07/15", "2026-07-15"),
        ("", ""),
        ("to be said", "to be said"),
    ],
)
def test_an_export_is_read_with_its_blanks_breaks_and_dates(pulled, start, expected):
    refused = []
    (one,) = trials(*pulled(("ictrp", EXPORT.format(start=start).encode())), refused)
    assert (one.number, one.title, one.status) == ("ChiCTR2600122961", "One\ntwo", "Not Recruiting")
    assert (one.start, one.registered, one.results_posted) == (expected, "2026-04-20", "2022-11-06")
    assert one.pointer == "/Trials_downloaded_from_ICTRP/Trial[1]"
    assert refused == ["https://host/0: /Trials_downloaded_from_ICTRP/Trial[2]: expected a TrialID, found none"]


def test_an_export_that_is_cut_off_says_so(pulled):
    refused = []
    (one,) = trials(*pulled(("ictrp", EXPORT.encode()[: EXPORT.index("  <Trial><Public")])), refused)
    assert one.number == "ChiCTR2600122961"
    assert len(refused) == 1


# --- papers ---------------------------------------------------------------------------------------------------------

EUROPE = {
    "resultList": {
        "result": [
            {"id": "1", "source": "MED", "pmid": "1", "doi": "10.1/A", "title": "On <i>islets</i>", "pubYear": "2020",
             "abstractText": "Registered as NCT 00434811."},
            {"id": "2", "source": "PPR"},
        ]
    }
}  # fmt: skip
ARTICLES = b"""<?xml version="1.0"?><!DOCTYPE PubmedArticleSet PUBLIC "-//NLM//DTD PubMedArticle//EN" "https://dtd/x.dtd">
<PubmedArticleSet><PubmedArticle><MedlineCitation><PMID>1</PMID><Article><Journal><Title>J</Title><JournalIssue><PubDate>
<MedlineDate>1998 Dec-1999 Jan</MedlineDate></PubDate></JournalIssue></Journal><ArticleTitle>On islets</ArticleTitle>
<Abstract><AbstractText Label="A">One.</AbstractText><AbstractText>ChiCTR-ONC-10000985</AbstractText></Abstract>
<DataBankList><DataBank><AccessionNumberList><AccessionNumber>NCT02149199</AccessionNumber></AccessionNumberList></DataBank>
</DataBankList></Article></MedlineCitation><PubmedData><ArticleIdList><ArticleId IdType="doi">10.1/a</ArticleId>
</ArticleIdList></PubmedData></PubmedArticle><PubmedArticle/></PubmedArticleSet>"""
SUMMARIES = {
    "result": {
        "uids": ["3"],
        "3": {"title": "Three", "pubdate": "2020 Apr 3", "articleids": [{"idtype": "doi", "value": "10.1/c"}]},
    }
}
WORK = {
    "message": {
        "DOI": "10.1/d", "title": ["Four"], "container-title": [], "issued": {"date-parts": [[2020, 4]]},
        "abstract": "<jats:p>ISRCTN 12345678</jats:p>",
        "clinical-trial-number": [{"clinical-trial-number": "nct02149199"}],
    }
}  # fmt: skip


def test_a_paper_of_two_sources_is_one_with_the_registrations_of_both(pulled):
    refused = []
    one, other = papers(*pulled(("europepmc", EUROPE), ("pubmed", ARTICLES)), refused)
    assert (one.source, one.title, one.journal, one.date, one.doi) == ("europepmc", "On islets", "J", "2020", "10.1/A")
    assert one.registrations == ("ChiCTR-ONC-10000985", "NCT00434811", "NCT02149199")
    assert (other.ids, other.title, other.address) == (("europepmc:PPR/2",), "", "")
    assert refused == ["https://host/1: /PubmedArticleSet/PubmedArticle[2]: expected a MedlineCitation, found none"]


def test_two_papers_that_a_third_joins_become_one(pulled):
    apart = [{"id": "1", "source": "MED", "pmid": "1", "title": "A"}, {"id": "x", "source": "PPR", "doi": "10.1/a"}]
    joined = {"resultList": {"result": [*apart, {"id": "1", "pmid": "1", "doi": "10.1/A", "title": "A"}]}}
    (one,) = papers(*pulled(("europepmc", joined)))
    assert one.ids == ("pmid:1", "doi:10.1/a")


def test_summaries_and_works_are_read(pulled):
    search = {"esearchresult": {"idlist": ["3"]}}
    found = list(papers(*pulled(("pubmed", search), ("pubmed", SUMMARIES), ("crossref", WORK))))
    assert [(one.title, one.date, one.doi) for one in found] == [
        ("Three", "2020-04-03", "10.1/c"),
        ("Four", "2020-04", "10.1/d"),
    ]
    assert found[1].registrations == ("ISRCTN12345678", "NCT02149199")
    assert found[1].address == "https://doi.org/10.1/d"


@pytest.mark.parametrize(
    ("source", "content", "found"),
    [
        ("europepmc", {"errMsg": "no"}, "no list of results: errMsg"),
        ("pubmed", {"error": "API rate limit exceeded"}, "neither a search nor summaries: error"),
        ("pubmed", b"<pmc-articleset/>", "neither articles nor summaries: <pmc-articleset>"),
        ("crossref", {"message": {"items": 1}}, "neither a work nor a list of works: message"),
        ("crossref", {"message": {"items": [{"title": ["No DOI"]}]}}, "/message/items/0: expected a paper"),
        ("pubmed", b"<eSummaryResult><DocSum><Id>7</Id></DocSum></eSummaryResult>", "expected a paper with a title"),
    ],
)
def test_what_holds_no_paper_is_named(pulled, source, content, found):
    refused = []
    assert list(papers(*pulled((source, content)), refused)) == []
    assert len(refused) == 1 and found in refused[0]


def paper(**ids):
    facts = {"pmid": "", "doi": "", "pmcid": "", **ids}
    answer = Answer("europepmc", "search", "https://host", {}, TIME, 200, "0" * 64, 0)
    return Paper("europepmc", "T", "", "", registrations=(), answer=answer, pointer="", **facts)


def test_together_keeps_what_the_first_has():
    one, other = paper(pmid="1", doi="10.1/a"), paper(doi="10.1/b", pmcid="PMC3")
    assert together(one, other).ids == ("pmid:1", "doi:10.1/a", "pmcid:PMC3")


# --- numbers and dates ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "number"),
    [
        ("NCT: 01234567", "NCT01234567"),
        ("nct01234567", "NCT01234567"),
        ("chictr-trc-13003526", "ChiCTR-TRC-13003526"),
        ("ChiCTR2300072200", "ChiCTR2300072200"),
        ("ISRCTN 12345678", "ISRCTN12345678"),
        ("EudraCT number: 2018-004758-39", "EUCTR2018-004758-39"),
        ("JPRN-UMIN000007004", "UMIN000007004"),
        ("JRCTS031180412", "jRCTs031180412"),
        ("CTRI/2019/01/017250", "CTRI/2019/01/017250"),
        ("IRCT2016070428786N1", "IRCT2016070428786N1"),
    ],
)
def test_a_number_is_found_as_it_is_written(text, number):
    assert numbers_in(f"(trial registration {text}).") == (number,)
    assert numbers_in(number) == (number,)


@pytest.mark.parametrize("text", ["NCT0123456", "NCT012345678", "XNCT01234567", "ChiCTR-12", "NTR of 2018", ""])
def test_what_is_no_number_is_none(text):
    assert numbers_in(text) == ()


def test_no_form_of_a_number_can_be_slow():
    for start in ("NCT", "ChiCTR", "EudraCT number", "UMIN ID", "ISRCTN"):
        assert numbers_in(f"{start}{' -' * 20_000}") == ()
    assert len({spelling for _, spelling in FORMS}) == len(FORMS)


def test_a_trial_is_known_by_its_number_whatever_else_stands_beside_it():
    assert keys_of("NCT00679042 (phase 3 UIH-002); UIH-001") == {"NCT00679042"}


@given(st.dates())
def test_a_date_in_iso_stays_and_day_first_is_read_as_such(day):
    assert iso(day.isoformat()) == iso(f"{day:%d/%m/}{day.year:04d}") == iso(day.isoformat().replace("-", ""))


@given(st.text(max_size=30))
def test_any_text_is_a_date_or_stays_as_it_stands(text):
    assert iso(text) in (text.strip(), iso(iso(text)))


# --- whatever comes, a record or a sentence -------------------------------------------------------------------------

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=12),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=6), inner, max_size=3),
    max_leaves=8,
)
SHAPES = [
    (registry_trials, study(), ["protocolSection", "identificationModule", "statusModule", "nctId", "briefTitle"]),
    (europepmc, EUROPE, ["resultList", "result", "pmid", "doi", "title", "abstractText", "journalInfo"]),
    (pubmed, SUMMARIES, ["result", "uids", "3", "title", "articleids", "value"]),
    (crossref, WORK, ["message", "title", "issued", "date-parts", "clinical-trial-number", "abstract"]),
]


def replaced(content, key, value):
    """A copy with something else under a key, wherever it stands."""
    if isinstance(content, dict):
        return {name: value if name == key else replaced(below, key, value) for name, below in content.items()}
    return [replaced(below, key, value) for below in content] if isinstance(content, list) else content


@given(data=st.data())
@pytest.mark.parametrize(("reader", "content", "keys"), SHAPES)
def test_any_value_in_any_place_gives_records_sentences_or_one_clear_error(reader, content, keys, data):
    changed = replaced(content, data.draw(st.sampled_from(keys)), data.draw(JSON))
    try:
        found = list(reader(None, json.dumps(changed).encode()))
    except ValueError as fault:
        assert str(fault)
    else:
        assert all(isinstance(one, str) or all(isinstance(n, str) for n in vars_of(one)) for one in found)


def vars_of(record):
    """The texts of a record: every field but the record itself and its answer."""
    names = ("source", "title", "number", "status", "start", "journal", "date", "pmid", "doi", "pmcid", "pointer")
    return [getattr(record, name) for name in names if hasattr(record, name)]


# --- recorded answers -----------------------------------------------------------------------------------------------


def answer_of(path: Path) -> Answer:
    return Answer("ctgov", "study", path.name, {}, TIME, 200, "0" * 64, 0)


def test_every_recorded_study_is_read(shared):
    paths = sorted((shared / "registry" / "ctgov-v2").glob("*.json"))
    found = [one for path in paths for one in registry_trials(answer_of(path), path.read_bytes())]
    assert [one.number for one in found] == [path.name[:11] for path in paths]
    assert sum("resultsSection" in one.record for one in found) == 45
    assert all(bool(one.results_posted) == ("resultsSection" in one.record) for one in found)
    assert {len(one.start) for one in found} <= {7, 10}


def test_every_page_of_the_registry_is_read(shared):
    for path in sorted((shared / "registry" / "ctgov-v2-pages").glob("*.json")):
        content = json.loads(path.read_bytes())
        assert len(list(registry_trials(answer_of(path), path.read_bytes()))) == len(list(studies_in(content))) > 0


def test_the_recorded_export_is_read(shared):
    path = shared / "registry" / "ictrp-chictr" / "ictrp-export-2026-06-29.xml"
    found = list(export_trials(answer_of(path), path.read_bytes()))
    assert len(found) == 97
    assert all(len(iso(one.registered)) == 10 and len(one.start) in (0, 7, 10) for one in found)
    assert all("&#x0D;" not in text for one in found for text in one.record.values())
    assert [one.results_posted for one in found if one.results_posted] == ["2022-11-06"]


def test_recorded_papers_are_read(shared):
    folder = shared / "registry"
    path = folder / "europepmc" / "search_cancer_core.json"
    assert len(list(europepmc(answer_of(path), path.read_bytes()))) == 25
    (article,) = pubmed(answer_of(path), (folder / "eutils" / "pubmed-29768149.xml").read_bytes())
    assert (article.pmid, article.registrations) == ("29768149", ("NCT02149199",))
    for path in sorted((folder / "eutils").glob("biopython_pubmed*.xml")):
        assert all(isinstance(one, Paper) for one in pubmed(answer_of(path), path.read_bytes())), path.name
