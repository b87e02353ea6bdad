"""The switch of this folder: whether transformers learn in ways of our own on a CPU.

Each trick asks `tricks_on` when it is about to be used. So the switch also holds for a
network that was built before it was turned.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from contextvars import ContextVar

from sktransfer.exceptions import InvalidParameterError

__all__ = ["VARIABLE", "plain", "tricks_on"]

#: Environment variable; "0" turns all tricks off.
VARIABLE = "SKTRANSFER_CPU_TRICKS"

_plain: ContextVar[bool] = ContextVar("plain", default=False)


def tricks_on() -> bool:
    """Whether the quick ways are to be used in this context.

    Raises
    ------
    InvalidParameterError
        If the environment variable is something else than 0, 1 or nothing.
    """
    if _plain.get():
        return False
    value = os.environ.get(VARIABLE, "")
    if value not in ("", "0", "1"):
        raise InvalidParameterError(
            f"the environment variable {VARIABLE} is {value!r}, but 0 (the plain ways "
            "of torch and transformers) or 1 (quick ways where there are any) is "
            "expected: set it to one of them, or unset it."
        )
    return value != "0"


@contextlib.contextmanager
def plain() -> Iterator[None]:
    """Turn the tricks off for what this thread does, whoever computes for it.

    Examples
    --------
    >>> from sktransfer.classifier.cpu.switch import plain, tricks_on
    >>> with plain():
    ...     tricks_on()
    False
    """
    token = _plain.set(True)
    try:
        yield
    finally:
        _plain.reset(token)
