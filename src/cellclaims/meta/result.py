"""Common parts of all results of pooling: shared numbers, flags in words, a summary, a table.

``print(result)`` and the last line of a notebook's cell show a summary. Numbers are rounded only there; attributes
and tables have all digits.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntFlag
from html import escape
from typing import TYPE_CHECKING, ClassVar

import numpy as np
from numpy.typing import NDArray

from cellclaims.meta.flags import IN_WORDS, Flag, names_of

if TYPE_CHECKING:
    import pandas as pd

#: Numbers of a result, in the order of a table; a result has some of them.
COLUMNS = (
    *("beta", "se", "ci_lb", "ci_ub", "stat", "df", "p", "pi_lb", "pi_ub", "tau2", "se_tau2", "I2", "H2", "Q", "Q_p"),
    *("Q_wald", "lrt", "lrt_p", "loglik", "CO", "CO_p", "MH", "MH_p", "BD", "BD_p", "TA", "TA_p", "rho", "ess"),
    *("k", "k_yi", "events", "n"),
)

#: Tests in words.
TESTS_IN_WORDS = {
    "z": "normal distribution",
    "t": "t distribution",
    "knha": "Hartung-Knapp",
    "adhoc": "Hartung-Knapp, never narrower than the standard interval",
}


def written(value: float, digits: int = 4) -> str:
    """Return a number for a summary: fixed decimals, more if they would all be zero, a dash if missing.

    Examples
    --------
    >>> written(0.12345), written(0.0000123), written(float("nan"))
    ('0.1235', '1.23e-05', '–')
    """
    value = float(value)
    if np.isnan(value):
        return "–"
    if np.isinf(value):
        return "∞" if value > 0 else "-∞"
    if value != 0 and abs(value) < 0.5 * 10.0**-digits * 10:
        return f"{value:.3g}"
    return f"{value:.{digits}f}"


def written_p(value: float) -> str:
    """Return a P value with four decimals, or as below 0.0001."""
    value = float(value)
    return "–" if np.isnan(value) else "< 0.0001" if value < 0.0001 else f"{value:.4f}"


@dataclass(frozen=True)
class Summary:
    """Content of a summary: a title, a table of estimates, further lines, flags."""

    title: str
    heads: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    lines: tuple[str, ...]
    flags: tuple[str, ...]

    def text(self) -> str:
        """Return text with aligned columns."""
        table = [self.heads, *self.rows]
        widths = [max(len(row[i]) for row in table) for i in range(len(self.heads))]
        shown = [
            "  ".join(
                cell.ljust(w) if i == 0 else cell.rjust(w) for i, (cell, w) in enumerate(zip(r, widths, strict=True))
            )
            for r in table
        ]
        parts = [self.title, "", *(line.rstrip() for line in shown), "", *self.lines]
        return "\n".join([*parts, *(f"Note: {words}" for words in self.flags)])

    def html(self) -> str:
        """Return an HTML table and paragraphs, with all text escaped."""
        head = "".join(
            f'<th style="text-align:{"left" if i == 0 else "right"}">{escape(c)}</th>' for i, c in enumerate(self.heads)
        )
        body = "".join(
            "<tr>"
            + "".join(
                f'<td style="text-align:{"left" if i == 0 else "right"}">{escape(c)}</td>' for i, c in enumerate(row)
            )
            + "</tr>"
            for row in self.rows
        )
        below = [*self.lines, *(f"Note: {words}" for words in self.flags)]
        lines = "".join(f"<p>{escape(line)}</p>" for line in below)
        title = f"<p><b>{escape(self.title)}</b></p>"
        return f"{title}<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>{lines}"


class Result:
    """Flags in words, a summary and a table for any result of pooling."""

    #: The flags of this kind of result.
    FLAGS: ClassVar[type[IntFlag]] = Flag

    def flag_names(self) -> tuple[str, ...] | NDArray:
        """Return the flags in words: a tuple for one fit, an object array of tuples for a batch.

        Returns
        -------
        tuple of str, or ndarray of object
        """
        return names_of(self.flags, self.FLAGS)

    def flagged(self, flag: IntFlag) -> NDArray | bool:
        """Return whether ``flag`` applies, with the shape of the batch.

        Parameters
        ----------
        flag : IntFlag
            One of :attr:`FLAGS`.

        Returns
        -------
        bool or ndarray of bool
        """
        if isinstance(self.flags, tuple):
            return np.bool_(IN_WORDS[self.FLAGS][flag] in self.flags)
        return (self.flags & flag) > 0

    def _title(self) -> str:
        """Return the first line of the summary: what was fitted."""
        return f"{getattr(self, 'model', self.method)}".replace("_", "-")

    def _scale(self) -> str:
        """Return the name of the estimate."""
        return "pooled effect"

    def _batch(self) -> tuple[int, ...]:
        return np.shape(self.k)

    def _coefficients(self) -> tuple[str, ...]:
        """Return the names of the estimates of one fit."""
        return (self._scale(),)

    def _summary(self) -> Summary:
        level = f"{100 * self.level:g}% CI"
        columns = [np.atleast_1d(getattr(self, name)) for name in ("beta", "se", "ci_lb", "ci_ub")]
        heads, tested = ["", "estimate", "SE", level], hasattr(self, "stat")
        if tested:
            df = np.atleast_1d(getattr(self, "df", np.inf))
            heads += ["z" if np.isinf(df).all() else "t", "df", "P"]
            columns += [np.atleast_1d(self.stat), df, np.atleast_1d(self.p)]
        rows = []
        for name, values in zip(self._coefficients(), zip(*np.broadcast_arrays(*columns), strict=True), strict=True):
            beta, se, low, high, *test = values
            row = [name, written(beta), written(se), f"{written(low)} to {written(high)}"]
            if tested:
                df = "" if np.isinf(test[1]) else f"{test[1]:.4g}"
                row += [written(test[0]), df, written_p(test[2])]
            rows.append(tuple(row))
        return Summary(self._title(), tuple(heads), tuple(rows), tuple(self._lines()), tuple(self.flag_names()))

    def _lines(self) -> list[str]:
        """Yield lines on prediction, heterogeneity and test."""
        lines = []
        pi = getattr(self, "pi_lb", np.nan), getattr(self, "pi_ub", np.nan)
        if np.ndim(pi[0]) == 0 and not np.isnan(pi[0]):
            lines.append(f"{100 * self.level:g}% prediction interval: {written(pi[0])} to {written(pi[1])}")
        lines += self._heterogeneity()
        if getattr(self, "test", None) in TESTS_IN_WORDS:
            lines.append(f"Test and interval: {TESTS_IN_WORDS[self.test]} ({self.test})")
        return lines

    def _heterogeneity(self) -> list[str]:
        parts = []
        tau2 = getattr(self, "tau2", np.nan)
        if not np.isnan(tau2):
            error = getattr(self, "se_tau2", np.nan)
            parts.append(f"tau2 = {written(tau2)}" + ("" if np.isnan(error) else f" (SE {written(error)})"))
            parts.append(f"tau = {written(np.sqrt(tau2))}")
        for name, shown in (("I2", lambda v: f"{v:.1f}%"), ("H2", lambda v: f"{v:.2f}")):
            value = getattr(self, name, np.nan)
            if np.ndim(value) == 0 and not np.isnan(value):
                parts.append(f"{name} = {shown(value)}")
        lines = ["Heterogeneity: " + ", ".join(parts)] if parts else []
        Q, Q_p = getattr(self, "Q", np.nan), getattr(self, "Q_p", np.nan)
        if not np.isnan(Q):
            lines.append(f"Test for heterogeneity: Q = {written(Q)}, df = {self._Q_df():g}, P {_equals(Q_p)}")
        return lines

    def _more_columns(self) -> dict[str, NDArray | float]:
        """Return the numbers that only this kind of result has, for its table."""
        return {}

    def _Q_df(self) -> int:
        return int(self.k) - 1

    def summary(self) -> str:
        """Return a summary: estimate, interval, test, heterogeneity, prediction, flags.

        Returns
        -------
        str
            For a batch one line with the number of fits; :meth:`to_frame` returns their results.
        """
        if self._batch() == ():
            return self._summary().text()
        shape = self._batch()
        count = int(np.prod(shape))
        return f"{self._title()}: a batch of {count:,} fits, shape {shape}; to_frame() has one row for each"

    def __str__(self) -> str:
        """Return the summary."""
        return self.summary()

    def __repr__(self) -> str:
        """Return the summary."""
        return self.summary()

    def _repr_html_(self) -> str:
        """Return the summary for Jupyter."""
        if self._batch() == ():
            return self._summary().html()
        return f"<p>{escape(self.summary())}</p>"

    def to_frame(self) -> pd.DataFrame:
        """Return the numbers of the result with all digits, one row per fit, or per coefficient of a single fit.

        Returns
        -------
        pandas.DataFrame
            Names as in metafor; undefined numbers are missing. ``flags`` in words.
        """
        import pandas as pd  # imported late, because fitting does not need it

        batch = self._batch()
        found = {name: np.asarray(getattr(self, name)) for name in COLUMNS if hasattr(self, name)}
        found = {name: values for name, values in found.items() if values.ndim <= found["beta"].ndim}
        found |= {name: np.asarray(value) for name, value in self._more_columns().items()}
        several = found["beta"].ndim > len(batch)
        table = {}
        for name, values in found.items():
            if several and values.ndim == len(batch):
                values = np.broadcast_to(values[..., None], found["beta"].shape)
            table[name] = np.broadcast_to(values, found["beta"].shape).ravel()
        words = self.flag_names()
        texts = [words] if batch == () else words.ravel().tolist()
        times = found["beta"].shape[-1] if several else 1
        table["flags"] = ["; ".join(text) for text in texts for _ in range(times)]
        frame = pd.DataFrame(table)
        if several:
            frame.insert(0, "coefficient", list(self._coefficients()) * (len(frame) // times))
        for name in ("method", "test", "level"):
            if hasattr(self, name):
                frame[name] = getattr(self, name)
        return frame


def _equals(p: float) -> str:
    shown = written_p(p)
    return shown if shown.startswith("<") else f"= {shown}"


@dataclass(frozen=True, eq=False, repr=False, kw_only=True)
class Estimate(Result):
    """Numbers of every pooled estimate; arrays of the batch's shape, plain numbers for one fit.

    Attributes
    ----------
    beta, se, ci_lb, ci_ub : float or ndarray
        Estimate, standard error, confidence limits.
    Q, I2, H2 : float or ndarray
        Heterogeneity; NaN for one study.
    k : int or ndarray of int
        Studies that count.
    flags : tuple of str, or ndarray of int
        In words for one fit, sums of :attr:`FLAGS` for a batch.
    level : float
        Of the confidence limits.
    """

    beta: NDArray | float
    se: NDArray | float
    ci_lb: NDArray | float
    ci_ub: NDArray | float
    Q: NDArray | float
    I2: NDArray | float
    H2: NDArray | float
    k: NDArray | int
    flags: tuple[str, ...] | NDArray
    level: float


@dataclass(frozen=True, eq=False, repr=False, kw_only=True)
class CountEstimate(Estimate):
    """Common attributes of models of counts by maximum likelihood.

    Attributes
    ----------
    tau2, pi_lb, pi_ub : float or ndarray
        Between-study variance and prediction interval, on the logit or log odds ratio.
    Q_p, Q_wald : float or ndarray
        P value of the likelihood-ratio ``Q``; the same statistic by inverse variances.
    lrt, lrt_p : float or ndarray
        Likelihood-ratio test of ``tau2 = 0``.
    loglik : float or ndarray
    df : float or ndarray
        Of the interval; infinite for z.
    model, method, test : str
    """

    tau2: NDArray | float
    pi_lb: NDArray | float
    pi_ub: NDArray | float
    Q_p: NDArray | float
    Q_wald: NDArray | float
    lrt: NDArray | float
    lrt_p: NDArray | float
    loglik: NDArray | float
    df: NDArray | float
    test: str
    model: str
    method: str = "ML"

    @property
    def tau(self) -> NDArray | float:
        """Standard deviation between studies."""
        return np.sqrt(self.tau2)
