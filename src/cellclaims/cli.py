"""The ``cellclaims`` command. Slow modules are imported where they are used, so that ``--help`` is fast."""

from __future__ import annotations

import sys
import warnings
from pathlib import Path

import click

import cellclaims
from cellclaims.errors import NotebookError, ParameterError, ReviewError

#: Exit statuses: faults found by a check or a notebook; a request that was refused.
FAULTS, REFUSED = 1, 2

FOLDER = click.Path(file_okay=False, path_type=Path)
NOTEBOOK = click.Path(dir_okay=False, path_type=Path)


class Commands(click.Group):
    """Group of commands that report a refusal as one message with an exit status."""

    def invoke(self, context: click.Context) -> object:
        """Run the command; exit status 1 for a failed notebook, 2 for a refusal."""
        try:
            return super().invoke(context)
        except ReviewError as error:
            click.echo(f"cellclaims: {error}", err=True)
            context.exit(FAULTS if isinstance(error, NotebookError) else REFUSED)


@click.group(cls=Commands, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.version_option(cellclaims.__version__, message="%(prog)s %(version)s")
def main() -> None:
    """Compare advertised success rates of cell therapy for diabetes with published trials."""


@main.command()
@click.option("--data", type=FOLDER, default="data", show_default=True, help="Folder with the evidence.")
@click.option("--all", "everything", is_flag=True, help="List known faults and sources without a value, too.")
@click.option("--wanted", is_flag=True, help="List reports whose results could not be read, by priority.")
@click.option(
    "--format", "kind", type=click.Choice(["md", "csv", "json"]), help="Output format of --wanted.  [default: md]"
)
def check(data: Path, everything: bool, wanted: bool, kind: str | None) -> None:
    """Check the tables and the protocol; list each fault with file, row and column (or line and key)."""
    if kind and not wanted:
        raise click.UsageError(f"--format {kind}: expected together with --wanted, found alone")
    if wanted:
        click.echo(wanted_texts(data)[kind or "md"])
        return
    from cellclaims.evidence import check as checks

    text, status = checks.report(data, everything=everything)
    click.echo(text)
    if retracted := known_retractions(data):
        click.echo(retracted)
    raise SystemExit(status)


def known_retractions(data: Path) -> str:
    """Return sources retracted according to the last snapshot; none without a snapshot or with unreadable tables."""
    from cellclaims import evidence
    from cellclaims.errors import DataError
    from cellclaims.registries.store import Store, registry_of

    if not Store(registry_of(data)).names():
        return ""
    from cellclaims.reporting.registries import retracted_sources

    try:
        return retracted_sources(evidence.load(data))
    except DataError:  # the check has reported it
        return ""


@main.command()
@click.argument("notebook", type=NOTEBOOK)
@click.option("-p", "given", nargs=2, multiple=True, metavar="NAME VALUE", help="Set a parameter; VALUE as in YAML.")
@click.option("--into", type=FOLDER, help="Output folder; default: reports/run/NOTEBOOK.")
@click.option("--html", is_flag=True, help="Write an HTML page, too.")
def run(notebook: Path, given: tuple[tuple[str, str], ...], into: Path | None, html: bool) -> None:
    """Run a NOTEBOOK with other parameters. Output goes to a separate folder and leaves the review unchanged."""
    from cellclaims.runner.run import folder_of_run, run_notebook

    values, into = values_of(given), folder_of_run(notebook, into)
    executed = run_notebook(notebook, into, values, progress=sys.stderr.isatty())
    click.echo(executed)
    if html:
        from cellclaims.runner.page import provenance, write_page

        page = executed.with_suffix(".html")
        snapshot = str(values.get("SNAPSHOT", ""))
        write_page(executed, page, provenance(data_of(notebook, values), snapshot))
        click.echo(page)


@main.command()
@click.argument("studies", type=NOTEBOOK)
@click.option("--measure", metavar="NAME", help="Effect measure to compute, such as MD, SMD, OR, RR, PLO.")
@click.option("--method", default="REML", show_default=True, help="Estimator of tau2, such as REML, DL, PM, EE.")
@click.option("--test", default="adhoc", show_default=True, help="adhoc, knha, t or z.")
@click.option("--level", type=float, default=0.95, show_default=True, help="Confidence level of the intervals.")
@click.option("--into", type=FOLDER, help="Output folder for the forest plot (SVG, PNG), CSV and JSON.")
def pool(studies: Path, measure: str | None, method: str, test: str, level: float, into: Path | None) -> None:
    """Pool the studies in a CSV file of your own, with metafor's column names or yi and vi (docs/own_studies.md)."""
    from cellclaims import own_studies

    fit, read = own_studies.pool(studies, measure, method=method, test=test, level=level)
    click.echo(own_studies.report(fit, read))
    if into is not None:
        with warnings.catch_warnings(record=True) as found:
            warnings.simplefilter("always")
            warnings.filterwarnings("ignore", message="Glyph")  # one per character; a plain sentence names all of them
            for path in own_studies.write(fit, read, into):
                click.echo(path)
        for one in found:
            click.echo(f"cellclaims: {one.message}", err=True)


def values_of(given: tuple[tuple[str, str], ...]) -> dict[str, object]:
    """Return the values of ``-p NAME VALUE``; each name may occur once."""
    from cellclaims.runner.run import parsed

    names = [name for name, _ in given]
    if twice := sorted({name for name in names if names.count(name) > 1}):
        raise ParameterError(f"expected each parameter once, found twice: {', '.join(twice)}")
    return {name: parsed(text) for name, text in given}


def data_of(notebook: Path, values: dict[str, object]) -> Path:
    """Return the folder of evidence that a run of the notebook reads."""
    from cellclaims.runner.run import declared, places, read

    return places(declared(read(notebook)), values, notebook, notebook.parent).get("DATA", Path("data"))


@main.command()
@click.argument("notebook", type=NOTEBOOK)
def parameters(notebook: Path) -> None:
    """List the parameters of a NOTEBOOK with type, default and meaning."""
    from cellclaims.runner.run import declared, read

    for one in declared(read(notebook)):
        click.echo(f"{one.name}: {one.type} = {one.default!r}")
        if one.help:
            click.echo(f"    {one.help}")


@main.command()
@click.option("--notebooks", type=FOLDER, default="notebooks", show_default=True, help="Folder with the notebooks.")
@click.option("--into", type=FOLDER, default="reports", show_default=True, help="Folder of the reports.")
@click.option(
    "--workers", type=click.IntRange(1), default=2, show_default=True, help="Number of notebooks run in parallel."
)
def review(notebooks: Path, into: Path, workers: int) -> None:
    """Update all reports: run notebooks that are out of date, render pages, collect results, write the index."""
    from cellclaims.runner.review import review as make_reports

    made = make_reports(notebooks, into, workers=workers, say=click.echo)
    click.echo(f"{into / 'index.html'}: {f'{len(made)} made' if made else 'all up to date'}")


@main.command()
@click.option("--reports", type=FOLDER, default="reports", show_default=True, help="Folder of the reports.")
def notebooks(reports: Path) -> None:
    """Copy the executed notebooks and their figures to the committed files (make notebooks)."""
    from cellclaims.runner.review import take_over

    for path in take_over(Path("notebooks"), reports, Path("figures")):
        click.echo(path)


@main.command()
@click.argument("sets", type=NOTEBOOK)
@click.option("--into", type=FOLDER, help="Output folder; default: reports/batch/NAME.")
@click.option("--workers", default=2, show_default=True, help="Number of reports run in parallel; -1: number of cores.")
@click.option("--scheduler", metavar="ADDRESS", help="Run the reports on the workers of this Dask scheduler.")
@click.option("--only", metavar="PATTERN", help="Run only reports whose names match, such as '02_*'.")
@click.option("--resume", is_flag=True, help="Continue an interrupted batch; do not repeat failed reports.")
@click.option("--dry-run", is_flag=True, help="List the reports without running them.")
@click.option("--json", "as_json", is_flag=True, help="Write progress as lines of JSON.")
@click.option(
    "--timeout",
    type=click.FloatRange(min=0, min_open=True),
    default=600,
    show_default=True,
    help="Time limit for one cell, in seconds.",
)
@click.option(
    "--memory", type=click.IntRange(1), default=4000, show_default=True, help="Memory limit of a report, in MB (Linux)."
)
def batch(
    sets: Path,
    into: Path | None,
    workers: int,
    scheduler: str | None,
    only: str | None,
    resume: bool,
    dry_run: bool,
    as_json: bool,
    timeout: float,
    memory: int,
) -> None:
    """Run the reports of a file of parameter SETS. The exit status is the number of failures (101: more than 100)."""
    from cellclaims.runner.batch import list_planned, make
    from cellclaims.runner.kernels import Limits

    into = into or Path("reports", "batch", sets.stem)
    if dry_run:
        list_planned(sets, into, only, resume=resume, as_json=as_json)
        return
    limits = Limits(seconds=timeout, memory_bytes=memory * 1_000_000)
    how = {"workers": workers, "scheduler": scheduler, "resume": resume, "as_json": as_json}
    raise SystemExit(make(sets, into, only, limits=limits, **how))


@main.command()
@click.option("--only", multiple=True, metavar="SOURCE", help="Ask only this source (may be repeated).")
@click.option(
    "--from",
    "folder",
    type=click.Path(path_type=Path),
    metavar="FOLDER",
    help="Read saved answers from this file or folder.",
)
@click.option("--offline", is_flag=True, help="Check the last snapshot and show its date, without the network.")
@click.option("--into", type=FOLDER, default="data/registry", show_default=True, help="Folder of stored answers.")
@click.option("--data", type=FOLDER, default="data", show_default=True, help="Folder with the evidence.")
@click.option("--json", "as_json", is_flag=True, help="Write the summary as one line of JSON.")
def pull(only: tuple[str, ...], folder: Path | None, offline: bool, into: Path, data: Path, as_json: bool) -> None:
    """Download current registry and literature records. Exit status 1: a source failed, the last snapshot is kept."""
    from cellclaims.registries.pull import Order, run

    raise SystemExit(run(Order(into, data, only, folder, offline, as_json)))


@main.command()
@click.argument("folder", type=FOLDER)
def pdf(folder: Path) -> None:
    """Print each page in FOLDER to a PDF next to it (needs Chromium)."""
    from cellclaims.runner.pdf import print_pages

    for target in print_pages(folder):
        click.echo(target)


@main.command()
@click.option("--data", type=FOLDER, default="data", show_default=True, help="Folder with the evidence.")
@click.option("--claims", "claim_file", type=NOTEBOOK, help="CSV file with the claims of another advertisement.")
@click.option("--format", "kind", type=click.Choice(["md", "csv", "json"]), default="md", show_default=True)
def claims(data: Path, claim_file: Path | None, kind: str) -> None:
    """Show the ledger with a finding for every advertised statement; json has full precision."""
    from cellclaims.runner.review import stored

    if claim_file is not None:
        click.echo(ledger_texts(data, claim_file)[kind])
        return
    click.echo(stored("ledger", data, lambda: ledger_texts(data))[kind])


def wanted_texts(data: Path) -> dict[str, str]:
    """Return the list of wanted reports in each output format."""
    import json

    from cellclaims import files
    from cellclaims.evidence import load
    from cellclaims.evidence.check import wanted

    rows = wanted(load(data))
    cells = [list(rows.columns), *rows.to_numpy().tolist()]
    values = json.dumps(rows.to_dict("records"), indent=1, ensure_ascii=False)
    return {"md": files.markdown_table(cells), "csv": files.csv_text(cells).rstrip("\n"), "json": values}


def ledger_texts(data: Path, claim_file: Path | None = None) -> dict[str, str]:
    """Return the ledger of the review's claims, or of a file of others, in each output format."""
    import json
    from dataclasses import replace

    from cellclaims import files, reporting
    from cellclaims.claims import ledger
    from cellclaims.runner.run import base_of

    base = base_of(data)
    if claim_file is not None:
        from cellclaims.journal_club import load

        base = replace(base, evidence=load(data, claim_file), _prepared={})
    entries = ledger(base)
    table = reporting.ledger_table(entries)
    note = reporting.other_pages(base.evidence)
    values = json.dumps(reporting.ledger_json(entries), indent=1, ensure_ascii=False, allow_nan=False)
    rows = [table.header, *table.cells]
    markdown = f"{reporting.COMPARED_WITH}\n\n{files.markdown_table(rows)}" + (f"\n\n{note}" if note else "")
    return {"md": markdown, "csv": files.csv_text(rows).rstrip("\n"), "json": values}


@main.command()
@click.option("--registry", type=FOLDER, default="data/registry", show_default=True, help="Folder of stored answers.")
@click.option("--from", "harvest", type=NOTEBOOK, metavar="HARVEST", help="File of harvested rows (.csv, .parquet).")
@click.option("--snapshot", default="", metavar="NAME", help="Snapshot to use; default: the last.")
@click.option("--data", type=FOLDER, default="data", show_default=True, help="Folder with the evidence.")
@click.option(
    "--into", type=NOTEBOOK, metavar="PROPOSALS", help="New CSV file to write; default: show in the terminal."
)
def propose(registry: Path, harvest: Path | None, snapshot: str, data: Path, into: Path | None) -> None:
    """Compare harvested rows with the tables, for a reviewer to decide (docs/proposals.md)."""
    from cellclaims.harvest import commands

    click.echo(commands.propose(into, data, registry, harvest, snapshot))


@main.command()
@click.argument("proposals", type=NOTEBOOK)
@click.option("--data", type=FOLDER, default="data", show_default=True, help="Folder with the evidence.")
@click.option("--registry", type=FOLDER, help="Folder of the stored answers; default: DATA/registry.")
@click.option("--dry-run", is_flag=True, help="Check everything without writing.")
def accept(proposals: Path, data: Path, registry: Path | None, dry_run: bool) -> None:
    """Add the accepted rows of PROPOSALS to the tables with their sources, all rows or none."""
    from cellclaims.harvest import commands

    click.echo(commands.accept(proposals, data, registry, dry_run=dry_run))


@main.command()
@click.option("--registry", type=FOLDER, default="data/registry", show_default=True, help="Folder of stored answers.")
@click.option("--data", type=FOLDER, default="data", show_default=True, help="Folder with the evidence.")
@click.option("--offline", is_flag=True, help="Use stored answers only, without the network.")
@click.option(
    "--into", type=NOTEBOOK, metavar="CANDIDATES", help="New CSV file to write; default: show in the terminal."
)
def resolve(registry: Path, data: Path, offline: bool, into: Path | None) -> None:
    """Search identifiers for reports without DOI, PubMed or registry number, for a reviewer to accept."""
    from cellclaims.harvest import commands

    click.echo(commands.find(into, data, registry, offline=offline))


@main.command()
@click.argument("records", nargs=-1, required=True, metavar="FOLDER|FILE|-...")
@click.option("--into", type=NOTEBOOK, help="Output file, .csv or .parquet; refusals go to a second file.")
@click.option("--workers", type=click.IntRange(1), default=1, show_default=True, help="Processes on this computer.")
@click.option("--scheduler", metavar="ADDRESS", help="Use the workers of this Dask scheduler.")
def harvest(records: tuple[str, ...], into: Path | None, workers: int, scheduler: str | None) -> None:
    """Read posted results from registry RECORDS into rows for the published tables, and list refusals."""
    from functools import partial

    from cellclaims.harvest.stream import harvest as harvest_records

    spread = None
    if scheduler is not None:
        from cellclaims.meta.cluster import on_cluster

        spread = partial(on_cluster, address=scheduler)
    tell = partial(click.echo, err=True)
    unreadable = harvest_records(list(records), into, workers=workers, spread=spread, say=click.echo, tell=tell)
    raise SystemExit(FAULTS if unreadable else 0)


@main.command()
@click.argument("page", type=click.Path(dir_okay=False, path_type=Path), default="README.md")
@click.option("--data", type=FOLDER, default="data", show_default=True, help="Folder with the evidence.")
def answer(page: Path, data: Path) -> None:
    """Write the table of the main answers into PAGE, between its marks."""
    from cellclaims.reporting.answer import answer as answer_of
    from cellclaims.reporting.answer import put_answer
    from cellclaims.runner.run import base_of

    put_answer(page, answer_of(base_of(data)))
    click.echo(f"{page}: answer up to date")


@main.command()
@click.option("--since", metavar="SNAPSHOT", default="", help="The earlier snapshot; default: the one before.")
@click.option("--until", metavar="SNAPSHOT", default="", help="The later snapshot; default: the last.")
@click.option(
    "--format", "kind", type=click.Choice(["table", "html", "csv", "json"]), default="table", show_default=True
)
@click.option("--registry", type=FOLDER, help="Folder of the snapshots; default: DATA/registry.")
@click.option("--data", type=FOLDER, default="data", show_default=True, help="Folder with the evidence.")
def changes(since: str, until: str, kind: str, registry: Path | None, data: Path) -> None:
    """List changes between two snapshots, or compare a single one with the evidence."""
    from cellclaims import evidence
    from cellclaims.reporting.registries import registry_news

    news = registry_news(evidence.load(data), since, until, registry)
    if kind == "html":
        from cellclaims.runner.page import news_page, provenance

        click.echo(news_page(news, provenance(data)), nl=False)
    else:
        # click would strip terminal codes in files but send them to terminals
        text = {"table": news.text, "csv": news.csv, "json": news.json}[kind]()
        click.echo(text.rstrip("\n"), color=not sys.stdout.isatty())


@main.command()
@click.option("--claims", "claim_file", type=NOTEBOOK, help="CSV file with the claims of another advertisement.")
@click.option("--claim", "claim_id", default="", help="The claim to discuss, by claim_id.")
@click.option("-p", "given", nargs=2, multiple=True, metavar="NAME VALUE", help="Set a parameter; VALUE as in YAML.")
@click.option("--notebook", type=NOTEBOOK, default="notebooks/journal_club.ipynb", show_default=True)
@click.option("--into", type=FOLDER, default="reports/club", show_default=True, help="Output folder.")
@click.option("--only", type=click.Choice(["slides", "worksheet", "solutions", "copy"]), help="Make only this file.")
@click.option("--pdf", is_flag=True, help="Print the worksheet to PDF, too (needs Chromium).")
def club(
    claim_file: Path | None,
    claim_id: str,
    given: tuple[tuple[str, str], ...],
    notebook: Path,
    into: Path,
    only: str | None,
    pdf: bool,
) -> None:
    """Make the page, slides, worksheet and solutions of a journal club, or a copy to work on (docs/journal_club.md)."""
    from cellclaims.journal_club import handouts

    values = handouts.parameters(notebook, claim_file, claim_id, values_of(given))
    if only == "copy":
        from cellclaims.runner.run import copy_to_work_on

        click.echo(copy_to_work_on(notebook, into / "live" / notebook.name, values))
        return
    made = []
    if only in (None, "worksheet"):
        made += handouts.worksheet_command(notebook, into, values, pdf=pdf)
    if only in (None, "solutions"):
        made += handouts.solutions_command(notebook, into, values)
    if only in (None, "slides"):
        made += handouts.page_and_slides(notebook, into, values)
    for path in made:
        click.echo(path)


# Screening, and what keeps the review up to date.


@main.command()
@click.option("--into", type=NOTEBOOK, metavar="WORKLIST", help="New CSV file with the records to decide on.")
@click.option(
    "--accept", "decided", type=NOTEBOOK, metavar="WORKLIST", help="Add the decisions of this list to the table."
)
@click.option("--reviewer", default="", metavar="NAME", help="With --into: a second reviewer's list.")
@click.option("--snapshot", default="", metavar="NAME", help="With --into: snapshot of the store; the last by default.")
@click.option("--registry", type=FOLDER, help="Folder of the store; DATA/registry by default.")
@click.option("--data", type=FOLDER, default="data", show_default=True, help="Folder of the evidence.")
@click.option("--dry-run", is_flag=True, help="With --accept: check everything, write nothing.")
@click.option("--flow", type=NOTEBOOK, metavar="PAGE", help="Write the flow of records into PAGE, between its marks.")
def screen(
    into: Path | None,
    decided: Path | None,
    reviewer: str,
    snapshot: str,
    registry: Path | None,
    data: Path,
    dry_run: bool,
    flow: Path | None,
) -> None:
    """List the records of a search that nobody has decided on, or record decisions, all or none.

    Without --into and --accept: how far screening is, and where reviewers differ (docs/screening.md).
    """
    from cellclaims.registries.store import registry_of

    if sum(bool(one) for one in (into, decided, flow)) > 1:
        raise click.UsageError("expected one of --into, --accept and --flow, found several")
    if (reviewer or snapshot) and not into:
        raise click.UsageError("--reviewer and --snapshot: expected --into, whose list they are for; found none")
    if dry_run and not decided:
        raise click.UsageError("--dry-run: expected --accept, which it tries; found none")
    if flow:
        from cellclaims.reporting.evidence import put_flow
        from cellclaims.runner.run import base_of

        put_flow(flow, base_of(data))
        click.echo(f"{flow}: flow of records up to date")
        return
    from cellclaims.screening import decisions

    if into:
        click.echo(decisions.write_list(into, data, registry or registry_of(data), snapshot, reviewer))
    elif decided:
        click.echo(decisions.take_over_in_words(decided, data, registry, dry_run=dry_run))
    else:
        click.echo(decisions.state_in_words(data))


@main.command()
@click.option("--data", type=FOLDER, default="data", show_default=True, help="Folder of the evidence.")
@click.option("--registry", type=FOLDER, help="Folder of the store; DATA/registry by default.")
@click.option("--notebooks", type=FOLDER, default="notebooks", show_default=True, help="Folder of the notebooks.")
@click.option("--reports", type=FOLDER, default="reports", show_default=True, help="Folder of the reports.")
@click.option("--into", type=FOLDER, help="Folder of the dated pages; REPORTS/living by default.")
@click.option("--only", multiple=True, metavar="SOURCE", help="Ask this source alone (may be given again).")
@click.option(
    "--from",
    "folder",
    type=click.Path(path_type=Path),
    metavar="FOLDER",
    help="Read saved answers from this file or folder.",
)
@click.option("--no-pull", is_flag=True, help="Use the last snapshot, without the network.")
@click.option("--workers", type=click.IntRange(1), default=2, show_default=True, help="Notebooks at the same time.")
@click.option("--json", "as_json", is_flag=True, help="Say everything as one line of JSON.")
def living(
    data: Path,
    registry: Path | None,
    notebooks: Path,
    reports: Path,
    into: Path | None,
    only: tuple[str, ...],
    folder: Path | None,
    no_pull: bool,
    workers: int,
    as_json: bool,
) -> None:
    """Bring the review up to date in one run, for a scheduler: pull, changes, list to screen, check, review, page.

    Exit status: 0 done, 1 a step failed, 2 refused, 75 another run is at work (docs/living.md).
    """
    from cellclaims.registries.store import registry_of
    from cellclaims.runner.living import LivingOrder, run

    if no_pull and (only or folder):
        raise click.UsageError("--no-pull: expected neither --only nor --from, which fetch answers; found one")
    order = LivingOrder(
        data, registry or registry_of(data), notebooks, reports, into or reports / "living", not no_pull, folder, only,
        workers, as_json,
    )  # fmt: skip
    raise SystemExit(run(order))


# Forms for a study and for an advertisement, and the evidence to take along (docs/add_a_study.md).


@main.command()
@click.argument("form", type=NOTEBOOK, metavar="FORM")
@click.option("--study", default="", metavar="STUDY_ID", help="Fill in the rows of a study that the tables have.")
@click.option("--claims", "of_claims", is_flag=True, help="A form for the claims of an advertisement.")
@click.option("--data", type=FOLDER, default="data", show_default=True, help="Folder of the evidence.")
def form(form: Path, study: str, of_claims: bool, data: Path) -> None:
    """Write a FORM to fill in for a study: a workbook (.xlsx) or YAML (.yml)."""
    from cellclaims.forms.sheets import write_form

    if study and of_claims:
        raise click.UsageError("--claims: expected no --study with it, as claims belong to an advertisement")
    write_form(form, data, about="claims" if of_claims else "study", study=study)
    click.echo(f"{form}: fill it in, then `cellclaims add {form} --preview`")


@main.command()
@click.argument("form", type=NOTEBOOK, metavar="FORM")
@click.option("--data", type=FOLDER, default="data", show_default=True, help="Folder of the evidence.")
@click.option("--preview", is_flag=True, help="Check the form and show what it changes; write nothing.")
@click.option("--yes", is_flag=True, help="Write without asking.")
@click.option("--update", is_flag=True, help="Change a study that the tables have.")
@click.option("--reason", default="", metavar="WORDS", help="Why an update changes it; kept on record.")
@click.option("--into", type=FOLDER, help="Folder for the files of a form of claims; by default named after the form.")
def add(form: Path, data: Path, preview: bool, yes: bool, update: bool, reason: str, into: Path | None) -> None:
    """Add the study of a filled-in FORM to the tables, all of it or nothing (docs/add_a_study.md)."""
    from cellclaims.forms import enter

    if preview and yes:
        raise click.UsageError("--yes: expected no --preview with it, which writes nothing")
    filled = enter.read(form, data)
    if filled.about == "claims":
        if not (yes or preview) and not asked_to_write():
            preview = True
        click.echo(enter.write_claims(filled, data, into or form.with_suffix(""), update=update, dry_run=preview))
        return
    done = enter.prepare(filled, data, update=update, reason=reason)
    click.echo(enter.text_of(done, update=update))
    if preview:
        return
    if not yes and not asked_to_write():
        click.echo("nothing was written: --yes writes it", err=True)
        raise SystemExit(REFUSED)
    if update and not reason and sys.stdin.isatty():
        reason = click.prompt("Why does the study change?")
        done = enter.prepare(filled, data, update=update, reason=reason)
    click.echo(enter.write(done, update=update, reason=reason))


def asked_to_write() -> bool:
    """Whether a person at a terminal says yes; in a pipe nobody is asked."""
    return sys.stdin.isatty() and sys.stdout.isatty() and click.confirm("Write this?")


@main.command()
@click.option("--into", type=FOLDER, required=True, help="Folder of the files.")
@click.option("--data", type=FOLDER, default="data", show_default=True, help="Folder of the evidence.")
@click.option("--reports", type=FOLDER, default="reports", show_default=True, help="Folder of the reports.")
def export(into: Path, data: Path, reports: Path) -> None:
    """Write the evidence as one workbook, and the pools of the last review as CSV."""
    from cellclaims.forms.enter import export as write_export

    for path in (written := write_export(data, reports, into)):
        click.echo(path)
    if len(written) == 1:
        click.echo(f"no pools: {reports / 'results.json'} is made by `make review`", err=True)
