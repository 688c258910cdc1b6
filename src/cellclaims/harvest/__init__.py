"""Conversion of posted registry results to rows of the published tables, and refusals with reasons.

A *measurement* is one value of one group in one category of one class of a posted outcome. It becomes one *row*, or
one *refusal* that says why not: never both, never neither. A row is no evidence until a person accepts it.
"""

from cellclaims.lazy import load_lazily

#: Public name -> module that defines it.
WHERE = {
    "BINARY": "measurements",
    "CONTINUOUS": "measurements",
    "Harvest": "measurements",
    "Refusal": "measurements",
    "Row": "measurements",
    "posted": "study",
    "stream": "stream",
}

load_lazily(__name__)
