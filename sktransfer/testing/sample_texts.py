"""Texts and labels that the checks fit on, and texts that are hard to read."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

__all__ = ["HARD_TEXTS", "TEXTS", "labels", "sides", "targets"]

_GOOD = ("good", "great", "lovely", "nice")
_BAD = ("bad", "awful", "terrible", "poor")
_THINGS = ("film", "camera", "battery")

# Short, distinct, of two languages; words come up in several of them.
TEXTS: list[str] = [
    f"the {thing} is {word}" for thing in _THINGS for word in _GOOD + _BAD
]
TEXTS += ["这个酒店很好", "房间很干净，喜欢", "这个酒店太差", "不好，没有服务"]

# By what is hard about them.
HARD_TEXTS: dict[str, str] = {
    "empty": "",
    "blank": " \t\n ",
    "long": "the film is good and long " * 300,
    "emojis": "good \U0001f600 \U0001f469\u200d\U0001f467 \U0001f1eb\U0001f1f7 film",
    "lone surrogate": "good \ud83d film",
    "NUL": "good\x00film",
    "combining marks": "go\u0301\u0302\u0303od cafe\u0301 \u0645\u064e\u0631\u062d",
    "no letters": "... !!! 12",
}


def sides(n_classes: int = 2) -> NDArray[np.int64]:
    """Number of the class of each of `TEXTS`, from 0; bad texts have 0."""
    n_words = len(_GOOD)
    of_english = np.repeat([1, 0], n_words)
    found = np.concatenate([np.tile(of_english, len(_THINGS)), [1, 1, 0, 0]])
    if n_classes > 2:
        # What is said of the last word of either side is a class in the middle.
        middle = [text.endswith(("nice", "poor")) for text in TEXTS]
        found = np.where(middle, 1, 2 * found)
    return found.astype(np.int64)


def labels(n_classes: int = 2) -> NDArray[np.str_]:
    """Label of each of `TEXTS`; their order is that of `sides`."""
    names = ["bad", "good"] if n_classes == 2 else ["a bad", "middling", "the good"]
    return np.array(names)[sides(n_classes)]


def targets() -> NDArray[np.float64]:
    """A number for each of `TEXTS`, for regressors."""
    return sides() + 0.01 * np.arange(len(TEXTS))
