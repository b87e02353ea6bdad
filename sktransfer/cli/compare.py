"""``sktransfer compare``: from two columns of a file to an answer."""

from __future__ import annotations

import sys
import textwrap
import time
import warnings
from collections import Counter
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import typer

from sktransfer.baselines.registry import NAMES
from sktransfer.cli.input_file import (
    check_columns,
    find_columns,
    is_missing,
    open_input,
)
from sktransfer.cli.options import (
    DATA,
    OUTPUT,
    Encoding,
    Format,
    Fresh,
    Overwrite,
    Quotes,
    option,
    parse_duration,
    parse_names,
    parse_sizes,
)
from sktransfer.cli.outputs import (
    MODEL_FILE,
    check_beside_report,
    check_free,
    check_inputs_stay,
    check_report,
    check_writable,
)
from sktransfer.cli.terminal import (
    LiveTable,
    named,
    note,
    show_results,
    stdout_console,
)
from sktransfer.exceptions import TruncationWarning
from sktransfer.formulas import restore_formula

__all__ = ["EXAMPLES", "LabelledTable", "compare", "compare_tables", "read_labelled"]

_N_ROWS = 8192
# What the page takes, with the libraries that draw it.
_PAGE_SECONDS = 8.0

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


def _check_jobs(jobs: int | None) -> int | None:
    if jobs == 0:
        raise typer.BadParameter(
            "0 folds cannot run: say at least 1, or -1 for all cores"
        )
    return jobs


def compare(
    file: Annotated[
        str, typer.Argument(help="Labelled texts of your domain.", metavar="FILE")
    ],
    text: Annotated[
        str | None,
        option(
            "--text -t",
            "Column of texts; text, or the only one there is, if not given.",
            "COLUMN",
            DATA,
        ),
    ] = None,
    label: Annotated[
        str | None,
        option(
            "--label -l",
            "Column of labels; label, or the only one there is, if not given.",
            "COLUMN",
            DATA,
        ),
    ] = None,
    group: Annotated[
        str | None,
        option(
            "--group -g",
            "Column of what must stay together, as a review's id.",
            "COLUMN",
            DATA,
        ),
    ] = None,
    source: Annotated[
        str | None,
        option("--source -s", "Labelled texts of another domain.", "FILE", DATA),
    ] = None,
    source_text: Annotated[
        str | None,
        option("--source-text", "Its column, if another.", "COLUMN", DATA),
    ] = None,
    source_label: Annotated[
        str | None,
        option("--source-label", "Its column, if another.", "COLUMN", DATA),
    ] = None,
    report: Annotated[
        str | None,
        option(
            "--report -r",
            "Folder for page, pictures, table and best model.",
            "FOLDER",
            OUTPUT,
        ),
    ] = None,
    suspects: Annotated[
        str | None,
        option(
            "--suspects",
            "CSV file for labels that look wrong, most doubtful first.",
            "FILE",
            OUTPUT,
        ),
    ] = None,
    budget: Annotated[
        str | None,
        option(
            "--budget -b", "Time after which nothing new begins: 90s, 5m, 1h.", "TIME"
        ),
    ] = None,
    strategies: Annotated[
        str | None,
        option("--strategies", "Names, with commas between them.", "NAMES"),
    ] = None,
    train_sizes: Annotated[
        str | None,
        option("--train-sizes", "Learning curves: numbers of texts.", "SIZES"),
    ] = None,
    folds: Annotated[int, option("--folds", "Folds.", "N", min=2)] = 5,
    repeats: Annotated[
        int, option("--repeats", "How often folds are drawn.", "N", min=1)
    ] = 1,
    scoring: Annotated[
        str,
        option(
            "--scoring",
            "Main metric, as scikit-learn calls it; auto is accuracy, or balanced "
            "accuracy where classes are skewed.",
            "NAME",
        ),
    ] = "auto",
    threshold: Annotated[
        str | None,
        option(
            "--threshold",
            "balanced: label by probability beside the class's share, for skewed "
            "classes.",
            "NAME",
        ),
    ] = None,
    encoder: Annotated[
        list[str] | None,
        option(
            "--encoder",
            "Transformer: name or ./folder; may be said several times. All that "
            "are on this machine if not given.",
            "NAME",
        ),
    ] = None,
    max_source: Annotated[
        int, option("--max-source", "Texts of the source, at most.", "N", DATA, min=2)
    ] = 500,
    max_rows: Annotated[
        int,
        option("--max-rows", "Rows, at most; drawn at random.", "N", DATA, min=10),
    ] = 5000,
    jobs: Annotated[
        int | None,
        option(
            "--jobs -j",
            "Folds at the same time; one a core, up to four, if not given.",
            "N",
            min=-1024,
            max=1024,
            callback=_check_jobs,
        ),
    ] = None,
    seed: Annotated[
        int, option("--seed", "Of all that is drawn.", "N", min=0, max=2**32 - 1)
    ] = 0,
    save_model: Annotated[
        bool,
        option(
            "--model/--no-model",
            "Fit the best strategy on all texts, and save it.",
            None,
            OUTPUT,
        ),
    ] = True,
    format: Format = None,
    encoding: Encoding = None,
    quotes: Quotes = "auto",
    fresh: Fresh = False,
    overwrite: Overwrite = False,
) -> None:
    """Cross-validate transfer strategies and baselines on your labelled texts."""
    inputs: dict[str, str | None] = {"the table": file, "the source": source}
    for number, name in enumerate(encoder or (), start=1):
        inputs[f"encoder {number} of {len(encoder or ())}"] = name
    if suspects is not None:
        _check_suspects(Path(suspects).expanduser(), inputs, overwrite=overwrite)
    if suspects is not None and report is not None:
        place, folder = (Path(name).expanduser() for name in (suspects, report))
        check_beside_report(place, folder, option="--suspects")
    if report is not None:
        if not report.strip():
            raise typer.BadParameter(
                "'' is no name of a folder: name one, such as ./out",
                param_hint="--report",
            )
        check_report(
            Path(report).expanduser(),
            inputs,
            model=save_model,
            fresh=fresh,
            overwrite=overwrite,
        )
    # Before the table is read, which may take a while.
    options: dict[str, Any] = {
        "strategies": parse_names(strategies),
        "time_budget": parse_duration(budget),
        "train_sizes": parse_sizes(train_sizes),
    }
    table = read_labelled(
        file,
        text=text,
        label=label,
        group=group,
        format=format,
        encoding=encoding,
        quotes=quotes,
    )
    drawn = table.draw(max_rows, seed)
    if len(drawn.texts) < len(table.texts):
        note(
            f"{len(drawn.texts):,} of {len(table.texts):,} rows are drawn: --max-rows."
        )
    other = None
    if source is not None:
        other = read_labelled(
            source,
            text=source_text,
            label=source_label,
            encoding=encoding,
            quotes=quotes,
            prefix="source_",
            likely=table.columns,
        )
    compare_tables(
        drawn,
        other,
        report=report,
        fresh=fresh,
        best_model=save_model,
        title=f"Transfer strategies on {file}",
        suspects=suspects,
        overwrite=overwrite,
        cv=folds,
        n_repeats=repeats,
        scoring=scoring,
        threshold=threshold,
        encoder="auto" if encoder in (None, ["auto"]) else encoder,
        max_source=max_source,
        n_jobs=jobs,
        random_state=seed,
        **options,
    )


@dataclass(frozen=True)
class LabelledTable:
    """Texts with their labels, and groups where a column of them was named.

    `columns` are the names of those of texts and of labels.
    """

    texts: list[str]
    labels: list[str]
    groups: list[str] | None
    columns: tuple[str, str] = ("text", "label")

    def draw(self, n_rows: int, seed: int) -> LabelledTable:
        """At most so many rows, at random, in their order."""
        if len(self.texts) <= n_rows:
            return self
        chosen = np.random.default_rng(seed).permutation(len(self.texts))[:n_rows]
        rows = np.sort(chosen).tolist()
        return replace(
            self,
            texts=[self.texts[row] for row in rows],
            labels=[self.labels[row] for row in rows],
            groups=None if self.groups is None else [self.groups[row] for row in rows],
        )


def read_labelled(
    name: str,
    *,
    text: str | None = None,
    label: str | None = None,
    group: str | None = None,
    format: str | None = None,
    encoding: str | None = None,
    quotes: str = "auto",
    prefix: str = "",
    likely: tuple[str, str] = ("text", "label"),
) -> LabelledTable:
    """Read texts and labels; rows that lack one of them are left out, and counted.

    Labels are str, whatever they were, without the apostrophe that keeps a spreadsheet
    from running them. Columns that are not named are found, `likely`
    ones first, see `find_columns`. `prefix` is that of the options which name the
    columns, for messages.
    """
    texts, labels, groups, n_left_out = [], [], [], 0
    with open_input(name, format, encoding, quotes) as reader:
        text, label = find_columns(reader, text, label, prefix=prefix, likely=likely)
        check_columns(reader, group=group)
        for chunk in reader.chunks(_N_ROWS):
            for row in chunk.rows:
                cells = [row.get(text), row.get(label)]
                if any(is_missing(cell) or not str(cell).strip() for cell in cells):
                    n_left_out += 1
                    continue
                texts.append(str(cells[0]))
                labels.append(restore_formula(str(cells[1]).strip()))
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
    return LabelledTable(
        texts, labels, None if group is None else groups, (text, label)
    )


def compare_tables(
    table: LabelledTable,
    source: LabelledTable | None,
    *,
    report: str | None,
    fresh: bool,
    best_model: bool,
    title: str,
    suspects: str | None = None,
    overwrite: bool = False,
    **options: Any,
) -> None:
    """Compare strategies, show what was found, and write a report where one is wanted.

    With `fresh`, what an earlier run has left in the report's folder is forgotten.
    `suspects` is a file for labels that look wrong.
    `options` are those of `compare_strategies`.
    """
    began = time.monotonic()
    from sktransfer.comparison.comparing import compare_strategies
    from sktransfer.comparison.run.forecast import RowCost, tell_costs
    from sktransfer.comparison.run.journal import forget_comparison

    # It is said of the table, once, and of no part of it again.
    warnings.simplefilter("ignore", TruncationWarning)
    if options.get("n_jobs") is None:
        options["n_jobs"] = _choose_jobs()
    journal = None
    if report is not None:
        journal = Path(report).expanduser() / "journal"
        if fresh:
            forget_comparison(journal)
        if (journal / "journal.jsonl").exists():
            note(f"Going on with what an earlier run has left in {journal}.")
    budget = options.get("time_budget")
    if budget is not None:
        spent = time.monotonic() - began
        options |= {"time_budget": _keep_some(budget, spent, report), "race": True}

    def tell_forecast(rows: list[dict[str, Any]]) -> None:
        for line in tell_costs([RowCost(**row) for row in rows], budget):
            note(line)

    with LiveTable() as live:
        comparison = compare_strategies(
            table.texts,
            np.array(table.labels),
            groups=table.groups,
            source=None if source is None else (source.texts, np.array(source.labels)),
            folder=journal,
            on_result=live.update,
            on_forecast=tell_forecast,
            on_finding=live.tell,
            **options,
        )
    console = stdout_console()
    with named("the standard output"):
        show_results(comparison, console, live.told)
        sys.stdout.flush()
    if suspects is not None:
        _write_suspects(comparison, Path(suspects).expanduser())
    if (comparison.results["status"] == "failed").all():
        raise typer.Exit(1)
    if report is None or not (comparison.results["status"] == "done").any():
        return
    folder = Path(report).expanduser()
    model = _save_best(comparison, folder) if best_model else None
    from sktransfer.comparison.findings.rendering import render_csv
    from sktransfer.comparison.prediction_files import render_predictions
    from sktransfer.report.page_folder import FOLDS, PREDICTIONS, write_files
    from sktransfer.report.writing import write_report

    page = write_report(
        comparison, folder, model_folder=model, title=title, overwrite=overwrite
    )
    files = {FOLDS: render_csv(comparison.folds)}
    if comparison.predictions:
        # Without texts, as a report is sent around.
        lines = render_predictions(comparison, texts=False)
        files[PREDICTIONS] = b"".join(lines)
    write_files(folder, files, overwrite=overwrite)
    console.print()
    console.print(f"Page:  {page}", markup=False, soft_wrap=True)
    if model is not None:
        console.print(f"Model: {model}", markup=False, soft_wrap=True)


def _keep_some(budget: float, spent: float, report: str | None) -> float:
    """Seconds of a budget that the comparison may take, with a line on the others.

    So many have gone into loading libraries; those that draw take as long.
    """
    kept = spent
    if report is not None:
        kept += max(_PAGE_SECONDS, 2 * spent)
    what = "folds and speeds"
    if report is not None:
        what = "folds, speeds, the fit of the best strategy and the page"
    note(f"The budget covers all {what}; what has begun is not interrupted.")
    # A short budget is still one for folds.
    return budget - min(kept, budget / 4)


def _choose_jobs() -> int:
    """One fold a core: small batches gain little from a second one.

    Each worker holds a model of its own, so there are four at most, and one where they
    would share a GPU.
    """
    import torch
    from joblib import cpu_count

    return 1 if torch.cuda.is_available() else min(int(cpu_count()), 4)


def _check_suspects(
    path: Path, inputs: dict[str, str | None], *, overwrite: bool
) -> None:
    option = "--suspects"
    check_writable(path, option=option)
    check_inputs_stay(inputs, [path], option=option)
    check_free(path, overwrite=overwrite, option=option)


def _write_suspects(comparison: Any, path: Path) -> None:
    from sktransfer.comparison.findings.rendering import write_csv
    from sktransfer.exceptions import InvalidParameterError

    try:
        found = comparison.suspects(None)
    except InvalidParameterError as error:
        note(f"{path} is not written: {error}")
        return
    write_csv(found, path)
    note(f"{len(found):,} labels that look wrong are in {path}.")


def _save_best(comparison: Any, folder: Path) -> Path | None:
    from sktransfer.exceptions import InvalidParameterError, ModelFolderError
    from sktransfer.persistence import save
    from sktransfer.report.page_folder import note_file

    name = comparison.best_strategy
    note(f"Fitting {name} on all {len(comparison.texts):,} texts.")
    row = comparison.results[comparison.results["strategy"] == name].iloc[-1]
    scores = {f"{comparison.scoring} in cross-validation": float(row["score"])}
    confidence = None
    # Some strategies give no probabilities.
    with suppress(InvalidParameterError):
        confidence = comparison.confidence_table(name).to_dict()
    try:
        model = comparison.best_estimator()
        save(model, folder / "model", scores=scores, confidence=confidence)
        note_file(folder, MODEL_FILE)
    except ModelFolderError as error:
        note(f"The model is not saved: {error}")
        return None
    return folder / "model"
