"""A client of a kernel that is ready as soon as the kernel has shown that it is, without waiting for silence.

jupyter_client waits until a kernel has said nothing for a fifth of a second. Here the kernel is ready when it has
answered and the end of one of our requests was heard on the channel of outputs: then no output can be missed. What
else that channel holds belongs to our own requests too; nbclient passes it over, as it asks for one request only.
"""

from __future__ import annotations

import time
from queue import Empty

from jupyter_client.asynchronous import AsyncKernelClient
from jupyter_client.utils import ensure_async

#: Seconds until the kernel is asked again: the channel of outputs may have been joined too late for the first answer.
AGAIN = {"shell": 1.0, "iopub": 0.02}


class PromptClient(AsyncKernelClient):
    """Waits for a kernel no longer than it takes."""

    async def wait_for_ready(self, timeout: float | None = None) -> None:
        """Wait until the kernel answers and its outputs are heard.

        Raises
        ------
        RuntimeError
            If the kernel died, or has not answered after ``timeout`` seconds; as jupyter_client says it.
        """
        end = time.monotonic() + (float("inf") if timeout is None else timeout)
        asked: set[str] = set()
        while not await self._is_heard(asked):
            if not await ensure_async(self.is_alive()):
                raise RuntimeError("Kernel died before replying to kernel_info")
            if time.monotonic() > end:
                raise RuntimeError(f"Kernel didn't respond in {timeout:g} seconds")

    async def _is_heard(self, asked: set[str]) -> bool:
        """Ask once more; whether an answer came, and the end of one of the requests was heard."""
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
