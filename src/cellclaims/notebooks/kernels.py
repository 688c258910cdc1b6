"""Quick kernels: forked from one warmed parent instead of started from nothing, with equal results.

:func:`nursery` starts the parent and makes every kernel that this process (or a child of it) starts a fork of
it, by a *provisioner* of jupyter_client; papermill and nbclient notice nothing. Where a fork is not safe, or
the parent does not answer, kernels start as they always did.
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from jupyter_client.provisioning import LocalProvisioner

#: Where the parent listens; jupyter_client's own variable that chooses the provisioner, and the name of ours.
SOCKET = "CELLCLAIMS_NURSERY"
CHOICE, NAME = "JUPYTER_DEFAULT_PROVISIONER_NAME", "cellclaims-fork"

#: Seconds for the parent to import the stack; after them kernels start as they always did.
WARM_UP = 120

#: Read when a library is loaded, so they must be the same in the parent as in a kernel.
AT_IMPORT = {"MPLBACKEND": "module://matplotlib_inline.backend_inline"}


def can_fork() -> bool:
    """Whether kernels can be forked here: on Linux. Elsewhere system libraries do not survive a fork."""
    return sys.platform == "linux"


@contextlib.contextmanager
def nursery(environment: dict[str, str], evidence: Iterable[Path] = ()) -> Iterator[bool]:
    """Kernels started inside the block are forks of one warmed parent; tells whether they are.

    Parameters
    ----------
    environment : dict of str to str
        Variables that libraries read when they are loaded, such as the number of threads; set for the parent.
        A parent that is there already (its address is in the environment) is used as it is.
    evidence : iterable of Path
        Folders of evidence that kernels will load: the parent has read them.
    """
    if not can_fork() or os.environ.get(SOCKET):
        yield can_fork()  # one parent serves all who find its address
        return
    with tempfile.TemporaryDirectory(prefix="nursery") as folder:
        address = str(Path(folder) / "s")
        command = [sys.executable, "-P", "-m", "cellclaims.notebooks.kernels_nursery", address, *map(str, evidence)]
        surroundings = {**environment, **os.environ, **AT_IMPORT}
        with subprocess.Popen(command, env=surroundings, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as parent:
            before = dict(os.environ)
            os.environ.update({SOCKET: address, CHOICE: NAME})
            try:
                yield True
            finally:
                os.environ.clear()
                os.environ.update(before)
                parent.stdin.close()
                _end(parent)


def _end(parent: subprocess.Popen) -> None:
    try:
        parent.wait(5)
    except subprocess.TimeoutExpired:
        parent.kill()


def connected(address: str, seconds: float = WARM_UP) -> socket.socket | None:
    """A connection to the parent at ``address``, waiting until it is warm; None if there is no parent."""
    end = time.monotonic() + seconds
    while Path(address).parent.is_dir() and time.monotonic() < end:
        connection = socket.socket(socket.AF_UNIX)
        try:
            connection.connect(address)
        except OSError:
            connection.close()
            time.sleep(0.05)
        else:
            return connection
    return None


class ForkedProcess:
    """A forked kernel as ``subprocess.Popen`` would show it: what a provisioner asks of its process."""

    stdin = stdout = stderr = None

    def __init__(self, connection: socket.socket, pid: int) -> None:
        self.connection, self.pid = connection, pid
        self.returncode: int | None = None
        self.received = b""

    def poll(self) -> int | None:
        """The exit status, or None while the kernel runs; -9 if its parent is gone (and the kernel with it)."""
        if self.returncode is None:
            self._receive(socket.MSG_DONTWAIT)
        return self.returncode

    def wait(self, timeout: float | None = None) -> int:
        """Wait for the end; raises subprocess.TimeoutExpired."""
        while self.returncode is None:
            try:
                self.connection.settimeout(timeout)
                self._receive()
            except TimeoutError:
                raise subprocess.TimeoutExpired("kernel", timeout) from None
        return self.returncode

    def _receive(self, flags: int = 0) -> None:
        try:
            part = self.connection.recv(4096, flags)
        except BlockingIOError:
            return
        except ConnectionError:
            part = b""
        self.received += part
        if not part or self.received.endswith(b"\n"):
            self.returncode = json.loads(self.received)["status"] if part else -signal.SIGKILL
            self.connection.close()

    def send_signal(self, number: int) -> None:
        """Send a signal while the kernel runs."""
        if self.poll() is None:
            os.kill(self.pid, number)

    def terminate(self) -> None:
        """Ask the kernel to end."""
        self.send_signal(signal.SIGTERM)

    def kill(self) -> None:
        """End the kernel."""
        self.send_signal(signal.SIGKILL)


class ForkProvisioner(LocalProvisioner):
    """Starts an IPython kernel as a fork of the warmed parent, any other kernel as a process."""

    async def launch_kernel(self, cmd: list[str], **kwargs: Any) -> dict[str, Any]:
        """Launch a kernel by its command."""
        connection = self._connection(cmd)
        if connection is None:
            return await super().launch_kernel(cmd, **kwargs)
        folder = os.fspath(kwargs.get("cwd") or Path.cwd())
        arguments = cmd[cmd.index("ipykernel_launcher") + 1 :]
        request = {"arguments": arguments, "environment": kwargs.get("env", dict(os.environ)), "folder": folder}
        connection.sendall(json.dumps(request).encode() + b"\n")
        with connection.makefile("r", encoding="utf-8", buffering=1) as lines:
            pid = json.loads(lines.readline())["pid"]
        self.process = ForkedProcess(connection, pid)
        self.pid = self.pgid = pid
        self.cwd = folder
        return self.connection_info

    async def kill(self, restart: bool = False) -> None:
        """Kill the kernel and what it started; a fork is gone when this returns, not a tenth of a second later."""
        await super().kill(restart)
        if isinstance(self.process, ForkedProcess):
            with contextlib.suppress(subprocess.TimeoutExpired):
                self.process.wait(1)

    @staticmethod
    def _connection(cmd: list[str]) -> socket.socket | None:
        """A connection to the parent, if this is a kernel that it can be: this Python's own IPython kernel."""
        is_ours = "ipykernel_launcher" in cmd and Path(cmd[0]).resolve() == Path(sys.executable).resolve()
        return connected(os.environ[SOCKET]) if is_ours and os.environ.get(SOCKET) else None
