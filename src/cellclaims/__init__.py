"""Advertised figures for cell therapy of diabetes, set against what published trials show.

The package is read in import order (``docs/design.md``): a module imports only what stands above it.
Names are loaded when first used, so that ``import cellclaims`` is quick::

    from cellclaims import Analysis, Question, meta, open_review
"""

from cellclaims.lazy import load_lazily

#: Public name -> the module that holds it.
WHERE = {"Analysis": "question", "Question": "question", "Review": "review", "open_review": "review"}

__version__ = "0.1.0"

load_lazily(__name__)
