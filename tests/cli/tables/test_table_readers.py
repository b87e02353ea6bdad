import json

import pytest

from sktransfer.cli.tables.table_readers import open_reader
from sktransfer.exceptions import InvalidInputError


@pytest.fixture
def reader(tmp_path):
    def reader(content, format="csv", encoding="utf-8"):
        path = tmp_path / f"table.{format}"
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        return open_reader(path, format, encoding, "table")

    return reader


def rows(reader, n_rows=2, skip=0):
    return [row for chunk in reader.chunks(n_rows, skip) for row in chunk.rows]


class TestCsv:
    def test_quotes_line_feeds_and_commas(self, reader):
        found = rows(reader('a,b\n"one\ntwo",x\n"say ""hi"", you",y\n'))
        assert found == [
            {"a": "one\ntwo", "b": "x"},
            {"a": 'say "hi", you', "b": "y"},
        ]

    @pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
    def test_line_ends(self, reader, end):
        assert rows(reader(f"a,b{end}1,2{end}3,4")) == [
            {"a": "1", "b": "2"},
            {"a": "3", "b": "4"},
        ]

    @pytest.mark.parametrize("delimiter", [",", ";", "\t", "|"])
    def test_the_delimiter_is_what_the_first_line_has(self, reader, delimiter):
        head = delimiter.join(["text", '"a, b; c"', "n"])
        table = reader(f"{head}\n{delimiter.join('xyz')}\n")
        assert table.columns == ["text", "a, b; c", "n"]
        assert rows(table)[0]["text"] == "x"

    def test_a_single_column_needs_none(self, reader):
        assert rows(reader("text\nhello\nyou\n")) == [
            {"text": "hello"},
            {"text": "you"},
        ]

    def test_blank_lines_are_no_rows_and_short_rows_are_filled(self, reader):
        assert rows(reader("a,b\n\n1\n\n2,3\n\n")) == [
            {"a": "1", "b": ""},
            {"a": "2", "b": "3"},
        ]

    def test_values_stay_as_they_are_written(self, reader):
        (row,) = rows(reader("a,b,c,d\nNA,007,1e3, x \n"))
        assert row == {"a": "NA", "b": "007", "c": "1e3", "d": " x "}

    def test_a_mark_is_no_part_of_the_first_name(self, reader):
        table = reader(b"\xef\xbb\xbftext\nx\n", encoding="utf-8-sig")
        assert table.columns == ["text"]
        assert table.has_mark

    def test_long_fields(self, reader):
        (row,) = rows(reader("text\n" + "x" * 300_000 + "\n"))
        assert len(row["text"]) == 300_000

    @pytest.mark.parametrize("skip", range(6))
    def test_rows_can_be_skipped(self, reader, skip):
        table = reader("n\n" + "\n".join(map(str, range(5))))
        assert [row["n"] for row in rows(table, 2, skip)] == list("01234"[skip:])

    def test_chunks_have_the_size_asked_for(self, reader):
        table = reader("n\n" + "1\n" * 5)
        assert [len(chunk.rows) for chunk in table.chunks(2)] == [2, 2, 1]

    @pytest.mark.parametrize(
        ("content", "message"),
        [
            ("", "table is empty"),
            ("\n1,2\n", "table is empty"),
            ("a,b,a\n1,2,3\n", "has the column 'a' twice"),
            ("a,b\n1,2\n1,2,3\n", "row with 3 fields in line 3, but 2"),
        ],
    )
    def test_what_cannot_be_read_is_named(self, reader, content, message):
        with pytest.raises(InvalidInputError, match=message):
            rows(reader(content))

    @pytest.mark.parametrize("content", [b"caf\xe9,b\n1,2\n", b"a,b\n1,2\n\xe9,3\n"])
    def test_another_encoding_is_named(self, reader, content):
        with pytest.raises(InvalidInputError, match=r"byte 0xe9.*--encoding"):
            rows(reader(content))


class TestTsv:
    def test_tabs_separate_whatever_else_there_is(self, reader):
        table = reader("a,b,c\td\nx,y\tz\n", "tsv")
        assert rows(table) == [{"a,b,c": "x,y", "d": "z"}]


class TestJsonLines:
    def test_values_keep_their_types_and_lines_their_form(self, reader):
        line = '{"text": "caf\\u00e9",  "n": 1.50, "more": {"a": [1]}}'
        (chunk,) = reader(f"{line}\r\n\n", "jsonl").chunks(5)
        assert chunk.lines == [line]
        assert chunk.rows == [{"text": "café", "n": 1.5, "more": {"a": [1]}}]

    def test_separators_of_unicode_end_no_line(self, reader):
        line = json.dumps({"text": "a\u2028b\x85c"}, ensure_ascii=False)
        assert rows(reader(line, "jsonl")) == [{"text": "a\u2028b\x85c"}]

    def test_rows_can_be_skipped(self, reader):
        table = reader("".join(f'{{"n": {n}}}\n\n' for n in range(5)), "jsonl")
        assert [row["n"] for row in rows(table, 2, 3)] == [3, 4]

    @pytest.mark.parametrize(
        ("content", "message"),
        [
            ("", "table is empty"),
            ('{"a": 1}\n\n{"a": \n', "line 3 is no JSON"),
            ('["a"]\n', "line 1 is a JSON list"),
            ('[{"a": 1},\n{"a": 2}]\n', "one JSON array is not read"),
        ],
    )
    def test_what_cannot_be_read_is_named(self, reader, content, message):
        with pytest.raises(InvalidInputError, match=message):
            rows(reader(content, "jsonl"))


class TestParquet:
    def test_rows_and_batches(self, tmp_path):
        import pyarrow as pa
        import pyarrow.parquet as pq

        path = tmp_path / "t.parquet"
        pq.write_table(pa.table({"text": list("abcde"), "n": range(5)}), path)
        table = open_reader(path, "parquet", "", "t")
        assert table.columns == ["text", "n"]
        for skip in range(6):
            found = [row["n"] for row in rows(table, 2, skip)]
            assert found == list(range(skip, 5))

    def test_another_file_is_refused(self, reader):
        with pytest.raises(InvalidInputError, match="is no Parquet file"):
            reader("a,b\n1,2\n", "parquet")

    def test_names_that_come_twice_are_refused(self, tmp_path):
        import pyarrow as pa
        import pyarrow.parquet as pq

        path = tmp_path / "t.parquet"
        columns = [pa.array(["a"]), pa.array(["b"])]
        pq.write_table(pa.Table.from_arrays(columns, ["text", "text"]), path)
        with pytest.raises(InvalidInputError, match="the column 'text' twice"):
            open_reader(path, "parquet", "", "t")

    def test_damage_is_named(self, tmp_path):
        import pyarrow as pa
        import pyarrow.parquet as pq

        path = tmp_path / "t.parquet"
        texts = [f"a text of number {n}" for n in range(1000)]
        pq.write_table(pa.table({"text": texts}), path, compression="zstd")
        content = bytearray(path.read_bytes())
        content[200:400] = bytes(200)
        path.write_bytes(content)
        table = open_reader(path, "parquet", "", "t")
        with pytest.raises(InvalidInputError, match="t is damaged behind row 0"):
            rows(table)


class TestOddBytes:
    def test_a_zero_is_a_character(self, reader):
        assert rows(reader("a,b\n1\0,2\n")) == [{"a": "1\0", "b": "2"}]

    def test_a_carriage_return_in_a_cell_is_named(self, reader):
        with pytest.raises(InvalidInputError, match=r"carriage return.* in line 3"):
            rows(reader("a,b\n1,2\n3\r4,5\n"))

    def test_two_at_the_end_of_a_line_are_none(self, reader):
        found = rows(reader("a,b\r\r\n1,2\r\r\n"))
        assert found == [{"a": "1", "b": "2"}]

    def test_bytes_that_do_not_fit_are_named_or_replaced(self, reader):
        content = "a,b\né,1\n".encode() + b"x\xff,2\n"
        with pytest.raises(InvalidInputError, match=r"0xff in line 3, column 2.*-repl"):
            rows(reader(content))
        found = rows(reader(content, encoding="utf-8-replace"))
        assert found[1] == {"a": "x\ufffd", "b": "2"}

    def test_json_that_is_too_deep_is_no_json(self, reader):
        with pytest.raises(InvalidInputError, match="line 1 is no JSON"):
            reader("[" * 200_000, "jsonl")


def test_json_that_is_nested_too_deeply_is_an_error_with_its_line(reader):
    content = '{"a": 1}\n' + "[" * 100_000
    with pytest.raises(InvalidInputError, match=r"table, line 2 is no JSON .*nested"):
        rows(reader(content, "jsonl"))


def test_utf16_without_its_mark_is_told_with_the_option(reader):
    with pytest.raises(InvalidInputError, match=r"not utf-16 throughout .*--encoding"):
        reader(b"a,b\n1,2\n", encoding="utf-16")
