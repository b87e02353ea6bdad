"""
==================================
From Chinese to English by words
==================================

The other way round, and without a transformer in the final model: a network on averaged
word vectors learns sentiment from Chinese reviews, and is carried to English by
exchanging its word vectors. For that the English vectors have to lie in the same space
as the Chinese ones, which a dictionary of word pairs sees to.
"""

# %%
# The data
# --------

import tempfile
from collections import Counter
from pathlib import Path

import numpy as np

from sktransfer import fetch_reviews

reviews = fetch_reviews("zh")
tweets = fetch_reviews("en", "tweets")
shuffled = np.random.default_rng(0)
some = shuffled.permutation(len(reviews.data))[:3000]
order = shuffled.permutation(len(tweets.data))
few, unseen = order[:64], order[64:1064]
X_source, y_source = reviews.data[some], reviews.target[some]
X_few, y_few = tweets.data[few], tweets.target[few]
X_test, y_test = tweets.data[unseen], tweets.target[unseen]

# %%
# Word vectors of both languages in one space
# -------------------------------------------
# The frequent words go through a multilingual encoder once. What comes out are ordinary
# word vectors, saved and opened memory-mapped, and no text needs the encoder any more.
# The English words are those that GloVe has first, in the order of their frequency.

from sktransfer import (
    BertFeaturizer,
    TransferSentimentClassifier,
    WordVectorFeaturizer,
    WordVectors,
    align_word_vectors,
    load,
    save,
)
from sktransfer.words.dictionaries import bilingual_pairs
from sktransfer.words.text.segmentation import segment

folder = Path(tempfile.mkdtemp())
counts = Counter(word for text in X_source for word in segment(text))
chinese_words = [word for word, _ in counts.most_common(6000)]
english_words = WordVectors.load("glove-6b-50d", limit=12000).words
encoder = BertFeaturizer("multilingual-e5-small", verbose=1)
chinese = WordVectors.distill(encoder, chinese_words, center=True, n_components=128)
english = WordVectors.distill(encoder, english_words, center=True, n_components=128)
pairs = bilingual_pairs("en", "zh")
aligned = align_word_vectors(english, chinese, pairs).save(folder / "english-vectors")
chinese = chinese.save(folder / "chinese-vectors")
print(f"{aligned} in the space of {chinese}")

# %%
# The Chinese model
# -----------------
# Its first layer is a table: zeros for padding, a random row for unknown words, and a
# row for each word of the training texts, which starts as the word's vector and learns
# with the head of 64 and 32 hidden units above it. A hundred words of a text count.


def build(vectors, **parameters):
    """Build the network that source and target share, on vectors of either language."""
    return TransferSentimentClassifier(
        WordVectorFeaturizer(vectors, max_length=100),
        "fine_tune",
        hidden_layer_sizes=(64, 32),
        dropout=0.5,
        random_state=0,
        **parameters,
    )


source = build(chinese).fit(X_source, y_source)
save(source, folder / "chinese", description="Sentiment of Chinese reviews.")

# %%
# Tested before and after tuning
# ------------------------------
# With the English vectors as its first layer, the Chinese model reads English. First
# it is tested like that, with a rate of learning of zero, then tuned on 64 tweets,
# slowly and not far from where it starts.

still = {"encoder_learning_rate": 0, "head_learning_rate": 0, "max_epochs": 1}
carried = {"init_from": folder / "chinese"}
before = build(aligned, **carried, **still).fit(X_few, y_few)
after = build(aligned, **carried, l2_sp=10, encoder_learning_rate=1e-3)
after.fit(X_few, y_few)
save(after, folder / "english", description="Sentiment of English tweets.")
target_only = build(aligned).fit(X_few, y_few)

scores = {
    "source only, before tuning": before.score(X_test, y_test),
    "target only, 64 tweets": target_only.score(X_test, y_test),
    "transferred, after tuning": load(folder / "english").score(X_test, y_test),
}
for name, score in scores.items():
    print(f"{name:<28}{score:.3f}")

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
axes.set_xlabel("accuracy on 1,000 unseen tweets (dashed: the larger class)")
axes.spines[["top", "right"]].set_visible(False)
plt.show()
