"""The formats in which word vectors are passed around, read and written.

Each yields words and numbers block by block, so that files larger than memory can be
read. The format is told by the content and never by the name alone. Only a pickle,
which runs what it holds, is not opened for what it looks like: the caller says so.

=================  ================================================================
word2vec, .vec     text with a first line "n_words width"
GloVe              the same without a first line
word2vec binary    the first line, then "word ", the bytes of the numbers
fastText .bin      read by gensim, with subwords
gensim             ``KeyedVectors.save`` and models, a pickle, read by gensim
kumo               a folder with ``..._emb.npy`` and ``..._index.parquet``
sktransfer         a folder written by `write_table`
=================  ================================================================

Text and word2vec binary may be compressed (.gz).
"""

from __future__ import annotations

import contextlib
import gzip
import itertools
import zlib
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import IO, cast

import numpy as np

from sktransfer.exceptions import WordVectorsError
from sktransfer.storage import write_file_beside, write_folder_beside
from sktransfer.validation import check_parameters, one_of
from sktransfer.words.files.gensim_files import (
    is_fasttext,
    is_pickle,
    read_fasttext,
    read_gensim,
)
from sktransfer.words.files.old_tables import read_old_table
from sktransfer.words.files.package_files import read_package_folder
from sktransfer.words.files.proofs import MOST_NUMBERS, MOST_WORDS, read_facts
from sktransfer.words.files.tables import (
    FACTS,
    WORDS_A_BLOCK,
    Block,
    Source,
    Table,
    find_others,
    is_old,
    is_table,
    open_table,
    split_source,
    write_table,
)

__all__ = ["FORMATS", "read_source", "write_vectors"]

_BYTES_A_READ = 1 << 22
_MOST_BYTES_OF_A_WORD = 1 << 20
_MOST_BYTES_OF_A_NUMBER = 1 << 10

FORMATS = ("sktransfer", "word2vec", "word2vec-binary", "gensim")


def read_source(
    path: Path, limit: int | None = None, format: str | None = None
) -> Source:
    """Start to read the vectors at `path`, an existing file or folder.

    `format` None tells it by the content and refuses pickles; "gensim" has gensim
    unpickle. Most faults of a file show only when the blocks are read.
    """
    if format == "gensim":
        return read_gensim(path, limit)
    if path.is_dir():
        return _read_folder(path, limit)
    with _open_to_read(path) as file:
        start = file.read(4096)
    if is_fasttext(start):
        return read_fasttext(path, limit)
    if is_pickle(start):
        raise WordVectorsError(
            f"{path} is a pickle, as gensim's save writes it, and opening a pickle "
            "runs whatever code it holds, so it is not opened for its name alone. If "
            f"you trust who wrote it: WordVectors.load({str(path)!r}, "
            "format='gensim'), which can be passed on in place of the path."
        )
    first, _, rest = start.partition(b"\n")
    header = first.split()
    if len(header) == 2 and all(field.isdigit() for field in header):
        n_words, width = map(int, header)
        if not 1 <= n_words <= MOST_WORDS or not 1 <= width <= MOST_NUMBERS:
            raise WordVectorsError(
                f"The first line of {path} announces {header[0].decode():.20} words of "
                f"{header[1].decode():.20} numbers, but at least one of each, and at "
                f"most {MOST_WORDS} words of {MOST_NUMBERS} numbers, are expected: "
                "repair that line, or get the file again."
            )
        wanted = n_words if limit is None else min(n_words, limit)
        if _is_binary(rest, width):
            return Source(width, _read_binary(path, wanted, width))
        found = _width_of_lines(path, rest)
        if found != width:
            raise WordVectorsError(
                f"The first line of {path} announces vectors of {width} numbers, but "
                f"its lines have {found}: repair that line, or get the file again."
            )
        return Source(width, _read_text(path, width, limit, n_words))
    width = _width_of_lines(path, start)
    return Source(width, _read_text(path, width, limit, None))


@contextlib.contextmanager
def _open_to_read(path: Path) -> Iterator[IO[bytes]]:
    """Open a file, compressed or not, for reading."""
    with path.open("rb") as raw:
        compressed = raw.read(2) == b"\x1f\x8b"
        raw.seek(0)
        if not compressed:
            yield raw
            return
        try:
            with gzip.GzipFile(fileobj=raw) as file:
                yield cast("IO[bytes]", file)
        except (EOFError, gzip.BadGzipFile, zlib.error) as error:
            raise WordVectorsError(
                f"{path} cannot be unpacked ({error}): get it again."
            ) from error


def _is_binary(start: bytes, width: int) -> bool:
    """Whether what follows the first line is bytes of numbers rather than digits."""
    line, ended, _ = start.lstrip(b"\n").partition(b"\n")
    if ended and _count_numbers(line) >= width:
        return False  # also where the first word holds spaces
    _, space, numbers = start.lstrip(b"\n").partition(b" ")
    fields = numbers.split(b"\n")[0].split()[:width]
    # The last field may be cut where the sample ends.
    for field in fields[:-1] if len(fields) > 1 else fields:
        try:
            float(field)
        except ValueError:
            return True
    return not space


def _width_of_lines(path: Path, start: bytes) -> int:
    """Numbers a line: what most of the first lines end with, as words hold spaces."""
    lines = start.split(b"\n")
    if len(lines) > 1:
        lines.pop()  # cut where the sample ends
    counts = Counter(_count_numbers(line) for line in lines if line.strip())
    width = max(counts, key=lambda count: (counts[count], count), default=0)
    if width < 1:
        raise WordVectorsError(
            f"{path} is in no known format: text with a word and its numbers on each "
            "line, word2vec binary or fastText .bin is expected."
        )
    return width


def _count_numbers(line: bytes) -> int:
    """Fields at the end of a line that are numbers; the first one is the word's."""
    numbers = itertools.takewhile(_is_float, reversed(line.split()[1:]))
    return sum(1 for _ in numbers)


def _read_text(
    path: Path, width: int, limit: int | None, n_words: int | None
) -> Iterator[Block]:
    n_read = 0
    with _open_to_read(path) as file:
        n_line = 0
        if n_words is not None:
            file.readline()
            n_line = 1
        lines = itertools.islice(_read_lines(file, width, path), limit)
        while block := list(itertools.islice(lines, WORDS_A_BLOCK)):
            words, matrix = _parse_lines(block, width, path, n_line)
            n_line += len(block)
            n_read += len(words)
            yield words, matrix
    if n_words is not None and limit is None and n_read != n_words:
        raise WordVectorsError(
            f"The first line of {path} announces {n_words} words, but {n_read} follow: "
            "the file was cut or put together from several; get it again."
        )


def _read_lines(file: IO[bytes], width: int, path: Path) -> Iterator[bytes]:
    """Lines, none of them longer than memory: not every file has ends of lines."""
    most = _MOST_BYTES_OF_A_WORD + _MOST_BYTES_OF_A_NUMBER * width
    while line := file.readline(most):
        if len(line) == most:
            raise WordVectorsError(
                f"{path} has a line of more than {most} bytes, but a word and {width} "
                "numbers are expected on each: get the file again."
            )
        yield line


def _parse_lines(lines: list[bytes], width: int, path: Path, n_before: int) -> Block:
    """Words and numbers of some lines, all numbers in one call."""
    words, numbers = [], []
    for number, line in enumerate(lines, n_before + 1):
        fields = line.rstrip().rsplit(b" ", width)
        if len(fields) != width + 1:
            if not line.strip():
                continue
            fields = line.split()
            raise WordVectorsError(
                f"Line {number} of {path} has {len(fields) - 1} numbers, but {width} "
                "are expected, as in the first lines: the file was cut, or its lines "
                "have different lengths."
            )
        # Not all writers keep to UTF-8; such words are hardly looked up.
        words.append(fields[0].decode("utf-8", "replace"))
        numbers += fields[1:]
    try:
        with np.errstate(over="ignore"):  # found where it is written
            matrix = np.fromiter(map(float, numbers), np.float32, len(numbers))
    except ValueError as error:
        place = next(
            place for place, field in enumerate(numbers) if not _is_float(field)
        )
        full = [
            number for number, line in enumerate(lines, n_before + 1) if line.strip()
        ]
        raise WordVectorsError(
            f"The vector of {words[place // width]!r:.80} in {path}, line "
            f"{full[place // width]}, has "
            f"{numbers[place].decode('utf-8', 'replace')!r:.80} as number "
            f"{place % width}, but a number is expected: repair the file, or get it "
            "again."
        ) from error
    return words, matrix.reshape(-1, width)


def _is_float(field: bytes) -> bool:
    with contextlib.suppress(ValueError):
        float(field)
        return True
    return False


def _read_binary(path: Path, wanted: int, width: int) -> Iterator[Block]:
    n_bytes = 4 * width
    with _open_to_read(path) as file:
        file.readline()
        buffer, place, n_read = b"", 0, 0
        words: list[str] = []
        numbers: list[bytes] = []
        while n_read < wanted:
            space = buffer.find(b" ", place)
            if max(space, len(buffer) * (space < 0)) - place > _MOST_BYTES_OF_A_WORD:
                raise WordVectorsError(
                    f"{path} has no space behind word {n_read} for "
                    f"{_MOST_BYTES_OF_A_WORD} bytes: the file is damaged; get it again."
                )
            if space < 0 or space + 1 + n_bytes > len(buffer):
                fresh = file.read(_BYTES_A_READ)
                if not fresh:
                    raise WordVectorsError(
                        f"{path} ends after {n_read} words, but {wanted} are expected: "
                        "the file was cut; get it again."
                    )
                buffer, place = buffer[place:] + fresh, 0
                continue
            # Some writers put a line break behind each vector.
            word = buffer[place:space].lstrip(b"\n")
            words.append(word.decode("utf-8", "replace"))
            place = space + 1 + n_bytes
            numbers.append(buffer[space + 1 : place])
            n_read += 1
            if len(words) == WORDS_A_BLOCK or n_read == wanted:
                matrix = np.frombuffer(b"".join(numbers), "<f4").reshape(-1, width)
                yield words, matrix
                words, numbers = [], []


def _read_folder(path: Path, limit: int | None) -> Source:
    if not is_table(path):
        return split_source(*read_package_folder(path), limit)
    facts = read_facts(path / FACTS)
    if is_old(facts):
        return read_old_table(path, facts, limit)
    table = open_table(path, facts)
    n_words = min(len(table.rows), limit or len(table.rows))
    first = table.rows.take(np.arange(n_words))
    return split_source(table.vocabulary.words, first, limit, table.subwords)


def write_vectors(path: Path, table: Table, format: str) -> None:
    """Write vectors to `path`, which is either whole afterwards or as it was.

    A folder for "sktransfer", else a file, compressed where its name ends in .gz.
    """
    check_parameters({"format": format}, {"format": one_of(*FORMATS)}, always=True)
    words, matrix = table.vocabulary.words, table.matrix
    if format == "sktransfer":
        _check_place(path)
        source = Source(matrix.shape[1], iter([(list(words), matrix)]), table.subwords)
        with write_folder_beside(path) as folder:
            write_table(folder, source, str(matrix.dtype), str(path))
        return
    if format == "gensim":
        _write_gensim(path, table)
        return
    binary = format == "word2vec-binary"
    for word in words:
        # Text lines keep words with spaces apart by their width; the rest cannot.
        whole = word.encode(errors="ignore").decode() == word  # no half of a character
        if not word or "\n" in word or (binary and " " in word) or not whole:
            raise WordVectorsError(
                f"The word {word!r} cannot be written as {format}: save as "
                "'sktransfer' or 'gensim', or leave the word out."
            )
    with write_file_beside(path) as beside, _open_to_write(beside, path) as file:
        file.write(f"{len(words)} {matrix.shape[1]}\n".encode())
        for word, vector in zip(words, matrix.astype(np.float32), strict=True):
            file.write(word.encode() + b" ")
            # Nine digits give every float32 back exactly.
            text = " ".join(f"{number:.9g}" for number in vector.tolist())
            file.write(vector.astype("<f4").tobytes() if binary else text.encode())
            file.write(b"\n")


def _check_place(path: Path) -> None:
    """Refuse to replace anything but a folder of vectors by one."""
    if path.exists() and not path.is_dir():
        raise WordVectorsError(
            f"{path} is a file, but vectors are saved to a folder: name another path, "
            "or another format."
        )
    if path.exists() and (others := find_others(path)):
        raise WordVectorsError(
            f"{path} holds {', '.join(others[:5])}, and saving would remove that: move "
            "it, or choose a new folder."
        )


def _open_to_write(beside: Path, path: Path) -> IO[bytes]:
    if path.suffix == ".gz":
        return gzip.open(beside, "wb")  # type: ignore[return-value]
    return beside.open("wb")


def _write_gensim(path: Path, table: Table) -> None:
    from gensim.models import KeyedVectors

    keyed = KeyedVectors(table.matrix.shape[1])
    keyed.add_vectors(list(table.vocabulary.words), np.array(table.matrix, np.float32))
    # gensim puts large arrays beside the file under its name, so no renaming here.
    keyed.save(str(path))
