"""scikit-learn's own checks of an estimator, on numbers."""

import pytest
from sklearn.utils.estimator_checks import parametrize_with_checks

from sktransfer.classifier.classifier import TransferSentimentClassifier

REASON = (
    "weighted rows and repeated rows fill batches of different sizes, and so differ in "
    "their last digits and in where dropout falls"
)


def expected_failures(estimator):
    checks = ("dense", "sparse")
    return {f"check_sample_weight_equivalence_on_{c}_data": REASON for c in checks}


# All rows in one step and few steps, at a rate to match: the checks ask for good
# predictions too.
@pytest.mark.filterwarnings("ignore::sklearn.exceptions.SkipTestWarning")
@parametrize_with_checks(
    [
        TransferSentimentClassifier(
            hidden_layer_sizes=(16,),
            dropout=0.1,
            batch_size=256,
            max_epochs=30,
            head_learning_rate=0.05,
            random_state=0,
        )
    ],
    expected_failed_checks=expected_failures,
)
def test_scikit_learn_finds_nothing_amiss(estimator, check):
    check(estimator)
