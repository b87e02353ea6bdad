"""Errors are also the builtin errors that a caller would expect."""

from __future__ import annotations

import pickle
import re

import pytest
from sklearn.exceptions import NotFittedError

from sktransfer import exceptions

BUILTINS = {
    "InvalidInputError": (TypeError, ValueError),
    "InvalidParameterError": (ValueError,),
    "CheckpointError": (OSError,),
    "CheckpointNotFoundError": (exceptions.CheckpointError, FileNotFoundError),
    "WordVectorsError": (ValueError,),
    "FileError": (OSError,),
    "MissingFileError": (FileNotFoundError,),
    "DatasetError": (OSError,),
    "MissingExtraError": (ImportError,),
    "ModelFolderError": (OSError, ValueError),
    "StaleFitError": (NotFittedError, ValueError, AttributeError),
    "TransferError": (ValueError,),
    "TrainingError": (RuntimeError,),
    "ForkedProcessError": (RuntimeError,),
}
ERRORS = [name for name in exceptions.__all__ if name.endswith("Error")]
WARNINGS = [name for name in exceptions.__all__ if name.endswith("Warning")]


@pytest.mark.parametrize("name", sorted(set(ERRORS) - {"SktransferError"}))
def test_each_error_is_ours_and_the_one_expected(name):
    error = getattr(exceptions, name)
    assert issubclass(error, (exceptions.SktransferError, *BUILTINS[name]))
    for builtin in BUILTINS[name]:
        with pytest.raises(builtin, match="what came"):
            raise error("what came")


@pytest.mark.parametrize("name", WARNINGS)
def test_each_warning_is_ours_and_shown_by_default(name):
    warning = getattr(exceptions, name)
    assert issubclass(warning, exceptions.SktransferWarning)
    assert issubclass(warning, UserWarning)


@pytest.mark.parametrize("name", ERRORS)
def test_errors_cross_process_borders(name):
    error = pickle.loads(pickle.dumps(getattr(exceptions, name)("what came")))
    assert type(error).__name__ == name
    assert str(error) == "what came"


def test_the_tree_in_the_docstring_is_the_tree_in_the_code():
    drawn = re.findall(r"^[ │├└─]+(\w+)", exceptions.__doc__, flags=re.MULTILINE)
    assert set(drawn) == set(exceptions.__all__)
