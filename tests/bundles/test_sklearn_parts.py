from __future__ import annotations

import numpy as np
import pytest
import skops.io
from sklearn.calibration import CalibratedClassifierCV
from sklearn.ensemble import RandomForestClassifier
from sklearn.feature_selection import SelectKBest, chi2, f_classif, mutual_info_classif
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression
from sklearn.neighbors import KNeighborsClassifier
from sklearn.neural_network import MLPClassifier
from sklearn.pipeline import FeatureUnion, Pipeline, make_pipeline
from sklearn.preprocessing import KBinsDiscretizer

from sktransfer.bundles.sklearn_parts import read_part, write_part
from sktransfer.exceptions import ModelFolderError
from tests.bundles.proving.zoo import known

X = np.abs(np.random.default_rng(0).normal(size=(60, 6)))
Y = (X[:, 0] > 0.7).astype(int)


@pytest.mark.parametrize(
    "step",
    [
        SelectKBest(f_classif, k=2),
        SelectKBest(chi2, k=2),
        SelectKBest(mutual_info_classif, k=2),
        SimpleImputer(),
        known(KBinsDiscretizer(), quantile_method="averaged_inverted_cdf"),
    ],
)
def test_usual_steps_come_back(step):
    model = make_pipeline(step, LogisticRegression()).fit(X, Y)
    again = read_part(write_part(model), "part")
    np.testing.assert_array_equal(again.predict_proba(X), model.predict_proba(X))


@pytest.mark.parametrize("method", ["sigmoid", "isotonic"])
def test_calibrated_classifiers_come_back(method):
    model = CalibratedClassifierCV(LogisticRegression(), method=method, cv=2).fit(X, Y)
    again = read_part(write_part(model), "part")
    np.testing.assert_array_equal(again.predict_proba(X), model.predict_proba(X))


@pytest.mark.parametrize("solver", ["adam", "sgd"])
def test_networks_come_back(solver):
    model = MLPClassifier((3,), solver=solver, max_iter=2000, tol=0.1).fit(X, Y)
    again = read_part(write_part(model), "part")
    np.testing.assert_array_equal(again.predict_proba(X), model.predict_proba(X))


@pytest.mark.parametrize("model", [RandomForestClassifier(3), KNeighborsClassifier()])
def test_what_compiled_code_would_follow_is_refused(model):
    refused = r"it holds .*(Tree|KDTree)|not one of the classes whose numbers"
    with pytest.raises(ValueError, match=refused):
        write_part(model.fit(X, Y))
    with pytest.raises(
        ModelFolderError, match=r"part asks for .*which are not made|numbers of"
    ):
        read_part(skops.io.dumps(model), "part")


def test_a_cache_stays_on_this_machine(tmp_path):
    inner = Pipeline([("model", LogisticRegression())], memory=str(tmp_path))
    outer = make_pipeline(FeatureUnion([("all", SimpleImputer())]), inner).fit(X, Y)
    again = read_part(write_part(outer), "part")
    assert again[-1].memory is None
    assert inner.memory == str(tmp_path)
    np.testing.assert_array_equal(again.predict(X), outer.predict(X))


def test_a_file_may_not_choose_where_this_machine_writes(tmp_path):
    model = Pipeline([("model", LogisticRegression())], memory=str(tmp_path)).fit(X, Y)
    with pytest.raises(ModelFolderError, match="a cache in a folder of its own choice"):
        read_part(skops.io.dumps(model), "part")
