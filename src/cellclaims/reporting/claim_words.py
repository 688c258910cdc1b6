"""Words and tables that set advertised figures beside published ones."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import pandas as pd
from scipy.special import ndtr, stdtr

from cellclaims.claims import Entry
from cellclaims.claims.arithmetic import added_share, p_prints_again
from cellclaims.pools import Pool
from cellclaims.protocol import Protocol
from cellclaims.reporting.rounding import number, percent
from cellclaims.reporting.sentences import Sentence, reports_of, say
from cellclaims.reporting.tables import Table, table, value_words

#: What each advertised outcome is called beside a figure.
SHORT = {
    "responder": "treatment effective",
    "insulin_dose_halved": "better control on half the insulin",
    "insulin_independence": "off insulin and tablets",
    "hba1c": "better control (HbA1c against no cells)",
}


def claims_headline(entries: Sequence[Entry]) -> Sentence:
    """One sentence a figure: what is advertised, what was published, what follows."""
    return say(*(_headline(e) for e in entries))


def _headline(entry: Entry) -> str:
    """The claim, what is advertised, what was published, the verdict."""
    said, found = f"advertised {figure_words(entry)}", f"published {published_words(entry)}"
    return f"{capital(short_words(entry))}: {said}, {found}; {entry.verdict}."


def short_words(entry: Entry) -> str:
    """The claimed outcome in few words."""
    return SHORT.get(entry.outcome, entry.advertised["what"])


def figure_words(entry: Entry) -> str:
    """The advertised figure with its qualifier and unit."""
    said = entry.advertised
    if said["value"] is None:
        return "no figure"
    unit = "%" if said["unit"] == "percent" else said["unit"]
    return f"{said['qualifier']} {said['value']:g} {unit}".strip()


def published_words(entry: Entry) -> str:
    """The published value with its reports and patients."""
    if entry.pooled is None:
        return "no report"
    value = f"{number(entry.pooled, 0)} %" if entry.unit == "percent" else f"{number(entry.pooled)} {entry.unit}"
    return f"{value} in {reports_of(entry.k)} of {entry.patients:g} patients"


def interval_words(entry: Entry) -> str:
    """The confidence interval of the published value."""
    return _limits(entry, "ci")


def claim_rows(entries: Sequence[Entry], beside: Mapping[str, Sequence[Pool]] | None = None) -> list[dict[str, Any]]:
    """Rows of the headline figure: each advertised rate, then the nearest outcomes with more reports behind them."""
    rows = []
    for entry in entries:
        rows.append(_row(entry))
        rows += [_row_beside(entry, pool) for pool in (beside or {}).get(entry.claim_id, ())]
    return rows


def _row(entry: Entry) -> dict[str, Any]:
    control = entry.control or {}
    limits = {name: _nan(getattr(entry, name)) for name in _LIMITS}
    beside = {"control": _nan(control.get("value")), "control_n": _nan(control.get("n"))}
    said = {"advertised": entry.advertised["value"], "printed": _short_figure(entry)}
    said["note"] = f"Verdict: {entry.verdict}"
    return {"label": capital(short_words(entry)), "k": entry.k, "n": entry.patients, **said, **limits, **beside}


def _short_figure(entry: Entry) -> str:
    """The advertised figure as short as a picture needs it: "> 93 %"."""
    above = entry.advertised["qualifier"] in ("over", "more than")
    return f"{'> ' * above}{entry.advertised['value']:g} %"


def _row_beside(entry: Entry, pool: Pool) -> dict[str, Any]:
    limits = {name: 100 * pool.back(getattr(pool.fit, of)) for name, of in _LIMITS.items()}
    numbers = {"k": pool.k, "n": float(pool.rows.n.sum()), "beside": True}
    return {"label": pool.title, "advertised": entry.advertised["value"], **limits, **numbers}


_LIMITS = {"pooled": "beta", "ci_lb": "ci_lb", "ci_ub": "ci_ub", "pi_lb": "pi_lb", "pi_ub": "pi_ub"}


def _nan(value: float | None) -> float:
    return math.nan if value is None else float(value)


def capital(words: str) -> str:
    """Words with a capital first letter."""
    return words[:1].upper() + words[1:]


def claims_alt(entries: Sequence[Entry], beside: Sequence[Pool]) -> str:
    """The headline figure in words."""
    lines = [_headline(e).rstrip(".") for e in entries]
    lines += [f"{p.title}: {value_words(p, float(p.fit.beta))}, {reports_of(p.k)}" for p in beside]
    return f"Advertised figures beside published ones. {'. '.join(lines)}."


def claims_table(entries: Sequence[Entry]) -> Table:
    """Every advertised rate with its published counterpart, the probabilities and the verdict."""
    lines = [
        {
            "as of": e.advertised["as_of"],
            "claim": capital(short_words(e)),
            "advertised": figure_words(e),
            "k": float(e.k),
            "patients": e.patients,
            "published": _value(e, e.pooled),
            "95 % interval": _limits(e, "ci"),
            "95 % prediction": _limits(e, "pi"),
            "P(mean ≥ claim)": _chance(e.p_mean_ge),
            "P(new clinic ≥ claim)": _chance(e.p_new_setting_ge),
            "control arms": _control(e),
            "verdict": e.verdict,
            "why": "; ".join(e.reasons),
        }
        for e in entries
    ]
    return table(
        pd.DataFrame(lines), "Advertised figures beside published ones (HbA1c: the smallest change that matters)"
    )


def _value(entry: Entry, value: float | None) -> str:
    if value is None:
        return "–"
    return f"{number(value, 1)} %" if entry.unit == "percent" else number(value)


def _limits(entry: Entry, which: str) -> str:
    low, high = getattr(entry, f"{which}_lb"), getattr(entry, f"{which}_ub")
    return "not estimable" if low is None or high is None else f"{_value(entry, low)} to {_value(entry, high)}"


def _chance(p: float | None) -> str:
    if p is None:
        return "not estimable"
    return "under 0.1 %" if p < 0.001 else "over 99.9 %" if p > 0.999 else percent(p)


def _control(entry: Entry) -> str:
    if not entry.control:
        return "none"
    if "events" in entry.control:
        return f"{entry.control['events']:g} of {entry.control['n']:g}"
    return f"{number(entry.control['value'])} (change, n = {entry.control['n']:g})"


def unsaid_table(entries: Sequence[Entry]) -> Table:
    """What each advertised figure leaves out."""
    lines = [
        {
            "as of": e.advertised["as_of"],
            "claim": capital(short_words(e)),
            "not said": "; ".join(e.unsaid) or "nothing",
        }
        for e in entries
    ]
    return table(pd.DataFrame(lines), "What is not said")


def match_table(entries: Sequence[Entry]) -> Table:
    """How well population, product, outcome and time of the published counterpart match the claim."""
    lines = [
        {"claim": capital(short_words(e)), "of": what, "match": grade["grade"], "reason": grade["reason"]}
        for e in entries
        for what, grade in e.match.items()
    ]
    return table(pd.DataFrame(lines), "Match of claim and counterpart")


def clears_thresholds(pool: Pool, protocol: Protocol) -> list[str]:
    """For each threshold of HbA1c: how probable it is that the mean fall is at least as large."""
    if pool.fit is None:
        return ["No controlled report answers this question."]
    known = [protocol["thresholds"]["hba1c_matters"], *protocol["thresholds"]["hba1c_sensitivity"]]
    kind = "one report, by its own interval" if pool.k == 1 else f"{pool.k} reports, t with {pool.k - 1} df"
    lead = f"HbA1c with cells minus without: {value_words(pool, float(pool.fit.beta))} percentage points ({kind})."
    return [lead, *(_clears(pool, t) for t in sorted(known, key=lambda t: -t["value"]))]


def _clears(pool: Pool, threshold: Mapping[str, Any]) -> str:
    away = (-float(threshold["value"]) - float(pool.fit.beta)) / float(pool.fit.se)
    p = float(ndtr(away) if pool.k == 1 else stdtr(pool.k - 1, away))
    words = f"Probability of a mean fall of at least {threshold['value']:g} points: {percent(p, 0)}"
    return f"{words} ({threshold['source']})."


def same_rates(entries: Sequence[Entry]) -> Table:
    """Figures that are advertised in two states: what the added patients must have shown, and how odd agreement is."""
    states: dict[str, list[Entry]] = {}
    for entry in entries:
        if entry.advertised["value"] is not None and entry.advertised["n_treated"]:
            states.setdefault(short_words(entry), []).append(entry)
    lines = [_two_states(name, *sorted(two, key=_treated)) for name, two in states.items() if len(two) == 2]
    return table(pd.DataFrame(lines), "Two states of the advertisement")


def _treated(entry: Entry) -> int:
    return entry.advertised["n_treated"]


def _two_states(name: str, before: Entry, after: Entry) -> dict[str, str]:
    shares = [e.advertised["value"] / 100 for e in (before, after)]
    sizes = [_treated(e) for e in (before, after)]
    same = shares[0] == shares[1]
    chance = {step: p_prints_again(shares[0], *sizes, step) if same else math.nan for step in (1, 5)}
    return {
        "claim": capital(name),
        f"{before.advertised['as_of']}": f"{figure_words(before)} of {sizes[0]}",
        f"{after.advertised['as_of']}": f"{figure_words(after)} of {sizes[1]}",
        "share among the patients added": percent(added_share(shares[0], sizes[0], shares[1], sizes[1]), 1),
        "P(prints alike, to 1 %)": percent(chance[1], 0),
        "P(prints alike, to 5 %)": percent(chance[5], 0),
    }
