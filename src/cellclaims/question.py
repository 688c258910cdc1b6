"""What is asked of the evidence: one frozen question, checked against the protocol.

A *question* names an outcome, an estimand, a month, a population, a product and whose arms are meant (those that got
cells, or untreated controls).
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from cellclaims.errors import ProtocolError
from cellclaims.protocol import Protocol

ESTIMANDS = ("at_month", "ever", "last_follow_up", "most_favourable")


@dataclass(frozen=True)
class Question:
    """What is asked of the evidence; every field is a parameter of the notebooks.

    ``months`` and ``window`` default to the protocol's. ``alternative`` lists anomalies (a44, ...) whose
    alternative handling is wanted instead of the primary one. ``designs`` and ``exclude`` narrow the studies;
    ``assumed`` False leaves out rows with an assumed label or a patient number that stands in.
    """

    outcome: str
    population: tuple[str, ...]
    product: str
    arms: str = "cells"
    estimand: str = "at_month"
    months: float | None = None
    window: float | None = None
    designs: tuple[str, ...] = ()
    alternative: tuple[str, ...] = ()
    exclude: tuple[str, ...] = ()
    assumed: bool = True

    def at(self, protocol: Protocol) -> Question:
        """The same question with the protocol's month and window where none is given; names checked."""
        outcome = protocol.outcome(self.outcome)
        protocol.populations(list(self.population))
        protocol.classes(self.product)
        if self.estimand not in ESTIMANDS:
            raise ProtocolError(f"expected estimand to be one of {', '.join(ESTIMANDS)}; found {self.estimand!r}")
        if self.arms not in ("cells", "control"):
            raise ProtocolError(f"expected arms to be cells or control; found {self.arms!r}")
        months = outcome.months if self.months is None else self.months
        window = outcome.window if self.window is None else self.window
        return replace(self, months=float(months), window=float(window))
