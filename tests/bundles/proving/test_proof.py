"""Each class of the tables comes back, and no forged attribute gets past its rule."""

from __future__ import annotations

import copy
import json
import re
import warnings
from pathlib import Path

import numpy as np
import pytest
from scipy import sparse
from sklearn.base import BaseEstimator
from sklearn.linear_model import RidgeCV

from sktransfer.bundles.packing import Packer, Unpacker
from sktransfer.bundles.proving.proof import SUPPORTED, prove, prove_alone
from sktransfer.exceptions import ModelFolderError
from tests.bundles.proving.zoo import AT_LEAST_1_8, EXAMPLES, answer, find_objects

# What only deprecated parameters make, or what scikit-learn has no other example of.
WITHOUT_EXAMPLE = {"PassiveAggressiveClassifier", "PassiveAggressiveRegressor"}
if not AT_LEAST_1_8:
    WITHOUT_EXAMPLE |= {"_TemperatureScaling"}


def there_and_back(value):
    packer = Packer()
    packed, objects = json.loads(json.dumps([packer.pack(value), packer.objects]))
    return Unpacker(objects, packer.tensors, packer.parts).unpack(packed)


@pytest.fixture(scope="module")
def fitted():
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return {name: build() for name, build in EXAMPLES.items()}


def test_each_class_of_the_tables_has_an_example(fitted):
    held = [one for model, _ in fitted.values() for one in find_objects(model)]
    seen = {type(one).__name__ for one in held}
    assert set(SUPPORTED) - seen == WITHOUT_EXAMPLE


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("name", EXAMPLES)
def test_each_example_comes_back(fitted, name):
    model, rows = fitted[name]
    expected, found = answer(model, rows), answer(there_and_back(model), rows)
    assert found.keys() == expected.keys()
    for method, value in expected.items():
        both = [value, found[method]]
        if sparse.issparse(value):
            both = [one.toarray() for one in both]
        same(*both)


def same(one, other):
    """The numbers are those of other layouts in memory, and the labels the same."""
    if np.asarray(one).dtype.kind == "f":
        np.testing.assert_allclose(one, other, atol=1e-10)
    else:
        np.testing.assert_array_equal(one, other)


def forgeries(value):
    """Values like one that do not fit it, most of them."""
    if isinstance(value, np.ndarray) and value.ndim:
        yield value[:-1]
        yield np.concatenate([value, value[-1:]])
        yield value[None]
        yield value.astype(object)
        if value.dtype.kind in "iu":
            yield value + 2**30
            yield value - 2**30
            yield value.astype(float)
        if value.dtype.kind == "f":
            yield value.astype(np.int64, casting="unsafe")
            yield value.astype(np.float16)
    elif sparse.issparse(value):
        for part in ("indices", "indptr"):
            for change in (-(2**30), 2**30):
                forged = value.copy()
                getattr(forged, part)[-1] += change
                yield forged
        yield value[:-1]
        yield value[:, :-1]
    elif isinstance(value, bool):
        yield not value
    elif isinstance(value, (int, np.integer)):
        yield from (value + 1, -1, 2**40, str(value))
    elif isinstance(value, (float, np.floating)):
        yield "1.0"
    elif isinstance(value, str):
        yield "forged"
    elif isinstance(value, dict) and value:
        key, *_ = value
        yield value | {"forged": len(value) + 7}
        yield value | {key: 2**30}
        yield value | {key: -1}
        yield {k: v for k, v in value.items() if k != key}
    elif isinstance(value, (list, tuple)) and value:
        yield value[:-1]
        yield [*value, value[-1]]
        for forged in forgeries(value[0]):
            yield [forged, *value[1:]]
    elif isinstance(value, BaseEstimator):
        yield "passthrough"
    yield print


# What scikit-learn says of rows that are others than those of the fit: a model whose
# numbers fit one another may well have been fitted on other rows.
OTHER_ROWS = (
    r"features, but|previously unseen labels|unknown categories|ufunc 'isnan'|"
    r"input data is not a mask|could not broadcast input array from shape \(60,2\)"
)


def complaint(model, rows):
    """What scikit-learn says of rows, if anything."""
    try:
        answer(model, rows)
    except (TypeError, ValueError) as error:
        return str(error)
    return None


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("name", EXAMPLES)
def test_what_a_rule_lets_pass_answers(fitted, name):
    """A forged attribute is refused, or nothing that asks the model notices it."""
    model, rows = fitted[name]
    n_refused = 0
    for place, holder in enumerate(find_objects(model)):
        if type(holder).__name__ not in SUPPORTED:
            continue
        get_names = getattr(type(holder), "_get_param_names", list)
        for attribute in set(vars(holder)) - set(get_names()):
            for forged in forgeries(getattr(holder, attribute)):
                again = copy.deepcopy(model)
                setattr(find_objects(again)[place], attribute, forged)
                try:
                    prove(again)
                except ModelFolderError:
                    n_refused += 1
                    continue
                told = complaint(again, rows)
                assert told is None or re.search(OTHER_ROWS, told), (holder, attribute)
    assert n_refused or name.startswith("hash")  # which have learnt nothing


def test_an_attribute_that_is_missing_is_refused(fitted):
    for model, _ in fitted.values():
        for one in find_objects(model):
            rule = SUPPORTED.get(type(one).__name__)
            for attribute in rule.fitted if rule else ():
                if attribute in vars(one) and len(rule.fitted) > 1:
                    again = copy.copy(one)
                    del vars(again)[attribute]
                    with pytest.raises(ModelFolderError, match=attribute):
                        prove_alone(again)


@pytest.mark.parametrize("name", ["_alphas", "_store_cv_results"])
def test_what_other_versions_note_in_a_regression_is_taken(name):
    model = RidgeCV().fit(np.eye(3), [0.0, 1.0, 2.0])
    setattr(model, name, False)
    assert vars(there_and_back(model))[name] is False
    setattr(model, name, print)
    with pytest.raises(ModelFolderError, match=name):
        prove(model)


def test_the_guide_lists_what_may_be_saved():
    text = Path(__file__).parents[3].joinpath("docs/saving.rst").read_text("utf-8")
    listed = re.findall(r"``([A-Z]\w+)``", text)
    assert sorted(listed) == sorted(n for n in SUPPORTED if not n.startswith("_"))
