import threading

import pytest
from tokenizers import Regex, Tokenizer, models, normalizers, pre_tokenizers, processors

from sktransfer.encoders.checkpoints import script_tokenizer
from sktransfer.encoders.checkpoints.script_tokenizer import ScriptTokenizer
from sktransfer.encoders.loaded_models import read_tokenizer

# ruff: noqa: RUF001

PIECES = """
    ▁ ▁the ▁film the film s ▁caf é ▁café ▁5 5 € ! . , " \\ ▁" ] ", ▁[ 😀
    ▁хорош ий хорош о ▁фильм х ▁καλ ό μ ▁μ ▁ספר ר ▁كتاب ب ▁किताब ब หนัง สือ ▁책 이 책
    电影 很 好 ▁电影 好看 影 の ▁映画 カ ガ ▁ガ ▁ქართული ▁ቋንቋ k g
"""
TEXTS = [
    "the films",
    "café 5€ !",
    "a 😀 in the film",
    "хороший фильм",
    "电影很好看。",
    "映画の ｶﾞ カ\u3099 ガ",
    "καλό, µ",
    "5 ㎏ ﬁlm",
    "ספר كتاب किताब หนังสือ 책이 ქართული ቋንቋ",
    'the "film" \\ [",]',
    "",
    " \n ",
    "unknown ψ字",
]


def build(*, splitting=None, model=None) -> Tokenizer:
    vocabulary = [("<s>", 0.0), ("<pad>", 0.0), ("</s>", 0.0), ("<unk>", 0.0)]
    vocabulary += [(piece, -3.0 - 0.1 * i) for i, piece in enumerate(PIECES.split())]
    tokenizer = Tokenizer(model or models.Unigram(vocabulary, 3, byte_fallback=False))
    tokenizer.normalizer = normalizers.Sequence(
        [normalizers.NFKC(), normalizers.Replace(Regex(" {2,}"), " ")]
    )
    tokenizer.pre_tokenizer = splitting or pre_tokenizers.Metaspace()
    tokenizer.post_processor = processors.TemplateProcessing(
        single="<s> $A </s>", special_tokens=[("<s>", 0), ("</s>", 2)]
    )
    return tokenizer


def save(tokenizer, folder, *, pretty=False):
    tokenizer.enable_truncation(4)
    tokenizer.save(str(folder / "tokenizer.json"), pretty=pretty)
    tokenizer.no_truncation()
    return folder


@pytest.fixture(autouse=True)
def any_size(monkeypatch):
    monkeypatch.setattr("sktransfer.encoders.loaded_models._LARGE", 0)


@pytest.fixture(params=[False, True], ids=["compact", "pretty"])
def folder(request, tmp_path):
    return save(build(), tmp_path, pretty=request.param)


@pytest.mark.parametrize("part", [5, 2**18])
def test_each_text_has_its_tokens(folder, monkeypatch, part):
    monkeypatch.setattr(script_tokenizer, "_PART", part)
    whole = build()
    for text in TEXTS:
        # By one that has seen no script, and by one that has seen some.
        tokenizer = read_tokenizer(folder)
        assert isinstance(tokenizer, ScriptTokenizer)
        for once in (text, TEXTS[3], text):
            found, expected = tokenizer.encode(once), whole.encode(once)
            assert (found.ids, found.offsets) == (expected.ids, expected.offsets)
    found = read_tokenizer(folder).encode_batch_fast(TEXTS)
    expected = whole.encode_batch_fast(TEXTS)
    assert [one.ids for one in found] == [one.ids for one in expected]


def test_scripts_come_with_their_first_text(folder, monkeypatch):
    loaded = []
    load = script_tokenizer._load
    monkeypatch.setattr(
        script_tokenizer,
        "_load",
        lambda content, chosen: loaded.append(set(chosen)) or load(content, chosen),
    )
    tokenizer = read_tokenizer(folder)
    for text in TEXTS[:4] * 2:
        tokenizer.encode(text)
    assert loaded == [set(), {"Cyrillic"}]
    tokenizer.encode(TEXTS[8])
    assert loaded[2:] == [set(script_tokenizer._SCRIPTS)]


def test_pieces_of_absent_scripts_take_no_place(folder):
    tokenizer = read_tokenizer(folder)._for(["the film"])
    assert tokenizer.token_to_id("▁café") == build().token_to_id("▁café")
    assert tokenizer.token_to_id("▁фильм") is None


def test_threads_may_ask_at_once(folder):
    tokenizer, whole, wrong = read_tokenizer(folder), build(), []

    def encode(texts) -> None:
        wrong.extend(
            text
            for text in texts
            if tokenizer.encode(text).ids != whole.encode(text).ids
        )

    threads = [
        threading.Thread(target=encode, args=(TEXTS[i:] + TEXTS[:i],)) for i in range(6)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong


def test_half_of_a_surrogate_pair_is_refused_as_ever(folder):
    with pytest.raises(TypeError):
        read_tokenizer(folder).encode_batch_fast(["\ud800"])


@pytest.mark.parametrize(
    "options",
    [
        {"splitting": pre_tokenizers.ByteLevel()},
        {"model": models.WordLevel({"<unk>": 0, "the": 1}, unk_token="<unk>")},
    ],
)
def test_other_kinds_are_read_as_a_whole(tmp_path, options):
    tokenizer = read_tokenizer(save(build(**options), tmp_path))
    assert type(tokenizer) is Tokenizer


def test_small_files_are_read_as_a_whole(folder, monkeypatch):
    monkeypatch.setattr("sktransfer.encoders.loaded_models._LARGE", 10**6)
    assert type(read_tokenizer(folder)) is Tokenizer
