"""Odd tables with a known truth: each is read right, or refused with the reason.

They have quotes without a partner, bytes that do not fit, odd ends of lines, zeros,
long cells, repeated and empty names, and what else people and programs write.
"""

from __future__ import annotations

import codecs
import csv
import io
import json
import os
import random
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

from kills_of_commands_attack import LONG, command, make_model
from ledger import Ledger, in_child, parse

N_TRIES = 120
WORDS = [
    *("film", "très", "bon", "good", "bad", "不错", "很好", "plot", "naïve", "ok"),
    *("they", "said", "Größe", "1,5", "a;b", "=1+1", "@you", "-", "+49", "'tis"),
]
Rows = list[list[str]]
# The bytes of a file, its format, and rows that are right; None refuses them.
Table = tuple[bytes, str, Rows | None]


def make_rows(drawn: random.Random, *, lines: bool = False) -> Rows:
    rows = []
    for number in range(drawn.choice([3, 30, 300])):
        words = drawn.choices(WORDS, k=drawn.randrange(1, 12))
        marks = [" ", " ", " ", ", ", *([",\n", "\n", "\r\n"] if lines else [])]
        text = "".join(word + drawn.choice(marks) for word in words).strip()
        rows.append([str(number), text, drawn.choice(["pos", "neg"])])
    return rows


def write(rows: Rows, delimiter: str = ",", end: str = "\n", quoting: Any = 0) -> str:
    text = io.StringIO(newline="")
    options: dict[str, Any] = {"lineterminator": end, "quoting": quoting}
    writer = csv.writer(text, delimiter=delimiter, **options)
    writer.writerows([["id", "text", "label"], *rows])
    return text.getvalue()


def honest(drawn: random.Random) -> Table:
    """Quoted line ends, any delimiter, any end of lines, with a mark or without."""
    rows = make_rows(drawn, lines=True)
    delimiter = drawn.choice(",;\t|")
    quoting = drawn.choice([csv.QUOTE_MINIMAL, csv.QUOTE_ALL])
    written = write(rows, delimiter, drawn.choice(["\n", "\r\n"]), quoting)
    encoding = drawn.choice(["utf-8", "utf-8-sig", "utf-16", "utf-32"])
    return written.encode(encoding), "csv", rows


def long_reviews(drawn: random.Random) -> Table:
    """Many lines in a cell, some with as many commas as a row has."""
    rows = make_rows(drawn)
    for row in drawn.sample(rows, 2):
        n_lines = drawn.choice([5, 50, 5000])
        lines = [", ".join(drawn.choices(WORDS[:8], k=3)) for _ in range(n_lines)]
        row[1] = "\n".join(lines)
    return write(rows).encode(), "csv", rows


def long_cell(drawn: random.Random) -> Table:
    rows = make_rows(drawn)
    rows[1][1] = drawn.choice(["x", "很", '"', "a,"]) * drawn.choice([131_073, 400_000])
    return write(rows).encode(), "csv", rows


def stray_quote(drawn: random.Random) -> Table:
    """At the beginning of a cell; other rows may have quoted cells."""
    rows = make_rows(drawn)
    number = drawn.randrange(len(rows))
    lines = write(rows).split("\n")
    place = drawn.choice([0, lines[number + 1].index(",") + 1])
    line = lines[number + 1]
    if line[place] == '"':
        line = line[:place] + line[place + 1 :].replace('"', "", 1)
    lines[number + 1] = line[:place] + '"' + line[place:]
    rows[number] = []
    return "\n".join(lines).encode(), "csv", rows


def two_stray_quotes(drawn: random.Random) -> Table:
    """Without quoted cells between them the second one closes the first."""
    rows = [[str(n), "a good film", drawn.choice("ab")] for n in range(60)]
    first = drawn.randrange(40)
    last = first + drawn.randrange(2, 20)
    lines = write(rows).split("\n")
    lines[first + 1] = lines[first + 1].replace("a good", '"a good')
    lines[last + 1] = lines[last + 1].replace("film", 'film"')
    return "\n".join(lines).encode(), "csv", None


def open_at_the_end(drawn: random.Random) -> Table:
    rows = make_rows(drawn)
    return (write(rows) + '999,"an open cell,pos').encode(), "csv", None


def inner_quotes(drawn: random.Random) -> Table:
    """In a cell that is not quoted they are characters."""
    rows = [[str(n), f'the {n}" screen "ok"', "pos"] for n in range(9)]
    lines = ["id,text,label", *(",".join(row) for row in rows)]
    return "\n".join(lines).encode(), "csv", rows


def damaged_utf8(drawn: random.Random) -> Table:
    rows = make_rows(drawn)
    rows[0][1] = "très bon 很好"
    content = write(rows).encode()
    places = [n for n, byte in enumerate(content) if byte in b" ,\n"]
    place = drawn.choice(places)
    wrong = drawn.choice([b"\xff", b"\xe9", b"\x80", b"\xc3", b"\xe4\xbd"])
    return content[:place] + wrong + content[place:], "csv", None


def cut_utf8(drawn: random.Random) -> Table:
    content = write(make_rows(drawn)).rstrip().encode() + "é".encode()[:1]
    return b"\xef\xbb\xbf" * drawn.randrange(2) + content, "csv", None


def other_encoding(drawn: random.Random) -> Table:
    texts = {
        "cp1252": "Très déçu, l'écran s'est cassé",
        "gb18030": "这家酒店的服务很好，房间也很干净",
        "big5": "這家酒店的服務很好，房間也很乾淨",
    }
    encoding = drawn.choice([*texts])
    n_plain = drawn.choice([0, 10, 30_000])
    rows = [[str(n), "plain text, no more", "pos"] for n in range(n_plain)]
    rows += [[str(n), texts[encoding], "neg"] for n in range(9)]
    return write(rows).encode(encoding), "csv", rows


def utf16_without_mark(drawn: random.Random) -> Table:
    rows = [[str(n), "plain text", "pos"] for n in range(9)]
    return write(rows).encode(drawn.choice(["utf-16-le", "utf-16-be"])), "csv", rows


def zero_bytes(drawn: random.Random) -> Table:
    rows = make_rows(drawn)
    drawn.choice(rows)[1] = "a\0b"
    return write(rows).encode(), "csv", rows


def lone_returns(drawn: random.Random) -> Table:
    """Within a cell that is not quoted, in a file of line feeds."""
    lines = write(make_rows(drawn)).split("\n")
    lines[2] = "2,good\rfilm,pos"
    return "\n".join(lines).encode(), "csv", None


def old_macintosh(drawn: random.Random) -> Table:
    rows = make_rows(drawn)
    return write(rows, end="\r").encode(), "csv", rows


def ragged(drawn: random.Random) -> Table:
    """A cell too many is refused, cells that are lacking at the end are empty."""
    rows = [[str(n), "a good film", "pos"] for n in range(20)]
    lines = write(rows).split("\n")
    number = drawn.randrange(20)
    if drawn.randrange(2):
        lines[number + 1] += ",more"
        return "\n".join(lines).encode(), "csv", None
    lines[number + 1] = f"{number},a good film"
    rows[number][2] = ""
    return "\n".join(lines).encode(), "csv", rows


def odd_names(drawn: random.Random) -> Table:
    rows = make_rows(drawn)
    body = write(rows).partition("\n")[2]
    head = drawn.choice(["id,text,text", "text,text,label", ",,", ""])
    return f"{head}\n{body}".encode(), "csv", None


def blank_lines(drawn: random.Random) -> Table:
    rows = make_rows(drawn)
    return write(rows).replace("\n", "\n\n").encode(), "csv", rows


def tabs(drawn: random.Random) -> Table:
    rows = make_rows(drawn, lines=True)
    return write(rows, "\t").encode(), "tsv", rows


def json_lines(drawn: random.Random) -> Table:
    rows = make_rows(drawn, lines=True)
    rows[0][1] = "half a \ud83d character, \0, \u2028 and \x85"
    names = ["id", "text", "label"]
    ascii_only = drawn.randrange(2) or True
    lines = [
        json.dumps(dict(zip(names, r, strict=True)), ensure_ascii=ascii_only)
        for r in rows
    ]
    end = drawn.choice(["\n", "\r\n", "\n\n"])
    mark = codecs.BOM_UTF8 * drawn.randrange(2)
    return mark + end.join(lines).encode(), "jsonl", rows


def damaged_json(drawn: random.Random) -> Table:
    rows = make_rows(drawn)
    lines = [json.dumps({"id": r[0], "text": r[1], "label": r[2]}) for r in rows]
    wrong = ["[" * 100_000, '{"text": ', "[1]", "nothing", '{"a": NaN]', '"text"']
    lines.insert(drawn.randrange(len(lines) + 1), drawn.choice(wrong))
    return "\n".join(lines).encode(), "jsonl", None


def changing_json(drawn: random.Random) -> Table:
    """A key that comes late, or that predictions need, must not be lost unsaid."""
    rows = [[str(n), "ok", "a"] for n in range(9)]
    lines = [json.dumps({"id": n, "text": t, "label": y}) for n, t, y in rows]
    new = drawn.choice(["predicted", "more"])
    lines.append(json.dumps({"id": "9", "text": "ok", "label": "b", new: "x"}))
    truth = [*rows, ["9", "ok", "b"]] if new == "more" else None
    return "\n".join(lines).encode(), "jsonl", truth


def parquet(drawn: random.Random) -> Table:
    import pyarrow as pa
    import pyarrow.parquet as pq

    rows = make_rows(drawn, lines=True)
    names = ["id", "text", "label"]
    columns = {n: [row[i] for row in rows] for i, n in enumerate(names)}
    out = io.BytesIO()
    pq.write_table(pa.table(columns), out, row_group_size=drawn.choice([7, 1000]))
    content, truth = out.getvalue(), rows
    how = drawn.randrange(3)
    if how == 1:
        content, truth = content[: drawn.randrange(len(content))], None
    return content, "parquet", truth


KINDS: list[Callable[[random.Random], Table]] = [
    *(honest, honest, long_reviews, long_cell, stray_quote, stray_quote),
    *(two_stray_quotes, open_at_the_end, inner_quotes, damaged_utf8, damaged_utf8),
    *(cut_utf8, other_encoding, other_encoding, utf16_without_mark, zero_bytes),
    *(lone_returns, old_macintosh, ragged, odd_names, blank_lines, tabs, json_lines),
    *(damaged_json, changing_json, parquet),
]


# Of formats that cannot hold it, or where nobody can tell.
MAY_BE_REFUSED = (stray_quote, changing_json, json_lines)


def label(folder: str, model: str, name: str, out: str) -> tuple[int, str]:
    os.chdir(folder)
    return command("predict", model, name, "-o", out, "--no-escape-formulas")


def read_back(path: Path) -> Rows:
    """Rows without what was added to them."""
    names = ["id", "text", "label"]
    if path.suffix == ".parquet":
        import pyarrow.parquet as pq

        found = pq.read_table(path).to_pylist()
    elif path.suffix == ".jsonl":
        lines = path.read_text(encoding="utf-8", errors="surrogatepass").split("\n")
        found = [json.loads(line) for line in lines if line]
    else:
        csv.field_size_limit(2**31 - 1)
        with path.open(encoding="utf-8", errors="surrogatepass", newline="") as file:
            head = file.readline().lstrip("\ufeff")
            mark = max(",;\t|", key=head.count)
            heads = next(csv.reader([head], delimiter=mark))
            found = [
                dict(zip(heads, row, strict=True))
                for row in csv.reader(file, delimiter=mark)
            ]
    return [[row[name] for name in names] for row in found]


def is_right(found: Rows, truth: Rows) -> bool:
    """An empty list in the truth stands for a row that may be read in any way."""
    return len(found) == len(truth) and all(
        not right or row == right for row, right in zip(found, truth, strict=True)
    )


def attack(number: int, place: Path, model: str, ledger: Ledger) -> None:
    drawn = random.Random(number)
    kind = KINDS[number % len(KINDS)]
    content, format, truth = kind(drawn)
    folder = Path(tempfile.mkdtemp(dir=place))
    path = folder / f"table.{format}"
    path.write_bytes(content)
    ends = ("jsonl", "parquet") if format in ("jsonl", "parquet") else ("csv", "jsonl")
    out = folder / f"out.{drawn.choice(ends)}"
    answer = in_child(label, str(folder), model, path.name, out.name, seconds=LONG)
    if answer.fault:
        ledger.note(answer.fault, number, f"{kind.__name__}: {answer.text}")
        return
    code, said = answer.value
    detail = f"{kind.__name__} to {out.suffix}: exit {code}: {' '.join(said.split())}"
    if path.read_bytes() != content:
        ledger.note("lost", number, detail)
    elif code:
        # A reason, and for rows where they are.
        clear = "Error" in said and path.name in said and len(said) > 60
        # What is honest is read.
        may_be_refused = truth is None or kind in MAY_BE_REFUSED
        fault = "refused" if may_be_refused else "wrong"
        ledger.note(fault if clear else "unclear", number, detail)
    elif truth is not None and is_right(read_back(out), truth):
        ledger.note("right", number)
    elif kind is two_stray_quotes and "look like rows" in said:
        ledger.note("refused", number)
    else:
        ledger.note("wrong", number, detail)


def main() -> None:
    chosen = parse(__doc__, ["tables"])
    ledger = Ledger("tables", "odd tables through predict: quotes, bytes, line ends")
    with tempfile.TemporaryDirectory() as folder:
        os.environ["SKTRANSFER_CACHE"] = str(Path(folder, "cache"))
        model = str(Path(folder, "model"))
        made = in_child(make_model, model)
        assert made.kind == "value", made
        for number in range(max(1, round(N_TRIES * chosen.share))):
            attack(number, Path(folder), model, ledger)
    ledger.write()


if __name__ == "__main__":
    main()
