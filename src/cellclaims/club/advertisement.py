"""What the advertisement says, before anybody looks at an answer."""

from __future__ import annotations

from collections.abc import Sequence

from cellclaims.claims import Entry
from cellclaims.reporting.claims import capital, figure_words, same_rates
from cellclaims.reporting.pools import Sentence, say
from cellclaims.reporting.tables import Table


def said(entries: Sequence[Entry], chosen: str = "") -> Table:
    """The figures of an advertisement, each with its place and what it leaves unsaid; the chosen claim is marked.

    Nothing of what was published stands in it: the room is to guess first.

    Examples
    --------
    >>> from cellclaims import protocol
    >>> from cellclaims.evidence import load
    >>> from cellclaims.claims.counterparts import rate_entry
    >>> evidence, rules = load("data"), protocol.load("data")
    >>> said([rate_entry(evidence, rules, "stop_all_2016")], "stop_all_2016").cells[0][3]
    '30 %'
    """
    header = ("chosen", "as of", "claim", "advertised", "of so many treated", "not said")
    cells = tuple(_cells(entry, entry.claim_id == chosen) for entry in entries)
    return Table(header, cells, "What is advertised", frozenset({3, 4}))


def two_states(entries: Sequence[Entry]) -> Table | Sentence:
    """Shares that are advertised in two states, with what the added patients must have shown; or that there is one."""
    table = same_rates(entries)
    return table if table.cells else say("The advertisement is known in one state only.")


def _cells(entry: Entry, is_chosen: bool) -> tuple[str, ...]:
    about = entry.advertised
    n = "–" if about["n_treated"] is None else f"{about['n_treated']}"
    unsaid = "; ".join(entry.unsaid) or "nothing"
    marked = "this sitting" if is_chosen else ""
    return (marked, about["as_of"] or "–", capital(about["what"]), figure_words(entry), n, unsaid)
