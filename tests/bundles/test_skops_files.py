"""Files of skops that ask for more than they hold are refused before skops sees it."""

from __future__ import annotations

import io
import json
import pickle
import struct
import time
import zipfile

import numpy as np
import pytest
import skops.io
from scipy import sparse
from sklearn.feature_extraction.text import CountVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.svm import SVC

from sktransfer.bundles.sklearn_parts import read_part, write_part
from sktransfer.bundles.skops_files import check_skops_file
from sktransfer.exceptions import ModelFolderError

TEXTS, LABELS = ["good film", "bad film", "fun", "boring"], [1, 0, 1, 0]


def rewritten(data, change, kind=zipfile.ZIP_STORED):
    """The same file after a change of the files within it."""
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        files = {name: archive.read(name) for name in archive.namelist()}
    change(files)
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w", kind) as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    return made.getvalue()


def arrays(content):
    def change(files):
        files.update({n: content for n in files if n.endswith(".npy")})

    return change


def head(shape, dtype="<f8"):
    text = f"{{'descr': '{dtype}', 'fortran_order': False, 'shape': {shape}, }}"
    return b"\x93NUMPY\x01\x00" + struct.pack("<H", len(text)) + text.encode()


@pytest.fixture(scope="module")
def part():
    model = make_pipeline(CountVectorizer(), LogisticRegression()).fit(TEXTS, LABELS)
    return write_part(model)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (head("(1152921504606846976,)"), "no array of the shape"),
        (head("(-1,)"), "no array of the shape"),
        (head("(1,)") + bytes(99), "no array of the shape"),
        (head("(1,)", "|O") + pickle.dumps([1]), "numbers of the type object"),
        (head("(1,)", ">f8") + bytes(8), "numbers of the type >f8"),
        (head("(__import__('os').getpid(),)"), "is damaged"),
        (b"", "is damaged"),
    ],
)
def test_arrays_are_as_large_as_they_say(part, content, message):
    with pytest.raises(ModelFolderError, match=message):
        read_part(rewritten(part, arrays(content)), "part")


def test_nothing_is_unpacked_into_more_than_it_holds(part):
    bomb = rewritten(
        part, lambda f: f.update(x=bytes(2**24)), kind=zipfile.ZIP_DEFLATED
    )
    with pytest.raises(ModelFolderError, match="unpacks into more than it holds"):
        read_part(bomb, "part")


def test_a_matrix_is_not_unpacked_without_bounds():
    matrix = sparse.csr_array(([1.0], ([0], [0])), shape=(2**26, 1))
    # Early releases of skops compress nothing by themselves.
    data = skops.io.dumps(matrix, compression=zipfile.ZIP_DEFLATED)
    with pytest.raises(ModelFolderError, match="unpacks into"):
        check_skops_file(data, "part")


def test_a_tree_that_doubles_is_refused_at_once():
    tree = {"__class__": "list", "__module__": "builtins", "__loader__": "ListNode"}
    inner = tree | {"content": [], "__id__": 1}
    for number in range(2, 60):
        again = {"__id__": number - 1, "__loader__": "JsonNode", "content": "0"}
        again |= {"__class__": "str", "__module__": "builtins"}
        inner = tree | {"content": [inner, again], "__id__": number}
    whole = json.dumps(inner | {"protocol": 2}).encode()
    start = time.perf_counter()
    with pytest.raises(ModelFolderError, match="one number"):
        read_part(
            rewritten(skops.io.dumps([]), lambda f: f.update({"schema.json": whole})),
            "part",
        )
    assert time.perf_counter() - start < 5


def edited(part, old, new):
    def change(files):
        text = files["schema.json"].decode()
        assert old in text
        files["schema.json"] = text.replace(old, new).encode()

    return rewritten(part, change)


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ('"content": "\\"content\\""', '"content": "\\"filename\\""', "input"),
        (r"\\\\b\\\\w\\\\w+\\\\b", r"(\\\\w+)+!", "token_pattern"),
        ('"content": "3"', '"content": "2147483647"', "vocabulary_"),
    ],
)
def test_forged_values_are_refused_with_their_attribute(part, old, new, message):
    with pytest.raises(ModelFolderError, match=message):
        read_part(edited(part, old, new), "part")


@pytest.mark.parametrize("part_of", ["indices", "indptr"])
def test_forged_indices_of_sparse_coefficients_are_refused(part_of):
    model = LogisticRegression().fit(np.eye(4), LABELS).sparsify()

    def change(files):
        (name,) = [one for one in files if one.endswith(".npz")]
        with np.load(io.BytesIO(files[name])) as held:
            content = dict(held)
        content[part_of] = content[part_of] + 2**20
        made = io.BytesIO()
        np.savez(made, **content)
        files[name] = made.getvalue()

    with pytest.raises(ModelFolderError):
        read_part(rewritten(write_part(model), change), "part")


def test_forged_support_of_a_precomputed_kernel_is_refused():
    kernel = np.eye(4)
    model = SVC(kernel="precomputed").fit(kernel, LABELS)
    model.support_ = model.support_ + 2**20
    with pytest.raises(ModelFolderError, match="support_ names rows outside"):
        read_part(skops.io.dumps(model), "part")
    # What would not be loaded is not saved, with the same words.
    with pytest.raises(ModelFolderError, match="support_ names rows outside"):
        write_part(model)
