"""``sktransfer compare``: from two columns of a file to an answer."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import typer

from sktransfer.cli.inputs import check_columns, is_missing, open_input
from sktransfer.cli.live import LiveTable, show_results
from sktransfer.cli.messages import note, stdout_console
from sktransfer.cli.outputs import MODEL_FILE

__all__ = ["LabelledTable", "compare_file", "read_labelled"]

_N_ROWS = 8192


@dataclass(frozen=True)
class LabelledTable:
    """Texts with their labels.

    Attributes
    ----------
    texts, labels : list of str
        One a row.
    groups : list of str or None
        Where a column of groups was named.
    """

    texts: list[str]
    labels: list[str]
    groups: list[str] | None

    def draw(self, n_rows: int, seed: int) -> LabelledTable:
        """At most so many rows, at random, in their order."""
        if len(self.texts) <= n_rows:
            return self
        chosen = np.random.default_rng(seed).permutation(len(self.texts))[:n_rows]
        rows = np.sort(chosen).tolist()
        return LabelledTable(
            [self.texts[row] for row in rows],
            [self.labels[row] for row in rows],
            None if self.groups is None else [self.groups[row] for row in rows],
        )


def read_labelled(
    name: str,
    *,
    text: str,
    label: str,
    group: str | None = None,
    format: str | None = None,
    encoding: str | None = None,
    prefix: str = "",
) -> LabelledTable:
    """Read texts and labels; rows that lack one of them are left out, and counted.

    Parameters
    ----------
    name : str
        A path, or "-".
    text, label, group : str
        Columns; `group` may be None.
    format, encoding : str or None, default=None
        None looks at the name and at the bytes.
    prefix : str, default=""
        Of the options that name the columns, for messages.

    Returns
    -------
    table : LabelledTable
        Labels are str, whatever they were.
    """
    texts, labels, groups, n_left_out = [], [], [], 0
    with open_input(name, format, encoding) as reader:
        named = {f"{prefix}text": text, f"{prefix}label": label, "group": group}
        check_columns(reader, **named)
        for chunk in reader.chunks(_N_ROWS):
            for row in chunk.rows:
                cells = [row.get(text), row.get(label)]
                if any(is_missing(cell) or not str(cell).strip() for cell in cells):
                    n_left_out += 1
                    continue
                texts.append(str(cells[0]))
                labels.append(str(cells[1]).strip())
                groups.append(str(row.get(group)) if group is not None else "")
        shown = reader.name
    if n_left_out:
        note(f"{shown}: {n_left_out:,} rows without text or label are left out.")
    counts = Counter(labels)
    if len(counts) < 2:
        raise typer.BadParameter(
            f"{shown} has {len(texts):,} rows with a text and a label, of "
            f"{len(counts)} class{'' if len(counts) == 1 else 'es'}, but at least 2 "
            "classes are needed"
        )
    if len(counts) > max(20, len(texts) // 10):
        raise typer.BadParameter(
            f"the column {label!r} holds {len(counts):,} different values in "
            f"{len(texts):,} rows, which are no classes: name the column of labels",
            param_hint=f"--{prefix.replace('_', '-')}label",
        )
    return LabelledTable(texts, labels, None if group is None else groups)


def compare_file(
    table: LabelledTable,
    *,
    source: LabelledTable | None,
    report: str | None,
    fresh: bool,
    best_model: bool,
    title: str,
    overwrite: bool = False,
    **options: Any,
) -> None:
    """Compare strategies, show what was found, and write a report where one is wanted.

    Parameters
    ----------
    table : LabelledTable
        The target domain.
    source : LabelledTable or None
        The source domain.
    report : str or None
        Folder of the report.
    fresh : bool
        Whether to forget what an earlier run has left in it.
    best_model : bool
        Whether the best strategy is fitted on everything and saved there.
    title : str
        Of the report.
    overwrite : bool, default=False
        Whether files of the report's names are replaced that are not its own.
    **options
        Of `compare_strategies`.
    """
    from sktransfer.comparison.comparing import compare_strategies
    from sktransfer.comparison.forgetting import forget_comparison

    if options.get("n_jobs") is None:
        options["n_jobs"] = _choose_jobs()
    journal = None
    if report is not None:
        journal = Path(report).expanduser() / "journal"
        if fresh:
            forget_comparison(journal)
        if (journal / "journal.jsonl").exists():
            note(f"Going on with what an earlier run has left in {journal}.")
    with LiveTable() as live:
        comparison = compare_strategies(
            table.texts,
            np.array(table.labels),
            groups=table.groups,
            source=None if source is None else (source.texts, np.array(source.labels)),
            folder=journal,
            on_result=live.update,
            **options,
        )
    console = stdout_console()
    show_results(comparison, console)
    if report is None or not (comparison.results["status"] == "done").any():
        return
    folder = Path(report).expanduser()
    model = _save_best(comparison, folder) if best_model else None
    from sktransfer.report.folders import FOLDS, write_files
    from sktransfer.report.writing import write_report

    page = write_report(
        comparison, folder, model_folder=model, title=title, overwrite=overwrite
    )
    folds = comparison.folds.to_csv(index=False).encode("utf-8", "replace")
    write_files(folder, {FOLDS: folds}, overwrite=overwrite)
    console.print()
    console.print(f"Page:  {page}", markup=False, soft_wrap=True)
    if model is not None:
        console.print(f"Model: {model}", markup=False, soft_wrap=True)


def _choose_jobs() -> int:
    """One fold a core: small batches gain little from a second one.

    Each worker holds a model of its own, so there are four at most, and one where they
    would share a GPU.
    """
    import torch
    from joblib import cpu_count

    return 1 if torch.cuda.is_available() else min(int(cpu_count()), 4)


def _save_best(comparison: Any, folder: Path) -> Path | None:
    from sktransfer.exceptions import ModelFolderError
    from sktransfer.persistence import save
    from sktransfer.report.folders import note_file

    name = comparison.best_strategy
    note(f"Fitting {name} on all {len(comparison.texts):,} texts.")
    row = comparison.results[comparison.results["strategy"] == name].iloc[-1]
    scores = {f"{comparison.scoring} in cross-validation": float(row["score"])}
    try:
        save(comparison.best_estimator(), folder / "model", scores=scores)
        note_file(folder, MODEL_FILE)
    except ModelFolderError as error:
        note(f"The model is not saved: {error}")
        return None
    return folder / "model"
