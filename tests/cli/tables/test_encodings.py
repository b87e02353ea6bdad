import io
import random

import pytest

from sktransfer.cli.tables.encodings import (
    Utf8Count,
    count_utf8,
    detect_encoding,
    detect_file,
    find_fault,
)

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
        assert detect_encoding(b"plain", count=Utf8Count(0, 1, 9)) == "cp1252"


class TestCount:
    @pytest.mark.parametrize("n_bytes", [1, 2, 3, 7, 1000])
    @pytest.mark.parametrize("text", [CHINESE, FRENCH, "éééé🙂🙂a🙂"])
    def test_characters_may_lie_across_pieces(self, text, n_bytes):
        found = count_utf8(io.BytesIO(text.encode()), n_bytes)
        assert found.is_utf8
        assert found.n_sequences == sum(byte > 127 for byte in text.encode())

    def test_a_cut_character_at_the_end_is_wrong(self):
        assert not count_utf8(io.BytesIO(CHINESE.encode()[:-1])).is_utf8

    @pytest.mark.parametrize("n_bytes", [1, 2, 64, 10_000])
    def test_a_wrong_byte_anywhere_is_found(self, n_bytes):
        content = b"a" * 5000 + b"\xff" + CHINESE.encode()
        found = count_utf8(io.BytesIO(content), n_bytes)
        assert (found.n_others, found.first) == (1, 5000)
        assert found.n_sequences == len(CHINESE.encode())

    def test_pieces_make_no_difference(self):
        drawn = random.Random(0)
        for _ in range(300):
            content = bytes(drawn.choices(b"a\xc3\xa9\xe4\xbd\xa0\xf0\x9f\xff", k=12))
            n_bytes = drawn.randrange(1, 9)
            found = count_utf8(io.BytesIO(content), n_bytes)
            assert found == count_utf8(io.BytesIO(content)), (content, n_bytes)


class TestDamage:
    """One wrong byte makes no other encoding of a text."""

    @pytest.mark.parametrize("text", [CHINESE * 3, FRENCH, GERMAN, "a café\n" * 3])
    @pytest.mark.parametrize("where", ["begin", "middle", "end"])
    def test_utf8_but_for_a_byte_is_no_other_encoding(self, tmp_path, text, where):
        content = text.encode()
        # Between characters.
        place = {"begin": 0, "middle": len(text[: len(text) // 2].encode())}
        at = place.get(where, len(content))
        path = tmp_path / "t.csv"
        path.write_bytes(content[:at] + b"\xe9 " + content[at:])
        assert detect_file(path)[0] is None

    @pytest.mark.parametrize("text", [CHINESE, FRENCH * 2])
    def test_nor_does_a_cut_within_a_character(self, tmp_path, text):
        path = tmp_path / "t.csv"
        path.write_bytes(text.encode() + "é".encode()[:1])
        assert detect_file(path)[0] is None

    def test_so_it_is_with_a_mark(self, tmp_path):
        path = tmp_path / "t.csv"
        path.write_bytes("\ufeffcafé, café\n".encode() + b"\xff")
        assert detect_file(path)[0] is None

    @pytest.mark.parametrize("encoding", ["cp1252", "gb18030", "big5"])
    def test_what_is_far_below_tells(self, tmp_path, encoding):
        text = {"cp1252": FRENCH, "big5": TRADITIONAL}.get(encoding, CHINESE)
        path = tmp_path / "t.csv"
        path.write_bytes(b"plain text\n" * 150_000 + (text + "\n").encode(encoding))
        assert detect_file(path)[0] == encoding

    def test_so_does_a_wrong_byte_there(self, tmp_path):
        path = tmp_path / "t.csv"
        rows = (FRENCH + "\n") * 20_000
        path.write_bytes(rows.encode() + b"\xe9\n" + rows.encode())
        assert path.stat().st_size > 3 << 20
        assert detect_file(path)[0] is None
        assert find_fault(path, "utf-8") == (20_001, 1, 0xE9)

    @pytest.mark.parametrize("encoding", ["gb18030", "big5"])
    def test_a_wrong_byte_in_chinese_is_no_western_text(self, tmp_path, encoding):
        text = (TRADITIONAL + "\n") * 20
        path = tmp_path / "t.csv"
        path.write_bytes(text.encode(encoding) + b"\xff\n" + text.encode(encoding))
        assert detect_file(path)[0] == encoding
        assert find_fault(path, encoding) == (21, 1, 0xFF)

    @pytest.mark.parametrize("encoding", ["utf-16-le", "utf-16-be"])
    def test_utf16_without_a_mark_is_found(self, tmp_path, encoding):
        path = tmp_path / "t.csv"
        path.write_bytes("text,label\ncafé,1\n".encode(encoding))
        assert detect_file(path)[0] == encoding

    def test_a_zero_byte_is_a_character(self, tmp_path):
        path = tmp_path / "t.csv"
        path.write_bytes(b"text,label\na\0b,1\n")
        assert detect_file(path)[0] == "utf-8"


class TestFault:
    @pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
    def test_line_and_column_are_those_of_editors(self, tmp_path, end):
        path = tmp_path / "t.csv"
        path.write_bytes(f"a,b{end}é,{end}éé".encode() + b"\xff")
        assert find_fault(path, "utf-8") == (3, 3, 0xFF)

    def test_nothing_is_wrong(self, tmp_path):
        path = tmp_path / "t.csv"
        path.write_bytes(FRENCH.encode())
        assert find_fault(path, "utf-8") is None
