import numpy as np
import pytest

from sktransfer.comparison.findings.differences import Differences, Pair
from sktransfer.comparison.run.evaluation import Scoring
from sktransfer.comparison.run.schedule import Data
from sktransfer.comparison.setup.candidates import Candidate
from sktransfer.comparison.setup.folds import Fold, TrainSize
from sktransfer.statistics import could_be_best
from sktransfer.statistics.jackknife import Contributions

N = 120
FOLDS = [
    Fold(0, number, np.delete(np.arange(N), test), test)
    for number, test in enumerate(np.split(np.arange(N), 4))
]


def make(shares, *, uses=None, baseline="a", encoders=(), kinds=None):
    """Differences of strategies that are right on such a share of the texts.

    `shares` are {name: {size: share}}; what is right at a lower one is so at a higher.
    """
    labels = np.arange(N) % 2
    order = np.random.default_rng(0).permutation(N)
    sizes = sorted({size for each in shares.values() for size in each} - {0})
    data = Data(
        [f"text {row}" for row in range(N)],
        labels,
        np.unique(labels),
        np.arange(N),
        FOLDS,
        [TrainSize(size, whole=size == 90) for size in sizes],
        Scoring.resolve("accuracy"),
        0,
    )
    outcomes = {}
    for name, by_size in shares.items():
        for size, share in by_size.items():
            said = np.where(order < round(share * N), labels, 1 - labels)
            outcomes[name, size] = [tell(fold, said, labels) for fold in FOLDS]
    candidates = [
        Candidate(
            name,
            (kinds or {}).get(name, "strategy"),
            None,
            use=(uses or {}).get(name),
            base="target" if (uses or {}).get(name) else "",
        )
        for name in shares
    ]
    return Differences(data, candidates, outcomes, baseline, encoders)


def tell(fold, said, labels):
    return {
        "repeat": 0,
        "fold": fold.number,
        "n_test": len(fold.test),
        "metrics": {"score": float((said == labels)[fold.test].mean())},
        "predictions": {
            "rows": fold.test.tolist(),
            "predicted": said[fold.test].tolist(),
            "probabilities": [[np.nan] * 2] * len(fold.test),
        },
    }


def test_whatever_is_said_of_an_order_is_one_family():
    shares = {
        "majority": {90: 0.5},
        "a": {30: 0.5, 90: 0.6},
        "target": {30: 0.6, 90: 0.7},
        "moved": {30: 0.6, 90: 0.8},
        "source": {0: 0.7},
    }
    evidence = make(
        shares,
        uses={"moved": "start", "source": "only"},
        encoders=["a", "target"],
        kinds={"majority": "baseline"},
    )
    assert set(evidence.pairs) == {
        Pair("target", 30, "a", 30),
        Pair("target", 90, "a", 90),
        Pair("moved", 30, "a", 30),
        Pair("moved", 90, "a", 90),
        Pair("source", 0, "a", 90),
        Pair("moved", 90, "target", 90),
        Pair("source", 0, "target", 90),
        Pair("a", 90, "target", 90),
    }
    assert set(evidence.family) == set(evidence.pairs)


def test_a_difference_can_be_asked_for_in_either_direction():
    evidence = make({"a": {90: 0.6}, "b": {90: 0.9}})
    found, turned = evidence.difference("b", "a"), evidence.difference("a", "b")
    assert found.difference == pytest.approx(0.3)
    assert turned.difference == pytest.approx(-0.3)
    assert (turned.low, turned.high) == (-found.high, -found.low)
    assert found.is_shown
    assert turned.pvalue == found.pvalue


def test_what_was_not_run_is_in_no_family():
    evidence = make({"a": {90: 0.6}, "b": {90: 0.9}})
    assert evidence.difference("c", "a") is None
    assert evidence.difference("a", "a") is None


def test_folds_tell_where_predictions_were_not_kept():
    evidence = make({"a": {90: 0.6}, "b": {90: 0.9}})
    for outcomes in evidence.outcomes.values():
        for told in outcomes:
            del told["predictions"]
    (found,) = evidence.family.values()
    assert found.difference == pytest.approx(0.3)
    assert 0 < found.pvalue < 0.05
    assert evidence.possible is None
    assert evidence.expected is None
    assert np.isnan(evidence.critical)


def test_the_best_one_is_chosen_at_the_largest_size():
    evidence = make({"a": {30: 0.9, 90: 0.6}, "b": {30: 0.5, 90: 0.7}})
    name, told = evidence.expected
    assert name == "b"
    assert told.score <= 0.7 <= told.high


def test_who_learns_from_the_source_alone_may_be_best():
    evidence = make({"a": {90: 0.5}, "source": {0: 0.9}})
    assert evidence.possible == ["source"]


def test_what_guesses_may_be_best_only_where_it_leads_or_is_the_baseline():
    shares = {"majority": {90: 0.6}, "a": {90: 0.6}, "b": {90: 0.62}}
    kinds = {"majority": "baseline"}
    evidence = make(shares, kinds=kinds)
    assert evidence.contenders == evidence.possible == ["a", "b"]
    evidence = make(shares | {"majority": {90: 0.65}}, kinds=kinds)
    assert evidence.possible == ["majority", "a", "b"]
    evidence = make(shares, kinds=kinds, baseline="majority")
    assert evidence.possible == ["majority", "a", "b"]


def test_sizes_are_not_held_against_each_other():
    shares = {
        "a": {90: 0.6},
        "target": {30: 0.5},
        "moved": {30: 0.5, 90: 0.8},
        "source": {0: 0.7},
    }
    evidence = make(shares, uses={"moved": "start", "source": "only"})
    assert set(evidence.pairs) == {
        Pair("moved", 90, "a", 90),
        Pair("source", 0, "a", 90),
        Pair("source", 0, "target", 30),
    }
    assert evidence.difference("moved", "target") is None


def test_what_ended_at_a_smaller_size_does_not_hide_the_best_one():
    evidence = make({"a": {30: 0.5, 90: 0.6}, "b": {30: 0.5, 90: 0.9}, "c": {30: 0.5}})
    assert evidence.possible == ["b"]
    assert evidence.expected[0] == "b"
    assert not evidence.is_at_the_end(30)


def test_what_is_shown_to_be_worse_is_not_said_to_be_perhaps_the_best():
    shares = np.array([[0.6], [0.75], [0.6], [0.6], [0.6]])
    right = (np.random.default_rng(0).random((5, N)) < shares).astype(float)
    evidence = make({name: {90: 0.5} for name in "abcde"})
    for name, values in zip("abcde", right, strict=True):
        evidence._known[name, 90] = Contributions(float(values.mean()), values)
    # Among all ten pairs it is not shown, among the four with the baseline it is.
    assert could_be_best(right).all()
    assert evidence.difference("b", "a").is_shown
    assert evidence.possible == ["b", "c", "d", "e"]
