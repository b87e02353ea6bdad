"""Where a command may write: over no input, and over no other file unasked."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from pathlib import Path

import typer

__all__ = [
    "MODEL_FILE",
    "check_apart",
    "check_beside_report",
    "check_free",
    "check_inputs_stay",
    "check_no_part",
    "check_report",
    "check_writable",
]

# Changes with whatever is in the model of a report.
MODEL_FILE = "model/manifest.json"


def check_free(path: Path, *, overwrite: bool, option: str) -> None:
    """Refuse to write over what is there: a file only if `overwrite`, else nothing."""
    if not os.path.lexists(path) or (overwrite and path.is_file()):
        return
    if path.is_file():
        why = "exists already: name another file, or say --overwrite to replace it"
    elif path.is_dir():
        why = "is a folder: name a file in it"
    else:  # such as /dev/null, or a link to nowhere
        why = "is no ordinary file: name another one"
    raise typer.BadParameter(f"{str(path)!r} {why}", param_hint=option)


def check_writable(path: Path, *, option: str) -> None:
    """See before the work that a file can be made: its folder is there and takes it."""
    if path.name in ("", ".."):
        raise typer.BadParameter(
            f"{str(path)!r} is no name of a file: name one, such as ./out",
            param_hint=option,
        )
    try:
        if not path.parent.is_dir():
            raise typer.BadParameter(
                f"there is no folder {str(path.parent)!r}: make it, or name another "
                "place",
                param_hint=option,
            )
        # As long as the names that stand beside it while it is made.
        _check_name(path.with_name(f"{path.name}.unfinished"))
        with tempfile.TemporaryFile(dir=path.parent):
            pass
    except (OSError, ValueError) as error:
        raise _explain(path, error, option) from error


def _check_name(path: Path) -> None:
    """Raise an error where no file can be called so."""
    with suppress(FileNotFoundError, NotADirectoryError):
        path.lstat()


def _explain(path: Path, error: Exception, option: str) -> typer.BadParameter:
    why = getattr(error, "strerror", None) or str(error)
    return typer.BadParameter(
        f"{str(path)!r:.200} cannot be written: {why}; name another place",
        param_hint=option,
    )


def check_inputs_stay(
    inputs: Mapping[str, str | None], written: Iterable[Path], *, option: str
) -> None:
    """Refuse to write over what a command reads, by whatever name it is known.

    `inputs` says what an input is called, and its path: a file, or a folder whose files
    are read. `written` are files that are written or removed, and folders that are
    replaced. Links and hard links are seen through, and upper and lower case where the
    file system takes them for the same.
    """
    there = [path for path in written if path.exists()]
    for what, name in inputs.items():
        if not there or name is None or name == "-":
            continue
        source = Path(name).expanduser()
        for read in _files_of(source):
            for path in there:
                if path.is_dir() and _is_inside(read, path):
                    _refuse(f"{name!r}, {what}, is in {str(path)!r}", option)
                elif path.samefile(read):
                    inside = "" if read == source else f"part of {name!r}, "
                    _refuse(f"{str(path)!r} is {inside}{what}", option)


def check_apart(path: Path, folder: str | None, what: str, *, option: str) -> None:
    """Refuse to write into a folder that is read, and that is replaced as a whole."""
    source = Path(folder).expanduser() if folder is not None else None
    if source is None or not source.is_dir():
        return
    place = path.resolve()
    if any(above.exists() and above.samefile(source) for above in place.parents):
        raise typer.BadParameter(
            f"{str(path)!r} is in {folder!r}, {what}, where nothing else belongs and "
            "whatever is saved next replaces it: name another place",
            param_hint=option,
        )


def check_no_part(
    path: Path, names: Callable[[Path], tuple[Path, ...]], *, option: str
) -> None:
    """Refuse the name of what another run has left, or is writing.

    `names` are those of the files that stand beside an output while it is made.
    """
    base = path.with_name(path.stem)
    beside = names(base) if path.suffix else ()
    if path in beside and any(other.exists() for other in beside if other != path):
        raise typer.BadParameter(
            f"{str(path)!r} belongs to an unfinished run that makes "
            f"{str(base)!r}: name another file",
            param_hint=option,
        )


def check_beside_report(path: Path, folder: Path, *, option: str) -> None:
    """Refuse a file that a report in the folder would want for itself."""
    from sktransfer.report.page_folder import list_names

    place = path.resolve()
    for name in (*list_names(), "model", "journal"):
        own = (folder / name).resolve()
        if own in (place, *place.parents):
            raise typer.BadParameter(
                f"{str(path)!r} is the report's own {name}: name another file",
                param_hint=option,
            )


def check_report(
    folder: Path,
    inputs: Mapping[str, str | None],
    *,
    model: bool,
    fresh: bool,
    overwrite: bool,
) -> None:
    """Refuse a folder in which a report would replace what is not its own.

    `inputs` are as in `check_inputs_stay`. With `model`, the best model is to be saved
    there; with `fresh`, the journal in it is to be removed.
    """
    from sktransfer.exceptions import InvalidParameterError
    from sktransfer.report.page_folder import check_folder, list_names

    option, journal = "--report", folder / "journal"
    try:
        _check_name(folder)
    except (OSError, ValueError) as error:
        raise _explain(folder, error, option) from error
    # The nearest folder that is there has to take what is made in it.
    nearest = next((p for p in (folder, *folder.parents) if os.path.lexists(p)), folder)
    if nearest.is_dir():
        check_writable(nearest / "report", option=option)
    for path in (folder, journal):
        if os.path.lexists(path) and not path.is_dir():
            raise typer.BadParameter(
                f"{str(path)!r} is no folder: name another one", param_hint=option
            )
    names = [*list_names(), "model", "journal", "journal/journal.jsonl"]
    check_inputs_stay(inputs, [folder / name for name in names], option=option)
    try:
        if not overwrite:
            check_folder(folder)
            check_folder(folder, [MODEL_FILE] if model else [])
        if fresh:
            from sktransfer.comparison.run.journal import list_own_files

            option = "--fresh"
            list_own_files(journal)
    except InvalidParameterError as error:
        raise typer.BadParameter(str(error), param_hint=option) from error


def _files_of(source: Path) -> list[Path]:
    """A file, or those in a folder and below it; none where nothing is."""
    found = [source, *source.rglob("*")] if source.is_dir() else [source]
    return [path for path in found if path.exists()]


def _is_inside(path: Path, folder: Path) -> bool:
    return any(parent.samefile(folder) for parent in path.resolve().parents)


def _refuse(why: str, option: str) -> None:
    raise typer.BadParameter(
        f"the output is the input: {why}, which would be lost; name another place",
        param_hint=option,
    )
