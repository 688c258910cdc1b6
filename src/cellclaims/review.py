"""``open_review``: opens the evidence, the protocol and the folders for the results of a notebook.

A :class:`Review` selects rows, pools them, shows figures and records pools. It writes a figure or a record only where
it was given a folder, so that a notebook that is run by hand changes nothing but its own output.
"""

from __future__ import annotations

import os
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from pathlib import Path

import pandas as pd
from matplotlib.figure import Figure

from cellclaims import meta, protocol
from cellclaims.effects import each_by_its_side, mean_changes, mean_differences
from cellclaims.errors import ReviewError
from cellclaims.evidence import Evidence, load
from cellclaims.figures.show import Drawing, show
from cellclaims.files import WITH_PNG
from cellclaims.parameters import refuse_impossible
from cellclaims.pool import Pool, label, pooled, switched
from cellclaims.question import Analysis, Question
from cellclaims.reporting.evidence import fingerprint
from cellclaims.reporting.pools import Sentence, say
from cellclaims.reporting.registries import snapshot_words
from cellclaims.reporting.results import Results
from cellclaims.selection import EvidenceBase, Selected, independent, select, select_counts

#: Folders of a review that only its own commands change.
OWN_FOLDERS = ("data", "figures", "notebooks", "reports")


@dataclass(frozen=True, eq=False)
class Review(EvidenceBase):
    """The evidence base of a review, with the operations of a notebook.

    Attributes
    ----------
    name : str
        Name of the notebook; its record is ``<reports>/<name>.json``.
    figures, reports : str
        Folders for figures and for the record; empty: nothing is written.
    registries : Sentence
        Which snapshot of the registries was the latest.
    results : Results
        The pools recorded so far.
    """

    name: str = ""
    figures: str = ""
    reports: str = ""
    registries: Sentence = field(default_factory=say)
    results: Results = field(default_factory=lambda: Results(""))

    def with_evidence(self, evidence: Evidence) -> Review:
        """The same review on other tables, such as those with the claims of another advertisement.

        Parameters
        ----------
        evidence : Evidence

        Returns
        -------
        Review
            With the same record; its rows are prepared anew.
        """
        return replace(self, evidence=evidence, _prepared={})

    def select(self, question: Question, analysis: Analysis) -> Selected:
        """Return the rows that answer a question, and every other row of its outcome with the reason why not.

        Parameters
        ----------
        question : Question
        analysis : Analysis
            Its measure says which table is read. A difference between arms (MD) takes the rows of both arms.

        Returns
        -------
        Selected
            ``rows`` and ``left_out``.
        """
        if analysis.measure != "MD":
            return select(self, question, analysis.measure)
        cells, control = (select(self, replace(question, arms=arms), "MD") for arms in ("cells", "control"))
        rows = sorted([*cells.records, *control.records], key=lambda row: row.line)
        return Selected(rows, each_by_its_side(self, cells.left, control.left), cells.columns)

    def effects(self, question: Question, analysis: Analysis) -> pd.DataFrame:
        """One effect for each study that answers a question, what :func:`cellclaims.meta.fit` takes.

        Parameters
        ----------
        question : Question
        analysis : Analysis
            A mean difference (MD), a mean change (MC) or a proportion on the logit (PLO).

        Returns
        -------
        pandas.DataFrame
            One row per study and cohort: ``label``, ``study_id``, ``arm_id``, ``months``, ``n``, ``n_control``,
            ``events`` (of a proportion), ``yi``, its sampling variance ``vi``, and ``detail``, how it was obtained.
            yi is in the unit of the outcome, or a logit, with half an event added where a cell is empty.

        Raises
        ------
        ReviewError
            For a measure that has no effect of one group or of two means.
        """
        question, analysis = question.at(self.protocol), analysis.at(self.protocol)
        if analysis.measure == "PLO":
            rows = select_counts(self, question).rows
            made = meta.escalc("PLO", xi=rows.events.to_numpy(float), ni=rows.n.to_numpy(float)) if len(rows) else None
            rows = rows.assign(yi=made.yi if made else [], vi=made.vi if made else [], detail="logit of events / n")
        elif analysis.measure in ("MC", "MD"):
            if analysis.measure == "MC":
                made = mean_changes(self, question, analysis.correlation)
            else:
                made = mean_differences(self, question, analysis.correlation, analysis.forms)
            rows = replace(independent(self, question, made.records), columns=made.columns).rows
        else:
            raise ReviewError(f"effects: expected the measure MD, MC or PLO, found {analysis.measure!r}")
        columns = ["label", "study_id", "arm_id", "months", "events", "n", "n_control", "yi", "vi", "detail"]
        named = rows.assign(label=[label(self.evidence, study) for study in rows.study_id])
        return named[[name for name in columns if name in named]].astype({"yi": float, "vi": float})

    def pool(self, question: Question, analysis: Analysis) -> Pool:
        """Select, make one effect per study, and pool (:func:`cellclaims.pool.pooled`).

        Parameters
        ----------
        question : Question
        analysis : Analysis

        Returns
        -------
        Pool
        """
        return pooled(self, question, analysis)

    def switched(self, question: Question, analysis: Analysis) -> dict[str, Pool]:
        """Return the pool for each alternative handling of a questionable value (:func:`cellclaims.pool.switched`)."""
        return switched(self, question, analysis)

    def add(self, *pools: Pool | Iterable[Pool]) -> None:
        """Record pools under their names.

        Raises
        ------
        ValueError
            If a name is used twice.
        """
        for one in pools:
            self.results.add(*([one] if isinstance(one, Pool) else one))

    def show(self, fig: Drawing | Figure, *, name: str, alt: str = "") -> None:
        """Display a figure with its alternative text, and save it where the review has a folder for figures.

        Parameters
        ----------
        fig : Drawing or matplotlib.figure.Figure
            What a function of :mod:`cellclaims.figures` returns, which brings its words; or a plain figure.
        alt : str
            What the figure shows, in sentences, for somebody who does not see it; for a drawing by default its own.
        name : str
            File name without ending.

        Raises
        ------
        DataError
            Without alternative text, or for a name that cannot be a file name.
        """
        show(fig, alt=alt, name=name, folder=self.figures, png=bool(os.environ.get(WITH_PNG)))

    def close(self) -> Sentence:
        """Write the record where there is a folder for it; what was recorded, from which evidence, in words."""
        return say(self.results.write(self.reports), fingerprint(self), self.registries)


def open_review(
    name: str,
    data: str | Path = "data",
    figures: str = "",
    reports: str = "",
    snapshot: str = "",
    **given: object,
) -> Review:
    """Open the evidence and the protocol of a data folder for one notebook.

    Parameters
    ----------
    name : str
        Name of the notebook.
    data : str or Path
        Folder with the evidence tables and ``protocol.yml``.
    figures, reports : str
        Folders to write to; empty: nothing is written.
    snapshot : str
        Snapshot of the registries to name, the latest by default.
    **given
        The notebook's other parameters by name (POPULATION, MONTHS, ...), to be checked.

    Returns
    -------
    Review

    Raises
    ------
    ParameterError
        If a parameter has a value that no question can have; names it, what was expected and what was found.
    ReviewError
        If ``figures`` or ``reports`` is a folder of a review, which only the review's own commands change.
    DataError, ProtocolError
        If a table or the protocol cannot be used; names file, row, column, expected and found.
    SourceError
        For a snapshot that does not exist.
    """
    for parameter, folder in (("FIGURES", figures), ("REPORTS", reports)):
        refuse_own_folder(folder, parameter)
    review = Review(
        load(data),
        protocol.load(data),
        name=name,
        figures=figures,
        reports=reports,
        registries=snapshot_words(data, snapshot),
        results=Results(name),
    )
    refuse_impossible(review, given)
    return review


def refuse_own_folder(folder: str | Path, parameter: str) -> None:
    """Refuse a folder that belongs to a review: one of OWN_FOLDERS beside a ``data/protocol.yml``, or inside one.

    Parameters
    ----------
    folder : str or Path
        Nothing is refused if it is empty.
    parameter : str
        Who gives it, for the message.

    Raises
    ------
    ReviewError
        Names the parameter, the folder and the review's folder that it belongs to.
    """
    if not str(folder):
        return
    place = Path(folder).resolve()
    for inner in (place, *place.parents):
        if inner.name in OWN_FOLDERS and (inner.parent / "data" / "protocol.yml").is_file():
            raise ReviewError(
                f"{parameter}: expected a folder outside the review, found {str(folder)!r}, which belongs to its "
                f"{inner.name}/; a notebook that is run by hand changes nothing there (`cellclaims run` makes a "
                "folder of its own)"
            )
