"""Run one notebook into another folder, with reproducible output byte for byte.

Papermill executes the notebook in its own folder. Its output folders (``REPORTS`` and ``FIGURES``) depend on the folder
of the run; these paths are removed from the executed file.
"""

from __future__ import annotations

import ast
import contextlib
import difflib
import io
import json
import logging
import math
import os
import re
import sys
import tempfile
import tokenize
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from cellclaims import yaml_files
from cellclaims.errors import NotebookError, ParameterError, ReviewError
from cellclaims.files import WITH_PNG, write_atomically

if TYPE_CHECKING:
    from nbformat import NotebookNode
    from traitlets.config import Config

    from cellclaims.runner.kernels import Limits
    from cellclaims.selection import EvidenceBase


# The parameters declared by a notebook, and the check of given values.
#
# A notebook declares its parameters in the one code cell tagged ``parameters``: one assignment of a literal per
# line, with a type and a comment as its help text. The cell is parsed and never executed::
#
#     MONTHS: float = 12.0                  # follow-up nearest to this many months
#     DESIGNS: list[str] = ["rct"]          # study designs to include
#     LIMIT: int | None = None              # show at most this many studies


TAG = "parameters"

#: Parameters that name folders.
PLACES = ("DATA", "FIGURES", "REPORTS")

#: The types of parameters, which a command line, JSON and YAML can represent.
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
    """Return the parameters of a notebook in the order of declaration; none without a ``parameters`` cell.

    Raises
    ------
    ParameterError
        If the cell contains anything but assignments of literals, or an invalid type.
    """
    cells = [cell for cell in notebook.cells if TAG in cell.metadata.get("tags", [])]
    if len(cells) > 1:
        raise ParameterError(f"expected one cell tagged {TAG!r}, found {len(cells)}")
    return declared_in(cells[0].source) if cells else ()


def declared_in(source: str) -> tuple[Parameter, ...]:
    """Return the parameters declared in the text of a ``parameters`` cell.

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
    """Return name and annotation of ``NAME: type = ...`` or ``NAME = ...``; ValueError for anything else."""
    match statement:
        case ast.AnnAssign(target=ast.Name(id=name), annotation=annotation):
            return name, annotation
        case ast.Assign(targets=[ast.Name(id=name)]):
            return name, None
    raise ValueError


def _comments(source: str) -> dict[int, str]:
    """Return the comments at the ends of lines, by line number."""
    tokens = tokenize.generate_tokens(io.StringIO(source).readline)
    return {token.start[0]: token.string.lstrip("# ").rstrip() for token in tokens if token.type == tokenize.COMMENT}


def fits(value: object, kind: str) -> bool:
    """Return whether a value is of a type, written as in Python: ``float``, ``list[str]``, ``int | None``.

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
    """Return the given values, each declared and of its type; a whole number given for a float becomes one.

    Raises
    ------
    ParameterError
        For an unknown name (with the declared and the most similar one) or a value of another type.

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
    """Return the given values that differ from the default.

    Examples
    --------
    >>> changed([Parameter("MONTHS", "float", 12.0, "")], {"MONTHS": 12.0})
    {}
    """
    defaults = {parameter.name: parameter.default for parameter in parameters}
    return {name: value for name, value in given.items() if value != defaults[name]}


def parsed(text: str) -> object:
    """Return the value of a literal from a command line: JSON, else YAML 1.2 core.

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
        return json.loads(text)  # YAML does not support JSON's surrogate pairs
    document = yaml_files.parse(text)
    if document.faults and text.strip():
        raise ParameterError(
            f"expected a value such as 12, true, text or [a, b], found {text!r}: {document.faults[0].found}"
        )
    return document.content


#: Metadata of the kernel, papermill or an editor, which differ between runs and are not needed.
RUN_TRACES = ("papermill", "execution", "ExecuteTime", "collapsed")

INJECTED = "injected-parameters"

#: One thread per kernel: results do not depend on the number of cores, and kernels do not compete for them.
ONE_THREAD = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "1")

#: Number of lines of a traceback that are shown; the unfinished notebook contains all.
TRACEBACK_LINES = 12

#: Start of the last line of a failure, before a path.
KEPT = "the unfinished notebook is kept: "


def run_notebook(
    source: Path,
    into: Path,
    given: Mapping[str, object] | None = None,
    *,
    progress: bool = False,
    limits: Limits | None = None,
    png: bool = False,
) -> Path:
    """Execute ``source`` with the given parameters and write ``into/<its name>``.

    Parameters
    ----------
    source : Path
        The notebook, which is not changed.
    into : Path
        Folder of the executed notebook and of its output to ``REPORTS``; output to ``FIGURES`` goes to
        ``into/figures``. The kernel writes into a temporary folder, and its files are moved after success.
    given : mapping of str to object, optional
        Values of declared parameters; values equal to the default do not change the file.
    progress : bool
        Show a progress bar on standard error.
    limits : Limits, optional
        Limits on time and output; with them the kernel can write into its own folder only.
    png : bool
        Draw a PNG of each figure, too.

    Returns
    -------
    Path
        The executed notebook.

    Raises
    ------
    ParameterError
        For an unknown name, a value of another type or an impossible one, before anything starts.
    NotebookError
        If a cell fails or exceeds a limit; the unfinished notebook is kept as ``<name>.running.ipynb``.
    ReviewError
        If there is no such notebook, or ``into`` would overwrite the notebooks.
    """
    source, into = Path(source), Path(into)
    notebook = read(source)
    parameters = declared(notebook)
    values = changed(parameters, checked(parameters, given or {}))
    target = target_of(source, into)
    refuse_before_the_run(values, places(parameters, values, source, into).get("DATA"))
    scratch = target.with_suffix(".running.ipynb")
    kernel = notebook.metadata.get("kernelspec", {}).get("name", "python3")
    with tempfile.TemporaryDirectory(prefix="cellclaims-") as own:
        stage = Path(own).resolve()
        placed = staged_places(parameters, values, stage)
        try:
            _execute(source, scratch, values | placed, kernel, progress, limits, stage, png=png)
        except NotebookError as error:
            raise NotebookError(str(error).replace(str(stage), str(into))) from error
        executed = without_run_traces(read(scratch), notebook, placed)
        for made in sorted(path for path in stage.rglob("*") if path.is_file()):
            write_atomically(into / made.relative_to(stage), made.read_bytes())
    write_atomically(target, as_text(executed))
    scratch.unlink()
    return target


def copy_to_work_on(source: Path, target: Path, given: Mapping[str, object] | None = None) -> Path:
    """Copy a notebook, without outputs, for editing; its data stay in place.

    Parameters
    ----------
    source : Path
        The notebook.
    target : Path
        The copy. An earlier copy is kept as ``<name>.earlier.ipynb``.
    given : mapping of str to object, optional
        Values of declared parameters; they and the path of the data are in a cell after the declarations.

    Returns
    -------
    Path
        The copy.

    Raises
    ------
    ParameterError
        For an unknown name or a value of another type.
    ReviewError
        If there is no such notebook, or the copy would be in its folder.
    """
    import nbformat

    source, target = Path(source), Path(target)
    notebook = read(source)
    parameters = declared(notebook)
    values = changed(parameters, checked(parameters, given or {}))
    target_of(source, target.parent)
    data = places(parameters, values, source, target.parent).get("DATA")
    if data is not None:
        values["DATA"] = Path(os.path.relpath(data, target.resolve().parent)).as_posix()
    for cell in notebook.cells:
        if cell.cell_type == "code":
            cell.outputs, cell.execution_count = [], None
    at = next((n for n, cell in enumerate(notebook.cells, 1) if TAG in cell.metadata.get("tags", [])), 0)
    text = "\n".join(["# Parameters", *(f"{name} = {value!r}" for name, value in values.items())])
    injected = nbformat.v4.new_code_cell(text, metadata={"tags": [INJECTED]}, id=INJECTED)
    notebook.cells = [cell for cell in notebook.cells if not _is_injected(cell)]
    notebook.cells[at:at] = [injected] if at and values else []
    if target.exists():
        target.replace(target.with_suffix(".earlier.ipynb"))
    write_atomically(target, as_text(notebook))
    return target


def refuse_before_the_run(values: Mapping[str, object], data: Path | None) -> None:
    """Raise an error for values that are impossible with the evidence in ``data``.

    Raises
    ------
    ParameterError
        Names the parameter, what was expected and what was found.
    """
    from cellclaims.parameters import has_rule, refuse_impossible

    if data is not None and has_rule(values):
        refuse_impossible(base_of(data), values)


def base_of(data: Path) -> EvidenceBase:
    """Return the evidence and the protocol of a folder, for checks before a run."""
    from cellclaims import evidence, protocol
    from cellclaims.selection import EvidenceBase

    return EvidenceBase(evidence.load(data), protocol.load(data))


def read(path: Path) -> NotebookNode:
    """Read a notebook.

    Raises
    ------
    ReviewError
        If there is none at ``path``, or the file is not a notebook.
    """
    import nbformat

    try:
        return nbformat.read(path, as_version=4)
    except FileNotFoundError:
        raise ReviewError(f"expected a notebook, found nothing at {path}") from None
    except (
        nbformat.reader.NotJSONError,
        nbformat.ValidationError,
        UnicodeDecodeError,
        AttributeError,
    ) as error:
        reason = str(error).splitlines()[0]
        raise ReviewError(f"expected a notebook, found something else at {path}: {reason}") from error


def as_text(notebook: NotebookNode) -> str:
    """Return a notebook as the text of its file: sorted keys, one indent, a line end at the end."""
    import nbformat

    return nbformat.writes(notebook).rstrip("\n") + "\n"


def target_of(source: Path, into: Path) -> Path:
    """Return the path of the executed notebook.

    Raises
    ------
    ReviewError
        If it is in the notebook's own folder, or inside a folder ``notebooks``.
    """
    home, folder = Path(source).resolve().parent, Path(into).resolve()
    if folder == home or (home.name == "notebooks" and folder.is_relative_to(home)):
        raise ReviewError(f"a run never writes into the folder of its notebook: expected another than {into}")
    return folder / Path(source).name


def places(
    parameters: Collection[Parameter], values: Mapping[str, object], source: Path, into: Path
) -> dict[str, Path]:
    """Return the folders behind ``DATA``, ``REPORTS`` and ``FIGURES`` in a run, where the notebook declares them.

    Examples
    --------
    >>> own = [Parameter("DATA", "str", "../data", ""), Parameter("FIGURES", "str", "", "")]
    >>> book = Path("/review/notebooks/02_hba1c.ipynb")
    >>> [str(place) for place in places(own, {}, book, Path("/review/reports")).values()]
    ['/review/data', '/review/reports/figures']
    """
    home, folder = Path(source).resolve().parent, Path(into).resolve()
    declared_names = {parameter.name: parameter.default for parameter in parameters}
    found = {"DATA": declared_names.get("DATA"), "REPORTS": folder, "FIGURES": folder / "figures"}
    found |= {name: value for name, value in values.items() if name in PLACES}
    return {
        name: (home / str(place)).resolve()
        for name, place in found.items()
        if name in declared_names and place not in (None, "")
    }


def staged_places(parameters: Collection[Parameter], values: Mapping[str, object], stage: Path) -> dict[str, str]:
    """Return values of ``REPORTS`` and ``FIGURES`` for a separate folder, where none were given."""
    own = {"REPORTS": stage, "FIGURES": stage / "figures"}
    names = {parameter.name for parameter in parameters} - set(values)
    return {name: place.as_posix() for name, place in own.items() if name in names}


def folder_of_run(source: Path, into: Path | None) -> Path:
    """Return the folder of ``cellclaims run``: ``into``, or one per notebook under ``reports/run``.

    Raises
    ------
    ReviewError
        If ``into`` is the folder of the review's reports, or lies in its figures, notebooks or data.

    Examples
    --------
    >>> folder_of_run(Path("notebooks/02_hba1c.ipynb"), None).as_posix()
    'reports/run/02_hba1c'
    """
    if into is None:
        return Path("reports", "run", Path(source).stem)
    place = Path(into).resolve()
    for inner in (place, *place.parents):
        is_own = (inner.name == "reports" and inner == place) or inner.name in ("figures", "notebooks", "data")
        if is_own and (inner.parent / "data" / "protocol.yml").is_file():
            raise ReviewError(
                f"--into: expected a separate folder such as reports/run/{Path(source).stem}, found {into}, where "
                f"the review keeps its {inner.name}"
            )
    return Path(into)


def _execute(
    source: Path,
    scratch: Path,
    values: Mapping[str, object],
    kernel: str,
    progress: bool,
    limits: Limits | None,
    stage: Path,
    *,
    png: bool = False,
) -> None:
    """Run papermill; the file of a failed run remains as ``scratch``."""
    import nbclient.exceptions
    import papermill
    from jupyter_client.kernelspec import NoSuchKernel

    from cellclaims.runner.kernels import TooMuchOutput, options_of

    # papermill's own reader does not know `int | None` and would call it unknown; ours has checked every name
    logging.getLogger("papermill").setLevel(logging.ERROR)
    scratch.parent.mkdir(parents=True, exist_ok=True)
    bar = {"desc": source.stem, "leave": False} if progress else False
    # papermill replaces {names} in paths, so braces of a path are doubled
    paths = [str(path.resolve()).replace("{", "{{").replace("}", "}}") for path in (source, scratch)]
    try:
        with _kernel_environment(png=png) as config:
            papermill.execute_notebook(
                *paths,
                dict(values),
                kernel_name=kernel,
                language="python",
                cwd=source.resolve().parent,
                progress_bar=bar,
                config=config,
                **(options_of(limits, stage) if limits else {}),
            )
    except papermill.PapermillExecutionError as error:
        raise NotebookError(_failure(source, scratch, "\n".join(error.traceback) or str(error))) from None
    except (
        nbclient.exceptions.DeadKernelError,
        nbclient.exceptions.CellTimeoutError,
        NoSuchKernel,
        TooMuchOutput,
    ) as error:
        raise NotebookError(_failure(source, scratch, f"{type(error).__name__}: {error}")) from error


@contextlib.contextmanager
def _kernel_environment(*, png: bool = False) -> Iterator[Config]:
    """Configure a run: one thread, own temporary files, no IPython start-up files of the user, private sockets.

    Yields the configuration of a run. Sockets are in a folder of this run (their paths must be short), TCP where the
    system has no such sockets. A kernel is used as soon as it is ready and killed at its end, when all output
    has been written; a regular shutdown may take seconds.
    """
    from traitlets.config import Config

    before = dict(os.environ)
    with tempfile.TemporaryDirectory(prefix="run") as own:
        os.environ.update({**ONE_THREAD, **before, "IPYTHONDIR": own, "TMPDIR": own})
        os.environ |= {WITH_PNG: "1"} if png else {}
        sockets = {} if sys.platform == "win32" else {"transport": "ipc", "ip": f"{own}/k"}
        try:
            manager = {**sockets, "client_factory": "cellclaims.runner.kernels.PromptClient"}
            yield Config(KernelManager=manager, NotebookClient={"shutdown_kernel": "immediate"})
        finally:
            os.environ.clear()
            os.environ.update(before)


def _failure(source: Path, scratch: Path, trace: str) -> str:
    """Return the error, its cell, and the path of the unfinished notebook."""
    lines = [line for line in re.sub(r"\x1b\[[0-9;]*m", "", trace).splitlines() if line.strip()]
    shown = "\n".join(f"    {line}" for line in lines[-TRACEBACK_LINES:])
    return f"{source.name} failed{_failing_cell(scratch)}\n{shown}\n  {KEPT}{scratch}"


def _failing_cell(scratch: Path) -> str:
    """Return the failed cell: the last one started according to papermill, counted from 1 in the notebook itself."""
    if not scratch.exists():
        return " before its first cell"
    added = {"papermill-error-cell-tag", INJECTED}
    cells = [cell for cell in read(scratch).cells if added.isdisjoint(cell.metadata.get("tags", []))]
    started = [number for number, cell in enumerate(cells) if cell.metadata.papermill.get("start_time")]
    if not started:
        return " before its first cell"
    first_line = cells[started[-1]].source.strip().partition("\n")[0]
    return f" in cell {started[-1] + 1}: {first_line}"


def without_run_traces(executed: NotebookNode, source: NotebookNode, placed: Collection[str] = ()) -> NotebookNode:
    """Return the executed notebook without anything that differs between two equal runs.

    Timings, papermill's record and the version of the kernel are removed; pieces of text output are joined; cells
    have the ids of the source (or their number), executed cells are numbered 1 to n; assignments of ``placed`` names
    are removed from the injected cell, which is deleted if it becomes empty.

    Parameters
    ----------
    executed : NotebookNode
        As written by papermill; changed in place.
    source : NotebookNode
        The notebook that was run.
    placed : collection of str
        Parameters that are only paths of output.
    """
    for part in (executed, *executed.cells):
        for key in RUN_TRACES:
            part.metadata.pop(key, None)
        if not part.metadata.get("tags", True):
            del part.metadata["tags"]
    executed.metadata.get("language_info", {}).pop("version", None)
    executed.nbformat, executed.nbformat_minor = 4, 5
    executed.cells = [cell for cell in executed.cells if _keep(cell, placed)]
    _number(executed.cells, [cell.get("id") for cell in source.cells if not _is_injected(cell)])
    return executed


def _is_injected(cell: NotebookNode) -> bool:
    return INJECTED in cell.metadata.get("tags", [])


def _keep(cell: NotebookNode, placed: Collection[str]) -> bool:
    """Remove the assignments of ``placed`` names from an injected cell; return False if it becomes empty."""
    if _is_injected(cell) and placed:
        cell.source = _without_assignments(cell.source, placed)
        return bool(ast.parse(cell.source).body)
    return True


def _without_assignments(source: str, names: Collection[str]) -> str:
    gone = {
        line
        for statement in ast.parse(source).body
        if isinstance(statement, ast.Assign) and statement.targets[0].id in names
        for line in range(statement.lineno, statement.end_lineno + 1)
    }
    lines = enumerate(source.splitlines(), start=1)
    return "\n".join(line for number, line in lines if number not in gone)


def _number(cells: list[NotebookNode], ids: list[str | None]) -> None:
    """Give cells stable ids, code cells and their results the counts 1 to n, and joined streams."""
    remaining = iter(enumerate(ids))
    count = 0
    for cell in cells:
        number, own = (0, INJECTED) if _is_injected(cell) else next(remaining)
        cell["id"] = own or f"cell-{number:02d}"
        if cell.cell_type == "code":
            count += 1
            cell.execution_count = count
            cell.outputs = _joined(cell.outputs)
            for output in cell.outputs:
                if output.output_type == "execute_result":
                    output.execution_count = count


def _joined(outputs: list[NotebookNode]) -> list[NotebookNode]:
    """Join neighbouring pieces of one stream, whose boundaries depend on timing."""
    joined: list[NotebookNode] = []
    for output in outputs:
        last = joined[-1] if joined else None
        if last and output.output_type == last.output_type == "stream" and output.name == last.name:
            last.text += output.text
        else:
            joined.append(output)
    return joined
