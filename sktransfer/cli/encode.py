"""``sktransfer encode``: a column of texts as vectors in a file of numpy's."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import typer

from sktransfer.cli.input_file import check_columns, is_missing, open_input
from sktransfer.cli.outputs import check_free, check_inputs_stay
from sktransfer.cli.table_readers import Reader

__all__ = ["encode_file"]

_N_ROWS = 8192


def encode_file(
    name: str,
    *,
    text: str,
    output: str,
    format: str | None = None,
    encoding: str | None = None,
    overwrite: bool = False,
    **parameters: Any,
) -> tuple[int, int]:
    """Write the vector of each text, a row of the file each.

    Parameters
    ----------
    name : str
        The table, or "-".
    text : str
        Its column of texts; a row without one counts as the empty text.
    output : str
        A path, conventionally ending in ``.npy``.
    format, encoding : str or None, default=None
        Of the input; None looks at its name and its bytes.
    overwrite : bool, default=False
        Whether a file that is there already is replaced.
    **parameters
        Of `BertFeaturizer`.

    Returns
    -------
    shape : tuple of (int, int)
        Rows and numbers a row.

    Raises
    ------
    typer.BadParameter
        If the output is there already, or is one of the inputs.
    """
    path = Path(output).expanduser()
    if output == "-" or not path.parent.is_dir():
        raise typer.BadParameter(
            "vectors are written to a file: name one in an existing folder, as "
            "-o vectors.npy",
            param_hint="--output",
        )
    from sktransfer.encoders.array_files import names_beside

    inputs = {"the table": name, "the encoder": parameters.get("model")}
    check_inputs_stay(inputs, [path, *names_beside(path)], option="--output")
    check_free(path, overwrite=overwrite, option="--output")
    from sktransfer.encoders.featurizer import BertFeaturizer

    with open_input(name, format, encoding) as reader:
        check_columns(reader, text=text)
        n_texts = sum(len(chunk.rows) for chunk in reader.chunks(_N_ROWS))
        if not n_texts:
            raise typer.BadParameter(f"{reader.name} has no rows")
        # A vector is needed once: keeping it in memory as well helps nobody.
        featurizer = BertFeaturizer(cache=None, **parameters).fit([""])
        vectors = featurizer.transform_to(_texts(reader, text), path, n_texts=n_texts)
        return vectors.shape[0], vectors.shape[1]


def _texts(reader: Reader, column: str) -> Iterator[str]:
    for chunk in reader.chunks(_N_ROWS):
        for row in chunk.rows:
            value = row.get(column)
            yield "" if is_missing(value) else str(value)
