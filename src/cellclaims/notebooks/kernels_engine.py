"""papermill's engine with an end to what a notebook may print; everything else about a run stays as it is."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from nbclient.exceptions import DeadKernelError
from papermill.clientwrap import PapermillNotebookClient
from papermill.engines import NBClientEngine, papermill_engines

if TYPE_CHECKING:
    from nbformat import NotebookNode

ENGINE = "cellclaims-limits"

#: What papermill hands to an engine and its client does not know.
NOT_FOR_THE_CLIENT = ("input_path", "stdout_file", "stderr_file", "log_output")


class TooMuchOutput(Exception):
    """A run printed more than it may; its kernel was ended."""


class LimitedClient(PapermillNotebookClient):
    """Runs the cells; ends the kernel when the outputs grow beyond a limit."""

    def __init__(self, manager: Any, output_bytes: int, **more: Any) -> None:
        super().__init__(manager, **more)
        self.output_bytes, self.received = output_bytes, 0

    def process_message(self, message: Mapping[str, Any], *more: Any, **named: Any) -> NotebookNode | None:
        """Take one message of the kernel, unless it is one too many."""
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
    """Characters in all texts of a message.

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
        return client.execute()


papermill_engines.register(ENGINE, LimitedEngine)
