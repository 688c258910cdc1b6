"""Every pool that a notebook records, recomputed from its own rows by a route that shares no code with the package.

Normal-normal pools: the restricted likelihood maximised by :mod:`scipy.optimize`, then formulas. Proportions: the
likelihood integrated by brute force and maximised by :mod:`scipy.optimize`, the standard error from a numerical
Hessian. Differences of proportions: the formulas of Mantel-Haenszel. All limits from :mod:`scipy.stats`.
"""

from __future__ import annotations

import functools
import json
import math

import nbformat
import numpy as np
import pytest
from scipy import optimize, special, stats

from .made_up_trials import DATA, real

ROOT = DATA.parent
NOTEBOOKS = sorted((ROOT / "notebooks").glob("[0-9][0-9]_*.ipynb"))
#: Those that record pools; what is new in the registries is no pool.
NAMES = [path.stem for path in NOTEBOOKS if "review.add(" in path.read_text()]

#: Formulas from the same rows; only the order of sums differs.
FORMULA = 1e-9
#: tau2 where a general optimiser stops: it resolves the top of a likelihood to the root of the machine's precision.
TAU2 = 1e-6
#: Adaptive quadrature with 15 points against brute force, an optimiser that stops, and a numerical Hessian.
INTEGRATED = 1e-5

#: settings.model may be one of these; each needs its own route below.
MODELS = {
    "normal",
    "binomial_normal",
    "beta_binomial",
    "mantel_haenszel",
    "peto",
    "bayes_normal",
    "bayes_binomial_normal",
    "multilevel",
}


def refused(word):
    raise AssertionError(f"{word} is no JSON value")


@pytest.fixture(scope="module")
def recorded(fresh):
    """{notebook: its records}, of the notebooks as the session has run them."""
    folder = fresh
    return {name: json.loads((folder / f"{name}.json").read_text(), parse_constant=refused) for name in NAMES}


def column(record, name):
    return np.array([math.nan if row[name] is None else row[name] for row in record["rows"]], float)


# --- normal-normal -----------------------------------------------------------------------------------------------


def restricted_likelihood(tau2, y, v):
    w = 1 / (v + tau2)
    mean = (w * y).sum() / w.sum()
    return 0.5 * (np.log(w).sum() - math.log(w.sum()) - (w * (y - mean) ** 2).sum())


def reml(y, v):
    """The tau2 of the highest restricted likelihood: a grid against several tops, then the best top refined."""
    grid = np.concatenate([[0.0], np.geomspace(1e-6, 1e4, 400) * v.mean()])
    best = int(np.argmax([restricted_likelihood(t, y, v) for t in grid]))
    low, high = grid[max(best - 1, 0)], grid[min(best + 1, len(grid) - 1)]
    found = optimize.minimize_scalar(
        lambda t: -restricted_likelihood(t, y, v), bounds=(low, high), method="bounded", options={"xatol": 1e-12}
    ).x
    return found if restricted_likelihood(found, y, v) > restricted_likelihood(0.0, y, v) else 0.0


def normal(record):
    y, v, k = column(record, "yi"), column(record, "vi"), len(record["rows"])
    settings = record["settings"]
    tau2 = {"EE": lambda: 0.0, "REML": lambda: reml(y, v)}[settings["method"]]()
    w, fixed = 1 / (v + tau2), 1 / v
    beta, spread = (w * y).sum() / w.sum(), 1.0
    q = (fixed * (y - (fixed * y).sum() / fixed.sum()) ** 2).sum()
    if settings["test"] == "adhoc":
        spread = max(1.0, (w * (y - beta) ** 2).sum() / (k - 1))
    se = math.sqrt(spread / w.sum())
    half = (1 + settings["level"]) / 2
    quantile = stats.norm.ppf(half) if settings["test"] == "z" else stats.t.ppf(half, k - 1)
    reach = stats.t.ppf(half, k - 2) * math.sqrt(se**2 + tau2) if k > 2 else None
    typical = (k - 1) / (fixed.sum() - (fixed**2).sum() / fixed.sum()) if k > 1 else math.inf
    return {
        "beta": (beta, FORMULA if k == 1 else TAU2),
        "se": (se, FORMULA if k == 1 else TAU2),
        "ci_lb": (beta - quantile * se, TAU2 * quantile),
        "ci_ub": (beta + quantile * se, TAU2 * quantile),
        "pi_lb": (None if reach is None else beta - reach, TAU2 * 20),
        "pi_ub": (None if reach is None else beta + reach, TAU2 * 20),
        "tau2": (tau2, TAU2),
        "I2": (100 * tau2 / (tau2 + typical), TAU2),
        "Q": (q, FORMULA),
        "weight": (100 * w / w.sum(), 100 * TAU2),
    }


# --- binomial-normal ---------------------------------------------------------------------------------------------

#: Points and weights of the standard normal by the trapezoid rule: 1e-12 and better for the spreads met here.
Z = np.linspace(-9, 9, 1201)
LOG_WEIGHT = stats.norm.logpdf(Z) + math.log(Z[1] - Z[0])


def binomial_likelihood(mean, tau, x, n):
    logits = mean + tau * Z[:, None]
    inside = x * special.log_expit(logits) + (n - x) * special.log_expit(-logits) + LOG_WEIGHT[:, None]
    return float(special.logsumexp(inside, axis=0).sum())


def hessian(f, at, step=1e-3):
    """Second derivatives by central differences of fourth order."""
    offsets, first = (-2, -1, 1, 2), np.array([1, -8, 8, -1]) / 12
    size = len(at)
    out = np.zeros((size, size))
    for i in range(size):
        for j in range(size):
            for a, p in zip(offsets, first, strict=True):
                for b, q in zip(offsets, first, strict=True):
                    moved = np.array(at, float)
                    moved[i] += a * step
                    moved[j] += b * step
                    out[i, j] += p * q * f(moved) / step**2
    return out


@functools.cache
def binomial_top(x, n):
    """(mean, tau, standard error of the mean) at the top of the likelihood; tau 0 where nothing is gained by more."""
    x, n = np.array(x), np.array(n)
    common = math.log(x.sum() / (n - x).sum())
    common_se = math.sqrt(1 / x.sum() + 1 / (n - x).sum())
    minus = lambda at: -binomial_likelihood(at[0], abs(at[1]), x, n)  # noqa: E731
    starts = [(common, 0.3), (common, 1.5)]
    tops = [
        optimize.minimize(minus, start, method="Nelder-Mead", options={"xatol": 1e-9, "fatol": 1e-13, "maxiter": 2000})
        for start in starts
    ]
    top = min(tops, key=lambda found: found.fun)
    tau = abs(top.x[1])
    if tau < 1e-3 or top.fun > minus((common, 0.0)) - 1e-9:
        return common, 0.0, common_se
    covariance = np.linalg.inv(hessian(minus, (top.x[0], tau)))
    return float(top.x[0]), tau, math.sqrt(covariance[0, 0])


def binomial_normal(record):
    x, n, k = column(record, "events"), column(record, "n"), len(record["rows"])
    half = (1 + record["settings"]["level"]) / 2
    total, patients = x.sum(), n.sum()
    if k == 1:
        low = special.logit(stats.beta.ppf(1 - half, total, patients - total + 1)) if total else -math.inf
        high = special.logit(stats.beta.ppf(half, total + 1, patients - total)) if total < patients else math.inf
        beta = special.logit(total / patients)
        limits = {"ci_lb": (low, FORMULA), "ci_ub": (high, FORMULA), "pi_lb": (None, 0), "pi_ub": (None, 0)}
        return {"beta": (beta, FORMULA), **limits, "tau2": (0.0, FORMULA)} | shares(x, n, beta, 0.0)
    beta, tau, se = binomial_top(tuple(x), tuple(n))
    wide = math.hypot(se, tau)
    reach = stats.t.ppf(half, k - 2) * wide if k > 2 else None
    quantile = stats.t.ppf(half, k - 1)
    return {
        "beta": (beta, INTEGRATED),
        "se": (se, INTEGRATED),
        "ci_lb": (beta - quantile * se, INTEGRATED * quantile),
        "ci_ub": (beta + quantile * se, INTEGRATED * quantile),
        "pi_lb": (None if reach is None else beta - reach, INTEGRATED * 20),
        "pi_ub": (None if reach is None else beta + reach, INTEGRATED * 20),
        "tau2": (tau**2, INTEGRATED),
        "Q": (likelihood_ratio(x, n), FORMULA),
        "I2": (share_between(x, n, tau**2), 100 * INTEGRATED),
    } | shares(x, n, beta, tau**2)


def likelihood_ratio(x, n):
    """Twice the gain of one proportion for each report over a common one."""
    each, common = stats.binom.logpmf(x, n, x / n), stats.binom.logpmf(x, n, x.sum() / n.sum())
    return 2 * (each - common).sum()


def share_between(x, n, tau2):
    """I2 in per cent, by the typical variance of a logit; an empty cell gets half an event here and nowhere else."""
    half = np.where((x == 0) | (x == n), 0.5, 0.0)
    w = 1 / (1 / (x + half) + 1 / (n - x + half))
    typical = (len(x) - 1) / (w.sum() - (w**2).sum() / w.sum())
    return 100 * tau2 / (tau2 + typical)


def shares(x, n, beta, tau2):
    """Weights in per cent: the information of each report at the pooled proportion."""
    p = np.clip(special.expit(beta), 1e-6, 1 - 1e-6)
    information = 1 / (1 / (n * p * (1 - p)) + tau2)
    return {"weight": (100 * information / information.sum(), 100 * INTEGRATED)}


# --- Mantel-Haenszel ---------------------------------------------------------------------------------------------


def mantel_haenszel(record):
    """The common difference of two proportions with the variance of Sato, Greenland and Robins (1989)."""
    a, n1, c, n2 = (column(record, name) for name in ("events", "n", "events_control", "n_control"))
    total = n1 + n2
    weight = n1 * n2 / total
    beta = (a * n2 / total - c * n1 / total).sum() / weight.sum()
    one = (n1**2 * c - n2**2 * a + n1 * n2 * (n2 - n1) / 2) / total**2
    two = (a * (n2 - c) + c * (n1 - a)) / (2 * total)
    se = math.sqrt((beta * one.sum() + two.sum()) / weight.sum() ** 2)
    reach = stats.norm.ppf((1 + record["settings"]["level"]) / 2) * se
    return {
        "beta": (beta, FORMULA),
        "se": (se, FORMULA),
        "ci_lb": (beta - reach, FORMULA),
        "ci_ub": (beta + reach, FORMULA),
        "weight": (100 * weight / weight.sum(), FORMULA),
    } | spread(a, n1, c, n2, beta)


def spread(a, n1, c, n2, beta):
    """Q of the reports' own differences around the common one, and I2 from it; half an event where a cell is empty."""
    half = np.where((a == 0) | (a == n1) | (c == 0) | (c == n2), 0.5, 0.0)
    a, c, n1, n2 = a + half, c + half, n1 + 2 * half, n2 + 2 * half
    variance = a * (n1 - a) / n1**3 + c * (n2 - c) / n2**3
    q = ((a / n1 - c / n2 - beta) ** 2 / variance).sum()
    return {"Q": (q, FORMULA), "I2": (100 * max(0.0, 1 - (len(a) - 1) / q), FORMULA)}


ROUTES = {"normal": normal, "binomial_normal": binomial_normal, "mantel_haenszel": mantel_haenszel}


def differing(record):
    """What is recorded otherwise than recomputed, in words."""
    if len(record["rows"]) in (0, 2) or nothing_to_pool(record) or only_listed(record):
        found = record["result"]
        names = ("beta", "se", "ci_lb", "pi_lb", "tau2", "I2", "Q")
        faults = [f"{record['pool']}: {name} of what is not pooled" for name in names if found[name] is not None]
        return faults + [f"{record['pool']}: a Bayesian fit of what is not pooled"] * len(record["bayes"])
    faults = []
    alone = len(record["rows"]) == 1
    if alone and record["measure"] == "RD":
        return []  # Newcombe's limits: test_pools
    for name, (value, tolerance) in ROUTES[record["settings"]["model"]](record).items():
        mine = column(record, "weight") if name == "weight" else record["result"][name]
        if alone and name in ("tau2", "I2", "Q"):
            value = None  # one study has no heterogeneity
        if not same(mine, value, tolerance):
            faults.append(f"{record['pool']}: {name} is recorded as {mine}, recomputed as {value}")
    return faults


def only_listed(record):
    """A harm whose studies were followed for too different times: listed, however many there are (notebook 06)."""
    return record.get("notebook") == "06_harms" and record["result"]["beta"] is None


def nothing_to_pool(record):
    """No participant had the event, or every one."""
    if record["measure"] != "PLO" or len(record["rows"]) < 2:
        return False
    return column(record, "events").sum() in (0, column(record, "n").sum())


def same(recorded_value, value, tolerance):
    """Equal within the tolerance, relative for large values; what does not exist or is infinite is recorded as null."""
    if value is None or (np.ndim(value) == 0 and not math.isfinite(value)):
        return recorded_value is None
    if recorded_value is None:
        return False
    return bool(np.all(np.abs(np.subtract(recorded_value, value)) <= tolerance * np.maximum(1.0, np.abs(value))))


# --- the records -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("notebook", NAMES)
def test_every_pool_follows_from_its_own_rows(recorded, notebook):
    assert recorded[notebook], "a notebook without a recorded pool"
    assert [fault for record in recorded[notebook] for fault in differing(record)] == []


# --- Bayesian: what predictions are reported from ----------------------------------------------------------------


def bayes_by_quadrature(record, scale):
    """{quantity: value} by brute force: a grid of tau, for each a grid of the mean, and sums."""
    tau = (np.arange(120) + 0.5) * 6 * scale / 120
    is_count = record["measure"] == "PLO"
    if is_count:
        x, n = column(record, "events"), column(record, "n")
        centre, wide = special.logit(x.sum() / n.sum()), 5 * scale
    else:
        y, v = column(record, "yi"), column(record, "vi")
        centre, wide = y.mean(), 6 * max(scale, math.sqrt(v.max()))
    mean = np.linspace(centre - wide, centre + wide, 401)
    log = np.empty((len(tau), len(mean)))
    for place, t in enumerate(tau):
        if is_count:
            p = special.expit(mean[:, None] + t * Z[::20])  # 61 points of the trapezoid rule
            weight = stats.norm.pdf(Z[::20]) * 20 * (Z[1] - Z[0])
            log[place] = sum(np.log(stats.binom.pmf(a, m, p) @ weight) for a, m in zip(x, n, strict=True))
        else:
            log[place] = stats.norm.logpdf(y, mean[:, None], np.sqrt(v + t**2)).sum(1)
    log += stats.halfnorm.logpdf(tau, scale=scale)[:, None]
    joint = np.exp(log - log.max())
    joint /= joint.sum()
    half = (mean[1] - mean[0]) / 2
    ci = [float(np.interp(q, joint.sum(0).cumsum(), mean + half)) for q in (0.025, 0.975)]
    reach = np.linspace(mean[0] - wide, mean[-1] + wide, 401)
    cdf = sum(stats.norm.cdf((reach[:, None] - mean) / t) @ joint[place] for place, t in enumerate(tau))
    pi = [float(np.interp(q, cdf, reach)) for q in (0.025, 0.975)]
    return {"ci_lb": ci[0], "ci_ub": ci[1], "pi_lb": pi[0], "pi_ub": pi[1]}


def test_predictions_follow_from_the_rows_by_brute_force(recorded):
    """The main pools, with every prior that is recorded."""
    compared = 0
    for name in ("02_hba1c", "03_insulin_independence", "04_half_the_insulin"):
        for record in (recorded[name][0], recorded[name][-1]):
            for fit in record["bayes"]:
                mine = bayes_by_quadrature(record, fit["scale"])
                assert {k: fit[k] for k in mine} == pytest.approx(mine, abs=0.02), record["pool"]
                compared += 1
    assert compared >= 3


@pytest.mark.parametrize("notebook", NAMES)
def test_no_reported_prediction_is_narrower_than_the_interval_of_the_mean_of_the_same_kind(recorded, notebook):
    for record in recorded[notebook]:
        for fit in [*record["bayes"], record["result"]]:
            if fit["pi_lb"] is not None:
                assert fit["pi_lb"] <= fit["ci_lb"] < fit["ci_ub"] <= fit["pi_ub"], record["pool"]


def test_there_are_at_least_fifteen_pools_of_every_model_in_use(recorded):
    records = [record for records in recorded.values() for record in records]
    assert len(NAMES) >= 5
    assert len([r for r in records if r["result"]["k"] >= 1]) >= 15
    assert {r["settings"]["model"] for r in records} == set(ROUTES) <= MODELS


@pytest.mark.parametrize("notebook", NAMES)
def test_a_record_has_the_shape_that_is_promised(recorded, notebook):
    names = [record["pool"] for record in recorded[notebook]]
    assert len(names) == len(set(names))
    for record in recorded[notebook]:
        assert record["notebook"] == notebook
        assert {"estimand", "measure", "scale", "settings", "rows", "left_out", "result"} <= set(record)
        assert {"model", "method", "test", "level", "interval"} <= set(record["settings"])
        assert record["settings"]["interval"]
        assert record["scale"] in ("identity", "logit")
        assert set(record["result"]) >= {"beta", "se", "ci_lb", "ci_ub", "pi_lb", "pi_ub", "tau2", "I2", "Q", "k"}
        for row in record["rows"]:
            assert set(row) >= {"study_id", "arm_id", "source_id", "yi", "vi", "events", "n", "weight"}
        assert all(set(row) == {"study_id", "arm_id", "reason"} and row["reason"] for row in record["left_out"])


@pytest.mark.parametrize("notebook", NAMES)
def test_k_is_the_number_of_rows_and_no_report_stands_twice(recorded, notebook):
    for record in recorded[notebook]:
        assert record["result"]["k"] == len(record["rows"])
        reports = [row["study_id"] for row in record["rows"]]
        assert len(reports) == len(set(reports))


@pytest.mark.parametrize("notebook", NAMES)
def test_every_row_leads_to_its_source(recorded, notebook):
    known = set(real().sources.source_id)
    arms = set(zip(real().arms.study_id, real().arms.arm_id, strict=True))
    for record in recorded[notebook]:
        for row in record["rows"]:
            assert set(row["source_id"].split(";")) <= known
            assert {(row["study_id"], a) for a in row["arm_id"].replace(" v ", "+").split("+")} <= arms


@pytest.mark.parametrize("notebook", NAMES)
def test_the_effect_of_a_count_is_its_logit_or_its_difference(recorded, notebook):
    for record in recorded[notebook]:
        x, n, c, m = (column(record, name) for name in ("events", "n", "events_control", "n_control"))
        with np.errstate(divide="ignore"):
            made = {
                "PLO": lambda x=x, n=n: (np.log(x) - np.log(n - x), 1 / x + 1 / (n - x)),
                "RD": lambda x=x, n=n, c=c, m=m: (x / n - c / m, x * (n - x) / n**3 + c * (m - c) / m**3),
            }.get(record["measure"], lambda: ((), ()))()
        for name, values in zip(("yi", "vi"), made, strict=True):
            mine, values = column(record, name), np.asarray(values, float)
            if len(values):
                assert mine == pytest.approx(np.where(np.isfinite(values), values, np.nan), rel=FORMULA, nan_ok=True)


# --- what is never one pool --------------------------------------------------------------------------------------


def types(record):
    studies = real().studies.set_index("study_id").diabetes_type
    return {studies[row["study_id"]] for row in record["rows"]}


@pytest.mark.parametrize("notebook", NAMES)
def test_types_of_diabetes_are_one_pool_only_where_its_title_says_so(recorded, notebook):
    for record in recorded[notebook]:
        if record["result"]["k"] < 3 or record["result"]["beta"] is None:
            continue  # no study, its own result, or studies side by side: no pool
        if len(record["question"]["population"]) > 1 or len(types(record)) > 1:
            said = record["title"].lower()
            assert "types 1 and 2" in said or "type 1 diabetes or type 2 diabetes" in said, record["pool"]


@pytest.mark.parametrize("notebook", NAMES)
def test_a_comparison_of_arms_asks_for_one_kind_of_design_or_says_in_its_title_that_it_does_not(recorded, notebook):
    """Randomised and not are never one pool by default, also when a report is added that is not randomised."""
    for record in recorded[notebook]:
        asked = set(record["question"]["designs"])
        one_kind = asked == {"rct"} or (asked and "rct" not in asked)
        if record["measure"] in ("MD", "RD") and not one_kind:
            words = ("randomised or not", "not randomised")
            assert any(w in record["title"].lower() for w in words), f"{record['pool']}: {record['title']}"


def defaults(notebook):
    """The parameters cell of a notebook, as Python values."""
    book = nbformat.read(ROOT / "notebooks" / f"{notebook}.ipynb", as_version=4)
    values = {}
    exec(next(c.source for c in book.cells if "parameters" in c.metadata.get("tags", [])), values)
    return values


def test_the_main_question_about_hba1c_asks_for_one_type_and_for_randomised_reports(recorded):
    found = defaults("02_hba1c")
    assert found["POPULATION"] == "T2D" and found["DESIGNS"] == ["rct"]
    main = recorded["02_hba1c"][0]
    assert (main["pool"], main["question"]["population"], main["question"]["designs"]) == (
        "controlled",
        ["T2D"],
        ["rct"],
    )
    assert (main["question"]["months"], main["question"]["window"], main["result"]["k"]) == ([2.75, 15], None, 4)
    assert main["question"]["alternative"] == main["question"]["exclude"] == []


def test_the_estimands_of_insulin_independence_are_never_mixed(recorded):
    timing = real().binary.timing
    for record in recorded["03_insulin_independence"]:
        estimand = record["estimand"]
        assert estimand in ("at_month", "ever", "last_follow_up", "most_favourable", "any_time")
        assert estimand == record["question"]["estimand"]
        allowed = {estimand} | ({"not_stated"} if estimand == "ever" else set())
        whatever = estimand in ("most_favourable", "any_time")
        if not whatever and "_a25" not in record["pool"]:  # a25 reads an unstated time as a month
            for row in record["rows"]:
                mine = real().binary[(real().binary.study_id == row["study_id"]) & timing.isin(allowed)]
                assert len(mine), (record["pool"], row["study_id"])


@pytest.mark.parametrize("notebook", NAMES)
def test_the_most_favourable_report_is_labelled_so_wherever_it_is_pooled(recorded, notebook):
    """Of insulin independence it is an upper bound, and must say so."""
    for record in recorded[notebook]:
        if (record["question"]["outcome"], record["estimand"]) == ("insulin_independence", "most_favourable"):
            said = record["title"]
            assert "most favourable" in said or "last report of each cohort" in said, f"{record['pool']}: {said}"
            assert "upper bound" in said or not notebook.startswith("03"), f"{record['pool']}: {said}"


# --- the routes themselves ---------------------------------------------------------------------------------------


def a_record(model, rows, **settings):
    known = {"model": model, "level": 0.95} | settings
    measure = "MD" if model == "normal" else "PLO"
    return {"pool": "made up", "measure": measure, "rows": rows, "settings": known, "result": {}, "bayes": []}


def test_the_normal_route_by_hand():
    """Two equal variances, two units apart: Q = 2, tau2 = 1, standard error 1."""
    rows = [{"yi": y, "vi": 1.0} for y in (0.0, 2.0)]
    found = normal(a_record("normal", rows, method="REML", test="adhoc"))
    assert [found[name][0] for name in ("beta", "se", "tau2", "Q")] == pytest.approx([1, 1, 1, 2], abs=TAU2)


def test_the_binomial_route_gives_the_common_proportion_where_there_is_no_spread():
    rows = [{"events": x, "n": 10} for x in (3, 3, 3)]
    found = binomial_normal(a_record("binomial_normal", rows))
    assert found["beta"][0] == pytest.approx(math.log(9 / 21)) and found["tau2"][0] == 0


def test_a_wrong_record_is_found():
    rows = [{"yi": y, "vi": 1.0, "weight": 100 / 3} for y in (0.0, 2.0, 3.0)]
    record = a_record("normal", rows, method="REML", test="adhoc")
    right = {name: value for name, (value, _) in normal(record).items() if name != "weight"}
    assert differing(record | {"result": right}) == []
    for name, value in right.items():
        (fault,) = differing(record | {"result": right | {name: 1.001 * value + 1e-3}})
        assert f": {name} is recorded" in fault
        assert len(differing(record | {"result": right | {name: None}})) == 1
