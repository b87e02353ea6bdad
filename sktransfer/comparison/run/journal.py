"""A journal of finished work: one line of JSON a fold, safe against kill -9.

A line is appended, flushed and put on disk before the next fold begins. Each has a
digest, which depends on the first line, too, so that one that was cut short, changed,
or is another comparison's is seen, and its work done again: what counts is told by the
lines, not by notes beside them as of an `Unfinished` file.

Data and estimators are put down as digests and parameters, which tell whether two
comparisons are the same one.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from numbers import Integral
from pathlib import Path
from typing import IO, Any

import numpy as np
from filelock import Timeout
from sklearn.frozen import FrozenEstimator
from sklearn.utils import check_random_state

from sktransfer.bundles.folders import OF_SYSTEMS, check_place
from sktransfer.comparison.setup.candidates import Candidate
from sktransfer.estimators import (
    Estimator,
    inner_estimators,
    is_estimator,
    named_parts,
)
from sktransfer.exceptions import (
    InvalidParameterError,
    ModelFolderError,
    SktransferWarning,
    warn,
)
from sktransfer.storage import locked

__all__ = [
    "JOURNAL",
    "Journal",
    "check_candidates",
    "describe_estimator",
    "digest_of",
    "digest_texts",
    "draw_seed",
    "forget_comparison",
    "in_use",
    "is_journal",
    "list_own_files",
    "open_journal",
    "recorded_seed",
]

# In format 1 the digest of a line did not tell which journal it is of.
_FORMAT, _FORMAT_1 = 2, 1
JOURNAL = "journal.jsonl"
# How the first line goes on behind its digest.
_HEAD = b' {"entry":"header",'
_HEX = frozenset(b"0123456789abcdef")

_LOCK = f"{JOURNAL}.lock"
_MODEL = re.compile(r"sources/[0-9a-f]{16}")
# Models that a killed process was writing or replacing; vectors, and their locks.
_HIDDEN = r"(sktransfer-)?[0-9a-z_]{8}(\.old)?"
_UNFINISHED = rf"sources/\.[0-9a-f]{{16}}\.({_HIDDEN}/[^/]+|sktransfer-lock)"
_VECTORS = (
    r"vectors/sktransfer-vectors-\d+/[0-9a-f]{32}/"
    r"([0-9a-f]{32}\.vec|\.[0-9a-f]{32}\.vec\.(sktransfer-)?(lock|[0-9a-f]{8})|"
    r"(turn-\d+|merge)\.lock)"
)
_BY_NAME = re.compile(f"{_UNFINISHED}|{_VECTORS}")

# Parameters that change how long something takes and what is shown, and no result.
_WITHOUT_EFFECT = {
    "batch_tokens",
    "cache",
    "memory",
    "n_jobs",
    "share",
    "transform_input",
    "verbose",
}


class Journal:
    """Entries of a comparison, in memory and, where there is a folder, on disk.

    Parameters
    ----------
    file : file object or None, default=None
        To append to.
    entries : list of dict, default=()
        What an earlier run has left.

    Attributes
    ----------
    entries : list of dict
        In the order of writing.
    """

    def __init__(
        self, file: IO[bytes] | None = None, entries: list[dict[str, Any]] | None = None
    ) -> None:
        self._file = file
        self.entries = list(entries or [])
        self._key = _key_of(self.entries)

    @property
    def is_kept(self) -> bool:
        """Whether entries are there for another run."""
        return self._file is not None

    def write(self, entry: dict[str, Any]) -> None:
        """Add an entry, which JSON can hold; it is on the disk when this returns."""
        self.entries.append(entry)
        if self._file is not None:
            try:
                self._file.write(_seal(entry, self._key))
                self._file.flush()
                os.fsync(self._file.fileno())
            except OSError as error:
                raise OSError(
                    error.errno,
                    f"{error.strerror}: what was compared stays there, and the same "
                    "call goes on once there is room",
                    self._file.name,
                ) from error
        self._key = self._key or _key_of(self.entries)

    def of_kind(self, kind: str) -> list[dict[str, Any]]:
        """Entries with that value of "entry"."""
        return [entry for entry in self.entries if entry["entry"] == kind]

    def seconds(self, kind: str) -> dict[str, float]:
        """What was timed, by its digest: of encoders a text, of source models a fit."""
        return {entry["digest"]: entry["seconds"] for entry in self.of_kind(kind)}


@contextlib.contextmanager
def open_journal(folder: Path | None, settings: Mapping[str, Any]) -> Iterator[Journal]:
    """Open the journal in a folder, a new one or one to go on with.

    Without a folder, entries are kept in memory only. The settings must be what they
    were for entries to be used again. A journal of other ones, one that is in use and a
    file that is none are an `InvalidParameterError`.
    """
    if folder is None:
        yield Journal()
        return
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / JOURNAL
    try:
        with locked(path, timeout=0):
            if not is_journal(path):
                raise _not_ours(path)
            entries, n_bytes = _read(path)
            header = {"entry": "header", "format": _FORMAT, "settings": dict(settings)}
            if entries:
                _check_header(entries[0], header, path)
            with path.open("ab") as file:
                # What follows the last whole line was cut short.
                file.truncate(n_bytes)
                journal = Journal(file, entries)
                if not entries:
                    journal.write(header)
                yield journal
    except Timeout as error:
        raise in_use(folder) from error


def recorded_seed(folder: Path | None) -> int | None:
    """Return the seed that a comparison without `random_state` has drawn before."""
    if folder is None or not (entries := _read(folder / JOURNAL)[0]):
        return None
    seed = entries[0].get("settings", {}).get("random_state")
    return seed if isinstance(seed, int) else None


def is_journal(path: Path) -> bool:
    """Whether a file is a journal, the torn beginning of one, or not there yet."""
    if not os.path.lexists(path):
        return True
    if not path.is_file():
        return False
    with path.open("rb") as file:
        line = file.readline()
    if line.endswith(b"\n"):
        digest, _, body = line[:-1].partition(b" ")
        return digest == _digest(body) and (b" " + body).startswith(_HEAD)
    return _HEX.issuperset(line[:16]) and _HEAD.startswith(line[16 : 16 + len(_HEAD)])


def in_use(folder: Path) -> InvalidParameterError:
    """Error for a folder in which another comparison is running."""
    return InvalidParameterError(
        f"folder={str(folder)!r} is in use by another comparison: wait for it, or "
        "name another folder."
    )


def _not_ours(path: Path) -> InvalidParameterError:
    return InvalidParameterError(
        f"{path} was not written by this version of compare_strategies: name another "
        "folder, or move it away."
    )


def _seal(entry: dict[str, Any], key: bytes = b"") -> bytes:
    body = _body(entry)
    return _digest(body, key) + b" " + body + b"\n"


def _body(entry: dict[str, Any]) -> bytes:
    return json.dumps(entry, ensure_ascii=True, separators=(",", ":")).encode()


def _digest(body: bytes, key: bytes = b"") -> bytes:
    return hashlib.sha256(key + body).hexdigest()[:16].encode()


def _key_of(entries: list[dict[str, Any]]) -> bytes:
    """What digests of further lines depend on: the first one, from format 2 on."""
    if not entries or entries[0].get("format") == _FORMAT_1:
        return b""
    return hashlib.sha256(_body(entries[0])).digest()


def _read(path: Path) -> tuple[list[dict[str, Any]], int]:
    """Intact lines of a journal, and where the last whole line ends."""
    if not path.exists():
        return [], 0
    entries: list[dict[str, Any]] = []
    n_bytes, n_damaged, key = 0, 0, b""
    content = path.read_bytes()
    # What follows the last line feed was cut short.
    for line in content.split(b"\n")[:-1]:
        digest, _, body = line.partition(b" ")
        n_bytes += len(line) + 1
        if digest == _digest(body, key):
            entries.append(json.loads(body))
            key = key or _key_of(entries)
        else:
            n_damaged += 1
    if n_damaged:
        warn(
            f"{path} has {n_damaged} damaged lines: what they told is done again.",
            SktransferWarning,
        )
    return entries, n_bytes


def _check_header(found: dict[str, Any], expected: dict[str, Any], path: Path) -> None:
    known = (_FORMAT, _FORMAT_1)
    if found.get("entry") != "header" or found.get("format") not in known:
        raise _not_ours(path)
    old, new = found["settings"], expected["settings"]
    others = [name for name in new if old.get(name) != new[name]]
    if others:
        told = "; ".join(
            f"{name} was {_shorten(old.get(name))} and is {_shorten(new[name])}"
            for name in others
        )
        raise InvalidParameterError(
            f"folder={str(path.parent)!r} holds another comparison, which cannot be "
            f"gone on with: {told}. Name another folder, or delete this one."
        )


def _shorten(value: object) -> str:
    told = str(value)
    return told if len(told) <= 24 else told[:12] + "..."


def list_own_files(folder: Path) -> list[Path]:
    """List what comparisons have left in a folder: journal, models, vectors, locks.

    The folder may be missing. Anything else in it is an `InvalidParameterError`.
    """
    own, others = [], []
    for name in _list_files(folder):
        if _is_own(folder, name):
            own.append(folder / name)
        elif Path(name).name not in OF_SYSTEMS:
            others.append(name)
    if others:
        more = ", ..." if len(others) > 3 else ""
        raise InvalidParameterError(
            f"{str(folder)!r} holds {', '.join(map(repr, others[:3]))}{more}, which no "
            "comparison has left there, so nothing in it is removed: move that away, "
            "or name another folder."
        )
    return own


def forget_comparison(folder: Path) -> None:
    """Remove what a comparison has left in its folder, so that the next begins anew.

    If there is anything else in the folder, or if a comparison is using it, that is an
    `InvalidParameterError`, and nothing is removed.
    """
    if not list_own_files(folder):
        return
    try:
        with locked(folder / JOURNAL, timeout=0):
            # The lock stays: another process may be about to take it.
            own = [path for path in list_own_files(folder) if path.name != _LOCK]
            for path in own:
                path.unlink(missing_ok=True)
            above = {place for path in own for place in path.parents}
            for place in sorted(above, reverse=True):
                if place != folder and place.is_relative_to(folder):
                    with contextlib.suppress(OSError):  # it is not empty
                        place.rmdir()
    except Timeout as error:
        raise in_use(folder) from error


def _list_files(folder: Path) -> list[str]:
    """All that is no folder, by its name from here; links are not followed."""
    found = []
    for place, folders, files in os.walk(folder):
        links = [name for name in folders if Path(place, name).is_symlink()]
        for name in [*files, *links]:
            found.append(Path(place, name).relative_to(folder).as_posix())
    return sorted(found)


def _is_own(folder: Path, name: str) -> bool:
    if name == JOURNAL:
        return is_journal(folder / name)
    if name == _LOCK:
        return (folder / name).stat().st_size == 0
    place, _, _ = name.rpartition("/")
    if _MODEL.fullmatch(place):
        try:
            check_place(folder / place)
        except ModelFolderError:
            return False
        return True
    return bool(_BY_NAME.fullmatch(name))


def draw_seed(
    random_state: int | np.random.RandomState | None, folder: Path | None
) -> int:
    """One seed for everything; a comparison that goes on keeps the one it drew."""
    if isinstance(random_state, Integral):
        return int(random_state)
    recorded = recorded_seed(folder) if random_state is None else None
    if recorded is not None:
        return recorded
    return int(check_random_state(random_state).randint(2**31 - 1))


def digest_texts(*columns: Iterable[Any] | None) -> str:
    """SHA-256 of columns of texts, labels or numbers, in hexadecimal.

    A column that is None is another thing than an empty one.
    """
    digest = hashlib.sha256()
    for column in columns:
        digest.update(b"\x00column" if column is not None else b"\x00nothing")
        for value in () if column is None else column:
            entry = f"{type(value).__name__}:{value}".encode("utf-8", "surrogatepass")
            digest.update(len(entry).to_bytes(8, "little") + entry)
    return digest.hexdigest()


def digest_of(value: Mapping[str, Any]) -> str:
    """SHA-256 of a flat mapping of str to str, in hexadecimal."""
    return digest_texts(*([key, entry] for key, entry in sorted(value.items())))


def describe_estimator(
    estimator: Estimator,
    *,
    use: str | None = None,
    grid: object = None,
    teacher: Estimator | None = None,
) -> dict[str, str]:
    """Everything about a candidate that changes its results, as text.

    Two of the same parameters are described alike, in any process.
    """
    found = {"use of the source": str(use), "grid": _describe(grid)}
    if teacher is not None:
        found["teacher"] = _describe(teacher)
    for prefix, inner in inner_estimators(estimator):
        found[prefix.removesuffix("__") or "estimator"] = _name(type(inner))
        if isinstance(inner, FrozenEstimator):
            found[f"{prefix}estimator"] = _describe_fitted(inner.estimator)
            continue
        for name, value in inner.get_params(deep=False).items():
            if name in _WITHOUT_EFFECT or is_estimator(value):
                continue
            told = [part[0] for part in named_parts(value)] or value
            found.setdefault(f"{prefix}{name}", _describe(told))
    return found


def check_candidates(candidates: Iterable[Candidate], journal: Journal) -> None:
    """Put candidates down in a journal, or see that they are what they were.

    A journal may come to hold more of them from run to run. One of the same name and
    other parameters is an `InvalidParameterError`.
    """
    known = {e["strategy"]: e["description"] for e in journal.of_kind("strategy")}
    for candidate in candidates:
        name = candidate.recorded
        old = known.get(name)
        new = describe_estimator(
            candidate.estimator,
            use=candidate.use,
            grid=candidate.grid,
            teacher=candidate.teacher,
        )
        if old is None:
            journal.write({"entry": "strategy", "strategy": name, "description": new})
        elif old != new:
            others = sorted(k for k in old | new if old.get(k) != new.get(k))
            told = "; ".join(
                f"{key} was {_cut(old.get(key))} and is {_cut(new.get(key))}"
                for key in others[:5]
            )
            raise InvalidParameterError(
                f"the folder's journal has run {name!r} with other "
                f"parameters: {told}. Name another folder, or call it something else."
            )


def _cut(value: str | None) -> str:
    told = "missing" if value is None else value
    return told if len(told) <= 40 else told[:37] + "..."


def _describe(value: object) -> str:
    """Text that is the same for the same value, also in another process."""
    if isinstance(value, np.ndarray):
        return f"array {value.shape} {digest_texts(value.ravel().tolist())}"
    if isinstance(value, Mapping):
        entries = [f"{_describe(k)}: {_describe(v)}" for k, v in value.items()]
        return "{" + ", ".join(entries) + "}"
    if isinstance(value, (list, tuple)):
        return "[" + ", ".join(map(_describe, value)) + "]"
    if isinstance(value, (set, frozenset)):
        return "{" + ", ".join(sorted(map(_describe, value))) + "}"
    if isinstance(value, os.PathLike):
        return str(os.fspath(value))
    if is_estimator(value):
        return f"{_name(type(value))}({digest_of(describe_estimator(value))})"
    if isinstance(value, type) or (callable(value) and hasattr(value, "__qualname__")):
        return _name(value)
    told = repr(value)
    # An address in memory is another one in the next process.
    return _name(type(value)) if " at 0x" in told else told


def _describe_fitted(model: object) -> str:
    """Digest of what a fitted model has learnt, where it can be told."""
    network = getattr(getattr(model, "net_", None), "module_", None)
    if network is not None:
        tensors = network.state_dict()
        digest = hashlib.sha256()
        for name in sorted(tensors):
            numbers = tensors[name].detach().cpu().double().numpy()
            digest.update(name.encode() + numbers.tobytes())
        return f"{_name(type(model))} {digest.hexdigest()}"
    return f"{_name(type(model))} {_describe(model)}"


def _name(value: Callable[..., object]) -> str:
    return f"{getattr(value, '__module__', None)}.{value.__qualname__}"
