"""Predictions of a comparison in a file of JSON lines, and back.

First comes a line on all of it, then a line a text, then a line for each prediction of
a text with what every strategy says. The last line has a digest of all before it, so
that a file that was cut short or edited is seen. Files are read and written by the
line. Shapes: n texts, c classes.
"""

from __future__ import annotations

import hashlib
import json
import math
import os
import re
from array import array
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
import numpy.typing as npt

from sktransfer.comparison.columns import COLUMNS
from sktransfer.exceptions import InvalidInputError, InvalidParameterError
from sktransfer.packages import require_extra
from sktransfer.storage import write_file_beside
from sktransfer.validation import on_disk

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["load_predictions", "render_predictions", "write_predictions"]

_FORMAT, _VERSION = "sktransfer predictions", 1
# How the first and the last line of such a file begin.
_HEAD, _SEAL = f'{{"format": "{_FORMAT}"'.encode(), b'{"sha256": "'
_HALVES = re.compile("(?<=[\ud800-\udbff])(?=[\udc00-\udfff])")
_SECONDS = ("fit_seconds", "predict_seconds")
_DETAILS = [c.name for c in COLUMNS if c.group == "cost" and c.name not in _SECONDS]


class Predicted(Protocol):
    """The part of StrategyComparison that is written."""

    results: pd.DataFrame
    folds: pd.DataFrame
    predictions: dict[str, pd.DataFrame]
    classes: npt.NDArray[Any]
    texts: list[str]
    labels: npt.NDArray[Any]
    scoring: str
    baseline: str | None
    bound: npt.NDArray[np.intp] | None


def write_predictions(
    comparison: Predicted, path: Path, *, texts: bool, overwrite: bool
) -> Path:
    """Write the predictions of a comparison; see `StrategyComparison`."""
    if path.exists() and not overwrite and not _is_own(path):
        raise InvalidParameterError(
            f"{str(path)!r} exists and holds no predictions of sktransfer, and it would"
            " be lost: name another file, or pass overwrite=True."
        )
    lines = render_predictions(comparison, texts=texts)
    with write_file_beside(path) as beside, beside.open("wb") as file:
        file.writelines(lines)
    return path


def _is_own(path: Path) -> bool:
    if not path.is_file():
        return False
    with path.open("rb") as file:
        return file.read(len(_HEAD)) == _HEAD


def render_predictions(comparison: Predicted, *, texts: bool) -> Iterator[bytes]:
    """Lines of a file of predictions, with their ends."""
    digest = hashlib.sha256()
    for number, content in enumerate(_contents(comparison, texts)):
        # Half a character, as broken decoders leave it, is written by its number.
        line = json.dumps(content, allow_nan=False).encode("ascii") + b"\n"
        if not number:
            assert line.startswith(_HEAD)
        digest.update(line)
        yield line
    yield json.dumps({"sha256": digest.hexdigest()}).encode("ascii") + b"\n"


def _contents(comparison: Predicted, with_texts: bool) -> Iterator[dict[str, Any]]:
    """What each line holds."""
    tables = comparison.predictions
    if not tables:
        raise InvalidInputError(
            "this comparison holds no predictions that could be written: no strategy "
            "was run to its end."
        )
    labels = np.asarray(comparison.labels)
    _check_labels(labels)
    classes = comparison.classes.tolist()
    place = {label: number for number, label in enumerate(classes)}
    keys, order = _common_keys(comparison)
    strategies = [_describe(comparison, name) for name in tables]
    predicted = {}
    for name, table in tables.items():
        told = table["predicted"].tolist()
        numbers = np.array([place[label] for label in told], dtype=np.intp)
        columns = [f"probability_{label}" for label in classes]
        given = table[columns].to_numpy(dtype=np.float64)
        predicted[name] = numbers[order[name]], given[order[name]]
    for strategy in strategies:
        known = not np.isnan(predicted[strategy["name"]][1]).any()
        strategy["has_probabilities"] = known
    baseline = comparison.baseline
    yield {
        "format": _FORMAT,
        "format_version": _VERSION,
        "n_texts": len(labels),
        "n_predictions": len(keys),
        "dtype": labels.dtype.str,
        "classes": classes,
        "scoring": comparison.scoring,
        "baseline": baseline if baseline in tables else None,
        "has_texts": with_texts,
        "strategies": strategies,
    }
    for row, label in enumerate(labels.tolist()):
        line: dict[str, Any] = {"row": row, "label": label}
        if comparison.bound is not None:
            line["bound"] = int(comparison.bound[row])
        yield line | (
            {"text": _split_text(comparison.texts[row])} if with_texts else {}
        )
    probable = [s["name"] for s in strategies if s["has_probabilities"]]
    for number, key in enumerate(keys.tolist()):
        yield {
            "row": key[2],
            "repeat": key[0],
            **({} if key[1] < 0 else {"fold": key[1]}),
            "predicted": [
                classes[numbers[number]] for numbers, _ in predicted.values()
            ],
            "probabilities": [predicted[name][1][number].tolist() for name in probable],
        }


def _split_text(text: str) -> str | list[str]:
    """A text, in pieces where JSON would join two halves of a character."""
    pieces = _HALVES.split(text)
    return text if len(pieces) == 1 else pieces


def _check_labels(labels: npt.NDArray[Any]) -> None:
    kinds = {type(label) for label in labels.tolist()}
    if not kinds <= {str, int, bool, float}:
        names = ", ".join(sorted(kind.__name__ for kind in kinds))
        raise InvalidInputError(
            f"labels are of the type {names}, but a file of predictions holds str, int,"
            " bool and float only: compare with labels of such a type, as in "
            "list(map(str, y))."
        )


def _common_keys(
    comparison: Predicted,
) -> tuple[npt.NDArray[np.intp], dict[str, npt.NDArray[np.intp]]]:
    """Repeat, fold and row of each prediction, and the order of each table by them.

    The fold is -1 where nobody knows it.
    """
    found, order = {}, {}
    for name, table in comparison.predictions.items():
        keys = np.column_stack(
            [table["repeat"], _folds_of(comparison.folds, name, table), table["row"]]
        ).astype(np.intp)
        order[name] = np.lexsort(keys.T[::-1])
        found[name] = keys[order[name]]
    first = next(iter(found))
    for name, keys in found.items():
        if not np.array_equal(keys, found[first]):
            raise InvalidInputError(
                f"the predictions of {name!r} and {first!r} are not of the same texts "
                "and folds, so that one file cannot hold them: compare the strategies "
                "on the same folds."
            )
    return found[first], order


def _folds_of(
    folds: pd.DataFrame, name: str, table: pd.DataFrame
) -> npt.NDArray[np.intp]:
    """Fold of each prediction: tables of predictions follow that of the folds."""
    unknown = np.full(len(table), -1, dtype=np.intp)
    if "n_train" not in folds:
        return unknown
    mine = folds[(folds["strategy"] == name) & (folds["status"] == "done")]
    if mine.empty or mine["n_train"].isna().any():
        return unknown
    # The largest train size is the one that predictions are of.
    mine = mine[mine["train_size"] == mine["train_size"].max()]
    lengths = mine["n_test"].to_numpy(dtype=np.intp)
    repeats = np.repeat(mine["repeat"].to_numpy(dtype=np.intp), lengths)
    if not np.array_equal(repeats, table["repeat"].to_numpy()):
        return unknown
    return np.repeat(mine["fold"].to_numpy(dtype=np.intp), lengths)


def _describe(comparison: Predicted, name: str) -> dict[str, Any]:
    """What the results say of a strategy beside its scores."""
    results = comparison.results
    row = results[results["strategy"] == name].to_dict("records")[-1]
    details: dict[str, Any] = {"kind": row.get("kind", "given")}
    if isinstance(row.get("encoder"), str):
        details["encoder"] = row["encoder"]
    if _is_known(row.get("train_size")):
        details["train_size"] = int(row["train_size"])
    details |= {key: float(row[key]) for key in _DETAILS if _is_known(row.get(key))}
    seconds = [float(row[k]) if _is_known(row.get(k)) else None for k in _SECONDS]
    return {"name": name, "seconds": seconds, "details": details}


def _is_known(value: object) -> bool:
    return isinstance(value, (int, float, np.number)) and math.isfinite(value)


def load_predictions(path: str | os.PathLike[str]) -> dict[str, Any]:
    """Read what `StrategyComparison.save_predictions` wrote.

    Parameters
    ----------
    path : path-like
        The file.

    Returns
    -------
    arguments : dict
        Arguments of `compare_predictions`, by their names: ``y``, ``predictions``,
        ``groups``, ``texts``, ``classes``, ``baseline``, ``scoring``, ``seconds`` and
        ``details``. ``compare_predictions(**arguments)`` gives the comparison again;
        predictions may be added before, or the metric be another one. Only differences
        from the baseline are tested again, not those of encoders or uses of a source.

    Raises
    ------
    InvalidInputError
        If the file holds something else, was cut short, or was changed.
    OSError
        If it cannot be read.

    See Also
    --------
    compare_predictions : Takes what this function returns.

    Examples
    --------
    >>> import tempfile
    >>> from pathlib import Path
    >>> from sktransfer import compare_predictions, load_predictions
    >>> y = ["good", "bad", "good", "bad"]
    >>> comparison = compare_predictions(
    ...     y, {"a": ["good", "bad", "bad", "bad"], "b": ["bad", "bad", "bad", "bad"]}
    ... )
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = comparison.save_predictions(Path(folder, "predictions.jsonl"))
    ...     arguments = load_predictions(path)
    >>> arguments["predictions"]["c"] = y
    >>> compare_predictions(**arguments).best_strategy
    'c'
    """
    require_extra("pandas", "compare", "load_predictions")
    with on_disk("path", path):
        place = Path(path).expanduser()
        if place.exists() and not place.is_file():
            raise InvalidInputError(
                f"path={str(place)!r} is no ordinary file: pass one that "
                "save_predictions wrote."
            )
        _check_seal(place)
    try:
        with place.open("rb") as file:
            return _read(file)
    except (AttributeError, IndexError, KeyError, TypeError, ValueError) as error:
        if isinstance(error, InvalidInputError):
            raise
        raise InvalidInputError(
            f"{str(place)!r} is no file of predictions that save_predictions wrote "
            f"({type(error).__name__}: {error}): write it again."
        ) from error


def _check_seal(path: Path) -> None:
    """Refuse what is no such file, or not as it was written."""
    digest, last = hashlib.sha256(), b""
    with path.open("rb") as file:
        for number, line in enumerate(file):
            if not number and not line.startswith(_HEAD):
                raise InvalidInputError(
                    f"{str(path)!r} holds no predictions of sktransfer, but "
                    f"{line[:40]!r}: pass a file that save_predictions wrote."
                )
            digest.update(last)
            last = line
    if not last:
        raise InvalidInputError(
            f"{str(path)!r} is empty: pass a file that save_predictions wrote."
        )
    if not (last.startswith(_SEAL) and last.endswith(b"}\n")):
        raise InvalidInputError(
            f"{str(path)!r} has no last line with a digest, so it was cut short: take "
            "a whole copy, or write it again by save_predictions."
        )
    if last.strip() != json.dumps({"sha256": digest.hexdigest()}).encode("ascii"):
        raise InvalidInputError(
            f"{str(path)!r} was changed or damaged since it was written, as its digest "
            "is another one: write it again by save_predictions, and change what "
            "load_predictions returns."
        )


def _read(lines: Iterable[bytes]) -> dict[str, Any]:
    """Arguments of `compare_predictions` from the lines of a file."""
    entries = map(json.loads, lines)
    head = next(entries)
    if head["format_version"] != _VERSION:
        raise InvalidInputError(
            f"the file has version {head['format_version']} of the format, but this "
            f"sktransfer reads version {_VERSION}: use the one that wrote it."
        )
    n, dtype = head["n_texts"], np.dtype(head["dtype"])
    if dtype.kind not in "biufUO":
        raise ValueError(f"labels of the type {dtype}")
    labels, texts, bound = [], [], array("q")
    for _ in range(n):
        entry = next(entries)
        labels.append(entry["label"])
        if "bound" in entry:
            bound.append(entry["bound"])
        if head["has_texts"]:
            texts.append("".join(entry["text"]))
    y = np.array(labels, dtype=dtype)
    return {
        "y": y,
        "predictions": _read_tables(head, entries, y),
        # Where each text stands alone, there are no groups.
        "groups": np.array(bound, np.intp) if len(set(bound)) < len(bound) else None,
        "texts": texts if head["has_texts"] else None,
        "classes": head["classes"],
        "baseline": head["baseline"],
        "scoring": head["scoring"],
        "seconds": {
            s["name"]: [math.nan if x is None else x for x in s["seconds"]]
            for s in head["strategies"]
        },
        "details": {s["name"]: s["details"] for s in head["strategies"]},
    }


def _read_tables(
    head: dict[str, Any], entries: Iterator[dict[str, Any]], y: npt.NDArray[Any]
) -> dict[str, pd.DataFrame]:
    """Predictions of each strategy."""
    import pandas as pd

    classes, strategies = head["classes"], head["strategies"]
    place = {label: number for number, label in enumerate(classes)}
    probable = [s["name"] for s in strategies if s["has_probabilities"]]
    rows, repeats, folds = array("q"), array("q"), array("q")
    predicted = {s["name"]: array("q") for s in strategies}
    given = {name: array("d") for name in probable}
    for _ in range(head["n_predictions"]):
        entry = next(entries)
        rows.append(entry["row"])
        repeats.append(entry["repeat"])
        if "fold" in entry:
            folds.append(entry["fold"])
        for numbers, label in zip(predicted.values(), entry["predicted"], strict=True):
            numbers.append(place[label])
        for name, values in zip(probable, entry["probabilities"], strict=True):
            given[name].extend(values)
    known = np.empty(len(classes), dtype=object)
    known[:] = classes
    tables = {}
    for name, numbers in predicted.items():
        columns: dict[str, Any] = {"row": np.array(rows), "repeat": np.array(repeats)}
        if len(folds):
            columns["fold"] = np.array(folds)
        # As objects: half a character cannot stand in a column of str.
        columns["label"] = pd.Series(y[columns["row"]], dtype=object)
        columns["predicted"] = pd.Series(known[np.array(numbers)], dtype=object)
        if name in given:
            values = np.array(given[name]).reshape(len(rows), len(classes))
            for number, label in enumerate(classes):
                columns[f"probability_{label}"] = values[:, number]
        tables[name] = pd.DataFrame(columns)
    return tables
