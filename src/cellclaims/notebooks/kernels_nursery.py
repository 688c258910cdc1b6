"""The parent of quick kernels: a process of one thread that imports the stack once and forks a child a kernel.

Run as ``python -m cellclaims.notebooks.kernels_nursery SOCKET [EVIDENCE ...]``; it says ``ready`` on standard
output and ends when its standard input does. A client connects to the socket, sends one line of JSON
(``arguments`` of the kernel, ``environment``, ``folder``), receives the child's ``pid`` and, when the child has
ended, its ``status``. A client that goes away takes its kernel with it.

The child becomes the kernel exactly where a fresh process would: same arguments, environment, folder, signals
and random state, so that both leave the same bytes. Linux only: elsewhere a fork of this stack is not safe.
"""

from __future__ import annotations

import ctypes
import json
import os
import selectors
import signal
import socket
import sys
import tempfile
from dataclasses import dataclass, field

from cellclaims.notebooks.kernels_warmth import warm

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
