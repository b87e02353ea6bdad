import math
from pathlib import Path

import numpy as np
import pytest

from sktransfer.exceptions import (
    FileError,
    InvalidInputError,
    InvalidParameterError,
    MissingFileError,
)
from sktransfer.validation import (
    CALLBACK,
    CLASS_WEIGHT,
    FLAG,
    PATH,
    RANDOM_STATE,
    SWITCH,
    VERBOSE,
    check_parameters,
    did_you_mean,
    exactly,
    explained,
    instance,
    number,
    on_disk,
    one_of,
    show,
    whole,
)


class Unspeakable:
    def __repr__(self):
        raise RuntimeError("no words")


@pytest.mark.parametrize(
    ("rule", "right", "wrong"),
    [
        (exactly(None), [None], [False, 0, "None", np.zeros(2)]),
        (one_of("a", None), ["a", None], ["b", ["a"], 0, np.array(["a", "b"])]),
        (whole(1), [1, np.int64(7)], [0, True, 1.0, "1", None, math.nan]),
        (number(0), [0, 0.5, np.float32(3), 10**9], [-1e-9, math.inf, math.nan, "0"]),
        (number(0, 1), [0, 0.999], [1, -0.1, None]),
        (number(0, 1, ends="(]"), [1e-9, 1], [0, 1.1]),
        (number(0, ends="()"), [1e-9], [0, math.nan]),
        (instance((list, tuple), "a list"), [[], ()], [{}, "ab"]),
        (FLAG, [True, np.False_], [1, 0, None, "yes"]),
        (CLASS_WEIGHT, [None, "balanced", {}], ["fair", [1], np.ones(2)]),
        (RANDOM_STATE, [None, 0, np.random.RandomState(0)], [-1, 2**32, 1.5, "0"]),
        (VERBOSE, [0, 3, True], [-1, 1.5, None]),
        (exactly("auto") | whole(2), ["auto", 2], [1, "Auto", None]),
        (SWITCH, [True, 0, 1, np.True_], ["False", None, 2, [], 1.0]),
        (PATH, ["a", Path("a")], [None, 3, b"a", "", "a\0b", ["a"]]),
        (CALLBACK, [None, print], [3, "print"]),
    ],
)
def test_a_rule_accepts_what_its_words_say(rule, right, wrong):
    assert all(rule.accepts(value) for value in right)
    assert not any(rule.accepts(value) for value in wrong)


@pytest.mark.parametrize(
    ("rule", "words"),
    [
        (number(0, 1), r"a number in \[0, 1\)"),
        (number(0), "a number of at least 0"),
        (number(0, ends="()"), "a number above 0"),
        (one_of("a", "b"), r"one of \['a', 'b'\]"),
        (exactly("auto") | whole(1, "rows"), "'auto' or a whole number of rows, at "),
    ],
)
def test_the_message_says_what_came_and_what_is_expected(rule, words):
    with pytest.raises(InvalidParameterError, match=f"^size=-1, but {words}"):
        check_parameters({"size": -1}, {"size": rule})


def test_long_values_are_cut_and_other_parameters_left_alone():
    with pytest.raises(InvalidParameterError) as caught:
        check_parameters({"size": "x" * 999, "other": 3}, {"size": whole(0)})
    assert len(str(caught.value)) < 150
    check_parameters({"other": 3}, {"size": whole(0)})


def test_what_cannot_be_shown_is_named_by_its_type():
    assert show(Unspeakable()) == "<Unspeakable>"
    with pytest.raises(InvalidParameterError, match=r"^size=<Unspeakable>, but"):
        check_parameters({"size": Unspeakable()}, {"size": whole(1)})


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ("finetune", " Did you mean 'fine_tune'?"),
        ("Fine-Tune", " Did you mean 'fine_tune'?"),
        ("nothing like it", ""),
        (3, ""),
    ],
)
def test_names_that_are_like_it_are_suggested(given, said):
    assert did_you_mean(given, ["fine_tune", "frozen", None]) == said


def test_a_rule_of_names_suggests_one():
    with pytest.raises(InvalidParameterError, match="Did you mean 'frozen'"):
        check_parameters({"s": "Frozen"}, {"s": one_of("frozen") | exactly(None)})


def test_errors_of_libraries_become_our_own():
    with (
        pytest.raises(InvalidInputError, match=r"^X is odd \(could .*'x'\): pass 1.$"),
        explained("X is odd", "pass 1"),
    ):
        float("x")


def test_so_do_those_of_the_system(tmp_path):
    with (
        pytest.raises(MissingFileError, match=r"^path='.*nowhere' cannot be used"),
        on_disk("path", str(tmp_path / "nowhere")),
    ):
        (tmp_path / "nowhere").read_bytes()
    with pytest.raises(FileError, match="Is a directory"), on_disk("path", tmp_path):
        tmp_path.open("w")
    with pytest.raises(InvalidParameterError, match=r"^path=3"), on_disk("path", 3):
        pass
