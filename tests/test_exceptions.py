"""Errors are also the builtin errors that a caller would expect."""

from __future__ import annotations

import ast
import inspect
import pickle
import re
import warnings
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from sklearn.exceptions import NotFittedError

from sktransfer import exceptions

BUILTINS = {
    "InvalidInputError": (TypeError, ValueError),
    "InvalidParameterError": (TypeError, ValueError),
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
    assert set(drawn) == set(exceptions.__all__) - {"warn"}


def here() -> int:
    """Line of the caller."""
    return inspect.currentframe().f_back.f_lineno


def inside(function, module: str):
    """The same function, as if it stood in a module of another package."""
    told = {"function": function, "__name__": module}
    exec("def call(*args): return function(*args)", told)
    return told["call"]


class TestWarn:
    def test_it_names_the_line_that_called_the_package(self):
        issue = inside(inside(exceptions.warn, "sktransfer.a"), "sktransfer.b.c")
        with pytest.warns(exceptions.SktransferWarning, match="^so it is$") as caught:
            issue("so it is")
        assert (caught[0].filename, caught[0].lineno) == (__file__, here() - 1)

    @pytest.mark.parametrize("module", ["sklearn.pipeline", "joblib.a", "skorch.net"])
    def test_it_looks_past_those_that_call_us(self, module):
        with pytest.warns(exceptions.CacheWarning) as caught:
            inside(exceptions.warn, module)("cut", exceptions.CacheWarning)
        assert (caught[0].filename, caught[0].lineno) == (__file__, here() - 1)

    def test_a_package_that_begins_like_one_of_them_is_a_users(self):
        with pytest.warns(exceptions.SktransferWarning) as caught:
            inside(exceptions.warn, "sktransfer_more.models")("cut")
        assert caught[0].filename == "<string>"

    def test_it_is_once_a_line_by_default(self):
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("default")
            for _ in range(3):
                exceptions.warn("again and again")
        assert len(caught) == 1

    def test_a_thread_knows_no_users_line(self):
        with pytest.warns(exceptions.SktransferWarning), ThreadPoolExecutor(1) as pool:
            pool.submit(inside(exceptions.warn, "sktransfer.a"), "cut").result()

    def test_none_is_issued_in_another_way(self):
        package = Path(exceptions.__file__).parent
        found = {
            f"{path.relative_to(package)}:{node.lineno}"
            for path in package.rglob("*.py")
            if path != Path(exceptions.__file__)
            # Which needs nothing of this package.
            and path.parent != package / "testing"
            for node in ast.walk(ast.parse(path.read_text("utf-8")))
            if isinstance(node, ast.Attribute)
            and node.attr in {"warn", "warn_explicit"}
            and getattr(node.value, "id", "") == "warnings"
        }
        assert found == set()
