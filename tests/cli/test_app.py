import subprocess
import sys
import warnings

import pytest

from sktransfer import cli
from sktransfer.cli import app, predict
from sktransfer.cli.options import parse_duration
from sktransfer.cli.terminal import show_warning
from sktransfer.exceptions import CacheWarning, MissingExtraError


class TestCodes:
    def test_success_is_0(self, capsys):
        assert cli.main(["--version"]) == 0
        assert capsys.readouterr().out.startswith("sktransfer 0")

    def test_failure_is_1_and_one_line(self, capsys, labelled):
        code = cli.main(["predict", "nowhere", str(labelled), "-t", "review"])
        told = capsys.readouterr().err
        assert code == 1
        assert told.startswith("Error: there is no folder")
        assert "Traceback" not in told

    @pytest.mark.parametrize("arguments", [["nonsense"], ["compare"], ["encode", "x"]])
    def test_wrong_usage_is_2(self, capsys, arguments):
        assert cli.main(arguments) == 2
        assert "Usage: sktransfer" in capsys.readouterr().err

    def test_ctrl_c_is_130(self, capsys, labelled, monkeypatch):
        def interrupt(*args, **options):
            raise KeyboardInterrupt

        monkeypatch.setattr(predict, "predict_file", interrupt)
        assert cli.main(["predict", "model", str(labelled)]) == 130
        assert capsys.readouterr().err == "Interrupted.\n"

    def test_it_is_130_before_a_command_has_begun_too(self, monkeypatch):
        def interrupt(**options):
            raise KeyboardInterrupt

        monkeypatch.setattr(app, "app", interrupt)
        assert cli.main([]) == 130

    def test_a_missing_extra_is_named(self, capsys, monkeypatch):
        def missing(module, extra, purpose):
            raise MissingExtraError(f"{purpose} needs {module}: [{extra}]")

        monkeypatch.setattr("sktransfer.packages.require_extra", missing)
        assert cli.main([]) == 1
        assert capsys.readouterr().err == "The command line needs typer: [cli]\n"


class TestHelp:
    @pytest.mark.parametrize("command", ["compare", "predict", "encode"])
    def test_each_command_has_examples_that_fit(self, capsys, command):
        assert cli.main([command, "--help"]) == 0
        told = capsys.readouterr().out
        assert "Examples" in told
        assert f"sktransfer {command} " in told.partition("Examples")[2]
        assert max(map(len, told.splitlines())) <= 80

    def test_it_loads_nothing_heavy(self):
        code = (
            "import sys\nfrom sktransfer.cli import main\nmain(['compare', '--help'])\n"
            "print({'torch', 'transformers', 'gensim'} & {*sys.modules})"
        )
        command = [sys.executable, "-c", code]
        told = subprocess.run(command, capture_output=True, text=True, check=True)
        assert told.stdout.splitlines()[-1] == "set()"


class TestWarnings:
    def test_ours_are_lines_and_others_are_not_shown(self, capsys):
        show_warning(CacheWarning("the disk is full"), CacheWarning, "", 0)
        show_warning(DeprecationWarning("soon"), DeprecationWarning, "", 0)
        assert capsys.readouterr().err == "Warning: the disk is full\n"

    def test_the_programs_own_way_is_left_as_it_was(self):
        before = warnings.showwarning
        cli.main(["--version"])
        assert warnings.showwarning is before


@pytest.mark.parametrize(
    ("written", "seconds"),
    [
        (None, None),
        ("90", 90),
        ("1.5h", 5400),
        ("5 m", 300),
        (".5s", 0.5),
        ("2min", 120),
    ],
)
def test_durations(written, seconds):
    assert parse_duration(written) == seconds


@pytest.mark.parametrize("written", ["", "5 weeks", "-1", "0", "h", "1e9999s"])
def test_other_durations_are_refused(written):
    import typer

    with pytest.raises(typer.BadParameter, match="is no time"):
        parse_duration(written)
