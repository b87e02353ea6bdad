"""Every error and warning of the package.

Each error is also the builtin (or scikit-learn's) error that a caller would expect, so
that ``except ValueError`` and the like go on working::

    SktransferError
    ├── InvalidInputError         TypeError, ValueError   X, y or a weight is unusable
    ├── InvalidParameterError     TypeError, ValueError   a parameter is out of range
    ├── CheckpointError           OSError                 weights cannot be used
    │   └── CheckpointNotFoundError   FileNotFoundError   ... because they are nowhere
    ├── WordVectorsError          ValueError              a file of vectors is unusable
    ├── DatasetError              OSError                 reviews cannot be had
    ├── ModelFolderError          OSError, ValueError     a saved model is unusable
    ├── FileError                 OSError                 a path cannot be used
    │   └── MissingFileError          FileNotFoundError       ... nothing is there
    ├── MissingExtraError         ImportError             an extra is not installed
    ├── StaleFitError             NotFittedError          set_params made the fit void
    ├── TransferError             ValueError              source and target do not match
    ├── TrainingError             RuntimeError            training cannot go on
    └── ForkedProcessError        RuntimeError            torch hangs after this fork

    SktransferWarning             UserWarning
    ├── TruncationWarning         texts were longer than the model reads
    ├── CacheWarning              a cache cannot be used; the work goes on without it
    ├── FontWarning               no installed font has a character of a picture
    └── TransferWarning           a part of the source could not be carried over

All warnings go through `warn`, which has them name the line of the user's code.

Lowest layer of the package: it imports nothing of it.
"""

from __future__ import annotations

import inspect
import warnings
from types import FrameType

from sklearn.exceptions import NotFittedError

__all__ = [
    "CacheWarning",
    "CheckpointError",
    "CheckpointNotFoundError",
    "DatasetError",
    "FileError",
    "FontWarning",
    "ForkedProcessError",
    "InvalidInputError",
    "InvalidParameterError",
    "MissingExtraError",
    "MissingFileError",
    "ModelFolderError",
    "SktransferError",
    "SktransferWarning",
    "StaleFitError",
    "TrainingError",
    "TransferError",
    "TransferWarning",
    "TruncationWarning",
    "WordVectorsError",
    "warn",
]

# Packages whose lines tell a user nothing: our own, those that call us in a search or a
# pipeline, and those of Python that run a function for somebody else.
_BETWEEN = frozenset(
    {"concurrent", "contextlib", "joblib", "multiprocessing"}
    | {"sklearn", "skorch", "sktransfer", "threading"}
)


class SktransferError(Exception):
    """Base of all errors raised on purpose by this package."""


class InvalidInputError(SktransferError, TypeError, ValueError):
    """The data handed to an estimator is not of a kind that it can use."""


class InvalidParameterError(SktransferError, TypeError, ValueError):
    """Parameters are out of range or contradict each other.

    As scikit-learn's own of that name it is a TypeError as well.
    """


class CheckpointError(SktransferError, OSError):
    """Pretrained weights were found but cannot be used."""


class CheckpointNotFoundError(CheckpointError, FileNotFoundError):
    """No folder, package, local cache or hub has the named weights."""


class WordVectorsError(SktransferError, ValueError):
    """A file or table of word vectors is missing a part or contradicts itself."""


class DatasetError(SktransferError, OSError):
    """A data set cannot be downloaded, verified or read."""


class ModelFolderError(SktransferError, OSError, ValueError):
    """A model cannot be written to a folder, or what is in the folder be read."""


class FileError(SktransferError, OSError):
    """A file or folder that a parameter names cannot be read or written."""


class MissingFileError(FileError, FileNotFoundError):
    """Nothing is there under the path that a parameter names."""


class MissingExtraError(SktransferError, ImportError):
    """An optional dependency is not installed; the message names the extra."""


class StaleFitError(SktransferError, NotFittedError):
    """A parameter or the weights changed after ``fit``, so the fit is void."""


class TransferError(SktransferError, ValueError):
    """The source model's structure does not fit the target's."""


class TrainingError(SktransferError, RuntimeError):
    """Training cannot go on, for example because the loss is not a number."""


class ForkedProcessError(SktransferError, RuntimeError):
    """The process was forked after torch had started threads of its own."""


class SktransferWarning(UserWarning):
    """Base of all warnings issued on purpose by this package."""


class TruncationWarning(SktransferWarning):
    """Some texts were longer than the model reads, and their ends were cut."""


class CacheWarning(SktransferWarning):
    """A cache cannot be read or written; the result is right, only slower."""


class FontWarning(SktransferWarning):
    """No installed font has some characters; pictures show their numbers instead."""


class TransferWarning(SktransferWarning):
    """A part of the source model could not be carried over and starts anew."""


def warn(message: str, category: type[Warning] = SktransferWarning) -> None:
    """Issue a warning that names the line of the user's code.

    That is the innermost one outside of `_BETWEEN`, so that it is found from within a
    pipeline or a search, too.
    """
    frame = inspect.currentframe()
    while frame is not None and _root(frame) in _BETWEEN:
        frame = frame.f_back
    if frame is None:  # a thread that another has started knows no line of the user's
        warnings.warn(message, category, stacklevel=2)
        return
    warnings.warn_explicit(
        message,
        category,
        frame.f_code.co_filename,
        frame.f_lineno,
        module=frame.f_globals.get("__name__", "<string>"),
        registry=frame.f_globals.setdefault("__warningregistry__", {}),
    )


def _root(frame: FrameType) -> str:
    return str(frame.f_globals.get("__name__", "")).partition(".")[0]
