from __future__ import annotations

import pytest

from sktransfer.comparison.checks.facts import Reading
from sktransfer.encoders.featurizer import BertFeaturizer


@pytest.fixture
def read(facts, sentences, tiny_bert):
    """Facts of 100 texts, 12 of which are longer than the 64 tokens of a BERT."""

    def read(model=tiny_bert, **options):
        texts = sentences(100, n_words=5)
        texts[:12] = sentences(12, n_words=80)
        reading = Reading(BertFeaturizer(model, **options), ("frozen", "fine_tune"))
        return facts(texts=texts, readings=[reading])

    return read


def test_the_share_and_a_remedy_are_told(say, read):
    (remark,) = say("texts.cut_texts", read())
    assert remark.sentence.startswith("About 12% of the texts are longer than the 64")
    assert "frozen and fine_tune" in remark.sentence
    assert "long_text='window'" in remark.remedy
    assert "max_length=" not in remark.remedy  # it has room for no more
    assert remark.rows == tuple(range(12))
    assert remark.strategies == ("frozen", "fine_tune")


@pytest.mark.parametrize("chosen", [{"long_text": "window"}, {"max_length": 16}])
def test_who_chose_a_way_to_cut_is_not_told(say, read, chosen):
    assert say("texts.cut_texts", read(**chosen)) == []


def test_where_all_is_read_there_is_nothing_to_say(say, facts, tiny_bert):
    reading = Reading(BertFeaturizer(tiny_bert), ("frozen",))
    assert say("texts.cut_texts", facts(readings=[reading])) == []


def test_weights_that_are_missing_are_for_the_row_to_tell(say, read, tmp_path):
    assert say("texts.cut_texts", read(tmp_path / "nowhere")) == []
