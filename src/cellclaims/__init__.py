"""Advertised success rates of cell therapy for diabetes compared with published trials.

The package is read in import order (``docs/design.md``): a module imports only modules above it.
Names are loaded on first use, so that ``import cellclaims`` is fast::

    from cellclaims import Analysis, Question, meta, open_review
"""

from cellclaims.lazy import load_lazily

#: Public name -> module that defines it.
WHERE = {"Analysis": "question", "Question": "question", "Review": "review", "open_review": "review"}

__version__ = "0.1.0"

load_lazily(__name__)
