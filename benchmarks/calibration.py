"""Calibration of probabilities and intervals: a simulation over numbers of reports and heterogeneity.

    python benchmarks/calibration.py                     the long run (minutes): docs/calibration.csv, figures, tables
    python benchmarks/calibration.py --reviews 200       a short one
    python benchmarks/calibration.py --written           figures of coverage and tables again, from the numbers there

The simulation is described in ``calibration_study.simulate``, its results in docs/calibration.md, whose tables this
script writes between its marks.
"""

from __future__ import annotations

import argparse
import itertools
import re
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import pandas as pd
from calibration_study import draw
from calibration_study.simulate import MODELS, Judged, Setting, reliability, study

from cellclaims import figures, files
from cellclaims.reporting.tables import number

DOCS = Path(__file__).resolve().parent.parent / "docs"
KS, HETEROGENEITY = (3, 5, 10, 20), (0.0, 50.0, 90.0)
REVIEWS, SEED = 10_000, 2026
#: Heterogeneity of the reliability figure: neither none nor the most.
SHOWN_I2 = 50.0
KEYS = ["model", "k", "I2", "method"]


def run(reviews: int, seed: int, ks: Sequence[int] = KS, scheduler: str | None = None) -> tuple[pd.DataFrame, dict]:
    """Scores of every setting and method, and the reliability curves of the figure."""
    lines, curves = [], {}
    settings = [Setting(model, k, i2) for model, k, i2 in itertools.product(MODELS, ks, HETEROGENEITY)]
    for setting, found in zip(settings, study(settings, reviews, seed, scheduler), strict=True):
        for method, judged in found.items():
            key = dict(zip(KEYS, (setting.model, setting.k, setting.I2, method), strict=True))
            lines.append(key | {"reviews": reviews, "seed": seed} | judged.scores())
            if setting.I2 == SHOWN_I2:
                curves[setting.model, setting.k, method] = curve_of(judged)
    return pd.DataFrame(lines), curves


def curve_of(judged: Judged) -> Mapping:
    """Return stated and observed probabilities, for the reviews with an answer."""
    known = judged.new_ge == judged.new_ge
    return reliability(judged.new_ge[known], judged.new_is[known])


def summary(table: pd.DataFrame) -> list[str]:
    """Return one line per method, over all settings: lowest and mean coverage, errors of calibration, Brier score."""
    lines = [
        "| model | method | mean: lowest | mean: average | new clinic: lowest | new clinic: average "
        "| calibration error | Brier score above the best possible |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for (model, method), own in table.groupby(["model", "method"], sort=False):
        covered = [getattr(own[q], how)() for q in draw.QUANTITIES for how in ("min", "mean")]
        cells = [*(f"{number(100 * c, 1)} %" for c in covered), number(own.new_calibration_error.mean(), 3),
                 number(own.new_brier_excess.mean(), 4)]  # fmt: skip
        lines.append(f"| {draw.MODELS[model]} | {draw.WORDS[model][method]} | {' | '.join(cells)} |")
    return lines


def by_setting(table: pd.DataFrame) -> list[str]:
    """Return one line per setting: coverage of the intervals of the mean and of a new centre, one column per method."""
    lines = []
    for model, own in table.groupby("model", sort=False):
        words = draw.WORDS[model]
        methods = list(dict.fromkeys(own.method))
        heads = [words[m] for m in methods]
        lines += ["", f"**{draw.MODELS[model]}**, coverage in %, mean / new clinic", ""]
        lines += [f"| reports | I², % | {' | '.join(heads)} |", f"|{'---|' * (len(heads) + 2)}"]
        for (k, i2), cell in own.groupby(["k", "I2"], sort=False):
            at = cell.set_index("method")
            pairs = [f"{number(100 * at.mean_coverage[m], 1)} / {number(100 * at.new_coverage[m], 1)}" for m in methods]
            lines.append(f"| {k} | {number(i2, 0)} | {' | '.join(pairs)} |")
    return lines[1:]


#: Criteria for methods (smaller is better), and differences within simulation error.
MEASURES: dict[str, tuple[Callable[[pd.DataFrame], float], float]] = {
    "the mean's interval falls least short of 95 % where it covers least": (lambda t: -t.mean_coverage.min(), 0.004),
    "the mean's interval is nearest to 95 % on average": (lambda t: (t.mean_coverage - 0.95).abs().mean(), 0.002),
    "the new clinic's interval falls least short of 95 %": (lambda t: -t.new_coverage.min(), 0.004),
    "the new clinic's interval is nearest to 95 % on average": (lambda t: (t.new_coverage - 0.95).abs().mean(), 0.002),
    "smallest calibration error for a new clinic": (lambda t: t.new_calibration_error.mean(), 0.002),
}


def best(table: pd.DataFrame) -> list[str]:
    """Return the best calibrated methods by criterion and model, with all ties."""
    lines = []
    for what, (measure, tie) in MEASURES.items():
        for model, own in table.groupby("model", sort=False):
            scores = {method: measure(part) for method, part in own.groupby("method", sort=False)}
            winners = [m for m, score in scores.items() if score <= min(scores.values()) + tie]
            named = " or ".join(f"**{draw.WORDS[model][m]}**" for m in winners)
            lines.append(f"- {draw.MODELS[model]}: {what}: {named}")
    return lines


#: Mark in docs/calibration.md -> text between it and its end.
TABLES = {"summary": summary, "best": best, "by setting": by_setting}


def written(text: str, table: pd.DataFrame) -> str:
    """Return a page with updated tables between its marks."""
    for name, make in TABLES.items():
        mark = re.compile(rf"(<!-- {name}: [^>]*-->\n).*?(<!-- end -->)", re.DOTALL)
        if not mark.search(text):
            raise SystemExit(f"expected the mark <!-- {name}: ... --> with its <!-- end --> in the page, found none")
        body = "\n".join(make(table))
        text = mark.sub(lambda found, body=body: f"{found[1]}{body}\n{found[2]}", text)
    return text


def save_figures(table: pd.DataFrame, curves: Mapping, folder: Path) -> None:
    """Draw coverage, and reliability if curves are available."""
    figures.save(draw.coverage(table), alt=draw.alternative(table), name="calibration_coverage", folder=folder)
    if curves:
        alt = draw.reliability_alternative(curves)
        figures.save(draw.reliability(curves, SHOWN_I2), alt=alt, name="calibration", folder=folder)


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the simulation, write and draw its results."""
    asked = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    asked.add_argument("--reviews", type=int, default=REVIEWS, help="simulated reviews a setting")
    asked.add_argument("--seed", type=int, default=SEED)
    asked.add_argument("--into", type=Path, default=DOCS, help="folder with calibration.md")
    asked.add_argument("--reports", type=int, nargs="+", default=list(KS), help="numbers of reports")
    asked.add_argument("--scheduler", help="address of a Dask scheduler for the simulation")
    asked.add_argument("--written", action="store_true", help="use the numbers of calibration.csv")
    options = asked.parse_args(arguments)
    into, curves = options.into, {}
    if options.written:
        table = pd.read_csv(into / "calibration.csv")
    else:
        table, curves = run(options.reviews, options.seed, options.reports, options.scheduler)
        files.write_atomically(
            into / "calibration.csv", files.csv_text([table.columns, *table.itertuples(index=False)])
        )
    page = into / "calibration.md"
    files.write_atomically(page, written(page.read_text(encoding="utf-8"), table))
    save_figures(table, curves, into / "figures")


if __name__ == "__main__":
    main()
