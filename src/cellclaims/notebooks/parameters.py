"""The parameters that a notebook declares, and the check of what it is given.

A notebook declares its parameters in the one code cell tagged ``parameters``: one assignment of a literal a
line, with a type and a comment that is its help. The cell is read by its syntax tree and never executed::

    MONTHS: float = 12.0                  # follow-up nearest to this many months
    DESIGNS: list[str] = ["rct"]          # study designs to include
    LIMIT: int | None = None              # show at most so many studies
"""

from __future__ import annotations

import ast
import contextlib
import difflib
import functools
import io
import json
import math
import re
import tokenize
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from cellclaims.errors import ParameterError

if TYPE_CHECKING:
    from nbformat import NotebookNode

TAG = "parameters"

#: Parameters that say where files lie, not what is asked.
PLACES = ("DATA", "FIGURES", "REPORTS")

#: The types that a parameter may have: those that a command line, JSON and YAML can carry.
SCALARS = {"bool": bool, "int": int, "float": float, "str": str, "None": type(None)}
CONTAINERS = {"list": list, "dict": dict}


@dataclass(frozen=True)
class Parameter:
    """One declared parameter: its name, its type as written (or that of the default), default and help."""

    name: str
    type: str
    default: object
    help: str


def declared(notebook: NotebookNode) -> tuple[Parameter, ...]:
    """Parameters of a notebook in the order in which they are declared; none without a ``parameters`` cell.

    Raises
    ------
    ParameterError
        If the cell holds anything but assignments of literals, or a type that no parameter has.
    """
    cells = [cell for cell in notebook.cells if TAG in cell.metadata.get("tags", [])]
    if len(cells) > 1:
        raise ParameterError(f"expected one cell tagged {TAG!r}, found {len(cells)}")
    return declared_in(cells[0].source) if cells else ()


def declared_in(source: str) -> tuple[Parameter, ...]:
    """Parameters declared in the text of a ``parameters`` cell.

    Raises
    ------
    ParameterError
        See :func:`declared`.

    Examples
    --------
    >>> declared_in("MONTHS: float = 12.0  # months after the cells")
    (Parameter(name='MONTHS', type='float', default=12.0, help='months after the cells'),)
    >>> declared_in("A = B")
    Traceback (most recent call last):
    cellclaims.errors.ParameterError: parameters cell, line 1: expected `NAME: type = literal`, found `A = B`
    """
    try:
        statements = ast.parse(source).body
    except SyntaxError as error:
        raise ParameterError(f"parameters cell, line {error.lineno}: {error.msg}") from error
    comments = _comments(source)
    return tuple(_parameter(statement, comments.get(statement.end_lineno, "")) for statement in statements)


def _parameter(statement: ast.stmt, help_text: str) -> Parameter:
    try:
        name, annotation = _target(statement)
        default = ast.literal_eval(statement.value)
    except (ValueError, TypeError, AttributeError):
        raise ParameterError(
            f"parameters cell, line {statement.lineno}: expected `NAME: type = literal`, "
            f"found `{ast.unparse(statement)}`"
        ) from None
    kind = ast.unparse(annotation) if annotation else type(default).__name__.replace("NoneType", "object")
    parameter = Parameter(name, kind, default, help_text)
    if not fits(default, kind):
        raise ParameterError(f"{name} is declared {kind}, but its default is {default!r}")
    return parameter


def _target(statement: ast.stmt) -> tuple[str, ast.expr | None]:
    """Name and annotation of ``NAME: type = ...`` or ``NAME = ...``; ValueError for anything else."""
    match statement:
        case ast.AnnAssign(target=ast.Name(id=name), annotation=annotation):
            return name, annotation
        case ast.Assign(targets=[ast.Name(id=name)]):
            return name, None
    raise ValueError


def _comments(source: str) -> dict[int, str]:
    """Text of the comment that ends a line, by line number."""
    tokens = tokenize.generate_tokens(io.StringIO(source).readline)
    return {token.start[0]: token.string.lstrip("# ").rstrip() for token in tokens if token.type == tokenize.COMMENT}


def fits(value: object, kind: str) -> bool:
    """Whether a value is of a type, written as in Python: ``float``, ``list[str]``, ``int | None``.

    A whole number is a ``float``; ``True``, NaN and infinity are no numbers. ``object`` is any type.

    Raises
    ------
    ParameterError
        If ``kind`` is a type that a parameter cannot have.

    Examples
    --------
    >>> fits(12, "float"), fits(True, "int"), fits(["rct"], "list[str]"), fits(None, "int | None")
    (True, False, True, True)
    """
    return _fits(value, ast.parse(kind, mode="eval").body, kind)


def _fits(value: object, kind: ast.expr, written: str) -> bool:
    match kind:
        case ast.Name(id="object"):
            return True
        case ast.Name(id="float"):
            return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
        case ast.Name(id="int"):
            return isinstance(value, int) and not isinstance(value, bool)
        case ast.Name(id=name) if name in SCALARS | CONTAINERS:
            return isinstance(value, (SCALARS | CONTAINERS)[name])
        case ast.Constant(value=None):
            return value is None
        case ast.BinOp(left=left, op=ast.BitOr(), right=right):
            return _fits(value, left, written) or _fits(value, right, written)
        case ast.Subscript(value=ast.Name(id="list"), slice=item):
            return isinstance(value, list) and all(_fits(part, item, written) for part in value)
        case ast.Subscript(value=ast.Name(id="dict"), slice=ast.Tuple(elts=[key, item])):
            return isinstance(value, dict) and all(
                _fits(name, key, written) and _fits(part, item, written) for name, part in value.items()
            )
    known = ", ".join([*SCALARS, *CONTAINERS])
    raise ParameterError(f"a parameter cannot be of type {written!r}; known are {known}, and unions of them")


def checked(parameters: Iterable[Parameter], given: Mapping[str, object]) -> dict[str, object]:
    """The given values, each declared and of its type; a whole number given for a float becomes one.

    Raises
    ------
    ParameterError
        For an unknown name (says what is declared, and what may have been meant) or a value of another type.

    Examples
    --------
    >>> age = Parameter("AGE", "float", 18.0, "youngest patients, years")
    >>> checked([age], {"AGE": 21})
    {'AGE': 21.0}
    >>> checked([age], {"AEG": 21})
    Traceback (most recent call last):
    cellclaims.errors.ParameterError: unknown parameter 'AEG' (did you mean 'AGE'?); declared are: AGE (float)
    """
    by_name = {parameter.name: parameter for parameter in parameters}
    for name in given:
        if name not in by_name:
            raise ParameterError(_unknown(name, by_name))
    return {name: _typed(by_name[name], value) for name, value in given.items()}


def _unknown(name: str, by_name: Mapping[str, Parameter]) -> str:
    close = difflib.get_close_matches(name.upper(), by_name, n=1, cutoff=0.6)
    meant = f" (did you mean {close[0]!r}?)" if close else ""
    known = ", ".join(f"{parameter.name} ({parameter.type})" for parameter in by_name.values())
    return f"unknown parameter {name!r}{meant}; declared are: {known or 'none'}"


def _typed(parameter: Parameter, value: object) -> object:
    if not fits(value, parameter.type):
        expected = f"{parameter.type} (default {parameter.default!r})"
        found = f"{value!r} ({type(value).__name__})"
        hint = f"; as text: '\"{value}\"'" if fits("", parameter.type) else ""
        raise ParameterError(f"parameter {parameter.name}: expected {expected}, found {found}{hint}")
    members = {member.strip() for member in parameter.type.split("|")}
    return float(value) if type(value) is int and "float" in members and "int" not in members else value


def changed(parameters: Iterable[Parameter], given: Mapping[str, object]) -> dict[str, object]:
    """Those of the given values that are not the default.

    Examples
    --------
    >>> changed([Parameter("MONTHS", "float", 12.0, "")], {"MONTHS": 12.0})
    {}
    """
    defaults = {parameter.name: parameter.default for parameter in parameters}
    return {name: value for name, value in given.items() if value != defaults[name]}


def parsed(text: str) -> object:
    """The value of a literal as typed on a command line: JSON, else YAML 1.2 core.

    Unlike YAML 1.1, ``no`` and ``on`` are text, ``1e-3`` is a number, and a date is text.

    Raises
    ------
    ParameterError
        If the text is not a literal.

    Examples
    --------
    >>> [parsed(text) for text in ("12", "1e-3", "true", "no", "[rct, cohort]", "2026-11-20")]
    [12, 0.001, True, 'no', ['rct', 'cohort'], '2026-11-20']
    """
    with contextlib.suppress(ValueError):
        return json.loads(text)  # PyYAML reads a JSON pair of surrogates as two characters
    import yaml  # 40 ms, needed only for values typed by hand

    try:
        return yaml.load(text, core_loader())
    except yaml.YAMLError as error:
        reason = getattr(error, "problem", None) or error
        raise ParameterError(f"expected a value such as 12, true, text or [a, b], found {text!r}: {reason}") from None


@functools.cache
def core_loader() -> type:
    """A safe YAML loader with the plain scalars of the YAML 1.2 core schema only (section 10.3.2)."""
    import yaml

    class CoreLoader(yaml.SafeLoader):
        yaml_implicit_resolvers: ClassVar[dict] = {}

    number = r"[-+]?(\.\d+|\d+(\.\d*)?)([eE][-+]?\d+)?|[-+]?\.(inf|Inf|INF)|\.(nan|NaN|NAN)"
    for kind, pattern, starts in (
        ("null", r"null|Null|NULL|~|", "nN~"),
        ("bool", r"true|True|TRUE|false|False|FALSE", "tTfF"),
        ("int", r"[-+]?\d+", "-+0123456789"),
        ("float", number, "-+.0123456789"),
    ):
        first = [*starts, ""] if kind == "null" else list(starts)
        CoreLoader.add_implicit_resolver(f"tag:yaml.org,2002:{kind}", re.compile(f"(?:{pattern})$"), first)
    return CoreLoader
