"""A comparison that is killed goes on where it was, and ends as if nothing had been."""

import json
import signal
import subprocess
import sys

import numpy as np
import pytest
from sklearn.dummy import DummyClassifier

from sktransfer.comparison.run import schedule as scheduling
from sktransfer.exceptions import InvalidParameterError

pytestmark = pytest.mark.slow

SCRIPT = """
import json, os, signal, sys, warnings
import torch
torch.set_num_threads(1)
from sktransfer.comparison.comparing import compare_strategies
from sktransfer.encoders.featurizer import BertFeaturizer
from sktransfer.classifier.classifier import TransferSentimentClassifier

weights, folder, n_before = sys.argv[1], sys.argv[2], int(sys.argv[3])
texts, labels, source = json.load(sys.stdin)
encoder = BertFeaturizer(weights, dtype="float32", device="cpu")
options = {"max_epochs": 1, "device": "cpu", "dtype": "float32"}
strategies = {
    "frozen": TransferSentimentClassifier(encoder, hidden_layer_sizes=(), **options),
    "tuned": TransferSentimentClassifier(encoder, "fine_tune", **options),
}
n_told = 0

def told(row):
    global n_told
    n_told += row["n_folds"] > 0 and row["status"] == "running"
    if n_told == n_before:
        os.kill(os.getpid(), signal.SIGKILL)

found = compare_strategies(
    texts, labels, strategies=strategies, source=source, cv=3, baseline=None,
    folder=folder, on_result=told, train_sizes=[8, 64],
)
"""


def run(tiny_bert, folder, n_before, data):
    command = [sys.executable, "-c", SCRIPT, tiny_bert, str(folder), str(n_before)]
    finished = subprocess.run(
        command, input=json.dumps(data), text=True, capture_output=True, check=False
    )
    assert finished.returncode == -signal.SIGKILL, finished.stderr


@pytest.fixture
def strategies(network):
    return {
        "frozen": network(hidden_layer_sizes=()),
        "tuned": network(strategy="fine_tune"),
    }


def without_seconds(table):
    timed = ["fit_seconds", "predict_seconds", "load_seconds", "texts_per_second"]
    timed.append("fit_peak_mib")
    return table.drop(columns=[name for name in timed if name in table])


class TestKill:
    # Starts a process that has to load torch.
    @pytest.mark.slow
    def test_the_table_is_as_if_nothing_had_been(
        self, tiny_bert, tmp_path, sentiment_texts, source_texts, compare, strategies,
        monkeypatch,
    ):  # fmt: skip
        texts, labels = sentiment_texts
        source = [source_texts[0], source_texts[1].tolist()]
        folder = tmp_path / "kept"
        # In the middle of the second size of "frozen (transferred)".
        n_before = 3 + 3 + 3 + 3 + 1
        run(tiny_bert, folder, n_before, [texts, labels.tolist(), source])
        journal = folder / "journal.jsonl"
        with journal.open("ab") as file:
            file.write(b'0123456789abcdef {"entry":"fold","strategy":"tu')
        evaluated = []
        evaluate = scheduling.evaluate

        def spy(task, *args, **kwargs):
            evaluated.append(task.key)
            return evaluate(task, *args, **kwargs)

        monkeypatch.setattr(scheduling, "evaluate", spy)
        # Without a seed: it is in the journal.
        options = {"source": source_texts, "train_sizes": [8, 64]}
        found = compare(strategies, folder=folder, random_state=None, **options)
        n_tasks = len(found.folds)
        assert len(evaluated) == n_tasks - n_before
        header = json.loads(journal.read_text().partition("\n")[0].partition(" ")[2])
        seed = header["settings"]["random_state"]
        straight = compare(strategies, random_state=seed, **options)
        for one, other in (
            (found.results, straight.results),
            (found.folds, straight.folds),
        ):
            assert without_seconds(one).equals(without_seconds(other))
        assert list(found.predictions) == list(straight.predictions)
        for name, table in found.predictions.items():
            other = straight.predictions[name]
            assert table["predicted"].equals(other["predicted"])
            assert np.allclose(table.iloc[:, 4:], other.iloc[:, 4:], atol=1e-6)


class TestGoingOn:
    @pytest.mark.slow
    def test_a_finished_comparison_runs_nothing_again(
        self, compare, strategies, source_texts, tmp_path, monkeypatch
    ):
        options = {"source": source_texts, "folder": tmp_path}
        one = compare(strategies, **options)
        monkeypatch.setattr(scheduling, "evaluate", None)
        monkeypatch.setattr(scheduling, "prepare", None)
        other = compare(strategies, **options)
        assert one.results.equals(other.results)
        assert one.folds.equals(other.folds)
        for name, table in one.predictions.items():
            assert table.equals(other.predictions[name])
        # All but sentences on times, of which there are none between equals.
        assert one.verdicts == other.verdicts

    def test_strategies_may_be_added(self, compare, words, guess, tmp_path):
        compare({"words": words}, folder=tmp_path)
        found = compare({"words": words, "guess": guess}, folder=tmp_path)
        assert found.results["status"].tolist() == ["done", "done"]

    def test_what_failed_is_tried_again(self, compare, tmp_path):
        class Broken(DummyClassifier):
            broken = True

            def fit(self, X, y, sample_weight=None):
                if self.broken:
                    raise OSError("no space left")
                return super().fit(X, y)

        assert (
            compare({"b": Broken()}, folder=tmp_path).results["status"][0] == "failed"
        )
        Broken.broken = False
        assert compare({"b": Broken()}, folder=tmp_path).results["status"][0] == "done"

    @pytest.mark.parametrize(
        ("options", "message"),
        [
            ({"random_state": 1}, "folds was .* random_state was 0 and is 1"),
            ({"scoring": "f1_macro"}, "scoring was accuracy and is f1_macro"),
            ({"cv": 4}, "folds was"),
            ({"train_sizes": [8]}, r"train_sizes was \[64\] and is \[8\]"),
        ],
    )
    def test_other_settings_are_refused(
        self, compare, words, tmp_path, options, message
    ):
        compare({"words": words}, folder=tmp_path)
        with pytest.raises(InvalidParameterError, match=message):
            compare({"words": words}, folder=tmp_path, **options)

    def test_other_texts_are_refused(self, compare, words, tmp_path, sentiment_texts):
        texts, labels = sentiment_texts
        compare({"words": words}, folder=tmp_path)
        with pytest.raises(InvalidParameterError, match="holds another comparison"):
            compare({"words": words}, [*texts[:-1], "new"], labels, folder=tmp_path)

    def test_other_parameters_are_refused(self, compare, words, tmp_path):
        compare({"words": words}, folder=tmp_path)
        words.set_params(countvectorizer__binary=True)
        message = "'words' with other parameters: countvectorizer__binary was False"
        with pytest.raises(InvalidParameterError, match=message):
            compare({"words": words}, folder=tmp_path)

    def test_the_folder_holds_no_text(self, compare, network, tmp_path, source_texts):
        compare({"n": network()}, folder=tmp_path, source=source_texts)
        for path in tmp_path.rglob("*"):
            if path.is_file():
                assert b"the film is" not in path.read_bytes()
