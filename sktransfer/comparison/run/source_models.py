"""The source domain: which of its texts are used, and the models trained on it."""

from __future__ import annotations

import contextlib
import functools
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from sklearn.base import clone

from sktransfer.classifier.data.checks import check_labels
from sktransfer.comparison.run.fingerprints import describe_candidate, digest_of
from sktransfer.comparison.run.plan import Data
from sktransfer.comparison.setup.candidates import Candidate, Source, seed_estimator
from sktransfer.comparison.setup.folds import nest_rows, text_keys
from sktransfer.exceptions import (
    CheckpointNotFoundError,
    InvalidInputError,
    ModelFolderError,
)
from sktransfer.persistence import load, save
from sktransfer.statistics.distances import proxy_a_distance
from sktransfer.texts import check_texts

__all__ = ["Lesson", "SourceModels", "check_source", "measure_distance"]

# Answers with a model of the source, and the seconds that it took to fit.
Lesson = Callable[[], tuple[Any, float]]


def check_source(
    source: Any, texts: list[str], *, max_source: int | None, seed: int
) -> Source:
    """Check a source domain, and take off what would give the target away.

    Parameters
    ----------
    source : tuple of (iterable of str, array-like)
        Texts and labels.
    texts : list of str
        The target domain: source texts that are copies of one of them are left out.
    max_source : int or None
        At most so many source texts, drawn at random and stratified.
    seed : int
        Of the drawing.

    Returns
    -------
    source : Source

    Raises
    ------
    InvalidInputError
        If it is no pair of texts and labels, or nothing is left of it.
    """
    if not isinstance(source, (tuple, list)) or len(source) != 2:
        raise InvalidInputError(
            f"source is a {type(source).__name__}, but a pair of texts and labels is "
            "expected, as in source=(X_source, y_source)."
        )
    found = check_texts(source[0], name="source's X")
    labels = check_labels(source[1], len(found), name="source's y")
    tested = set(text_keys(texts))
    rows = np.array(
        [row for row, key in enumerate(text_keys(found)) if key not in tested], np.intp
    )
    if len(np.unique(labels[rows])) < 2:
        raise InvalidInputError(
            f"source has {len(rows)} texts that are not in X too, and they hold fewer "
            "than 2 classes: pass labelled texts of another domain."
        )
    if max_source is not None and len(rows) > max_source:
        rows = np.sort(nest_rows(labels, rows, seed)[:max_source])
    return Source([found[row] for row in rows], labels[rows])


@dataclass
class SourceModels:
    """Estimators fitted on the source, each once.

    Attributes
    ----------
    source : Source
        To learn from.
    classes : ndarray
        Labels of the target domain.
    seed : int
        For whatever is random.
    folder : pathlib.Path or None
        Where fitted models are kept for a run that goes on; None keeps them in memory.
    seconds : dict of str to float
        What each took to fit, by digest.
    """

    source: Source | None
    classes: npt.NDArray[Any]
    seed: int
    folder: Path | None = None
    seconds: dict[str, float] = field(default_factory=dict)
    _models: dict[str, Any] = field(default_factory=dict)

    def model(self, candidate: Candidate) -> tuple[Any, str]:
        """Model of the source that a candidate needs, and its digest.

        Parameters
        ----------
        candidate : Candidate

        Returns
        -------
        model : classifier
            Fitted; the same for candidates that learn the source alike.
        digest : str
            Key of `seconds`.
        """
        assert self.source is not None
        for digest, lesson in self.lessons([candidate]).items():
            self.take(digest, *lesson())
        digest = _digest(candidate)
        return self._models[digest], digest

    def lessons(self, candidates: Iterable[Candidate]) -> dict[str, Lesson]:
        """What is still to be learnt for candidates, to be called in any process.

        Parameters
        ----------
        candidates : iterable of Candidate

        Returns
        -------
        lessons : dict of str to callable
            From a digest to a function that answers with a model and its seconds.
        """
        found: dict[str, Lesson] = {}
        for candidate in candidates:
            digest = _digest(candidate)
            if digest not in self._models and digest not in found:
                model = self._open(digest)
                if model is None:
                    found[digest] = self._lesson(candidate)
                else:
                    self._models[digest] = model
        return found

    def take(self, digest: str, model: Any, seconds: float) -> None:
        """Keep a model that was fitted on the source.

        Parameters
        ----------
        digest : str
            As in `lessons`.
        model : classifier
            Fitted.
        seconds : float
            What that took.
        """
        self._models[digest] = model
        self.seconds.setdefault(digest, seconds)
        if self.folder is not None:
            # Not every estimator of a user's can be saved; then it is fitted again.
            with contextlib.suppress(ModelFolderError):
                save(model, self.folder / digest[:16])

    def check_classes(self) -> None:
        """Raise unless the source's labels mean what the target's do.

        Raises
        ------
        InvalidInputError
            If the source has a label that the target has not.
        """
        assert self.source is not None
        theirs, ours = np.unique(self.source.labels).tolist(), self.classes.tolist()
        if not set(theirs) <= set(ours):
            raise InvalidInputError(
                f"the source has the classes {theirs[:10]} and the target {ours[:10]}, "
                "so a model of the source cannot label the target: name the same "
                "classes alike in both."
            )

    def _open(self, digest: str) -> Any:
        if self.folder is None or digest not in self.seconds:
            return None
        try:
            return load(self.folder / digest[:16])
        except (ModelFolderError, OSError):
            return None

    def _lesson(self, candidate: Candidate) -> Lesson:
        assert self.source is not None
        estimator = seed_estimator(candidate.learns_source(), self.seed)
        return functools.partial(_learn, estimator, self.source)


def _learn(estimator: Any, source: Source) -> tuple[Any, float]:
    """A fitted model of the source, and the seconds that it took."""
    started = time.perf_counter()
    model = estimator.fit(source.texts, source.labels)
    return model, time.perf_counter() - started


def _digest(candidate: Candidate) -> str:
    return digest_of(describe_candidate(Candidate("", "", candidate.learns_source())))


def measure_distance(encoder: Any, data: Data, source: Source | None) -> float | None:
    """Proxy A-distance of the domains, on vectors that were made anyway.

    Parameters
    ----------
    encoder : BertFeaturizer or None
        One that the strategies have in common.
    data : Data
        The target domain.
    source : Source or None
        The source domain.

    Returns
    -------
    distance : float or None
        None without a source, or without an encoder.
    """
    if source is None or encoder is None:
        return None
    try:
        encoder = clone(encoder).fit(data.texts)
        sides = [encoder.transform(texts) for texts in (source.texts, data.texts)]
    except CheckpointNotFoundError:
        return None
    return proxy_a_distance(*sides, random_state=data.seed)
