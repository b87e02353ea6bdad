"""The two worked examples of fixed weight transfer, on real weights."""

import numpy as np
import pytest
from sklearn.model_selection import train_test_split

from sktransfer.classifier.classifier import TransferSentimentClassifier
from sktransfer.datasets.loading import load_mini_reviews
from sktransfer.encoders.featurizer import BertFeaturizer
from sktransfer.persistence import load, save
from sktransfer.words.alignment import align_word_vectors
from sktransfer.words.dictionaries import bilingual_pairs
from sktransfer.words.featurizer import WordVectorFeaturizer
from sktransfer.words.text.segmentation import segment
from sktransfer.words.vectors import WordVectors

pytestmark = pytest.mark.real


@pytest.fixture(scope="module")
def english():
    """Short English reviews with labels."""
    return load_mini_reviews("en", return_X_y=True)


@pytest.fixture(scope="module")
def chinese():
    """Short Chinese reviews with labels."""
    return load_mini_reviews("zh", return_X_y=True)


def phrases(pattern, things, liked, disliked):
    """Every thing with every opinion on it, and which of both it is."""
    texts = [pattern.format(t, o) for t in things for o in liked + disliked]
    return texts, ([1] * len(liked) + [0] * len(disliked)) * len(things)


@pytest.fixture(scope="module")
def in_words():
    """Opinions in Chinese and English, and vectors of both languages in one space."""
    zh = phrases(
        "{}很{}",
        ["酒店", "电影", "手机", "房间", "电池", "服务"],
        ["好", "优秀", "满意", "舒服", "漂亮", "完美", "精彩", "可爱"],
        ["差", "糟糕", "讨厌", "失望", "难看", "痛苦", "无聊", "可怕"],
    )
    en = phrases(
        "the {} was {}",
        ["hotel", "film", "phone", "room", "battery", "service"],
        ["wonderful", "excellent", "lovely", "pleasant", "beautiful", "brilliant"],
        ["terrible", "awful", "horrible", "disappointing", "ugly", "useless"],
    )
    encoder = BertFeaturizer("multilingual-e5-small").fit(["any"])
    pairs = bilingual_pairs("en", "zh")
    vectors = []
    for place, (texts, _) in ((0, en), (1, zh)):
        words = {word for text in texts for word in segment(text)}
        # A part of the dictionary is enough to find the rotation.
        words |= {pair[place] for pair in pairs[::60]}
        found = WordVectors.distill(encoder, sorted(words), n_components=64)
        vectors.append(found)
    return zh, en, vectors[1], align_word_vectors(vectors[0], vectors[1], pairs)


def few_and_rest(reviews):
    """Sixteen labelled texts, and the others as a test."""
    return train_test_split(
        *reviews, train_size=16, stratify=reviews[1], random_state=0
    )


class TestEnglishToChineseThroughBert:
    def build(self, **parameters):
        return TransferSentimentClassifier(
            BertFeaturizer("multilingual-e5-small", max_length=32),
            "partial",
            hidden_layer_sizes=(64, 32),
            random_state=0,
            **parameters,
        )

    def test_train_save_load_tune_test_save(self, english, chinese, tmp_path):
        few, rest, y_few, y_rest = few_and_rest(chinese)
        source = self.build().fit(*english)
        save(source, tmp_path / "english")
        untouched = load(tmp_path / "english").score(rest, y_rest)
        assert untouched > 0.7
        target = self.build(init_from=tmp_path / "english", max_epochs=10)
        target.fit(few, y_few)
        assert target.score(rest, y_rest) > 0.7
        save(target, tmp_path / "chinese")
        opened = load(tmp_path / "chinese")
        np.testing.assert_array_equal(
            opened.predict_proba(rest), target.predict_proba(rest)
        )


class TestChineseToEnglishByWords:
    def build(self, vectors, **parameters):
        return TransferSentimentClassifier(
            WordVectorFeaturizer(vectors, max_length=100),
            "fine_tune",
            hidden_layer_sizes=(64, 32),
            random_state=0,
            **parameters,
        )

    def test_before_and_after_tuning(self, in_words, tmp_path):
        chinese, english, in_chinese, in_english = in_words
        few, rest, y_few, y_rest = few_and_rest(english)
        save(self.build(in_chinese).fit(*chinese), tmp_path / "chinese")
        carried = {"init_from": tmp_path / "chinese"}
        still = {"encoder_learning_rate": 0, "head_learning_rate": 0, "max_epochs": 1}
        before = self.build(in_english, **carried, **still).fit(few, y_few)
        assert before.score(rest, y_rest) > 0.65
        after = self.build(in_english, **carried, l2_sp=10).fit(few, y_few)
        assert after.score(rest, y_rest) > 0.85
        save(after, tmp_path / "english")
        np.testing.assert_array_equal(
            load(tmp_path / "english").predict_proba(rest), after.predict_proba(rest)
        )
