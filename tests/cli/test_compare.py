import csv
import json
import re
import signal
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from sklearn.dummy import DummyClassifier
from typer import BadParameter

from sktransfer.baselines import nbsvm
from sktransfer.bundles.folders import read_beside
from sktransfer.cli.compare import EXAMPLES, read_labelled
from sktransfer.comparison.prediction_files import load_predictions
from sktransfer.comparison.setup.named_strategies import DEFAULTS
from sktransfer.exceptions import InvalidParameterError
from sktransfer.persistence import CONFIDENCE, load
from sktransfer.statistics import ConfidenceTable

CHEAP = ["--strategies", "nbsvm", "--folds", "3"]


@pytest.fixture
def compare(run, labelled):
    def compare(*options):
        return run("compare", labelled, "-t", "review", "-l", "sentiment", *options)

    return compare


def flat(text):
    return " ".join(text.replace("│", " ").split())


class TestAnswer:
    def test_the_table_and_what_follows_are_on_the_output(self, compare):
        result = compare(*CHEAP)
        assert result.exit_code == 0
        lines = result.stdout.splitlines()
        assert lines[0].split() == [
            "strategy", "accuracy", "95", "%", "interval", "points", "p", "fit",
            "texts/s",
        ]  # fmt: skip
        assert {line.split()[0] for line in lines[1:4]} == {
            "majority",
            "tfidf",
            "nbsvm",
        }
        assert any("the highest accuracy of" in line for line in lines[4:])

    def test_it_fits_80_columns(self, compare, sentiment_texts):
        result = compare(*CHEAP, "--train-sizes", "8,0.5,64")
        assert max(map(len, result.stdout.splitlines())) <= 80
        sizes = [line.split()[1] for line in result.stdout.splitlines()[1:10]]
        assert sizes == ["8"] * 3 + ["32"] * 3 + ["64"] * 3

    @pytest.mark.slow
    def test_several_encoders_fit_80_columns_too(
        self, compare, tiny_bert, other_tiny_bert
    ):
        options = ["--strategies", "frozen_64_32", "--folds", "3", "--jobs", "1"]
        encoders = ["--encoder", tiny_bert, "--encoder", other_tiny_bert]
        result = compare(*options, *encoders)
        assert result.exit_code == 0, result.stderr
        lines = result.stdout.splitlines()
        assert max(map(len, lines)) <= 80
        assert lines[0].split()[-1] == "texts/s"
        table = flat(result.stdout.partition("\n\n")[0])
        assert len(re.findall(r"frozen (\S+ )*?\(tiny-bert", table)) == 1
        assert "(other-tiny-bert" in table
        assert "The strategies that tune start from" in flat(result.stdout)

    def test_rows_are_told_as_they_come(self, compare):
        lines = compare(*CHEAP).stderr.splitlines()
        told = [line.partition(",")[0] for line in lines if line[:3] != "SKT"]
        # Two workers may finish them in any order.
        assert sorted(told) == ["majority", "nbsvm", "tfidf"]

    def test_checks_of_the_data_are_told_once_before_the_rows(self, compare):
        result = compare(*CHEAP)
        first = result.stderr.splitlines()[0]
        assert first.startswith("SKT008: There are 48 texts of the class")
        assert "Label more texts of the rare classes" in first
        assert "- Told above the table: SKT008." in result.stdout
        assert "48 texts" not in result.stdout

    def test_checks_of_the_results_are_told_below_the_table(self, compare):
        result = compare("--strategies", "tfidf,nbsvm", "--folds", "3")
        assert "SKT013" not in result.stderr
        assert "- SKT013: tfidf and nbsvm give all texts the same" in flat(
            result.stdout
        )

    def test_a_failure_is_a_row_and_a_line(self, compare, monkeypatch):
        broken = DummyClassifier(strategy="no such")
        made = replace(nbsvm.BASELINE, make=lambda texts: broken)
        monkeypatch.setattr(nbsvm, "BASELINE", made)
        result = compare(*CHEAP)
        assert result.exit_code == 0
        assert "Failed: nbsvm (see the column error)." in result.stdout
        assert "- nbsvm: InvalidParameterError: The 'strategy'" in result.stdout

    def test_where_all_fail_the_exit_code_says_so(self, run, tmp_path):
        path = tmp_path / "three.csv"
        rows = [f"text no {n},{'abc'[n % 3]}" for n in range(60)]
        path.write_text("\n".join(["text,label", *rows]))
        # It is a metric of two classes, unless it is told what to do with more.
        result = run("compare", path, *CHEAP, "--scoring", "roc_auc", "--jobs", "1")
        assert "- tfidf: ValueError: multi_class" in result.stdout
        assert result.exit_code == 1

    def test_seeds_decide(self, compare):
        def told(seed):
            return [
                r.split()[1]
                for r in compare(*CHEAP, "--seed", seed).stdout.split("\n")[1:4]
            ]

        assert told(1) == told(1)


class TestReport:
    @pytest.fixture
    def report(self, compare, tmp_path):
        folder = tmp_path / "out"
        result = compare(*CHEAP, "--report", folder)
        assert result.exit_code == 0, result.stderr
        return folder, result

    def test_everything_is_in_the_folder(self, report):
        folder, result = report
        names = {path.name for path in folder.iterdir()}
        assert {"report.html", "results.csv", "folds.csv", "model", "journal"} <= names
        predictions = load_predictions(folder / "predictions.jsonl")
        assert list(predictions["predictions"]) == ["majority", "tfidf", "nbsvm"]
        assert predictions["texts"] is None
        assert f"Page:  {folder}/report.html" in result.stdout
        table = pd.read_csv(folder / "results.csv")
        assert table["strategy"].tolist() == ["majority", "tfidf", "nbsvm"]

    def test_the_model_predicts(self, report, run, labelled):
        folder, _ = report
        assert load(folder / "model").predict(["good film"]).tolist() == ["pos"]
        # It knows when to trust it, too.
        table = ConfidenceTable.from_dict(read_beside(folder / "model", CONFIDENCE))
        assert table.n[-1] == 96
        arguments = ["predict", folder / "model", labelled, "-t", "review"]
        result = run(*arguments, "--abstain", 0.9)
        assert result.exit_code == 0, result.stderr
        assert "0 of 96 texts got no label" in result.stderr

    def test_the_same_again_runs_nothing_again(self, report, compare):
        folder, _ = report
        journal = (folder / "journal" / "journal.jsonl").read_bytes()
        result = compare(*CHEAP, "--report", folder, "--no-model")
        assert "Going on with what an earlier run has left" in result.stderr
        assert (folder / "journal" / "journal.jsonl").read_bytes() == journal

    def test_other_data_are_refused_until_told_otherwise(
        self, report, compare, labelled
    ):
        folder, _ = report
        with labelled.open("a") as file:
            file.write("a new one,pos\n")
        result = compare(*CHEAP, "--report", folder)
        assert "holds another comparison" in str(result.exception)
        assert compare(*CHEAP, "--report", folder, "--fresh").exit_code == 0


class TestSuspects:
    def test_labels_that_look_wrong_are_in_a_file(self, compare, labelled, tmp_path):
        texts = labelled.read_text().replace("pos", "neg", 1)
        labelled.write_text(texts)
        path = tmp_path / "suspects.csv"
        result = compare(*CHEAP, "--suspects", path)
        assert "1 labels that look wrong are in" in result.stderr
        (suspect,) = pd.read_csv(path).to_dict("records")
        assert (suspect["label"], suspect["suggested"]) == ("neg", "pos")
        assert (suspect["n_against"], suspect["n_strategies"]) == (2, 2)

    def test_where_nobody_can_tell_there_is_none(self, compare, tmp_path, monkeypatch):
        def fail(*arguments):
            raise InvalidParameterError("no strategy can tell.")

        monkeypatch.setattr("sktransfer.comparison.result.find_suspects", fail)
        path = tmp_path / "suspects.csv"
        result = compare(*CHEAP, "--suspects", path)
        assert result.exit_code == 0
        assert "suspects.csv is not written: no strategy can tell." in result.stderr
        assert not path.exists()

    @pytest.mark.parametrize(
        ("name", "message"),
        [
            ("reviews.csv", "the output is the input"),
            ("no/s.csv", "there is no folder"),
        ],
    )
    def test_bad_places_are_refused(self, compare, tmp_path, name, message):
        result = compare(*CHEAP, "--suspects", tmp_path / name)
        assert result.exit_code == 2
        assert message in flat(result.stderr)


class TestReading:
    def read(self, tmp_path, content, **options):
        path = tmp_path / "t.csv"
        path.write_text(content)
        return read_labelled(str(path), **{"text": "t", "label": "l"} | options)

    def test_rows_without_text_or_label_are_left_out(self, tmp_path, capsys):
        table = self.read(tmp_path, "t,l\na,x\n,x\nb,\n  ,y\nc,y\n")
        assert table.texts == ["a", "c"]
        assert table.labels == ["x", "y"]
        assert "3 rows without text or label are left out." in capsys.readouterr().err

    def test_labels_are_text_in_every_format(self, tmp_path):
        path = tmp_path / "t.jsonl"
        rows = [{"t": "a", "l": 0}, {"t": "b", "l": 1}, {"t": None, "l": 1}]
        path.write_text("\n".join(map(json.dumps, rows)))
        table = read_labelled(str(path), text="t", label="l")
        assert table.labels == ["0", "1"]

    def test_groups_are_read(self, tmp_path):
        table = self.read(tmp_path, "t,l,g\na,x,1\nb,y,2\n", group="g")
        assert table.groups == ["1", "2"]

    def test_many_rows_are_drawn_from(self, tmp_path):
        content = "t,l\n" + "".join(f"text {n},{n % 2}\n" for n in range(50))
        table = self.read(tmp_path, content)
        drawn = table.draw(20, seed=0)
        assert len(drawn.texts) == len(drawn.labels) == 20
        order = [table.texts.index(text) for text in drawn.texts]
        assert order == sorted(order)
        assert drawn.labels == [table.labels[row] for row in order]
        assert table.draw(50, seed=0) is table


class TestFinding:
    """Columns that nobody has named."""

    def write(self, tmp_path, head, film="a {} film no {}", more=""):
        """A table of an id, a date, a text, a label, and perhaps more."""
        path = tmp_path / "t.csv"
        rows = [
            f"{n},2024-01-{n:02},{film.format(word, n)},{word}{more}"
            for n, word in enumerate(["good", "bad"] * 6, start=1)
        ]
        path.write_text("\n".join([head, *rows]), encoding="utf-8")
        return str(path)

    @pytest.mark.parametrize("film", ["a {} film no {}", "电影{}{}"])
    def test_the_only_ones_that_can_be_it_are_taken_and_told(
        self, tmp_path, capsys, film
    ):
        path = self.write(tmp_path, "id,day,review,verdict", film)
        assert read_labelled(path).columns == ("review", "verdict")
        told = capsys.readouterr().err
        assert "the texts are those of the column 'review'" in told
        assert "the labels are those of the column 'verdict'" in told

    def test_their_usual_names_come_first(self, tmp_path, capsys):
        path = self.write(tmp_path, "id,label,text,verdict")
        assert read_labelled(path, label="verdict").columns == ("text", "verdict")
        assert read_labelled(path, label="id").columns == ("text", "id")
        assert capsys.readouterr().err == ""

    def test_what_is_named_is_no_other_column(self, tmp_path):
        path = self.write(tmp_path, "id,day,review,verdict")
        assert read_labelled(path, text="day").columns == ("day", "verdict")

    def test_of_several_none_is_taken(self, tmp_path):
        path = self.write(tmp_path, "id,day,review,verdict,title", more=",{} at {}")
        rows = Path(path).read_text().splitlines()
        told = [row.format("seen", n) for n, row in enumerate(rows)]
        Path(path).write_text("\n".join(told))
        with pytest.raises(BadParameter, match=r"2 columns of .*'review', 'title'"):
            read_labelled(path)

    def test_where_there_is_none_all_columns_are_listed(self, tmp_path):
        path = tmp_path / "t.csv"
        path.write_text("id,stars\n1,2\n2,3\n3,2\n4,3")
        with pytest.raises(BadParameter, match="looks like it, of 'id', 'stars'"):
            read_labelled(str(path))

    def test_a_source_is_read_by_the_tables_names(self, tmp_path):
        path = self.write(tmp_path, "id,day,review,verdict", more="")
        found = read_labelled(path, prefix="source_", likely=("day", "verdict"))
        assert found.columns == ("day", "verdict")


class TestSkew:
    @pytest.fixture
    def skewed(self, tmp_path):
        path = tmp_path / "skewed.csv"
        good = [f"a good film no {n},pos" for n in range(36)]
        bad = [f"a bad film no {n},neg" for n in range(9)]
        path.write_text("\n".join(["review,verdict", *good, *bad]))
        return path

    def test_what_decides_is_said_before_the_table_and_stands_in_it(self, run, skewed):
        result = run("compare", skewed, *CHEAP)
        before, _, _ = result.stderr.partition("majority")
        why = "9 of 45 texts are 'neg', so balanced accuracy decides"
        assert "SKT009: 36 of 45" in flat(before)
        assert "--threshold balanced" in flat(before)
        assert "balanced accuracy" in result.stdout.splitlines()[0]
        assert f"{why}." in flat(result.stdout)

    def test_a_threshold_is_a_column(self, run, skewed):
        result = run("compare", skewed, *CHEAP, "--threshold", "balanced")
        lines = result.stdout.splitlines()
        assert lines[0].split()[:2] == ["strategy", "threshold"]
        told = {line.split()[0]: line.split()[1] for line in lines[1:4]}
        assert told["tfidf"] == "balanced"
        assert max(map(len, lines)) <= 80

    def test_accuracy_decides_where_it_is_named(self, run, skewed):
        result = run("compare", skewed, *CHEAP, "--scoring", "accuracy")
        assert "so balanced" not in result.stdout
        assert result.stdout.split()[1] == "accuracy"


class TestUsage:
    @pytest.mark.parametrize(
        ("option", "value", "message"),
        [
            ("--jobs", "0", "0 folds cannot run"),
            # The second words are those of typer before 0.29, which tell the value.
            ("--jobs", "9999", "'9999' was given. Input should be less|9999 is not in"),
            (
                "--seed",
                "12345678901234",
                "'12345678901234' was given. Input should|12345678901234 is not in",
            ),
            ("--seed", "-1", "'-1' was given. Input should be greater|-1 is not in"),
            ("--report", "", "is no name of a folder"),
            ("--report", "x" * 300, "File name too long"),
        ],
    )
    def test_values_out_of_range_are_told_of_before_the_work(
        self, compare, option, value, message, monkeypatch
    ):
        monkeypatch.setenv("COLUMNS", "500")
        result = compare(*CHEAP, option, value)
        assert result.exit_code == 2
        assert any(words in flat(result.stderr) for words in message.split("|"))

    @pytest.mark.parametrize(
        ("options", "message"),
        [
            (["-t", "Review"], "Did you mean 'review'?"),
            (["-l", "review"], "holds 96 different values in 96 rows"),
            (["--budget", "soon"], "'soon' is no time"),
            (["--train-sizes", "8,many"], "'many' is no number of texts"),
            (["--folds", "1"], "greater than or equal to 2|range x>=2"),
            (["--source", "nowhere.csv"], "there is no file 'nowhere.csv'"),
            (["--group", "id"], "has no column 'id'"),
            (["--format", "xlsx"], "'xlsx' is none of csv, tsv, jsonl, parquet"),
        ],
    )
    def test_wrong_usage_is_2_and_says_why(self, compare, options, message):
        result = compare(*CHEAP, *options)
        assert result.exit_code == 2
        assert any(words in flat(result.stderr) for words in message.split("|"))

    def test_one_class_is_told(self, run, tmp_path):
        path = tmp_path / "t.csv"
        path.write_text("text,label\na,x\nb,x\n")
        result = run("compare", path)
        assert result.exit_code == 2
        assert "of 1 class, but at least 2" in flat(result.stderr)

    def test_the_sources_columns_have_options_of_their_own(self, compare, tmp_path):
        path = tmp_path / "other.csv"
        rows = "a good one,it is good,pos\na bad one,it is bad,neg\n"
        path.write_text(f"title,body,stars\n{rows}")
        result = compare(*CHEAP, "--source", path)
        assert "Invalid value for --source-text" in flat(result.stderr)
        assert "2 columns of" in flat(result.stderr)
        assert "'title', 'body'" in flat(result.stderr)
        options = ["--source", path, "--source-text", "body", "--source-label", "star"]
        result = compare(*CHEAP, *options)
        assert "Did you mean 'stars'?" in flat(result.stderr)

    def test_unknown_strategies_are_named(self, compare):
        result = compare("--strategies", "frozzen")
        assert "strategies names 'frozzen'" in str(result.exception)


class TestBudget:
    def test_what_is_left_is_skipped(self, compare):
        result = compare("--strategies", "tfidf,nbsvm", "--budget", "0.001s")
        assert result.exit_code == 0
        told = "Skipped, as the time budget was too short: majority, tfidf, nbsvm."
        assert told in flat(result.stdout)


KILLED = """
import os, signal, sys
from sktransfer.cli import main, terminal

update = terminal.LiveTable.update

def spy(self, row):
    if row["strategy"] == "nbsvm" and row["n_folds"] == 1:
        os.kill(os.getpid(), signal.SIGKILL)
    update(self, row)

terminal.LiveTable.update = spy
sys.exit(main(sys.argv[1:]))
"""


# Starts a process that loads torch.
@pytest.mark.slow
def test_a_killed_comparison_goes_on(compare, labelled, tmp_path):
    folder = tmp_path / "out"
    options = [*CHEAP, "--report", str(folder), "--no-model"]
    arguments = ["compare", str(labelled), "-t", "review", "-l", "sentiment", *options]
    command = [sys.executable, "-c", KILLED, *arguments]
    # A pipe would stay open as long as a worker that has had no task yet.
    with (tmp_path / "told").open("w") as told:
        stopped = subprocess.run(command, stdout=told, stderr=told, check=False)
    assert stopped.returncode == -signal.SIGKILL, (tmp_path / "told").read_text()
    result = compare(*options)
    assert result.exit_code == 0
    straight = tmp_path / "straight"
    compare(*CHEAP, "--report", str(straight), "--no-model")
    one, other = (pd.read_csv(path / "folds.csv") for path in (folder, straight))
    timed = ["fit_seconds", "predict_seconds", "load_seconds", "fit_peak_mib"]
    assert one.drop(columns=timed).equals(other.drop(columns=timed))


class TestEncode:
    def test_vectors_are_written_a_row_each(self, run, labelled, tiny_bert, tmp_path):
        out = tmp_path / "v.npy"
        arguments = ["encode", labelled, "-t", "review", "-o", out]
        result = run(*arguments, "--encoder", tiny_bert, "--device", "cpu")
        assert result.exit_code == 0, result.stderr
        assert "96 vectors of 32 numbers" in result.stderr
        from sktransfer.encoders.featurizer import BertFeaturizer

        with labelled.open(newline="") as file:
            texts = [row["review"] for row in csv.DictReader(file)]
        expected = BertFeaturizer(tiny_bert, device="cpu").fit_transform(texts)
        assert np.allclose(np.load(out), expected, atol=1e-5)

    @pytest.mark.parametrize(
        ("output", "remedy"),
        [
            ("-", "name one in an existing folder"),
            ("no/such/v.npy", "make it, or name"),
        ],
    )
    def test_a_file_is_needed(self, run, labelled, output, remedy):
        result = run("encode", labelled, "-t", "review", "-o", output)
        assert result.exit_code == 2
        assert remedy in flat(result.stderr)

    def test_rows_are_needed(self, run, tmp_path):
        path = tmp_path / "t.csv"
        path.write_text("text\n")
        result = run("encode", path, "-o", tmp_path / "v.npy")
        assert "has no rows" in flat(result.stderr)


def test_the_help_names_every_strategy():
    shown = EXAMPLES.partition("Strategies")[2]
    assert [name for name in DEFAULTS if name not in shown] == []
