import io

import pytest

from sktransfer.cli.input_file import detect_encoding, is_utf8, known_encoding

CHINESE = "这家酒店的服务很好，房间也很干净。下次还会来。"
TRADITIONAL = "這家酒店的服務很好，房間也很乾淨。下次還會來。"
FRENCH = "Très déçu : l'écran s'est cassé après une semaine à peine, où est le café ?"
GERMAN = "Größe paßt, schöne Farbe, aber die Knöpfe lösen sich „sofort“ - schade…"


class TestDetection:
    @pytest.mark.parametrize("encoding", ["utf-8", "gb18030", "gbk", "gb2312"])
    def test_chinese(self, encoding):
        expected = "utf-8" if encoding == "utf-8" else "gb18030"
        assert detect_encoding(CHINESE.encode(encoding)) == expected

    def test_traditional_chinese(self):
        assert detect_encoding(TRADITIONAL.encode("big5")) == "big5"
        assert detect_encoding(TRADITIONAL.encode("gb18030")) == "gb18030"

    @pytest.mark.parametrize("text", [FRENCH, GERMAN, FRENCH * 50 + GERMAN])
    def test_western(self, text):
        assert detect_encoding(text.encode("cp1252")) == "cp1252"

    def test_bytes_that_windows_does_not_use(self):
        assert detect_encoding(b"caf\xe9 \x81") == "latin-1"

    @pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16", "utf-32"])
    def test_marks(self, encoding):
        found = detect_encoding(CHINESE.encode(encoding))
        assert CHINESE.encode(encoding).decode(found) == CHINESE

    @pytest.mark.parametrize("encoding", ["utf-8", "gb18030", "big5"])
    @pytest.mark.parametrize("cut", range(1, 4))
    def test_a_sample_may_end_within_a_character(self, encoding, cut):
        whole = (TRADITIONAL * 3).encode(encoding)
        assert detect_encoding(whole[:-cut]) == encoding

    def test_chinese_between_english(self):
        text = "id,text\n" + "".join(f"{n},ok {CHINESE}\n" for n in range(20))
        assert detect_encoding(text.encode("gbk")) == "gb18030"

    def test_plain_ascii_is_utf8(self):
        assert detect_encoding(b"plain") == detect_encoding(b"") == "utf-8"

    def test_what_is_known_of_the_rest_counts(self):
        assert detect_encoding(b"plain", fits_utf8=False) == "cp1252"


class TestIsUtf8:
    @pytest.mark.parametrize("n_bytes", [1, 2, 3, 1000])
    def test_characters_may_lie_across_pieces(self, n_bytes):
        assert is_utf8(io.BytesIO(CHINESE.encode()), n_bytes)

    def test_a_cut_character_at_the_end_is_wrong(self):
        assert not is_utf8(io.BytesIO(CHINESE.encode()[:-1]))

    def test_a_wrong_byte_anywhere_is_found(self):
        assert not is_utf8(io.BytesIO(b"a" * 5000 + b"\xff" + b"a" * 5000), 64)


def test_names_are_looked_up():
    assert known_encoding("GBK") == "gbk"
    assert known_encoding("nothing") is None
