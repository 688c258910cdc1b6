"""An advertised statement against the published evidence: what is claimed, what answers it, what follows.

A *claim* is one row of ``advertised/claims.csv``; its *counterpart* the published evidence that answers it
(``protocol.yml``), with a recorded grade of the match. An *entry* sets the two beside each other.
"""

from cellclaims.claims.entry import Entry
from cellclaims.claims.ledger import entry_of, ledger
from cellclaims.claims.rates import advertised_rates, control_pool, counterpart_pool, own_trials
from cellclaims.claims.stability import curve_of_claim, curves
from cellclaims.claims.verdict import Standing, verdict

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
]
