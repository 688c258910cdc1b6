"""Compares a batch of runs/sensitivity.yml with papermill and nbconvert on the same reports.

    python benchmarks/batch.py [--sets runs/sensitivity.yml] [--peers 25] [--rounds 3] [--workers 2]
    python benchmarks/batch.py --scaling    how time grows with the number of reports, as docs/figures/batch_scaling.*

Both methods alternate within one run, so that other load affects both. ``--peers`` may be smaller than the number of
reports: these are spread over the file, and their median is scaled up, as the output says.
"""

from __future__ import annotations

import argparse
import csv
import json
import os
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path
from time import perf_counter

from cellclaims.runner.parameter_sets import WantedReport, read_sets

ROOT = Path(__file__).resolve().parent.parent


def claims(count: int) -> list[str]:
    """Return the first claims of the evidence."""
    with (ROOT / "data" / "advertised" / "claims.csv").open(encoding="utf-8") as file:
        return [row["claim_id"] for row in csv.DictReader(file)][:count]


def timed(*commands: list[object]) -> float:
    """Return the seconds of commands run one after the other; they must succeed."""
    surroundings = {**os.environ, "OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}
    start = perf_counter()
    for command in commands:
        subprocess.run([str(part) for part in command], check=True, env=surroundings, capture_output=True)
    return perf_counter() - start


def by_batch(sets: Path, workers: int) -> float:
    """Return the seconds of one batch of all reports of a file of parameter sets, in a new folder."""
    with tempfile.TemporaryDirectory() as folder:
        start = "from cellclaims.cli import main; main()"
        return timed([sys.executable, "-c", start, "batch", sets, "--into", Path(folder, "into"), "--workers", workers])


def by_peers(report: WantedReport) -> float:
    """Return the seconds of one report by the commands papermill and nbconvert."""
    with tempfile.TemporaryDirectory() as folder:
        executed = Path(folder, report.notebook.name)
        values = {**report.values, "FIGURES": folder, "REPORTS": folder}
        run = [sys.executable, "-m", "papermill", report.notebook, executed, "--cwd", report.notebook.parent]
        run += ["--no-progress-bar", "-y", json.dumps(values)]
        return timed(run, [sys.executable, "-m", "nbconvert", "--to", "html", executed])


def measured(sets: Path, peers: int, rounds: int, workers: int) -> tuple[list[float], list[float]]:
    """Return the seconds of each batch, and of each report of the peers, spread over the rounds."""
    reports = read_sets(sets).reports
    chosen = [reports[at * len(reports) // peers] for at in range(min(peers, len(reports)))]
    batches, singles = [], []
    for number in range(rounds):
        batches.append(by_batch(sets, workers))
        singles += [by_peers(report) for report in chosen[number::rounds]]
    return batches, singles


def table(reports: int, workers: int, batches: list[float], singles: list[float]) -> str:
    """Return the times as a table: seconds of all reports (medians), of one, and the ratio."""
    batch, single = statistics.median(batches), statistics.median(singles)
    whole = single * reports
    scaled = "" if len(singles) == reports else f", median of {len(singles)} reports times {reports}"
    return "\n".join(
        [
            "| method | seconds | seconds per report | ratio |",
            "|---|---|---|---|",
            f"| papermill and nbconvert, one after the other{scaled} | {whole:.1f} | {single:.2f} | 1 |",
            f"| cellclaims batch, {workers} workers (median of {len(batches)}) "
            f"| {batch:.1f} | {batch / reports:.2f} | {whole / batch:.1f} |",
        ]
    )


def main() -> None:
    """Measure and print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--sets", type=Path, default=ROOT / "runs" / "sensitivity.yml")
    for name, default in (("peers", 25), ("rounds", 3), ("workers", 2)):
        parser.add_argument(f"--{name}", type=int, default=default)
    parser.add_argument("--scaling", action="store_true", help="how time grows with the number of reports")
    parser.add_argument("--sizes", type=int, nargs="+", default=[20, 50, 100, 200, 400])
    asked = parser.parse_args()
    if asked.scaling:
        from batch_scaling import scaling

        print(scaling(claims(30), asked.sizes, ROOT / "docs" / "figures").to_string(index=False))
        return
    batches, singles = measured(asked.sets, asked.peers, asked.rounds, asked.workers)
    print(f"Batches, seconds: {', '.join(f'{one:.1f}' for one in batches)}; load {os.getloadavg()[0]:.1f}")
    print(table(len(read_sets(asked.sets).reports), asked.workers, batches, singles))


if __name__ == "__main__":
    main()
