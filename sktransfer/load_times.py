"""What a process loads once, and how long that took: weights, tokenizers, tables.

Who times a fit takes off what was spent on loading meanwhile, and is told what all that
was used had taken to load, be it now or earlier: the answer is then the same for
whatever comes first and for all that finds things loaded.
"""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field

__all__ = ["Loads", "loading", "noting_loads"]

# Seconds that each thing took, when that was longest: what is dropped is loaded again.
_seconds: dict[str, float] = {}
_noting = threading.Lock()


@dataclass
class Loads:
    """What was loaded or used while somebody took note.

    Attributes
    ----------
    spent : float
        Seconds of this time that went into loading.
    used : dict of str to float
        Each thing that was asked for, with the seconds that loading it took, also
        where that was before.
    """

    spent: float = 0.0
    used: dict[str, float] = field(default_factory=dict)


class _Notes(threading.local):
    def __init__(self) -> None:
        self.open: list[Loads] = []
        self.depth = 0


_notes = _Notes()


@contextlib.contextmanager
def loading(what: str) -> Iterator[None]:
    """Say that a thing is loaded here, or found loaded, which then takes no time.

    What is loaded inside of it belongs to it.
    """
    started = time.perf_counter()
    _notes.depth += 1
    try:
        yield
    finally:
        _notes.depth -= 1
        if not _notes.depth:
            spent = time.perf_counter() - started
            with _noting:
                longest = _seconds[what] = max(spent, _seconds.get(what, 0.0))
            for loads in _notes.open:
                loads.spent += spent
                loads.used[what] = longest


@contextlib.contextmanager
def noting_loads() -> Iterator[Loads]:
    """Take note of what this thread loads, or uses of what is loaded.

    Examples
    --------
    >>> from sktransfer.load_times import loading, noting_loads
    >>> with noting_loads() as loads:
    ...     with loading("a table"):
    ...         table = list(range(10))
    >>> list(loads.used), loads.spent > 0
    (['a table'], True)
    """
    loads = Loads()
    _notes.open.append(loads)
    try:
        yield loads
    finally:
        # By identity: two that hold the same are equal.
        _notes.open = [other for other in _notes.open if other is not loads]
