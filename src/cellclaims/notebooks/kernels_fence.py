"""A fence around a kernel: Python code in it can write into its own folders only, and take only so much memory.

It is there so that one report cannot change another, or bring down the machine, by mistake. It is no wall against
malice: where a library in C or a program that the kernel starts writes is not seen.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Collection
from pathlib import Path

WRITING = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_APPEND

#: Events of Python's audit hooks that change files, with the places of the paths among their arguments.
EVENTS = {
    "os.remove": (0,),
    "os.rmdir": (0,),
    "os.mkdir": (0,),
    "os.truncate": (0,),
    "os.chmod": (0,),
    "os.chown": (0,),
    "os.utime": (0,),
    "os.rename": (0, 1),
    "os.link": (1,),
    "os.symlink": (1,),
}


def raise_fence(*folders: str) -> None:
    """From now on let this process write into ``folders``, the temporary folder and caches only.

    A write elsewhere raises PermissionError. It cannot be taken back.
    """
    sys.addaudithook(fence([*folders, *_allowed()]))


def limit_memory(more: int) -> None:
    """Let this process, and each that it starts, take so many bytes of addresses beyond those that it has.

    What asks for more gets MemoryError; a library that cannot bear that ends the process. The share of memory that
    only stands in the books (files that are read as memory, reserves of libraries) counts, too. Linux only: elsewhere
    systems do not say how much a process has, or do not keep to the limit.
    """
    if sys.platform == "linux":
        import resource

        now = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
        _, highest = resource.getrlimit(resource.RLIMIT_AS)
        allowed = now + more if highest == resource.RLIM_INFINITY else min(now + more, highest)
        resource.setrlimit(resource.RLIMIT_AS, (allowed, highest))


def _allowed() -> list[str]:
    """Places that every program writes to: temporary files, caches of libraries, devices."""
    import tempfile

    cache = os.environ.get("XDG_CACHE_HOME") or str(Path.home() / ".cache")
    named = [os.environ.get(name) for name in ("IPYTHONDIR", "MPLCONFIGDIR", "JUPYTER_RUNTIME_DIR")]
    return [tempfile.gettempdir(), cache, "/dev", *filter(None, named)]


def fence(folders: Collection[str]) -> Callable[[str, tuple], None]:
    """The hook that refuses writes outside ``folders``.

    Examples
    --------
    >>> hook = fence(["/reports/one"])
    >>> hook("open", ("/reports/one/a.svg", "w", WRITING))
    >>> hook("open", ("/data/arms.csv", "r", os.O_RDONLY))
    >>> hook("open", ("/reports/other/a.svg", "w", WRITING))
    Traceback (most recent call last):
    PermissionError: a report writes into its own folder only: expected a place in /reports/one, found \
/reports/other/a.svg
    """
    roots = [os.path.realpath(folder) for folder in folders]

    def hook(event: str, arguments: tuple) -> None:
        if event == "open":
            places = (0,) if isinstance(arguments[2], int) and arguments[2] & WRITING else ()
        else:
            places = EVENTS.get(event, ())
        for place in places:
            path = arguments[place]
            if isinstance(path, str | bytes | os.PathLike) and not _is_seen_from_a_descriptor(event, path, arguments):
                _check(os.fsdecode(path), roots)

    return hook


def _is_seen_from_a_descriptor(event: str, path: str | bytes | os.PathLike, arguments: tuple) -> bool:
    """Whether the path is relative to an open folder, which was reached by a path that was checked or is not ours."""
    has_descriptor = event not in ("open", "os.truncate") and isinstance(arguments[-1], int) and arguments[-1] >= 0
    return has_descriptor and not Path(os.fsdecode(path)).is_absolute()


def _check(path: str, roots: Collection[str]) -> None:
    found = f"{os.path.realpath(Path(path).parent)}{os.sep}{Path(path).name}"  # the name itself may be a link
    if not any(found == root or found.startswith(root + os.sep) for root in roots) and "__pycache__" not in found:
        expected = roots[0] if roots else "no place"
        raise PermissionError(f"a report writes into its own folder only: expected a place in {expected}, found {path}")
