"""The executed notebook as slides: one HTML file that asks the network for nothing and is led by the keyboard.

A heading starts a slide; what follows it, text and outputs, stands on it; code does not. nbconvert's own slides load
reveal.js from a network, so the page brings a few lines of script of its own, the only one that its policy allows.
"""

from __future__ import annotations

import base64
import hashlib
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from markupsafe import Markup

from cellclaims import claims, protocol
from cellclaims.claims import Entry
from cellclaims.claims.counterparts import UNSAID, answer_of, claim_of
from cellclaims.errors import ParameterError
from cellclaims.files import write_atomically
from cellclaims.journal_club.by_hand import ByHand, three
from cellclaims.journal_club.claim_file import load
from cellclaims.journal_club.controls import controls_of, outcomes, pool_of
from cellclaims.journal_club.widgets import FINDINGS, GUESSES
from cellclaims.protocol import load as load_protocol
from cellclaims.reporting.claims import capital, figure_words
from cellclaims.runner.page import Contents, Provenance, exporter, provenance, shell, title, write_page
from cellclaims.runner.run import declared, places, read, run_notebook
from cellclaims.selection import EvidenceBase

if TYPE_CHECKING:
    from nbformat import NotebookNode


TEMPLATES = Path(__file__).with_name("templates")
HEADING = re.compile(r"^#{1,3}\s+(.+)$", re.MULTILINE)


@dataclass
class Slide:
    """The words of its heading, and its parts as safe HTML."""

    title: str
    parts: list[Markup] = field(default_factory=list)


def write_slides(executed: Path, target: Path, origin: Provenance) -> None:
    """Write the slides of an executed notebook."""
    write_atomically(target, slides(read(executed), origin, name=executed.stem))


def slides(notebook: NotebookNode, origin: Provenance, *, name: str) -> str:
    """An executed notebook as a page of slides.

    Parameters
    ----------
    notebook : NotebookNode
        Executed; its first cell holds the title and the question.
    origin : Provenance
        What the numbers were made from.
    name : str
        Name of the notebook without its ending, for the link to its page.
    """
    script = (TEMPLATES / "slides.js").read_text(encoding="utf-8")
    return filled(
        "slides.html.j2",
        slides=list(slides_of(notebook)),
        title=title(notebook),
        name=name,
        origin=origin,
        style=shell().style + Markup((TEMPLATES / "slides.css").read_text(encoding="utf-8")),
        script=Markup(script),
        digest=base64.b64encode(hashlib.sha256(script.encode()).digest()).decode(),
    )


def filled(template: str, /, **values: object) -> str:
    """One of this package's templates, filled; what is not marked safe is escaped."""
    text = (TEMPLATES / template).read_text(encoding="utf-8")
    return exporter().environment.from_string(text).render(**values)


def slides_of(notebook: NotebookNode) -> Iterator[Slide]:
    """The slides in their order; text before the first step that is not the title's is for the leader and left out."""
    contents, slide = Contents(), None
    for number, cell in enumerate(notebook.cells):
        section = contents.section(cell)
        found = HEADING.search(cell.source) if section["kind"] == "text" else None
        if found:
            if slide:
                yield slide
            slide = Slide(found[1].strip(), [section["html"]])
        elif slide and number > 1 and (shown := _shown(section)):
            slide.parts += shown
    if slide:
        yield slide


def _shown(section: dict) -> list[Markup]:
    """HTML shown on a slide for one cell: its text or its outputs, never its code, nor what pages hide."""
    if section["kind"] == "text":
        return [section["html"]]
    hidden = "hide-input" in section.get("tags", [])
    return [] if hidden else list(section.get("outputs", []))


# The worksheet: one printed page to write on, made from the claim and reports of the notebook, without answers.


#: The sheet's formulas, the numbers left open.
FORMULAS = {
    "logit": r"y_i = \ln\frac{x_i}{n_i - x_i}",
    "variance": r"v_i = \frac{1}{x_i} + \frac{1}{n_i - x_i}",
    "weight": r"w_i = \frac{1}{v_i}",
    "mean": r"\bar y = \frac{\sum w_i y_i}{\sum w_i}",
    "Q": r"Q = \sum w_i (y_i - \bar y)^2",
    "c": r"c = \sum w_i - \frac{\sum w_i^2}{\sum w_i}",
    "tau2": r"\tau^2 = \max\left(0, \frac{Q - 2}{c}\right)",
    "new weight": r"w_i^* = \frac{1}{v_i + \tau^2}",
    "pooled logit": r"\mu = \frac{\sum w_i^* y_i}{\sum w_i^*}",
    "standard error": r"SE = \frac{1}{\sqrt{\sum w_i^*}}",
    "interval": r"\mu \pm 1.96 \, SE",
    "share": r"p = \frac{1}{1 + e^{-\mu}}",
}
#: What step 5 asks, one line each.
MOVES = (
    "Leave out the largest report. What happens to the interval?",
    "Two reports only. Where do the limits lie?",
    "HbA1c without cells changed by ... and with cells by ...; what is left for the cells?",
    "Reports that share patients: how many patients are counted twice?",
    "Off insulin ever, and at twelve months. Which one is advertised?",
)


def write_worksheet(
    target: Path, data: str | Path = "data", claim_id: str = "stop_all_2016", claim_file: str | Path = "", **given: Any
) -> None:
    """Write the worksheet of a claim as one HTML file that prints on one page.

    Parameters
    ----------
    target : Path
        The file.
    data, claim_id, claim_file
        As in the notebook: the evidence, the claim, and the CSV of another advertisement.
    **given
        Other parameters of the notebook by name, such as ``OUTCOME``.

    Raises
    ------
    ReviewError
        For a claim, a file or a parameter that cannot be used, or fewer than three reports to pool by hand.
    """
    evidence, rules = load(data, claim_file), protocol.load(data)
    claim = claim_of(evidence, claim_id)
    asked = controls_of(EvidenceBase(evidence, rules), claim, **given)
    pool = pool_of(EvidenceBase(evidence, rules), asked)
    entry = claims.entry_of(EvidenceBase(evidence, rules), claim)
    text = worksheet(entry, three(pool), outcomes(rules)[asked.outcome], provenance(Path(data)))
    write_atomically(target, text)


def worksheet(entry: Entry, sheet: ByHand, outcome: str, origin: Provenance) -> str:
    """The worksheet as HTML: the claim, blanks for guesses, the counts of three reports, the formulas, the findings."""
    from cellclaims.runner.page import mathml

    return filled(
        "worksheet.html.j2",
        claim=capital(entry.statements[0]["what"]),
        figure=figure_words(entry),
        said=entry.advertised,
        unsaid=list(UNSAID.values()),
        guesses=[(question, unit) for question, unit, *_ in GUESSES.values()],
        outcome=outcome,
        reports=[(label, f"{x:g}", f"{n:g}") for label, x, n in zip(sheet.labels, sheet.events, sheet.n, strict=True)],
        formulas={name: Markup(mathml(latex, "inline")) for name, latex in FORMULAS.items()},
        moves=MOVES,
        findings=FINDINGS,
        origin=origin,
        style=Markup((TEMPLATES / "worksheet.css").read_text(encoding="utf-8")),
    )


# ``cellclaims club``, ``slides`` and ``worksheet``: the sitting of one claim as files to project and to print.


#: Parameters of the notebook that a worksheet depends on, too.
OF_WORKSHEET = ("OUTCOME", "ESTIMAND", "MONTHS", "WINDOW", "WITHOUT", "METHOD", "TEST", "CORRELATION", "TAU_SCALE")


def parameters(notebook: Path, claim_file: Path | None, claim_id: str, given: Mapping[str, Any]) -> dict[str, Any]:
    """The parameters of a run: another advertisement by an absolute path, and its first claim that a pool answers.

    Raises
    ------
    ReviewError
        For a file or a claim that cannot be used: before anything runs.
    """
    both = [name for name, here in (("CLAIMS", claim_file), ("CLAIM", claim_id)) if here and name in given]
    if both:
        raise ParameterError(f"expected {' and '.join(both)} once, found as an option and with -p")
    values = dict(given)
    if claim_file:
        values["CLAIMS"] = claim_file.resolve().as_posix()
    if claim_id:
        values["CLAIM"] = claim_id
    elif claim_file and "CLAIM" not in values:
        values["CLAIM"] = first_claim(data_of(notebook, values), claim_file)
    return values


def data_of(notebook: Path, values: Mapping[str, Any]) -> Path:
    """The folder of evidence that a run of the notebook reads."""
    return places(declared(read(notebook)), values, notebook, notebook.parent)["DATA"]


def first_claim(data: Path, claim_file: Path) -> str:
    """The first claim of a file that a pool answers, else its first; the file is checked."""
    evidence, protocol = load(data, claim_file), load_protocol(data)
    rows = list(evidence.claims.itertuples())
    pooled = [row.claim_id for row in rows if "outcome" in answer_of(protocol, row)]
    if not rows:
        raise ParameterError(f"{claim_file}: expected at least one claim, found none")
    return pooled[0] if pooled else rows[0].claim_id


def page_and_slides(notebook: Path, into: Path, values: Mapping[str, Any]) -> list[Path]:
    """Run the notebook and write its page and its slides; the files that were made."""

    executed = run_notebook(notebook, into, values)
    origin = provenance(data_of(notebook, values))
    page, shown = executed.with_suffix(".html"), executed.with_name("slides.html")
    write_page(executed, page, origin)
    write_slides(executed, shown, origin)
    return [executed, page, shown]


def worksheet_command(notebook: Path, into: Path, values: Mapping[str, Any], *, pdf: bool = False) -> list[Path]:
    """Write the worksheet, as PDF, too, if asked for; the files that were made."""

    own = {one.name: one.default for one in declared(read(notebook))} | dict(values)
    target = Path(into) / "worksheet.html"
    chosen = {name: own[name] for name in OF_WORKSHEET}
    write_worksheet(target, data_of(notebook, values), own["CLAIM"], own["CLAIMS"], **chosen)
    if not pdf:
        return [target]
    from cellclaims.runner.pdf import chromium, print_page

    printed = target.with_suffix(".pdf")
    print_page(chromium(), target, printed)
    return [target, printed]
