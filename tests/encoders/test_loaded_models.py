import json
import pickle
import shutil
import threading
from pathlib import Path

import huggingface_hub.constants
import pytest
import torch
from safetensors.torch import load_file, save_file

from sktransfer.encoders import loaded_models
from sktransfer.encoders.checkpoints import hub
from sktransfer.encoders.checkpoints.checkpoint import find_checkpoint
from sktransfer.encoders.loaded_models import (
    copy_module,
    load_encoder,
    load_module,
    load_tokenizer,
)
from sktransfer.exceptions import (
    CheckpointError,
    CheckpointNotFoundError,
    InvalidParameterError,
)
from sktransfer.packages import PACKAGED, PackagedResource

CPU = torch.device("cpu")


@pytest.fixture
def own_bert(tiny_bert, tmp_path):
    """A copy of the tiny BERT that the test may damage."""
    return Path(shutil.copytree(tiny_bert, tmp_path / "bert"))


def declare(folder: Path, name: str, content: object) -> None:
    path = folder / name
    path.parent.mkdir(exist_ok=True)
    path.write_text(json.dumps(content))


def add_modules(folder: Path, transformer: str = "") -> None:
    modules = [("models.Transformer", transformer), ("models.Pooling", "1_Pooling")]
    declare(
        folder,
        "modules.json",
        [
            {"type": f"sentence_transformers.{kind}", "path": path}
            for kind, path in modules
        ],
    )


class TestFinding:
    def test_a_plain_folder_is_described_by_its_files(self, tiny_bert):
        checkpoint = find_checkpoint(tiny_bert)
        assert checkpoint.folder == Path(tiny_bert)
        assert checkpoint.pooling == ("mean",)
        assert checkpoint.prefix == ""
        assert checkpoint.max_length == checkpoint.n_positions == 64
        assert (checkpoint.hidden_size, checkpoint.n_layers) == (32, 2)
        assert len(pickle.dumps(checkpoint)) < 2000

    def test_the_digest_follows_the_content_and_not_the_place(
        self, tiny_bert, other_tiny_bert, own_bert
    ):
        digest = find_checkpoint(tiny_bert).digest
        assert find_checkpoint(own_bert).digest == digest
        assert find_checkpoint(other_tiny_bert).digest != digest
        (own_bert / "tokenizer_config.json").write_text('{"model_max_length": 32}')
        assert find_checkpoint(own_bert).digest != digest

    @pytest.fixture
    def here(self, tmp_path, monkeypatch):
        """A working directory with folders called like packaged and other weights."""
        monkeypatch.chdir(tmp_path)

        def here(tiny_bert, *names):
            for name in names:
                shutil.copytree(tiny_bert, tmp_path / name)
            return tmp_path

        return here

    @pytest.mark.parametrize("name", ["all-MiniLM-L6-v2", "with-v1.5"])
    def test_a_packaged_name_is_never_a_folder(
        self, tiny_bert, other_tiny_bert, here, monkeypatch, name
    ):
        shutil.copytree(other_tiny_bert, here(tiny_bert, name) / "carrier" / "model")
        monkeypatch.syspath_prepend(Path.cwd())
        resource = PackagedResource(name, "transformer", "c==1", "carrier", "model")
        monkeypatch.setitem(PACKAGED, name, resource)
        expected = find_checkpoint(other_tiny_bert).digest
        assert find_checkpoint(name).digest == expected
        for path in (f"./{name}", Path(name)):
            assert find_checkpoint(path).digest == find_checkpoint(tiny_bert).digest

    def test_not_even_where_the_package_is_missing(self, tiny_bert, here, monkeypatch):
        here(tiny_bert, "tiny")
        resource = PackagedResource("tiny", "transformer", "carrier==1", "no_such", "x")
        monkeypatch.setitem(PACKAGED, "tiny", resource)
        with pytest.raises(
            CheckpointNotFoundError, match=r"carrier==1.*\[models\].*'./t"
        ):
            find_checkpoint("tiny")

    @pytest.mark.parametrize("name", ["tiny", "two words", "tiny."])
    def test_a_bare_name_is_no_folder(self, tiny_bert, here, name):
        here(tiny_bert, name)
        with pytest.raises(
            CheckpointNotFoundError, match=rf"'{name}' lies in .*: write './{name}' to"
        ):
            find_checkpoint(name)

    @pytest.mark.parametrize(
        "name", ["./tiny", "tiny/", "~/tiny", "org/model", "org/bge-v1.5", "v1.5"]
    )
    def test_what_looks_like_a_path_is_a_folder(
        self, tiny_bert, here, monkeypatch, name
    ):
        monkeypatch.setenv("HOME", str(here(tiny_bert, "tiny", "v1.5")))
        here(tiny_bert, "org/model", "org/bge-v1.5")
        assert find_checkpoint(name).hidden_size == 32

    def test_a_path_without_a_separator_stays_a_path(self, tiny_bert, here):
        here(tiny_bert, "tiny")
        checkpoint = find_checkpoint(Path("tiny"))
        assert find_checkpoint(checkpoint.name) == checkpoint

    @pytest.mark.parametrize(
        "name",
        [
            "file:///tiny",
            "https://hub/org/model",
            "tiny\0",
            "~\0/x",
            "x" * 5000,
            "a..b",
            "a--b/c",
        ],
    )
    def test_what_is_neither_is_an_error_like_others(self, name):
        with pytest.raises(CheckpointNotFoundError):
            find_checkpoint(name, local_files_only=True)

    def test_packages_come_before_the_hub(self, tiny_bert, tmp_path, monkeypatch):
        shutil.copytree(tiny_bert, tmp_path / "carrier" / "model")
        monkeypatch.syspath_prepend(str(tmp_path))
        resource = PackagedResource(
            "tiny", "transformer", "carrier==1", "carrier", "model"
        )
        monkeypatch.setitem(PACKAGED, "tiny", resource)
        assert find_checkpoint("tiny").folder == tmp_path / "carrier" / "model"

    def test_a_path_that_is_not_there_is_no_hub_id(self):
        with pytest.raises(CheckpointNotFoundError, match=r"no folder './nowhere'"):
            find_checkpoint("./nowhere")

    @pytest.mark.parametrize("model", [None, 3, "", " ", b"all-MiniLM-L6-v2"])
    def test_what_is_no_name_is_an_error(self, model):
        with pytest.raises(
            InvalidParameterError, match=r"model is .*'all-MiniLM-L6-v2'"
        ):
            find_checkpoint(model)

    def test_a_package_that_is_not_installed_is_named(self, monkeypatch):
        resource = PackagedResource("tiny", "transformer", "carrier==1", "no_such", "x")
        monkeypatch.setitem(PACKAGED, "tiny", resource)
        with pytest.raises(CheckpointNotFoundError, match=r"carrier==1.*\[models\]"):
            find_checkpoint("tiny", local_files_only=True)


class TestHub:
    @pytest.fixture(autouse=True)
    def downloads(self, monkeypatch):
        """What the hub was asked for; it has one repository, half of it cached."""
        self.asked = []
        self.folders = {}

        def snapshot(hub_id, revision, *, local_files_only, also=None):
            self.asked.append((hub_id, revision, local_files_only))
            folder = self.folders.get(local_files_only)
            if folder is None:
                raise OSError("Name or service not known\nmore lines")
            return Path(folder)

        monkeypatch.setattr(hub, "_snapshot", snapshot)
        monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", False)

    def test_the_cache_is_enough(self, tiny_bert):
        self.folders[True] = tiny_bert
        find_checkpoint("someone/model", revision="v1")
        assert self.asked == [("someone/model", "v1", True)]

    def test_a_cached_tokenizer_alone_is_not_enough(self, tiny_bert, tmp_path):
        (tmp_path / "tokenizer.json").touch()
        self.folders = {True: tmp_path, False: tiny_bert}
        assert find_checkpoint("someone/model").folder == Path(tiny_bert)

    def test_no_network_when_told_so(self):
        with pytest.raises(CheckpointNotFoundError, match="as local_files_only=True"):
            find_checkpoint("someone/model", local_files_only=True)
        assert self.asked == [("someone/model", None, True)]

    def test_no_network_when_the_environment_says_so(self, monkeypatch):
        monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", True)
        with pytest.raises(CheckpointNotFoundError, match="as HF_HUB_OFFLINE is set"):
            find_checkpoint("someone/model")
        assert self.asked == [("someone/model", None, True)]

    def test_the_reason_of_the_hub_is_told(self):
        with pytest.raises(CheckpointNotFoundError, match="answered: Name or service"):
            find_checkpoint("someone/model")

    def test_packages_have_no_revisions(self, tiny_bert):
        self.folders[True] = tiny_bert
        find_checkpoint("all-MiniLM-L6-v2", revision="main")
        assert self.asked[0][0] == "sentence-transformers/all-MiniLM-L6-v2"

    def test_a_repository_without_weights_is_an_error(self, tmp_path):
        self.folders[False] = tmp_path
        with pytest.raises(CheckpointError, match=r"has no config\.json"):
            find_checkpoint("someone/model")


class TestDeclarations:
    def test_sentence_transformers_files_are_followed(self, own_bert):
        add_modules(own_bert)
        declare(own_bert, "1_Pooling/config.json", {"pooling_mode_cls_token": True})
        declare(own_bert, "sentence_bert_config.json", {"max_seq_length": 20})
        prompts = {"prompts": {"q": "query: ", "p": "x"}, "default_prompt_name": "q"}
        declare(own_bert, "config_sentence_transformers.json", prompts)
        checkpoint = find_checkpoint(own_bert)
        assert checkpoint.pooling == ("cls",)
        assert checkpoint.max_length == 20
        assert checkpoint.prefix == "query: "

    @pytest.mark.parametrize(
        ("content", "pooling"),
        [
            ({"pooling_mode": "max"}, ("max",)),
            ({"pooling_mode": ["cls", "mean"]}, ("cls", "mean")),
            ({"pooling_mode_lasttoken": True}, ("lasttoken",)),
            ({}, ("mean",)),
        ],
    )
    def test_all_ways_to_write_a_pooling(self, own_bert, content, pooling):
        add_modules(own_bert)
        declare(own_bert, "1_Pooling/config.json", content)
        assert find_checkpoint(own_bert).pooling == pooling

    def test_prompts_that_are_only_offered_do_not_count(self, own_bert):
        prompts = {"prompts": {"query": "query: "}, "default_prompt_name": None}
        declare(own_bert, "config_sentence_transformers.json", prompts)
        assert find_checkpoint(own_bert).prefix == ""

    def test_weights_may_lie_deeper(self, tiny_bert, tmp_path):
        shutil.copytree(tiny_bert, tmp_path / "0_Transformer")
        add_modules(tmp_path, transformer="0_Transformer")
        checkpoint = find_checkpoint(tmp_path)
        assert checkpoint.folder == tmp_path / "0_Transformer"

    def test_positions_of_roberta_begin_after_the_padding(self, own_bert):
        config = json.loads((own_bert / "config.json").read_text())
        config |= {"model_type": "roberta", "pad_token_id": 1}
        declare(own_bert, "config.json", config)
        declare(own_bert, "tokenizer_config.json", {"model_max_length": 10**30})
        checkpoint = find_checkpoint(own_bert)
        assert checkpoint.n_positions == checkpoint.max_length == 62
        assert checkpoint.pad_id == 1

    @pytest.mark.parametrize(
        ("damage", "message"),
        [
            (lambda f: (f / "config.json").unlink(), "holds no config.json"),
            (lambda f: (f / "model.safetensors").unlink(), "holds no weights"),
            (lambda f: (f / "config.json").write_text("{"), "is not valid JSON"),
            (lambda f: (f / "modules.json").write_text("{"), "is not valid JSON"),
            (lambda f: (f / "config.json").write_text("{}"), "no width and number of"),
            (
                lambda f: declare(f, "config.json", {"is_encoder_decoder": True}),
                "an encoder with a decoder",
            ),
        ],
    )
    def test_unusable_folders_say_why(self, own_bert, damage, message):
        damage(own_bert)
        with pytest.raises(CheckpointError, match=message):
            find_checkpoint(own_bert)


class TestLoading:
    def test_the_shared_module_is_frozen_and_shared(self, tiny_bert, own_bert):
        module = load_module(
            find_checkpoint(tiny_bert), device=CPU, dtype=torch.float32
        )
        assert not module.training
        assert not any(parameter.requires_grad for parameter in module.parameters())
        again = load_module(find_checkpoint(own_bert), device=CPU, dtype=torch.float32)
        assert again is module

    def test_a_copy_belongs_to_the_caller(self, tiny_bert):
        checkpoint = find_checkpoint(tiny_bert)
        shared = load_module(checkpoint, device=CPU, dtype=torch.float32)
        module = copy_module(checkpoint)
        assert module.pooler is None
        table, *others = module.parameters()
        assert all(parameter.requires_grad for parameter in others)
        module.get_input_embeddings().own()
        for theirs, ours in zip(shared.parameters(), [table, *others], strict=True):
            torch.testing.assert_close(ours, theirs)
            torch.nn.init.constant_(ours, 7)
            assert not torch.any(theirs == 7)

    def test_threads_get_the_same_module(self, tiny_bert):
        checkpoint = find_checkpoint(tiny_bert)
        found = []
        load = lambda: found.append(  # noqa: E731
            load_module(checkpoint, device=CPU, dtype=torch.float16)
        )
        threads = [threading.Thread(target=load) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert len(set(map(id, found))) == 1

    def test_int8_is_for_relatives_of_bert(self, own_bert, tiny_bert):
        checkpoint = find_checkpoint(tiny_bert)
        encoder = load_encoder(checkpoint, device=CPU, dtype=torch.int8)
        assert load_encoder(checkpoint, device=CPU, dtype=torch.int8) is encoder
        config = json.loads((own_bert / "config.json").read_text())
        declare(own_bert, "config.json", config | {"hidden_act": "relu"})
        with pytest.raises(InvalidParameterError, match="for BERT and its relatives"):
            load_encoder(find_checkpoint(own_bert), device=CPU, dtype=torch.int8)

    def test_registries_are_bounded(self, tiny_bert, monkeypatch):
        monkeypatch.setattr(loaded_models, "_MAX_MODULES", 1)
        checkpoint = find_checkpoint(tiny_bert)
        for dtype in (torch.float32, torch.bfloat16):
            load_module(checkpoint, device=CPU, dtype=dtype)
            assert len(loaded_models._modules) == 1

    def test_loading_leaves_generators_and_settings_alone(self, tiny_bert, capfd):
        from transformers.utils import logging

        state, verbosity = torch.get_rng_state(), logging.get_verbosity()
        copy_module(find_checkpoint(tiny_bert))
        assert torch.equal(torch.get_rng_state(), state)
        assert logging.get_verbosity() == verbosity
        assert logging.is_progress_bar_enabled()
        assert capfd.readouterr() == ("", "")

    def test_missing_tensors_are_an_error(self, own_bert):
        path = own_bert / "model.safetensors"
        tensors = load_file(path)
        del tensors["encoder.layer.1.output.dense.weight"]
        save_file(tensors, path, metadata={"format": "pt"})
        with pytest.raises(
            CheckpointError, match=r"lack 1 of the tensors.*layer\.1\.output"
        ):
            copy_module(find_checkpoint(own_bert))

    def test_a_truncated_file_is_an_error(self, own_bert):
        path = own_bert / "model.safetensors"
        path.write_bytes(path.read_bytes()[:1000])
        with pytest.raises(CheckpointError, match="cannot be loaded"):
            copy_module(find_checkpoint(own_bert))

    def test_code_from_the_hub_is_never_run(self, own_bert):
        config = json.loads((own_bert / "config.json").read_text())
        (own_bert / "own.py").write_text("raise SystemExit")
        config |= {"model_type": "own", "auto_map": {"AutoConfig": "own.Config"}}
        declare(own_bert, "config.json", config)
        with pytest.raises(CheckpointError, match="code from the hub is never run"):
            copy_module(find_checkpoint(own_bert))

    def test_older_weights_are_read_without_unpickling_code(self, own_bert):
        tensors = load_file(own_bert / "model.safetensors")
        (own_bert / "model.safetensors").unlink()
        torch.save(tensors, own_bert / "pytorch_model.bin")
        module = copy_module(find_checkpoint(own_bert))
        name, parameter = next(module.named_parameters())
        assert torch.equal(parameter, tensors[name])

    def test_tokenizers_neither_cut_nor_pad(self, own_bert):
        path = own_bert / "tokenizer.json"
        content = json.loads(path.read_text())
        content["truncation"] = {
            "max_length": 4,
            "strategy": "LongestFirst",
            "stride": 0,
            "direction": "Right",
        }
        path.write_text(json.dumps(content))
        tokenizer = load_tokenizer(find_checkpoint(own_bert))
        assert len(tokenizer.encode("the film is good").ids) == 6
        assert load_tokenizer(find_checkpoint(own_bert)) is tokenizer

    def test_a_vocabulary_alone_is_converted(self, tiny_bert, own_bert):
        vocabulary = json.loads((own_bert / "tokenizer.json").read_text())
        words = sorted(vocabulary["model"]["vocab"].items(), key=lambda item: item[1])
        (own_bert / "vocab.txt").write_text("\n".join(word for word, _ in words))
        (own_bert / "tokenizer.json").unlink()
        declare(own_bert, "tokenizer_config.json", {"tokenizer_class": "BertTokenizer"})
        expected = load_tokenizer(find_checkpoint(tiny_bert)).encode("the film is good")
        encoding = load_tokenizer(find_checkpoint(own_bert)).encode("the film is good")
        assert encoding.ids == expected.ids

    def test_no_tokenizer_is_an_error(self, own_bert):
        (own_bert / "tokenizer.json").write_text("{}")
        with pytest.raises(CheckpointError, match="No tokenizer could be read"):
            load_tokenizer(find_checkpoint(own_bert))
