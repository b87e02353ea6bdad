"""A call that asks the hub, given up where nothing comes.

The hub's library has a limit for each read. A server that sends a byte a second never
meets it, nor does one that asks to be tried again in an hour. Here what arrives is
looked at: no kilobyte in half a minute ends the call, while a slow line may take its
time over a large file.
"""

from __future__ import annotations

import contextlib
import contextvars
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future, wait
from pathlib import Path
from typing import Any, TypeVar

__all__ = ["QUIET", "StalledError", "call_watched"]

Result = TypeVar("Result")

#: Seconds without a kilobyte after which a call is given up.
QUIET = 30.0
_ENOUGH = 1024
# Seconds between two looks.
_LOOK = 0.2


class StalledError(OSError):
    """Nothing came for too long."""


def call_watched(function: Callable[[], Result], folder: Path) -> Result:
    """Call a function that downloads to a folder, in a thread that may be left behind.

    Raises StalledError where nothing arrives for `QUIET` seconds. What the function
    raises is raised here; after Ctrl-C it goes no further either.
    """
    answer: Future[Result] = Future()
    context = contextvars.copy_context()

    def answer_it() -> None:
        try:
            answer.set_result(context.run(function))
        except BaseException as error:
            answer.set_exception(error)

    watch = _Watch(folder)
    watch.attach()
    threading.Thread(target=answer_it, daemon=True, name="sktransfer-hub").start()
    try:
        seen, since = watch.count(), time.monotonic()
        while not wait([answer], timeout=_LOOK).done:
            watch.attach()
            now = watch.count()
            if abs(now - seen) >= _ENOUGH:
                seen, since = now, time.monotonic()
            elif time.monotonic() - since > QUIET:
                raise StalledError(f"nothing came for {QUIET:.0f} seconds")
        return answer.result()
    finally:
        if answer.done():
            watch.detach()
        else:
            watch.stop()


class _Watch:
    """Counts what comes to threads that were begun after it, and can end them."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._others = {thread.ident for thread in threading.enumerate()}
        self._stopped = False
        self._clients: list[Any] = []
        self._responses: list[Any] = []

    def attach(self) -> None:
        """Look at the requests of the hub's session, which its library may renew."""
        from huggingface_hub import get_session

        client = get_session()
        if not any(client is known for known in self._clients):
            self._clients.append(client)
            client.event_hooks["request"].append(self._ask)
            client.event_hooks["response"].append(self._note)

    def detach(self) -> None:
        """Look no longer."""
        for client in self._clients:
            for name, hook in (("request", self._ask), ("response", self._note)):
                with contextlib.suppress(ValueError):
                    client.event_hooks[name].remove(hook)

    def count(self) -> int:
        """A number that grows with each answer and with each byte of them."""
        n_bytes = sum(int(one.num_bytes_downloaded) for one in [*self._responses])
        for path in self._folder.glob("blobs/*"):  # and those of other protocols
            with contextlib.suppress(OSError):
                n_bytes += path.stat().st_size
        return n_bytes + _ENOUGH * len(self._responses)

    def stop(self) -> None:
        """End the threads: what they read is closed, and they ask for nothing more."""
        from huggingface_hub import close_session

        self._stopped = True
        for response in [*self._responses]:
            with contextlib.suppress(Exception):
                response.close()
        close_session()
        self.attach()

    def _is_mine(self) -> bool:
        return threading.get_ident() not in self._others

    def _ask(self, request: object) -> None:
        if self._stopped and self._is_mine():
            raise StalledError("the download was given up")

    def _note(self, response: object) -> None:
        if self._is_mine():
            self._responses.append(response)
