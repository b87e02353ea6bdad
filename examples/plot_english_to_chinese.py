"""
=======================================================
From English to Chinese through a multilingual encoder
=======================================================

Labelled English sentences are at hand, and 64 labelled Chinese reviews. A multilingual
encoder reads both, so a model of English sentiment can be carried over as it is: train
it on English, save it, start the Chinese model from what was saved, and tune it on the
64 reviews. Is that better than the 64 reviews alone, and than the English model
untouched?
"""

# %%
# The data
# --------
# The source domain is English sentences about movies, the target Chinese reviews of
# books, hotels and computers. Nobody has labelled more than 64 of the latter; a
# thousand more serve as the test.

import tempfile
from pathlib import Path

import numpy as np

from sktransfer import fetch_reviews

movies = fetch_reviews("en", "movies")
reviews = fetch_reviews("zh")
shuffled = np.random.default_rng(0)
some = shuffled.permutation(len(movies.data))[:800]
order = shuffled.permutation(len(reviews.data))
few, unseen = order[:64], order[64:1064]
X_source, y_source = movies.data[some], movies.target[some]
X_few, y_few = reviews.data[few], reviews.target[few]
X_test, y_test = reviews.data[unseen], reviews.target[unseen]
for label in (0, 1):
    print(reviews.target_names[label], X_few[y_few == label][0][:60], sep=": ")

# %%
# A model of the source domain
# ----------------------------
# Multilingual E5 under a head of 64 and 32 hidden units with dropout, and one logit for
# the two classes. The top four of its twelve layers are tuned on English.

from sktransfer import BertFeaturizer, TransferSentimentClassifier, load, save


def build(**parameters):
    """Build the network that source and target share: same layers, same head."""
    return TransferSentimentClassifier(
        BertFeaturizer("multilingual-e5-small", max_length=64),
        "partial",
        n_trainable_layers=4,
        hidden_layer_sizes=(64, 32),
        dropout=0.5,
        random_state=0,
        **parameters,
    )


models = Path(tempfile.mkdtemp())
source = build(verbose=1).fit(X_source, y_source)
save(source, models / "english", description="Sentiment of English movie reviews.")

# %%
# The folder holds JSON and tensors, and a card for people. Only what was learnt is in
# it: the other layers come from the installed weights, whose digest it names.

for path in sorted((models / "english").iterdir()):
    print(f"{path.name:<22}{path.stat().st_size:>12,} bytes")

# %%
# Carried over
# ------------
# ``init_from`` starts the Chinese model from the English one. ``l2_sp`` keeps it from
# wandering far from there on so few texts.

target_only = build().fit(X_few, y_few)
transferred = build(init_from=models / "english", l2_sp=10).fit(X_few, y_few)
save(transferred, models / "chinese", description="Sentiment of Chinese reviews.")

scores = {
    "source only, untouched": load(models / "english").score(X_test, y_test),
    "target only, 64 reviews": target_only.score(X_test, y_test),
    "transferred, 64 reviews": load(models / "chinese").score(X_test, y_test),
}
for name, score in scores.items():
    print(f"{name:<26}{score:.3f}")

# %%
# The picture
# -----------

import matplotlib.pyplot as plt

figure, axes = plt.subplots(figsize=(6.5, 2.4), layout="constrained")
axes.barh(list(scores)[::-1], list(scores.values())[::-1], color="#0072B2")
for place, score in enumerate(list(scores.values())[::-1]):
    axes.text(0.01, place, f"{score:.3f}", color="white", va="center")
axes.set_xlim(0, 1)
axes.axvline(max(np.mean(y_test), 1 - np.mean(y_test)), color="#D55E00", ls="--")
axes.set_xlabel("accuracy on 1,000 unseen reviews (dashed: the larger class)")
axes.spines[["top", "right"]].set_visible(False)
plt.show()
