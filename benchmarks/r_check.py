"""Run the R scripts of reports: each redoes the pools of its report with metafor and compares.

    python benchmarks/r_check.py reports

Needs Rscript with metafor and lme4 (Debian: r-cran-metafor, r-cran-lme4). Ends with 1 if a script found a difference
beyond its tolerance or could not be run, with 2 if there is nothing to run or no R to run it.
"""

from __future__ import annotations

import argparse
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

#: Longest time of one script, seconds.
LONGEST = 600
NEEDED = 'for (name in c("metafor", "lme4")) if (!requireNamespace(name, quietly = TRUE)) quit(status = 1)'


def rscript() -> str:
    """The program that runs R scripts; empty without R, or without metafor and lme4."""
    program = shutil.which("Rscript")
    done = program and subprocess.run([program, "-e", NEEDED], capture_output=True).returncode
    return program if program and done == 0 else ""


def scripts_in(folder: Path) -> Iterator[Path]:
    """The R scripts next to the JSON of a report, in the folder and below it."""
    return (path for path in sorted(folder.rglob("*.R")) if path.with_suffix(".json").is_file())


def run(program: str, script: Path) -> tuple[bool, str]:
    """Whether a script found no difference beyond its tolerance, and its last line, or why it could not be run."""
    try:
        done = subprocess.run(
            [program, script.name], cwd=script.parent, capture_output=True, text=True, timeout=LONGEST
        )
    except subprocess.TimeoutExpired:
        return False, f"not done after {LONGEST} s"
    text = done.stdout if done.returncode == 0 else done.stdout + done.stderr
    lines = [line for line in text.splitlines() if line.strip()]
    shown = [line for line in lines if " FALSE" in line] if done.returncode else []
    return done.returncode == 0, "\n".join([*shown, *lines[-1:]]) or "no output"


def main(arguments: list[str] | None = None) -> int:
    """Run the scripts and say what each found; the exit status."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path, nargs="?", default=Path("reports"))
    folder = parser.parse_args(arguments).folder
    program, scripts = rscript(), list(scripts_in(folder))
    if not program or not scripts:
        what = f"R scripts of reports below {folder}" if program else "Rscript with metafor and lme4"
        print(f"r_check: expected {what}, found none", file=sys.stderr)
        return 2
    failed = 0
    for script in scripts:
        start = time.perf_counter()
        good, said = run(program, script)
        failed += not good
        print(f"{script.relative_to(folder)}: {said} ({time.perf_counter() - start:.0f} s)", flush=True)
    print(f"{len(scripts)} reports redone in R, {failed} that differ")
    return int(failed > 0)


if __name__ == "__main__":
    raise SystemExit(main())
