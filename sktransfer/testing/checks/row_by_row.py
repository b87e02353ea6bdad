"""What is said of a text depends on that text alone, and every str is a text."""

from __future__ import annotations

from typing import Any

import numpy as np
from scipy import sparse

from sktransfer.testing.assertions import assert_same_answers, fail
from sktransfer.testing.sample_texts import HARD_TEXTS, TEXTS
from sktransfer.testing.subject import Subject, as_table


def check_one_text(subject: Subject) -> None:
    """A text alone gets what it gets among others, with as many dimensions."""
    for row in (0, len(TEXTS) - 1):
        found = subject.answers(subject.fitted, [TEXTS[row]])
        expected = _rows(subject.expected, [row])
        assert_same_answers(subject, found, expected, "of one text", "all texts")


def check_subsets(subject: Subject) -> None:
    """Some texts get what they get among all: no answer depends on the batch."""
    rows = list(range(3, len(TEXTS), 4))
    found = subject.answers(subject.fitted, [TEXTS[row] for row in rows])
    expected = _rows(subject.expected, rows)
    assert_same_answers(subject, found, expected, "of some texts", "all texts")


def check_order(subject: Subject) -> None:
    """Texts in another order get the same answers in that order."""
    rows = list(np.random.default_rng(0).permutation(len(TEXTS)))
    found = subject.answers(subject.fitted, [TEXTS[row] for row in rows])
    expected = _rows(subject.expected, rows)
    assert_same_answers(subject, found, expected, "of texts in another order", "all")


def check_duplicates(subject: Subject) -> None:
    """A text that comes several times gets the same answer each time."""
    found = subject.answers(subject.fitted, [TEXTS[0], TEXTS[1], TEXTS[0], TEXTS[0]])
    expected = _rows(subject.expected, [0, 1, 0, 0])
    assert_same_answers(subject, found, expected, "of texts that repeat", "all texts")


def check_fit_on_duplicates(subject: Subject) -> None:
    """A fit takes texts that come several times."""
    n = len(TEXTS)
    y = subject.labels()
    one = subject.fit(TEXTS * 2, None if y is None else np.concatenate([y, y]))
    for method, answer in subject.answers(one).items():
        if np.shape(answer)[0] != n:
            fail(f"{method} of {n} texts has {np.shape(answer)[0]} rows.")


def check_unseen_words(subject: Subject) -> None:
    """A text of words that no fit has seen gets an answer."""
    _assert_answered(subject, "qwertz zxcvb äöü ৰব", "a text of unseen words")


def check_empty_text(subject: Subject) -> None:
    """The empty string is a text: it gets an answer, and a fit takes it."""
    _assert_text(subject, "empty")


def check_blank_text(subject: Subject) -> None:
    """A text of white space is a text."""
    _assert_text(subject, "blank")


def check_text_without_letters(subject: Subject) -> None:
    """A text of digits and punctuation is a text."""
    _assert_text(subject, "no letters")


def check_very_long_text(subject: Subject) -> None:
    """A text of 1,800 words gets an answer, and its neighbours keep theirs."""
    _assert_text(subject, "long")


def check_emojis(subject: Subject) -> None:
    """Emojis, also those of several code points, are read."""
    _assert_text(subject, "emojis")


def check_lone_surrogate(subject: Subject) -> None:
    """Half of a surrogate pair, as cut JSON leaves it, is an unknown character."""
    _assert_text(subject, "lone surrogate")


def check_nul_character(subject: Subject) -> None:
    """A NUL in a text neither ends it nor stops the fit."""
    _assert_text(subject, "NUL")


def check_combining_marks(subject: Subject) -> None:
    """Letters with stacked marks, and scripts that are written with them, are read."""
    _assert_text(subject, "combining marks")


def _rows(answers: dict[str, Any], rows: list[int]) -> dict[str, Any]:
    return {method: as_table(answer)[rows] for method, answer in answers.items()}


def _assert_text(subject: Subject, kind: str) -> None:
    """A hard text is answered after a fit without it, and after one with it."""
    text = HARD_TEXTS[kind]
    _assert_answered(subject, text, f"a text with {kind}")
    y = subject.labels()
    y = None if y is None else np.append(y, y[-1])
    try:
        one = subject.fit([*TEXTS, text], y)
        subject.answers(one, [text])
    except Exception as error:
        fail(
            f"a fit with a text with {kind} among others raised "
            f"{type(error).__name__}: {error}"
        )


def _assert_answered(subject: Subject, text: str, what: str) -> None:
    one, methods = subject.fitted, subject.methods(subject.fitted)
    found, alone = {}, {}
    for method in methods:
        try:
            found[method] = as_table(getattr(one, method)([*TEXTS, text]))
            alone[method] = as_table(getattr(one, method)([text]))
        except Exception as error:
            fail(f"{method} of {what} raised {type(error).__name__}: {error}")
        n_rows = found[method].shape[0]
        if n_rows != len(TEXTS) + 1:
            fail(f"{method} of {len(TEXTS) + 1} texts has {n_rows} rows.")
        table = found[method]
        numbers = table.data if sparse.issparse(table) else table
        if table.dtype.kind == "f" and np.isnan(numbers).any():
            fail(f"{method} of {what} has a number that is nan.")
    others = {method: answer[:-1] for method, answer in found.items()}
    assert_same_answers(
        subject, others, subject.expected, f"beside {what}", "without it"
    )
    last = {method: answer[-1:] for method, answer in found.items()}
    assert_same_answers(subject, alone, last, f"of {what} alone", "beside others")
