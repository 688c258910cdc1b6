"""A report's pools as an R script that redoes them with metafor and shows the differences.

The script has every row that was pooled, at full precision, and needs nothing of this package: R with metafor (and lme4
for proportions), and bayesmeta for the Bayesian intervals where it is installed.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

#: What the script does with its data.
BODY = Path(__file__).with_suffix(".R")
#: Largest difference that counts as agreement, relative above 1: of formulas and of estimators that iterate to
#: convergence; of likelihoods, which lme4 maximises by its own steps; of Bayesian limits, which the script finds on a
#: grid.
TOLERANCES = {"closed": 1e-6, "likelihood": 1e-3, "bayes": 1e-2}
#: Columns of a pool's rows that the script needs.
COLUMNS = ("months", "events", "n", "events_control", "n_control", "yi", "vi")
#: Quantities that are compared: of the fit, and of each Bayesian fit.
COMPARED = ("beta", "se", "ci_lb", "ci_ub", "pi_lb", "pi_ub", "tau2", "I2", "Q")
BAYES = ("scale", "ci_lb", "ci_ub", "pi_lb", "pi_ub")
HEAD = """\
# Redoes the pools of the report {name} with metafor, and shows how far the results differ.
# Run it by `Rscript {name}.R`, or source it in R. It needs install.packages(c("metafor", "lme4")).
# Bayesian intervals are redone by integration here, and by bayesmeta as well where it is installed. Values are on the
# scale of the analysis: logits for proportions.
# It ends with status 1 if a result differs by more than the tolerance.
suppressPackageStartupMessages(library(metafor))
"""


def r_script(name: str, pools: Iterable[Mapping[str, Any]]) -> str:
    """The pools of a report as an R script.

    Parameters
    ----------
    name : str
        Name of the report's files without ending.
    pools : iterable of mapping
        As :func:`cellclaims.reporting.results.record` gives them, and a report's JSON has them.

    Returns
    -------
    str
        ASCII text; names and titles from outside are quoted strings in it.

    Examples
    --------
    >>> print(r_script("empty", []).splitlines()[-1])
    }
    """
    limits = ", ".join(f"{kind} = {_number(value)}" for kind, value in TOLERANCES.items())
    parts = [HEAD.format(name="".join(sign if sign.isascii() and sign.isprintable() else "_" for sign in name))]
    parts += [f"tolerances <- list({limits})", "pools <- list()"]
    parts += [_pool(pool) for pool in pools]
    return "\n".join([*parts, "", BODY.read_text(encoding="utf-8")])


def _pool(pool: Mapping[str, Any]) -> str:
    """One pool: how it was pooled, its rows, and what the report found."""
    settings, rows, bayes = pool["settings"], pool["rows"], pool.get("bayes") or []
    columns = [f"study = {_vector(row['study_id'] for row in rows)}"] if rows else []
    columns += [f"{column} = {_vector(row.get(column) for row in rows)}" for column in COLUMNS if rows]
    ours = ", ".join(f"{key} = {_number(pool['result'].get(key))}" for key in COMPARED)
    fields = {
        "title": _text(pool["title"]),
        "measure": _text(pool["measure"]),
        "model": _text(settings.get("model", "normal")),
        "method": _text(settings.get("method", "REML")),
        "test": _text(settings.get("test", "z")),
        "level": _number(settings["level"]),
        "nodes": _number(settings.get("nodes") or 7),
        "rows": "data.frame(" + ",\n                    ".join(columns) + ")",
        "ours": f"c({ours})",
        "bayes": f"data.frame({', '.join(f'{key} = {_vector(one[key] for one in bayes)}' for key in BAYES)})",
    }
    inside = ",\n  ".join(f"{key} = {value}" for key, value in fields.items())
    return f"pools[[{_text(pool['pool'])}]] <- list(\n  {inside})"


def _vector(values: Iterable[Any]) -> str:
    return "c(" + ", ".join(_text(value) if isinstance(value, str) else _number(value) for value in values) + ")"


def _number(value: float | None) -> str:
    """A number as R reads it, at full precision.

    Examples
    --------
    >>> _number(None), _number(0.1), _number(3), _number(float("-inf"))
    ('NA_real_', '0.1', '3', '-Inf')
    """
    if value is None or math.isnan(value):
        return "NA_real_"
    if math.isinf(value):
        return "Inf" if value > 0 else "-Inf"
    return repr(value)


def _text(text: str) -> str:
    r"""Text as a string of R in ASCII, whatever it contains.

    Examples
    --------
    >>> print(_text('a "quoted" \\ one\n±'))
    "a \"quoted\" \\ one\n\u00b1"
    """
    plain = {'"': '\\"', "\\": "\\\\", "\n": "\\n", "\r": "\\r", "\t": "\\t"}
    return '"' + "".join(plain.get(sign) or _sign(sign) for sign in text if sign != "\0") + '"'


def _sign(sign: str) -> str:
    code = ord(sign)
    if 32 <= code < 127:
        return sign
    if 0xD800 <= code < 0xE000:  # half of a pair, which R refuses
        return "?"
    return f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"
