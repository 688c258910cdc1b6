"""The Docker and Binder files name only what is there; neither was built here, and all that speak of them say so."""

from __future__ import annotations

import json
import os
import re
import shlex
import tomllib
from fnmatch import fnmatch
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
BINDER = ROOT / ".binder"
SCRIPTS = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["scripts"]


def instructions():
    """The instructions of the Dockerfile in order, continued lines joined: (name, rest)."""
    text = re.sub(r"^\s*#.*\n", "", (ROOT / "Dockerfile").read_text(), flags=re.MULTILINE)
    lines = [line.strip() for line in text.replace("\\\n", " ").splitlines()]
    return [tuple(line.split(maxsplit=1)) for line in lines if line]


def all_of(name):
    return [rest for one, rest in instructions() if one == name]


def ignored(path):
    """Whether .dockerignore keeps a file or folder of the top out of the build."""
    patterns = [line for line in (ROOT / ".dockerignore").read_text().splitlines() if line and line[0] != "#"]
    return any(fnmatch(path, pattern.removeprefix("**/")) for pattern in patterns)


def test_the_dockerfile_is_made_of_known_instructions_and_starts_from_the_python_of_the_lock():
    known = {"FROM", "RUN", "WORKDIR", "USER", "ENV", "COPY", "EXPOSE", "CMD"}
    assert {name for name, _ in instructions()} <= known
    assert instructions()[0] == ("FROM", "python:3.11-slim")


def test_everything_that_is_copied_is_there_and_not_ignored():
    for rest in all_of("COPY"):
        *sources, target = [part for part in shlex.split(rest) if not part.startswith("--")]
        assert target == "./"
        assert all((ROOT / source).exists() and not ignored(source) for source in sources)


def test_what_the_notebooks_need_reaches_the_image_and_what_is_private_or_large_does_not():
    needed = "data notebooks src figures runs pyproject.toml README.md LICENSE LICENSE-DATA requirements.lock"
    assert [name for name in needed.split() if ignored(name) or not (ROOT / name).exists()] == []
    assert all(ignored(name) for name in (".git", ".venv", "reports", "__pycache__"))


def test_it_installs_the_lock_by_its_hashes_before_the_rest_is_copied():
    steps = [f"{name} {rest}" for name, rest in instructions()]
    lock = next(n for n, step in enumerate(steps) if "--require-hashes -r requirements.lock" in step)
    whole = next(n for n, step in enumerate(steps) if re.fullmatch(r"COPY \S+ \. \./", step))
    package = next(n for n, step in enumerate(steps) if "--no-build-isolation --no-deps -e ." in step)
    assert lock < whole < package


def test_a_user_without_rights_runs_it():
    steps = instructions()
    user = next(n for n, step in enumerate(steps) if step == ("USER", "reader"))
    assert all_of("USER") == ["reader"]
    assert any("useradd" in rest and "reader" in rest for _, rest in steps[:user])
    assert all("pip" not in rest for _, rest in steps[:user])
    assert all("--chown=reader:reader" in rest for rest in all_of("COPY"))


def test_it_starts_jupyterlab_on_the_notebooks_at_the_port_that_the_guide_names():
    [port] = all_of("EXPOSE")
    command = json.loads(all_of("CMD")[0])
    assert command[:2] == ["jupyter", "lab"]
    assert f"--port={port}" in command
    assert (ROOT / command[-1]).is_dir()
    assert not any("token" in part or "password" in part for part in command), "a server without a token is open to all"
    assert f"-p 127.0.0.1:{port}:{port}" in (ROOT / "docs" / "site.md").read_text()


@pytest.mark.parametrize(
    "text", [*all_of("RUN"), (BINDER / "postBuild").read_text()], ids=["user", "owner", "lock", "package", "binder"]
)
def test_commands_of_both_are_ours_or_of_every_image(text):
    from cellclaims.cli import main

    lines = [line for line in text.splitlines() if line and line[0] != "#"]
    for command in re.split(r"&&|\n", "\n".join(lines)):
        name, *rest = shlex.split(command)
        assert name in {"useradd", "chown", "python", "set", *SCRIPTS}
        assert name not in SCRIPTS or rest[0] in main.commands


def test_binder_installs_the_same_lock_and_the_same_python():
    [line] = (BINDER / "requirements.txt").read_text().splitlines()
    assert line.startswith("-r ")
    assert (BINDER / line.removeprefix("-r ")).resolve() == ROOT / "requirements.lock"
    assert (BINDER / "runtime.txt").read_text().strip() == "python-3.11"


def test_binder_makes_the_package_ready_by_a_script_that_can_be_run():
    script = BINDER / "postBuild"
    assert os.access(script, os.X_OK)
    assert script.read_text().startswith("#!/usr/bin/env bash\n")
    assert "\nset -eu\n" in script.read_text()
    assert "--no-deps -e ." in script.read_text()


@pytest.mark.parametrize("path", ["Dockerfile", ".binder/postBuild", "docs/site.md"])
def test_nobody_is_led_to_believe_that_either_was_built(path):
    assert re.search(
        r"not built where the project was made|Neither was built for this project", (ROOT / path).read_text(), re.I
    )
