"""Replaying folders: answers are told by what they hold, the rest is listed, nothing in a file does harm."""

from __future__ import annotations

import gzip
import json
import os
import random

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from cellclaims.errors import RefusedAnswer, SourceError
from cellclaims.registries import SOURCES, Snapshot, Store, pull_folder
from cellclaims.registries.folder import interactions, is_cassette, recognised
from cellclaims.registries.records import trials

from . import registry_server
from .registry_server import articles, ctgov_site, papers_page, studies_page, study

only_loopback = registry_server.only_loopback

EXPORT = "<Trials_downloaded_from_ICTRP><Trial>{}</Trial></Trials_downloaded_from_ICTRP>".format(
    "".join(
        f"<{name}>\n{text}\n</{name}>"
        for name, text in {
            "TrialID": "ChiCTR2400084905",
            "Public_title": "Islets",
            "Source_Register": "ChiCTR",
            "Recruitment_Status": "Recruiting",
            "Date_registration3": "20240501",
        }.items()
    )
)
ESEARCH = {"header": {}, "esearchresult": {"count": "1", "idlist": ["11"]}}
ESUMMARY = {"header": {"type": "esummary"}, "result": {"uids": ["11"], "11": {"title": "Islets"}}}
NUMBERS = "<eSearchResult><Count>1</Count><IdList><Id>11</Id></IdList></eSearchResult>"
SUMMARIES = '<eSummaryResult><DocSum><Id>11</Id><Item Name="PubDate">2020</Item></DocSum></eSummaryResult>'
WORK = {"status": "ok", "message-type": "work", "message": {"DOI": "10.1000/1"}}
WORKS = {"status": "ok", "message-type": "work-list", "message": {"total-results": 1, "items": [{"DOI": "10.1000/1"}]}}

#: What people save -> source, kind, numbers.
SAVED = {
    "study": (study(1), "ctgov", "study", ("NCT00000001",)),
    "page": (studies_page([study(1), study(2)], "t", 9), "ctgov", "search", ("NCT00000001", "NCT00000002")),
    "papers": (papers_page([7], "", 1), "europepmc", "search", ("MED:7",)),
    "none": ({"hitCount": 0, "resultList": {"result": []}}, "europepmc", "search", ()),
    "numbers": (ESEARCH, "pubmed", "search", ("11",)),
    "numbers.xml": (NUMBERS, "pubmed", "search", ("11",)),
    "summary": (ESUMMARY, "pubmed", "summary", ("11",)),
    "summary.xml": (SUMMARIES, "pubmed", "summary", ("11",)),
    "articles.xml": ('<?xml version="1.0"?>\n<!DOCTYPE PubmedArticleSet PUBLIC "-//NLM//DTD//EN" "https://dtd.nlm.nih.gov/x.dtd">'
                     + articles(11, 12), "pubmed", "record", ("11", "12")),
    "work": (WORK, "crossref", "works", ("10.1000/1",)),
    "works": (WORKS, "crossref", "works", ("10.1000/1",)),
    "export.xml": (EXPORT, "ictrp", "export", ("ChiCTR2400084905",)),
}  # fmt: skip

ROOT = "Trials_downloaded_from_ICTRP"
SWELLS = '<!ENTITY b "cccccccccc"><!ENTITY d "&b;&b;&b;&b;&b;&b;&b;&b;">'
BOMB = f"<!DOCTYPE a [{SWELLS}]><{ROOT}>&d;</{ROOT}>"
OUTSIDE = f'<!DOCTYPE a [<!ENTITY b SYSTEM "file:///etc/hostname">]><{ROOT}>&b;</{ROOT}>'
NO_DATABASE = "<eSearchResult><ERROR>Invalid db name</ERROR></eSearchResult>"

#: What is no answer -> why not.
REFUSED = {
    "empty.json": ("", "expected JSON or XML of a source, found something else"),
    "list.json": ([study(1)], "found a list of 1 in one file"),
    "other.json": ({"a": 1}, "found an object with the fields a"),
    "limit.json": ({"error": "API rate limit exceeded"}, "found a refusal: API rate limit exceeded"),
    "cut.json": (json.dumps(study(1))[:-5], "expected JSON, found"),
    "page.html": ("<html><body>Not found</body></html>", "found the root html (a page)"),
    "old.xml": ("<clinical_study/>", "save the study as JSON of version 2"),
    "full.xml": ("<article/>", "found the root article (a full text)"),
    "lite.xml": ("<responseWrapper/>", "save it as JSON"),
    "cut.xml": (EXPORT[:-9], "expected XML with the root Trials_downloaded_from_ICTRP, found"),
    "bomb.xml": (BOMB, "found EntitiesForbidden"),
    "outside.xml": (OUTSIDE, "found EntitiesForbidden"),
    "refused.xml": (NO_DATABASE, "found a refusal: Invalid db name"),
    "genes.xml": ("<eSummaryResult><DocSum><Id>1</Id></DocSum></eSummaryResult>", "found records of something else"),
    "unnumbered.json": (study(1, protocolSection={}), "expected a study with a number like"),
    "zip.json": (gzip.compress(b"{}"), "expected JSON or XML of a source, found something else"),
}  # fmt: skip


def as_bytes(content):
    if isinstance(content, bytes):
        return content
    return content.encode() if isinstance(content, str) else json.dumps(content).encode()


def saved(folder, files):
    """Write files by name (``.json`` where a name has no ending)."""
    for name, content in files.items():
        path = folder / (name if "." in name else f"{name}.json")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(as_bytes(content))
    return folder


@pytest.fixture
def store(tmp_path):
    return Store(tmp_path / "registry")


@pytest.fixture
def folder(tmp_path):
    made = tmp_path / "saved"
    made.mkdir()
    return made


@pytest.mark.parametrize("name", SAVED)
def test_an_answer_is_told_by_what_it_holds(name):
    content, source, kind, ids = SAVED[name]
    found = recognised(as_bytes(content), name)
    assert (found[0], found[1], found[2].ids) == (source, kind, ids)


def test_every_source_is_told():
    assert {source for _, source, _, _ in SAVED.values()} == set(SOURCES)


@pytest.mark.parametrize("name", REFUSED)
def test_what_is_no_answer_says_what_it_is(name):
    content, why = REFUSED[name]
    with pytest.raises(RefusedAnswer) as caught:
        recognised(as_bytes(content), name)
    assert why in str(caught.value)
    assert str(caught.value).startswith(f"{name}: expected")


def test_a_folder_of_bare_records_becomes_a_snapshot(store, folder):
    saved(folder, {name: content for name, (content, *_) in SAVED.items()})
    others = {name: content for name, (content, _) in REFUSED.items() if name != "list.json"}
    saved(folder / "more", others)
    done = pull_folder(store, folder)
    assert len(done.snapshot.answers) == len(SAVED)
    assert sorted(done.refused) == sorted(f"more/{name}" for name in others)
    assert [answer.source for answer in done.snapshot.answers] == sorted(
        (source for _, source, _, _ in SAVED.values()), key=SOURCES.index
    )
    for answer in done.snapshot.answers:
        assert store.body(answer) == (folder / answer.address).read_bytes(), "byte for byte"


def test_a_single_file_is_a_folder_of_one(store, folder):
    saved(folder, {"export.xml": EXPORT, "study": study(1)})
    done = pull_folder(store, folder / "export.xml")
    assert [(one.source, one.address) for one in done.snapshot.answers] == [("ictrp", "export.xml")]


def test_an_export_joins_what_a_pull_brought(store, folder):
    first = pull_folder(store, saved(folder / "a", {"study": study(1)})).snapshot
    second = pull_folder(store, saved(folder / "b", {"export.xml": EXPORT})).snapshot
    assert second.of("ctgov") == first.of("ctgov")
    assert len(second.of("ictrp")) == 1


def test_another_state_of_a_source_replaces_the_earlier(store, folder):
    pull_folder(store, saved(folder / "a", {"study": study(1), "other": study(2)}))
    second = pull_folder(store, saved(folder / "b", {"study": study(3)})).snapshot
    assert [answer.address for answer in second.answers] == ["study.json"]


def test_another_store_is_replayed_with_its_addresses_and_times(store, folder, tmp_path):
    first = pull_folder(store, saved(folder, {"study": study(1)})).snapshot
    copy = Store(tmp_path / "copy")
    done = pull_folder(copy, store.folder)
    assert done.snapshot.answers == first.answers
    assert copy.body(first.answers[0]) == store.body(first.answers[0])


@pytest.mark.parametrize(
    ("files", "told"),
    [
        ({}, "found none in 0 files"),
        ({"a.txt": "no"}, "found none in 1 file\n  a.txt: expected JSON or XML of a source, found something else"),
        (
            {"a.csv": "NCT Number,Study Title\n", "b": [{"a": 1}, 2]},
            "found none in 2 files\n"
            "  a.csv: expected JSON or XML of a source, found something else (a table: download JSON instead)\n"
            "  b.json#1: expected JSON of a source, found an object with the fields a",
        ),
        ({"z.zip": b"PK\x03\x04..."}, "z.zip: expected an answer, found a zip archive: unpack it first"),
    ],
)
def test_a_folder_of_which_nothing_is_taken_says_why_file_by_file(store, folder, files, told):
    with pytest.raises(SourceError) as caught:
        pull_folder(store, saved(folder, files))
    assert told in str(caught.value)
    assert store.names() == []


def test_of_many_files_that_are_none_the_first_reasons_are_said(store, folder):
    with pytest.raises(SourceError) as caught:
        pull_folder(store, saved(folder, {f"{number:03}.txt": "no" for number in range(60)}))
    lines = str(caught.value).splitlines()
    assert (len(lines), lines[-1]) == (52, "  and 10 more")


TWO = [study(1), study(2)]
SHAPES = {
    "array": json.dumps(TWO).encode(),
    "array on many lines": json.dumps(TWO, indent=2).encode(),
    "array with a mark": b"\xef\xbb\xbf" + json.dumps(TWO).encode(),
    "lines": "\n".join(map(json.dumps, TWO)).encode(),
    "lines with blank ones": ("\n\n".join(map(json.dumps, TWO)) + "\n\n").encode(),
    "gzip": gzip.compress(json.dumps(TWO).encode()),
    "gzip of lines": gzip.compress("\n".join(map(json.dumps, TWO)).encode()),
}


@pytest.mark.parametrize("shape", SHAPES)
def test_a_file_of_several_studies_gives_an_answer_each(store, folder, shape):
    done = pull_folder(store, saved(folder, {"all.json": SHAPES[shape]}))
    assert [answer.address for answer in done.snapshot.answers] == ["all.json#1", "all.json#2"]
    assert [json.loads(store.body(answer)) for answer in done.snapshot.answers] == TWO
    assert done.snapshot.warnings == () and done.refused == {}
    assert sorted(trial.number for trial in trials(store, done.snapshot)) == ["NCT00000001", "NCT00000002"]


def test_a_compressed_page_is_kept_as_it_is_inside(store, folder):
    content, *_ = SAVED["page"]
    done = pull_folder(store, saved(folder, {"page.json.gz": gzip.compress(as_bytes(content))}))
    assert [store.body(answer) for answer in done.snapshot.answers] == [as_bytes(content)]


def test_a_record_of_an_array_that_is_none_is_named_and_the_others_are_taken(store, folder):
    records = [study(1), {"a": 1}, *({"b": 1},) * 9]
    done = pull_folder(store, saved(folder, {"all.json": records}))
    assert len(done.snapshot.answers) == 1
    assert done.refused["all.json#2"] == "expected JSON of a source, found an object with the fields a"
    assert done.refused["all.json"] == "5 more of its records were not taken"
    assert len(done.refused) == 6


def test_an_array_that_breaks_off_keeps_its_whole_records_and_says_so(store, folder):
    done = pull_folder(store, saved(folder, {"all.json": json.dumps(TWO).encode()[:-20]}))
    assert len(done.snapshot.answers) == 1
    assert done.refused == {"all.json#2": "the file ends inside a record"}


def test_a_damaged_compression_is_named(store, folder):
    saved(folder, {"a.json": study(1), "b.json.gz": gzip.compress(as_bytes(TWO))[:-12]})
    assert list(pull_folder(store, folder).refused) == ["b.json.gz"]


def test_a_trial_that_comes_twice_in_a_folder_is_told(store, folder):
    done = pull_folder(store, saved(folder, {"a": study(1), "b": [study(2), study(1)]}))
    assert done.snapshot.warnings == ("ctgov: duplicate record: b.json#2: NCT00000001 came before in a.json",)


def test_a_folder_that_is_not_there_is_refused(store, folder):
    with pytest.raises(SourceError, match="expected a folder of recorded answers, found nothing"):
        pull_folder(store, folder / "none")


def test_what_is_hidden_or_no_file_is_left_alone(store, folder):
    saved(folder, {"study": study(1), ".hidden/b.json": study(2), ".c.json": study(3)})
    os.mkfifo(folder / "pipe.json")
    (folder / "gone.json").symlink_to(folder / "nowhere")
    done = pull_folder(store, folder)
    assert len(done.snapshot.answers) == 1
    assert done.refused == dict.fromkeys(("gone.json", "pipe.json"), "expected a file, found something else")


def test_a_name_that_a_terminal_would_obey_is_shown_harmless(store, folder):
    saved(folder, {"study": study(1), "\x1b[31mred.txt": "no"})
    (name,) = pull_folder(store, folder).refused
    assert name == "\x1b[31mred.txt"


def test_a_name_that_is_no_text_is_taken_and_can_be_written(store, folder):
    (folder / os.fsdecode(b"\xff.json")).write_text(json.dumps(study(1)))
    (folder / os.fsdecode(b"\xfe.txt")).write_text("no")
    done = pull_folder(store, folder)
    assert [answer.address for answer in store.snapshot().answers] == ["\\xff.json"]
    assert list(done.refused) == ["\\xfe.txt"]


def test_half_a_character_in_an_address_can_be_stored(store):
    answer = store.keep(b"{}", source="ctgov", kind="study", address="a\ud800", parameters={}, time="t", status=200)
    store.add(Snapshot("20261120T101500Z", "t", "t", "folder", (answer,)))
    assert store.snapshot().answers == (answer,)


def test_odd_records_are_counted_with_their_file(store, folder):
    done = pull_folder(store, saved(folder, {"a": study(1, hasResults="yes"), "b": study(2, extra=1)}))
    assert done.snapshot.warnings == (
        "ctgov: other type: a.json: 1 record, first hasResults of /0",
        "ctgov: unknown fields: b.json: 1 record, first extra of /0",
    )


# --- cassettes -----------------------------------------------------------------------------------------------------


def cassette(body, status=200, **headers):
    """A cassette of one request to Crossref, with a contact in it."""
    request = {"method": "GET", "uri": "https://api.crossref.org/works/10.1000/1?mailto=a%40b.org&select=DOI"}
    response = {"status": {"code": status}, "headers": {"date": ["Tue, 16 Jun 2026 10:00:00 GMT"], **headers}}
    return yaml.safe_dump({"interactions": [{"request": request, "response": {**response, "body": {"string": body}}}]})


@pytest.mark.parametrize("packed", [False, True])
def test_a_cassette_holds_answers_with_their_addresses(store, folder, packed):
    body = json.dumps(WORK).encode()
    text = cassette(gzip.compress(body), **{"content-encoding": ["gzip"]}) if packed else cassette(body.decode())
    done = pull_folder(store, saved(folder, {"works.yaml": text}))
    (answer,) = done.snapshot.answers
    assert (answer.source, answer.kind, answer.address) == (
        "crossref",
        "works",
        "https://api.crossref.org/works/10.1000/1",
    )
    assert answer.parameters == {"select": "DOI"}, "no contact"
    assert answer.time == "2026-06-16T10:00:00Z"
    assert store.body(answer) == body


def test_a_refusal_in_a_cassette_is_listed(store, folder):
    done = pull_folder(store, saved(folder, {"a.yaml": cassette("Resource not found.", 404), "study": study(1)}))
    assert done.refused == {"a.yaml#1": "expected an answer, found status 404"}


NO_CASSETTES = ["interactions:", "interactions: [1]", "interactions: {", "interactions:\n- request: {uri: 7}"]


@pytest.mark.parametrize("text", NO_CASSETTES)
def test_a_cassette_that_is_none_is_refused(text):
    with pytest.raises(RefusedAnswer, match="expected a cassette of vcrpy"):
        interactions(text.encode(), "a.yaml")


def test_a_cassette_cannot_make_objects():
    with pytest.raises(RefusedAnswer, match="expected a cassette of vcrpy"):
        interactions(b"interactions: !!python/object/apply:os.system ['true']", "a.yaml")


# --- whatever the bytes ----------------------------------------------------------------------------------------------

BODIES = [*(as_bytes(content) for content, *_ in SAVED.values()), cassette(json.dumps(WORK)).encode()]
JUNK = [b"\0", b"\xff", b"null", b"[]", b"{}", b'"', b"<", b"&", b"\xed\xa0\x80", b"1e999", b"-", b"]]>", b"true"]


def mutated(body: bytes, seed: int) -> bytes:
    """A body with a few places cut, doubled or replaced."""
    dice = random.Random(seed)
    for _ in range(dice.randint(1, 4)):
        start = dice.randrange(len(body) + 1)
        end = min(len(body), start + dice.randint(0, 30))
        body = body[:start] + dice.choice([b"", body[start:end] * 2, dice.choice(JUNK)]) + body[end:]
    return body


def looked(body: bytes) -> None:
    """Look bytes through: they are an answer whose warnings are one line each, or refused in one line."""
    try:
        if is_cassette(body):
            for one in interactions(body, "any"):
                looked(one.body)
            return
        source, _kind, page = recognised(body, "any")
    except RefusedAnswer as fault:
        assert str(fault).startswith("any")
        assert str(fault).isprintable()
        return
    assert source in SOURCES
    assert all(isinstance(one, str) for one in page.ids)
    assert all(warning.isprintable() and warning.startswith(f"{source}: ") for warning in page.warnings)


@given(body=st.sampled_from(BODIES), seed=st.integers(0, 2**32))
def test_no_mutation_of_an_answer_is_an_uncaught_error(body, seed):
    for step in range(10):  # 1,000 inputs
        looked(mutated(body, seed + step))


@given(body=st.binary(max_size=60))
def test_no_bytes_are_an_uncaught_error(body):
    looked(body)


# --- what others recorded --------------------------------------------------------------------------------------------


def test_the_made_up_registry_has_the_shapes_of_the_official_description(shared):
    from jsonschema import Draft202012Validator
    from werkzeug.test import EnvironBuilder
    from werkzeug.wrappers import Request

    text = (shared / "registry" / "specs" / "ctg-oas-v2_2.0.0.yaml").read_bytes()
    components = yaml.load(text, yaml.CSafeLoader)["components"]

    def faults(schema, content):
        whole = {"$ref": f"#/components/schemas/{schema}", "components": components}
        return [fault.message for fault in Draft202012Validator(whole).iter_errors(content)]

    def site(path):
        return json.loads(ctgov_site(Request(EnvironBuilder(path).get_environ())).data)

    assert faults("PagedStudies", site("/ctgov/studies?countTotal=true")) == []
    assert faults("PagedStudies", site("/ctgov/studies?pageToken=p4")) == []
    assert faults("Study", site("/ctgov/studies/NCT00000001")) == []
    assert faults("Study", study(1, hasResults="yes")) != []
    assert faults("PagedStudies", {"results": []}) != []


def test_the_fields_that_are_looked_at_are_those_of_the_official_description(shared):
    from cellclaims.registries import services

    text = (shared / "registry" / "specs" / "ctg-oas-v2_2.0.0.yaml").read_bytes()
    schemas = yaml.load(text, yaml.CSafeLoader)["components"]["schemas"]
    types = {str: "string", dict: "object", list: "array", int: "integer", bool: "boolean"}

    def resolved(schema):
        return schemas[schema["$ref"].rpartition("/")[2]] if "$ref" in schema else schema

    assert set(schemas["Study"]["properties"]) == set(services.TRIAL_SECTIONS)
    for path, wanted in services.TRIAL_SHAPE.items():
        place = schemas["Study"]
        for name in path.removesuffix("?").split("."):
            place = resolved(place["properties"][name])
        assert place["type"] == types[wanted], path


def test_recorded_answers_are_taken_and_nothing_in_them_is_mistaken(shared, store):
    done = pull_folder(store, shared / "registry")
    counts = {source: len(done.snapshot.of(source)) for source in SOURCES}
    assert counts == {"ctgov": 64, "europepmc": 25, "pubmed": 18, "crossref": 20, "ictrp": 1}
    kinds = {warning.split(": ")[1] for warning in done.snapshot.warnings}
    assert kinds == {"missing fields", "duplicate record"}, "pages with chosen fields lack some; no other false alarm"
    assert not [name for name in done.refused if name.startswith("ctgov-v2")]
    for answer in done.snapshot.of("ctgov"):
        assert store.body(answer) == (shared / "registry" / answer.address).read_bytes()


def test_recorded_pages_give_their_tokens_totals_and_numbers(shared):
    pages = shared / "registry" / "ctgov-v2-pages"
    first, second, last = (
        recognised((pages / name).read_bytes(), name)[2]
        for name in ("hfpef_page1.json", "hfpef_page2.json", "last_page_4_studies.json")
    )
    assert (len(first.ids), first.total) == (100, 376)
    assert first.token
    assert second.token not in ("", first.token)
    assert not set(first.ids) & set(second.ids)
    assert (len(last.ids), last.token) == (4, "")
