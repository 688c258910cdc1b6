"""Fast kernels: forked from one parent that has imported the libraries, with the same results.

:func:`nursery` starts the parent. Every kernel that this process (or its children) starts is then a fork of
it, through a *provisioner* of jupyter_client, without changes to papermill and nbclient. Where a fork is not safe, or
the parent does not reply, kernels start in the usual way.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import math
import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from queue import Empty
from typing import TYPE_CHECKING, Any

from jupyter_client.asynchronous import AsyncKernelClient
from jupyter_client.provisioning import LocalProvisioner
from jupyter_client.utils import ensure_async
from nbclient.exceptions import DeadKernelError
from papermill.clientwrap import PapermillNotebookClient
from papermill.engines import NBClientEngine, papermill_engines

if TYPE_CHECKING:
    from nbformat import NotebookNode


#: Variable with the address of the parent; jupyter_client's variable for the provisioner, and the name of ours.
SOCKET = "CELLCLAIMS_NURSERY"
CHOICE, NAME = "JUPYTER_DEFAULT_PROVISIONER_NAME", "cellclaims-fork"

#: Seconds for the parent to import the libraries; after that, kernels start in the usual way.
WARM_UP = 120

#: Variables read on import of a library, which must be the same in parent and kernel.
AT_IMPORT = {"MPLBACKEND": "module://matplotlib_inline.backend_inline"}


def can_fork() -> bool:
    """Return whether kernels can be forked here: on Linux. Elsewhere system libraries do not survive a fork."""
    return sys.platform == "linux"


@contextlib.contextmanager
def nursery(environment: dict[str, str], evidence: Iterable[Path] = ()) -> Iterator[bool]:
    """Start kernels inside the block as forks of one parent; yields whether this is possible.

    Parameters
    ----------
    environment : dict of str to str
        Variables that libraries read on import, such as the number of threads; set for the parent.
        An existing parent (its address is in the environment) is used unchanged.
    evidence : iterable of Path
        Folders of evidence for the parent to read.
    """
    if not can_fork() or os.environ.get(SOCKET):
        yield can_fork()  # one parent serves all processes that know its address
        return
    with tempfile.TemporaryDirectory(prefix="nursery") as folder:
        address = str(Path(folder) / "s")
        command = [sys.executable, "-P", "-m", "cellclaims.runner.kernel_parent", address, *map(str, evidence)]
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
    """Return a connection to the parent at ``address``, when it is ready; None if there is no parent."""
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
    """A forked kernel with the methods of ``subprocess.Popen`` that a provisioner needs."""

    stdin = stdout = stderr = None

    def __init__(self, connection: socket.socket, pid: int) -> None:
        self.connection, self.pid = connection, pid
        self.returncode: int | None = None
        self.received = b""

    def poll(self) -> int | None:
        """Return the exit status, or None while the kernel runs; -9 if its parent is gone (and the kernel with it)."""
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
    """Starts an IPython kernel as a fork of the parent, any other kernel as a process."""

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
        """Kill the kernel and its child processes; a fork has ended when this returns."""
        await super().kill(restart)
        if isinstance(self.process, ForkedProcess):
            with contextlib.suppress(subprocess.TimeoutExpired):
                self.process.wait(1)

    @staticmethod
    def _connection(cmd: list[str]) -> socket.socket | None:
        """Connect to the fork server if the command starts an IPython kernel of this interpreter; otherwise None."""
        is_ours = "ipykernel_launcher" in cmd and Path(cmd[0]).resolve() == Path(sys.executable).resolve()
        return connected(os.environ[SOCKET]) if is_ours and os.environ.get(SOCKET) else None


# A kernel client that is ready as soon as the kernel replies, without waiting for silence.
# jupyter_client waits until a kernel has been silent for a fifth of a second. Here the kernel is ready when it has
# replied and the end of one of our requests was received on the output channel, so that no output can be missed. Other
# messages on that channel belong to our requests, too; nbclient ignores them.


#: Seconds until the request is repeated, in case the output channel was connected too late for the first reply.
AGAIN = {"shell": 1.0, "iopub": 0.02}


class PromptClient(AsyncKernelClient):
    """Kernel client that is ready as soon as the kernel replies (jupyter_client waits 0.2 s longer)."""

    async def wait_for_ready(self, timeout: float | None = None) -> None:
        """Wait until the kernel replies on both channels.

        Raises
        ------
        RuntimeError
            If the kernel died, or has not replied after ``timeout`` seconds, with the messages of jupyter_client.
        """
        end = time.monotonic() + (float("inf") if timeout is None else timeout)
        asked: set[str] = set()
        while not await self._is_heard(asked):
            if not await ensure_async(self.is_alive()):
                raise RuntimeError("Kernel died before replying to kernel_info")
            if time.monotonic() > end:
                raise RuntimeError(f"Kernel didn't respond in {timeout:g} seconds")

    async def _is_heard(self, asked: set[str]) -> bool:
        """Send a request; return whether a reply and the end of a request were received."""
        asked.add(self.kernel_info())
        try:
            reply = await self.shell_channel.get_msg(timeout=AGAIN["shell"])
            self._handle_kernel_info_reply(reply)
            while True:
                heard = await self.iopub_channel.get_msg(timeout=AGAIN["iopub"])
                if heard["parent_header"].get("msg_id") in asked and heard["content"].get("execution_state") == "idle":
                    return True
        except Empty:
            return False


# papermill's engine with a limit on the output of a notebook.


ENGINE = "cellclaims-limits"

#: Arguments of papermill's engine that its client does not accept.
NOT_FOR_THE_CLIENT = ("input_path", "stdout_file", "stderr_file", "log_output")


class TooMuchOutput(Exception):
    """The output of a run exceeded the limit; its kernel was stopped."""


class LimitedClient(PapermillNotebookClient):
    """Runs the cells; stops the kernel when the outputs exceed a limit."""

    def __init__(self, manager: Any, output_bytes: int, **more: Any) -> None:
        super().__init__(manager, **more)
        self.output_bytes, self.received = output_bytes, 0

    def process_message(self, message: Mapping[str, Any], *more: Any, **named: Any) -> NotebookNode | None:
        """Process one message of the kernel, unless it exceeds the limit."""
        was = self.received
        self.received += size(message["content"])
        if self.received <= self.output_bytes:
            return super().process_message(message, *more, **named)
        if was <= self.output_bytes:
            self.ending = asyncio.ensure_future(self.km.provisioner.kill())
        return None

    def execute(self, **more: Any) -> NotebookNode:
        """Run all cells; raises TooMuchOutput."""
        try:
            return super().execute(**more)
        except DeadKernelError:
            if self.received <= self.output_bytes:
                raise
            most = f"{self.output_bytes:,}".replace(",", " ")
            raise TooMuchOutput(f"expected at most {most} characters of output, found more") from None


def size(content: object) -> int:
    """Return the number of characters in all texts of a message.

    Examples
    --------
    >>> size({"name": "stdout", "text": "abc"}), size({"data": {"text/plain": "ab"}, "n": 1}), size(["a", "b"])
    (9, 2, 2)
    """
    if isinstance(content, str):
        return len(content)
    if isinstance(content, Mapping):
        return sum(map(size, content.values()))
    return sum(map(size, content)) if isinstance(content, list | tuple) else 0


class LimitedEngine(NBClientEngine):
    """papermill's engine with a limited client."""

    @classmethod
    def execute_managed_notebook(
        cls, nb_man: Any, kernel_name: str, start_timeout: int = 60, execution_timeout: float | None = None, **more: Any
    ) -> NotebookNode:
        """Execute a notebook; ``more`` is for the client."""
        options = {name: value for name, value in more.items() if name not in NOT_FOR_THE_CLIENT}
        client = LimitedClient(
            nb_man, kernel_name=kernel_name, startup_timeout=start_timeout, timeout=execution_timeout, **options
        )
        with _saved_at_code_cells(nb_man):
            return client.execute()


@contextlib.contextmanager
def _saved_at_code_cells(manager: Any) -> Iterator[None]:
    """Write the running notebook when a code cell starts, not twice for every cell.

    That is as much as a failed run needs to name its cell; papermill's 70 writes take a sixth of a report's time.
    """
    write, start = manager.save, manager.cell_start

    def cell_start(cell: NotebookNode, cell_index: int | None = None, **more: Any) -> None:
        start(cell, cell_index, **more)
        if cell.cell_type == "code":
            write()

    manager.save, manager.cell_start = (lambda **_: None), cell_start
    try:
        yield
    finally:
        del manager.save, manager.cell_start


papermill_engines.register(ENGINE, LimitedEngine)


# Limits of one run: time, output, memory, and folders for writing.


@dataclass(frozen=True)
class Limits:
    """Limits of a run.

    Attributes
    ----------
    seconds : float
        Longest time of one cell.
    output_bytes : int
        Largest output of all cells together, in characters.
    total_seconds : float
        Longest time of all cells, enforced from outside.
    memory_bytes : int
        Largest memory of the kernel in addition to its size at the start; Linux only.
    """

    seconds: float = 600.0
    output_bytes: int = 20_000_000
    total_seconds: float = 3600.0
    memory_bytes: int = 4_000_000_000


def options_of(limits: Limits, folder: Path) -> dict[str, Any]:
    """Return the arguments of papermill that keep a run within ``limits`` and its files within ``folder``."""

    module = '__import__("cellclaims.runner.kernels", fromlist=["_"])'
    fence = f"{module}.limit_memory({limits.memory_bytes}); {module}.raise_fence({str(folder)!r})"
    return {
        "engine_name": ENGINE,
        "execution_timeout": limits.seconds,
        "iopub_timeout": math.ceil(limits.seconds),  # 4 s is too short for much output on a busy computer
        "output_bytes": limits.output_bytes,
        "extra_arguments": [
            f"--IPKernelApp.exec_lines={fence}",
            "--IPKernelApp.log_level=CRITICAL",
            "--HistoryManager.enabled=False",  # the history database, which is written to disk at every cell
        ],
    }


# Restrictions of a kernel: Python code can write into its own folders only, and use limited memory.
# They prevent a report from changing another one, or exhausting the computer, by mistake. They do not protect against
# malicious code, because writing by C libraries and other programs is not monitored.


WRITING = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_APPEND

#: Events of Python's audit hooks that change files, with the positions of paths in their arguments.
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
    """Restrict writing of this process to ``folders``, the temporary folder and caches.

    Writing elsewhere raises PermissionError. The restriction is permanent.
    """
    sys.addaudithook(fence([*folders, *_allowed()]))


def limit_memory(more: int) -> None:
    """Limit the address space (RLIMIT_AS) to the current size plus ``n`` bytes, for this process and its children.

    Larger requests raise MemoryError, or end the process if a library cannot handle that. Reserved but unused
    memory (mapped files, reserves of libraries) counts, too. Linux only: other systems do not report the size of
    a process, or do not enforce the limit.
    """
    if sys.platform == "linux":
        import resource

        now = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
        _, highest = resource.getrlimit(resource.RLIMIT_AS)
        allowed = now + more if highest == resource.RLIM_INFINITY else min(now + more, highest)
        resource.setrlimit(resource.RLIMIT_AS, (allowed, highest))


def _allowed() -> list[str]:
    """Return the paths that every program may write to: temporary files, caches of libraries, devices."""
    import tempfile

    cache = os.environ.get("XDG_CACHE_HOME") or str(Path.home() / ".cache")
    named = [os.environ.get(name) for name in ("IPYTHONDIR", "MPLCONFIGDIR", "JUPYTER_RUNTIME_DIR")]
    return [tempfile.gettempdir(), cache, "/dev", *filter(None, named)]


def fence(folders: Collection[str]) -> Callable[[str, tuple], None]:
    """Return an audit hook that refuses writing outside ``folders``.

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
    """Return whether the path is relative to an open folder, whose own path was checked or is not ours."""
    has_descriptor = event not in ("open", "os.truncate") and isinstance(arguments[-1], int) and arguments[-1] >= 0
    return has_descriptor and not Path(os.fsdecode(path)).is_absolute()


def _check(path: str, roots: Collection[str]) -> None:
    found = f"{os.path.realpath(Path(path).parent)}{os.sep}{Path(path).name}"  # the name itself may be a link
    if not any(found == root or found.startswith(root + os.sep) for root in roots) and "__pycache__" not in found:
        expected = roots[0] if roots else "no place"
        raise PermissionError(f"a report writes into its own folder only: expected a place in {expected}, found {path}")
