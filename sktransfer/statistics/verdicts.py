"""What follows from a test, as a sentence.

Sentences come without a full stop, so that several can be joined.
"""

from __future__ import annotations

import math

from sktransfer.validation import POSITIVE, SHARE, check_parameters

__all__ = [
    "format_p",
    "tell_bounds",
    "tell_cost",
    "tell_p",
    "transfer_verdict",
    "verdict",
]

_RULES = {"alpha": SHARE, "margin": POSITIVE}

# Shares of a time that people say; the one that is nearest in proportion is taken.
_SHARES = {
    3 / 4: "three quarters",
    2 / 3: "two thirds",
    1 / 2: "half",
    1 / 3: "a third",
    1 / 4: "a quarter",
    1 / 5: "a fifth",
    1 / 6: "a sixth",
    1 / 7: "a seventh",
    1 / 8: "an eighth",
    1 / 10: "a tenth",
    1 / 12: "a twelfth",
    1 / 15: "a fifteenth",
    1 / 20: "a twentieth",
    1 / 25: "a twenty-fifth",
    1 / 30: "a thirtieth",
    1 / 40: "a fortieth",
    1 / 50: "a fiftieth",
    1 / 60: "a sixtieth",
    1 / 80: "an eightieth",
    1 / 100: "a hundredth",
    1 / 200: "a two-hundredth",
    1 / 500: "a five-hundredth",
    1 / 1000: "a thousandth",
}
# Times that differ by less than this factor are the same.
_SAME_TIME = 1.2


def verdict(
    name: str,
    baseline: str,
    difference: float,
    pvalue: float,
    *,
    interval: tuple[float, float] | None = None,
    seconds: float | None = None,
    baseline_seconds: float | None = None,
    alpha: float = 0.05,
    margin: float = 0.02,
    scale: float = 100.0,
    unit: str = "points",
) -> str:
    """Say whether one model is better than another, and at what cost.

    That no difference was found does not make two models equal. "As good" is said only
    where the whole interval of the difference lies within the margin, which is told.
    Where neither is shown, the cost comes with how much lower the score may be.

    Parameters
    ----------
    name, baseline : str
        How the two models are called.
    difference : float
        Mean score of `name` minus that of `baseline`; greater scores are better.
    pvalue : float
        Of the difference, corrected for several tests where there were any. NaN where
        there was none.
    interval : tuple of (float, float), default=None
        95 % confidence interval of the difference, in its unit; NaN where nobody knows.
        Where several pairs were tried, pass a wider one.
    seconds, baseline_seconds : float, default=None
        What both cost; without them the sentence is silent on it.
    alpha : float in (0, 1), default=0.05
        A difference is shown where the p-value is below.
    margin : float > 0, default=0.02
        Difference that would not matter, in the unit of `difference`.
    scale : float > 0, default=100
        What differences are multiplied by to be told.
    unit : str, default="points"
        What they are then.

    Returns
    -------
    sentence : str
        Without a full stop.

    Raises
    ------
    InvalidParameterError
        If `alpha` or `margin` is out of range.

    Examples
    --------
    >>> from sktransfer.statistics import verdict
    >>> verdict("fine_tune", "TF-IDF", 0.071, 0.003)
    'fine_tune is better than TF-IDF by 7.1 points, p = 0.003'
    >>> verdict("fine_tune", "TF-IDF", 0.071, 0.003, interval=(0.02, 0.122))
    'fine_tune is better than TF-IDF by 7.1 points (2.0 to 12.2), p = 0.003'
    >>> costs = {"seconds": 2, "baseline_seconds": 80}
    >>> verdict("frozen", "fine_tune", 0.001, 0.8, interval=(-0.01, 0.012), **costs)
    'frozen is as good as fine_tune within 2 points, at a fortieth of the time'
    >>> verdict("frozen", "fine_tune", -0.02, 0.41)
    'no difference between frozen and fine_tune could be shown (-2.0 points, p = 0.41)'
    """
    check_parameters({"alpha": alpha, "margin": margin}, _RULES)
    cost = tell_cost(seconds, baseline_seconds)
    if math.isnan(difference):
        return f"{name} and {baseline} could not be compared"
    shown = f"{abs(difference) * scale:.1f} {unit}"
    if pvalue < alpha:
        side = "better" if difference > 0 else "worse"
        bounds = tell_bounds(difference, interval, scale)
        found = f"{name} is {side} than {baseline} by {shown}{bounds}, {tell_p(pvalue)}"
        return f"{found}, {cost}" if cost else found
    low, high = (math.nan, math.nan) if interval is None else interval
    if -margin < low and high < margin:
        within = f"{margin * scale:.3g} {unit}"
        found = f"{name} is as good as {baseline} within {within}"
        return f"{found}, {cost}" if cost else found
    evidence = _tell_evidence(difference * scale, unit, pvalue)
    found = f"no difference between {name} and {baseline} could be shown ({evidence})"
    if not cost:
        return found
    risk = f" by up to {-low * scale:.1f} {unit}" if low < 0 else ""
    # A low price must not pass one off as equal where nobody knows that it is.
    return f"{found}, nor that they are equal: {name} may score lower{risk}, {cost}"


def transfer_verdict(
    difference: float,
    pvalue: float,
    *,
    interval: tuple[float, float] | None = None,
    alpha: float = 0.05,
    scale: float = 100.0,
    unit: str = "points",
) -> str:
    """Say whether a source domain helped.

    Parameters
    ----------
    difference : float
        Score with the source minus score of the target alone.
    pvalue : float
        Of the difference; NaN where there was no test.
    interval : tuple of (float, float), default=None
        95 % confidence interval of the difference, in its unit.
    alpha : float in (0, 1), default=0.05
        An effect is shown where the p-value is below.
    scale : float > 0, default=100
        What differences are multiplied by to be told.
    unit : str, default="points"
        What they are then.

    Returns
    -------
    sentence : str
        Without a full stop.

    Raises
    ------
    InvalidParameterError
        If `alpha` is out of range.

    Examples
    --------
    >>> from sktransfer.statistics import transfer_verdict
    >>> transfer_verdict(-0.031, 0.01)
    'negative transfer: the source costs 3.1 points, p = 0.010'
    """
    check_parameters({"alpha": alpha}, _RULES)
    if math.isnan(difference):
        return "whether the source helps could not be tested"
    if pvalue < alpha:
        effect = (
            "the source adds"
            if difference > 0
            else "negative transfer: the source costs"
        )
        bounds = tell_bounds(difference, interval, scale)
        shown = f"{abs(difference) * scale:.1f} {unit}{bounds}"
        return f"{effect} {shown}, {tell_p(pvalue)}"
    evidence = _tell_evidence(difference * scale, unit, pvalue)
    return f"no effect of the source could be shown ({evidence})"


def _tell_evidence(difference: float, unit: str, pvalue: float) -> str:
    difference = round(difference, 1) + 0.0  # no minus before a zero
    return f"{difference:+.1f} {unit}, {tell_p(pvalue)}"


def tell_bounds(
    difference: float, interval: tuple[float, float] | None, scale: float
) -> str:
    """Say between which bounds the size of a difference lies, in brackets.

    Examples
    --------
    >>> from sktransfer.statistics.verdicts import tell_bounds
    >>> tell_bounds(-0.03, (-0.052, -0.008), 100)
    ' (0.8 to 5.2)'
    """
    if interval is None or any(map(math.isnan, interval)):
        return ""
    side = 1.0 if difference > 0 else -1.0
    low, high = sorted(side * scale * end for end in interval)
    return f" ({low:.1f} to {high:.1f})"


def tell_p(pvalue: float) -> str:
    """Say a p-value.

    Examples
    --------
    >>> from sktransfer.statistics.verdicts import tell_p
    >>> tell_p(0.0321), tell_p(0.25), tell_p(1e-9), tell_p(float("nan"))
    ('p = 0.032', 'p = 0.25', 'p < 0.001', 'not tested')
    """
    if math.isnan(pvalue):
        return "not tested"
    written = format_p(pvalue, 3 if pvalue < 0.1 else 2)
    return f"p {written}" if written.startswith("<") else f"p = {written}"


def format_p(pvalue: float, n_digits: int = 3) -> str:
    """Write a p-value as all tables and sentences have it; nothing where it is NaN.

    Examples
    --------
    >>> from sktransfer.statistics.verdicts import format_p
    >>> format_p(0.0321), format_p(1e-9), format_p(float("nan"))
    ('0.032', '< 0.001', '')
    """
    if pvalue < 0.001:
        return "< 0.001"
    return "" if math.isnan(pvalue) else f"{pvalue:.{n_digits}f}"


def tell_cost(seconds: float | None, baseline_seconds: float | None) -> str:
    """What part or multiple of the baseline's time; empty where nobody knows."""
    if seconds is None or baseline_seconds is None:
        return ""
    if not (0 < seconds < math.inf and 0 < baseline_seconds < math.inf):
        return ""
    ratio = seconds / baseline_seconds
    if 1 / _SAME_TIME < ratio < _SAME_TIME:
        return "in the same time"
    if ratio > 1:
        # Two digits are as many as such times are worth.
        return f"at {float(f'{ratio:.2g}'):,.10g} times the time"
    nearest = min(_SHARES, key=lambda share: abs(math.log(share / ratio)))
    if ratio < nearest / 2:
        return f"at less than {_SHARES[nearest]} of the time"
    of = "the" if nearest == 1 / 2 else "of the"
    return f"at {_SHARES[nearest]} {of} time"
