"""What the parent of quick kernels does once, so that none of its children has to: imports, evidence, a first drawing.

Nothing here may change what a kernel prints or draws: a child must leave the bytes of a fresh process.
"""

from __future__ import annotations

import contextlib
import functools
import gc
import importlib
import pkgutil
from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from pathlib import Path
from types import ModuleType
from typing import Any

import cellclaims
from cellclaims import files

#: What a kernel imports at its start or in the first cells, whatever it is asked: dear to import, safe to share.
#: matplotlib.pyplot and its inline backend are not among them: they tie themselves to the kernel that imports them,
#: and figures of a kernel that was not there yet would vanish without a word.
STACK = """
ipykernel.kernelapp ipykernel.ipkernel IPython.display IPython.core.completer IPython.core.completerlib
IPython.core.debugger IPython.extensions.storemagic IPython.core.logger tornado.platform.asyncio tornado.queues sqlite3
comm numpy pandas scipy.special yaml
matplotlib.figure matplotlib.backends.backend_svg matplotlib.backends.backend_agg matplotlib.font_manager
PIL.BmpImagePlugin PIL.GifImagePlugin PIL.JpegImagePlugin PIL.PpmImagePlugin PIL.PngImagePlugin
cellclaims.notebooks.kernels_fence
""".split()

#: Modules of this package that no notebook reaches. A notebook that does imports them itself, a little later.
NOT_OURS = tuple(f"cellclaims.{name}" for name in "cli notebooks meta.cluster sources harvest".split())


def warm(folders: Iterable[str] = ()) -> None:
    """Import what kernels will need, read the evidence of ``folders``, draw once.

    What is not installed or cannot be read is left to the kernel to miss.
    """
    for name in [*STACK, *_own()]:
        with contextlib.suppress(ImportError):
            importlib.import_module(name)
    for folder in folders:
        remember(folder)
    draw_once()
    gc.collect()
    gc.freeze()  # a collection in a child would touch, and so copy, the pages that it shares


def _own() -> Iterator[str]:
    """The modules of this package that a notebook may reach, and so everything that they import when used."""
    found = pkgutil.walk_packages(cellclaims.__path__, "cellclaims.", onerror=lambda _: None)
    return (module.name for module in found if not module.name.startswith(NOT_OURS))


def remember(folder: str) -> None:
    """Read evidence and protocol of a folder; the next to load either from it, while it is the same, gets that.

    One only: what a kernel changes in its tables, it alone sees, and a second load reads the files.
    """
    from cellclaims import evidence, protocol

    with contextlib.suppress(Exception):  # the kernel that asks for it will say what is wrong
        print_of_folder = files.fingerprint(Path(folder))
        for module in (evidence, protocol):
            kept = module.load(folder)
            _hand_out(module, Path(folder).resolve(), print_of_folder, kept)


def _hand_out(module: ModuleType, place: Path, expected: str, kept: Any) -> None:
    """Let ``module.load`` return ``kept`` once for a folder that has not changed."""
    module.load = handed_out(module.load, place, expected, kept)


def handed_out(load: Callable[..., Any], place: Path, expected: str, kept: Any) -> Callable[..., Any]:
    """``load``, whose first call for ``place`` returns ``kept`` if the fingerprint of the folder is as expected."""
    waiting = [kept]

    @functools.wraps(load)
    def loaded(folder: str | Path = "data") -> Any:
        is_same = waiting and Path(folder).resolve() == place and files.fingerprint(Path(folder)) == expected
        if not is_same:
            return load(folder)
        found = waiting.pop()
        return replace(found, folder=Path(folder)) if hasattr(found, "folder") else found

    return loaded


def draw_once() -> None:
    """Draw words and a mark in both formats: fonts are found and shaped, the style is read."""
    from matplotlib.figure import Figure

    from cellclaims.figures.show import png_bytes, svg_text

    drawing = Figure(figsize=(1, 1))
    axes = drawing.subplots()
    axes.plot([0, 1], [0, 1], "s-", label="k")
    axes.set_title("0123456789 %.,−", weight="bold")
    axes.set_xlabel("abcdefghijklmnopqrstuvwxyz")
    svg_text(drawing, alt="A line.", name="warm")
    png_bytes(drawing)
