"""Advertised figures for cell therapy of diabetes, set against what published trials show.

The package is read in import order (``docs/design.md``): a module imports only what stands above it.
Nothing is imported here, so that ``import cellclaims`` is quick; ask for what you need::

    from cellclaims import evidence, meta
"""

__version__ = "0.1.0"
