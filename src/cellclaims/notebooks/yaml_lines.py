"""A YAML file with the line of everything in it, so that a refusal can say where."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from cellclaims.errors import ParameterError
from cellclaims.notebooks.parameters import core_loader

if TYPE_CHECKING:
    import yaml


#: Levels of a file; an alias inside what it stands for has no end.
DEEPEST = 20


@dataclass(frozen=True)
class Lines:
    """The lines of a file: a *place* is the way from its top, such as ``("sets", 0, "grid", "MONTHS", 1)``."""

    path: Path
    numbers: Mapping[tuple, int]

    def line(self, place: tuple) -> int:
        """The line of a place, or of the nearest place around it that the file has."""
        around = (place[:length] for length in range(len(place), 0, -1))
        return next((self.numbers[part] for part in around if part in self.numbers), 1)

    def at(self, place: tuple) -> str:
        """File and line of a place, for a message."""
        return f"{self.path}, line {self.line(place)}"


def read_yaml(path: Path) -> tuple[object, Lines]:
    """The content of a YAML file (1.2 core schema) and its lines.

    Raises
    ------
    ParameterError
        If there is no such file, it is no YAML, or a key stands twice in one mapping.
    """
    import yaml

    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise ParameterError(f"expected a file of parameter sets at {path}: {error}") from None
    loader = core_loader()(text)
    try:
        node = loader.get_single_node()
        if node is None:
            raise ParameterError(f"{path}, line 1: expected parameter sets, found an empty file")
        lines = Lines(path, dict(_lines(node, (), path)))
        return loader.construct_document(node), lines
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        raise ParameterError(f"{path}, line {mark.line + 1 if mark else 1}: {error.problem}") from None
    finally:
        loader.dispose()


def _lines(node: yaml.Node, place: tuple, path: Path) -> Iterator[tuple[tuple, int]]:
    """Every place in a node with its line, counted from 1; a value's line is that of its key."""
    if len(place) > DEEPEST:
        raise ParameterError(f"{path}, line {node.start_mark.line + 1}: expected at most {DEEPEST} levels")
    if node.id == "mapping":
        seen: set[str] = set()
        for key, value in node.value:
            line = key.start_mark.line + 1
            if key.id != "scalar":
                raise ParameterError(f"{path}, line {line}: expected a name as key, found a {key.id}")
            if key.value in seen:
                raise ParameterError(f"{path}, line {line}: {key.value!r} stands twice")
            seen.add(key.value)
            yield (*place, key.value), line
            yield from _lines(value, (*place, key.value), path)
    elif node.id == "sequence":
        for number, item in enumerate(node.value):
            yield (*place, number), item.start_mark.line + 1
            yield from _lines(item, (*place, number), path)
