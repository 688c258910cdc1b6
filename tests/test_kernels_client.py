"""A kernel is used as soon as its outputs can be heard, and is killed when its notebook has ended."""

from __future__ import annotations

import asyncio
from queue import Empty

import nbformat
import pytest

from cellclaims.runner import kernels, run
from cellclaims.runner.kernels import PromptClient


class Channel(list):
    """A channel that holds messages and then nothing."""

    async def get_msg(self, timeout):
        if not self:
            raise Empty
        return self.pop(0)


def status(of: str, state: str) -> dict:
    return {"parent_header": {"msg_id": of}, "content": {"execution_state": state}}


class PretendedKernel(PromptClient):
    """A client whose kernel answers from the request ``answers`` on and is heard from the request ``heard`` on."""

    shell_channel, iopub_channel = None, None

    def __init__(self, answers: int = 1, heard: int = 1, lives: bool = True):
        super().__init__()
        self.answers, self.heard, self.lives, self.asked = answers, heard, lives, 0
        self.shell_channel, self.iopub_channel = Channel(), Channel([status("another's", "idle")])

    def kernel_info(self) -> str:
        self.asked += 1
        if self.asked >= self.answers:
            self.shell_channel.append({"content": {"protocol_version": "5.3"}})
        if self.asked >= max(self.answers, self.heard):
            self.iopub_channel.extend(status(str(self.asked), state) for state in ("busy", "idle"))
        return str(self.asked)

    async def is_alive(self) -> bool:
        return self.lives


@pytest.mark.parametrize(("answers", "heard", "asked"), [(1, 1, 1), (3, 1, 3), (1, 4, 4)])
def test_a_kernel_is_asked_until_the_end_of_an_own_request_is_heard(answers, heard, asked):
    client = PretendedKernel(answers, heard)
    asyncio.run(client.wait_for_ready(timeout=60))
    assert client.asked == asked, "another's end was taken for an own one, or it was asked once too often"


@pytest.mark.parametrize(
    ("lives", "timeout", "told"),
    [(False, None, "Kernel died before replying"), (True, -1, "Kernel didn't respond in -1 seconds")],
)
def test_a_kernel_that_dies_or_keeps_silent_is_not_waited_for(lives, timeout, told):
    with pytest.raises(RuntimeError, match=told):
        asyncio.run(PretendedKernel(answers=9, lives=lives).wait_for_ready(timeout))


LEAVES = "import atexit, pathlib\natexit.register(pathlib.Path(REPORTS, 'polite').touch)\nprint('written')"


@pytest.mark.parametrize("forked", [True, False])
def test_a_kernel_is_killed_when_its_notebook_has_ended(forked, small_review, tmp_path, monkeypatch):
    source, into = small_review((LEAVES,)), tmp_path / "into"
    if forked:
        with kernels.nursery(run.ONE_THREAD):
            executed = run.run_notebook(source, into)
    else:
        monkeypatch.delenv(kernels.SOCKET, raising=False)
        executed = run.run_notebook(source, into)
    assert nbformat.read(executed, 4).cells[-1].outputs[0].text == "written\n", "its first words were not heard"
    assert not (into / "polite").exists(), "the kernel was asked to end, which may take seconds"
