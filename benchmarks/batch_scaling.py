"""Scaling of batches: seconds and processor seconds per report by number of reports, locally and on Dask.

    python benchmarks/batch.py --scaling [--sizes 20 50 100 200 400]

One batch of the largest size is made in each way, of reports on the advertised claims; when the 20th report, the 50th
and so on has ended is the time of a batch of that size (all but its index, which takes a moment). Processor seconds
include all processes of a batch on this computer; unlike wall time they depend little on other load.
"""

from __future__ import annotations

import contextlib
import json
import os
import resource
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from time import perf_counter, sleep

import pandas as pd
from matplotlib.figure import Figure

from cellclaims import figures, files
from cellclaims.figures import style

ROOT = Path(__file__).resolve().parent.parent
ONE_THREAD = {**os.environ, "OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}

#: Each way with how many reports it makes at the same time, colour and mark.
WAYS = {
    "this machine, 1 worker": (1, style.GREY, "o"),
    "this machine, 2 workers": (2, style.BLUE, "s"),
    "Dask, 2 workers": (2, style.VERMILLION, "^"),
}


def sets_file(folder: Path, names: Sequence[str], count: int) -> Path:
    """Return a file with this many reports: all claims, repeated under other names."""
    lines = ["title: Claims", f"notebooks: {ROOT / 'notebooks'}", "sets:"]
    for turn in range(-(-count // len(names))):
        some = names[: count - turn * len(names)]
        lines += ["- notebook: claim", f'  name: "{{CLAIM}}-{turn}"', f"  grid: {{CLAIM: [{', '.join(some)}]}}"]
    path = folder / "claims.yml"
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path


def python(*arguments: object, **more: object) -> subprocess.Popen:
    """Return a process of this Python."""
    return subprocess.Popen([sys.executable, *map(str, arguments)], env=ONE_THREAD, **more)


def ended_after(sets: Path, into: Path, *options: object) -> list[float]:
    """Return the seconds from the start of a batch until the end of each report."""
    command = "from cellclaims.cli import main; main()"
    start, seconds = perf_counter(), []
    with python("-c", command, "batch", sets, "--into", into, "--json", *options, stdout=subprocess.PIPE) as batch:
        states = (json.loads(line).get("state") for line in batch.stdout)
        seconds.extend(perf_counter() - start for state in states if state == "made")
    if batch.returncode:
        raise SystemExit(f"expected a batch without a failure, found the status {batch.returncode}")
    return seconds


@contextlib.contextmanager
def dask(folder: Path, workers: int) -> Iterator[str]:
    """Yield the address of a local scheduler with this many single-threaded workers; all end with the block."""
    file = folder / "scheduler.json"
    alone = ["--host", "127.0.0.1", "--no-dashboard"]
    quiet = {"cwd": folder, "stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    processes = [python("-m", "dask", "scheduler", *alone, "--port", 0, "--scheduler-file", file, **quiet)]
    try:
        while not file.exists() or not file.stat().st_size:
            sleep(0.1)
        address = json.loads(file.read_text())["address"]
        one = ["-m", "dask", "worker", address, *alone, "--nthreads", 1, "--no-nanny"]
        processes += [python(*one, **quiet) for _ in range(workers)]
        from distributed import Client

        with Client(address, set_as_default=False) as client:
            client.wait_for_workers(workers)
        yield address
    finally:
        for process in reversed(processes):
            process.terminate()
            process.wait()


def measured(way: str, names: Sequence[str], sizes: Sequence[int]) -> list[dict[str, object]]:
    """Return one row per size of one method: seconds, and processor seconds per report of the largest.

    Those of Dask's workers are unknown.
    """
    workers = WAYS[way][0]
    before = _processor_seconds()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        sets = sets_file(folder, names, max(sizes))
        with dask(folder, workers) if way.startswith("Dask") else contextlib.nullcontext() as address:
            options = ["--scheduler", address] if address else ["--workers", workers]
            seconds = ended_after(sets, folder / "into", *options)
    spent = None if way.startswith("Dask") else round((_processor_seconds() - before) / max(sizes), 3)
    return [
        {"way": way, "workers": workers, "reports": size, "seconds": round(seconds[size - 1], 2)}
        | {"processor_seconds_a_report": spent if size == max(sizes) else None}
        | {"load": round(os.getloadavg()[0], 1)}
        for size in sizes
    ]


def _processor_seconds() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def with_efficiency(rows: list[dict[str, object]]) -> pd.DataFrame:
    """Return the rows with seconds per report, and the proportion of the best possible speed-up over one worker."""
    table = pd.DataFrame(rows)
    table["seconds_a_report"] = (table.seconds / table.reports).round(3)
    alone = table[table.workers == 1].set_index("reports").seconds
    table["efficiency"] = (table.reports.map(alone) / table.seconds / table.workers).round(3)
    return table


def drawing(table: pd.DataFrame) -> Figure:
    """Draw seconds per report and efficiency against the number of reports."""
    with style.applied():
        fig = Figure(figsize=(7.2, 3.0), layout="constrained")
        cost, share = fig.subplots(1, 2)
        for way, (_, colour, mark) in WAYS.items():
            rows = table[table.way == way]
            cost.plot(rows.reports, rows.seconds_a_report, mark + "-", color=colour, label=way)
            share.plot(rows.reports, rows.efficiency, mark + "-", color=colour)
        cost.set(ylabel="seconds per report", title="Cost", ylim=(0, None))
        share.set(ylabel="speed-up over one worker / workers", title="Efficiency", ylim=(0, None))
        for axes in (cost, share):
            axes.set(xlabel="reports in the batch", xscale="log")
            axes.set_xticks(sorted(set(table.reports)), [str(size) for size in sorted(set(table.reports))])
            axes.minorticks_off()
        cost.legend(frameon=False)
    return fig


def scaling(names: Sequence[str], sizes: Sequence[int], into: Path) -> pd.DataFrame:
    """Measure every way, write ``batch_scaling.csv``, ``.svg`` and ``.png`` into a folder; the table."""
    table = with_efficiency([row for way in WAYS for row in measured(way, names, sizes)])
    files.write_atomically(into / "batch_scaling.csv", files.csv_text([table.columns, *table.itertuples(index=False)]))
    last = table[table.reports == max(sizes)].set_index("way").seconds_a_report
    words = "; ".join(f"{way}: {seconds:g} s" for way, seconds in last.items())
    alt = f"Seconds per report, and efficiency, for {min(sizes)} to {max(sizes)} reports. At {max(sizes)}: {words}."
    figures.save(drawing(table), alt=alt, name="batch_scaling", folder=into)
    return table
