"""``sktransfer encode``: a column of texts as vectors in a file of numpy's."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any

import typer

from sktransfer.cli.input_file import check_columns, is_missing, open_input
from sktransfer.cli.options import (
    OUTPUT,
    Encoding,
    Format,
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
from sktransfer.cli.tables.table_readers import Reader
from sktransfer.cli.terminal import named, note, stderr_console
from sktransfer.packages import DEFAULT_ENCODER

__all__ = ["EXAMPLES", "encode", "encode_file"]

_N_ROWS = 8192


EXAMPLES = """
[bold]Examples[/bold]

  sktransfer encode reviews.csv --text review -o vectors.npy

  python -c "import numpy as np; print(np.load('vectors.npy', mmap_mode='r').shape)"

After a crash or Ctrl-C the same command goes on where it was.
"""


def encode(
    file: Annotated[str, typer.Argument(help="Texts to encode.", metavar="FILE")],
    output: Annotated[str, option("--output -o", "File to write.", "FILE", OUTPUT)],
    text: Text = "text",
    model: Annotated[
        str, option("--encoder", "Transformer: name or ./folder.", "NAME")
    ] = DEFAULT_ENCODER,
    pooling: Annotated[
        str, option("--pooling", "auto, mean, cls or max.", "NAME")
    ] = "auto",
    normalize: Annotated[
        bool, option("--normalize", "Scale vectors to length 1.")
    ] = False,
    device: Annotated[str, option("--device", "auto, cpu or cuda.", "NAME")] = "auto",
    dtype: Annotated[
        str, option("--dtype", "auto, float32, bfloat16, float16 or int8.", "NAME")
    ] = "auto",
    format: Format = None,
    encoding: Encoding = None,
    quotes: Quotes = "auto",
    overwrite: Overwrite = False,
) -> None:
    """Turn texts into vectors with a frozen transformer."""
    n_texts, width = encode_file(
        file,
        text=text,
        output=output,
        format=format,
        encoding=encoding,
        quotes=quotes,
        overwrite=overwrite,
        model=model,
        pooling=pooling,
        normalize=normalize,
        device=device,
        dtype=dtype,
        verbose=int(stderr_console().is_terminal),
    )
    note(f"{n_texts:,} vectors of {width} numbers are in {output}.")


def encode_file(
    name: str,
    *,
    text: str,
    output: str,
    format: str | None = None,
    encoding: str | None = None,
    quotes: str = "auto",
    overwrite: bool = False,
    **parameters: Any,
) -> tuple[int, int]:
    """Write the vector of each text, a row of the file each; return the file's shape.

    A row without a text counts as the empty text. `parameters` are those of
    `BertFeaturizer`.
    """
    path = Path(output).expanduser()
    if output == "-":
        raise typer.BadParameter(
            "vectors are written to a file: name one in an existing folder, as "
            "-o vectors.npy",
            param_hint="--output",
        )
    check_writable(path, option="--output")
    from sktransfer.encoders.array_files import names_beside

    inputs = {"the table": name, "the encoder": parameters.get("model")}
    check_inputs_stay(inputs, [path, *names_beside(path)], option="--output")
    check_apart(path, parameters.get("model"), "the encoder", option="--output")
    check_no_part(path, names_beside, option="--output")
    check_free(path, overwrite=overwrite, option="--output")
    from sktransfer.encoders.featurizer import BertFeaturizer

    with open_input(name, format, encoding, quotes) as reader:
        check_columns(reader, text=text)
        n_texts = sum(len(chunk.rows) for chunk in reader.chunks(_N_ROWS))
        if not n_texts:
            raise typer.BadParameter(f"{reader.name} has no rows")
        # A vector is needed once: keeping it in memory as well helps nobody.
        featurizer = BertFeaturizer(cache=None, **parameters).fit([""])
        with named(path):
            texts = _texts(reader, text)
            vectors = featurizer.transform_to(texts, path, n_texts=n_texts)
        return vectors.shape[0], vectors.shape[1]


def _texts(reader: Reader, column: str) -> Iterator[str]:
    for chunk in reader.chunks(_N_ROWS):
        for row in chunk.rows:
            value = row.get(column)
            yield "" if is_missing(value) else str(value)
