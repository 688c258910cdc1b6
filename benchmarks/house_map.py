"""The map of the package, drawn from its imports, and the numbers of docs/design.md.

    python benchmarks/house_map.py             prints the table of numbers
    python benchmarks/house_map.py --write     writes docs/figures/house.svg and the table of docs/design.md as well

Imports inside functions count, and imports between modules of one folder. The test of the import order reads the same
functions.
"""

from __future__ import annotations

import argparse
import ast
import functools
import re
from collections.abc import Collection, Iterator, Mapping, Sequence
from html import escape
from pathlib import Path
from statistics import median

from cellclaims.files import write_atomically

ROOT = Path(__file__).resolve().parent.parent
PACKAGE = ROOT / "src" / "cellclaims"
#: Import order of what lies directly under the package: each imports only what comes before it.
ORDER = """
errors lazy files yaml_files units dispersion protocol evidence registries harvest screening question anomalies
selection effects meta robustness trial_size pool specifications overview harms alternatives parameters appraisal
claims reporting figures own_studies review runner journal_club forms cli
""".split()
#: Marks around the table in docs/design.md.
BEGIN, END = "<!-- numbers: written by benchmarks/house_map.py -->\n", "<!-- end -->"


def modules(package: Path = PACKAGE) -> dict[str, Path]:
    """Return every module by its name below the package (``meta.fit``; a folder by its own name), sorted."""
    found = {}
    for path in sorted(package.rglob("*.py")):
        parts = path.relative_to(package).with_suffix("").parts
        found[".".join(parts[:-1] if parts[-1] == "__init__" else parts)] = path
    return found


def tree_of(path: Path) -> ast.Module:
    """Return the syntax tree of a file; parsed once while the file is unchanged."""
    return _parsed(path, path.stat().st_mtime_ns)


@functools.cache
def _parsed(path: Path, _: int) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"))


def imports(path: Path, package: Path, known: Collection[str]) -> Iterator[tuple[int, str]]:
    """Yield what a file imports of the package, wherever in the file: line, and the module among the ``known`` ones.

    ``from cellclaims.meta import fit`` imports the module ``meta.fit`` if there is one, else ``meta``.
    """
    name = f"{package.name}."
    for node in ast.walk(tree_of(path)):
        if isinstance(node, ast.Import):
            asked = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            stem = ".".join(_home(path, package, node.level)) if node.level else ""
            module = ".".join(part for part in (stem, node.module or "") if part)
            whole = [f"{module}.{alias.name}" for alias in node.names]
            asked = [one if one.removeprefix(name) in known else module for one in whole]
        else:
            continue
        for one in asked:
            if one.startswith(name):
                yield node.lineno, one.removeprefix(name)


def _home(path: Path, package: Path, level: int) -> list[str]:
    parts = [package.name, *path.relative_to(package).parent.parts]
    return parts[: len(parts) - level + 1]


def graph(package: Path = PACKAGE) -> dict[str, set[str]]:
    """Return module -> other modules that it imports."""
    known = modules(package)
    return {
        name: {other for _, other in imports(path, package, known) if other in known and other != name}
        for name, path in known.items()
    }


def circles(edges: Mapping[str, set[str]]) -> list[list[str]]:
    """Return groups of modules that import one another, directly or indirectly (Tarjan 1972).

    >>> circles({"a": {"b"}, "b": {"c"}, "c": {"b"}})
    [['b', 'c']]
    """
    number: dict[str, int] = {}
    low: dict[str, int] = {}
    stack: list[str] = []
    found: list[list[str]] = []

    def visit(name: str) -> None:
        number[name] = low[name] = len(number)
        stack.append(name)
        for other in sorted(edges.get(name, ())):
            if other not in number:
                visit(other)
                low[name] = min(low[name], low[other])
            elif other in stack:
                low[name] = min(low[name], number[other])
        if low[name] == number[name]:
            group = stack[stack.index(name) :]
            del stack[stack.index(name) :]
            if len(group) > 1:
                found.append(sorted(group))

    for name in edges:
        if name not in number:
            visit(name)
    return found


def class_names(package: Path = PACKAGE) -> dict[str, list[str]]:
    """Return name of a class -> modules that define it."""
    found: dict[str, list[str]] = {}
    for name, path in modules(package).items():
        for node in ast.walk(tree_of(path)):
            if isinstance(node, ast.ClassDef):
                found.setdefault(node.name, []).append(name)
    return found


def numbers(package: Path = PACKAGE) -> list[tuple[str, str]]:
    """Return the numbers for the table of docs/design.md."""
    lengths = {name: len(path.read_text(encoding="utf-8").splitlines()) for name, path in modules(package).items()}
    longest = max(lengths, key=lengths.__getitem__)
    names = class_names(package)
    doubled = sorted(name for name, where in names.items() if len(where) > 1)
    return [
        ("modules", f"{len(lengths)}"),
        ("lines", f"{sum(lengths.values())}"),
        ("longest module", f"{lengths[longest]} lines (`{longest}`)"),
        ("median module", f"{median(lengths.values()):g} lines"),
        ("circles of imports", f"{len(circles(graph(package)))}"),
        ("classes", f"{sum(map(len, names.values()))}"),
        ("class names used twice", f"{len(doubled)}" + (f" ({', '.join(doubled)})" if doubled else "")),
    ]


def table(rows: Sequence[tuple[str, str]]) -> str:
    """Return the numbers as a Markdown table."""
    return "\n".join(["| | |", "|---|---|", *(f"| {what} | {much} |" for what, much in rows)]) + "\n"


def drawn(order: Sequence[str] = ORDER, package: Path = PACKAGE) -> str:
    """Return the map as SVG: a line for each module or folder, a dot where it imports the one of the column.

    Every dot lies below the diagonal, as nothing imports what comes after it.
    """
    edges: dict[str, set[str]] = {}
    sizes: dict[str, int] = {}
    for name, others in graph(package).items():
        top = name.split(".")[0]
        sizes[top] = sizes.get(top, 0) + 1
        edges.setdefault(top, set()).update(other.split(".")[0] for other in others)
    step, left, top = 18, 150, 110
    side = left + step * len(order)
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" role="img" viewBox="0 0 {side + 10} {top + step * len(order) + 10}" '
        'font-family="sans-serif" font-size="12">',
        "<title>Which part of the package imports which</title>",
        f"<desc>Rows and columns are the parts in import order: {', '.join(order)}. A dot marks an import; "
        "all dots lie below the diagonal.</desc>",
        f'<rect width="{side + 10}" height="{top + step * len(order) + 10}" fill="#ffffff"/>',
    ]
    for place, name in enumerate(order):
        y, x = top + step * (place + 0.5), left + step * (place + 0.5)
        size = f" ({sizes.get(name, 0)})" if sizes.get(name, 0) > 1 else ""
        parts.append(f'<text x="{left - 8}" y="{y + 4:g}" text-anchor="end">{escape(name + size)}</text>')
        parts.append(f'<text transform="translate({x + 4:g} {top - 6}) rotate(-60)">{escape(name)}</text>')
        parts.append(f'<line x1="{left}" y1="{y:g}" x2="{x:g}" y2="{y:g}" stroke="#d5dade"/>')
        for column, other in enumerate(order):
            if other in edges.get(name, ()) and other != name:
                parts.append(f'<circle cx="{left + step * (column + 0.5):g}" cy="{y:g}" r="5" fill="#0a5c66"/>')
        parts.append(f'<rect x="{x - 5:g}" y="{y - 5:g}" width="10" height="10" fill="#9aa5ad"/>')
    return "\n".join([*parts, "</svg>"]) + "\n"


def written(page: str, rows: Sequence[tuple[str, str]]) -> str:
    """Return a page with the updated table between its marks."""
    mark = re.compile(f"{re.escape(BEGIN)}.*?{re.escape(END)}", re.DOTALL)
    if not mark.search(page):
        raise SystemExit(f"expected the mark {BEGIN.strip()} with its {END} in docs/design.md, found none")
    return mark.sub(lambda _: f"{BEGIN}{table(rows)}{END}", page)


def main(arguments: Sequence[str] | None = None) -> None:
    """Print the table; write it and the map on request."""
    asked = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    asked.add_argument("--write", action="store_true", help="write docs/figures/house.svg and the table of design.md")
    rows = numbers()
    print(table(rows), end="")
    if asked.parse_args(arguments).write:
        page = ROOT / "docs" / "design.md"
        write_atomically(ROOT / "docs" / "figures" / "house.svg", drawn())
        write_atomically(page, written(page.read_text(encoding="utf-8"), rows))


if __name__ == "__main__":
    main()
