from .datasets import fetch_reviews, load_mini_reviews
from .encoders.featurizer import BertFeaturizer
from .finetune.classifier import TransferSentimentClassifier
from .words.featurizer import WordVectorFeaturizer
from .words.vectors import WordVectors

__all__ = [
    "BertFeaturizer",
    "TransferSentimentClassifier",
    "WordVectorFeaturizer",
    "WordVectors",
    "fetch_reviews",
    "load_mini_reviews",
]
