"""Records per second of the harvest, compared with json.loads alone, on recorded studies repeated in a stream.

    python benchmarks/harvest.py [--records 5000] [--rounds 3] [--recorded ../shared/registry]

The recorded answers (single studies and search pages) are repeated until the stream has this many records, one per
line. Both methods alternate in one process every few records, so that other load affects both; seconds are processor
seconds. Memory is the peak of a fresh process; streams by processes are timed by
the clock.
"""

from __future__ import annotations

import argparse
import json
import re
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from itertools import cycle, islice
from pathlib import Path
from time import perf_counter, process_time

from cellclaims.harvest.stream import Body, harvest_piece

ROOT = Path(__file__).resolve().parent.parent

#: The number of a study in its line: a study that comes twice in a harvest gives no rows again.
NUMBER = re.compile(rb'("nctId":"NCT)[0-9]{8}')

#: Records that one side works on before the other side does.
TURN = 20

#: Run in a fresh process: harvest a file and say records, rows and the peak of memory in MB.
PEAK = """
import resource, sys
from cellclaims.harvest import stream
records = rows = 0
for portion in stream([sys.argv[1]]):
    records, rows = records + portion.records, rows + len(portion.rows)
print(records, rows, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024)
"""

#: The same in several processes, and its seconds.
CLOCK = """
import sys, time
from cellclaims.harvest import stream
if __name__ == "__main__":
    warm = list(stream([sys.argv[3]], workers=int(sys.argv[2])))
    start = time.perf_counter()
    for _ in stream([sys.argv[1]], workers=int(sys.argv[2])):
        pass
    print(time.perf_counter() - start)
"""


def recorded(folder: Path) -> list[bytes]:
    """Return every recorded study as one line."""
    studies = [json.loads(path.read_bytes()) for path in sorted((folder / "ctgov-v2").glob("*.json"))]
    for path in sorted((folder / "ctgov-v2-pages").glob("*.json")):
        page = json.loads(path.read_bytes())
        studies += page.get("studies", [page])
    return [json.dumps(one, ensure_ascii=False, separators=(",", ":")).encode() + b"\n" for one in studies]


def write_stream(path: Path, lines: list[bytes], records: int) -> int:
    """Write the lines repeatedly, with new registration numbers; return the bytes written."""
    with path.open("wb") as file:
        for number, line in enumerate(islice(cycle(lines), records)):
            file.write(NUMBER.sub(b"\\g<1>%08d" % number, line, count=1))
    return path.stat().st_size


def turns(path: Path) -> Iterator[list[bytes]]:
    """Yield the lines of a file, a few at a time."""
    with path.open("rb") as file:
        while lines := list(islice(file, TURN)):
            yield lines


def parse(lines: list[bytes]) -> None:
    """Parse only, the minimal work."""
    for line in lines:
        json.loads(line)


def harvest(lines: list[bytes]) -> None:
    """Harvest a piece of a stream, as the command does."""
    harvest_piece([Body("stream", line) for line in lines])


def seconds_of(work: Callable[[list[bytes]], None], lines: list[bytes]) -> float:
    """Return the processor seconds for a few lines."""
    start = process_time()
    work(lines)
    return process_time() - start


def side_by_side(path: Path) -> tuple[float, float]:
    """Return the seconds of json.loads alone and of the harvest over a stream, in alternating order."""
    works, spent = (parse, harvest), [0.0, 0.0]
    for number, lines in enumerate(turns(path)):
        for side in (0, 1) if number % 2 else (1, 0):
            spent[side] += seconds_of(works[side], lines)
    return spent[0], spent[1]


def run(code: str, *arguments: object) -> list[float]:
    """Return what a fresh process prints."""
    command = [sys.executable, "-c", code, *map(str, arguments)]
    return [float(one) for one in subprocess.run(command, check=True, capture_output=True, text=True).stdout.split()]


def report(name: str, seconds: float, records: int, size: int) -> None:
    """One line of the table."""
    print(f"| {name} | {seconds:.2f} | {records / seconds:,.0f} | {size / seconds / 1e6:,.1f} |")


def throughput(path: Path, records: int, size: int, rounds: int) -> None:
    """Compare the harvest with json.loads, medians of the rounds."""
    pairs = [side_by_side(path) for _ in range(rounds)]
    print("| one core | seconds | records per second | MB/s |", "|---|---|---|---|", sep="\n")
    report("json.loads alone", statistics.median(floor for floor, _ in pairs), records, size)
    report("harvest (with json.loads)", statistics.median(both for _, both in pairs), records, size)
    shares = [floor / both for floor, both in pairs]
    print(f"\nspeed of json.loads reached: {statistics.median(shares):.2f} ({min(shares):.2f} to {max(shares):.2f})\n")


def memory(folder: Path, lines: list[bytes], records: int) -> None:
    """Peak of memory for a fifth of the records and for all."""
    for count in (records // 5, records):
        path = folder / f"{count}.jsonl"
        write_stream(path, lines, count)
        read, rows, peak = run(PEAK, path)
        print(f"peak of memory, {read:,.0f} records, {rows:,.0f} rows: {peak:.0f} MB")


def processes(path: Path, warm: Path, rounds: int) -> None:
    """Two processes against one, in turns, without their start."""
    ratios = []
    for _ in range(rounds):
        one, two = (run(CLOCK, path, workers, warm)[0] for workers in (1, 2))
        ratios.append(one / two)
        print(f"1 process {one:.1f} s, 2 processes {two:.1f} s")
    print(f"2 processes against 1: {statistics.median(ratios):.2f} times as fast")


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--records", type=int, default=5000)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--recorded", type=Path, default=ROOT.parent / "shared" / "registry")
    given = parser.parse_args()
    lines = recorded(given.recorded)
    with tempfile.TemporaryDirectory() as folder:
        path, warm = Path(folder, "stream.jsonl"), Path(folder, "warm.jsonl")
        size = write_stream(path, lines, given.records)
        write_stream(warm, lines[-80:], 80)
        print(f"{given.records:,} records of {len(lines)} recorded, {size / 1e6:.0f} MB\n")
        throughput(path, given.records, size, given.rounds)
        memory(Path(folder), lines, given.records)
        started = perf_counter()
        processes(path, warm, given.rounds)
        print(f"({perf_counter() - started:.0f} s for the processes)")


if __name__ == "__main__":
    main()
