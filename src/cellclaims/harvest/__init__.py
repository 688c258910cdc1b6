"""Posted registry results -> rows in the shape of the published tables, and what could not be read, with the reason.

A *measurement* is one value of one group in one category of one class of a posted outcome. It becomes one *row*, or
one *refusal* that says why not: never both, never neither. A row is no evidence until a person accepts it.
"""

from cellclaims.lazy import load_lazily

#: Public name -> the module that holds it.
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
