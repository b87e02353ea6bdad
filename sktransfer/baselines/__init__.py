"""What a transfer strategy has to beat: bags of words, and lexicons."""

from sktransfer.baselines.lexicons import SnowNLPClassifier, VaderClassifier
from sktransfer.baselines.nbsvm import NBSVMClassifier
from sktransfer.baselines.pipelines import language_of, nbsvm_baseline, tfidf_baseline

__all__ = [
    "NBSVMClassifier",
    "SnowNLPClassifier",
    "VaderClassifier",
    "language_of",
    "nbsvm_baseline",
    "tfidf_baseline",
]
