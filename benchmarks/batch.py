"""Twenty reports with HTML: one batch of forked kernels beside papermill and nbconvert, one after the other.

    python benchmarks/batch.py [--reports 20] [--peers 20] [--rounds 3] [--workers 2]
    python benchmarks/batch.py --scaling    how time grows with the number of reports, as docs/figures/batch_scaling.*

Both make the same reports (one advertised claim each) in the same run, in turns, so that whatever else the machine
does falls on both. ``--peers`` may be fewer than ``--reports``: their time is then scaled up, and the table says so.
"""

from __future__ import annotations

import argparse
import csv
import os
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path
from time import perf_counter

ROOT = Path(__file__).resolve().parent.parent
NOTEBOOK = ROOT / "notebooks" / "claim.ipynb"


def claims(count: int) -> list[str]:
    """The first claims of the evidence."""
    with (ROOT / "data" / "advertised" / "claims.csv").open(encoding="utf-8") as file:
        return [row["claim_id"] for row in csv.DictReader(file)][:count]


def timed(*commands: list[object]) -> float:
    """Seconds of commands run one after the other; they must succeed."""
    surroundings = {**os.environ, "OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}
    start = perf_counter()
    for command in commands:
        subprocess.run([str(part) for part in command], check=True, env=surroundings, capture_output=True)
    return perf_counter() - start


def by_batch(names: list[str], workers: int) -> float:
    """Seconds of one batch of reports, from nothing."""
    with tempfile.TemporaryDirectory() as folder:
        sets = Path(folder, "claims.yml")
        lines = ["title: Claims", f"notebooks: {ROOT / 'notebooks'}", "sets:", "- notebook: claim"]
        sets.write_text("\n".join([*lines, f"  grid: {{CLAIM: [{', '.join(names)}]}}"]), encoding="utf-8")
        start = "from cellclaims.cli import main; main()"
        return timed([sys.executable, "-c", start, "batch", sets, "--into", Path(folder, "into"), "--workers", workers])


def by_peers(name: str) -> float:
    """Seconds of one report by papermill and nbconvert as anybody would call them."""
    with tempfile.TemporaryDirectory() as folder:
        executed = Path(folder, "claim.ipynb")
        own = ["-p", "CLAIM", name, "-p", "FIGURES", folder, "-p", "REPORTS", folder]
        run = [sys.executable, "-m", "papermill", NOTEBOOK, executed, "--cwd", NOTEBOOK.parent, *own]
        return timed(run, [sys.executable, "-m", "nbconvert", "--to", "html", executed])


def measured(reports: int, peers: int, rounds: int, workers: int) -> tuple[list[float], list[float]]:
    """Seconds of each batch, and of each report of the peers; the peers' reports are spread over the rounds."""
    names = claims(reports)
    batches, singles = [], []
    for number in range(rounds):
        batches.append(by_batch(names, workers))
        singles += [by_peers(name) for name in names[:peers][number::rounds]]
    return batches, singles


def table(reports: int, workers: int, batches: list[float], singles: list[float]) -> str:
    """The times as a table: seconds of all reports (medians), of one, and the ratio."""
    batch, single = statistics.median(batches), statistics.median(singles)
    whole = single * reports
    scaled = "" if len(singles) == reports else f", median of {len(singles)} reports times {reports}"
    return "\n".join(
        [
            "| way | seconds | seconds a report | ratio |",
            "|---|---|---|---|",
            f"| papermill and nbconvert, one after the other{scaled} | {whole:.1f} | {single:.2f} | 1 |",
            f"| cellclaims batch, {workers} workers (median of {len(batches)}) "
            f"| {batch:.1f} | {batch / reports:.2f} | {whole / batch:.1f} |",
        ]
    )


def main() -> None:
    """Measure and print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    for name, default in (("reports", 20), ("peers", 20), ("rounds", 3), ("workers", 2)):
        parser.add_argument(f"--{name}", type=int, default=default)
    parser.add_argument("--scaling", action="store_true", help="how time grows with the number of reports")
    parser.add_argument("--sizes", type=int, nargs="+", default=[20, 50, 100, 200, 400])
    asked = parser.parse_args()
    if asked.scaling:
        from batch_scaling import scaling

        print(scaling(claims(30), asked.sizes, ROOT / "docs" / "figures").to_string(index=False))
        return
    batches, singles = measured(asked.reports, asked.peers, asked.rounds, asked.workers)
    print(f"Batches, seconds: {', '.join(f'{one:.1f}' for one in batches)}; load {os.getloadavg()[0]:.1f}")
    print(table(asked.reports, asked.workers, batches, singles))


if __name__ == "__main__":
    main()
