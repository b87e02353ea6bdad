"""``sktransfer predict``: labels and probabilities beside each row, at any size."""

from __future__ import annotations

import math
import sys
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Annotated, Any

import typer

from sktransfer.cli.input_file import (
    check_columns,
    choose_format,
    digest_input,
    is_missing,
    open_input,
)
from sktransfer.cli.options import (
    OUTPUT,
    Encoding,
    EscapeFormulas,
    Format,
    Fresh,
    Overwrite,
    Quotes,
    Text,
    option,
)
from sktransfer.cli.outputs import (
    check_apart,
    check_free,
    check_inputs_stay,
    check_no_part,
    check_writable,
)
from sktransfer.cli.tables.growing_file import GrowingFile
from sktransfer.cli.tables.table_readers import Chunk, Reader
from sktransfer.cli.tables.table_writers import Writer, make_writer
from sktransfer.cli.terminal import RowCounter, named, note

__all__ = ["EXAMPLES", "predict", "predict_file"]

# Rows that are read, labelled and written at once.
N_ROWS = 2048
# On the standard output somebody may be watching, or have seen enough.
N_ROWS_SEEN = 256


EXAMPLES = """
[bold]Examples[/bold]

  sktransfer predict out/model new.csv --text review -o labelled.csv

  sktransfer predict out/model new.csv --abstain 0.95 -o labelled.csv

  cat new.jsonl | sktransfer predict out/model - --format jsonl -o - | head

Every row of the input is in the output, in the same order, with the columns
"predicted" and "probability_..." added. In CSV a label such as =1+1 has an
apostrophe before it, so that no spreadsheet runs it. With --abstain 0.95 "predicted" is
empty where the model is not sure enough for 95 % of its labels to be right.

After a crash or Ctrl-C the same command goes on where it was.
"""


def predict(
    model: Annotated[
        str, typer.Argument(help="Folder of a saved model.", metavar="MODEL")
    ],
    file: Annotated[str, typer.Argument(help="Texts to label.", metavar="FILE")],
    output: Annotated[
        str, option("--output -o", "File to write; - is the output.", "FILE", OUTPUT)
    ] = "-",
    text: Text = "text",
    prefix: Annotated[
        str, option("--prefix", "Put before the new columns' names.", "WORD", OUTPUT)
    ] = "",
    abstain: Annotated[
        float | None,
        option(
            "--abstain",
            "Accuracy that labels shall have: uncertain ones are left empty.",
            "SHARE",
        ),
    ] = None,
    format: Format = None,
    output_format: Annotated[
        str | None,
        option(
            "--output-format",
            "Of the output; by its name if not given.",
            "FORMAT",
            OUTPUT,
        ),
    ] = None,
    encoding: Encoding = None,
    quotes: Quotes = "auto",
    escape_formulas: EscapeFormulas = None,
    fresh: Fresh = False,
    overwrite: Overwrite = False,
) -> None:
    """Label texts of any number with a saved model."""
    n_rows = predict_file(
        model,
        file,
        text=text,
        output=output,
        prefix=prefix,
        abstain=abstain,
        format=format,
        output_format=output_format,
        encoding=encoding,
        quotes=quotes,
        escape_formulas=escape_formulas,
        fresh=fresh,
        overwrite=overwrite,
    )
    if output != "-":
        note(f"{n_rows:,} rows are in {output}.")


def predict_file(
    model: str,
    name: str,
    *,
    text: str,
    output: str,
    prefix: str = "",
    abstain: float | None = None,
    format: str | None = None,
    output_format: str | None = None,
    encoding: str | None = None,
    quotes: str = "auto",
    escape_formulas: bool | None = None,
    fresh: bool = False,
    overwrite: bool = False,
) -> int:
    """Write a table with the predictions of a saved model, and count its rows.

    "-" is the standard input or output. Formats go by the names where they are None,
    the encoding by the bytes. Where `abstain` is given, labels are left empty that are
    too uncertain to be right so often. `quotes` and `escape_formulas` are those of
    `Reader` and `Writer`.
    """
    if abstain is not None and not 0 < abstain < 1:
        raise typer.BadParameter(
            f"{abstain} is no accuracy between 0 and 1, such as 0.95",
            param_hint="--abstain",
        )
    if output == "-" and output_format is None:
        read_as = choose_format(name, format, option="--format")
        output_format = "csv" if read_as == "parquet" else read_as
    path = None if output == "-" else Path(output).expanduser()
    if path is not None:
        _check_place(path, name, model, overwrite=overwrite)
    written_as = choose_format(output, output_format, option="--output-format")
    with open_input(name, format, encoding, quotes) as reader:
        check_columns(reader, text=text)
        labeller = _Labeller(model, text, prefix, abstain)
        _check_free(reader, list(labeller.samples))
        writer = make_writer(written_as, reader, labeller.samples, escape_formulas)
        if path is None:
            n_rows = _write_stream(reader, labeller, writer)
            _tell(labeller, writer)
            return n_rows
        made_of = {
            "input": digest_input(reader.path),
            "model": labeller.digest,
            "columns": f"{text!r} to {prefix!r} as {written_as}",
            "way of reading": (
                f"{reader.format}, {reader.encoding}, {reader.errors}, {quotes}"
            ),
            "--escape-formulas": str(escape_formulas),
        }
        if abstain is not None:
            made_of["--abstain"] = repr(abstain)
        growing = GrowingFile(path, made_of, fresh=fresh)
        n_rows = _write_file(reader, labeller, writer, growing, overwrite=overwrite)
        if not growing.is_done:
            _tell(labeller, writer)
        return n_rows


def _tell(labeller: _Labeller, writer: Writer) -> None:
    """Say what is not to be seen in the output."""
    labeller.tell_abstained()
    if writer.n_formulas:
        told = f"{writer.n_formulas:,} cells of the input may be run by a spreadsheet"
        if writer.escapes_input:
            note(f"{told}: they got an apostrophe; --no-escape-formulas leaves it out.")
        elif writer.escape is None:
            note(f"{told}: --escape-formulas puts an apostrophe before them.")


def _check_place(path: Path, name: str, model: str, *, overwrite: bool) -> None:
    check_writable(path, option="--output")
    inputs = {"the table": name, "the model": model}
    written = [path, *GrowingFile.names(path)]
    check_inputs_stay(inputs, written, option="--output")
    check_apart(path, model, "the model", option="--output")
    check_no_part(path, GrowingFile.names, option="--output")
    if not GrowingFile.is_left_whole(path):
        check_free(path, overwrite=overwrite, option="--output")


def _write_file(
    reader: Reader,
    labeller: _Labeller,
    writer: Writer,
    growing: GrowingFile,
    *,
    overwrite: bool,
) -> int:
    with ExitStack() as stack:
        stack.enter_context(named(growing.path))
        stack.enter_context(growing)
        if growing.is_done:
            note("An earlier run was stopped when all was done but to say so.")
            return growing.n_rows

        # Hours may have passed since it was looked at.
        def check() -> None:
            check_free(growing.path, overwrite=overwrite, option="--output")

        check()
        if growing.is_resumed:
            note(f"Going on after {growing.n_rows:,} rows of an earlier run.")
            labeller.scope = " of this run"
        else:
            growing.append(writer.head(), 0)
        counter = stack.enter_context(RowCounter(growing.n_rows))
        try:
            for chunk in reader.chunks(N_ROWS, skip=growing.n_rows):
                growing.append(
                    writer.encode(chunk, labeller.label(chunk)), len(chunk.rows)
                )
                counter.advance(len(chunk.rows))
        except KeyboardInterrupt:
            counter.stop()
            note(f"{growing.n_rows:,} rows are done; the same command goes on.")
            raise
        growing.finish(check, writer.converter())
    return growing.n_rows


def _write_stream(reader: Reader, labeller: _Labeller, writer: Writer) -> int:
    if writer.format == "parquet":
        raise typer.BadParameter(
            "Parquet cannot be written to the standard output: name a file",
            param_hint="--output",
        )
    out, n_rows = sys.stdout.buffer, 0
    with named("the standard output"):
        out.write(writer.head())
        for chunk in reader.chunks(N_ROWS_SEEN):
            out.write(writer.encode(chunk, labeller.label(chunk)))
            out.flush()
            n_rows += len(chunk.rows)
    return n_rows


def _check_free(reader: Reader, added: list[str]) -> None:
    taken = [name for name in added if name in reader.columns]
    if taken:
        raise typer.BadParameter(
            f"{reader.name} has a column {taken[0]!r} already: say --prefix new_, or "
            "another word, to name the new columns otherwise",
            param_hint="--prefix",
        )


class _Labeller:
    """A model with the names of the columns that it fills.

    With an accuracy in `abstain` labels are None that are too uncertain for it.
    """

    def __init__(
        self, folder: str, text: str, prefix: str, abstain: float | None = None
    ) -> None:
        from sktransfer.bundles.folders import manifest_digest
        from sktransfer.persistence import load

        self.model = load(folder)
        self.digest = manifest_digest(folder)
        _check_model(self.model, folder)
        self.least = None if abstain is None else _read_least(folder, abstain)
        self.n_labelled, self.n_abstained, self.scope = 0, 0, ""
        self.text = text
        classes = getattr(self.model, "classes_", [])
        self.samples: dict[str, list[Any]] = {
            f"{prefix}predicted": [_plain(label) for label in classes] or [""]
        }
        if hasattr(self.model, "predict_proba"):
            self.samples |= {f"{prefix}probability_{label}": [0.5] for label in classes}

    def label(self, chunk: Chunk) -> dict[str, list[Any]]:
        """New columns of a chunk; a row without a text gets nothing in them."""
        there = [n for n, row in enumerate(chunk.rows) if self._text(row) is not None]
        texts = [self._text(chunk.rows[row]) for row in there]
        columns: dict[str, list[Any]] = {
            name: [None] * len(chunk.rows) for name in self.samples
        }
        if not texts:
            return columns
        for name, values in zip(columns, self._ask(texts), strict=True):
            for row, value in zip(there, values, strict=True):
                columns[name][row] = value
        return columns

    def _ask(self, texts: list[Any]) -> Iterator[list[Any]]:
        from sktransfer.comparison.run import evaluation

        has_probabilities = len(self.samples) > 1
        if not has_probabilities and self.least is None:
            yield [_plain(label) for label in self.model.predict(texts)]
            return
        predictions = evaluation.predict(self.model, texts, self.model.classes_)
        labels = [_plain(label) for label in predictions.labels]
        if self.least is not None:
            # The probability of the label, which need not be the largest one.
            given = predictions.probabilities
            said = given[self.model.classes_ == predictions.labels[:, None]]
            kept = (said >= self.least).tolist()
            labels = [
                label if sure else None
                for label, sure in zip(labels, kept, strict=True)
            ]
            self.n_labelled += len(labels)
            self.n_abstained += kept.count(False)
        yield labels
        if has_probabilities:
            yield from predictions.probabilities.round(6).T.tolist()

    def tell_abstained(self) -> None:
        """Say how many labels are empty, where some may be."""
        if self.least is not None:
            texts = f"{self.n_labelled:,} texts{self.scope}"
            note(f"{self.n_abstained:,} of {texts} got no label: too uncertain.")

    def _text(self, row: dict[str, Any]) -> str | None:
        value = row.get(self.text)
        return None if is_missing(value) else str(value)


def _check_model(model: Any, folder: str) -> None:
    if not hasattr(model, "predict"):
        raise typer.BadParameter(
            f"the model in {folder!r} is a {type(model).__name__}, which predicts "
            "nothing: name the folder of a classifier",
            param_hint="MODEL",
        )
    if not hasattr(model, "n_features_in_"):
        return
    try:  # It counts columns, and may take texts all the same.
        model.predict(["a text"])
    except (TypeError, ValueError) as error:
        raise typer.BadParameter(
            f"the model in {folder!r} was fitted on {model.n_features_in_} columns of "
            "numbers and cannot read texts: name one that was fitted on texts, such "
            "as a pipeline that begins with a vectorizer",
            param_hint="MODEL",
        ) from error


def _read_least(folder: str, accuracy: float) -> float:
    """Least confidence of labels that are right so often."""
    from sktransfer.bundles.folders import read_beside
    from sktransfer.exceptions import InvalidInputError
    from sktransfer.persistence import CONFIDENCE
    from sktransfer.statistics.selective import ConfidenceTable

    found = read_beside(folder, CONFIDENCE)
    if found is None:
        raise typer.BadParameter(
            f"the model in {folder!r} does not say how often its labels are right: "
            "save one by sktransfer compare --report, or by save(..., confidence=...)",
            param_hint="--abstain",
        )
    try:
        table = ConfidenceTable.from_dict(found)
    except InvalidInputError as error:
        raise typer.BadParameter(
            f"{CONFIDENCE} in {folder!r} cannot be used: {error}",
            param_hint="--abstain",
        ) from error
    promise = table.promise(accuracy)
    if not promise.share:
        most = table.highest_promise()
        offer = "nothing can" if math.isnan(most) else f"{most:g} can at most"
        raise typer.BadParameter(
            f"an accuracy of {accuracy:g} cannot be promised for any label of the "
            f"model in {folder!r}: by the {table.n[-1]:,} it was tried on, {offer}",
            param_hint="--abstain",
        )
    note(
        f"Labels from a confidence of {promise.threshold:.3f} on: out of fold "
        f"{promise.share:.0%} of the texts, of which {promise.accuracy:.1%} were right."
    )
    return promise.threshold


def _plain(label: Any) -> Any:
    return label.item() if hasattr(label, "item") else label
