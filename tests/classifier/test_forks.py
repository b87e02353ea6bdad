import os
import subprocess
import sys

import pytest

FORK = """
import os, torch
from sktransfer.encoders.featurizer import BertFeaturizer
from sktransfer.exceptions import ForkedProcessError
from sktransfer.classifier.classifier import TransferSentimentClassifier

torch.set_num_threads(2)
texts, labels = ["good", "bad"] * 4, [1, 0] * 4
options = dict(max_epochs=1, dtype="float32", device="cpu", random_state=0)
encoder = BertFeaturizer({folder!r}, dtype="float32", device="cpu", cache=None)
tuned = TransferSentimentClassifier(encoder, "fine_tune", **options).fit(texts, labels)
head = TransferSentimentClassifier(**options).fit([[1.0], [0.0]] * 4, labels)
head.predict([[1.0]])  # threads that a fork does not take along
if os.fork() == 0:
    for work in (lambda: tuned.predict(texts), lambda: tuned.fit(texts, labels)):
        try:
            work()
        except ForkedProcessError:
            print("refused", flush=True)
    print(head.fit([[1.0], [0.0]] * 4, labels).predict([[1.0]]).shape, flush=True)
    torch.set_num_threads(1)
    print(tuned.fit(texts, labels).predict(texts).shape, flush=True)
    os._exit(0)
os.wait()
"""


@pytest.mark.slow
@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system does not fork")
def test_an_encoder_is_refused_after_a_fork_and_a_head_is_not(tiny_bert):
    result = subprocess.run(
        [sys.executable, "-c", FORK.format(folder=tiny_bert)],
        capture_output=True,
        text=True,
        timeout=120,
    )
    expected = ["refused", "refused", "(1,)", "(8,)"]
    assert result.stdout.splitlines() == expected, result.stderr
