"""``sktransfer compare``: from two columns of a file to an answer."""

from __future__ import annotations

import textwrap
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import typer

from sktransfer.baselines.registry import NAMES
from sktransfer.cli.input_file import check_columns, is_missing, open_input
from sktransfer.cli.options import (
    DATA,
    OUTPUT,
    Encoding,
    Format,
    Fresh,
    Overwrite,
    Text,
    parse_duration,
)
from sktransfer.cli.outputs import MODEL_FILE
from sktransfer.cli.terminal import LiveTable, note, show_results, stdout_console

__all__ = ["EXAMPLES", "LabelledTable", "compare", "compare_file", "read_labelled"]

_N_ROWS = 8192


def compare(
    file: Annotated[
        str, typer.Argument(help="Labelled texts of your domain.", metavar="FILE")
    ],
    text: Text = "text",
    label: Annotated[
        str,
        typer.Option(
            "--label",
            "-l",
            help="Column of labels.",
            metavar="COLUMN",
            rich_help_panel=DATA,
        ),
    ] = "label",
    group: Annotated[
        str | None,
        typer.Option(
            "--group",
            "-g",
            help="Column of what must stay together, as a review's id.",
            metavar="COLUMN",
            rich_help_panel=DATA,
        ),
    ] = None,
    source: Annotated[
        str | None,
        typer.Option(
            "--source",
            "-s",
            help="Labelled texts of another domain.",
            metavar="FILE",
            rich_help_panel=DATA,
        ),
    ] = None,
    source_text: Annotated[
        str | None,
        typer.Option(
            "--source-text",
            help="Its column, if another.",
            metavar="COLUMN",
            rich_help_panel=DATA,
        ),
    ] = None,
    source_label: Annotated[
        str | None,
        typer.Option(
            "--source-label",
            help="Its column, if another.",
            metavar="COLUMN",
            rich_help_panel=DATA,
        ),
    ] = None,
    report: Annotated[
        str | None,
        typer.Option(
            "--report",
            "-r",
            help="Folder for page, pictures, table and best model.",
            metavar="FOLDER",
            rich_help_panel=OUTPUT,
        ),
    ] = None,
    budget: Annotated[
        str | None,
        typer.Option(
            "--budget",
            "-b",
            help="Time after which nothing new begins: 90s, 5m, 1h.",
            metavar="TIME",
        ),
    ] = None,
    strategies: Annotated[
        str | None,
        typer.Option(
            "--strategies", help="Names, with commas between them.", metavar="NAMES"
        ),
    ] = None,
    train_sizes: Annotated[
        str | None,
        typer.Option(
            "--train-sizes", help="Learning curves: numbers of texts.", metavar="SIZES"
        ),
    ] = None,
    folds: Annotated[
        int, typer.Option("--folds", min=2, help="Folds.", metavar="N")
    ] = 5,
    repeats: Annotated[
        int,
        typer.Option(
            "--repeats", min=1, help="How often folds are drawn.", metavar="N"
        ),
    ] = 1,
    scoring: Annotated[
        str,
        typer.Option(
            "--scoring", help="Main metric, as scikit-learn calls it.", metavar="NAME"
        ),
    ] = "accuracy",
    encoder: Annotated[
        list[str] | None,
        typer.Option(
            "--encoder",
            help="Transformer: name or ./folder; may be said several times. All that "
            "are on this machine if not given.",
            metavar="NAME",
        ),
    ] = None,
    max_source: Annotated[
        int,
        typer.Option(
            "--max-source",
            min=2,
            help="Texts of the source, at most.",
            metavar="N",
            rich_help_panel=DATA,
        ),
    ] = 500,
    max_rows: Annotated[
        int,
        typer.Option(
            "--max-rows",
            min=10,
            help="Rows, at most; drawn at random.",
            metavar="N",
            rich_help_panel=DATA,
        ),
    ] = 5000,
    jobs: Annotated[
        int | None,
        typer.Option(
            "--jobs",
            "-j",
            help="Folds at the same time; one a core, up to four, if not given.",
            metavar="N",
        ),
    ] = None,
    seed: Annotated[
        int, typer.Option("--seed", min=0, help="Of all that is drawn.", metavar="N")
    ] = 0,
    save_model: Annotated[
        bool,
        typer.Option(
            "--model/--no-model",
            help="Fit the best strategy on all texts, and save it.",
            rich_help_panel=OUTPUT,
        ),
    ] = True,
    format: Format = None,
    encoding: Encoding = None,
    fresh: Fresh = False,
    overwrite: Overwrite = False,
) -> None:
    """Cross-validate transfer strategies and baselines on your labelled texts."""
    from sktransfer.cli.outputs import check_report
    from sktransfer.cli.terminal import note

    if report is not None:
        inputs: dict[str, str | None] = {"the table": file, "the source": source}
        for number, name in enumerate(encoder or (), start=1):
            inputs[f"encoder {number} of {len(encoder or ())}"] = name
        check_report(
            Path(report).expanduser(),
            inputs,
            model=save_model,
            fresh=fresh,
            overwrite=overwrite,
        )
    read: dict[str, Any] = {"format": format, "encoding": encoding}
    seconds = parse_duration(budget)
    names = None if strategies is None else _split(strategies)
    sizes = None if train_sizes is None else _split_sizes(train_sizes)
    table = read_labelled(file, text=text, label=label, group=group, **read)
    drawn = table.draw(max_rows, seed)
    if len(drawn.texts) < len(table.texts):
        note(
            f"{len(drawn.texts):,} of {len(table.texts):,} rows are drawn: --max-rows."
        )
    other = None
    if source is not None:
        columns = {"text": source_text or text, "label": source_label or label}
        other = read_labelled(source, prefix="source_", encoding=encoding, **columns)
    compare_file(
        drawn,
        source=other,
        report=report,
        fresh=fresh,
        best_model=save_model,
        title=f"Transfer strategies on {file}",
        overwrite=overwrite,
        strategies=names,
        time_budget=seconds,
        train_sizes=sizes,
        cv=folds,
        n_repeats=repeats,
        scoring=scoring,
        encoder="auto" if encoder in (None, ["auto"]) else encoder,
        max_source=max_source,
        n_jobs=jobs,
        random_state=seed,
    )


def _split(written: str) -> list[str]:
    return [name.strip() for name in written.split(",") if name.strip()]


def _split_sizes(written: str) -> list[float]:
    sizes: list[float] = []
    for part in _split(written):
        try:
            sizes.append(int(part) if part.isdigit() else float(part))
        except ValueError as error:
            raise typer.BadParameter(
                f"{part!r} is no number of texts", param_hint="--train-sizes"
            ) from error
    return sizes


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
    from sktransfer.comparison.run.journal import forget_comparison

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
    from sktransfer.report.page_folder import FOLDS, write_files
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
    from sktransfer.report.page_folder import note_file

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


_STRATEGIES = (
    f"{', '.join(NAMES)}, word_vectors, word_vectors_tuned, frozen, frozen_64_32, "
    "partial, gradual, lora, contrastive, fine_tune;"
)
EXAMPLES = f"""
[bold]Examples[/bold]

  sktransfer compare reviews.csv --text review --label sentiment

  sktransfer compare products.csv --source movies.csv --report out --budget 5m

  sktransfer compare reviews.jsonl --strategies tfidf,frozen,fine_tune \\
      --train-sizes 16,64,256 --folds 10

  sktransfer compare reviews.csv --encoder all-MiniLM-L6-v2 --encoder ./mine

[bold]Strategies[/bold]

{textwrap.indent(textwrap.fill(_STRATEGIES, 74), "  ")}
  with a source also source_only, transferred and joint

After a crash or Ctrl-C the same command with the same --report goes on where
it was.
"""
