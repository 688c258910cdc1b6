"""``open_review``: what a notebook opens, that is the evidence, the protocol and the folders for its results.

A :class:`Review` selects rows, pools them, shows figures and records pools. It writes a figure or a record only where
it was given a folder, so that a notebook that is run by hand changes nothing but its own output.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

from matplotlib.figure import Figure

from cellclaims import protocol
from cellclaims.evidence import load
from cellclaims.figures.show import display, save
from cellclaims.pool import Pool, pooled, switched
from cellclaims.question import Analysis, Question
from cellclaims.reporting.evidence import fingerprint
from cellclaims.reporting.pools import Sentence, say
from cellclaims.reporting.registries import snapshot_words
from cellclaims.reporting.results import Results
from cellclaims.selection import EvidenceBase, Selected, select


@dataclass(frozen=True, eq=False)
class Review(EvidenceBase):
    """The evidence base of a review, with what one notebook does with it.

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

    def select(self, question: Question, analysis: Analysis) -> Selected:
        """The rows that answer a question, and every other row of its outcome with the reason why not.

        Parameters
        ----------
        question : Question
        analysis : Analysis
            Its measure says which table is read.

        Returns
        -------
        Selected
            ``rows`` and ``left_out``.
        """
        return select(self, question, analysis.measure)

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
        """The pool for each alternative handling of a questionable value (:func:`cellclaims.pool.switched`)."""
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

    def show(self, fig: Figure, *, alt: str, name: str) -> None:
        """Display a figure with its alternative text, and save it where the review has a folder for figures.

        Parameters
        ----------
        fig : matplotlib.figure.Figure
        alt : str
            What the figure shows, in sentences, for somebody who does not see it.
        name : str
            File name without ending.

        Raises
        ------
        DataError
            Without alternative text, or for a name that cannot be a file name.
        """
        if self.figures:
            save(fig, alt=alt, name=name, folder=self.figures)
        display(fig, alt=alt, name=name)

    def close(self) -> Sentence:
        """Write the record where there is a folder for it; what was recorded, from which evidence, in words."""
        return say(self.results.write(self.reports), fingerprint(self), self.registries)


def open_review(
    name: str, data: str | Path = "data", figures: str = "", reports: str = "", snapshot: str = ""
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

    Returns
    -------
    Review

    Raises
    ------
    DataError, ProtocolError
        If a table or the protocol cannot be used; names file, row, column, expected and found.
    SourceError
        For a snapshot that does not exist.
    """
    return Review(
        load(data),
        protocol.load(data),
        name=name,
        figures=figures,
        reports=reports,
        registries=snapshot_words(data, snapshot),
        results=Results(name),
    )
