"""Rules that every notebook keeps: how it opens, how long a cell is, what its outputs may hold."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import nbformat
import pytest

from cellclaims.parameters import has_rule
from cellclaims.runner import page
from cellclaims.runner.page import alternative, question
from cellclaims.runner.run import declared

NOTEBOOKS = sorted((Path(__file__).resolve().parent.parent / "notebooks").glob("*.ipynb"))

#: What a tag may be: ``headline`` is the answer in short, ``main-figure`` stands on the index, ``no-slide`` is left out
#: of the journal club's slides.
TAGS = {"parameters", "headline", "figure", "main-figure", "hide-input", "no-slide"}
#: Characters of a line of code: what a page, a slide and a printed sheet show without scrolling.
WIDEST = 100
#: Lines of a cell; parameters are a table, one a line, and may be as many as a reader still takes in.
LONGEST, MOST_PARAMETERS = 15, 17
#: Parameters that every notebook has, so that a run can be led to its own folders.
PLACES = {"DATA": "../data", "FIGURES": "", "REPORTS": ""}
#: An object's address, a folder of a person or a machine, a temporary file of the kernel.
TRACES = re.compile(r"\bat 0x[0-9a-f]+|/(home|root|Users|tmp|var|opt)/|[A-Za-z]:\\|ipykernel_\d+|site-packages")
RUN_METADATA = {"papermill", "execution", "ExecuteTime", "collapsed", "widgets"}


def tags(cell):
    return set(cell.metadata.get("tags", []))


def code_cells(book):
    return [cell for cell in book.cells if cell.cell_type == "code"]


def outputs(book):
    return [output for cell in code_cells(book) for output in cell.outputs]


def output_text(output):
    """Everything that an output says, drawings too."""
    parts = [output.get("text", ""), *output.get("traceback", [])]
    return "\n".join([*parts, *(str(part) for part in output.get("data", {}).values())])


def opens_with_title_and_question(book):
    first = book.cells[0]
    if first.cell_type != "markdown" or not first.source.startswith("# "):
        yield "expected a title in the first cell"
    elif not question(book):
        yield "expected **Question** with a sentence in the first cell"


def has_its_parameters(book):
    places = [number for number, cell in enumerate(book.cells) if "parameters" in tags(cell)]
    if len(places) != 1 or places[0] > 2:
        yield f"expected one parameters cell among the first three, found {places}"
        return
    found = declared(book)
    yield from (f"{one.name}: expected a comment that is its help" for one in found if not one.help)
    if {one.name: one.default for one in found if one.name in PLACES} != PLACES:
        yield f"expected {PLACES} among the parameters"


def tags_are_known(book):
    yield from (f"unknown tag {tag!r}" for cell in book.cells for tag in sorted(tags(cell) - TAGS))


def defines_nothing(book):
    kinds = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef, ast.Lambda)
    for cell in code_cells(book):
        statements = re.sub(r"^\s*[%!].*$", "", cell.source, flags=re.MULTILINE)
        found = [node for node in ast.walk(ast.parse(statements)) if isinstance(node, kinds)]
        yield from (f"logic belongs in the package: {ast.unparse(node).splitlines()[0]}" for node in found)


def cells_are_short(book):
    for cell in code_cells(book):
        lines = [line for line in cell.source.splitlines() if line.strip()]
        if len(lines) > (MOST_PARAMETERS if "parameters" in tags(cell) else LONGEST):
            yield f"{len(lines)} lines in the cell that starts {lines[0]!r}"


def lines_are_short(book):
    for cell in code_cells(book):
        yield from (f"{len(line)} characters in {line!r}" for line in cell.source.splitlines() if len(line) > WIDEST)


def hands_its_parameters_to_the_review(book):
    """So that an impossible value is refused by name under papermill, too."""
    calls = [
        node
        for cell in code_cells(book)
        for node in ast.walk(ast.parse(cell.source))
        if isinstance(node, ast.Call) and getattr(node.func, "id", "") == "open_review"
    ]
    if calls:
        given = {keyword.arg for keyword in calls[0].keywords}
        for one in declared(book):
            if has_rule([one.name]) and one.name not in given:
                yield f"expected open_review(..., {one.name}={one.name})"


def was_run_from_top_to_bottom(book):
    counts = [cell.execution_count for cell in code_cells(book)]
    if counts != list(range(1, len(counts) + 1)):
        yield f"expected execution counts 1 to {len(counts)}, found {counts}"


def holds_no_error_or_warning(book):
    for output in outputs(book):
        if output.output_type == "error" or output.get("name") == "stderr":
            yield f"found an error or a warning: {output_text(output)[:80]!r}"


def holds_no_trace_of_a_run(book):
    for part in (book, *book.cells):
        yield from (f"run metadata {name!r}" for name in sorted(RUN_METADATA & set(part.metadata)))
    if "version" in book.metadata.get("language_info", {}):
        yield "the kernel's version"
    for text in (*map(output_text, outputs(book)), *(cell.source for cell in book.cells)):
        yield from (f"a trace of one machine: {found[0]!r}" for found in TRACES.finditer(text))


def figures_have_words(book):
    for output in outputs(book):
        data = output.get("data", {})
        if any(kind.startswith("image/") for kind in data):
            words = alternative(data)
            if len(words.split()) < 3 or words.startswith("<"):
                yield f"expected words for who does not see the figure, found {words!r}"
            if "figure" not in tags(next(cell for cell in code_cells(book) if output in cell.outputs)):
                yield f"expected the tag 'figure' on the cell that shows {words[:40]!r}"


def formulas_can_be_shown(book):
    for cell in book.cells:
        if cell.cell_type == "markdown":
            formulas = re.findall(r"\$\$(.+?)\$\$|\$(.+?)\$", cell.source, re.DOTALL)
            yield from (f"cannot read {a or b!r}" for a, b in formulas if "<code>" in page.mathml(a or b, "inline"))


RULES = [
    opens_with_title_and_question,
    has_its_parameters,
    tags_are_known,
    defines_nothing,
    cells_are_short,
    lines_are_short,
    hands_its_parameters_to_the_review,
    was_run_from_top_to_bottom,
    holds_no_error_or_warning,
    holds_no_trace_of_a_run,
    figures_have_words,
    formulas_can_be_shown,
]


def test_there_are_notebooks_in_reading_order():
    names = [path.name for path in NOTEBOOKS if path.name[0].isdigit()]
    assert len(names) >= 5
    assert [name[:3] for name in names] == [f"{number:02d}_" for number in range(1, len(names) + 1)]


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.__name__)
@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_a_notebook_keeps_the_rules(path, rule):
    assert list(rule(nbformat.read(path, as_version=4))) == []


# --- each rule finds what it is there for ---------------------------------------------------------------------


@pytest.fixture
def good(small_review):
    """A small notebook that keeps every rule."""
    book = nbformat.read(small_review(("show()", "figure"), "The mean is $\\bar y$."), as_version=4)
    alt = {"image/svg+xml": '<svg xmlns="http://www.w3.org/2000/svg"/>', "text/plain": "A line that rises."}
    book.cells[2].outputs = [nbformat.v4.new_output("display_data", alt)]
    for count, cell in enumerate(code_cells(book), start=1):
        cell.execution_count = count
    return book


def change(book, **parts):
    """The book with a part of its third cell changed."""
    book.cells[2].update(parts)
    return book


def printed(text, name="stdout"):
    return [nbformat.v4.new_output("stream", name=name, text=text)]


BREAKS = {
    "opens_with_title_and_question": [
        lambda book: book.cells[0].update(source="No title\n\n**Question.** What?"),
        lambda book: book.cells[0].update(source="# A title\n\nand no question"),
        lambda book: book.cells.pop(0),
    ],
    "has_its_parameters": [
        lambda book: book.cells.pop(1),
        lambda book: book.cells.append(book.cells[1]),
        lambda book: book.cells.insert(1, book.cells.pop(1)) or book.cells[1].update(source="A: int = 1"),
        lambda book: book.cells[1].update(source=book.cells[1].source.replace("  # how much of it", "")),
        lambda book: book.cells[1].update(source=book.cells[1].source.replace("../data", "data")),
        lambda book: book.cells.extend([book.cells[3], book.cells[0], book.cells.pop(1)]),
    ],
    "tags_are_known": [lambda book: book.cells[2].metadata.tags.append("hide-celll")],
    "defines_nothing": [
        lambda book: change(book, source="def f():\n    return 1"),
        lambda book: change(book, source="class A: pass"),
        lambda book: change(book, source="f = lambda x: x"),
    ],
    "cells_are_short": [lambda book: change(book, source="a = 1\n" * 16)],
    "lines_are_short": [lambda book: change(book, source="a = '" + 100 * "x" + "'")],
    "hands_its_parameters_to_the_review": [
        lambda book: (
            book.cells[1].update(source=book.cells[1].source + "MONTHS: float = 12.0  # when\n")
            or change(book, source="review = open_review('01', DATA)")
        )
    ],
    "was_run_from_top_to_bottom": [
        lambda book: change(book, execution_count=3),
        lambda book: change(book, execution_count=None),
    ],
    "holds_no_error_or_warning": [
        lambda book: change(book, outputs=printed("careful", "stderr")),
        lambda book: change(book, outputs=[nbformat.v4.new_output("error", ename="E", evalue="", traceback=["E"])]),
    ],
    "holds_no_trace_of_a_run": [
        lambda book: change(book, outputs=printed("<Line2D at 0x7f01>")),
        lambda book: change(book, outputs=printed("/home/someone/review")),
        lambda book: change(book, source="DATA = 'C:\\\\data'"),
        lambda book: book.metadata.update(papermill={}),
        lambda book: book.cells[2].metadata.update(execution={}),
        lambda book: book.metadata.update(language_info={"version": "3.11.7"}),
    ],
    "figures_have_words": [
        lambda book: book.cells[2].outputs[0].data.update({"text/plain": "<Figure size 1x1>"}),
        lambda book: book.cells[2].outputs[0].data.update({"text/plain": ""}),
        lambda book: book.cells[2].metadata.update(tags=[]),
    ],
    "formulas_can_be_shown": [lambda book: book.cells[3].update(source="$\\frac{1}{$")],
}


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.__name__)
def test_the_good_notebook_keeps_every_rule(good, rule):
    assert list(rule(good)) == []


@pytest.mark.parametrize(
    ("rule", "number"), [(rule, number) for rule in RULES for number in range(len(BREAKS[rule.__name__]))]
)
def test_a_rule_finds_what_it_is_there_for(good, rule, number):
    BREAKS[rule.__name__][number](good)
    assert list(rule(good)) != []
