"""``cellclaims club``, ``slides`` and ``worksheet``: the sitting of one claim as files to project and to print."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from cellclaims.claims.counterparts import POOLED, plan_of
from cellclaims.club.claim_file import load
from cellclaims.errors import ParameterError
from cellclaims.notebooks import render
from cellclaims.notebooks.parameters import declared
from cellclaims.notebooks.run import places, read, run_notebook
from cellclaims.protocol import load as load_protocol

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
    pooled = [row.claim_id for row in rows if plan_of(protocol, row)["kind"] in POOLED]
    if not rows:
        raise ParameterError(f"{claim_file}: expected at least one claim, found none")
    return pooled[0] if pooled else rows[0].claim_id


def page_and_slides(notebook: Path, into: Path, values: Mapping[str, Any]) -> list[Path]:
    """Run the notebook and write its page and its slides; the files that were made."""
    from cellclaims.club.slides import write_slides

    executed = run_notebook(notebook, into, values)
    origin = render.provenance(data_of(notebook, values))
    page, shown = executed.with_suffix(".html"), executed.with_name("slides.html")
    render.write_page(executed, page, origin)
    write_slides(executed, shown, origin)
    return [executed, page, shown]


def worksheet(notebook: Path, into: Path, values: Mapping[str, Any], *, pdf: bool = False) -> list[Path]:
    """Write the worksheet, as PDF, too, if asked for; the files that were made."""
    from cellclaims.club.worksheet import write_worksheet

    own = {one.name: one.default for one in declared(read(notebook))} | dict(values)
    target = Path(into) / "worksheet.html"
    chosen = {name: own[name] for name in OF_WORKSHEET}
    write_worksheet(target, data_of(notebook, values), own["CLAIM"], own["CLAIMS"], **chosen)
    if not pdf:
        return [target]
    from cellclaims.notebooks.pdf import chromium, print_page

    printed = target.with_suffix(".pdf")
    print_page(chromium(), target, printed)
    return [target, printed]
