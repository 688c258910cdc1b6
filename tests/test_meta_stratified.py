"""Mantel-Haenszel and Peto: against every reference record, by hand and by law."""

from __future__ import annotations

import numpy as np
import pytest

from cellclaims.errors import PoolingError
from cellclaims.meta.flags import StratifiedFlag, in_words
from cellclaims.meta.stratified import mantel_haenszel, peto

#: Closed formulas; P values down to 1e-300 are compared relatively.
TOLERANCE = 1e-8
#: Name in the reference -> name here.
NAMES = {name: name for name in ("beta", "se", "ci_lb", "ci_ub", "CO", "MH", "BD", "TA", "k", "k_yi")}
NAMES |= {
    "zval": "stat",
    "pval": "p",
    "QE": "Q",
    "QEp": "Q_p",
    "COp": "CO_p",
    "MHp": "MH_p",
    "BDp": "BD_p",
    "TAp": "TA_p",
}
COLUMNS = ("ai", "n1i", "ci", "n2i", "x1i", "t1i", "x2i", "t2i")


def check(fit, record, where):
    for theirs, ours in NAMES.items():
        found, expected = getattr(fit, ours), record[theirs]
        if expected is None:
            assert np.isnan(found), (where, ours)
        else:
            assert abs(found - expected) <= TOLERANCE * abs(expected), (where, ours, found, expected)
    return len(NAMES)


def test_every_mantel_haenszel_record_agrees(oracle, capsys):
    fits = compared = 0
    for name, content in oracle.ending("exact"):
        columns = {c: v for c, v in content["rows"].items() if c in COLUMNS}
        for key, record in content.get("mh", {}).items():
            measure, _, option = key.partition("|")
            options = {"correct=FALSE": {"correct": False}, "": {}}
            added = {"cells_too": True, "drop00": False}
            fit = mantel_haenszel(measure, **options.get(option, added), **columns)
            compared += check(fit, record, (name, key))
            fits += 1
    with capsys.disabled():
        print(f"\n{compared} quantities of {fits} rma.mh fits compared")
    assert (fits, compared) == (258, 258 * 18)


def test_every_peto_record_agrees(oracle, capsys):
    fits = compared = 0
    for name, content in oracle.ending("exact"):
        if "peto" in content:
            columns = {c: v for c, v in content["rows"].items() if c in COLUMNS}
            compared += check(peto(**columns), content["peto"], name)
            fits += 1
    with capsys.disabled():
        print(f"\n{compared} quantities of {fits} rma.peto fits compared")
    assert (fits, compared) == (28, 28 * 18)


TABLE = {"ai": [3, 8, 1], "n1i": [10, 20, 30], "ci": [4, 5, 2], "n2i": [12, 15, 28]}


def test_one_stratum_is_its_own_estimate():
    one = {name: values[:1] for name, values in TABLE.items()}
    assert mantel_haenszel("OR", **one).beta == pytest.approx(np.log(3 * 8 / (7 * 4)))
    assert mantel_haenszel("RR", **one).beta == pytest.approx(np.log(0.3 / (4 / 12)))
    assert mantel_haenszel("RD", **one).beta == pytest.approx(0.3 - 4 / 12)
    assert mantel_haenszel("OR", **one).flags == in_words(StratifiedFlag.SINGLE)


@pytest.mark.parametrize("measure", ["OR", "RR", "RD"])
def test_a_study_without_events_has_weight_zero_and_is_counted(measure):
    more = {name: [*values, extra] for (name, values), extra in zip(TABLE.items(), (0, 40, 0, 40), strict=True)}
    one, other = mantel_haenszel(measure, **TABLE), mantel_haenszel(measure, **more)
    assert (other.k, other.k_yi) == (4, 3)
    assert other.flags == in_words(StratifiedFlag.NO_WEIGHT)
    if measure != "RD":
        assert (one.beta, one.se) == pytest.approx((other.beta, other.se), rel=1e-12)


@pytest.mark.parametrize("measure", ["OR", "RR", "RD"])
def test_keep_equals_leaving_out_and_batches_equal_single_fits(measure):
    keep = np.array([[True, True, False], [True, True, True], [False, True, True]])
    batch = mantel_haenszel(measure, keep=keep, **TABLE)
    for i, kept in enumerate(keep):
        one = mantel_haenszel(measure, **{name: np.array(values)[kept] for name, values in TABLE.items()})
        for name in ("beta", "se", "Q", "BD", "MH", "TA_p", "k_yi"):
            assert getattr(batch, name)[i] == pytest.approx(getattr(one, name), rel=1e-12, nan_ok=True), name
    assert peto(keep=keep, **TABLE).beta[1] == pytest.approx(peto(**TABLE).beta)


def test_rates_keep_and_exchange():
    rates = {"x1i": [3, 8, 0], "t1i": [10.0, 20.0, 30.0], "x2i": [4, 5, 2], "t2i": [12.0, 15.0, 28.0]}
    turned = {"x1i": rates["x2i"], "t1i": rates["t2i"], "x2i": rates["x1i"], "t2i": rates["t1i"]}
    for measure in ("IRR", "IRD"):
        one, other = mantel_haenszel(measure, **rates), mantel_haenszel(measure, **turned)
        assert (one.beta, one.se) == pytest.approx((-other.beta, other.se), rel=1e-12)


def test_no_finite_estimate_is_named():
    fit = mantel_haenszel("OR", ai=[0, 0], n1i=[10, 12], ci=[2, 3], n2i=[10, 12])
    assert fit.beta == -np.inf and np.isnan(fit.se) and fit.flags == in_words(StratifiedFlag.INFINITE)
    none = peto(ai=[0, 0], n1i=[10, 12], ci=[0, 0], n2i=[10, 12])
    assert none.flags == in_words(StratifiedFlag.NO_WEIGHT | StratifiedFlag.INFINITE) and none.k == 2


def test_refusals():
    with pytest.raises(PoolingError, match="expected one of OR"):
        mantel_haenszel("SMD", **TABLE)
    with pytest.raises(PoolingError, match="expected columns"):
        mantel_haenszel("OR", x1i=[1], t1i=[2.0], x2i=[1], t2i=[2.0])
    with pytest.raises(PoolingError, match="keep"):
        peto(keep=[True, False], **TABLE)
