"""Names that other packages keep to themselves are there, and are told in one place."""

from __future__ import annotations

import ast
import importlib
import inspect
import re
from dataclasses import dataclass, field
from functools import cache
from importlib.metadata import version
from pathlib import Path

import pytest
from packaging.specifiers import SpecifierSet

from sktransfer import _compat
from sktransfer._compat import ATTRIBUTES, BORROWED, Attributes

PACKAGE = Path(_compat.__file__).parent
DISTRIBUTIONS = {"sklearn": "scikit-learn"}
# Python's documentation tells of them.
PUBLIC = {"_exit", "_replace", "_thread"}
PRIVATE_NAME = re.compile(r"\b_[A-Za-z][A-Za-z_0-9]*\b")
# Modules of others that their documentation leaves out, under a name like any other.
PRIVATE_MODULES = ("joblib.externals", "transformers.integrations")
PRIVATE_MODULES += ("transformers.masking_utils",)


@dataclass
class Names:
    """Names in a module of this package."""

    imported: set[str] = field(default_factory=set)  # dotted
    private: set[str] = field(default_factory=set)  # attributes, and texts like them
    own: set[str] = field(default_factory=set)  # of functions, variables, attributes


@cache
def names() -> dict[str, Names]:
    """Names in each module, by its place."""
    return {
        path.relative_to(PACKAGE).as_posix(): read_names(path)
        for path in sorted(PACKAGE.rglob("*.py"))
    }


def read_names(path: Path) -> Names:
    found = Names()
    nodes = list(ast.walk(ast.parse(path.read_text("utf-8"))))
    # The end of a text that is put together is no name.
    parts = {id(v) for n in nodes if isinstance(n, ast.JoinedStr) for v in n.values}
    for node in nodes:
        if id(node) in parts:
            continue
        match node:
            case ast.Import():
                found.imported |= {alias.name for alias in node.names}
            case ast.ImportFrom():
                found.imported |= {f"{node.module}.{a.name}" for a in node.names}
            case ast.FunctionDef() | ast.ClassDef():
                found.own.add(node.name)
            case ast.Name(ctx=ast.Store()):
                found.own.add(node.id)
            case ast.Attribute(value=ast.Name(id="self"), ctx=ast.Store()):
                found.own.add(node.attr)
            case ast.Attribute():
                found.private.add(node.attr)
            case ast.Constant(value=str()):
                found.private.add(node.value)
    found.private = {name for name in found.private if PRIVATE_NAME.fullmatch(name)}
    return found


class TestBorrowed:
    @pytest.mark.parametrize("name", BORROWED)
    def test_each_is_there(self, name):
        assert getattr(_compat, name) is not None

    @pytest.mark.parametrize("name", BORROWED)
    def test_each_has_its_reason(self, name):
        assert len(BORROWED[name][1].split()) > 4

    def test_each_is_used(self):
        imported = set().union(*(found.imported for found in names().values()))
        assert {f"sktransfer._compat.{name}" for name in BORROWED} <= imported

    def test_none_is_imported_from_elsewhere(self):
        wrong = [
            f"{place}: {name}"
            for place, found in names().items()
            for name in found.imported - PUBLIC
            if not name.startswith(("sktransfer.", "__future__"))
            and (
                any(map(PRIVATE_NAME.fullmatch, name.split(".")))
                or name.startswith(PRIVATE_MODULES)
            )
        ]
        assert wrong == []

    def test_what_is_not_listed_is_no_attribute(self):
        with pytest.raises(AttributeError, match="no_such_name"):
            _ = _compat.no_such_name

    def test_a_name_that_is_gone_cannot_be_imported(self, monkeypatch):
        monkeypatch.setitem(BORROWED, "_gone", ("sklearn.utils.validation", "a test"))
        with pytest.raises(ImportError, match="_gone"):
            from sktransfer._compat import _gone  # noqa: F401


@cache
def words_of(package: str) -> set[str]:
    """Private names in all code of a package but its tests."""
    folder = Path(importlib.import_module(package).__file__).parent
    files = (path for path in folder.rglob("*.py") if "tests" not in path.parts)
    return {
        word for path in files for word in PRIVATE_NAME.findall(path.read_text("utf-8"))
    }


def has(owner: str, name: str) -> bool:
    """Whether an owner, as `Attributes` names it, has an attribute or sets one."""
    module, _, simple = owner.partition(":")
    if module in ("sklearn", "sklearn.metrics", "scipy.sparse"):
        return name in words_of(module)
    found = importlib.import_module(module)
    if not simple:
        return hasattr(found, name)
    found = getattr(found, simple)
    if hasattr(found, name):
        return True
    # What only instances have stands in the code of their class.
    code = inspect.getsource(importlib.import_module(found.__module__))
    return re.search(rf"\b{name}\b", code) is not None


class TestAttributes:
    @pytest.mark.parametrize("row", ATTRIBUTES, ids=lambda row: row.names)
    def test_each_is_there(self, row: Attributes):
        package = re.split("[.:]", row.owner)[0]
        installed = version(DISTRIBUTIONS.get(package, package))
        if not SpecifierSet(row.releases).contains(installed, prereleases=True):
            pytest.skip(f"{package} {installed} is none of {row.releases}")
        if "mkldnn" in row.owner:
            import torch

            if not torch.backends.mkldnn.is_available():
                pytest.skip("torch was built without oneDNN")
        assert [name for name in row.names.split() if not has(row.owner, name)] == []

    @pytest.mark.parametrize("row", ATTRIBUTES, ids=lambda row: row.names)
    def test_each_has_its_reason_and_its_place(self, row: Attributes):
        assert len(row.reason.split()) > 3
        assert len(row.without.split()) > 3
        assert all((PACKAGE / place).exists() for place in row.used_in.split())

    def test_one_that_is_gone_is_noticed(self):
        assert not has("torch", "_no_such_name")
        assert not has("torch:Tensor", "_no_such_name")
        assert not has("sklearn", "_no_such_name")

    def test_each_is_used_where_it_says(self):
        for row in ATTRIBUTES:
            used = set()
            for place, found in names().items():
                if place.startswith(tuple(row.used_in.split())):
                    used |= found.private | found.own  # a method may replace another's
            assert set(row.names.split()) <= used, row.names

    def test_each_that_is_used_is_listed(self):
        own = set().union(*(found.own for found in names().values())) | PUBLIC
        missing = []
        for place, found in names().items():
            listed = set(BORROWED) | {
                name
                for row in ATTRIBUTES
                if place.startswith(tuple(row.used_in.split()))
                for name in row.names.split()
            }
            unknown = found.private - own - listed
            missing += [f"{place}: {name}" for name in sorted(unknown)]
        assert [one for one in missing if not one.startswith("_compat.py")] == []
