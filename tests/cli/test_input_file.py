import os
from pathlib import Path

import pytest
import typer

from sktransfer.cli.input_file import known_encoding, open_input


def test_names_are_looked_up():
    assert known_encoding("GBK") == "gbk"
    assert known_encoding("nothing") is None


@pytest.mark.parametrize(
    "name", ["rot13", "base64", "zlib", "undefined", "idna", "punycode", "", "a\0b"]
)
def test_what_makes_no_text_of_a_file_is_no_encoding(name):
    assert known_encoding(name) is None


@pytest.mark.skipif(os.name == "nt", reason="there are no such files")
@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("fifo.csv", "is no ordinary file: what comes of a pipe"),
        ("zero.csv", "is no ordinary file"),
        ("folder.csv", "is a folder"),
        ("x" * 300 + ".csv", "there is no file"),
        ("a\0b.csv", "there is no file"),
        ("fyfo.csv", "did you mean 'fifo.csv'"),
    ],
)
def test_what_is_no_file_is_not_read(name, message, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    os.mkfifo("fifo.csv")
    Path("zero.csv").symlink_to("/dev/zero")
    Path("folder.csv").mkdir()
    with pytest.raises(typer.BadParameter, match=message), open_input(name):
        pass
