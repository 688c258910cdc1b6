"""Every number of README's first table and of the ledger, computed again from the tables by SciPy and own quadrature.

Nothing of :mod:`cellclaims.meta` is used here: exact limits by ``scipy.stats.binomtest``, the binomial-normal model by
quadrature and ``scipy.optimize``, REML by a search, posteriors by sums over a grid, Newcombe's limits from Wilson's.
"""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest
from scipy import optimize, special, stats

from cellclaims import claims
from cellclaims.claims.topics import counting, rows_of
from cellclaims.evidence import load
from cellclaims.reporting.answer import BEGIN, END, HARMS

from .made_up_trials import base, known_ledger, real, rules

REPO = Path(__file__).resolve().parent.parent
README = (REPO / "README.md").read_text(encoding="utf-8")
TABLE = README.split(BEGIN, 1)[1].split(END, 1)[0]


def rows(study, definition, *, cells=True):
    """Counts of a study from the table as it is read, arms together: (events, n)."""
    binary, arms = real().binary, real().arms
    treated = set(zip(arms.study_id[arms.gets_cells == "yes"], arms.arm_id[arms.gets_cells == "yes"], strict=True))
    own = binary[(binary.study_id == study) & (binary.definition_id == definition)]
    own = own[[((study, arm) in treated) == cells for arm in own.arm_id]]
    best = max(zip(own.events, own.n, strict=True), key=lambda pair: pair[0] / pair[1])
    return int(best[0]), int(best[1])


def exact(events, n):
    limits = stats.binomtest(events, n).proportion_ci(0.95, method="exact")
    return 100 * limits.low, 100 * limits.high


# The binomial-normal model by own quadrature.

Z, W = np.polynomial.hermite_e.hermegauss(121)
W = W / W.sum()


def log_likelihood(x, n, mu, tau):
    """Of all studies at one mean and tau, the logit integrated by Gauss and Hermite."""
    eta = mu + tau * Z
    yes, no = special.log_expit(eta), special.log_expit(-eta)
    each = [np.log(W @ np.exp(a * yes + (m - a) * no)) for a, m in zip(x, n, strict=True)]
    return sum(each)


def by_maximum_likelihood(x, n):
    """Estimate with its interval by t with k - 1 df on the logit, from the observed information."""

    def minus(p):
        return -log_likelihood(x, n, p[0], np.exp(p[1]))

    exactly = {"xatol": 1e-9, "fatol": 1e-12, "maxiter": 4000}
    first = special.logit(sum(x) / sum(n))
    starts = [
        optimize.minimize(minus, [first, start], method="Nelder-Mead", options=exactly) for start in (-6.0, -1.0, 0.0)
    ]
    best = min(starts, key=lambda one: one.fun)
    mu, h, top = best.x[0], 1e-3, best.fun
    if best.x[1] < np.log(1e-2):  # at the edge: the information on the mean alone
        aside = np.array([h, 0])
        second = (minus(best.x + aside) - 2 * top + minus(best.x - aside)) / h**2
        se = second**-0.5
    else:
        steps = [[h, 0], [-h, 0], [0, h], [0, -h], [h, h], [-h, -h]]
        right, left, up, down, both, back = (minus(best.x + step) for step in steps)
        mixed = (both + back - right - left - up - down + 2 * top) / 2
        hessian = np.array([[right + left - 2 * top, mixed], [mixed, up + down - 2 * top]]) / h**2
        se = np.linalg.inv(hessian)[0, 0] ** 0.5
    reach = stats.t.ppf(0.975, len(x) - 1) * se
    return [100 * special.expit(v) for v in (mu, mu - reach, mu + reach)]


def posterior_of_counts(x, n, scale):
    """Mean (grid), tau (Gauss-Legendre) and their joint mass, tau half-normal and the mean flat."""
    nodes, weights = np.polynomial.legendre.leggauss(80)
    tau = 5.5 * scale * (1 + nodes) / 2
    mu = np.linspace(-12, 10, 881)
    height = np.array([[log_likelihood(x, n, m, t) for m in mu] for t in tau])
    mass = np.exp(height - height.max()) * (weights * stats.halfnorm.pdf(tau, scale=scale))[:, None]
    return mu, tau, mass / mass.sum()


def reached(mu, tau, mass, value):
    """The probability that a new centre's logit is at least a value."""
    return float((mass * stats.norm.sf((value - mu) / tau[:, None])).sum())


def quantile(mu, tau, mass, p):
    return optimize.brentq(lambda v: 1 - reached(mu, tau, mass, v) - p, -12, 12, xtol=1e-8)


# What README shows.


def entry(entry_id):
    return next(e for e in known_ledger() if e.entry_id == entry_id)


def shown(line):
    """The row of README's table that starts so."""
    return next(row for row in TABLE.splitlines() if row.startswith(f"| {line}"))


def test_the_two_trials_of_half_the_insulin_are_those_of_the_tables():
    row = shown("60%")
    for study, name in (("zang2022", "Zang 2022"), ("bhansali2014", "Bhansali 2014a")):
        (a, n1), (c, n2) = (rows(study, "insulin_halved_and_hba1c_lt_7", cells=cells) for cells in (True, False))
        assert re.search(rf"{name} \([a-z]+-blind, n = {n1} v {n2};", row)
        control = 100 * c / n2
        words = f"{100 * a / n1:.0f}% v {control:.1f}%" if control % 1 else f"{100 * a / n1:.0f}% v {control:.0f}%"
        assert f"): {words}" in row
    levels = real().continuous
    for study, arm in (("zang2022", "ucmsc"), ("bhansali2014", "sct")):
        own = levels[
            (levels.study_id == study) & (levels.arm_id == arm) & (levels.outcome == "hba1c") & (levels.months == 0)
        ]
        assert f"HbA1c at entry {own.center.iloc[0]:.1f}%" in row


def test_off_insulin_alone_follows_from_five_counts():
    row = shown("30%")
    near = entry("rate.all_drugs_stopped.30.T2D.ad_treatment").nearest[0]
    counts = {one["study_id"]: (int(one["events"]), int(one["n"])) for one in near["studies"]}
    for study, pair in counts.items():
        assert rows(study, "insulin_independence") == pair
    x, n = zip(*counts.values(), strict=True)
    assert f"{len(x)} studies, {sum(x)} of {sum(n)} participants" in row
    value, low, high = by_maximum_likelihood(x, n)
    assert f"{value:.1f}% (95% CI {low:.1f}% to {high:.1f}%" in row
    at = posterior_of_counts(x, n, rules()["models"]["bayes"]["scale"]["logit"])
    low, high = (100 * special.expit(quantile(*at, p)) for p in (0.025, 0.975))
    assert f"95% prediction interval for a similar centre {low:.1f}% to {high:.1f}%" in row
    kinds = real().sources.set_index("source_id").kind
    own = [study for study in counts if all(kinds[s] != "secondary" for s in _sources(study))]
    x, n = zip(*[counts[study] for study in own], strict=True)
    value, low, high = by_maximum_likelihood(x, n)
    assert (
        f"without them {sum(x)} of {sum(n)} in {len(x)} studies ({value:.1f}%, 95% CI {low:.1f}% to {high:.1f}%)" in row
    )


def _sources(study):
    binary = real().binary
    own = binary[(binary.study_id == study) & (binary.definition_id == "insulin_independence") & binary.events.notna()]
    top = own[own.events / own.n == (own.events / own.n).max()]
    return list(top.source_id)


def test_the_pool_of_hba1c_follows_from_four_differences():
    row = shown("(no value is advertised")
    made = entry("effect.hba1c")
    trials = {one["study_id"]: one for one in made.studies}
    # What the plan names: reported changes with an exact P; medians converted; doses combined; final values.
    y = {"zang2022": -0.68, "bhansali2014": -0.085, "skyler2015": -0.15, "chen2016": -1.00}
    se = {"zang2022": 0.251, "bhansali2014": 0.282, "skyler2015": 0.2025, "chen2016": 0.251}
    assert set(trials) == set(y)
    for study, one in trials.items():
        assert one["value"] == pytest.approx(y[study], abs=0.003)
    values = np.array([trials[s]["value"] for s in y])
    variances = np.array([se[s] ** 2 for s in y])

    def minus(tau2):
        w = 1 / (variances + tau2)
        mean = (w * values).sum() / w.sum()
        return 0.5 * (np.log(variances + tau2).sum() + np.log(w.sum()) + (w * (values - mean) ** 2).sum())

    tau2 = optimize.minimize_scalar(minus, bounds=(0, 5), method="bounded", options={"xatol": 1e-10}).x
    w = 1 / (variances + tau2)
    mean = (w * values).sum() / w.sum()
    scale = max((w * (values - mean) ** 2).sum() / (len(w) - 1), 1.0)
    reach = stats.t.ppf(0.975, len(w) - 1) * (scale / w.sum()) ** 0.5
    said = re.search(
        r"Pooled, 4 studies: −([\d.]+) percentage points \(95% CI −([\d.]+) to ([\d.]+); .* −([\d.]+) to ([\d.]+)\)",
        row,
    )
    assert [float(said[i]) for i in (1, 2, 3)] == pytest.approx([-mean, reach - mean, mean + reach], abs=0.0101)
    tau, weight = np.polynomial.legendre.leggauss(400)
    tau = 6 * (1 + tau) / 2 * 0.5 * 2
    prior = weight * stats.halfnorm.pdf(tau, scale=0.5)
    v = variances[:, None] + tau**2
    centre = (values[:, None] / v).sum(0) / (1 / v).sum(0)
    spread = 1 / (1 / v).sum(0)
    mass = prior * np.exp(
        -0.5 * np.log(v).sum(0) + 0.5 * np.log(spread) - 0.5 * ((values[:, None] - centre) ** 2 / v).sum(0)
    )
    mass = mass / mass.sum()

    def below(x):
        return float((mass * stats.norm.cdf((x - centre) / np.sqrt(spread + tau**2))).sum())

    limits = [optimize.brentq(lambda x, p=p: below(x) - p, -9, 9) for p in (0.025, 0.975)]
    assert [-float(said[4]), float(said[5])] == pytest.approx(limits, abs=0.0101)
    n = sum(one["n"] for one in made.studies)
    assert f"4 trials described as randomised, n = {n:g}." in row


def test_the_blinded_trial_has_the_interval_of_its_own_p_value():
    """Reported changes -1.31 and -0.63, P = 0.0081: the standard error of t with 87 to 89 df."""
    row = shown("(no value is advertised")
    said = re.search(
        r"Zang 2022 \(randomised, double-blind, n = 91\): −([\d.]+) percentage points "
        r"\(95% CI −([\d.]+) to −([\d.]+)\)",
        row,
    )
    difference = -1.31 + 0.63
    for df in (87, 89):
        se = -difference / stats.t.ppf(1 - 0.0081 / 2, df)
        assert float(said[1]) == pytest.approx(-difference, abs=0.005)
        assert float(said[2]) == pytest.approx(-difference + 1.98 * se, abs=0.02)
        assert float(said[3]) == pytest.approx(-difference - 1.98 * se, abs=0.02)


def test_serious_harm_is_that_of_the_tables():
    row = shown("Serious harm")
    found = re.findall(r"(\d+) of (\d+) \(upper 95% limit ([\d.]+)%", row)
    assert len(found) >= 3
    for events, n, limit in found:
        assert float(limit) == pytest.approx(exact(int(events), int(n))[1], abs=0.5 if "." not in limit else 0.05)
    binary, studies = real().binary, real().studies.set_index("study_id")
    for definition in HARMS:
        for one in binary[(binary.definition_id == definition) & binary.events.notna()].itertuples():
            if studies.diabetes_type[one.study_id] == "T2D" and studies.intervention_class[one.study_id] == "msc":
                assert f"{one.events:g} of" in row


def test_the_sentences_above_the_table_say_what_the_table_says():
    top = README.split(BEGIN, 1)[0].replace("\n", " ")
    half = {one["study_id"]: one for one in entry("rate.half_the_insulin.60.T2D.ad_treatment").studies}
    for study in ("zang2022", "bhansali2014"):
        value, control = half[study]["value"], half[study]["control"]["value"]
        words = f"({value:.0f}% v {control:.1f}%" if control % 1 else f"({value:.0f}% v {control:.0f}%"
        assert words in top
    counts = real().binary.query("study_id == 'li2021' and definition_id == 'effective_undefined'")
    first, last = (100 * r.events / r.n for r in counts.sort_values("months").itertuples())
    assert f"{first:.0f}% at six weeks and {last:.0f}% at 12 months" in top
    assert entry("effect.hba1c").finding == "controlled studies are inconclusive"
    assert {e.finding for e in known_ledger() if e.family == "rate"} == {"cannot be assessed", "studies disagree"}


# What the ledger shows.


def test_every_count_of_the_ledger_has_the_limits_of_scipy():
    seen = 0
    for one in known_ledger():
        studies = [*one.studies, *(s for near in one.nearest for s in near["studies"])]
        for study in studies:
            if "events" not in study:
                continue
            for part in filter(None, (study, study["control"])):
                x, n = round(part["events"]), round(part["n"])
                assert (part["ci_lb"], part["ci_ub"]) == pytest.approx(exact(x, n), abs=1e-9)
                assert part["value"] == pytest.approx(100 * x / n)
                seen += 1
            if study["control"]:
                assert study["control"]["difference"] == pytest.approx(newcombe(study, study["control"]), abs=1e-9)
    assert seen > 20


def newcombe(cells, control):
    """Newcombe's method 10, from Wilson's limits of SciPy."""

    def wilson(one):
        limits = stats.binomtest(round(one["events"]), round(one["n"])).proportion_ci(0.95, method="wilson")
        return one["events"] / one["n"], limits.low, limits.high

    (p1, l1, u1), (p2, l2, u2) = wilson(cells), wilson(control)
    low = p1 - p2 - ((p1 - l1) ** 2 + (u2 - p2) ** 2) ** 0.5
    high = p1 - p2 + ((u1 - p1) ** 2 + (p2 - l2) ** 2) ** 0.5
    return {"value": 100 * (p1 - p2), "ci_lb": 100 * low, "ci_ub": 100 * high}


def test_every_nearest_result_of_three_or_more_studies_is_that_of_the_model():
    done = set()
    for one in known_ledger():
        for near in one.nearest:
            counts = tuple((int(s["events"]), int(s["n"])) for s in near["studies"])
            if near["value"] is None or counts in done or len(done) > 3:
                continue
            done.add(counts)
            x, n = zip(*counts, strict=True)
            found = [near[name] for name in ("value", "ci_lb", "ci_ub")]
            assert found == pytest.approx(by_maximum_likelihood(x, n), abs=0.03), near["name"]
    assert done


def test_a_probability_of_the_ledger_is_that_of_a_grid():
    """31 of 111 in five cohorts, as the ledger would give it for an advertised 60%."""
    x, n = (18, 4, 3, 3, 3), (56, 15, 10, 6, 24)
    for scale, p in claims.probabilities_of(x, n, 0.6).items():
        assert p == pytest.approx(reached(*posterior_of_counts(x, n, scale), special.logit(0.6)), abs=2e-4)


def test_every_interval_of_a_topic_is_as_it_is_in_the_table():
    table = load(REPO / "data").topic_evidence.set_index("row_id")
    for one in known_ledger():
        for fact in one.studies:
            if "row_id" in fact:
                row = table.loc[fact["row_id"]]
                for here, there in (("estimate", "estimate"), ("ci_lb", "ci_low"), ("ci_ub", "ci_high"), ("n", "n")):
                    value = row[there]
                    assert fact[here] == (None if np.isnan(value) else value)


def test_a_topic_is_answered_by_every_row_that_may_answer_and_by_no_other():
    for one in known_ledger():
        answer = rules()["answers"][one.answered_by]
        if one.family != "effect" or "topic" not in answer:
            continue
        usable = set(counting(rows_of(real(), answer["topic"])).row_id)
        listed = {fact["row_id"] for fact in [*one.studies, *one.others]}
        assert usable <= listed
        assert {fact["row_id"] for fact in one.studies} <= usable
    assert base().protocol["findings"]["specifications"] == 10
