"""Speed of the pooling engine, compared with metafor, PyMARE and statsmodels in the same run.

    python benchmarks/engine.py             the table
    python benchmarks/engine.py --figure    also how time grows, as docs/figures/engine_growth.svg

Times are medians of this machine at this moment; what lasts are the ratios of one run. A tool that works one fit
after another is timed on some of the fits and scaled up (marked ~).
"""

from __future__ import annotations

import argparse
import os
import resource
import subprocess
import sys
from pathlib import Path
from statistics import median
from time import perf_counter

from engine_jobs import Job, jobs
from engine_peers import PEERS

from cellclaims import meta

#: Numbers of a summary, each computed on first access.
SUMMARY = ("beta", "se", "ci_lb", "ci_ub", "p", "tau2", "se_tau2", "I2", "H2", "Q", "Q_p", "pi_lb", "pi_ub", "flags")


def fit_and_read(job: Job) -> None:
    """Run the job, and for a single fit compute every number of its summary."""
    fitted = meta.fit(job.yi, job.vi, keep=job.keep)
    if job.fits == 1:
        for name in SUMMARY:
            getattr(fitted, name)


def seconds(job: Job) -> float:
    """Return the median of the job's repeats, without the first one, which fills caches."""
    fit_and_read(job)
    times = []
    for _ in range(job.repeats):
        start = perf_counter()
        fit_and_read(job)
        times.append(perf_counter() - start)
    return median(times)


def written(time: float | str) -> str:
    """Return a time in a suitable unit."""
    if isinstance(time, str):
        return time
    for unit, factor in (("h", 1 / 3600), ("s", 1.0), ("ms", 1e3)):
        if time * factor >= 0.995 or (unit == "s" and time >= 0.0995):
            number = time * factor
            return f"{number:,.0f} {unit}" if number >= 100 else f"{number:.3g} {unit}"
    return f"{time * 1e3:.2g} ms"


def table() -> list[str]:
    """Return the table as lines of Markdown, one per job."""
    heads = ["job", "here", *PEERS, *(f"{peer} / here" for peer in PEERS)]
    lines = ["| " + " | ".join(heads) + " |", "|" + "---|" * len(heads)]
    for job in jobs():
        here = seconds(job)
        peers = [peer(job) for peer in PEERS.values()]
        scaled = ["~" * (count < job.fits) for count in (job.one_by_one, job.in_one_call, job.one_by_one)]
        ratios = ["-" if isinstance(p, str) else f"{p / here:,.0f}" for p in peers]
        times = [written(p) if isinstance(p, str) else s + written(p) for s, p in zip(scaled, peers, strict=True)]
        cells = [job.name, written(here), *times]
        lines.append("| " + " | ".join([*cells, *ratios]) + " |")
        print(lines[-1], file=sys.stderr, flush=True)
    return lines


def peak_memory() -> float:
    """Return the peak memory in megabytes of a separate process for all subsets of 20 studies."""
    done = subprocess.run([sys.executable, __file__, "--memory"], capture_output=True, text=True, check=True)
    return float(done.stdout)


def main() -> None:
    """Print the requested tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--figure", action="store_true", help="also draw how time grows")
    parser.add_argument("--memory", action="store_true", help="only fit all subsets of 20 and print the peak memory")
    chosen = parser.parse_args()
    if chosen.memory:
        fit_and_read(next(job for job in jobs() if job.fits == 2**20 - 1))
        print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024)
        return
    print(f"cores {os.cpu_count()}, load at the start {os.getloadavg()[0]:.1f}")
    print("\n".join(table()))
    print(f"peak memory for all subsets of k = 20: {peak_memory():.0f} MB")
    if chosen.figure:
        from engine_growth import draw

        print(*draw(Path(__file__).parent.parent / "docs" / "figures"))


if __name__ == "__main__":
    main()
