"""Habits of language that make the text hard to read are counted by file, and a file may have few of them.

    python tests/test_language.py [FOLDER]      list the counts by file, the highest first

The test is a guard: a text without any of these marks can still be hard to read.
"""

from __future__ import annotations

import ast
import io
import json
import re
import sys
import tokenize
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent

#: Mark -> pattern. Case is ignored.
MARKS = {
    "stand": r"\b(?:with)?stands?\b|\bstood\b",
    "beside": r"\bbesides?\b",
    "told": r"\b(?:told|tells?)\b",
    "hold": r"\b(?:holds?|held)\b",
    "honest": r"\bhonest(?:ly|y)?\b",
    "printed": r"\bprint(?:s|ed)\b",
    "share": r"\b(?:an?|the|each|every|its|this|whose|what|of|as|pooled|advertised) shares?\b|\bshares? of\b",
    "seen": r"\b(?:text|not|was|were|is) seen\b",
    "doubted": r"\bdoubt(?:ed|s|ful)?\b",
    "one a report": (
        r"\b(?:rows?|lines?|cards?|reports?|process(?:es)?|records?|figures?|seconds?|modules?|folders?|commits?|one"
        r"|pages?|cells?|entry|drawings?|tests?|files?|answers?|times) an? (?:reports?|figure|row|line|study|record"
        r"|source|page|kind|group|parameter|worker|package|test|claim|entry|fit|batch|file|arm|second|day|year)\b"
    ),
    "what is left": r"\bwhat is left\b|\bis left of\b",
    "from nothing": r"\bfrom nothing\b|\bnothing else\b|\bas named\b|\bof (?:its|their) own\b",
    "asked for": r"\basked for\b|\basks? (?:nobody|no)\b",
    "so many": r"\bso many\b",
    "hardly": r"\bhardly\b|\bwent missing\b|\bcarr(?:ied|ies) on\b|\bat a glance\b|\bin silence\b",
    "carry": r"\bcarr(?:y|ies|ied)\b(?! on)",
    "speak": r"\b(?:speaks?|spoke)\b",
    "whoever": r"\b(?:whoever|whatever)\b",
    "space before %": r"\d[ \u00a0]%",
    "fragment": r"\bread with care\b|\band says so\b|\bsay why\b|\bno guess\b",
    "aside": r"\b(?:made|written|put) aside\b|\bwhen (?:it is|they are) whole\b",
    "taken over": r"\b(?:take|takes|taken|took) over\b",
    "parted": r"\bparted by\b|\bhanded (?:on|out|over)\b",
}
PATTERNS = {mark: re.compile(pattern, re.IGNORECASE) for mark, pattern in MARKS.items()}

#: Any word can be right in its place.
SMALL = 2

#: File -> how many marks it may have, and why these are right.
ALLOWED: dict[str, tuple[int, str]] = {
    "data/README.md": (3, "printed is a value of the column status"),
    "docs/add_a_study.md": (20, "printed is a value of the column status in the rows to enter"),
    "data/datapackage.json": (3, "printed is a value of the column status, and the title of a column"),
    "src/cellclaims/units.py": (6, "spellings of units in the tables, such as (unit not printed)"),
}

#: File -> marks that it has today; each is to be rewritten and then to leave this list.
WAITING: dict[str, int] = {
    "benchmarks/calibration.py": 4,
    "data/protocol.yml": 23,
    "docs/appraisal.md": 18,
    "docs/calibration.md": 55,
    "docs/method.md": 10,
    "docs/protocol.md": 6,
    "src/cellclaims/appraisal/check.py": 9,
    "src/cellclaims/appraisal/checks.py": 27,
    "src/cellclaims/appraisal/consistency.py": 14,
    "src/cellclaims/appraisal/design_facts.py": 10,
    "src/cellclaims/appraisal/granularity.py": 33,
    "src/cellclaims/claims/counterparts.py": 5,
    "src/cellclaims/claims/findings.py": 7,
    "src/cellclaims/claims/ledger.py": 4,
    "src/cellclaims/claims/topics.py": 3,
    "src/cellclaims/effects.py": 5,
    "src/cellclaims/pool.py": 4,
    "src/cellclaims/question.py": 6,
    "src/cellclaims/reporting/appraisal.py": 3,
    "src/cellclaims/reporting/evidence.py": 5,
    "src/cellclaims/reporting/tables.py": 3,
    "src/cellclaims/selection.py": 16,
    "src/cellclaims/specifications/curve.py": 3,
    "src/cellclaims/specifications/fits.py": 8,
    "src/cellclaims/specifications/row_sets.py": 9,
    "tests/RULES.md": 54,
}


def markdown(text: str) -> str:
    """Prose of a Markdown text: without code, addresses and the pipe's rows that a program writes."""
    without = r"```.*?```|<!-- faults.*?<!-- end of faults -->|^(?: {4}|\t).*?$"
    text = re.sub(without, "", text, flags=re.S | re.M)
    return re.sub(r"`[^`\n]*`|\]\([^)]*\)|https?://\S+", " ", text)


def strings(source: str) -> Iterator[str]:
    """Docstrings, comments and sentences of a Python text; names in it and single words are no prose."""
    for token in tokenize.generate_tokens(io.StringIO(source).readline):
        sentence = token.type == tokenize.STRING and " " in token.string
        if sentence or token.type in (tokenize.COMMENT, getattr(tokenize, "FSTRING_MIDDLE", None)):
            yield token.string


def python(source: str) -> str:
    """Prose of a Python text, without examples, fields of f-strings and quoted code."""
    text = "\n".join(strings(source))
    text = re.sub(r"^\s*(?:>>>|\.\.\.|[\w, *]+ : ).*$", "", text, flags=re.M)
    return re.sub(r"\{[^{}\n]*\}|``[^`\n]*``|:\w+:`[^`\n]*`|`[^`\n]*`", " ", text)


def notebook(text: str) -> str:
    """Prose of a notebook: its Markdown, and comments and sentences in its code."""
    parts = []
    for cell in json.loads(text)["cells"]:
        source = "".join(cell["source"])
        parts.append(markdown(source) if cell["cell_type"] == "markdown" else python(source))
    return "\n".join(parts)


def described(text: str) -> str:
    """Titles and descriptions of a JSON file."""
    found: list[str] = []

    def walk(value: object) -> None:
        if isinstance(value, dict):
            found.extend(value[key] for key in ("title", "description") if isinstance(value.get(key), str))
            for one in value.values():
                walk(one)
        elif isinstance(value, list):
            for one in value:
                walk(one)

    walk(json.loads(text))
    return "\n".join(found)


def template(text: str) -> str:
    """Text of a template without its tags."""
    return re.sub(r"{%.*?%}|{{.*?}}|<style>.*?</style>", " ", text, flags=re.S)


READ = {".md": markdown, ".py": python, ".ipynb": notebook, ".json": described, ".j2": template, ".html": template}


def files(root: Path) -> list[Path]:
    """The texts that are written for people: pages, notebooks, the package, the site, descriptions of data."""
    patterns = (
        "*.md", "docs/*.md", "data/README.md", "tests/RULES.md", "notebooks/*.ipynb", "src/cellclaims/**/*.py",
        "src/cellclaims/**/*.j2", "benchmarks/**/*.py", "site/**/*.py", "site/**/*.html", "data/datapackage.json",
        "data/protocol.yml", "data/*.schema.json", "runs/*.yml", "runs/schema.json", "Makefile", ".ci/run",
        "Dockerfile", "environment.yml", "CITATION.cff", "pyproject.toml",
    )  # fmt: skip
    found = {path for pattern in patterns for path in root.glob(pattern) if ".running" not in path.name}
    return sorted(found)


def counts(path: Path) -> Counter[str]:
    """Number of each mark in the prose of a file."""
    text = READ.get(path.suffix, lambda whole: whole)(path.read_text(encoding="utf-8"))
    return Counter({mark: n for mark, pattern in PATTERNS.items() if (n := len(pattern.findall(text)))})


def places(path: Path) -> list[str]:
    """Each mark of a file with the words around it."""
    text = READ.get(path.suffix, lambda whole: whole)(path.read_text(encoding="utf-8"))
    found = []
    for mark, pattern in PATTERNS.items():
        for match in pattern.finditer(text):
            near = text[max(0, match.start() - 60) : match.end() + 40]
            found.append(f"{mark}: ...{' '.join(near.split())}...")
    return found


@pytest.mark.parametrize("path", files(ROOT), ids=lambda path: path.relative_to(ROOT).as_posix())
def test_a_file_has_few_marks_of_language_that_is_hard_to_read(path):
    name = path.relative_to(ROOT).as_posix()
    most = max(SMALL, ALLOWED.get(name, (0, ""))[0], WAITING.get(name, 0))
    found = places(path)
    assert len(found) <= most, f"{name}: expected at most {most} marks (see MARKS), found {len(found)}:\n" + "\n".join(
        found
    )


def test_the_lists_name_files_that_need_them():
    """An allowance that a file no longer needs is taken out, so that it cannot fill up again."""
    there = {path.relative_to(ROOT).as_posix(): sum(counts(path).values()) for path in files(ROOT)}
    assert not set(ALLOWED) - set(there) and not set(WAITING) - set(there)
    assert [name for name in (*ALLOWED, *WAITING) if there[name] <= SMALL] == []
    assert [name for name, (_, reason) in ALLOWED.items() if len(reason.split()) < 3] == []


@pytest.mark.parametrize(
    ("suffix", "text", "mark"),
    [
        (".md", "What stands in the table.", "stand"),
        (".py", '"""Figures that are told beside the pool."""\n', "beside"),
        (".py", "def f():\n    raise ValueError(f'row {1} holds nothing else')\n", "hold"),
        (".py", "x = 1  # the honest result\n", "honest"),
        (".json", '{"fields": [{"description": "a share of 93 % as printed"}]}', "space before %"),
        (".ipynb", '{"cells": [{"cell_type": "markdown", "source": ["One row a report."]}]}', "one a report"),
    ],
)
def test_marks_are_found_in_every_kind_of_text(tmp_path, suffix, text, mark):
    path = tmp_path / f"text{suffix}"
    path.write_text(text)
    assert counts(path)[mark] == 1


def test_names_and_quoted_code_are_no_prose(tmp_path):
    path = tmp_path / "module.py"
    path.write_text('def held(printed):\n    """Column ``share`` of ``held``."""\n    return {"beside": printed}\n')
    assert counts(path) == Counter()
    ast.parse(path.read_text())


def main(root: Path = ROOT) -> None:
    """Print the counts by file, the highest first, and the sum of each mark."""
    table = {path.relative_to(root).as_posix(): counts(path) for path in files(root)}
    for name, found in sorted(table.items(), key=lambda item: -sum(item[1].values())):
        if found:
            print(f"{sum(found.values()):5}  {name}  ({', '.join(f'{mark} {n}' for mark, n in found.most_common())})")
    total = sum(table.values(), Counter())
    print(f"{sum(total.values()):5}  all  ({', '.join(f'{mark} {n}' for mark, n in total.most_common())})")


if __name__ == "__main__":
    main(Path(sys.argv[1]) if sys.argv[1:] else ROOT)
