"""Slides, worksheet and solutions of a sitting: HTML files that ask the network for nothing.

A heading of the executed notebook starts a slide; what follows it, text and outputs, belongs to it; code and folded
parts do not. nbconvert's own slides load reveal.js from a network, so the page brings a few lines of script,
the only one that its policy allows. The worksheet has the questions of the hour without answers, on one page; the
solutions have the answers.
"""

from __future__ import annotations

import base64
import hashlib
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from markupsafe import Markup

from cellclaims import claims, protocol
from cellclaims.claims.counterparts import UNSAID, answer_of, claim_of
from cellclaims.errors import ParameterError
from cellclaims.figures import formula_svg
from cellclaims.files import write_atomically
from cellclaims.journal_club import exercises, paper
from cellclaims.journal_club.audience import (
    DOMAINS,
    JUDGEMENTS,
    PREDICTIONS,
    RATED,
    RATINGS,
    Audience,
    predictions_table,
)
from cellclaims.journal_club.by_hand import ByHand, can_be_worked, three
from cellclaims.journal_club.claim_file import load
from cellclaims.journal_club.controls import ClaimAnswer, Controls, answer, controls_of, outcomes
from cellclaims.pool import Pool
from cellclaims.protocol import load as load_protocol
from cellclaims.reporting.claims import paragraph
from cellclaims.runner.page import (
    Contents,
    Provenance,
    data_uri,
    exporter,
    markdown,
    provenance,
    question,
    safe_html,
    shell,
    title,
    write_page,
)
from cellclaims.runner.run import declared, places, read, run_notebook
from cellclaims.selection import EvidenceBase

if TYPE_CHECKING:
    from nbformat import NotebookNode


TEMPLATES = Path(__file__).with_name("templates")
HEADING = re.compile(r"^#{1,3}\s+(.+)$", re.MULTILINE)
#: Tags of cells that the page and the notebook show, and the slides do not.
NO_SLIDE = frozenset({"hide-input", "no-slide"})
#: The most slides that a sitting of an hour has.
MOST = 18


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
        Executed; its first cell has the title and the question.
    origin : Provenance
        What the numbers were made from.
    name : str
        Name of the notebook without its ending, for the link to its page.

    Returns
    -------
    str
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
    """The slides in their order; of the first cell the title and the question, and nothing of the leader's notes."""
    contents = Contents()
    slide = Slide(title(notebook), [markdown(f"# {title(notebook)}"), question_of(notebook)])
    for number, cell in enumerate(notebook.cells[1:]):
        section = contents.section(cell)
        found = HEADING.search(cell.source) if section["kind"] == "text" else None
        if found:
            yield slide
            slide = Slide(found[1].strip(), [section["html"]])
        elif number and len(notebook.cells):
            slide.parts += _shown(section)
    yield slide


def question_of(notebook: NotebookNode) -> Markup:
    """The notebook's question as a paragraph."""
    return markdown(question(notebook))


def _shown(section: dict) -> list[Markup]:
    """HTML shown on a slide for one cell: its text or its outputs; never its code, nor what pages hide or fold."""
    if section["kind"] == "text":
        return [section["html"]]
    if not NO_SLIDE.isdisjoint(section.get("tags", [])):
        return []
    return [shown for shown in section.get("outputs", []) if "<details" not in shown]


# What worksheet and solutions are made from.


class Formula(NamedTuple):
    """A formula of the sheet: its name, the formula, and the same read aloud."""

    name: str
    latex: str
    words: str


#: The sheet's formulas, the numbers left open.
FORMULAS = (
    Formula("logit", r"y = \ln\,\dfrac{x}{n-x}", "y is the natural logarithm of x over n minus x"),
    Formula("variance", r"v = \dfrac{1}{x}+\dfrac{1}{n-x}", "v is one over x plus one over n minus x"),
    Formula("weight", r"w = \dfrac{1}{v+\tau^2}", "w is one over v plus tau squared"),
    Formula("mean", r"\mu = \dfrac{\Sigma\, w\,y}{\Sigma\, w}", "mu is the sum of w times y over the sum of w"),
    Formula("SE", r"SE = \dfrac{1}{\sqrt{\Sigma\, w}}", "SE is one over the square root of the sum of w"),
    Formula("back", r"p = \dfrac{1}{1+e^{-\mu}}", "p is one over one plus e to the power of minus mu"),
)


@dataclass(frozen=True)
class Sitting:
    """What one sitting is about: the claim, the pool of its forest plot, the outcomes near it, the sheet by hand.

    ``sheet`` is None where fewer than three studies can be pooled by hand.
    """

    base: EvidenceBase
    claim: Any
    asked: Controls
    answer: ClaimAnswer
    near: list[paper.Near]
    sheet: ByHand | None

    @property
    def published(self) -> dict[str, float | None]:
        """What was published, by prediction."""
        return published(self.near, self.answer, self.base)


def published(near: list[paper.Near], found: ClaimAnswer, base: EvidenceBase) -> dict[str, float | None]:
    """The answers to the three predictions: studies of exactly the outcome, the percentage, the change on placebo.

    Parameters
    ----------
    near : list of Near
        The published outcomes by closeness.
    found : ClaimAnswer
        The answer that the forest plot shows.
    base : EvidenceBase

    Returns
    -------
    dict of float
        None where nothing was published, or the studies are not pooled.
    """
    exact = [one.pool.k for one in near if one.close == "exact" and one.pool is not None]
    is_percentage = found.asked.is_share and found.pool.is_pooled
    return {
        "exact": float(sum(exact)) if exact else None,
        "shown": found.numbers["pooled"] if is_percentage else None,
        "placebo": paper.placebo_change(base.evidence),
    }


def sitting(
    data: str | Path = "data", claim_id: str = "stop_all_2016", claim_file: str | Path = "", **given: Any
) -> Sitting:
    """What a sitting is about.

    Parameters
    ----------
    data, claim_id, claim_file
        As in the notebook: the evidence, the claim, and the CSV of another advertisement.
    **given
        Other parameters of the notebook by name, such as ``OUTCOME``.

    Returns
    -------
    Sitting

    Raises
    ------
    ReviewError
        For a claim, a file or a parameter that cannot be used.
    """
    base = EvidenceBase(load(data, claim_file), protocol.load(data))
    claim = claim_of(base.evidence, claim_id)
    asked = controls_of(base, claim, **given)
    found = answer(base, claim, asked)
    pool = sheet_pool(base, found)
    sheet = three(pool) if can_be_worked(pool) else None
    return Sitting(base, claim, asked, found, paper.outcomes_near(base, claim), sheet)


def sheet_pool(base: EvidenceBase, found: ClaimAnswer) -> Pool:
    """The pool of the sheet: that of the forest plot, or islets in type 1 diabetes where it has too few studies."""
    return found.pool if can_be_worked(found.pool) else exercises.islets_by_time(base)["at_month"]


# The worksheet: one page of paper to write on, made from the claim and the studies of the notebook, without answers.


def write_worksheet(target: Path, about: Sitting) -> None:
    """Write the worksheet as one HTML file of one page.

    Parameters
    ----------
    target : Path
        The file.
    about : Sitting
    """
    write_atomically(target, worksheet(about, provenance(about.base.evidence.folder)))


def worksheet(about: Sitting, origin: Provenance) -> str:
    """The worksheet as HTML: the questions of the hour with blanks, and the sheet by hand with its formulas."""
    sheet = about.sheet
    studies = [] if sheet is None else list(zip(sheet.labels, sheet.events, sheet.n, strict=True))
    return filled(
        "worksheet.html.j2",
        wording=str(about.claim.wording).replace(" %", "%"),
        unsaid=list(UNSAID.values()),
        predictions=[(asked.question, asked.unit) for asked in PREDICTIONS.values()],
        domains=DOMAINS,
        judgements=JUDGEMENTS,
        outcomes=sorted((one.name for one in about.near), key=str.lower),
        outcome=outcomes(about.base.protocol)[about.asked.outcome],
        ratings=RATINGS.values(),
        rated=RATED,
        studies=[(label, f"{x:g}", f"{n:g}") for label, x, n in studies],
        tau2="" if sheet is None else f"{sheet.tau2:.3f}",
        z="" if sheet is None else f"{sheet.z:g}",
        level="" if sheet is None else sheet.level_words,
        formulas=[_drawn(one) for one in FORMULAS],
        people=exercises.PEOPLE,
        origin=origin,
        style=Markup((TEMPLATES / "worksheet.css").read_text(encoding="utf-8")),
    )


def _drawn(one: Formula) -> tuple[str, Markup]:
    """A formula as a drawing with its words: a fraction bar is a shape that no font moves."""
    svg = formula_svg(one.latex, one.words, one.name)
    return one.name, Markup('<img class="formula" src="{}" alt="{}">').format(data_uri(svg), one.words)


# The solutions: the answers to the worksheet, for the leader of the session.


def write_solutions(target: Path, about: Sitting) -> None:
    """Write the answers to the worksheet as one HTML file.

    Parameters
    ----------
    target : Path
        The file.
    about : Sitting
    """
    write_atomically(target, solutions(about, provenance(about.base.evidence.folder)))


def solutions(about: Sitting, origin: Provenance) -> str:
    """The solutions as HTML: every blank of the worksheet, with where the answer comes from."""
    base, evidence, nobody = about.base, about.base.evidence, Audience()
    overlap, islets = exercises.overlap_of(base), exercises.islets_by_time(base)
    parts: list[tuple[str, list[object]]] = [
        ("1 Read the page", [str(about.claim.wording).replace(" %", "%"), paper.page_table(about.claim)]),
        ("2 Predict", [predictions_table(nobody, about.published)]),
        ("3 Zang 2022: risk of bias", [paper.agreement(evidence), paper.bias_table(evidence, nobody),
                                       replace(paper.support_table(evidence), folded=False)]),
        ("4 Exact, near or not", [paper.outcome_table(about.near)]),
        ("5 The forest plot", [*about.answer.lines(), *moves(about)]),
        ("6 One sentence for the patient", [*sentence_notes(about), paragraph(claims.entry_of(base, about.claim))]),
    ]  # fmt: skip
    if about.sheet is not None:
        sheet = about.sheet
        steps = [item for what, latex in sheet.steps() for item in (_plain(what), markdown(f"$${latex}$$"))]
        parts.append(
            ("Backup: three studies by hand", [sheet.table(), *steps, sheet.added(), sheet.compared(about.answer.pool)])
        )
    parts.append(("Backup: overlapping cohorts and time", [exercises.overlap_words(overlap),
                                                           *exercises.time_words(islets)]))  # fmt: skip
    return filled(
        "solutions.html.j2",
        parts=[(heading, [_as_html(item) for item in items]) for heading, items in parts],
        origin=origin,
        style=shell().style + Markup((TEMPLATES / "solutions.css").read_text(encoding="utf-8")),
    )


def _as_html(item: object) -> Markup:
    if isinstance(item, Markup):
        return item
    if hasattr(item, "_repr_html_"):
        return safe_html(item._repr_html_())
    return Markup("<p>{}</p>").format(str(item))


def _plain(what: str) -> str:
    return re.sub(r"\\(.)", r"\1", what)


#: The moves that the worksheet asks for: what is done, and the fields that do it.
MOVES = (
    ("Without the largest study", "largest"),
    ("Counted at any time only", {"estimand": "ever"}),
    ("Counted at 12 months only", {"estimand": "at_month", "months": 12.0}),
    ("Without numbers from tables of reviews", {"secondary": False}),
)


def moves(about: Sitting) -> list[str]:
    """What each move of the worksheet gives, in words."""
    found = []
    for words, change in MOVES:
        if change == "largest":
            rows = about.answer.pool.rows
            if not len(rows):
                continue
            largest = rows.study_id[rows.n.idxmax()]
            words = f"{words} ({about.answer.labels[largest]})"
            change = {"without": (*about.asked.without, largest)}
        moved = answer(about.base, about.claim, replace(about.asked, **change))
        found.append(f"{words}: {moved.lines()[0]}")
    return found


def sentence_notes(about: Sitting) -> list[str]:
    """What a sentence for the patient needs, and an example with the numbers of the paper."""
    return [
        "A good sentence names the outcome, of how many, after how long, what happened without the cells, and what is "
        "not known. It neither promises nor frightens.",
        f"An example: {paper.example_sentence(about.base.evidence, about.published['exact'])}",
    ]


# ``cellclaims club``: the sitting of one claim as files to project and to print.


#: Parameters of the notebook that worksheet and solutions depend on, too.
OF_SITTING = (
    "OUTCOME", "ESTIMAND", "MONTHS", "WINDOW", "WITHOUT", "SECONDARY", "METHOD", "TEST", "CORRELATION", "TAU_SCALE",
)  # fmt: skip


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
    """Write the worksheet, as PDF as well with ``pdf``; the files that were made."""
    target = Path(into) / "worksheet.html"
    write_worksheet(target, _sitting_of(notebook, values))
    if not pdf:
        return [target]
    from cellclaims.runner.pdf import chromium, print_page

    printed = target.with_suffix(".pdf")
    print_page(chromium(), target, printed)
    return [target, printed]


def solutions_command(notebook: Path, into: Path, values: Mapping[str, Any]) -> list[Path]:
    """Write the solutions; the file that was made."""
    target = Path(into) / "solutions.html"
    write_solutions(target, _sitting_of(notebook, values))
    return [target]


def _sitting_of(notebook: Path, values: Mapping[str, Any]) -> Sitting:
    own = {one.name: one.default for one in declared(read(notebook))} | dict(values)
    chosen = {name: own[name] for name in OF_SITTING}
    return sitting(data_of(notebook, values), own["CLAIM"], own["CLAIMS"], **chosen)
