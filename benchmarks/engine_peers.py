"""The same fits by other tools, if installed: metafor (through Rscript), PyMARE, statsmodels.

Each function returns the seconds that all fits of a job take, or a sentence that says why it was not run.
"""

from __future__ import annotations

import shutil
import subprocess
import tempfile
import warnings
from importlib.util import find_spec
from pathlib import Path
from time import perf_counter

import numpy as np
from engine_jobs import Job

#: A single fit is repeated this often, and the mean taken.
SINGLE_REPEATS = 50


def metafor(job: Job) -> float | str:
    """Fit one by one in metafor; timed inside R, without its start."""
    if shutil.which("Rscript") is None:
        return "no Rscript"
    yi, vi = job.sample(job.one_by_one)
    if job.fits == 1:
        yi, vi = (np.repeat(a, SINGLE_REPEATS, axis=0) for a in (yi, vi))
    with tempfile.TemporaryDirectory() as folder:
        files = [Path(folder) / name for name in ("yi.csv", "vi.csv")]
        for file, values in zip(files, (yi, vi), strict=True):
            text = "\n".join(",".join("NA" if np.isnan(x) else repr(float(x)) for x in row) for row in values)
            file.write_text(text + "\n")
        command = ["Rscript", str(Path(__file__).with_name("engine_peer.R")), *map(str, files)]
        done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode != 0:
        return "metafor is not installed in R" if "metafor" in done.stderr else "Rscript failed"
    return float(done.stdout) / len(yi) * job.fits


def pymare(job: Job) -> float | str:
    """Fit all data sets of one size in one call, PyMARE's fastest method; subsets are grouped by size."""
    if find_spec("pymare") is None:
        return "no pymare"
    from pymare.estimators import VarianceBasedLikelihoodEstimator

    yi, vi = job.sample(job.in_one_call)
    if job.fits == 1:
        return _timed(lambda: _pymare_summary(VarianceBasedLikelihoodEstimator, yi[0], vi[0]), SINGLE_REPEATS)
    sizes = np.count_nonzero(~np.isnan(yi), axis=1)
    seconds = 0.0
    for size in np.unique(sizes[sizes > 1]):
        rows = sizes == size
        y, v = (a[rows][~np.isnan(a[rows])].reshape(-1, size).T for a in (yi, vi))
        seconds += _timed(lambda y=y, v=v: _pymare_fit(VarianceBasedLikelihoodEstimator, y, v), 1)
    return seconds / job.in_one_call * job.fits


def _pymare_fit(estimator: type, yi: np.ndarray, vi: np.ndarray) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # numerical trouble of the peer is not what is timed
        estimator(method="REML").fit(yi, vi, np.ones((len(yi), 1)))


def _pymare_summary(estimator: type, yi: np.ndarray, vi: np.ndarray) -> None:
    """One fit with the numbers of a summary: effect, limits and P value, heterogeneity; not the limits of tau2."""
    from pymare import Dataset

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        summary = estimator(method="REML").fit_dataset(Dataset(y=yi, v=vi)).summary()
        summary.get_fe_stats(), summary.get_heterogeneity_stats()


def statsmodels(job: Job) -> float | str:
    """Paule-Mandel one by one: statsmodels has no REML."""
    if find_spec("statsmodels") is None:
        return "no statsmodels"
    from statsmodels.stats.meta_analysis import combine_effects

    yi, vi = job.sample(job.one_by_one)
    pairs = [(y[~np.isnan(y)], v[~np.isnan(v)]) for y, v in zip(yi, vi, strict=True)]
    pairs = [pair for pair in pairs if len(pair[0]) > 1]

    def every() -> None:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            for y, v in pairs:
                combine_effects(y, v, method_re="iterated").summary_frame()

    return _timed(every, SINGLE_REPEATS if job.fits == 1 else 1) / len(pairs) * job.fits


def _timed(work: object, repeats: int) -> float:
    work()
    start = perf_counter()
    for _ in range(repeats):
        work()
    return (perf_counter() - start) / repeats


PEERS = {"metafor": metafor, "PyMARE": pymare, "statsmodels (PM)": statsmodels}
