from __future__ import annotations

import json
import math
import re
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from scipy import sparse
from sklearn.feature_extraction.text import CountVectorizer
from sklearn.frozen import FrozenEstimator
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.utils import Bunch

from sktransfer.bundles.packing import Packer, Unpacker
from sktransfer.bundles.sklearn_parts import write_part
from sktransfer.exceptions import ModelFolderError
from sktransfer.words.featurizer import WordVectorFeaturizer
from sktransfer.words.vectors import WordVectors


def there_and_back(value):
    """What comes back after a way through real JSON."""
    packer = Packer()
    text = json.dumps([packer.pack(value), packer.objects], allow_nan=False)
    packed, objects = json.loads(text)
    return Unpacker(objects, packer.tensors, packer.parts).unpack(packed)


plain = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: (
        st.lists(inner)
        | st.tuples(inner, inner)
        | st.dictionaries(st.text() | st.integers() | st.tuples(st.text()), inner)
    ),
)


class TestValues:
    @pytest.mark.parametrize(
        "value",
        [
            np.datetime64("2020-02-29T12:00:00.5", "ns"),
            np.datetime64("2020-02-29", "D"),
            np.timedelta64(3, "h"),
            np.datetime64("NaT", "s"),
        ],
        ids=repr,
    )
    def test_times_come_back_with_their_unit(self, value):
        assert repr(there_and_back(value)) == repr(value)

    def test_masked_arrays_keep_their_mask(self):
        array = np.ma.MaskedArray(np.array([1, None], object), mask=[False, True])
        again = there_and_back(array)
        assert type(again) is np.ma.MaskedArray
        assert again.tolist() == [1, None]
        assert again.mask.tolist() == [False, True]

    @pytest.mark.slow
    @given(plain)
    def test_plain_values_come_back_as_they_were(self, value):
        assert repr(there_and_back(value)) == repr(value)

    @given(
        hnp.arrays(
            hnp.boolean_dtypes()
            | hnp.integer_dtypes()
            | hnp.floating_dtypes(sizes=(16, 32, 64))
            | hnp.unicode_string_dtypes()
            | hnp.datetime64_dtypes(),
            hnp.array_shapes(min_dims=0, min_side=0),
        )
    )
    def test_arrays_come_back_with_values_shape_and_native_type(self, array):
        again = there_and_back(array)
        assert again.dtype == array.dtype.newbyteorder("=")
        np.testing.assert_array_equal(again, array)

    @pytest.mark.parametrize(
        "value",
        [np.float32(1.5), np.int64(3), np.bool_(True), np.str_("a"), Path("a/b")],
    )
    def test_scalars_keep_their_type(self, value):
        again = there_and_back(value)
        assert again == value
        assert type(again) is type(value)

    def test_infinity_and_nan_are_no_json_and_come_back_all_the_same(self):
        low, high, none = there_and_back([-math.inf, math.inf, math.nan])
        assert (low, high) == (-math.inf, math.inf)
        assert math.isnan(none)

    def test_labels_of_mixed_length_stay_python_objects(self):
        labels = np.array(["a", "long label", 3], dtype=object)
        assert there_and_back(labels).tolist() == labels.tolist()

    def test_sparse_matrices_come_back(self):
        matrix = sparse.csr_array([[0.0, 1.0], [2.0, 0.0]])
        np.testing.assert_array_equal(
            there_and_back({"m": matrix})["m"].toarray(), matrix.toarray()
        )


class TestEstimators:
    def test_an_object_held_twice_is_one_object_again(self):
        vectors = WordVectors(["good"], [[1.0, 2.0]])
        one, other = there_and_back([vectors, {"deep": (vectors,)}])
        assert one is other["deep"][0]

    def test_pipelines_of_both_packages_come_back(self):
        vectors = WordVectors(["good", "bad"], [[1.0, 0.0], [0.0, 1.0]])
        pipe = make_pipeline(WordVectorFeaturizer(vectors), LogisticRegression())
        pipe.fit(["good", "bad"], ["yes", "no"])
        again = there_and_back(FrozenEstimator(pipe))
        assert again.predict(["good", "bad"]).tolist() == ["yes", "no"]
        assert again.estimator.steps[0][1].vectors.words == ("good", "bad")

    @pytest.mark.parametrize("is_sparse", [False, True])
    def test_estimators_of_scikit_learn_need_no_file_of_skops(self, is_sparse):
        pipe = make_pipeline(CountVectorizer(stop_words=["a"]), LogisticRegression())
        pipe.fit(["good", "a bad"], [1, 0])
        if is_sparse:
            pipe[-1].sparsify()
        packer = Packer()
        packer.pack(pipe)
        assert not packer.parts
        assert there_and_back(pipe).predict(["bad", "good"]).tolist() == [0, 1]

    def test_files_of_skops_that_earlier_versions_wrote_are_read(self):
        pipe = make_pipeline(CountVectorizer(), LogisticRegression())
        data = write_part(pipe.fit(["good", "bad"], [1, 0]))
        again = Unpacker([], {}, {"part": data}).unpack({"is": "skops", "file": "part"})
        assert again.predict(["bad", "good"]).tolist() == [0, 1]

    def test_so_are_dicts_as_earlier_versions_wrote_them(self):
        packed = {"is": "dict", "items": [["a", 1], [{"is": "tuple", "items": []}, 2]]}
        assert Unpacker([], {}, {}).unpack(packed) == {"a": 1, (): 2}

    @pytest.mark.parametrize(
        "arrays",
        [
            ([1.0], [9], [0, 1]),
            ([1.0], [0], [0, 7]),
            ([1.0], [0], [1, 1]),
            ([1.0, 2.0], [0], [0, 1]),
            ([1.0], [0], [0, 1, 1]),
            ([1.0], [-1], [0, 1]),
        ],
    )
    def test_a_sparse_matrix_whose_indices_lead_out_of_it_is_refused(self, arrays):
        data, indices, pointers = arrays
        packer = Packer()
        parts = [np.array(data), np.array(indices, np.int32), np.array(pointers)]
        parts[2] = parts[2].astype(np.int32)
        packed = {
            "is": "sparse",
            "type": "csr_matrix",
            "shape": [1, 3],
            "arrays": packer.pack(parts),
        }
        with pytest.raises(ModelFolderError, match="a sparse matrix has"):
            Unpacker([], packer.tensors, {}).unpack(packed)

    def test_a_part_held_twice_is_one_object_again(self):
        random_state = np.random.RandomState(0)
        one, other = there_and_back([random_state, {"deep": random_state}])
        assert one is other["deep"]
        assert one.randint(1000) == random_state.randint(1000)

    def test_a_bunch_comes_back_as_one(self):
        again = there_and_back(Bunch(first=(1, 2), second=None))
        assert isinstance(again, Bunch)
        assert (again.first, again.second) == ((1, 2), None)

    def test_a_function_is_refused_with_its_place(self):
        featurizer = WordVectorFeaturizer(tokenizer=str.split)
        expected = "parameters.tokenizer is .*cannot be saved without a pickle"
        with pytest.raises(ModelFolderError, match=expected):
            Packer().pack(featurizer)

    def test_an_object_of_another_package_is_refused_with_its_type(self):
        with pytest.raises(ModelFolderError, match=r"threshold is <.*of the type Own"):
            Packer().pack({"threshold": Own()})

    @pytest.mark.parametrize(
        "value",
        [
            np.array([(1, 2.0)], dtype=[("count", "i8"), ("share", "f8")]),
            np.array([1 + 2j]),
            np.complex64(1j),
            np.void(3),
            np.array([[1, 2]]).view(np.matrix),
        ],
        ids=repr,
    )
    def test_numbers_that_would_come_back_as_others_are_refused(self, value):
        with pytest.raises(ModelFolderError, match=r"threshold is .*cannot be saved"):
            Packer().pack({"threshold": value})

    @pytest.mark.skipif(np.finfo(np.longdouble).bits == 64, reason="a float64 here")
    def test_longer_floats_are_refused(self):
        for value in (np.longdouble(1.5), np.ones(2, np.longdouble)):
            with pytest.raises(
                ModelFolderError, match=r"of the type .*cannot be saved"
            ):
                Packer().pack(value)


class Own:
    """Nothing that scikit-learn knows."""


class TestWhatAFileMayNotAskFor:
    @pytest.mark.parametrize(
        "name",
        [
            "os:system",
            "subprocess:Popen",
            "builtins:eval",
            "sklearn.base:clone",
            "sktransfer.storage:write_json",
            "encoders.Recipe",
            "pathlib:Path",
            "sklearn.nowhere:Estimator",
            "sktransfer.encoders.featurizer:BertFeaturizer",
            "sktransfer.encoders.saving:BertFeaturizer",
            "sktransfer.words.saving:BaseEstimator",
            "",
        ],
    )
    def test_other_types_than_estimators_are_refused(self, name):
        objects = [{"type": name, "fields": {"parameters": {}, "fitted": {}}}]
        expected = re.escape(f"the type {name!r} is asked for")
        with pytest.raises(ModelFolderError, match=expected):
            Unpacker(objects, {}, {}).unpack({"is": "object", "number": 0})

    @pytest.mark.parametrize("name", ["Pipeline", "FeatureUnion"])
    def test_a_cache_of_their_own_choice_is_refused(self, name, tmp_path):
        parameters = {"is": "dict", "items": [["memory", str(tmp_path)], ["steps", []]]}
        fields = {"parameters": parameters, "fitted": {"is": "dict", "items": []}}
        objects = [{"type": f"sklearn.pipeline:{name}", "fields": fields}]
        with pytest.raises(ModelFolderError, match="a cache in a folder of its own"):
            Unpacker(objects, {}, {}).unpack({"is": "object", "number": 0})

    def test_unknown_values_are_refused(self):
        with pytest.raises(ModelFolderError, match=r"something unknown: .*'pickle'"):
            Unpacker([], {}, {}).unpack([{"is": "pickle", "data": "gASVAAAA"}])

    def test_skops_files_that_ask_for_other_types_are_refused(self):
        import skops.io

        data = skops.io.dumps({"run": Own()})
        with pytest.raises(ModelFolderError, match=r"part-0.skops asks for .*Own"):
            Unpacker([], {}, {"part-0.skops": data}).unpack(
                {"is": "skops", "file": "part-0.skops"}
            )

    def test_arrays_of_objects_by_another_name_are_refused(self):
        packed = {"is": "array", "dtype": "V8", "shape": [0], "items": []}
        with pytest.raises(ModelFolderError, match="an array of the type 'V8'"):
            Unpacker([], {}, {}).unpack(packed)
