"""Results in, matplotlib Figure out; rounds only through ``reporting`` and computes no statistics.

Every function returns a :class:`matplotlib.figure.Figure` that stands apart from pyplot; :func:`show` saves
and displays it, :func:`save` only saves.
"""

from .forest import forest
from .interval_rows import Mark
from .show import save, show

__all__ = ["Mark", "forest", "save", "show"]
