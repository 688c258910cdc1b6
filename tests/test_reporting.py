"""Numbers into words: rounding once, sentences for every number of reports, and no text that does harm.

Whatever a source prints reaches the reader as text: no tag, no script, no address but a web address.
"""

from __future__ import annotations

import functools
import json
import math
import re
from html import unescape
from html.parser import HTMLParser

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from nbconvert.filters import markdown2html

from cellclaims import claims, overview, reporting
from cellclaims.pool import pooled
from cellclaims.question import Analysis
from cellclaims.reporting import results, tables
from cellclaims.reporting.tables import Link, Table, interval, number, p_value, percent, table
from cellclaims.selection import EvidenceBase, Question

from .made_up_trials import MadeUp, base, known_ledger, real, rules

#: An example takes longer while the machine is busy; that is no fault.
UNHURRIED = settings(deadline=None)

ISLETS = Question("insulin_independence", ("T1D",), "islets")
CELLS = Question("hba1c", ("T2D",), "msc")
HALVED = Question("insulin_halved_and_hba1c_lt_7", ("T2D",), "any_cells", estimand="most_favourable")
HOSTILE = "<script>alert(1)</script>\"'><img src=x onerror=alert(1)>&amp; *b* [x](javascript:alert(1)) `c` $d$ |e|"

#: What the table of a reader may consist of.
TAGS = {"table", "caption", "thead", "tbody", "tr", "th", "td", "a", "details", "summary"}


# --- pools of every size -----------------------------------------------------------------------------------------


def proportion(k):
    made = MadeUp()
    for place in range(k):
        made.study(f"r{place}", first_author=f"Author{place} B").arm(f"r{place}").count(f"r{place}", 3 + place, 20)
    return pooled(made.base(), ISLETS.named("shares", "Made-up shares"), Analysis("PLO"))


def difference(k):
    made = MadeUp()
    for place in range(k):
        made.trial(f"r{place}").contrast(f"r{place}", estimate=-0.9 + 0.2 * place, se=0.2)
    return pooled(made.base(), CELLS.named("differences", "Made-up differences"), Analysis("MD"))


def change(k):
    made = MadeUp()
    for place in range(k):
        made.trial(f"r{place}").change(f"r{place}", -0.9 + 0.2 * place, "cells")
    return pooled(made.base(), CELLS.named("changes", "Made-up changes"), Analysis("MC"))


def risk_difference(k):
    made = MadeUp()
    for place in range(k):
        made.trial(f"r{place}")
        for arm, events in (("cells", 5 + place), ("sham", place)):
            made.count(f"r{place}", events, 20, arm, definition_id=HALVED.outcome, outcome="composite_primary")
    return pooled(made.base(), HALVED.named("risks", "Made-up risks"), Analysis("RD"))


def without_events(k):
    made = MadeUp()
    for place in range(k):
        made.study(f"r{place}").arm(f"r{place}").count(f"r{place}", 0, 20)
    return pooled(made.base(), ISLETS.named("none", "Made-up nothing"), Analysis("PLO"))


MAKE = [proportion, difference, change, risk_difference, without_events]
SIZES = [0, 1, 2, 5]


@functools.cache
def pool_of(make, k):
    return make(k)


def texts(pool):
    """Everything that is said of a pool."""
    shown = [
        reporting.reports_of_pool(pool),
        reporting.left_out(pool),
        reporting.reasons_left_out(pool),
        reporting.pooled_table([pool], "Pools"),
    ]
    yield from (text for one in shown for text in (repr(one), one._repr_html_()))
    yield reporting.pooled_sentence(pool, "made-up outcome")
    yield reporting.heterogeneity(pool)
    yield reporting.forest_alt([pool], "A forest plot")
    yield reporting.matters(pool, rules())
    yield from (str(value) for value in reporting.choices({"a choice": pool}).to_dict("records"))


NO_NUMBER = re.compile(r"\b(nan|inf|None|NaT)\b|<NA>")


@pytest.mark.parametrize("k", SIZES)
@pytest.mark.parametrize("make", MAKE)
def test_nothing_that_is_said_of_a_pool_holds_a_number_that_is_none(make, k):
    for text in texts(pool_of(make, k)):
        assert not NO_NUMBER.search(text), text


@pytest.mark.parametrize("k", SIZES)
@pytest.mark.parametrize("make", MAKE)
def test_a_pool_shows_its_k_wherever_it_is_shown(make, k):
    pool = pool_of(make, k)
    assert f"k = {k}" in repr(reporting.reports_of_pool(pool))
    assert repr(reporting.pooled_table([pool], "Pools")).splitlines()[-1].split()[2] == str(k)
    words = {0: "no study", 1: "one study", 2: "two studies"}.get(k, f"{k} studies")
    assert (words if k else "no eligible study") in reporting.pooled_sentence(pool, "made-up outcome")
    assert words in reporting.forest_alt([pool], "A forest plot")


# --- sentences for k = 0, 1, 2 and 5 -----------------------------------------------------------------------------


def said(make, k, unit=""):
    return reporting.pooled_sentence(pool_of(make, k), "made-up outcome", unit)


def test_no_report_is_said_to_be_none():
    assert said(proportion, 0) == said(difference, 0) == "Made-up outcome: no eligible study."


def test_one_study_is_shown_by_name_with_its_own_result():
    assert said(proportion, 1) == (
        "Made-up outcome: 15.0% (95% CI 3.2% to 37.9%; one study, Author0 2020, 3 of 20 participants)."
    )
    assert said(difference, 1, "points") == (
        "Made-up outcome: −0.90 points (95% CI −1.29 to −0.51 points; one study, Invented 2020, 40 participants)."
    )


def test_two_studies_are_named_side_by_side_and_nothing_is_pooled():
    assert said(proportion, 2) == (
        "Made-up outcome: two studies, not pooled (95% CI of each): "
        "Author0 2020 15% (3% to 38%); Author1 2020 20% (6% to 44%)."
    )
    table = repr(reporting.pooled_table([pool_of(difference, 2)], "Pools")).splitlines()[-1]
    assert "two studies: shown side by side, not pooled" in table and " − " not in table


@pytest.mark.parametrize("make", [proportion, difference, change, risk_difference])
def test_two_studies_have_no_pooled_number_in_any_record(make):
    record = results.record("made_up", pool_of(make, 2))
    assert [record["result"][key] for key in ("beta", "ci_lb", "ci_ub", "pi_lb", "tau2", "I2", "Q")] == [None] * 7
    assert record["bayes"] == []
    assert [row["weight"] for row in record["rows"]] == [None, None]


@pytest.mark.parametrize("make", [proportion, difference, change, risk_difference])
def test_the_heterogeneity_of_one_study_is_empty_and_not_zero(make):
    result = results.record("made_up", pool_of(make, 1))["result"]
    assert [result[key] for key in ("tau2", "I2", "Q", "Q_p")] == [None] * 4
    assert result["beta"] is not None and result["ci_lb"] is not None


def test_five_studies_say_what_a_similar_centre_may_show():
    pool, sentence = pool_of(difference, 5), said(difference, 5, "points")
    low, high = (number(float(x)) for x in (pool.bayes.pi_lb, pool.bayes.pi_ub))
    assert f"The 95% prediction interval for a similar centre is {low} to {high} points (Bayesian;" in sentence
    assert "few studies" not in sentence and "5 studies, 200 participants" in sentence


def test_the_interval_of_a_sentence_is_that_of_the_fit_and_names_how_it_was_made():
    pool, sentence = pool_of(proportion, 5), said(proportion, 5)
    low, high = (percent(pool.back(x)) for x in (pool.fit.ci_lb, pool.fit.ci_ub))
    assert f"(95% CI {low} to {high} by binomial-normal, t; 5 studies, 25 of 100 participants)" in sentence
    assert "by REML, Hartung-Knapp;" in said(difference, 5)


def test_heterogeneity_needs_a_pool():
    assert [reporting.heterogeneity(pool_of(difference, k)) for k in (0, 1, 2)] == [""] * 3
    assert reporting.heterogeneity(pool_of(difference, 5)).endswith("(k = 5).")


@pytest.mark.parametrize(
    ("estimate", "words"),
    [
        (-1.5, "lies beyond 0.5 points"),
        (-0.1, "lies short of 0.5 points"),
        (-0.6, "includes changes smaller and larger than 0.5 points"),
    ],
)
def test_whether_a_difference_matters_is_read_from_its_interval(estimate, words):
    made = MadeUp().trial("one").contrast("one", estimate=estimate, se=0.1)
    pool = pooled(made.base(), CELLS.named("one", ""), Analysis("MD"))
    assert words in reporting.matters(pool, rules())


def test_parts_of_a_paragraph_that_say_nothing_drop_out():
    assert str(reporting.say("One.", "", "Two.")) == "One. Two."


# --- rounding ----------------------------------------------------------------------------------------------------


@UNHURRIED
@given(st.floats(-1e6, 1e6), st.integers(0, 4))
def test_a_number_is_the_nearest_with_so_many_digits(value, decimals):
    shown = number(value, decimals)
    back = float(shown.replace("−", "-").replace(" ", "").replace("\N{NARROW NO-BREAK SPACE}", "").replace("\xa0", ""))
    assert abs(back - value) <= 0.5 * 10**-decimals * (1 + 1e-9)
    assert len(shown.partition(".")[2]) == decimals
    assert "-" not in shown
    assert not shown.startswith("−") or shown.strip("−0.") != ""  # no negative zero


@pytest.mark.parametrize(
    ("shown", "expected"),
    [
        (number(-0.664), "−0.66"),
        (number(-0.004), "0.00"),
        (number(0.0), "0.00"),
        (number(2.675, 1), "2.7"),
        (number(9999, 0), "9999"),
        (number(math.nan), "–"),
        (number(math.inf), "∞"),
        (number(-math.inf), "−∞"),
        (percent(0.0625, 2), "6.25%"),
        (percent(1.0, 0), "100%"),
        (percent(math.nan), "–"),
        (interval(-1.131, 0.19), "−1.13 to 0.19"),
        (p_value(0.0312), "p = 0.031"),
        (p_value(0.0999), "p = 0.100"),
        (p_value(0.436), "p = 0.44"),
        (p_value(0.0), "p < 0.001"),
        (p_value(math.nan), "p –"),
    ],
)
def test_numbers_as_they_are_printed(shown, expected):
    assert shown == expected


def test_a_result_is_rounded_in_words_only():
    pool = pool_of(difference, 5)
    record = results.record("made_up", pool)
    assert record["result"]["beta"] == float(pool.fit.beta)
    assert [row["yi"] for row in record["rows"]] == pool.rows.yi.tolist()


# --- text that does no harm --------------------------------------------------------------------------------------


class Seen(HTMLParser):
    """The tags of a page with their attributes, and its text."""

    def __init__(self, page):
        super().__init__(convert_charrefs=True)
        self.tags, self.attributes, self.text = set(), [], ""
        self.feed(page)

    def handle_starttag(self, tag, attributes):
        self.tags.add(tag)
        self.attributes += attributes

    def handle_data(self, data):
        self.text += data


def harmless(page):
    """Only the tags of a table, only links to web addresses, no attribute that acts."""
    seen = Seen(page)
    assert seen.tags <= TAGS, seen.tags
    for name, value in seen.attributes:
        assert name in ("class", "scope", "style", "href"), name
        assert name != "href" or value.startswith(("https://", "http://")), value
    return seen


def hostile_pool():
    """A report whose every text is hostile, beside one that is left out."""
    made = MadeUp().study("bad", title=HOSTILE, first_author=HOSTILE, registry_id=HOSTILE, doi='10.1/x"><script>')
    made.arm("bad", description=HOSTILE).count("bad", 3, 10, definition=HOSTILE, note=HOSTILE)
    made.handle("a01", "flag", study_id="bad", reason=HOSTILE).study("worse", population="T2D").arm("worse")
    made.count("worse", 3, 10).handle("a02", "leave_out", study_id="worse", reason=HOSTILE)
    made.rows["sources"][0]["url"] = "javascript:alert(1)"
    return made


@pytest.mark.parametrize(
    "show",
    [
        lambda evidence, pool: reporting.reports_of_pool(pool),
        lambda evidence, pool: reporting.left_out(pool),
        lambda evidence, pool: reporting.reasons_left_out(pool),
        lambda evidence, pool: reporting.pooled_table([pool], HOSTILE),
        lambda evidence, pool: reporting.studies(
            overview.described(EvidenceBase(evidence, rules())).assign(registry_id=HOSTILE), HOSTILE
        ),
        lambda evidence, pool: reporting.registered(evidence, ["bad"]),
        lambda evidence, pool: table(pd.DataFrame({HOSTILE: [HOSTILE]}), HOSTILE),
    ],
    ids=["reports", "left out", "reasons", "pools", "studies", "registered", "any table"],
)
def test_hostile_text_reaches_the_reader_as_text(show):
    evidence = hostile_pool().evidence()
    pool = pooled(EvidenceBase(evidence, rules()), ISLETS.named("name", HOSTILE), Analysis("PLO"))
    seen = harmless(show(evidence, pool)._repr_html_())
    assert "script" not in seen.tags and "img" not in seen.tags


def test_hostile_text_is_shown_whole():
    seen = harmless(table(pd.DataFrame({"text": [HOSTILE]}), "Caption")._repr_html_())
    assert HOSTILE in seen.text


@pytest.mark.parametrize(
    "address",
    [
        "javascript:alert(1)",
        "JavaScript:alert(1)",
        " javascript:alert(1)",
        "data:text/html,x",
        "//evil.example",
        "",
        "vbscript:x",
    ],
)
def test_an_address_that_is_no_web_address_is_words(address):
    assert Link("Words & more", address).html() == "Words &amp; more"


def test_a_web_address_is_a_link_and_cannot_break_out_of_it():
    seen = harmless(Link("<b>", 'https://example.org/"onmouseover="alert(1)').html())
    assert dict(seen.attributes) == {"href": 'https://example.org/"onmouseover="alert(1)'}
    assert seen.text == "<b>"


def as_shown(sentence):
    """A sentence as a notebook renders it: tags and text."""
    page = markdown2html(sentence._repr_markdown_())
    return Seen(page).tags, unescape(re.sub(r"<[^>]+>", "", page)).strip()


def test_a_hostile_sentence_reaches_the_reader_as_text():
    tags, text = as_shown(reporting.say(f"Report {HOSTILE}."))
    assert tags == {"p"}
    assert text == f"Report {HOSTILE}.".replace("&amp;", "&")  # Markdown reads entities; they are text, too


@UNHURRIED
@given(st.text(st.characters(min_codepoint=33, max_codepoint=126, exclude_characters="&"), max_size=30))
def test_no_mark_of_a_sentence_is_read_as_markup(text):
    tags, shown = as_shown(reporting.say(f"Report {text} here."))
    assert tags == {"p"}
    assert shown == f"Report {text} here."


@pytest.mark.parametrize(
    "text",
    [
        "~~a~~",
        "==a==",
        "https://example.org",
        "www.example.org",
        "a@example.org",
        "![a](b)",
        "[a][b]",
        "a^b^",
        ":tag:",
        "$$a$$",
    ],
)
def test_marks_of_markdown_dialects_are_text_in_a_sentence(text):
    tags, shown = as_shown(reporting.say(f"Report {text} here."))
    assert shown == f"Report {text} here."
    assert tags <= {"p", "a"}  # an address may become a link to itself


# --- tables ------------------------------------------------------------------------------------------------------


def test_a_table_says_the_same_as_text_and_as_html():
    made = table(
        pd.DataFrame({"report": [Link("Zang 2022", "https://example.org")], "n": [20.0], "x": [math.nan]}), "Two"
    )
    assert repr(made).splitlines() == ["Two", "", "report      n  x", "---------  --  -", "Zang 2022  20  –"]
    seen = harmless(made._repr_html_())
    assert seen.text == "TworeportnxZang 202220–"


def test_numbers_stand_to_the_right_and_words_to_the_left():
    made = table(pd.DataFrame({"word": ["a"], "number": [1.0]}), "Two")
    assert made.right == {1}
    assert made._repr_html_().count("text-align:right") == 2
    assert made._repr_html_().count("text-align:left") == 2, "JupyterLab and GitHub align every cell to the right"


@pytest.mark.parametrize(("rows", "is_folded"), [(25, False), (26, True)])
def test_a_table_of_more_than_25_rows_is_folded(rows, is_folded):
    made = table(pd.DataFrame({"k": range(rows)}), "Reports < 5")
    shown = made._repr_html_()
    start = f'<details class="folded"><summary>Reports &lt; 5 ({rows} rows)</summary><table class="shown">'
    assert shown.startswith(start) is is_folded
    assert "<details" not in Table(made.header, made.cells, made.caption, folded=False)._repr_html_()


def test_columns_are_chosen_and_named():
    made = table(pd.DataFrame({"study_id": ["one"], "hidden": ["x"]}), "One", {"study_id": "report"})
    assert made.header == ("report",) and "hidden" not in repr(made)
    assert table(pd.DataFrame({"study_id": ["one"]}), "One").header == ("study id",)


def test_long_text_is_cut_in_plain_text_only():
    made = table(pd.DataFrame({"text": ["word " * 40]}), "Long")
    assert max(map(len, repr(made).splitlines())) <= tables.TEXT_WIDTH
    assert "word " * 39 in made._repr_html_()


def test_a_report_shows_its_count_weight_and_every_flag():
    made = MadeUp().study("one", first_author="Zang L", year=2022.0).arm("one", n=30).count("one", 5)
    made.handle("a01", "flag", study_id="one", reason="odd")
    for name in ("two", "three"):
        made.study(name, year=2023.0).arm(name, n=30).count(name, 5)
    shown = reporting.reports_of_pool(pooled(made.base(), ISLETS.named("", ""), Analysis("PLO"))).cells[0]
    assert [str(cell) for cell in shown[:2]] == ["Zang 2022", "single arm"]
    assert "5/30" in shown and "33.3%" in shown
    assert shown[-1] == "odd (a01); n not printed at this time: 30 enrolled stand in"


def test_every_row_left_out_stands_in_the_table_with_its_reason():
    pool = pooled(base(), ISLETS.named("", ""), Analysis("PLO"))
    shown = reporting.left_out(pool)
    assert len(shown.cells) == len(pool.left_out)
    assert all(cells[-1] == reason for cells, reason in zip(shown.cells, pool.left_out.reason, strict=True))
    counted = reporting.reasons_left_out(pool)
    assert sum(int(cells[1]) for cells in counted.cells) == len(pool.left_out)


# --- what is recorded --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("k", SIZES)
@pytest.mark.parametrize("make", MAKE)
def test_a_record_is_json_and_holds_null_where_there_is_no_number(make, k):
    record = results.record("made_up", pool_of(make, k))
    assert json.loads(json.dumps(record, allow_nan=False)) == record
    assert record["result"]["k"] == len(record["rows"]) == k
    if k == 0:
        assert {record["result"][name] for name in ("beta", "se", "ci_lb", "pi_lb", "tau2")} == {None}


def test_results_are_written_whole_and_a_name_stands_once(tmp_path):
    book = reporting.Results("02_made_up")
    book.add(pool_of(proportion, 2), pool_of(difference, 2))
    with pytest.raises(ValueError, match="'shares' again"):
        book.add(pool_of(proportion, 1))
    assert "no folder" in book.write("")
    assert book.write(tmp_path / "reports") == "2 pools recorded in 02_made_up.json."
    (path,) = (tmp_path / "reports").iterdir()
    assert [record["pool"] for record in json.loads(path.read_text())] == ["shares", "differences"]


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (math.nan, None),
        (math.inf, None),
        (np.float64(1.5), 1.5),
        (np.int64(3), 3),
        (("a", math.nan), ["a", None]),
        ("x", "x"),
    ],
)
def test_a_value_becomes_what_json_knows(value, expected):
    assert results.plain(value) == expected


# --- the evidence in words ---------------------------------------------------------------------------------------


def test_no_table_of_the_evidence_holds_a_number_that_is_none():
    shown = [
        reporting.anomalies(real()),
        reporting.thresholds(real()),
        reporting.definitions(base(), "T2D", "any_cells"),
        reporting.registered(real(), claims.own_trials(real())),
        reporting.pooled_elsewhere(real(), "hba1c").table,
        reporting.protocol_outcomes(rules()),
        reporting.protocol_findings(rules()),
    ]
    for one in shown:
        assert not NO_NUMBER.search(repr(one)), one.caption
        harmless(one._repr_html_())
        assert one.cells


def test_the_misprints_of_other_reviews_are_set_right_and_flagged():
    rows = real().pooled_elsewhere
    for review, limit in (("diabther2019", "ci_high"), ("fei2022", "ci_low")):
        printed = rows[rows.review_id == review]
        assert (printed[limit] > 0).any()  # the sign that the source prints
    shown = repr(reporting.pooled_elsewhere(real(), "hba1c").table)
    assert "−1.18 (−1.40 to −0.95)" in shown and "−0.51 (−0.70 to −0.32)" in shown


def test_a_review_whose_id_names_no_author_is_called_by_its_title():
    shown = reporting.pooled_elsewhere(real(), "hba1c")
    names = [*(str(row[0]) for row in shown.table.cells), *shown.benchmarks.label]
    assert any(name.startswith("Sun 2020") for name in names)
    assert any(name.startswith("Autologous Bone Marrow Mononuclear Cell ..., 2019") for name in names)
    assert not [name for name in names if re.match(r"(?i)diabther|ahsctcn|pmc\d|cytotherapy|betacell", name)]


def test_the_headline_gives_each_advertised_percentage_with_its_finding():
    entries = known_ledger()
    headline = str(reporting.claims_headline(entries))
    for entry in reporting.main_entries(entries):
        assert f"{entry.name}: {entry.finding}" in headline
        assert reporting.claims.figure_words(entry) in headline.replace("Over", "over")
    assert "76 statements of 4 documents" in headline
    assert not NO_NUMBER.search(headline)


def test_no_table_of_the_ledger_holds_a_number_that_is_none():
    entries = known_ledger()
    rates = reporting.main_entries(entries)
    shown = [reporting.ledger_table(entries), reporting.studies_table(rates), reporting.nearest_table(rates),
             reporting.unsaid_table(rates), reporting.close_table(entries), reporting.cards(entries),
             *map(reporting.facts_table, entries)]  # fmt: skip
    for one in shown:
        assert not NO_NUMBER.search(repr(one)), one.caption
        harmless(one._repr_html_())


def test_what_cannot_be_assessed_has_no_number_of_a_study_next_to_it():
    entry = next(e for e in known_ledger() if e.entry_id == "rate.effective.93.T2D.ad_treatment")
    words = str(reporting.paragraph(entry)).replace("93%", "")
    assert not re.search(r"\d+%", words)
    (row,) = reporting.claim_rows([entry])
    assert row.marks == () and not row.is_compared


def test_a_probability_is_never_reported_as_certain():
    assert reporting.claims.chance(1e-9) == "under 0.1%"
    assert reporting.claims.chance(1 - 1e-9) == "over 99.9%"


def test_controlled_results_are_counted_once_for_a_trial_and_once_for_meta_analyses_of_the_same_trials():
    counts = reporting.direction_counts(known_ledger()).set_index("entry_id")
    less = counts.loc["effect.less_insulin"]
    assert (less.favours, less.inconclusive, less.against) == (2, 0, 0)  # three meta-analyses as one, and one study
    glucose = counts.loc["effect.fasting_glucose"]
    assert (glucose.favours, glucose.inconclusive, glucose.against) == (0, 1, 0)  # they do not agree
    assert counts.loc["effect.complications", "favours"] == 1  # one trial, two outcomes


# --- how the figures were read -----------------------------------------------------------------------------------


def test_what_was_read_twice_is_counted_and_a_difference_is_said():
    made = MadeUp().study("one2020").study("two2020", source="not_scientific").arm("one2020")
    for months, twice in ((12, "yes"), (24, "yes"), (36, "no")):
        made.count("one2020", 3, 10, months=months, read_twice=twice)
    text = str(reporting.how_it_was_read(made.evidence()))
    assert "2 of 3 results were read again" in text
    assert "None of the results read again was found to differ." in text
    assert "Of 2 sources, 1 were full texts or parts of one." in text
    assert "1 are not scientific" in text
    made.level("one2020", 7.0, read_twice="differs").level("one2020", 7.1, months=24, read_twice="differs")
    assert "2 of the results read again were found to differ." in str(reporting.how_it_was_read(made.evidence()))


def test_the_review_says_how_many_of_its_figures_were_read_twice():
    tables_ = [getattr(real(), name) for name in ("continuous", "binary", "survival", "contrasts")]
    twice = sum((rows.read_twice == "yes").sum() for rows in tables_)
    assert f"{twice} of {sum(map(len, tables_))} results" in str(reporting.how_it_was_read(real()))


def test_columns_of_long_texts_are_marked_so_that_pages_keep_them_wide():
    made = table(pd.DataFrame({"a": ["x" * 39], "b": ["x" * 40], "c": ["x" * 120], "d": ["x" * 300]}), "Four")
    heads = made._repr_html_().split("<tbody>")[0].split("<th ")[1:]
    classes = [re.findall(r'class="(\w+)"', head) for head in heads]
    assert classes == [[], ["long"], ["longer"], ["longest"]]
