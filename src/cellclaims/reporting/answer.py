"""The answer of the review as one Markdown table: what README shows, made from the results."""

from __future__ import annotations

from pathlib import Path

from cellclaims import pools
from cellclaims.claims import advertised_rates
from cellclaims.errors import ReviewError
from cellclaims.evidence import Evidence
from cellclaims.files import write_atomically
from cellclaims.pools import Pool
from cellclaims.protocol import Protocol
from cellclaims.reporting.claim_words import figure_words, interval_words, published_words, short_words
from cellclaims.reporting.sentences import reports_of
from cellclaims.reporting.tables import value_words
from cellclaims.selection import Question

#: The table stands between these two lines of README.md.
BEGIN, END = "<!-- answer: made by `make notebooks`, do not edit -->", "<!-- end of answer -->"

#: Outcomes that stand nearest to the advertised ones and have more reports: title and question.
NEAREST = {
    "insulin dose halved after cells, no control group": Question(
        "insulin_dose_halved", ("T2D",), "any_cells", estimand="most_favourable"
    ),
    "off insulin at some time after cells, tablets allowed, no control group": Question(
        "insulin_independence", ("T2D",), "any_cells", estimand="most_favourable"
    ),
    "off insulin 12 months after islets, type 1 diabetes": Question("insulin_independence", ("T1D",), "islets"),
}


def answer(evidence: Evidence, protocol: Protocol) -> str:
    """The latest advertised figures beside published ones, then the nearest outcomes, as a Markdown table."""
    entries = advertised_rates(evidence, protocol)
    latest = max(e.advertised["as_of"] for e in entries)
    lines = [
        f"| {short_words(e)} | {figure_words(e)} | {published_words(e)} | {interval_words(e)} | {e.verdict} |"
        for e in entries
        if e.advertised["as_of"] == latest
    ]
    for name, question in NEAREST.items():
        pool = pools.proportion(evidence, protocol, question, "nearest", name)
        lines.append(f"| *nearest:* {name} | | {_found(pool)} | {_interval(pool)} | |")
    head = "| outcome | advertised | published | 95 % interval | verdict |\n|---|---|---|---|---|"
    return "\n".join([head, *lines])


def _found(pool: Pool) -> str:
    return f"{value_words(pool, float(pool.fit.beta))}, {reports_of(pool.k)}, {pool.rows.n.sum():g} patients"


def _interval(pool: Pool) -> str:
    return " to ".join(value_words(pool, float(limit)) for limit in (pool.fit.ci_lb, pool.fit.ci_ub))


def put_answer(path: Path, text: str) -> None:
    """Replace what stands between the two marks of a Markdown file; refuses a file without them."""
    page = path.read_text(encoding="utf-8")
    if BEGIN not in page or END not in page:
        raise ReviewError(f"{path}: expected the lines {BEGIN!r} and {END!r}, found none")
    before, rest = page.split(BEGIN, 1)
    write_atomically(path, f"{before}{BEGIN}\n{text}\n{END}{rest.split(END, 1)[1]}")
