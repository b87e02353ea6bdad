"""Files of a checkpoint that are damaged, forged, or replaced while they are read."""

import importlib
import json
import os
import re
import shutil
from collections import OrderedDict
from pathlib import Path

import numpy as np
import pytest
from safetensors.torch import load_file, save_file

from sktransfer.encoders import loaded_models
from sktransfer.encoders.checkpoints import checkpoint as checkpoint_module
from sktransfer.encoders.checkpoints import weights
from sktransfer.encoders.checkpoints.checkpoint import find_checkpoint
from sktransfer.encoders.featurizer import BertFeaturizer
from sktransfer.encoders.loaded_models import load_tokenizer
from sktransfer.exceptions import CheckpointError


@pytest.fixture
def own_bert(tiny_bert, tmp_path):
    """A copy of the tiny BERT that the test may damage."""
    return Path(shutil.copytree(tiny_bert, tmp_path / "bert"))


def declare(folder: Path, name: str, content: object) -> None:
    path = folder / name
    path.parent.mkdir(exist_ok=True)
    path.write_text(json.dumps(content))


def break_json(name, **entries):
    """Damage that gives a file of JSON other entries, or other content altogether."""

    def damage(folder):
        path = folder / name
        content = json.loads(path.read_text()) if path.is_file() else {}
        declare(folder, name, content | entries)

    return damage


def write(name, text):
    return lambda folder: (folder / name).write_text(text)


class TestDamage:
    @pytest.mark.parametrize(
        ("damage", "message"),
        [
            (write("config.json", "[]"), r"config\.json it is \[\], but a JSON object"),
            (write("config.json", "[" * 200_000), r"config\.json is not valid JSON"),
            (lambda f: (f / "config.json").write_bytes(b"\xff"), "is not valid JSON"),
            (write("modules.json", "{}"), r"modules\.json it is \{\}"),
            (write("modules.json", "[3]"), r"modules\.json an entry is 3"),
            (write("tokenizer_config.json", "null"), r"tokenizer_config\.json it is N"),
            (break_json("config.json", hidden_size=-1), "hidden_size is -1, but a"),
            (break_json("config.json", hidden_size=32.0), "hidden_size is 32.0"),
            (break_json("config.json", hidden_size=True), "hidden_size is True"),
            (
                break_json("config.json", num_hidden_layers=10**12),
                "num_hidden_layers is",
            ),
            (break_json("config.json", num_hidden_layers=10**7), "bytes of all files"),
            (break_json("config.json", vocab_size=2**31 - 1), "bytes of all files"),
            (break_json("config.json", pad_token_id="x"), "pad_token_id is 'x'"),
            (break_json("config.json", max_position_embeddings=[]), "embeddings is"),
            (
                break_json("config.json", model_type="roberta", pad_token_id=2**30),
                "pad_token_id is 1073741824, but a smaller id",
            ),
            (
                break_json("sentence_bert_config.json", max_seq_length="9"),
                "is '9'",
            ),
            (break_json("sentence_x_config.json", max_seq_length=-9), "length is -9"),
            (break_json("tokenizer_config.json", model_max_length=[]), "length is"),
            (
                break_json(
                    "config_sentence_transformers.json",
                    prompts=3,
                    default_prompt_name="x",
                ),
                "prompts is 3",
            ),
        ],
    )
    def test_what_the_files_declare_is_proved(self, own_bert, damage, message):
        damage(own_bert)
        with pytest.raises(CheckpointError, match=message) as caught:
            find_checkpoint(own_bert)
        assert str(own_bert) in str(caught.value)

    @pytest.mark.parametrize("place", ["../other", "/etc", "a/../../b", 3, "a\0b"])
    def test_modules_lie_below_their_folder(self, own_bert, place):
        modules = [{"type": "x.Transformer", "path": place}]
        (own_bert / "modules.json").write_text(json.dumps(modules))
        with pytest.raises(CheckpointError, match="a folder below this one"):
            find_checkpoint(own_bert)

    def test_poolings_that_are_none(self, own_bert):
        modules = [{"type": "x.Pooling", "path": "1_Pooling"}]
        declare(own_bert, "modules.json", modules)
        declare(own_bert, "1_Pooling/config.json", {"pooling_mode": {"x": 1}})
        with pytest.raises(CheckpointError, match="pooling_mode is"):
            find_checkpoint(own_bert)

    @pytest.mark.parametrize("token", [10_000, 2**31, 2**32 - 1])
    def test_tokens_without_an_embedding(self, own_bert, token):
        path = own_bert / "tokenizer.json"
        content = json.loads(path.read_text())
        content["model"]["vocab"]["good"] = token
        path.write_text(json.dumps(content))
        with pytest.raises(CheckpointError, match=r"again.*The checkpoint is"):
            BertFeaturizer(own_bert, cache=None).fit_transform(["good"])

    def test_a_panic_of_the_tokenizer_is_an_error(self, own_bert, monkeypatch):
        class PanicException(BaseException):
            pass

        def panic(path):
            raise PanicException("index out of bounds")

        monkeypatch.setattr(loaded_models, "_tokenizers", OrderedDict())
        monkeypatch.setattr(loaded_models.Tokenizer, "from_file", panic)
        with pytest.raises(CheckpointError, match="index out of bounds"):
            load_tokenizer(find_checkpoint(own_bert))

    @pytest.mark.parametrize(
        "damage",
        [
            break_json("config.json", intermediate_size=48),
            break_json("config.json", num_attention_heads=7),
            break_json("config.json", layer_norm_eps="x"),
            break_json("config.json", max_position_embeddings=4),
            break_json("config.json", model_type=[]),
            break_json("config.json", hidden_act=[1]),
            lambda f: os.truncate(f / "model.safetensors", 20_000),
            lambda f: os.truncate(f / "model.safetensors", 7),
        ],
    )
    def test_weights_that_do_not_fit(self, own_bert, damage):
        damage(own_bert)
        with pytest.raises(CheckpointError, match=re.escape(str(own_bert))):
            BertFeaturizer(own_bert, cache=None).fit_transform(["good"])

    def test_tensors_of_other_sizes(self, own_bert):
        path = own_bert / "model.safetensors"
        whole = load_file(path)
        for name in ("encoder.layer.1.intermediate.dense.bias", weights.TABLE):
            save_file(whole | {name: whole[name][:-1].clone()}, path)
            with pytest.raises(CheckpointError, match=re.escape(str(own_bert))):
                BertFeaturizer(own_bert, cache=None).fit_transform(["good"])


class TestReplacing:
    """Weights that are others by the time they are read, or when that is done."""

    @pytest.fixture(params=["model.safetensors", "tokenizer.json", "config.json"])
    def replace_by(self, own_bert, other_tiny_bert, request):
        name = request.param
        content = Path(other_tiny_bert, name).read_bytes()

        def replace():
            # JSON with a space at its end is another file that says the same.
            beside = own_bert / "beside"
            beside.write_bytes(content + b" " * name.endswith("json"))
            beside.replace(own_bert / name)

        replace.path = own_bert / name
        return replace

    @pytest.mark.parametrize(
        ("module", "name"),
        [
            ("sktransfer.encoders.encoding", "load_tokenizer"),
            ("sktransfer.encoders.encoding", "load_encoder"),
            ("sktransfer.encoders.encoding", "encode_rows"),
            ("sktransfer.encoders.loaded_models", "share_weights"),
            ("sktransfer.encoders.checkpoints.weights", "find_table"),
        ],
    )
    @pytest.mark.parametrize("moment", ["before", "after"])
    def test_no_vector_is_kept_under_the_old_digest(
        self, own_bert, replace_by, monkeypatch, tmp_path, module, name, moment
    ):
        monkeypatch.setattr(loaded_models, "_encoders", OrderedDict())
        monkeypatch.setattr(loaded_models, "_tokenizers", OrderedDict())
        whole = replace_by.path.read_bytes()
        featurizer = BertFeaturizer(own_bert, cache=tmp_path / "cache")
        featurizer.fit(["good"])
        original = getattr(importlib.import_module(module), name)

        def at_that_moment(*args, **kwargs):
            if moment == "before":
                replace_by()
            result = original(*args, **kwargs)
            if moment == "after":
                replace_by()
            return result

        with monkeypatch.context() as patch:
            patch.setattr(f"{module}.{name}", at_that_moment)
            with pytest.raises(CheckpointError, match="have changed since"):
                featurizer.transform(["good"])
        assert not [*tmp_path.glob("cache/**/*.vec")]
        replace_by.path.write_bytes(whole)
        vectors = featurizer.transform(["good"])
        loaded_models._encoders.clear()
        plain = BertFeaturizer(own_bert, cache=None).fit_transform(["good"])
        np.testing.assert_allclose(vectors, plain, atol=1e-5)

    def test_a_description_is_of_one_state(self, own_bert, monkeypatch):
        read, n_calls = checkpoint_module.read_architecture, []

        def read_and_change(folder):
            found = read(folder)
            if not n_calls:
                n_calls.append(1)
                config = json.loads((folder / "config.json").read_text())
                declare(folder, "config.json", config | {"pad_token_id": 3})
            return found

        monkeypatch.setattr(checkpoint_module, "read_architecture", read_and_change)
        assert find_checkpoint(own_bert).pad_id == 3

    def test_files_that_never_rest_are_an_error(self, own_bert, monkeypatch):
        read, numbers = checkpoint_module.read_architecture, iter(range(1, 99))

        def read_and_change(folder):
            found = read(folder)
            config = json.loads((folder / "config.json").read_text())
            declare(folder, "config.json", config | {"pad_token_id": next(numbers)})
            return found

        monkeypatch.setattr(checkpoint_module, "read_architecture", read_and_change)
        with pytest.raises(CheckpointError, match="are being changed while"):
            find_checkpoint(own_bert)
