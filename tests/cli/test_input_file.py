from sktransfer.cli.input_file import known_encoding


def test_names_are_looked_up():
    assert known_encoding("GBK") == "gbk"
    assert known_encoding("nothing") is None
