"""A quote without a partner is found, and honest cells of many lines are left alone."""

import csv
import io
import random
import warnings

import pytest

from sktransfer.cli.tables.quotes import check_quotes
from sktransfer.cli.tables.table_readers import open_reader
from sktransfer.exceptions import InvalidInputError, SktransferWarning

COLUMNS = ["id", "text", "label"]
ROWS = [[str(n), "a good film", "pos" if n % 2 else "neg"] for n in range(1006)]


def write(rows, columns=COLUMNS):
    text = io.StringIO(newline="")
    csv.writer(text, lineterminator="\n").writerows([columns, *rows])
    return text.getvalue()


def check(content, columns=COLUMNS, delimiter=","):
    lines = io.StringIO(content, newline="\n")
    check_quotes(lines, columns, "table", {"delimiter": delimiter})


def put(content, line, old, new):
    lines = content.split("\n")
    assert old in lines[line - 1]
    lines[line - 1] = lines[line - 1].replace(old, new)
    return "\n".join(lines)


class TestStrayQuotes:
    def test_one_that_takes_all_the_rest(self):
        with pytest.raises(InvalidInputError, match=r"in line 1,007 .* in line 6:"):
            check(put(write(ROWS).rstrip(), 6, "a good", '"a good'))

    def test_one_that_another_cell_ends(self):
        rows = [*ROWS[:40], ["40", "good, not bad", "pos"], *ROWS[41:]]
        content = put(write(rows), 6, "a good", '"a good')
        with pytest.raises(InvalidInputError, match="line 6 and ends in line 42"):
            check(content)

    def test_so_it_is_where_that_is_the_next_row(self):
        rows = [*ROWS[:40], ["40", "good, not bad", "pos"], *ROWS[41:]]
        content = put(write(rows), 41, "a good", '"a good')
        with pytest.raises(InvalidInputError, match="line 41 and ends in line 42"):
            check(content)

    def test_two_that_make_a_cell_of_many_rows(self):
        content = put(write(ROWS), 6, "a good", '"a good')
        content = put(content, 900, "film", 'film"')
        with pytest.raises(InvalidInputError, match="line 6 and ends in line 900"):
            check(content)

    def test_of_few_rows_it_is_told(self):
        content = put(write(ROWS), 6, "a good", '"a good')
        content = put(content, 8, "film", 'film"')
        with pytest.warns(SktransferWarning, match="from line 6 to line 8"):
            check(content)

    def test_a_single_column(self):
        rows = [[f"film {n}"] for n in range(50)]
        rows[30] = ["good, not bad"]
        content = put(write(rows, ["text"]), 6, "film", '"film')
        with pytest.raises(InvalidInputError, match="line 6 and ends in line 32"):
            check(content, ["text"])

    def test_ways_out_are_named_and_work(self, tmp_path):
        path = tmp_path / "t.csv"
        path.write_text(put(write(ROWS).rstrip(), 6, "a good", '"a good'))
        with pytest.raises(InvalidInputError, match=r"--quotes none.*--quotes trust"):
            open_reader(path, "csv", "utf-8", "table")
        (chunk,) = open_reader(path, "csv", "utf-8", "table", "none").chunks(2000)
        assert len(chunk.rows) == 1006
        assert chunk.rows[4]["text"] == '"a good film'
        (chunk,) = open_reader(path, "csv", "utf-8", "table", "trust").chunks(2000)
        assert len(chunk.rows) == 5


class TestHonestCells:
    @pytest.fixture(autouse=True)
    def no_warnings(self):
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            yield

    @pytest.mark.parametrize("seed", range(20))
    def test_reviews_of_many_lines_with_commas(self, seed):
        drawn = random.Random(seed)
        words = ["Great", "but", "1", "pos", "the end", 'a "quote"', "5", ""]
        rows = []
        for number in range(200):
            pieces = [
                drawn.choice(words) + drawn.choice([",", ", ", " ", "\n", "\n\n"])
                for _ in range(drawn.randrange(1, 30))
            ]
            rows.append([str(number), "".join(pieces), drawn.choice(["pos", "neg"])])
        check(write(rows))

    @pytest.mark.parametrize("n_lines", [10, 5000])
    def test_long_ones_whose_lines_have_as_many_commas_as_rows(self, n_lines):
        rows = [list(row) for row in ROWS]
        rows[7][1] = "\n".join(["nice, small, cheap"] * n_lines)
        check(write(rows))

    def test_numbered_lists(self):
        rows = [[str(n), "a good film"] for n in range(100)]
        rows[3][1] = "what I like:\nthe plot, of course\nthe end, too\nnothing else"
        check(write(rows, ["id", "text"]), ["id", "text"])

    def test_quotes_in_cells_without_any(self):
        check('id,text,label\n1,a 5" screen,pos\n2,say "hi",neg\n')

    def test_sloppy_quotes_in_one_line(self):
        check('id,text,label\n1,"a" or b,pos\n2,c,neg\n')

    @pytest.mark.parametrize("end", ["", "\n"])
    def test_a_last_cell_of_many_lines(self, end):
        check(f'id,text,label\n1,b,"one\ntwo"{end}')

    def test_a_head_of_two_lines(self):
        check('id,"the\ntext",label\n1,b,c\n', ["id", "the\ntext", "label"])
