"""The rules of the house: lazy imports, documented names, whole packages."""

from __future__ import annotations

import inspect
import json
import re
import subprocess
import sys
import tarfile
import tomllib
import zipfile
from collections import Counter
from pathlib import Path

import pytest
from numpydoc.validate import validate
from packaging.requirements import Requirement

import sktransfer
import sktransfer.testing

ROOT = Path(__file__).parent.parent
MODULES = sorted((ROOT / "sktransfer").rglob("*.py"))

# The codes of numpydoc.validate that this house does without: an extended summary
# (ES01), summaries in the infinitive (SS05: what returns a thing is described by the
# thing), and unnamed return values (RT02: here they have names).
UNUSED_CODES = {"ES01", "SS05", "RT02"}
# Methods also do without See Also, examples of their own, and words on what fit, X and
# y are.
UNUSED_CODES_OF_METHODS = UNUSED_CODES | {"SA01", "EX01", "RT03", "PR07"}


def loaded_after(code: str) -> set[str]:
    """Top-level modules that a fresh interpreter has loaded after `code`."""
    code += "\nimport json, sys\nprint(json.dumps([*sys.modules]))"
    finished = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    )
    modules = json.loads(finished.stdout.splitlines()[-1])
    return {module.partition(".")[0] for module in modules}


class TestImports:
    def test_the_package_alone_loads_nothing_heavy(self):
        heavy = {"torch", "transformers", "gensim", "skorch", "sklearn", "numpy"}
        assert not heavy & loaded_after("import sktransfer")

    @pytest.mark.slow
    def test_word_vectors_load_no_torch(self):
        heavy = {"torch", "transformers", "skorch"}
        assert not heavy & loaded_after("from sktransfer import WordVectorFeaturizer")

    @pytest.mark.slow
    def test_data_sets_load_no_torch(self):
        heavy = {"torch", "transformers", "gensim", "skorch"}
        code = "import sktransfer\nsktransfer.load_mini_reviews()"
        assert not heavy & loaded_after(code)

    @pytest.mark.slow
    def test_predicting_with_a_light_model_loads_no_torch(self):
        heavy = {"torch", "transformers", "skorch"}
        code = "from sktransfer.comparison.run.evaluation import predict"
        assert not heavy & loaded_after(code)

    @pytest.mark.slow
    def test_checks_of_text_estimators_load_what_scikit_learn_needs(self):
        heavy = {"torch", "transformers", "gensim", "skorch", "pytest"}
        code = "from sktransfer.testing.registry import list_checks; [*list_checks()]"
        assert not heavy & loaded_after(code)

    def test_unknown_names_are_attribute_errors(self):
        with pytest.raises(AttributeError, match="no_such_name"):
            _ = sktransfer.no_such_name

    def test_names_are_listed_before_they_are_loaded(self):
        assert set(sktransfer.__all__) <= set(dir(sktransfer))


def public_methods() -> list[str]:
    """Dotted names of what the public classes themselves define."""
    classes = {
        name: value
        for name in sktransfer.__all__
        if inspect.isclass(value := getattr(sktransfer, name))
    }
    kinds = (property, classmethod, staticmethod)
    return [
        f"{name}.{attribute}"
        for name, value in classes.items()
        for attribute, member in vars(value).items()
        if not attribute.startswith("_")
        and (inspect.isfunction(member) or isinstance(member, kinds))
    ]


def faults_of(name: str, unused: set[str]) -> list[str]:
    return [
        f"{code}: {explanation}"
        for code, explanation in validate(f"sktransfer.{name}")["errors"]
        if code not in unused
    ]


class TestDocstrings:
    @pytest.mark.parametrize("name", sktransfer.__all__)
    def test_public_names_are_documented_as_numpydoc_has_it(self, name):
        assert faults_of(name, UNUSED_CODES) == []

    @pytest.mark.parametrize("name", sktransfer.testing.__all__)
    def test_so_are_the_checks_of_other_packages(self, name):
        assert faults_of(f"testing.{name}", UNUSED_CODES) == []
        assert ">>> " in inspect.getdoc(getattr(sktransfer.testing, name))

    @pytest.mark.parametrize("name", public_methods())
    def test_so_are_their_methods(self, name):
        assert faults_of(name, UNUSED_CODES_OF_METHODS) == []

    @pytest.mark.parametrize("name", sktransfer.__all__)
    def test_public_names_have_an_example(self, name):
        assert ">>> " in inspect.getdoc(getattr(sktransfer, name))


# What stands in several folders under one name, as it has the same role in each.
ROLES = {"featurizer", "parameters", "registry", "saving"}


class TestRooms:
    @pytest.mark.parametrize(
        "folder",
        sorted({path.parent for path in MODULES} - {ROOT / "sktransfer"}),
        ids=lambda path: path.relative_to(ROOT).as_posix(),
    )
    def test_each_is_taken_in_at_a_glance(self, folder):
        siblings = [path for path in folder.iterdir() if path.name != "__pycache__"]
        assert len(siblings) <= 12

    def test_a_name_stands_once_or_for_one_role(self):
        names = Counter(path.stem for path in MODULES if path.stem != "__init__")
        assert {name for name, n in names.items() if n > 1} <= ROLES

    @pytest.mark.parametrize(
        "room", ["encoders", "words", "classifier", "comparison", "testing"]
    )
    def test_the_floor_plan_shows_every_module(self, room):
        page = (ROOT / "docs" / "architecture.rst").read_text(encoding="utf-8")
        plan = page.partition(f"``{room}``\n^")[2].partition("\n``")[0]
        shown = set(re.findall(r"^ +(\w+)\.py ", plan, re.MULTILINE))
        folder = ROOT / "sktransfer" / room
        assert shown == {path.stem for path in folder.rglob("*.py")} - {"__init__"}

    def test_none_is_called_utils(self):
        assert not [path for path in MODULES if "util" in path.stem]


@pytest.fixture(scope="module")
def built(tmp_path_factory):
    """Folder with the wheel and the source distribution."""
    folder = tmp_path_factory.mktemp("dist")
    command = [sys.executable, "-m", "build", "--no-isolation", "--outdir"]
    subprocess.run([*command, str(folder), str(ROOT)], check=True, capture_output=True)
    return folder


class TestPackage:
    def test_the_wheel_carries_what_is_no_code_too(self, built):
        (wheel,) = built.glob("*.whl")
        names = set(zipfile.ZipFile(wheel).namelist())
        assert {
            "sktransfer/__init__.pyi",
            "sktransfer/py.typed",
            "sktransfer/datasets/data/mini_en.tsv",
            "sktransfer/datasets/data/mini_zh.tsv",
            "sktransfer/datasets/data/reviews_en.rst",
            "sktransfer/datasets/data/reviews_zh.rst",
            "sktransfer/report/data/page.css",
            "sktransfer/report/data/page.html",
            "sktransfer/report/data/page.js",
        } <= names
        modules = {str(path.relative_to(ROOT).as_posix()) for path in MODULES}
        assert modules <= names
        assert not [name for name in names if name.startswith(("tests/", "examples/"))]

    def test_the_source_distribution_carries_tests_and_licence(self, built):
        (archive,) = built.glob("*.tar.gz")
        with tarfile.open(archive) as file:
            names = {name.partition("/")[2] for name in file.getnames()}
        assert {"LICENSE", "CHANGELOG.md", "constraints.txt", "Makefile"} <= names
        assert "tests/test_house.py" in names

    def test_the_version_is_told_once(self):
        project = tomllib.loads(ROOT.joinpath("pyproject.toml").read_text())["project"]
        assert "version" in project["dynamic"]

    def test_the_changelog_has_a_place_for_what_comes_next(self):
        changelog = ROOT.joinpath("CHANGELOG.md").read_text(encoding="utf-8")
        release = sktransfer.__version__.partition(".dev")[0]
        assert "## [Unreleased]" in changelog or f"## [{release}]" in changelog

    def test_every_tested_version_is_one_version(self):
        lines = ROOT.joinpath("constraints.txt").read_text().splitlines()
        pins = [line for line in lines if line and not line.startswith("#")]
        assert all(line.count("==") == 1 and "+" not in line for line in pins)
        assert "torch==2.13.0" in pins

    def test_the_oldest_versions_are_the_lower_bounds(self):
        project = tomllib.loads(ROOT.joinpath("pyproject.toml").read_text())["project"]
        extras = project["optional-dependencies"]
        asked, bounds = [*project["dependencies"], *extras["test"]], set()
        for one in map(Requirement, asked):  # which grows
            if one.name == "sktransfer":
                asked += [line for extra in one.extras for line in extras[extra]]
            else:
                bounds.add(f"{one.name}{one.specifier}".replace(">=", "=="))
        lines = ROOT.joinpath("constraints-oldest.txt").read_text().splitlines()
        assert {line for line in lines if not line.startswith("#")} == bounds


# A test stands in `tests/` under the folder and the name of its module, perhaps with a
# word behind it. These are named for a behaviour that has several modules.
BEHAVIOURS = {
    "baselines/bags_of_words",
    "classifier/contract",
    "classifier/forks",
    "classifier/grids",
    "classifier/real",
    "classifier/skew",
    "classifier/threads",
    "classifier/training/skorch_callbacks",
    "classifier/worked_examples",
    "comparison/encoders",
    "comparison/going_on",
    "datasets",
    "guides",
    "explanation/threads",
    "house",
    "plotting/displays",
    "properties",
    "readme",
    "report/browser",
    "statistics/package",
    "strangers",
}
# These modules are tested through another, or together.
TESTED_IN = {
    "baselines/bags_of_words": ["baselines/tfidf"],
    "baselines/lexicon_classifier": [
        "baselines/labels",
        "baselines/snownlp",
        "baselines/vader",
    ],
    "baselines/registry": ["baselines/majority", "baselines/saving"],
    "bundles/proving/proof": [
        f"bundles/proving/{name}"
        for name in (
            "classifiers",
            "fields",
            "parameters",
            "rules",
            "transformers",
            "values",
            "widths",
            "wrappers",
        )
    ],
    "classifier/cpu/packed_batch": ["classifier/cpu/packed_layer"],
    "classifier/fitting": ["classifier/network/build", "classifier/parameters"],
    "classifier/network/transformer": ["classifier/network/body"],
    "classifier/strategies/base": [
        "classifier/strategies/feature_extraction",
        "classifier/strategies/fine_tune",
        "classifier/strategies/partial",
    ],
    "classifier/network/adapters": ["classifier/strategies/lora"],
    "classifier/training/skorch_callbacks": [
        "classifier/training/given_callbacks",
        "classifier/training/predicting",
        "classifier/training/skorch_rows",
    ],
    "cli/app": ["cli/encode", "cli/options", "cli/terminal"],
    "cli/predict": ["cli/tables/table_writers"],
    "comparison/encoders": ["comparison/setup/named_encoders"],
    "comparison/findings/summary": ["comparison/findings/sentences"],
    "comparison/result": [
        "comparison/findings/refitting",
        "comparison/findings/rendering",
    ],
    "comparison/run/workers": ["comparison/run/parent_watch"],
    "comparison/setup/named_strategies": ["comparison/setup/candidates"],
    "datasets": ["datasets/archives", "datasets/loading", "datasets/reviews"],
    "encoders/cache/disk": ["encoders/cache/claims", "encoders/cache/segments"],
    "encoders/featurizer_stored": ["encoders/array_files"],
    "encoders/loaded_models": [
        "encoders/checkpoints/checkpoint",
        "encoders/checkpoints/declarations",
    ],
    "explanation/explaining": ["explanation/networks", "explanation/opened_model"],
    "persistence": [
        "bundles/card",
        "classifier/saving",
        "comparison/saving",
        "encoders/saving",
        "words/saving",
    ],
    "plotting/displays": [
        f"plotting/{name}"
        for name in ("compared", "confusion", "cost", "curves", "domains", "scores")
    ],
    "testing/registry": [
        f"testing/checks/{name}"
        for name in (
            "bad_texts",
            "class_scores",
            "construction",
            "containers",
            "copying",
            "features",
            "fit_contract",
            "label_kinds",
            "parallel",
            "row_by_row",
            "sample_weights",
        )
    ],
    "testing/running": [
        f"testing/{name}"
        for name in ("assertions", "new_process", "sample_texts", "subject")
    ],
    "report/writing": ["report/contents", "report/page_folder", "report/pictures"],
    "words/files/location": ["words/files/formats", "words/files/gensim_files"],
}


class TestTests:
    def test_a_module_is_found_from_its_test_and_a_test_from_its_module(self):
        package, tests = ROOT / "sktransfer", ROOT / "tests"
        modules = {
            path.relative_to(package).with_suffix("").as_posix().lstrip("_")
            for path in MODULES
            if path.stem != "__init__"
        }
        files = {
            (path.parent.relative_to(tests) / path.stem[5:]).as_posix()
            for path in tests.rglob("test_*.py")
        }
        found = {
            file: max(
                (name for name in modules if f"{file}_".startswith(f"{name}_")),
                key=len,
                default=None,
            )
            for file in files - BEHAVIOURS
        }
        assert [file for file, module in found.items() if module is None] == []
        assert BEHAVIOURS | set(TESTED_IN) <= files
        elsewhere = {module for listed in TESTED_IN.values() for module in listed}
        assert elsewhere.isdisjoint(found.values())
        assert modules == elsewhere | set(found.values())
