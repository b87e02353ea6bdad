"""How the package is laid out: what a call visits, and how files, names and types lie.

A journey is one call of the public API, traced in a process of its own. The same call
with another encoder and other texts goes before it, so that all imports are done; the
traced one still sees its weights and texts for the first time. Threads that it starts
are traced with it, other processes are not. The rest is read from the source. Tables
are written beside this file, and all figures to a file where one is named:

    structure.py [--json FILE]
"""

from __future__ import annotations

import argparse
import ast
import importlib.util
import json
import multiprocessing
import os
import platform
import re
import statistics
import sys
import tempfile
import threading
import warnings
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from types import FrameType
from typing import Any

os.environ["HF_HUB_OFFLINE"] = "1"
os.environ["TOKENIZERS_PARALLELISM"] = "false"

import sktransfer

PACKAGE = Path(sktransfer.__file__).parent
# Names of files that mean the same wherever they stand.
ROLES = {"featurizer", "parameters", "registry", "saving"}
# Words, good, bad and neither, of the call that goes before, and of the traced one.
WORDS = {
    "before": ("good great lovely fine", "bad awful poor boring", "film plot actor"),
    "traced": ("nice fun loved liked", "cheap terrible broken hated", "phone screen"),
}
JOURNEYS = (
    "BertFeaturizer.transform, cold",
    "the same, all cached",
    "classifier.fit, frozen, cold",
    "the same, weights loaded",
    "fit, partial, cold",
    "the same, init_from a folder",
    "compare_strategies with a source (tfidf, nbsvm)",
)
# So that every machine takes the same paths.
FIXED = {"device": "cpu", "dtype": "float32"}

Trees = dict[str, tuple[str, ast.Module]]


def texts_of(side: str) -> tuple[list[str], list[str]]:
    """Texts that one word each separates, and their labels."""
    good, bad, things = (words.split() for words in WORDS[side])
    opinions = dict.fromkeys(good, "pos") | dict.fromkeys(bad, "neg")
    texts = {
        f"the {thing} is {how} {opinion}": label
        for thing in things
        for how in ("so", "very", "really", "quite")
        for opinion, label in opinions.items()
    }
    return list(texts), list(texts.values())


def classifier_of(folder: Path, side: str, strategy: str, **parameters: Any) -> Any:
    encoder = sktransfer.BertFeaturizer(str(folder / side), **FIXED)
    options = FIXED | {"random_state": 0} | parameters
    return sktransfer.TransferSentimentClassifier(encoder, strategy, **options)


def prepare(folder: Path) -> None:
    """Write an encoder for each side, and the folder of a classifier on it."""
    file = Path(__file__).parents[1] / "tests" / "conftest.py"
    spec = importlib.util.spec_from_file_location("conftest", file)
    conftest = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(conftest)
    for seed, side in enumerate(WORDS):
        conftest.build_tiny_bert(folder / side, seed=seed)
        source = classifier_of(folder, side, "partial", max_epochs=1)
        sktransfer.save(source.fit(*texts_of(side)), folder / f"source_{side}")


def make_call(journey: str, folder: Path, side: str) -> Callable[[], object]:
    """Call that is traced, with all done that comes before it."""
    texts, labels = texts_of(side)
    featurizer = sktransfer.BertFeaturizer(str(folder / side), **FIXED)
    number = JOURNEYS.index(journey)
    if number == 1:
        featurizer.fit_transform(texts)
    elif number == 3:
        featurizer.fit_transform(["another text"])
    if number < 2:
        featurizer.fit(texts)
        return lambda: featurizer.transform(texts)
    if number < 6:
        strategy = "feature_extraction" if number < 4 else "partial"
        source = str(folder / f"source_{side}") if number == 5 else None
        model = classifier_of(folder, side, strategy, init_from=source)
        return lambda: model.fit(texts, labels)
    (other,) = WORDS.keys() - {side}
    source = texts_of(other)
    names = ["tfidf", "nbsvm"]
    return lambda: sktransfer.compare_strategies(
        texts, labels, source=source, strategies=names, random_state=0
    )


def trace(journey: str, folder: Path) -> dict[str, Any]:
    """Files and functions of the package that a call visits."""
    warnings.simplefilter("ignore")
    make_call(journey, folder, "before")()
    call = make_call(journey, folder, "traced")
    root = f"{PACKAGE}{os.sep}"
    # What is inside of a function, such as a lambda, is one more, but only once.
    seen: dict[tuple[str, str], None] = {}

    def note(frame: FrameType, event: str, _: object) -> None:
        code = frame.f_code
        if event == "call" and code.co_filename.startswith(root):
            file = code.co_filename.removeprefix(root)
            seen.setdefault((file, code.co_qualname))

    threading.setprofile(note)
    sys.setprofile(note)
    try:
        call()
    finally:
        sys.setprofile(None)
        threading.setprofile(None)
    if any(name == "<module>" for _, name in seen):
        raise RuntimeError("the traced call was the first to import a module")
    files = [file for file, _ in seen]
    n_moves = sum(one != other for one, other in zip(files[1:], files, strict=False))
    return {
        "files": len(set(files)),
        "functions": len(files),
        "changes": n_moves,
        "returns": n_moves - len(set(files)) + 1,
        "visited": sorted(set(files)),
    }


def trace_all() -> dict[str, dict[str, Any]]:
    """Every journey, each in a new process, with a cache folder that is new, too."""
    spawn = multiprocessing.get_context("spawn")
    found = {}
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        os.environ["SKTRANSFER_CACHE"] = str(folder / "cache")
        with ProcessPoolExecutor(1, spawn, max_tasks_per_child=1) as pool:
            pool.submit(prepare, folder).result()
            for journey in JOURNEYS:
                found[journey] = pool.submit(trace, journey, folder).result()
                print(journey, found[journey]["files"], flush=True)
    return found


def count_lines(text: str, tree: ast.Module) -> Counter[str]:
    """All lines, and which are docstrings, nothing but a comment, and code."""
    documented: set[int] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef) and (
            ast.get_docstring(node, clean=False)
        ):
            first = node.body[0]
            documented.update(range(first.lineno, first.end_lineno + 1))
    lines = text.splitlines()
    bare = [x.strip() for n, x in enumerate(lines, 1) if n not in documented]
    comments = [line for line in bare if line.startswith("#")]
    return Counter(
        lines=len(lines),
        docstring=len(documented),
        comment=len(comments),
        code=len(list(filter(None, bare))) - len(comments),
    )


def measure_size(trees: Trees) -> dict[str, float]:
    """Lines of all files; modules are those that have a name of their own."""
    counts = {name: count_lines(*module) for name, module in trees.items()}
    own = [found for name, found in counts.items() if Path(name).stem != "__init__"]
    return {
        "modules": len(own),
        "median": statistics.median(found["lines"] for found in own),
        "longest": max(found["lines"] for found in own),
        "median_code": statistics.median(found["code"] for found in own),
        **sum(counts.values(), Counter()),
    }


def count_any(trees: Trees) -> dict[str, Counter[str]]:
    """Annotated arguments of each folder, without ``*args`` and ``**kwargs``."""
    counts: dict[str, Counter[str]] = defaultdict(Counter)
    for name, (_, tree) in trees.items():
        for node in ast.walk(tree):
            if not isinstance(node, ast.arguments):
                continue
            for argument in node.posonlyargs + node.args + node.kwonlyargs:
                if argument.annotation is not None:
                    written = ast.unparse(argument.annotation)
                    contains = re.search(r"\bAny\b", written) is not None
                    for place in ("all", name.rpartition("/")[0].partition("/")[0]):
                        counts[place or "."].update(
                            arguments=1, exactly=written == "Any", contains=contains
                        )
    return dict(sorted(counts.items()))


def find_importers(trees: Trees) -> dict[str, set[str]]:
    """Files that import each file, at their top or inside of a function."""
    dotted = {
        f"sktransfer/{name}".removesuffix(".py").replace("/", "."): name
        for name in trees
    }
    dotted = {name.removesuffix(".__init__"): file for name, file in dotted.items()}
    stub = (PACKAGE / "__init__.pyi").read_text(encoding="utf-8")
    importers: dict[str, set[str]] = defaultdict(set)
    for name, (_, tree) in (trees | {"__init__.pyi": ("", ast.parse(stub))}).items():
        above = Path("sktransfer", name).parent.parts
        for node in ast.walk(tree):
            wanted = []
            if isinstance(node, ast.Import):
                wanted = [alias.name for alias in node.names]
            elif isinstance(node, ast.ImportFrom):
                start = above[: len(above) + 1 - node.level] if node.level else ()
                base = ".".join([*start, *filter(None, [node.module])])
                inner = [f"{base}.{alias.name}" for alias in node.names]
                wanted = [each if each in dotted else base for each in inner]
            for each in wanted:
                if each in dotted:
                    importers[dotted[each]].add(name)
    return importers


def read_structure() -> dict[str, Any]:
    """What can be counted without running anything."""
    paths = [path for path in PACKAGE.rglob("*") if "__pycache__" not in path.parts]
    siblings = Counter(path.parent.relative_to(PACKAGE).as_posix() for path in paths)
    del siblings["."]
    places = defaultdict(list)
    trees: Trees = {}
    for path in sorted(path for path in paths if path.suffix == ".py"):
        text = path.read_text(encoding="utf-8")
        name = path.relative_to(PACKAGE)
        trees[name.as_posix()] = text, ast.parse(text)
        if name.stem != "__init__":
            places[name.stem].append(name.parent.as_posix())
    alone = [
        name
        for name, by in sorted(find_importers(trees).items())
        if Path(name).stem != "__init__"
        and len(by) == 1
        and Path(*by).parent == Path(name).parent
        and Path(*by).stem != "__init__"  # which hands on what others import
    ]
    return {
        "size": measure_size(trees),
        "siblings": dict(siblings.most_common()),
        "names": {name: at for name, at in sorted(places.items()) if len(at) > 1},
        "any": count_any(trees),
        "alone": alone,
    }


def write_tables(found: dict[str, Any]) -> str:
    size, names, alone = found["size"], found["names"], defaultdict(list)
    n_lines, n_roles = size["lines"], len(ROLES & names.keys())
    folder, n_siblings = next(iter(found["siblings"].items()))
    for name in map(Path, found["alone"]):
        alone[name.parent.as_posix()].append(name.stem)
    sections: list[tuple[str, str, str, Iterable[Iterable[object]]]] = [
        (
            "Journeys",
            "Files of the package that one call visits, distinct functions, and, in "
            "the order in which these are first entered, changes of file and returns "
            "to a file seen before.",
            "journey | files | functions | changes | returns",
            (
                [name, *list(row.values())[:4]]
                for name, row in found["journeys"].items()
            ),
        ),
        (
            "Size",
            "Siblings are files and folders. `__init__` is no module. Code is what is "
            "neither docstring nor comment nor blank.",
            "modules | lines | of code | median module | its code | longest "
            "| docstrings | comments | most siblings",
            [
                [size[key] for key in ("modules", "lines", "code")]
                + [f"{size[key]:.0f}" for key in ("median", "median_code", "longest")]
                + [f"{size[key] / n_lines:.1%}" for key in ("docstring", "comment")]
                + [f"{n_siblings} in {folder}"]
            ],
        ),
        (
            "Names that stand in several folders",
            f"{len(names) - n_roles}, and {n_roles} with one role everywhere.",
            "name | folders | one role",
            ([n, ", ".join(at), "yes" * (n in ROLES)] for n, at in names.items()),
        ),
        (
            "`Any` among annotated arguments",
            "Without `*args` and `**kwargs`.",
            "folder | arguments | nothing but `Any` | `Any` somewhere",
            (
                [place, n, f"{row['exactly'] / n:.1%}", f"{row['contains'] / n:.1%}"]
                for place, row in found["any"].items()
                for n in [row["arguments"]]
            ),
        ),
        (
            "Modules that one sibling imports, and nobody else",
            f"{len(found['alone'])} of {size['modules']}.",
            "folder | number | modules",
            ([place, len(stems), ", ".join(stems)] for place, stems in alone.items()),
        ),
    ]
    machine = f"{os.cpu_count()} cores of {platform.machine()}"
    lines = ["# How is the package laid out?", ""]
    lines += [f"Python {platform.python_version()}, {machine}, on the CPU in float32."]
    for title, sentence, head, rows in sections:
        lines += ["", f"## {title}", "", sentence, "", f"| {head} |"]
        lines += ["|---" * (head.count(" | ") + 1) + "|"]
        lines += [f"| {' | '.join(map(str, row))} |" for row in rows]
    return "\n".join(lines) + "\n"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--json", type=Path, metavar="FILE")
    path = parser.parse_args().json
    found = {"journeys": trace_all(), **read_structure()}
    if path is not None:
        path.write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")
    text = write_tables(found)
    print(text)
    Path(__file__).with_suffix(".md").write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
