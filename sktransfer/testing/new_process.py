"""Calls in a process that has seen nothing of the estimator before.

One process waits for requests. For each it imports the modules of the estimator's
classes, which takes seconds where torch is among them, and then forks: only the fork
sees the estimator. Where there is no fork, each request has a process of its own.
"""

from __future__ import annotations

import atexit
import contextlib
import importlib
import os
import pickle
import select
import subprocess
import sys
import threading
import traceback
import warnings
from typing import Any, BinaryIO

from sktransfer.testing.assertions import fail, skip

__all__ = ["ask_new_process", "modules_of", "serve"]

_TIMEOUT = 300  # seconds; imports on a busy machine are among them
_FORKS = hasattr(os, "fork")
_START = (
    "import sys; sys.path[:] = {path!r}; "
    "from sktransfer.testing.new_process import serve; serve()"
)
# Files of code, which an import may read at any time.
_CODE = (".py", ".pyc", ".so", ".pyd", ".pyi")
_LARGE = 2**16

_lock = threading.Lock()
_servers: list[subprocess.Popen[bytes]] = []


def modules_of(estimator: Any) -> list[str]:
    """Modules of the classes of an estimator and of what is in its parameters."""
    values = [estimator, *estimator.get_params().values()]
    classes = {type(value) for value in values if hasattr(value, "get_params")}
    return sorted({one.__module__ for kind in classes for one in kind.__mro__})


def ask_new_process(estimator: Any, question: str, *arguments: Any) -> Any:
    """Call a function of this module in a new process, and return its result.

    What it raises is a failure of the check. The check is skipped where the estimator's
    class is defined in a script or a notebook.
    """
    if any(module == "__main__" for module in modules_of(estimator)):
        skip("its class is defined in __main__, which another process does not have")
    request = {
        "question": question,
        "arguments": arguments,
        "modules": modules_of(estimator),
        "environment": dict(os.environ),
        "path": sys.path,
    }
    with _lock:
        status, result = _exchange(pickle.dumps(request))
    if status == "no module":
        skip(f"another process cannot import its class: {result}")
    if status == "raised":
        fail(f"in a new process: {result}")
    return result


def _exchange(request: bytes) -> tuple[str, Any]:
    if not _servers or _servers[0].poll() is not None:
        _stop()
        _servers.append(
            subprocess.Popen(
                [sys.executable, "-c", _START.format(path=sys.path)],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
            )
        )
        if len(_servers) == 1:
            atexit.register(_stop)
    server = _servers[0]
    assert server.stdin is not None
    assert server.stdout is not None
    _write(server.stdin, request)
    if _FORKS and not select.select([server.stdout], [], [], _TIMEOUT)[0]:
        _stop()
        return "raised", f"no answer within {_TIMEOUT} s"
    answer = _read(server.stdout)
    if not _FORKS or answer is None:
        _stop()
    if answer is None:
        return "raised", "the process died"
    status, result = pickle.loads(answer)
    return status, result


def _stop() -> None:
    while _servers:
        server = _servers.pop()
        server.kill()
        for pipe in (server.stdin, server.stdout):
            if pipe is not None:
                with contextlib.suppress(OSError):
                    pipe.close()
        server.wait()


def _write(pipe: BinaryIO | Any, message: bytes) -> None:
    pipe.write(len(message).to_bytes(8, "little") + message)
    pipe.flush()


def _read(pipe: BinaryIO | Any) -> bytes | None:
    """A message, or None where the other side has gone."""
    head = pipe.read(8)
    if len(head) < 8:
        return None
    size = int.from_bytes(head, "little")
    message = pipe.read(size)
    return message if len(message) == size else None


# In the new process -------------------------------------------------------------


def serve() -> None:
    """Answer requests until the other side has gone."""
    questions = sys.stdin.buffer
    # What an estimator prints must not be taken for an answer.
    answers = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)
    warnings.simplefilter("ignore")
    while (message := _read(questions)) is not None:
        request = pickle.loads(message)
        os.environ.clear()
        os.environ.update(request["environment"])
        sys.path[:] = request["path"]
        try:
            for module in request["modules"]:
                importlib.import_module(module)
        except ImportError as error:
            _write(answers, pickle.dumps(("no module", str(error))))
            continue
        if not _FORKS:
            _write(answers, _answer(request))
            return
        child = os.fork()
        if child == 0:
            try:
                _write(answers, _answer(request))
            finally:
                os._exit(0)
        _, code = os.waitpid(child, 0)
        if code:
            died = ("raised", f"the process died with status {code}")
            _write(answers, pickle.dumps(died))


def _answer(request: dict[str, Any]) -> bytes:
    try:
        result = globals()[request["question"]](*request["arguments"])
        return pickle.dumps(("done", result))
    except BaseException as error:
        where = traceback.extract_tb(error.__traceback__)[-1]
        text = f"{type(error).__name__}: {error} ({where.filename}:{where.lineno})"
        return pickle.dumps(("raised", text))


def answers_of(pickled: bytes, methods: list[str], X: Any) -> dict[str, Any]:
    """What an estimator that was pickled says of texts, by method."""
    estimator = pickle.loads(pickled)
    return {method: getattr(estimator, method)(X) for method in methods}


def opened_by_construction(pickled: bytes) -> list[str]:
    """Files opened and connections made by making one from its parameters."""
    kind, parameters = pickle.loads(pickled)
    seen = _watch()
    kind(**parameters)
    return list(seen)


def opened_unfitted(pickled: bytes, methods: list[str], X: Any) -> list[str]:
    """Files opened and connections made by asking an estimator without a fit."""
    estimator = pickle.loads(pickled)
    seen = _watch()
    for method in methods:
        with contextlib.suppress(Exception):
            getattr(estimator, method)(X)
    return list(seen)


def _watch() -> list[str]:
    """List that fills with large files that are opened, and with connections.

    The hook cannot be taken away again; this process ends soon.
    """
    seen: list[str] = []

    def note(event: str, details: tuple[Any, ...]) -> None:
        if event == "socket.connect":
            seen.append(f"a connection to {details[1]!r}")
        if event != "open" or not isinstance(details[0], (str, bytes)):
            return
        path = os.fsdecode(details[0])
        with contextlib.suppress(OSError, ValueError):
            if not path.endswith(_CODE) and os.path.getsize(path) >= _LARGE:  # noqa: PTH202
                seen.append(path)

    sys.addaudithook(note)
    return seen


def nothing() -> None:
    """Answer that the estimator's classes can be imported."""
