from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from scipy import sparse
from sklearn.linear_model import LogisticRegression

from sktransfer.classifier.data.joint_domains import pool_domains
from sktransfer.exceptions import InvalidInputError, InvalidParameterError

SOURCE = ["a", "b", "c", "d"], ["neg", "pos", "neg", "pos"]
TARGET = ["e", "f"], ["pos", "neg"]


class TestPoolDomains:
    def test_the_sources_rows_come_first(self):
        X, y, _ = pool_domains(SOURCE, TARGET)
        assert X == ["a", "b", "c", "d", "e", "f"]
        assert y.tolist() == ["neg", "pos", "neg", "pos", "pos", "neg"]

    @pytest.mark.parametrize("share", [0.1, 0.5, 0.9])
    def test_the_target_has_its_share_of_the_weight(self, share):
        weight = pool_domains(SOURCE, TARGET, target_weight=share)[2]
        assert weight[4:].sum() / weight.sum() == pytest.approx(share)
        assert weight.mean() == pytest.approx(1)
        assert len(set(weight[:4])) == len(set(weight[4:])) == 1

    def test_the_share_of_the_rows_weighs_all_rows_the_same(self):
        np.testing.assert_allclose(pool_domains(SOURCE, TARGET, 2 / 6)[2], 1)

    def test_any_container_of_texts_will_do(self):
        series = pd.Series(TARGET[0], index=[7, 9]), pd.Series(TARGET[1])
        X, y, _ = pool_domains((tuple(SOURCE[0]), np.array(SOURCE[1])), series)
        assert X == ["a", "b", "c", "d", "e", "f"]
        assert y[-1] == "neg"

    @pytest.mark.parametrize("as_source", [np.asarray, sparse.csr_array])
    @pytest.mark.parametrize("as_target", [np.asarray, sparse.csr_array])
    def test_matrices_are_stacked(self, as_source, as_target):
        rows = np.arange(12.0).reshape(6, 2)
        source = as_source(rows[:4]), SOURCE[1]
        X, y, weight = pool_domains(source, (as_target(rows[4:]), TARGET[1]))
        dense = X.toarray() if sparse.issparse(X) else X
        np.testing.assert_array_equal(dense, rows)
        LogisticRegression().fit(X, y, sample_weight=weight)

    @pytest.mark.parametrize("share", [0, 1, -0.5, True, "half", float("nan")])
    def test_a_share_out_of_range_is_refused(self, share):
        with pytest.raises(InvalidParameterError, match="target_weight="):
            pool_domains(SOURCE, TARGET, share)

    def test_texts_and_numbers_do_not_mix(self):
        with pytest.raises(InvalidInputError, match="source holds texts and the targ"):
            pool_domains(SOURCE, (np.zeros((2, 3)), TARGET[1]))

    @pytest.mark.parametrize("theirs", [["0", "1"], ["neg", "pos"]])
    def test_labels_written_in_two_ways_are_no_classes_in_common(self, theirs):
        expected = r"labels are numbers such as 0 and the target's texts such as "
        with pytest.raises(InvalidInputError, match=expected):
            pool_domains((["a", "b"], [0, 1]), (["c", "d"], theirs))
        both = pool_domains((["a"], np.array(["0"], object)), (["b"], ["1"]))
        assert both[1].tolist() == ["0", "1"]

    def test_columns_are_not_joined_by_their_place(self):
        one = pd.DataFrame({"a": [1.0, 2.0], "b": [3.0, 4.0]})
        with pytest.raises(InvalidInputError, match=r"columns \['a', 'b'\] and the t"):
            pool_domains((one, [0, 1]), (one[["b", "a"]], [0, 1]))
        X, _, _ = pool_domains((one, [0, 1]), (one, [0, 1]))
        assert X.tolist() == [[1, 3], [2, 4]] * 2

    def test_too_few_labels_name_the_domain(self):
        with pytest.raises(InvalidInputError, match="target's y has 1 labels"):
            pool_domains(SOURCE, (TARGET[0], ["pos"]))

    def test_what_is_no_pair_is_refused(self):
        with pytest.raises(InvalidInputError, match="source is list, but a pair"):
            pool_domains(SOURCE[0], TARGET)
