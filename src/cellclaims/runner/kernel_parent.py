"""The parent of quick kernels: a process of one thread that imports the stack once and forks a child a kernel.

Run as ``python -m cellclaims.runner.kernel_parent SOCKET [EVIDENCE ...]``; it says ``ready`` on standard
output and ends when its standard input does. A client connects to the socket, sends one line of JSON
(``arguments`` of the kernel, ``environment``, ``folder``), receives the child's ``pid`` and, when the child has
ended, its ``status``. A client that goes away takes its kernel with it.

The child becomes the kernel exactly where a fresh process would: same arguments, environment, folder, signals
and random state, so that both leave the same bytes. Linux only: elsewhere a fork of this stack is not safe.
"""

from __future__ import annotations

import contextlib
import ctypes
import functools
import gc
import importlib
import json
import os
import pkgutil
import selectors
import signal
import socket
import sys
import tempfile
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import ModuleType
from typing import Any

import cellclaims
from cellclaims import files

# What the parent of quick kernels does once, so that none of its children has to: imports, evidence, a first
# drawing.
#
# Nothing here may change what a kernel prints or draws: a child must leave the bytes of a fresh process.


#: What a kernel imports at its start or in the first cells, whatever it is asked: dear to import, safe to share.
#: matplotlib.pyplot and its inline backend are not among them: they tie themselves to the kernel that imports them,
#: and figures of a kernel that was not there yet would vanish without a word.
STACK = """
ipykernel.kernelapp ipykernel.ipkernel IPython.display IPython.core.completer IPython.core.completerlib
IPython.core.debugger IPython.extensions.storemagic IPython.core.logger tornado.platform.asyncio tornado.queues sqlite3
comm numpy pandas scipy.special ruamel.yaml
matplotlib.figure matplotlib.backends.backend_svg matplotlib.backends.backend_agg matplotlib.font_manager
PIL.BmpImagePlugin PIL.GifImagePlugin PIL.JpegImagePlugin PIL.PpmImagePlugin PIL.PngImagePlugin
cellclaims.runner.kernels
""".split()

#: Modules of this package that no notebook reaches. A notebook that does imports them itself, a little later.
NOT_OURS = tuple(f"cellclaims.{name}" for name in "cli runner meta.cluster registries harvest".split())


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


#: prctl(2), PR_SET_PDEATHSIG: the signal that a child gets when its parent dies.
PARENT_DEATH_SIGNAL = 1


@dataclass
class Request:
    """What a client asked for, and its connection."""

    arguments: list[str]
    environment: dict[str, str]
    folder: str
    connection: socket.socket = field(repr=False)


def end_with_parent() -> None:
    """Let this process be killed when its parent dies."""
    ctypes.CDLL(None, use_errno=True).prctl(PARENT_DEATH_SIGNAL, signal.SIGKILL)


def serve(listener: socket.socket) -> Request | None:
    """Fork a child for each request. Returns in each child its request, in the parent None at the end."""
    selector = selectors.DefaultSelector()
    selector.register(listener, selectors.EVENT_READ)
    selector.register(0, selectors.EVENT_READ)
    wake, waker = socket.socketpair()
    for end in (wake, waker):
        end.setblocking(False)
    signal.set_wakeup_fd(waker.fileno())
    selector.register(wake, selectors.EVENT_READ)
    children: dict[int, socket.socket] = {}
    try:
        while True:
            for key, _ in selector.select():
                if key.fd == 0:
                    return None
                if key.fileobj is listener:
                    request = _accepted(listener)
                    if request and (pid := os.fork()):
                        children[pid] = request.connection
                        selector.register(request.connection, selectors.EVENT_READ)
                        _say(request.connection, {"pid": pid})
                    elif request:
                        children.clear()
                        return request
                elif key.fileobj is wake:
                    wake.recv(4096)
                else:
                    _abandoned(key.fileobj, children, selector)
            _reap(children, selector)
    finally:
        signal.set_wakeup_fd(-1)
        selector.close()
        for pid in children:
            _kill(pid)


def _accepted(listener: socket.socket) -> Request | None:
    """The request of the next client; None if it went away or sent something else."""
    connection, _ = listener.accept()
    connection.settimeout(5)
    try:
        with connection.makefile("r", encoding="utf-8") as lines:
            asked = json.loads(lines.readline())
        return Request(asked["arguments"], asked["environment"], asked["folder"], connection)
    except (OSError, ValueError, KeyError, TypeError):
        connection.close()
        return None


def _say(connection: socket.socket, message: dict[str, int]) -> None:
    try:
        connection.sendall(json.dumps(message).encode() + b"\n")
    except OSError:
        return  # the client is gone; its kernel goes when the selector says so


def _abandoned(connection: socket.socket, children: dict[int, socket.socket], selector: object) -> None:
    """Kill the kernel of a client that went away."""
    selector.unregister(connection)
    for pid in [pid for pid, one in children.items() if one is connection]:
        _kill(pid)


def _reap(children: dict[int, socket.socket], selector: selectors.BaseSelector) -> None:
    """Tell clients of the children that have ended."""
    while children:
        try:
            pid, status = os.waitpid(-1, os.WNOHANG)
        except ChildProcessError:
            return
        if not pid:
            return
        connection = children.pop(pid)
        _say(connection, {"status": os.waitstatus_to_exitcode(status)})
        if connection.fileno() in selector.get_map():
            selector.unregister(connection)
        connection.close()


def _kill(pid: int) -> None:
    """Kill a kernel with everything that it started."""
    for kill in (os.killpg, os.kill):
        try:
            kill(pid, signal.SIGKILL)
        except ProcessLookupError:
            continue


def become(request: Request) -> None:
    """Turn this child into what a fresh process would be before its first import of the kernel."""
    parent = os.getppid()
    end_with_parent()
    os.setsid()
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGCHLD):
        signal.signal(number, signal.default_int_handler if number == signal.SIGINT else signal.SIG_DFL)
    nothing = os.open(os.devnull, os.O_RDONLY)
    os.dup2(nothing, 0)
    os.close(nothing)
    request.connection.close()
    os.environ.clear()
    # the kernel watches its parent and ends with it: that is the nursery now
    os.environ.update(request.environment, JPY_PARENT_PID=str(parent))
    os.chdir(request.folder)
    sys.argv = ["ipykernel_launcher", *request.arguments]
    tempfile.tempdir = None  # found anew by the kernel's own variables
    sys.modules["numpy"].random.seed()  # Python's own random numbers start anew after a fork by themselves
    sys.modules["debugpy.server"] = None  # nobody steps through a batch: its debugger costs half a second to import


def main(address: str, *folders: str) -> None:
    """Warm up, serve, and in a child run the kernel."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the batch; it says when to end
    signal.signal(signal.SIGCHLD, lambda *_: None)
    end_with_parent()
    warm(folders)
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(address)
        listener.listen()
        print("ready", flush=True)
        request = serve(listener)
    if request:
        become(request)
        from ipykernel.kernelapp import launch_new_instance

        launch_new_instance()


if __name__ == "__main__":
    main(*sys.argv[1:])
