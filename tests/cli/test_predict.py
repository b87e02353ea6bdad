"""Every row of the input is in the output, in order, whatever happens on the way."""

import hashlib
import json
import os
import signal
import subprocess
import sys
import time
from typing import ClassVar

import numpy as np
import pytest
from sklearn.dummy import DummyClassifier
from sklearn.feature_extraction.text import CountVectorizer
from sklearn.linear_model import LogisticRegression, RidgeClassifier
from sklearn.pipeline import make_pipeline

from sktransfer.cli.predict import _Labeller
from sktransfer.cli.tables import growing_file
from sktransfer.exceptions import InvalidInputError
from sktransfer.persistence import load, save
from sktransfer.statistics import confidence_table

ADDED = ["predicted", "probability_neg", "probability_pos"]
TEXTS = ["a good film", "a bad film", "", "good, bad\nand more", '"quoted"', "很好"]


@pytest.fixture
def table(tmp_path):
    """Write rows of a number and a text to a file of any format."""

    def table(name, texts=TEXTS, encoding="utf-8"):
        path = tmp_path / name
        rows = [{"n": n, "review": text} for n, text in enumerate(texts)]
        if path.suffix == ".parquet":
            import pyarrow as pa
            import pyarrow.parquet as pq

            pq.write_table(pa.Table.from_pylist(rows), path)
        elif path.suffix == ".jsonl":
            lines = [json.dumps(row, ensure_ascii=False) for row in rows]
            path.write_text("\n".join(lines), encoding=encoding)
        else:
            import csv

            with path.open("w", newline="", encoding=encoding) as file:
                mark = "\t" if path.suffix == ".tsv" else ","
                writer = csv.DictWriter(file, ["n", "review"], delimiter=mark)
                writer.writeheader()
                writer.writerows(rows)
        return path

    return table


@pytest.fixture
def predict(run, model):
    def predict(path, output, *options, stdin=None):
        arguments = ["predict", model, path, "-t", "review", "-o", output, *options]
        return run(*arguments, stdin=stdin)

    return predict


class TestFormats:
    @pytest.mark.parametrize("to", ["csv", "tsv", "jsonl", "parquet"])
    @pytest.mark.parametrize("of", ["csv", "tsv", "jsonl", "parquet"])
    def test_each_to_each(self, table, predict, model, tmp_path, read_rows, of, to):
        path, out = table(f"in.{of}"), tmp_path / f"out.{to}"
        result = predict(path, out)
        assert result.exit_code == 0, result.stderr
        assert "6 rows are in" in result.stderr
        found = read_rows(out)
        assert [row["review"] for row in found] == TEXTS
        assert [int(row["n"]) for row in found] == list(range(6))
        assert list(found[0]) == ["n", "review", *ADDED]
        loaded = load(model)
        assert [row["predicted"] for row in found] == loaded.predict(TEXTS).tolist()
        expected = loaded.predict_proba(TEXTS)
        given = [[float(row[name]) for name in ADDED[1:]] for row in found]
        assert np.allclose(given, expected, atol=1e-6)
        assert sorted(p.name for p in tmp_path.iterdir()) == [path.name, out.name]

    def test_types_of_parquet_stay(self, predict, tmp_path):
        import pyarrow as pa
        import pyarrow.parquet as pq

        columns = {
            "review": pa.array(["good", None, "bad"]),
            "when": pa.array([1, None, 3], pa.timestamp("us")),
            "tags": pa.array([["a"], [], None], pa.list_(pa.string())),
            "small": pa.array([1, 2, 3], pa.int8()),
        }
        pq.write_table(pa.table(columns), tmp_path / "in.parquet")
        predict(tmp_path / "in.parquet", tmp_path / "out.parquet")
        back = pq.read_table(tmp_path / "out.parquet")
        for name, values in columns.items():
            assert back[name].combine_chunks() == values
        assert back["predicted"].to_pylist()[1] is None
        assert back.schema.field("probability_pos").type == pa.float64()

    def test_lines_of_json_stay_as_they_are(self, predict, tmp_path):
        line = '{"review":  "caf\\u00e9", "n": 1.50, "n": 2}'
        path = tmp_path / "in.jsonl"
        path.write_text(f"{line}\n{{}}\n")
        predict(path, tmp_path / "out.jsonl")
        first, second = (tmp_path / "out.jsonl").read_text().splitlines()
        assert first.startswith(line[:-1] + ', "predicted": "')
        assert json.loads(second) == dict.fromkeys(ADDED)

    def test_rows_of_json_with_other_keys_are_no_table(self, predict, tmp_path):
        path = tmp_path / "in.jsonl"
        path.write_text('{"review": "a"}\n{"review": "b", "new": 1}\n')
        result = predict(path, tmp_path / "out.csv")
        assert result.exit_code == 1
        assert isinstance(result.exception, InvalidInputError)
        assert "a row with 'new', which its first row has not" in str(result.exception)

    def test_nested_values_are_json_in_a_table(self, predict, tmp_path, read_rows):
        path = tmp_path / "in.jsonl"
        path.write_text('{"review": "a", "tags": ["x"], "more": null}\n')
        predict(path, tmp_path / "out.csv")
        (row,) = read_rows(tmp_path / "out.csv")
        assert (row["tags"], row["more"]) == ('["x"]', "")

    def test_types_that_change_do_not_fit_parquet(self, predict, tmp_path, monkeypatch):
        monkeypatch.setattr("sktransfer.cli.predict.N_ROWS", 1)
        path = tmp_path / "in.jsonl"
        path.write_text('{"review": "a", "n": 1}\n{"review": "b", "n": "one"}\n')
        result = predict(path, tmp_path / "out.parquet")
        assert "columns whose types change" in str(result.exception)
        assert not (tmp_path / "out.parquet").exists()

    def test_empty_tables_stay_empty(self, table, predict, tmp_path):
        result = predict(table("in.csv", []), tmp_path / "out.csv")
        assert result.exit_code == 0
        head = "n,review,predicted,probability_neg,probability_pos\n"
        assert (tmp_path / "out.csv").read_text() == head


class TestEncodings:
    @pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "gb18030", "utf-16"])
    def test_they_are_found(self, table, predict, tmp_path, read_rows, encoding):
        path = table("in.csv", ["这家酒店很好，服务不错"] * 3, encoding)
        result = predict(path, tmp_path / "out.csv")
        assert [row["review"][:4] for row in read_rows(tmp_path / "out.csv")] == (
            ["这家酒店"] * 3
        )
        told = "is read as gb18030" in result.stderr
        assert told == (encoding == "gb18030")
        # Who gives the mark needs it.
        raw = (tmp_path / "out.csv").read_bytes()
        assert raw.startswith(b"\xef\xbb\xbf") == (encoding == "utf-8-sig")

    def test_they_can_be_named(self, table, predict, tmp_path, read_rows):
        path = table("in.csv", ["ÀÉ"], "cp1252")
        predict(path, tmp_path / "out.csv", "--encoding", "latin-1")
        assert read_rows(tmp_path / "out.csv")[0]["review"] == "ÀÉ"

    def test_unknown_ones_are_refused(self, table, predict, tmp_path):
        result = predict(table("in.csv"), tmp_path / "out.csv", "--encoding", "klingon")
        assert result.exit_code == 2
        assert "'klingon' is no encoding" in result.stderr

    def test_the_delimiter_stays(self, predict, tmp_path):
        path = tmp_path / "in.csv"
        path.write_text('n;review\n1;"a; b"\n')
        predict(path, tmp_path / "out.csv")
        lines = (tmp_path / "out.csv").read_text().splitlines()
        assert lines[0] == "n;review;predicted;probability_neg;probability_pos"
        assert lines[1].startswith('1;"a; b";')


class TestStreams:
    def test_from_and_to(self, predict):
        result = predict("-", "-", stdin="review\ngood\nbad\n")
        lines = result.stdout.splitlines()
        assert lines[0] == "review,predicted,probability_neg,probability_pos"
        assert [line.split(",")[1] for line in lines[1:]] == ["pos", "neg"]
        assert result.stderr == ""

    def test_the_output_has_the_format_of_the_input(self, table, predict):
        result = predict(table("in.jsonl"), "-")
        assert json.loads(result.stdout.splitlines()[0])["predicted"] == "pos"

    def test_a_format_can_be_named(self, predict):
        options = ["--format", "jsonl", "--output-format", "tsv"]
        result = predict("-", "-", *options, stdin='{"review": "good"}\n')
        assert result.stdout.splitlines()[0] == "\t".join(["review", *ADDED])

    def test_parquet_needs_a_file(self, table, predict):
        result = predict(table("in.csv"), "-", "--output-format", "parquet")
        assert result.exit_code == 2
        assert "name a file" in result.stderr


class TestModels:
    def test_labels_keep_their_type_in_json(self, run, table, tmp_path, read_rows):
        fitted = make_pipeline(CountVectorizer(), DummyClassifier())
        save(fitted.fit(["good film", "bad film"], [0, 1]), tmp_path / "model")
        out = tmp_path / "out.jsonl"
        run("predict", tmp_path / "model", table("in.jsonl"), "-t", "review", "-o", out)
        assert read_rows(out)[0]["predicted"] in (0, 1)
        assert read_rows(out)[0]["probability_1"] == 0.5

    def test_without_probabilities_there_are_labels(
        self, run, table, tmp_path, read_rows, sentiment_texts
    ):
        fitted = make_pipeline(CountVectorizer(), RidgeClassifier())
        save(fitted.fit(*sentiment_texts), tmp_path / "model")
        out = tmp_path / "out.csv"
        run("predict", tmp_path / "model", table("in.csv"), "-t", "review", "-o", out)
        assert list(read_rows(out)[0]) == ["n", "review", "predicted"]

    def test_a_missing_model_is_told(self, run, table):
        result = run("predict", "nowhere", table("in.csv"), "-t", "review")
        assert "there is no folder" in str(result.exception)


class TestAbstaining:
    """The word model is sure of texts with one of its words, and of no other."""

    @pytest.fixture
    def sure(self, model, tmp_path):
        """Make a model whose labels were right from the confidence of `n_right` on."""

        def sure(estimator=None, *, right=0.7):
            folder = tmp_path / "sure"
            confidence = np.linspace(1.0, 0.5, 400)
            table = confidence_table(confidence, confidence > right)
            estimator = load(model) if estimator is None else estimator
            save(estimator, folder, confidence=table.to_dict())
            return folder

        return sure

    def test_uncertain_labels_are_empty(self, run, sure, table, tmp_path, read_rows):
        texts = ["good good good", "table", None, "bad bad bad", "lamp"]
        out = tmp_path / "out.jsonl"
        arguments = ["-t", "review", "-o", out, "--abstain", 0.95]
        result = run("predict", sure(), table("in.jsonl", texts), *arguments)
        assert result.exit_code == 0, result.stderr
        rows = read_rows(out)
        said = [row["predicted"] for row in rows]
        assert said == ["pos", None, None, "neg", None]
        # What the model says of each is there, and a row without a text is no text.
        given = [row["probability_pos"] is None for row in rows]
        assert given == [False, False, True, False, False]
        assert "2 of 4 texts got no label: too uncertain." in result.stderr
        assert "were right" in result.stderr

    def test_so_they_are_on_the_output(self, run, sure, table):
        path = table("in.csv", ["good good good", "table"])
        result = run("predict", sure(), path, "-t", "review", "--abstain", 0.95)
        assert "1 of 2 texts got no label" in result.stderr
        assert [line.split(",")[2] for line in result.stdout.splitlines()] == [
            "predicted", "pos", "",
        ]  # fmt: skip

    def test_who_decides_without_probabilities_is_asked_too(
        self, run, sure, table, sentiment_texts
    ):
        ridge = make_pipeline(CountVectorizer(), RidgeClassifier())
        folder = sure(ridge.fit(*sentiment_texts))
        path = table("in.csv", ["good good good good good", "table"])
        result = run("predict", folder, path, "-t", "review", "--abstain", 0.95)
        lines = result.stdout.splitlines()
        assert [line.split(",")[2:] for line in lines] == [["predicted"], ["pos"], [""]]

    def test_what_cannot_be_promised_is_told(self, run, sure, table):
        arguments = ["-t", "review", "--abstain", 0.999]
        result = run("predict", sure(), table("in.csv"), *arguments)
        assert result.exit_code == 2
        said = " ".join(result.stderr.replace("│", " ").split())
        assert "0.99 can at most" in said

    def test_models_without_the_table_are_told(self, predict, table):
        result = predict(table("in.csv"), "-", "--abstain", "0.95")
        assert result.exit_code == 2
        said = " ".join(result.stderr.replace("│", " ").split())
        assert "does not say how often" in said

    @pytest.mark.parametrize("share", ["0", "1", "95"])
    def test_shares_lie_between_0_and_1(self, predict, table, share):
        result = predict(table("in.csv"), "-", "--abstain", share)
        assert result.exit_code == 2
        assert "is no accuracy between 0 and 1" in result.stderr

    def test_a_damaged_table_is_refused(self, run, sure, table):
        folder = sure()
        content = json.loads((folder / "confidence.json").read_text())
        content["n"][0] = -1
        damaged = json.dumps(content)
        (folder / "confidence.json").write_text(damaged)
        arguments = ["predict", folder, table("in.csv"), "-t", "review"]
        result = run(*arguments, "--abstain", 0.95)
        assert "is not as it was written" in str(result.exception)
        manifest = json.loads((folder / "manifest.json").read_text())
        digest = hashlib.sha256(damaged.encode()).hexdigest()
        manifest["files"]["confidence.json"] = digest
        (folder / "manifest.json").write_text(json.dumps(manifest))
        result = run(*arguments, "--abstain", 0.95)
        assert result.exit_code == 2
        assert "is damaged" in result.stderr


@pytest.mark.skipif(os.name == "nt", reason="there are no such files")
class TestOutputs:
    """What cannot be written is told before the model is loaded."""

    @pytest.mark.parametrize(
        ("output", "message"),
        [
            (".", "is no name of a file"),
            ("", "is no name of a file"),
            ("nowhere/out.csv", "there is no folder 'nowhere'"),
            ("/proc/out.csv", "'/proc/out.csv' cannot be written"),
            ("x" * 300 + ".csv", "cannot be written: File name too long"),
            ("a\0b.csv", "cannot be written"),
        ],
    )
    def test_they_are_refused_at_once(
        self, output, message, table, run, tmp_path, monkeypatch
    ):
        monkeypatch.chdir(tmp_path)
        monkeypatch.setenv("COLUMNS", "400")
        path = table("in.csv", ["good"])
        result = run("predict", "no-model", path, "-t", "review", "-o", output)
        assert result.exit_code == 2
        assert message in " ".join(result.stderr.replace("│", " ").split())


class TestWrongModels:
    def test_one_of_numbers_is_told_as_such(self, table, run, tmp_path):
        save(LogisticRegression().fit([[0.0], [1.0]], ["a", "b"]), tmp_path / "numbers")
        path = table("in.csv", ["good"])
        result = run("predict", tmp_path / "numbers", path, "-t", "review")
        assert result.exit_code == 2
        assert "fitted on 1 columns" in " ".join(result.stderr.split())


class TestRefusals:
    def test_a_wrong_column_suggests_the_right_one(self, run, model, table):
        result = run("predict", model, table("in.csv"), "--text", "Reviews")
        assert result.exit_code == 2
        told = " ".join(result.stderr.replace("│", " ").split())
        assert "has no column 'Reviews'. Did you mean 'review'?" in told

    def test_columns_that_are_there_are_not_overwritten(self, run, model, tmp_path):
        path = tmp_path / "in.csv"
        path.write_text("text,predicted\ngood,pos\n")
        result = run("predict", model, path)
        assert result.exit_code == 2
        assert "--prefix new_" in result.stderr
        again = run("predict", model, path, "--prefix", "new_")
        assert again.stdout.startswith("text,predicted,new_predicted,new_probability")

    def test_the_input_is_not_overwritten(self, table, predict):
        path = table("in.csv")
        result = predict(path, path)
        assert result.exit_code == 2
        assert "the output is the input" in result.stderr

    @pytest.mark.parametrize(
        ("name", "output", "message"),
        [
            ("in.xlsx", "out.csv", "does not tell its format"),
            ("in.csv", "out.doc", "does not tell its format"),
            ("in.csv", "no/such/out.csv", "there is no folder"),
        ],
    )
    def test_bad_names(self, table, predict, tmp_path, name, output, message):
        path = table("in.csv").rename(tmp_path / name)
        result = predict(path, tmp_path / output)
        assert result.exit_code == 2
        assert message in " ".join(result.stderr.replace("│", " ").split())

    def test_a_missing_file_suggests_one_like_it(self, table, predict, tmp_path):
        table("reviews.csv")
        result = predict(tmp_path / "review.csv", tmp_path / "out.csv")
        assert result.exit_code == 2
        flat = "".join(result.stderr.replace("│", "").split())
        assert f"didyoumean'{tmp_path}/reviews.csv'?" in flat


# Kills or interrupts its own process before a chunk, once those before it are written.
SCRIPT = """
import os, signal, sys
from sktransfer.cli import main, predict
from sktransfer.cli.tables import growing_file

how, n_before = sys.argv[1], int(sys.argv[2])
predict.N_ROWS = 10
# The state of every chunk but the last is saved: a kill loses work, never rows.
growing_file._SECONDS = 0.0
n_chunks = 0
label = predict._Labeller.label
save = growing_file.GrowingFile._save

def spy(self, chunk):
    global n_chunks
    n_chunks += 1
    if n_chunks == n_before:
        growing_file.GrowingFile._save = lambda self: None
    if n_chunks > n_before:
        if how == "kill":
            os.kill(os.getpid(), signal.SIGKILL)
        growing_file.GrowingFile._save = save
        raise KeyboardInterrupt
    return label(self, chunk)

predict._Labeller.label = spy
sys.exit(main(sys.argv[3:]))
"""


class TestGoingOn:
    TEXTS: ClassVar = [
        f"{word} film {n}" for n in range(26) for word in ("good", "bad")
    ]

    def stop(self, how, n_before, *arguments):
        command = [sys.executable, "-c", SCRIPT, how, str(n_before)]
        return subprocess.run(
            [*command, *map(str, arguments)],
            capture_output=True,
            text=True,
            check=False,
        )

    # Both start a process that loads torch.
    @pytest.mark.slow
    @pytest.mark.parametrize("to", ["csv", "parquet"])
    def test_after_kill_9_every_row_is_there_once(
        self, table, model, predict, tmp_path, read_rows, to
    ):
        path, out = table("in.csv", self.TEXTS), tmp_path / f"out.{to}"
        arguments = ["predict", model, path, "-t", "review", "-o", out]
        stopped = self.stop("kill", 3, *arguments)
        assert stopped.returncode == -signal.SIGKILL, stopped.stderr
        assert not out.exists()
        part = tmp_path / f"out.{to}.part"
        with part.open("ab") as file:
            file.write(b"torn")
        result = predict(path, out)
        # Two chunks were put on the disk, the third was not.
        assert "Going on after 20 rows of an earlier run." in result.stderr
        assert "52 rows are in" in result.stderr
        assert [row["review"] for row in read_rows(out)] == self.TEXTS
        straight = tmp_path / f"straight.{to}"
        predict(path, straight)
        assert read_rows(out) == read_rows(straight)
        if to == "csv":
            assert out.read_bytes() == straight.read_bytes()
        left = {path.name for path in tmp_path.iterdir()}
        assert left == {"in.csv", out.name, straight.name}

    @pytest.mark.slow
    def test_ctrl_c_is_a_line_and_130(self, table, model, predict, tmp_path):
        path, out = table("in.csv", self.TEXTS), tmp_path / "out.csv"
        arguments = ["predict", model, path, "-t", "review", "-o", out]
        stopped = self.stop("interrupt", 3, *arguments)
        assert stopped.returncode == 130
        assert stopped.stderr.splitlines() == [
            "30 rows are done; the same command goes on.",
            "Interrupted.",
        ]
        assert "after 30 rows" in predict(path, out).stderr

    @pytest.fixture
    def stopped(self, table, model, predict, tmp_path, monkeypatch):
        """A part of ten rows."""
        monkeypatch.setattr("sktransfer.cli.predict.N_ROWS", 10)
        label = _Labeller.label
        calls = []

        def stop(self, chunk):
            calls.append(chunk)
            if len(calls) > 1:
                raise KeyboardInterrupt
            return label(self, chunk)

        monkeypatch.setattr(_Labeller, "label", stop)
        path = table("in.csv", self.TEXTS)
        assert predict(path, tmp_path / "out.csv").exit_code == 130
        monkeypatch.setattr(_Labeller, "label", label)
        return path

    def test_another_input_is_refused(self, stopped, predict, tmp_path):
        stopped.write_text(stopped.read_text() + "52,new\n")
        result = predict(stopped, tmp_path / "out.csv")
        assert "left by a run with another input: say --fresh" in str(result.exception)
        again = predict(stopped, tmp_path / "out.csv", "--fresh")
        assert "53 rows are in" in again.stderr

    def test_so_are_other_options(self, stopped, predict, tmp_path):
        result = predict(stopped, tmp_path / "out.csv", "--prefix", "x_")
        assert "with another columns" in str(result.exception)

    def test_so_is_another_accuracy(
        self, run, model, table, tmp_path, monkeypatch, read_rows
    ):
        confidences = confidence_table(np.linspace(1, 0.5, 400), np.arange(400) < 200)
        folder, out = tmp_path / "sure", tmp_path / "out.csv"
        save(load(model), folder, confidence=confidences.to_dict())
        path = table("in.csv", ["good good good", "lamp"] * 10)
        monkeypatch.setattr("sktransfer.cli.predict.N_ROWS", 10)
        label = _Labeller.label

        def stop(self, chunk):
            if self.n_labelled:
                raise KeyboardInterrupt
            return label(self, chunk)

        def predict(*options):
            return run("predict", folder, path, "-t", "review", "-o", out, *options)

        with monkeypatch.context() as patch:
            patch.setattr(_Labeller, "label", stop)
            assert predict("--abstain", 0.9).exit_code == 130
        for options in [["--abstain", 0.8], []]:
            assert "with another --abstain" in str(predict(*options).exception)
        result = predict("--abstain", 0.9)
        assert "Going on after 10 rows" in result.stderr
        assert "5 of 10 texts of this run got no label" in result.stderr
        assert [row["predicted"] for row in read_rows(out)] == ["pos", ""] * 10

    def test_so_is_a_part_that_was_cut(self, stopped, predict, tmp_path):
        part = tmp_path / "out.csv.part"
        part.write_bytes(part.read_bytes()[:-1])
        result = predict(stopped, tmp_path / "out.csv")
        assert "is shorter than" in str(result.exception)

    def test_a_lost_part_means_to_begin_anew(self, stopped, predict, tmp_path):
        (tmp_path / "out.csv.part").unlink()
        assert "52 rows are in" in predict(stopped, tmp_path / "out.csv").stderr

    def test_so_does_a_stop_before_the_first_rows(
        self, table, predict, tmp_path, monkeypatch
    ):
        def stop(self, chunk):
            raise KeyboardInterrupt

        with monkeypatch.context() as patch:
            patch.setattr(_Labeller, "label", stop)
            predict(table("in.csv"), tmp_path / "out.csv")
        assert (tmp_path / "out.csv.part").stat().st_size
        # Of another input, too, as nothing is lost.
        assert predict(table("in.csv", ["good"]), tmp_path / "out.csv").exit_code == 0
        lines = (tmp_path / "out.csv").read_text().splitlines()
        assert [line.split(",")[0] for line in lines] == ["n", "0"]

    def test_two_at_a_time_are_refused(self, stopped, predict, tmp_path):
        from sktransfer.cli.tables.growing_file import GrowingFile

        with GrowingFile(tmp_path / "other.csv", {}):
            result = predict(stopped, tmp_path / "other.csv")
        assert "is being written by another process" in str(result.exception)


# Starts a process of its own, and the reader of its output ends early.
@pytest.mark.slow
@pytest.mark.skipif(os.name == "nt", reason="pipes break in other ways there")
def test_a_reader_who_has_seen_enough_is_no_error(table, model, command):
    path = table("in.csv", TestGoingOn.TEXTS * 2000)
    with command("predict", model, path, "-t", "review") as process:
        assert process.stdout.readline().startswith("n,review,predicted")
        process.stdout.close()
        assert process.stderr.read() == ""
    assert process.returncode == 1


@pytest.mark.slow
def test_ctrl_c_ends_a_running_command(table, model, command, tmp_path):
    # Enough rows for the signal to come in the middle.
    path = table("in.csv", TestGoingOn.TEXTS * 20_000)
    out = tmp_path / "out.csv"
    with command("predict", model, path, "-t", "review", "-o", out) as process:
        part = tmp_path / "out.csv.part"
        for _ in range(600):
            if part.exists() and part.stat().st_size:
                break
            time.sleep(0.1)
        process.send_signal(signal.SIGINT)
        _, told = process.communicate()
    assert process.returncode == 130, told
    assert "Traceback" not in told
    assert told.splitlines()[-1] == "Interrupted."


class TestFormulas:
    """What a spreadsheet would run has an apostrophe, where people have not put it."""

    TEXTS: ClassVar = ["=1+1", "@you good", "-5", "bad"]

    @pytest.fixture
    def formulas(self, tmp_path):
        """Model whose labels look like formulas, or like numbers."""
        pipeline = make_pipeline(CountVectorizer(), DummyClassifier())
        folder = tmp_path / "labels"
        save(pipeline.fit(["a good film"] * 3, ["=neg()", "=neg()", "-5"]), folder)
        return folder

    def label(self, run, model, path, out, *options):
        result = run("predict", model, path, "-t", "review", "-o", out, *options)
        assert result.exit_code == 0, result.stderr
        return result

    @pytest.mark.parametrize("of", ["csv", "jsonl", "parquet"])
    @pytest.mark.parametrize(
        "options", [[], ["--escape-formulas"], ["--no-escape-formulas"]]
    )
    def test_labels_and_cells(
        self, run, table, formulas, tmp_path, read_rows, of, options
    ):
        path, out = table(f"in.{of}", self.TEXTS), tmp_path / "out.csv"
        said = self.label(run, formulas, path, out, *options).stderr
        found = read_rows(out)
        mark = "" if options == ["--no-escape-formulas"] else "'"
        assert {row["predicted"] for row in found} == {f"{mark}=neg()"}
        # A CSV goes back as it was, if nothing else is said.
        own = "" if not mark or (of == "csv" and not options) else "'"
        expected = [f"{own}=1+1", f"{own}@you good", "-5", "bad"]
        assert [row["review"] for row in found] == expected
        assert ("2 cells of the input may be run" in said) == (mark == "'")

    @pytest.mark.parametrize("to", ["jsonl", "parquet"])
    def test_other_formats_are_not_run(
        self, run, table, formulas, tmp_path, read_rows, to
    ):
        out = tmp_path / f"out.{to}"
        self.label(run, formulas, table("in.jsonl", self.TEXTS), out)
        assert {row["predicted"] for row in read_rows(out)} == {"=neg()"}
        assert [row["review"] for row in read_rows(out)] == self.TEXTS

    def test_labels_that_are_read_back_are_the_same(self, tmp_path):
        from sktransfer.cli.compare import read_labelled

        path = tmp_path / "t.csv"
        path.write_text("text,label\na,'=neg()\nb,-5\nc,'tis\n")
        assert read_labelled(str(path)).labels == ["=neg()", "-5", "'tis"]


class TestKeptWhole:
    def test_a_kill_after_the_last_step_is_made_up_for(self, table, predict, tmp_path):
        path, out = table("in.csv"), tmp_path / "out.csv"
        assert predict(path, out).exit_code == 0
        content = out.read_bytes()
        out.unlink()
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(growing_file, "_name", lambda part, path, check: 1 / 0)
            predict(path, out)
        (tmp_path / "out.csv.part").rename(out)
        result = predict(path, out)
        assert result.exit_code == 0
        assert "all was done but to say so" in result.stderr
        assert out.read_bytes() == content
        assert sorted(p.name for p in tmp_path.iterdir()) == ["in.csv", "out.csv"]
        # From now on it is a file like others.
        assert predict(path, out).exit_code == 2

    def test_another_way_of_reading_is_refused(
        self, run, model, table, tmp_path, monkeypatch
    ):
        monkeypatch.setattr("sktransfer.cli.predict.N_ROWS", 2)
        path = table("in.csv")
        arguments = ["predict", model, path, "-t", "review", "-o", tmp_path / "o.csv"]
        label, calls = _Labeller.label, []

        def stop(self, chunk):
            calls.append(chunk)
            if len(calls) > 1:
                raise KeyboardInterrupt
            return label(self, chunk)

        with monkeypatch.context() as patch:
            patch.setattr(_Labeller, "label", stop)
            assert run(*arguments).exit_code == 130
        for option in (["--encoding", "cp1252"], ["--quotes", "trust"]):
            result = run(*arguments, *option)
            assert "another way of reading" in str(result.exception)
        result = run(*arguments, "--escape-formulas")
        assert "another --escape-formulas" in str(result.exception)
        assert run(*arguments).exit_code == 0

    def test_a_table_of_no_rows_is_one_in_parquet(self, table, predict, tmp_path):
        import pyarrow.parquet as pq

        for number, name in enumerate(["in.csv", "in.parquet"]):
            out = tmp_path / f"out{number}.parquet"
            path = table(name, [] if name == "in.csv" else ["a"])
            if name == "in.parquet":
                pq.write_table(pq.read_table(path).slice(0, 0), path)
            assert predict(path, out).exit_code == 0
            assert pq.read_table(out).num_rows == 0
            assert pq.read_schema(out).names == ["n", "review", *ADDED]

    def test_a_later_key_of_json_is_neither_lost_nor_doubled(self, predict, tmp_path):
        path = tmp_path / "in.jsonl"
        path.write_text('{"review": "a"}\n{"review": "b", "predicted": 1}\n')
        for end in ("jsonl", "parquet", "csv"):
            result = predict(path, tmp_path / f"out.{end}")
            assert isinstance(result.exception, InvalidInputError)
            assert "'predicted'" in str(result.exception)

    def test_half_a_character_is_no_parquet(self, predict, tmp_path):
        path = tmp_path / "in.jsonl"
        path.write_text('{"review": "half \\ud83d"}\n')
        result = predict(path, tmp_path / "out.parquet")
        assert "half a character" in str(result.exception)

    def test_one_wrong_byte_is_no_other_encoding(self, predict, tmp_path):
        path = tmp_path / "in.csv"
        path.write_bytes("review\ncafé\nça va\n".encode() + b"caf\xe9\n")
        result = predict(path, tmp_path / "out.csv")
        told = "byte 0xe9 in line 4, column 4 is no part of a character"
        assert told in str(result.exception)
        assert predict(path, tmp_path / "out.csv", "--encoding", "utf-8-replace")
        assert "caf\ufffd" in (tmp_path / "out.csv").read_text(encoding="utf-8")
