import math
import sys

import numpy as np
import pytest
from sklearn.dummy import DummyClassifier
from sklearn.frozen import FrozenEstimator

from sktransfer.comparison.run import peak_memory
from sktransfer.comparison.run.peak_memory import PeakMemory

only_linux = pytest.mark.skipif(
    sys.platform != "linux", reason="only Linux tells the peak of a process"
)


class Allocating(DummyClassifier):
    """Fits with an array of 200 MB, which it does not keep."""

    def fit(self, texts, labels):
        held = np.ones(200 * 10**6, dtype=np.uint8)
        return super().fit(texts[: len(held)], labels)


@only_linux
def test_a_fit_shows_what_it_takes_and_others_do_not(compare, guess):
    found = compare({"before": guess, "large": Allocating(), "guess": guess})
    peaks = found.results.set_index("strategy")["fit_peak_mib"]
    assert 190 < peaks["large"] < 260  # 200 MB are 191 MiB
    assert peaks[["before", "guess"]].max() < 60
    each = found.folds.loc[found.folds["strategy"] == "large", "fit_peak_mib"]
    assert each.between(190, 260).all()
    assert f"{peaks['large']:,.0f}" in found.to_markdown()


@only_linux
def test_memory_that_was_free_before_counts_each_time():
    rises = []
    for _ in range(3):
        memory = PeakMemory()
        # So small that the allocator would keep them.
        held = [bytes(8192) for _ in range(8000)]
        rises.append(memory.rise())
        del held
    assert min(rises) > 40


@pytest.mark.parametrize("place", ["no", "."])  # it is missing, or cannot be written
def test_where_the_system_does_not_tell_there_is_no_number(
    monkeypatch, tmp_path, place
):
    monkeypatch.setattr(peak_memory, "_RESET", tmp_path / place)
    assert math.isnan(PeakMemory().rise())


def test_what_was_fitted_elsewhere_has_no_number(compare, words, sentiment_texts):
    fitted = FrozenEstimator(words.fit(*sentiment_texts))
    found = compare({"fitted": fitted})
    assert found.results["fit_peak_mib"].isna().all()
    assert found.results["status"].tolist() == ["done"]
