"""Each check can fail: for each there is an estimator that it catches."""

from unittest import SkipTest

import numpy as np
import pytest
import sklearn
import torch  # noqa: F401, which one check looks at where it is loaded
from packaging.version import Version

from sktransfer.testing import check_text_estimator
from sktransfer.testing.registry import list_checks
from sktransfer.testing.running import TextCheck
from sktransfer.testing.subject import Subject
from tests.testing import broken_classifiers, broken_vectorizers
from tests.testing.toys import Counts, Votes

OLD = Version(sklearn.__version__) < Version("1.7")

CHECKS = {check.__name__: check for _, check in list_checks()}
CAUGHT = [
    (mutant, f"check_{name}")
    for table in (broken_vectorizers.CAUGHT, broken_classifiers.CAUGHT)
    for mutant, names in table.items()
    for name in names.split()
]


def named(value):
    return value if isinstance(value, str) else value.__name__


@pytest.mark.parametrize("toy", [Counts(), Votes()], ids=repr)
def test_what_keeps_to_the_contract_passes_every_check(toy):
    results = check_text_estimator(toy, on_fail="raise", on_skip=None)
    skipped = [one["check_name"] for one in results if one["status"] == "skipped"]
    expected = ["check_random_state_generator"] if type(toy) is Votes else []
    if not hasattr(np.dtypes, "StringDType"):
        skipped = [name for name in skipped if "string_dtype" not in name]
    assert skipped == expected


@pytest.mark.parametrize(("mutant", "name"), CAUGHT, ids=named)
def test_what_breaks_it_is_caught(mutant, name):
    if "string_dtype" in name and not hasattr(np.dtypes, "StringDType"):
        pytest.skip("numpy has StringDType from 2.0 on")
    if mutant is broken_classifiers.CannotRequest and OLD:
        pytest.skip("scikit-learn asks a class, not an object, before 1.7")
    check = TextCheck(CHECKS[name], Subject(mutant(), 1e-5))
    with pytest.raises(Exception, match=r"\S") as caught:
        check(mutant())
    assert not isinstance(caught.value, SkipTest)


def test_no_check_is_without_one_that_it_catches():
    assert {name for _, name in CAUGHT} == set(CHECKS)


@pytest.mark.parametrize("check", CHECKS.values(), ids=named)
def test_a_line_says_what_each_holds(check):
    assert len(check.__doc__.splitlines()) == 1
    assert check.__doc__.endswith(".")
