"""Arrays that mean more than their numbers, and input that cannot be: one rule for meta and robustness."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from cellclaims import meta, robustness
from cellclaims.errors import PoolingError
from cellclaims.meta.inputs import as_labels, as_order, check_share, numbers, one_of, per_study

YI, VI = [-0.5, -0.9, -0.2, -1.1], [0.04, 0.09, 0.05, 0.12]
X, N = [2, 3, 4, 9], [20, 25, 30, 40]
TABLE = {"ai": [2, 3, 4, 5], "n1i": [20] * 4, "ci": [4, 4, 4, 6], "n2i": [20] * 4}

#: Every function that takes effects, as a call with effects and variances.
OF_EFFECTS = {
    "fit": lambda y, v: meta.fit(y, v).beta,
    "bayes": lambda y, v: meta.bayes(y, v).beta,
    "regress": lambda y, v: meta.regress(y, v, [1.0, 2.0, 3.0, 5.0]).fit.beta[1],
    "subgroups": lambda y, v: meta.subgroups(y, v, list("aabb")).beta[0],
    "multilevel": lambda y, v: meta.multilevel(y, v, list("aabc")).beta,
    "permutation_test": lambda y, v: meta.permutation_test(y, v).p,
    "leave_one_out": lambda y, v: robustness.leave_one_out(y, v).beta[1],
    "cumulative": lambda y, v: robustness.cumulative(y, vi=v).beta[1],
    "influence": lambda y, v: robustness.influence(y, v).hat[0],
    "baujat": lambda y, v: robustness.baujat(y, v).x[0],
    "all_subsets": lambda y, v: robustness.all_subsets(y, v).fit.beta[2],
    "bootstrap": lambda y, v: robustness.bootstrap(y, v, iterations=20).beta_lb,
    "egger": lambda y, v: robustness.egger(y, v).slope,
    "pet_peese": lambda y, v: robustness.pet_peese(y, v).beta,
    "rank_test": lambda y, v: robustness.rank_test(y, v).tau,
    "trim_and_fill": lambda y, v: robustness.trim_and_fill(y, v).beta,
    "fail_safe_n": lambda y, v: robustness.fail_safe_n(y, v).fsnum,
    "tes": lambda y, v: robustness.tes(y, v).p,
    "hc": lambda y, v: robustness.hc(y, v).ci_lb,
    "s_value": lambda y, v: robustness.s_value(y, v, method="EE", test="z").s_value,
    "selection_model": lambda y, v: robustness.selection_model(y, v, kind="negexp").beta,
    "suspect_standard_errors": lambda y, v: meta.suspect_standard_errors(v, [10, 20, 30, 40]),
}
OF_COUNTS = {
    "glmm": lambda x, n: meta.glmm(x, n).beta,
    "beta_binomial": lambda x, n: meta.beta_binomial(x, n).beta,
    "bayes_binomial": lambda x, n: meta.bayes_binomial(x, n).beta,
    "escalc": lambda x, n: meta.escalc("PLO", xi=x, ni=n).yi[1],
    "mantel_haenszel": lambda x, n: meta.mantel_haenszel("RD", **(TABLE | {"ai": x, "n1i": n})).beta,
    "peto": lambda x, n: meta.peto(**(TABLE | {"ai": x, "n1i": n})).beta,
    "glmm_odds_ratio": lambda x, n: meta.glmm_odds_ratio(x, n, TABLE["ci"], TABLE["n2i"], model="CM.AL").beta,
    "glmm of two groups": lambda x, n: meta.glmm(x, n, TABLE["ci"], TABLE["n2i"], model="CM.AL").beta,
}
EVERY = {**{k: (f, YI, VI) for k, f in OF_EFFECTS.items()}, **{k: (f, X, N) for k, f in OF_COUNTS.items()}}


@pytest.mark.parametrize("name", EVERY)
def test_a_masked_value_is_refused_by_name_and_place(name):
    function, first, second = EVERY[name]
    masked = np.ma.array(second, mask=[False, True, False, False])
    with pytest.raises(PoolingError, match=r"expected a value for every study, found a mask at study 1"):
        function(first, masked)
    assert function(first, np.ma.array(second)) == pytest.approx(function(first, second), nan_ok=True)


@pytest.mark.parametrize("name", EVERY)
def test_labelled_arguments_are_matched_by_label_or_refused(name):
    function, first, second = EVERY[name]
    labels = list("ABCD")
    one, other = pd.Series(first, labels), pd.Series(second, labels)
    right = function(first, second)
    assert function(one, other) == pytest.approx(right, nan_ok=True)
    if name not in {"regress", "subgroups", "multilevel", "mantel_haenszel", "peto", "suspect_standard_errors"} and (
        "odds" not in name and "groups" not in name
    ):
        assert function(one, other.iloc[[2, 0, 3, 1]]) == pytest.approx(right, nan_ok=True)
    if name != "suspect_standard_errors":
        with pytest.raises(PoolingError, match="expected the labels of"):
            function(one, pd.Series(second, list("ABCE")))


def test_arguments_without_labels_next_to_labels_in_two_orders_are_refused():
    one, other = pd.Series(YI, list("ABCD")), pd.Series(VI, list("BADC"))
    with pytest.raises(PoolingError, match="keep: expected labels, as yi and vi have the same labels in different"):
        meta.fit(one, other, keep=[True, True, True, False])
    keep = pd.Series([False, True, True, True], list("DABC"))
    assert meta.fit(one, other, keep=keep).k == 3


def test_row_numbers_are_no_labels_next_to_names_and_name_no_study():
    frame = pd.DataFrame({"yi": YI, "vi": VI})
    assert meta.fit(frame.yi, frame.vi).effects.slab is None
    assert meta.fit(pd.Series(YI, list("ABCD")), frame.vi).slab == tuple("ABCD")
    turned = frame.vi.sort_values()  # row numbers in another order do say which row is which
    assert meta.fit(frame.yi, turned).beta == meta.fit(YI, VI).beta
    chosen = frame[frame.yi < -0.4]
    assert meta.fit(chosen.yi, chosen.vi).slab == ("0", "1", "3")


def test_labels_given_twice_cannot_be_matched():
    one, other = pd.Series([0.1, 0.2, 0.3], list("AAB")), pd.Series([0.1, 0.2, 0.3], list("ABA"))
    assert meta.fit(one, pd.Series([0.1, 0.2, 0.3], list("AAB"))).k == 3
    with pytest.raises(PoolingError, match="vi: expected each label once or the order of yi, found 'A' twice"):
        meta.fit(one, other)


def test_labels_become_the_studies_names_and_are_in_messages():
    fit = meta.fit(pd.Series(YI, ["Ann 2001", "Bob 2002", "Cy 2003", "Di 2004"]), VI)
    assert fit.slab[1] == "Bob 2002" and fit.studies().slab.tolist()[3] == "Di 2004"
    with pytest.raises(PoolingError, match=r"vi, a variance: .* found 0.0 at study 1 \(Bob\)"):
        meta.fit([0.1, 0.2], [0.1, 0.0], slab=["Ann", "Bob"])
    with pytest.raises(PoolingError, match=r"ri: expected a correlation from -1 to 1, found 1.2 at study 1 \(Bob\)"):
        meta.escalc("COR", ri=[0.1, 1.2], ni=[20, 20], slab=["Ann", "Bob"])
    with pytest.raises(PoolingError, match=r"events, n: .* found 9.0 of 8.0 at \(1,\) \(Bob\)"):
        meta.glmm([1, 9], [8, 8], slab=["Ann", "Bob"])
    with pytest.raises(PoolingError, match="slab: expected one label a study, 2, found 3"):
        meta.fit([0.1, 0.2], [0.1, 0.1], slab=["a", "b", "c"])
    with pytest.raises(PoolingError, match="slab: expected a label for every study, found None at study 1"):
        meta.fit([0.1, 0.2], [0.1, 0.1], slab=["a", None])


def test_moderators_groups_and_orders_are_matched_by_label():
    y, labels = pd.Series(YI, list("ABCD")), list("DCBA")
    mods = pd.DataFrame({"dose": [5.0, 3.0, 2.0, 1.0]}, labels)
    found = meta.regress(y, pd.Series(VI, list("ABCD")), mods)
    assert found.names == ("constant", "dose")
    assert found.fit.beta == pytest.approx(meta.regress(YI, VI, [1.0, 2.0, 3.0, 5.0]).fit.beta)
    groups = pd.Series(list("yyxx"), labels)
    named = pd.Series(VI, list("ABCD"))
    assert meta.subgroups(y, named, groups).beta == pytest.approx(meta.subgroups(YI, VI, list("xxyy")).beta)
    fit = meta.fit(y, VI)
    assert meta.robust(fit, groups).se == pytest.approx(meta.robust(meta.fit(YI, VI), list("xxyy")).se)
    years = pd.Series([4, 3, 2, 1], labels)
    assert robustness.cumulative(fit, years).beta == pytest.approx(robustness.cumulative(fit, [1, 2, 3, 4]).beta)
    sizes = pd.Series([40.0, 30.0, 20.0, 10.0], labels)
    by_size = robustness.egger(fit, ni=sizes, predictor="ninv")
    assert by_size.slope == pytest.approx(robustness.egger(YI, VI, ni=[10, 20, 30, 40], predictor="ninv").slope)
    batch = pd.DataFrame([YI, YI], columns=list("ABCD"))
    assert meta.fit(batch, named.iloc[::-1]).beta == pytest.approx([meta.fit(YI, VI).beta] * 2)


@pytest.mark.parametrize(
    ("values", "message"),
    [
        (np.array(["2020-01-01", "2020-01-05"], dtype="M8[D]"), "yi: expected numbers, found dates"),
        (pd.to_datetime(pd.Series(["2020-01-01", "2020-01-05"])), "yi: expected numbers, found dates"),
        (["0.1", "0.2"], "yi: expected numbers, found text"),
        ([0.1, "x"], "yi: expected numbers, found text"),
        (np.array([0.1, "x"], dtype=object), "yi: expected numbers, found 'x' at study 1"),
        ([0.1 + 1j, 0.2], "yi: expected numbers, found complex numbers"),
        ([0.1, None], "yi, an effect: expected a finite number .* found nan at study 1"),
        (pd.Series([0.1, pd.NA], dtype="Float64"), "yi, an effect: expected a finite number .* found nan at study 1"),
    ],
)
def test_what_is_no_number_is_refused(values, message):
    with pytest.raises(PoolingError, match=message):
        meta.fit(values, [0.1, 0.1])
    assert meta.fit([0.1, None, 0.3], [0.1, 0.1, 0.2], keep=[True, False, True]).k == 2


@pytest.mark.parametrize("level", ["0.95", 95, 0, 1, None, True, np.nan])
def test_a_level_is_a_number_between_0_and_1(level):
    for ask in (
        lambda: meta.fit(YI, VI, level=level),
        lambda: meta.glmm(X, N, level=level),
        lambda: meta.bayes(YI, VI, level=level),
        lambda: meta.multilevel(YI, VI, list("aabc"), level=level),
        lambda: meta.mantel_haenszel("RD", level=level, **TABLE),
        lambda: meta.glmm_odds_ratio(*TABLE.values(), level=level),
        lambda: meta.beta_binomial(X, N, level=level),
    ):
        with pytest.raises(PoolingError, match="level: expected a number between 0 and 1"):
            ask()


@pytest.mark.parametrize("missing", [None, np.nan, pd.NA, pd.NaT, "", "  "])
def test_a_missing_label_is_refused_with_its_study(missing):
    groups, fit = ["a", "b", missing, "b"], meta.fit(YI, VI, slab=list("PQRS"))
    for ask, name in (
        (lambda: meta.subgroups(YI, VI, groups, slab=list("PQRS")), "by"),
        (lambda: meta.robust(fit, groups), "cluster"),
        (lambda: meta.multilevel(YI, VI, groups, slab=list("PQRS")), r"groups\['group'\]"),
    ):
        with pytest.raises(PoolingError, match=rf"{name}: expected a label for every study, found .* at study 2 \(R\)"):
            ask()
    with pytest.raises(PoolingError, match=r"order: expected an entry for every study, found .* at study 2 \(R\)"):
        robustness.cumulative(fit, groups)


def test_an_order_that_cannot_be_sorted_is_refused():
    with pytest.raises(PoolingError, match="order: expected entries that can be compared"):
        robustness.cumulative(meta.fit(YI, VI), [2001, "2002", 2003, 2004])
    assert as_order([3, 1, 2, 1], 4).tolist() == [3, 0, 2, 1]


@pytest.mark.parametrize("measure", ["MC", "SMCC", "SMCR", "SMCRH", "ROMC", "CVRC", "VRC"])
def test_a_correlation_beyond_one_is_refused(measure):
    columns = {"m1i": [7.0], "sd1i": [1.0], "m2i": [8.0], "sd2i": [1.2], "ni": [20]}
    for ri in (1.2, -1.01, 70.0):
        with pytest.raises(PoolingError, match="ri: expected a correlation from -1 to 1"):
            meta.escalc(measure, ri=[ri], **columns)
    assert np.isfinite(meta.escalc(measure, ri=[1.0 - 1e-9], **columns).yi).all()


def test_columns_that_contradict_each_other_are_refused_and_agreeing_ones_taken():
    table = {"ai": [3, 2], "bi": [10, 8], "ci": [1, 1], "di": [9, 9], "n1i": [13, 10], "n2i": [10, 10]}
    assert meta.escalc("RR", **table).yi == pytest.approx(
        meta.escalc("RR", **{k: table[k] for k in table if k[0] != "n"}).yi
    )
    for name, first, second in (("n1i", "ai", "bi"), ("n2i", "ci", "di")):
        wrong = table | {name: [table[name][0], 99]}
        for ask in (lambda w=wrong: meta.escalc("RR", **w), lambda w=wrong: meta.mantel_haenszel("RR", **w)):
            with pytest.raises(PoolingError, match=rf"{name}: expected {first} \+ {second}.* found 99.0 at study 1"):
                ask()
    with pytest.raises(PoolingError, match=r"ni: expected xi \+ mi, as all three are given, found 20.0 at study 0"):
        meta.escalc("PLO", xi=[3], mi=[10], ni=[20])
    with pytest.raises(PoolingError, match="ai: expected a reliability of at most 1"):
        meta.escalc("ABT", ai=[1.3], mi=[5], ni=[30])


def test_names_in_any_case():
    assert meta.fit(YI, VI, method="reml", test="KNHA").test == "knha"
    assert meta.escalc("md", m1i=[1], sd1i=[1], n1i=[9], m2i=[2], sd2i=[1], n2i=[9]).measure == "MD"
    assert meta.glmm_odds_ratio(*TABLE.values(), model="cm.al", method="ml", test="Z").model == "CM.AL"
    assert meta.robust(meta.fit(YI, VI), list("aabc"), "cr1").kind == "CR1"
    assert robustness.fail_safe_n(YI, VI, kind="rosenthal").kind == "Rosenthal"
    assert robustness.trim_and_fill(YI, VI, estimator="l0", side="LEFT").side == "left"
    with pytest.raises(PoolingError, match=r"method: expected one of EE, FE, .*, found 'remla'"):
        meta.fit(YI, VI, method="remla")
    with pytest.raises(PoolingError, match=r"method: expected one of .*, found 3"):
        meta.fit(YI, VI, method=3)


def test_building_blocks():
    plain = {"yi": YI, "vi": None}
    assert per_study(plain) == (plain, None)
    assert per_study(plain, order=("a", "b"))[1] == ("a", "b")
    assert one_of("Z", ("z",), "test") == "z" and check_share(0.9, "level") == 0.9
    assert as_labels(np.array(["a", "b"]), "by", 2) == ["a", "b"]
    assert numbers([True, False], "xi").tolist() == [1.0, 0.0]
    with pytest.raises(PoolingError, match="by: expected one label a study, 3, found shape"):
        as_labels(["a", "b"], "by", 3)
