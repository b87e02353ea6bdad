from .datasets import fetch_reviews, load_mini_reviews
from .encoders.featurizer import BertFeaturizer
from .finetune.classifier import TransferSentimentClassifier
from .words.alignment import align_word_vectors
from .words.featurizer import WordVectorFeaturizer
from .words.training import WordVectorTrainer
from .words.vectors import WordVectors

__all__ = [
    "BertFeaturizer",
    "TransferSentimentClassifier",
    "WordVectorFeaturizer",
    "WordVectorTrainer",
    "WordVectors",
    "align_word_vectors",
    "fetch_reviews",
    "load_mini_reviews",
]
