"""Records from public registries and literature databases, stored byte for byte.

A *source* is one public service (:data:`SOURCES`). An *answer* is its response to one request. A *snapshot* is the
list of all answers of one complete pull; the *store* is the folder with snapshots and answers
(:mod:`cellclaims.registries.store`).
"""

from __future__ import annotations

from cellclaims.lazy import load_lazily

#: Public name -> module that defines it.
WHERE = {
    "Answer": "store",
    "Client": "client",
    "Fetched": "client",
    "Pulled": "pull",
    "Settings": "client",
    "Snapshot": "store",
    "Store": "store",
    "pull": "pull",
    "pull_folder": "pull",
}
__all__ = sorted(WHERE)

#: The public services, in the order of a pull.
SOURCES = ("ctgov", "europepmc", "pubmed", "crossref", "ictrp")

load_lazily(__name__)
