"""Parent of fast kernels: a single-threaded process that imports the libraries once and forks one child per kernel.

Run as ``python -m cellclaims.runner.kernel_parent SOCKET [EVIDENCE ...]``; it writes ``ready`` to standard
output and ends when its standard input does. A client connects to the socket, sends one line of JSON
(``arguments`` of the kernel, ``environment``, ``folder``), receives the child's ``pid`` and, when the child has
ended, its ``status``. If a client
disconnects, its kernel is killed.

The child has the same arguments, environment, folder, signals and random state as a fresh process, so that both write
the same bytes. Linux only, because forking these libraries is not safe on other systems.
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

# Work done once in the parent instead of in each child: imports, evidence, a first figure.
# Nothing here may change the output of a kernel: a child must write the same bytes as a fresh process.


#: Modules that every kernel imports at its start or in its first cells: slow to import, safe to share.
#: matplotlib.pyplot and its inline backend are not among them: they bind to the kernel that imports them,
#: and figures of later kernels would be missing without an error.
STACK = """
ipykernel.kernelapp ipykernel.ipkernel IPython.display IPython.core.completer IPython.core.completerlib
IPython.core.debugger IPython.extensions.storemagic IPython.core.logger tornado.platform.asyncio tornado.queues sqlite3
comm numpy pandas scipy.special ruamel.yaml
matplotlib.figure matplotlib.backends.backend_svg matplotlib.backends.backend_agg matplotlib.font_manager
PIL.BmpImagePlugin PIL.GifImagePlugin PIL.JpegImagePlugin PIL.PpmImagePlugin PIL.PngImagePlugin
cellclaims.runner.kernels
""".split()

#: Modules of this package that notebooks do not usually import.
NOT_OURS = tuple(f"cellclaims.{name}" for name in "cli runner meta.cluster registries harvest".split())


def warm(folders: Iterable[str] = ()) -> None:
    """Import the libraries that kernels need, read the evidence of ``folders``, draw one figure.

    Missing libraries and unreadable folders are ignored; the kernel will report them.
    """
    for name in [*STACK, *_own()]:
        with contextlib.suppress(ImportError):
            importlib.import_module(name)
    for folder in folders:
        remember(folder)
    draw_once()
    gc.collect()
    gc.freeze()  # garbage collection in a child would copy shared pages


def _own() -> Iterator[str]:
    """Return the modules of this package that a notebook may import, with their late imports."""
    found = pkgutil.walk_packages(cellclaims.__path__, "cellclaims.", onerror=lambda _: None)
    return (module.name for module in found if not module.name.startswith(NOT_OURS))


def remember(folder: str) -> None:
    """Read evidence and protocol of a folder, which the next load of the unchanged folder returns.

    Only the next one: a kernel may change its tables, and a second load reads the files.
    """
    from cellclaims import evidence, protocol

    with contextlib.suppress(Exception):  # the kernel will report the error
        print_of_folder = files.fingerprint(Path(folder))
        for module in (evidence, protocol):
            kept = module.load(folder)
            _hand_out(module, Path(folder).resolve(), print_of_folder, kept)


def _hand_out(module: ModuleType, place: Path, expected: str, kept: Any) -> None:
    """Let ``module.load`` return ``kept`` once for a folder that has not changed."""
    module.load = handed_out(module.load, place, expected, kept)


def handed_out(load: Callable[..., Any], place: Path, expected: str, kept: Any) -> Callable[..., Any]:
    """Return ``load``, whose first call for ``place`` returns ``kept`` if its fingerprint is unchanged."""
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
    """Draw text and a marker in both formats, which loads the fonts and the style."""
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
    """A request of a client, and its connection."""

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
    """Return the request of the next client; None if it disconnected or sent something else."""
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
        return  # the client has disconnected; the selector will report it, and its kernel is killed then


def _abandoned(connection: socket.socket, children: dict[int, socket.socket], selector: object) -> None:
    """Kill the kernel of a client that has disconnected."""
    selector.unregister(connection)
    for pid in [pid for pid, one in children.items() if one is connection]:
        _kill(pid)


def _reap(children: dict[int, socket.socket], selector: selectors.BaseSelector) -> None:
    """Send clients the status of children that have ended."""
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
    """Kill a kernel with its child processes."""
    for kill in (os.killpg, os.kill):
        try:
            kill(pid, signal.SIGKILL)
        except ProcessLookupError:
            continue


def become(request: Request) -> None:
    """Give this child the state of a fresh process before it imports the kernel."""
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
    # the kernel monitors its parent and ends with it; the parent is now this fork server
    os.environ.update(request.environment, JPY_PARENT_PID=str(parent))
    os.chdir(request.folder)
    sys.argv = ["ipykernel_launcher", *request.arguments]
    tempfile.tempdir = None  # found again from the kernel's variables
    sys.modules["numpy"].random.seed()  # Python reseeds its own random numbers after a fork
    sys.modules["debugpy.server"] = None  # a batch needs no debugger, whose import takes half a second


def main(address: str, *folders: str) -> None:
    """Import, serve, and in a child run the kernel."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the batch, which stops its kernels
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
