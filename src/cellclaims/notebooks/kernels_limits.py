"""Limits of one run: how long a cell may take, how much it may print and take of memory, where it may write."""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any


@dataclass(frozen=True)
class Limits:
    """What a run may do.

    Attributes
    ----------
    seconds : float
        Longest time of one cell.
    output_bytes : int
        Most that all cells print and show together, in characters.
    total_seconds : float
        Longest time of all cells; its end is forced from outside.
    memory_bytes : int
        Most memory that the kernel may take beyond what it starts with; Linux only.
    """

    seconds: float = 600.0
    output_bytes: int = 20_000_000
    total_seconds: float = 3600.0
    memory_bytes: int = 4_000_000_000


def options_of(limits: Limits, folder: Path) -> dict[str, Any]:
    """What papermill needs to keep a run within ``limits`` and its writing within ``folder``."""
    from cellclaims.notebooks.kernels_engine import ENGINE  # papermill: a second at import

    module = '__import__("cellclaims.notebooks.kernels_fence", fromlist=["_"])'
    fence = f"{module}.limit_memory({limits.memory_bytes}); {module}.raise_fence({str(folder)!r})"
    return {
        "engine_name": ENGINE,
        "execution_timeout": limits.seconds,
        "iopub_timeout": math.ceil(limits.seconds),  # 4 s is too short for much output on a busy machine
        "output_bytes": limits.output_bytes,
        "extra_arguments": [
            f"--IPKernelApp.exec_lines={fence}",
            "--IPKernelApp.log_level=CRITICAL",
            "--HistoryManager.enabled=False",  # a data base of what was typed, written to disk at every cell
        ],
    }
