"""
==================================================
Which transfer strategy works best on my reviews?
==================================================

Somebody has 300 labelled sentences of product reviews, thousands of labelled sentences
about movies, and a question: which pretrained model works best here, and which way of
using it? In this example both are hyperparameters. One grid search compares frozen
features of two encoders, averaged word vectors, an encoder that is tuned, one that was
first tuned on movies, and TF-IDF, which needs no pretrained model at all.
"""

# %%
# The data
# --------
# Sentences of one review share its product and its mood, so whole reviews go either
# into training or into the test. ``groups`` says which review a sentence is from.

import subprocess
import sys
import time
from pathlib import Path

import numpy as np
from sklearn.model_selection import GroupShuffleSplit

from sktransfer import fetch_reviews

started = time.perf_counter()
products = fetch_reviews("en", "products")
halves = GroupShuffleSplit(n_splits=1, test_size=0.5, random_state=0)
mine, unseen = next(halves.split(products.data, groups=products.groups))
shuffled = np.random.default_rng(0)
mine = shuffled.permutation(mine)[:300]
unseen = shuffled.permutation(unseen)[:1000]

X, y, groups = (products[key][mine] for key in ("data", "target", "groups"))
X_test, y_test = products.data[unseen], products.target[unseen]
print(f"{len(X)} labelled sentences of {len(set(groups))} reviews, for example:")
for label in (0, 1):
    print(f"  {products.target_names[label]}: {X[y == label][0]}")

# %%
# A model of the source domain
# ----------------------------
# Movie reviews are plentiful. A model that was tuned on them is one of the starting
# points that are compared below.

from sktransfer import TransferSentimentClassifier

movies = fetch_reviews("en", "movies")
some = shuffled.permutation(len(movies.data))[:600]
source = TransferSentimentClassifier(
    strategy="fine_tune", max_epochs=3, random_state=0, verbose=1
)
source.fit(movies.data[some], movies.target[some])
untouched = source.score(X_test, y_test)
print(f"The movie model on product reviews, untouched: {untouched:.3f}")

# %%
# One pipeline, one grid
# ----------------------
# With a featurizer in front the classifier reads numbers and trains a head on them:
# "multilingual-e5-small", the default, and "all-MiniLM-L6-v2", more than twice as fast.
# With "passthrough" it reads the texts themselves and can tune the encoder too.

from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.frozen import FrozenEstimator
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV, StratifiedGroupKFold
from sklearn.pipeline import Pipeline
from tqdm.auto import tqdm

from sktransfer import BertFeaturizer, WordVectorFeaturizer

pipeline = Pipeline(
    [
        ("features", BertFeaturizer()),
        ("classifier", TransferSentimentClassifier(random_state=0)),
    ]
)
tune = {"classifier__strategy": ["fine_tune"], "classifier__max_epochs": [4]}
grid = [
    {
        "features": [
            BertFeaturizer(),
            BertFeaturizer("all-MiniLM-L6-v2"),
            WordVectorFeaturizer(),
        ],
        "classifier__hidden_layer_sizes": [(), (64, 32)],
    },
    {"features": ["passthrough"], **tune},
    {
        "features": ["passthrough"],
        **tune,
        "classifier__init_from": [FrozenEstimator(source)],
    },
    {
        "features": [TfidfVectorizer(ngram_range=(1, 2), sublinear_tf=True)],
        "classifier": [LogisticRegression(C=10)],
    },
]
N_CANDIDATES, N_FOLDS = 9, 3
progress = tqdm(total=N_CANDIDATES * N_FOLDS, desc="fits", unit="fit")


def accuracy(estimator, X, y):
    """Score as usual, and move the progress bar on."""
    progress.update()
    return estimator.score(X, y)


folds = StratifiedGroupKFold(N_FOLDS, shuffle=True, random_state=0)
search = GridSearchCV(pipeline, grid, scoring=accuracy, cv=folds, error_score="raise")
search.fit(X, y, groups=groups)
progress.close()

# %%
# The answer
# ----------
# Seconds are those of fitting and scoring all folds. Candidates that share a frozen
# encoder share its vectors: each text goes through it once in the whole search, and
# whichever candidate comes first pays for that.


def describe(parameters):
    """Name a candidate the way a person would."""
    features = parameters.get("features")
    if isinstance(features, TfidfVectorizer):
        return "TF-IDF + logistic regression"
    head = parameters.get("classifier__hidden_layer_sizes", (64, 32))
    layers = "-".join(map(str, head)) or "linear"
    if features == "passthrough":
        start = ", from movies" if "classifier__init_from" in parameters else ""
        return f"E5, {parameters['classifier__strategy']}{start}"
    kinds = {"multilingual-e5-small": "E5", "all-MiniLM-L6-v2": "MiniLM"}
    kind = kinds.get(getattr(features, "model", None), "word vectors")
    return f"{kind}, frozen, {layers} head"


results = search.cv_results_
names = [describe(parameters) for parameters in results["params"]]
means, spreads = results["mean_test_score"], results["std_test_score"]
seconds = N_FOLDS * (results["mean_fit_time"] + results["mean_score_time"])
best_first = np.argsort(-means)
print(f"{'strategy':<32}{'accuracy':>9}{'spread':>8}{'seconds':>9}")
for i in best_first:
    print(f"{names[i]:<32}{means[i]:>9.3f}{spreads[i]:>8.3f}{seconds[i]:>9.1f}")

# %%
# On sentences of reviews that nobody has looked at yet, against the baseline:

baseline = Pipeline(
    [("features", grid[-1]["features"][0]), ("classifier", grid[-1]["classifier"][0])]
).fit(X, y)
winner = search.best_estimator_
on_unseen = winner.score(X_test, y_test)
print(f"{'on 1,000 unseen sentences':<32}{'accuracy':>9}")
print(f"{names[search.best_index_]:<32}{on_unseen:>9.3f}")
print(f"{'TF-IDF + logistic regression':<32}{baseline.score(X_test, y_test):>9.3f}")

# %%
# And as a picture, with one standard deviation over the folds to either side.

import matplotlib.pyplot as plt

folder = Path("demo")
folder.mkdir(exist_ok=True)
figure, axes = plt.subplots(figsize=(7.5, 3.8), layout="constrained")
places = np.arange(len(names))
shown = best_first[::-1]
axes.barh(
    places, means[shown], xerr=spreads[shown], color="#0072B2", ecolor="#444", capsize=3
)
for place, i in enumerate(shown):
    axes.text(0.01, place, f"{means[i]:.3f}", color="white", va="center")
axes.set_yticks(places, [names[i] for i in shown])
axes.set_xlim(0, 1)
chance = np.bincount(y).max() / len(y)
axes.axvline(chance, color="#D55E00", linestyle="--")
axes.text(
    chance,
    1.01,
    "always the larger class",
    color="#A64600",
    ha="center",
    transform=axes.get_xaxis_transform(),
)
axes.set_xlabel(f"accuracy, mean of {N_FOLDS} folds over 300 product sentences")
axes.spines[["top", "right"]].set_visible(False)
figure.savefig(folder / "strategies.png", dpi=150)

# %%
# The model is an ordinary fitted estimator: save it, and load it where it is needed.
# The folder holds no pickle, and a card for people.

from sktransfer import save

save(winner, folder / "model", scores={"1,000 unseen sentences": on_unseen})
use_it = """
from sktransfer import load

model = load("demo/model")
sentences = [
    "The battery lasts for days and charges in no time.",
    "It stopped working after a week and nobody answers my mails.",
    "Not bad at all for the price.",
]
for sentence, probability in zip(sentences, model.predict_proba(sentences)[:, 1]):
    print(f"{probability:6.1%} positive: {sentence}")
"""
answer = subprocess.run(
    [sys.executable, "-c", use_it], capture_output=True, text=True, check=True
)
print("A fresh process loads the model and says:")
print(answer.stdout)
print(f"All in all {time.perf_counter() - started:.0f} seconds; see {folder}/.")
