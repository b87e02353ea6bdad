"""No command loses a file of the user's: neither an input nor anything else."""

import errno
import json
import os
import shutil
from pathlib import Path

import pytest

from sktransfer.cli.outputs import check_inputs_stay
from sktransfer.cli.predict import _Labeller
from sktransfer.cli.tables.growing_file import GrowingFile
from sktransfer.report.page_folder import write_files

pytestmark = pytest.mark.slow

CHEAP = ["--strategies", "majority", "--folds", "3", "--no-model"]
MINE = b"years of work\n"


def flat(text):
    return " ".join(text.replace("│", " ").split())


def squeezed(text):
    """Without the breaks that long paths get in the frame of a message."""
    return "".join(text.replace("│", " ").split())


@pytest.fixture
def encode(run, labelled, tiny_bert):
    def encode(output, *options, file=labelled):
        arguments = ["encode", file, "-t", "review", "-o", output, "--device", "cpu"]
        return run(*arguments, "--encoder", tiny_bert, *options)

    return encode


@pytest.fixture
def predict(run, labelled, model):
    def predict(output, *options, file=labelled, model=model):
        return run("predict", model, file, "-t", "review", "-o", output, *options)

    return predict


@pytest.fixture
def compare(run, labelled):
    def compare(folder, *options, file=labelled):
        columns = ["-t", "review", "-l", "sentiment"]
        return run("compare", file, *columns, *CHEAP, "--report", folder, *options)

    return compare


@pytest.fixture
def nothing_is_computed(monkeypatch):
    def compute(*arguments, **options):
        raise AssertionError("something was computed")

    monkeypatch.setattr("sktransfer.cli.compare.compare_tables", compute)
    monkeypatch.setattr("sktransfer.cli.predict._Labeller", compute)
    monkeypatch.setattr("sktransfer.encoders.featurizer.BertFeaturizer", compute)


def same_path(path):
    return path


def around(path):
    return Path(path.parent, "..", path.parent.name, path.name)


def symlink(path):
    link = path.with_name("link.csv")
    link.symlink_to(path)
    return link


def hard_link(path):
    link = path.with_name("hard.csv")
    link.hardlink_to(path)
    return link


@pytest.mark.usefixtures("nothing_is_computed")
class TestInputs:
    @pytest.mark.parametrize("other_name", [same_path, around, symlink, hard_link])
    @pytest.mark.parametrize("command", ["encode", "predict"])
    def test_the_table_stays_by_whatever_name(
        self, request, labelled, command, other_name
    ):
        before, output = labelled.read_bytes(), other_name(labelled)
        result = request.getfixturevalue(command)(output, "--overwrite")
        assert result.exit_code == 2
        assert "the output is the input" in flat(result.stderr)
        assert labelled.read_bytes() == before
        assert output.read_bytes() == before

    def test_so_it_does_where_cases_are_not_told_apart(self, tmp_path, monkeypatch):
        path = tmp_path / "t.csv"
        path.write_bytes(MINE)
        # As on a file system where both names are one file.
        upper = symlink(path).rename(tmp_path / "T.csv")
        with pytest.raises(Exception, match="the output is the input"):
            check_inputs_stay({"the table": str(path)}, [upper], option="-o")

    @pytest.mark.parametrize("end", [".part", ".part.json"])
    def test_a_table_with_the_name_of_a_part_stays(self, encode, labelled, end):
        file = labelled.rename(labelled.with_name(f"v.npy{end}"))
        before = file.read_bytes()
        result = encode(file.with_name("v.npy"), "--format", "csv", file=file)
        assert result.exit_code == 2
        assert "the output is the input" in flat(result.stderr)
        assert file.read_bytes() == before

    @pytest.mark.parametrize("end", [".part", ".state", ".lock"])
    def test_so_it_does_for_predict(self, predict, labelled, end):
        file = labelled.rename(labelled.with_name(f"out.csv{end}"))
        before = file.read_bytes()
        result = predict(file.with_name("out.csv"), "--format", "csv", file=file)
        assert result.exit_code == 2
        assert file.read_bytes() == before

    @pytest.mark.parametrize("name", ["model.json", "README.md"])
    def test_files_of_the_model_stay(self, predict, model, name):
        before = (model / name).read_bytes()
        options = ["--output-format", "jsonl", "--overwrite"]
        result = predict(model / name, *options)
        assert result.exit_code == 2
        assert "part of" in flat(result.stderr)
        assert "the model, which would be lost" in flat(result.stderr)
        assert (model / name).read_bytes() == before

    def test_files_of_the_encoder_stay(self, encode, tiny_bert):
        path = Path(tiny_bert, "config.json")
        before = path.read_bytes()
        result = encode(path, "--overwrite")
        assert result.exit_code == 2
        assert "the encoder, which would be lost" in flat(result.stderr)
        assert path.read_bytes() == before

    def test_so_do_those_below_its_folder(self, encode, tiny_bert, tmp_path):
        folder = tmp_path / "bert"
        shutil.copytree(tiny_bert, folder)
        path = folder / "1_Pooling" / "config.json"
        path.parent.mkdir(exist_ok=True)
        path.write_text('{"word_embedding_dimension": 32}')
        result = encode(path, "--overwrite", "--encoder", folder)
        assert result.exit_code == 2
        assert "32" in path.read_text()

    @pytest.mark.parametrize("name", ["results.csv", "folds.csv", "model/t.csv"])
    @pytest.mark.parametrize("option", ["FILE", "--source"])
    def test_no_report_is_put_over_what_is_compared(
        self, compare, labelled, tmp_path, name, option
    ):
        path = tmp_path / "out" / name
        path.parent.mkdir(parents=True)
        path.write_bytes(labelled.read_bytes())
        before = path.read_bytes()
        options = [] if option == "FILE" else ["--source", path]
        file = path if option == "FILE" else labelled
        result = compare(tmp_path / "out", "--overwrite", *options, file=file)
        assert result.exit_code == 2
        assert "the output is the input" in flat(result.stderr)
        what = "the table" if option == "FILE" else "the source"
        assert what in flat(result.stderr)
        assert path.read_bytes() == before


class TestExistingFiles:
    @pytest.mark.parametrize("command", ["encode", "predict"])
    def test_they_are_replaced_only_when_asked(
        self, request, run, tmp_path, command, read_rows
    ):
        command = request.getfixturevalue(command)
        path = tmp_path / "v.csv"
        path.write_bytes(MINE)
        result = command(path)
        assert result.exit_code == 2
        assert "exists already" in flat(result.stderr)
        assert "--overwrite" in result.stderr
        assert path.read_bytes() == MINE
        assert command(path, "--overwrite").exit_code == 0
        assert path.read_bytes() != MINE

    @pytest.mark.usefixtures("nothing_is_computed")
    @pytest.mark.parametrize("command", ["encode", "predict"])
    def test_what_is_no_file_is_never_replaced(self, request, tmp_path, command):
        command = request.getfixturevalue(command)
        (tmp_path / "a.csv").mkdir()
        (tmp_path / "b.csv").symlink_to(tmp_path / "nowhere")
        assert "is a folder" in flat(command(tmp_path / "a.csv", "--overwrite").stderr)
        told = flat(command(tmp_path / "b.csv", "--overwrite").stderr)
        assert "is no ordinary file" in told
        assert (tmp_path / "b.csv").is_symlink()

    @pytest.mark.parametrize("end", [".part", ".state", ".lock"])
    def test_predict_leaves_files_with_the_names_of_its_own(
        self, predict, tmp_path, end
    ):
        path = tmp_path / f"out.csv{end}"
        path.write_bytes(MINE)
        result = predict(tmp_path / "out.csv", "--fresh", "--overwrite")
        assert result.exit_code == 1
        assert "was not left by an unfinished run" in str(result.exception)
        assert path.read_bytes() == MINE

    def test_what_is_beside_a_parquet_file_stays(self, predict, tmp_path):
        path = tmp_path / ".out.parquet.whole"
        path.write_bytes(MINE)
        assert predict(tmp_path / "out.parquet").exit_code == 0
        assert path.read_bytes() == MINE

    def test_what_came_meanwhile_stays(self, predict, tmp_path, monkeypatch):
        path, label = tmp_path / "out.csv", _Labeller.label

        def come(self, chunk):
            path.write_bytes(MINE)
            return label(self, chunk)

        monkeypatch.setattr(_Labeller, "label", come)
        assert "exists already" in flat(predict(path).stderr)
        assert path.read_bytes() == MINE
        monkeypatch.setattr(_Labeller, "label", label)
        assert "Going on after 96 rows" in predict(path, "--overwrite").stderr
        assert path.read_bytes() != MINE


class TestReports:
    @pytest.mark.usefixtures("nothing_is_computed")
    @pytest.mark.parametrize(
        "name", ["report.html", "results.csv", "folds.csv", "scores.png", "report.json"]
    )
    def test_files_of_others_stay(self, compare, tmp_path, name):
        (tmp_path / name).write_bytes(MINE)
        result = compare(tmp_path)
        assert result.exit_code == 2
        assert name in flat(result.stderr)
        assert (tmp_path / name).read_bytes() == MINE

    def test_they_are_replaced_when_asked(self, compare, tmp_path):
        out = tmp_path / "out"
        out.mkdir()
        for name in ("folds.csv", "other.txt"):
            (out / name).write_bytes(MINE)
        assert compare(out, "--overwrite").exit_code == 0
        assert (out / "folds.csv").read_bytes() != MINE
        assert (out / "other.txt").read_bytes() == MINE
        # From now on it is the report's.
        assert compare(out).exit_code == 0

    def test_a_model_of_others_stays(self, compare, model, tmp_path):
        out = tmp_path / "out"
        shutil.copytree(model, out / "model")
        before = (out / "model" / "model.json").read_bytes()
        result = compare(out, "--model")
        assert result.exit_code == 2
        assert "holds model/manifest.json, not as a report" in flat(result.stderr)
        assert (out / "model" / "model.json").read_bytes() == before

    def test_what_was_edited_stays(self, compare, tmp_path):
        out = tmp_path / "out"
        assert compare(out).exit_code == 0
        with (out / "results.csv").open("ab") as file:
            file.write(MINE)
        result = compare(out)
        assert result.exit_code == 2
        assert "holds results.csv, not as a report has left it" in flat(result.stderr)
        assert (out / "results.csv").read_bytes().endswith(MINE)

    @pytest.mark.usefixtures("nothing_is_computed")
    @pytest.mark.parametrize("name", ["out", "out/journal"])
    def test_a_folder_is_needed(self, compare, tmp_path, name):
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(MINE)
        assert "is no folder" in flat(compare(tmp_path / "out").stderr)
        assert path.read_bytes() == MINE


class TestFresh:
    @pytest.mark.parametrize("with_journal", [False, True])
    def test_a_journal_of_others_stays(self, compare, tmp_path, with_journal):
        out, journal = tmp_path / "out", tmp_path / "out" / "journal"
        if with_journal:
            assert compare(out).exit_code == 0
        journal.mkdir(parents=True, exist_ok=True)
        (journal / "diary.txt").write_bytes(MINE)
        before = {path.name: path.read_bytes() for path in journal.glob("*.*")}
        result = compare(out, "--fresh")
        assert result.exit_code == 2
        assert "holds 'diary.txt'" in flat(result.stderr)
        assert str(journal).replace(" ", "") in squeezed(result.stderr)
        assert {p.name: p.read_bytes() for p in journal.glob("*.*")} == before

    def test_so_does_a_file_with_the_journals_name(self, compare, tmp_path):
        path = tmp_path / "out" / "journal" / "journal.jsonl"
        path.parent.mkdir(parents=True)
        content = json.dumps({"mine": 1}).encode()
        for written in (content, content + b"\n"):
            path.write_bytes(written)
            assert compare(tmp_path / "out", "--fresh").exit_code == 2
            result = compare(tmp_path / "out")
            assert "was not written by this version" in str(result.exception)
            assert path.read_bytes() == written

    @pytest.mark.slow
    def test_its_own_is_removed(self, compare, tmp_path, labelled):
        out = tmp_path / "out"
        assert compare(out).exit_code == 0
        before = (out / "journal" / "journal.jsonl").read_bytes()
        (out / "journal" / ".DS_Store").write_bytes(b"x")
        result = compare(out, "--fresh", "--seed", 1)
        assert result.exit_code == 0, result.stderr
        assert (out / "journal" / "journal.jsonl").read_bytes() != before


@pytest.mark.skipif(os.name == "nt", reason="a frame of other signs there")
def test_messages_fit_80_columns(encode, compare, labelled, tmp_path):
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "results.csv").write_bytes(MINE)
    for result in (encode(labelled), compare(tmp_path / "out")):
        assert max(map(len, result.stderr.splitlines())) <= 80


class TestPlaces:
    """Where nothing of the command's belongs, though nothing is there yet."""

    @pytest.mark.usefixtures("nothing_is_computed")
    def test_nothing_is_put_into_the_model(self, predict, model):
        result = predict(model / "new.csv")
        assert result.exit_code == 2
        assert "whatever is saved next replaces it" in flat(result.stderr)
        assert not (model / "new.csv").exists()

    @pytest.mark.usefixtures("nothing_is_computed")
    def test_nor_into_the_encoder(self, encode, tiny_bert):
        assert encode(Path(tiny_bert, "v.npy")).exit_code == 2
        assert not Path(tiny_bert, "v.npy").exists()

    @pytest.mark.usefixtures("nothing_is_computed")
    @pytest.mark.parametrize("kind", ["part", "state", "lock"])
    def test_what_another_run_writes_is_no_output(self, predict, tmp_path, kind):
        with GrowingFile(tmp_path / "out.csv", {}):
            result = predict(
                tmp_path / f"out.csv.{kind}", "--output-format", "csv", "--overwrite"
            )
        assert result.exit_code == 2
        assert "belongs to an unfinished run" in flat(result.stderr)

    @pytest.mark.usefixtures("nothing_is_computed")
    @pytest.mark.parametrize("name", ["suspects.csv", "journal/x.csv", "model"])
    def test_suspects_are_no_file_of_the_report(self, compare, tmp_path, name):
        path = tmp_path / "out" / name
        path.parent.mkdir(parents=True)
        result = compare(tmp_path / "out", "--suspects", path)
        assert result.exit_code == 2
        assert "is the report's own" in flat(result.stderr)


class TestReportFolder:
    def test_what_a_killed_run_was_writing_goes(self, tmp_path):
        for name in (".results.csv.0123abcd", ".results.csv.mine", ".x.csv.0123abcd"):
            (tmp_path / name).write_bytes(MINE)
        write_files(tmp_path, {"results.csv": b"new"})
        left = sorted(path.name for path in tmp_path.iterdir())
        assert left == [
            ".results.csv.mine",
            ".x.csv.0123abcd",
            "report.json",
            "results.csv",
        ]

    def test_a_full_disk_is_named_and_nothing_is_lost(self, tmp_path, monkeypatch):
        write_files(tmp_path, {"results.csv": b"old", "folds.csv": b"old"})

        def full(path, content):
            raise OSError(errno.ENOSPC, "No space left on device")

        with monkeypatch.context() as patch:
            patch.setattr(Path, "write_bytes", full)
            with pytest.raises(OSError, match=r"room: .*results\.csv"):
                write_files(tmp_path, {"results.csv": b"new", "folds.csv": b"new"})
        assert (tmp_path / "results.csv").read_bytes() == b"old"
        write_files(tmp_path, {"results.csv": b"new", "folds.csv": b"new"})
        names = sorted(path.name for path in tmp_path.iterdir())
        assert names == ["folds.csv", "report.json", "results.csv"]
