from .baselines.nbsvm import NBSVMClassifier
from .baselines.snownlp import SnowNLPClassifier
from .baselines.vader import VaderClassifier
from .classifier.classifier import TransferSentimentClassifier
from .classifier.data.joint_domains import pool_domains
from .comparison.comparing import compare_strategies
from .comparison.prediction_files import load_predictions
from .comparison.predictions import compare_predictions
from .comparison.result import StrategyComparison
from .comparison.suggesting import suggest
from .datasets import fetch_reviews, load_mini_reviews
from .encoders.featurizer import BertFeaturizer
from .explanation.contributions import Explanation
from .explanation.explaining import explain
from .persistence import load, save
from .plotting.confusion import ConfusionDisplay
from .plotting.cost import CostDisplay
from .plotting.curves import TransferCurveDisplay
from .plotting.domains import DomainMapDisplay
from .plotting.scores import ScoreDisplay
from .report.writing import write_report
from .words.alignment import align_word_vectors
from .words.featurizer import WordVectorFeaturizer
from .words.training import WordVectorTrainer
from .words.vectors import WordVectors

__all__ = [
    "BertFeaturizer",
    "ConfusionDisplay",
    "CostDisplay",
    "DomainMapDisplay",
    "Explanation",
    "NBSVMClassifier",
    "ScoreDisplay",
    "SnowNLPClassifier",
    "StrategyComparison",
    "TransferCurveDisplay",
    "TransferSentimentClassifier",
    "VaderClassifier",
    "WordVectorFeaturizer",
    "WordVectorTrainer",
    "WordVectors",
    "align_word_vectors",
    "compare_predictions",
    "compare_strategies",
    "explain",
    "fetch_reviews",
    "load",
    "load_mini_reviews",
    "load_predictions",
    "pool_domains",
    "save",
    "suggest",
    "write_report",
]
