import copy
import hashlib
import json
import string
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from sktransfer.comparison.prediction_files import load_predictions, write_predictions
from sktransfer.comparison.predictions import compare_predictions
from sktransfer.exceptions import InvalidInputError, InvalidParameterError

Y = ["good", "bad", "good", "bad", "good", "bad"]
A = np.array(
    [[0.1, 0.9], [0.8, 0.2], [0.6, 0.4], [0.7, 0.3], [0.4, 0.6], [1 / 3, 2 / 3]]
)
B = ["good", "bad", "bad", "bad", "good", "good"]


@pytest.fixture
def path(tmp_path):
    return tmp_path / "predictions.jsonl"


@pytest.fixture(scope="module")
def compared():
    return compare_predictions(
        Y,
        {"a": A, "b": B},
        texts=[
            "one",
            "two",
            "three\nlines",
            '"four"',
            "\ud83d\udc00 halves",
            "broken \ud83d",
        ],
        groups=[0, 0, 1, 1, 2, 2],
        folds=[0, 0, 1, 1, 2, 2],
        scoring="f1_macro",
        seconds={"a": (1.5, 0.25), "b": 3},
        details={"b": {"encoder": "my-bert", "texts_per_second": 100.0}},
    )


@pytest.fixture
def made(compared):
    """One that tests may change."""
    changed = copy.copy(compared)
    changed.predictions = dict(compared.predictions)
    return changed


def assert_same(one, other):
    """Two comparisons tell the same."""
    pd.testing.assert_frame_equal(one.results, other.results)
    pd.testing.assert_frame_equal(one.folds, other.folds)
    assert list(one.predictions) == list(other.predictions)
    for name, table in one.predictions.items():
        pd.testing.assert_frame_equal(table, other.predictions[name])
    assert one.texts == other.texts
    assert one.labels.dtype == other.labels.dtype
    assert one.labels.tolist() == other.labels.tolist()
    assert one.classes.tolist() == other.classes.tolist()
    assert one.bound.tolist() == other.bound.tolist()
    assert (one.scoring, one.baseline) == (other.scoring, other.baseline)
    assert one.verdicts == other.verdicts


class TestRoundTrip:
    def test_it_gives_the_same_comparison(self, made, path):
        assert made.save_predictions(path) == path
        assert_same(made, compare_predictions(**load_predictions(path)))

    def test_without_folds_too(self, path):
        made = compare_predictions(Y, {"a": [A, A[::-1]], "b": [B, B]})
        made.save_predictions(path, texts=False)
        arguments = load_predictions(path)
        assert arguments["groups"] is None
        assert "fold" not in arguments["predictions"]["a"]
        assert_same(made, compare_predictions(**arguments))

    def test_of_a_comparison_that_was_run(self, compare, words, guess, path):
        made = compare({"g": guess, "w": words}, n_repeats=2, baseline="g")
        made.save_predictions(path)
        again = compare_predictions(**load_predictions(path))
        pd.testing.assert_frame_equal(made.results, again.results)
        assert made.verdicts == again.verdicts
        for name, table in made.predictions.items():
            pd.testing.assert_frame_equal(table, again.predictions[name])

    def test_of_curves_the_largest_size_is_kept(self, compare, words, path):
        made = compare({"w": words}, train_sizes=[8, 64])
        made.save_predictions(path)
        again = compare_predictions(**load_predictions(path)).results
        assert again["train_size"].tolist() == [64]
        assert again["score"].tolist() == made.results["score"].tolist()[1:]

    def test_others_may_be_added(self, made, path):
        made.save_predictions(path)
        arguments = load_predictions(path)
        arguments["predictions"]["perfect"] = Y
        arguments["scoring"] = "accuracy"
        assert compare_predictions(**arguments).best_strategy == "perfect"

    def test_texts_may_be_private(self, made, path):
        made.save_predictions(path, texts=False)
        assert "four" not in path.read_text()
        arguments = load_predictions(path)
        assert arguments["texts"] is None
        again = compare_predictions(**arguments)
        assert again.texts[0] == "row 0"
        pd.testing.assert_frame_equal(made.results, again.results)

    # Letters of every kind, and those that files and tables stumble over.
    names = st.text(min_size=1, max_size=6).filter(str.strip)
    labels = st.one_of(
        st.lists(
            st.text(min_size=1, max_size=5),
            min_size=2, max_size=3, unique=True,
        ),
        st.lists(st.integers(-(2**53), 2**53), min_size=2, max_size=3, unique=True),
        st.just([False, True]),
    )  # fmt: skip
    texts = st.text(
        st.one_of(st.characters(), st.sampled_from('\ud83d\udc00"\\\n\r\t\0,\u2028')),
        max_size=8,
    )

    @settings(
        max_examples=12,
        deadline=None,
        database=None,
        suppress_health_check=[HealthCheck.function_scoped_fixture],
    )
    @given(st.data())
    def test_whatever_labels_names_and_texts_are(self, tmp_path, data):
        classes = np.array(sorted(data.draw(self.labels)))
        if classes.dtype.kind == "U":
            classes = classes.astype(object)
        places = st.lists(st.integers(0, len(classes) - 1), min_size=4, max_size=4).map(
            np.array
        )
        labels = classes[data.draw(places)]
        names = data.draw(st.lists(self.names, min_size=1, max_size=3, unique=True))
        tables = {
            name: pd.DataFrame(
                {
                    "row": range(4),
                    "repeat": 0,
                    "predicted": pd.Series(classes[data.draw(places)], dtype=object),
                }
                | {
                    f"probability_{label}": data.draw(
                        st.lists(st.floats(0, 1), min_size=4, max_size=4)
                    )
                    for label in classes.tolist()
                }
            )
            for name in names
        }
        made = SimpleNamespace(
            results=pd.DataFrame({"strategy": pd.Series(names, dtype=object)}),
            folds=pd.DataFrame(),
            predictions=tables,
            classes=classes,
            texts=data.draw(st.lists(self.texts, min_size=4, max_size=4)),
            labels=labels,
            scoring="accuracy",
            baseline=names[0],
            bound=np.array([0, 0, 1, 2]),
        )
        path = tmp_path / "predictions.jsonl"
        write_predictions(made, path, texts=True, overwrite=False)
        found = load_predictions(path)
        assert found["y"].dtype == labels.dtype
        assert found["y"].tolist() == labels.tolist()
        kinds = [
            list(map(type, values)) for values in (found["classes"], classes.tolist())
        ]
        assert kinds[0] == kinds[1]
        assert found["classes"] == classes.tolist()
        assert found["texts"] == made.texts
        assert found["groups"].tolist() == [0, 0, 1, 2]
        assert found["baseline"] == names[0]
        assert list(found["predictions"]) == names
        for name, table in tables.items():
            expected = table.assign(label=pd.Series(labels, dtype=object))
            read = found["predictions"][name][expected.columns]
            pd.testing.assert_frame_equal(read, expected)


class TestFile:
    def test_each_line_is_json_in_ascii(self, made, path):
        made.save_predictions(path)
        lines = [json.loads(line) for line in path.read_bytes().splitlines()]
        assert set(path.read_text("ascii")) <= set(string.printable)
        assert lines[0]["format"] == "sktransfer predictions"
        assert lines[1] == {"row": 0, "label": "good", "bound": 0, "text": "one"}
        assert lines[7]["predicted"] == ["bad", "good", "good"]
        assert len(lines) == 1 + 6 + 6 + 1

    def test_its_own_is_replaced_and_no_other(self, made, path):
        made.save_predictions(path)
        made.save_predictions(path, texts=False)
        path.write_text("mine")
        with pytest.raises(InvalidParameterError, match="holds no predictions of skt"):
            made.save_predictions(path)
        assert path.read_text() == "mine"
        made.save_predictions(path, overwrite=True)
        assert load_predictions(path)["y"].tolist() == Y

    def test_what_cannot_be_written_leaves_what_was_there(self, made, path):
        made.save_predictions(path)
        before = path.read_bytes()
        made.labels = np.array([complex(row) for row in range(6)])
        with pytest.raises(InvalidInputError, match="labels are of the type complex"):
            made.save_predictions(path)
        assert path.read_bytes() == before
        assert [entry.name for entry in path.parent.iterdir()] == [path.name]

    def test_there_have_to_be_predictions(self, made, path):
        made.predictions = {}
        with pytest.raises(InvalidInputError, match="holds no predictions that could"):
            made.save_predictions(path)

    def test_they_have_to_be_of_the_same_texts(self, made, path):
        made.predictions["b"] = made.predictions["b"].iloc[:5]
        with pytest.raises(InvalidInputError, match="not of the same texts and folds"):
            made.save_predictions(path)


class TestDamage:
    @pytest.fixture
    def content(self, made, path):
        made.save_predictions(path)
        return path.read_bytes()

    @pytest.mark.parametrize(
        ("change", "message"),
        [
            (lambda c: b"", "is empty"),
            (
                lambda c: b"row,predicted\n0,good\n",
                "holds no predictions of sktr.*row,p",
            ),
            (lambda c: c[:-200], "was cut short"),
            (lambda c: c[:-1], "was cut short"),
            (lambda c: b"".join(c.splitlines(keepends=True)[:-1]), "was cut short"),
            (lambda c: c.replace(b"0.9", b"0.8", 1), "was changed or damaged"),
            (lambda c: c.replace(b"\n", b"\r\n"), "was cut short|was changed"),
            (lambda c: c.replace(b'{"row": 2', b'{"row": 3', 1), "was changed"),
            (lambda c: c + c, "was changed or damaged"),
        ],
    )
    def test_it_is_seen(self, content, path, change, message):
        path.write_bytes(change(content))
        with pytest.raises(InvalidInputError, match=message):
            load_predictions(path)

    @pytest.mark.parametrize(
        ("change", "message"),
        [
            ({"format_version": 2}, "version 2 of the format, but this .* version 1"),
            ({"dtype": "|V8"}, "is no file of predictions"),
            ({"n_texts": 99}, "is no file of predictions"),
            ({"strategies": None}, "is no file of predictions"),
        ],
    )
    def test_a_right_digest_does_not_make_it_right(
        self, content, path, change, message
    ):
        head, *lines = content.splitlines(keepends=True)[:-1]
        head = json.dumps(json.loads(head) | change).encode() + b"\n"
        body = head + b"".join(lines)
        seal = json.dumps({"sha256": hashlib.sha256(body).hexdigest()}).encode()
        path.write_bytes(body + seal + b"\n")
        with pytest.raises(InvalidInputError, match=message):
            load_predictions(path)

    def test_what_is_nowhere_is_said_to_be(self, path):
        with pytest.raises(FileNotFoundError):
            load_predictions(path)
