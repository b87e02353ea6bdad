import errno
import os
import re
import subprocess
import sys
import warnings

import pytest

from sktransfer import cli
from sktransfer.cli import app, predict
from sktransfer.cli.options import parse_duration
from sktransfer.cli.terminal import named, show_warning
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


class TestErrors:
    @pytest.fixture
    def told(self, capsys, labelled, monkeypatch):
        """What is said of an error in a command."""

        def told(error):
            def fail(*args, **options):
                raise error

            monkeypatch.setattr(predict, "predict_file", fail)
            assert cli.main(["predict", "model", str(labelled)]) == 1
            return capsys.readouterr().err

        return told

    def test_a_mistake_of_ours_is_a_line_that_says_how_to_see_more(
        self, told, monkeypatch
    ):
        said = told(ZeroDivisionError("division by zero"))
        assert said.startswith("Error: ZeroDivisionError: division by zero. This is")
        assert len(said.splitlines()) == 1
        monkeypatch.setenv("SKTRANSFER_TRACEBACK", "1")
        assert "Traceback" in told(ZeroDivisionError("division by zero"))

    @pytest.mark.parametrize(
        "error",
        [MemoryError(), RuntimeError("DefaultCPUAllocator: can't allocate memory: 9")],
    )
    def test_too_little_memory_is_told_as_such(self, told, error):
        assert "there is not enough memory" in told(error)

    def test_the_system_s_are_told_with_a_remedy(self, told):
        full = OSError(errno.ENOSPC, "No space left on device", "out.csv")
        assert told(full) == (
            "Error: out.csv: No space left on device; make room, or name another "
            "place.\n"
        )

    def test_long_ones_are_cut(self, told):
        assert len(told(KeyError("x" * 10_000))) < 500

    def test_writing_names_the_file(self):
        with pytest.raises(OSError, match="out") as caught, named("out.csv"):
            raise OSError(errno.ENOSPC, "No space left on device")
        assert caught.value.filename == "out.csv"


# Each gets one line on the standard error, if that is there.
CLOSED = {
    '"$@" >&-': (1, "the standard output: Bad file descriptor"),
    '"$@" > /dev/full': (1, "the standard output: No space left on device"),
    '"$@" 2>&-': (0, ""),
    '"$@" <&-': (0, ""),
}


@pytest.mark.slow
@pytest.mark.skipif(os.name == "nt", reason="there is no such shell")
@pytest.mark.parametrize("shell", CLOSED)
def test_streams_may_be_closed(shell, model, labelled):
    code = "import sys; from sktransfer.cli import main; sys.exit(main())"
    command = [sys.executable, "-c", code, "predict", model, labelled, "-t", "review"]
    ended = subprocess.run(
        ["bash", "-c", shell, "bash", *map(str, command)],
        capture_output=True,
        text=True,
        check=False,
    )
    assert (ended.returncode, ended.stderr.count("\n")) == (
        CLOSED[shell][0],
        int(bool(CLOSED[shell][1])),
    )
    assert CLOSED[shell][1] in ended.stderr


# Imports that take seconds stand in the way of no Ctrl-C, wherever that comes.
INTERRUPTED = """
import builtins, signal, sys
signal.signal(signal.SIGINT, signal.default_int_handler)
from sktransfer.cli import main

class Swallowed:
    def __del__(self):
        signal.raise_signal({signal})

original = builtins.__import__

def load(name, *args):
    if name == {module!r}:
        builtins.__import__ = original
        {act}
    return original(name, *args)

builtins.__import__ = load
sys.exit(main())
"""


@pytest.mark.slow
@pytest.mark.skipif(os.name == "nt", reason="signals are others there")
@pytest.mark.parametrize("name", ["SIGINT", "SIGTERM"])
@pytest.mark.parametrize("module", ["sktransfer.packages", "sktransfer.cli.app"])
@pytest.mark.parametrize("swallows", [False, True])
def test_signals_end_it_with_a_line_from_the_first_import_on(name, module, swallows):
    act = f"signal.raise_signal(signal.{name})"
    if swallows:
        act = "Swallowed(); [None for _ in range(10)]"
    code = INTERRUPTED.format(signal=f"signal.{name}", module=module, act=act)
    ended = subprocess.run(
        [sys.executable, "-c", code, "--version"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert ended.stderr == "Interrupted.\n"
    assert ended.returncode == {"SIGINT": 130, "SIGTERM": 143}[name]


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


def test_of_an_option_given_twice_the_last_value_is_told(run, labelled):
    result = run("compare", labelled, "--folds", "3", "--folds", "x")
    assert result.exit_code == 2
    # The second is what typer says before 0.29.
    assert re.search("'x' (was given|is not a valid)", " ".join(result.stderr.split()))
