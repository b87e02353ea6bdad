from .language import language_of
from .nbsvm import NBSVMClassifier, nbsvm_baseline
from .snownlp import SnowNLPClassifier
from .tfidf import tfidf_baseline
from .vader import VaderClassifier

__all__ = [
    "NBSVMClassifier",
    "SnowNLPClassifier",
    "VaderClassifier",
    "language_of",
    "nbsvm_baseline",
    "tfidf_baseline",
]
