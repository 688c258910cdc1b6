"""An advertised statement against the published evidence: what is claimed, what answers it, what follows.

A *claim* is one row of ``advertised/claims.csv``; its *counterpart* the published evidence that answers it
(``protocol.yml``), with a recorded grade of the match. An *entry* sets the two beside each other.
"""

from cellclaims.claims.counterparts import (
    Entry,
    advertised_rates,
    control_pool,
    counterpart_pool,
    own_trials,
    with_entry,
    without_entry,
)
from cellclaims.claims.findings import Standing, verdict
from cellclaims.claims.ledger import curve_of_claim, curves, entry_of, ledger

__all__ = [
    "Entry",
    "Standing",
    "advertised_rates",
    "control_pool",
    "counterpart_pool",
    "curve_of_claim",
    "curves",
    "entry_of",
    "ledger",
    "own_trials",
    "verdict",
    "with_entry",
    "without_entry",
]
