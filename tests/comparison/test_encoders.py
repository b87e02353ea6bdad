"""Several encoders in one comparison: which take part, and which leads."""

import json
import shutil
from functools import partial
from pathlib import Path

import joblib
import pytest

from sktransfer.classifier.classifier import TransferSentimentClassifier
from sktransfer.comparison.run import schedule as scheduling
from sktransfer.comparison.setup import named_encoders
from sktransfer.comparison.setup import named_strategies as defaults
from sktransfer.comparison.setup.named_encoders import choose_encoders
from sktransfer.comparison.setup.named_strategies import (
    Setting,
    choose_baseline,
    choose_candidates,
)
from sktransfer.encoders.featurizer import BertFeaturizer
from sktransfer.exceptions import (
    CheckpointNotFoundError,
    InvalidParameterError,
    SktransferWarning,
)
from sktransfer.words.featurizer import WordVectorFeaturizer

pytestmark = pytest.mark.slow


@pytest.fixture(autouse=True)
def quick(monkeypatch):
    """Networks of one epoch on the CPU."""
    for name in ("partial", "fine_tune"):
        network = partial(
            TransferSentimentClassifier,
            strategy=name,
            max_epochs=1,
            device="cpu",
            dtype="float32",
        )
        monkeypatch.setitem(defaults._NETWORKS, name, network)


@pytest.fixture
def sees(tiny_bert):
    """An encoder that reads the texts."""
    return BertFeaturizer(tiny_bert, dtype="float32", device="cpu")


@pytest.fixture
def blind(other_tiny_bert):
    """One that reads the first word, which is the same in all texts."""
    return BertFeaturizer(other_tiny_bert, dtype="float32", device="cpu", max_length=3)


def name_of(featurizer):
    return Path(featurizer.model).name


def copy_of(folder, path, **entries):
    """A checkpoint with other entries in its configuration."""
    shutil.copytree(folder, path)
    config = path / "config.json"
    config.write_text(json.dumps(json.loads(config.read_text()) | entries))
    return str(path)


class TestWhichTakePart:
    @pytest.fixture
    def machine(self, monkeypatch):
        """Function that says which packages are installed, and what the cache holds."""

        def machine(packaged, cached):
            monkeypatch.setattr(
                named_encoders, "find_packaged", lambda n: n in packaged or None
            )
            monkeypatch.setattr(named_encoders, "_is_cached", lambda n: n in cached)

        return machine

    def test_all_that_are_on_this_machine(self, machine):
        cached = {"BAAI/bge-base-en-v1.5", "someone/elses-model"}
        machine({"all-MiniLM-L6-v2", "multilingual-e5-small"}, cached)
        found, missing = choose_encoders("auto")
        assert [encoder.name for encoder in found] == [
            "all-MiniLM-L6-v2",
            "multilingual-e5-small",
            "bge-base-en-v1.5",
        ]
        assert not missing
        assert found[-1].featurizer.local_files_only

    def test_missing_packages_are_told(self, machine):
        machine({"all-MiniLM-L6-v2"}, set())
        setting = Setting(["a good film"] * 4, "auto")
        with pytest.warns(SktransferWarning) as told:
            found = choose_candidates(["frozen"], None, None, setting)
        assert [c.name for c in found.first] == ["frozen"]
        (message,) = (str(one.message) for one in told)
        assert message.startswith("the encoder multilingual-e5-small is left out")
        assert "sktransfer[models]" in message

    def test_what_the_hubs_cache_holds(self, tmp_path, tiny_bert, monkeypatch):
        monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path))
        folder = tmp_path / "models--BAAI--bge-base-en-v1.5"
        shutil.copytree(tiny_bert, folder / "snapshots" / "abc")
        (folder / "refs").mkdir()
        (folder / "refs" / "main").write_text("abc")
        names = [encoder.name for encoder in choose_encoders("auto")[0]]
        assert "bge-base-en-v1.5" in names
        assert "e5-base-v2" not in names

    def test_names_and_featurizers_the_cheap_ones_first(self, tiny_bert, tmp_path):
        deep = copy_of(tiny_bert, tmp_path / "deep", num_hidden_layers=9)
        found, _ = choose_encoders([deep, BertFeaturizer(tiny_bert)])
        assert [e.name for e in found] == [Path(tiny_bert).name, "deep"]
        assert found[0].featurizer.model == tiny_bert

    def test_one_alone(self, sees):
        for given in (sees, [sees], sees.model, Path(sees.model)):
            ((only,), _) = choose_encoders(given)
            assert only.name == name_of(sees)

    def test_what_differs_tells_them_apart(self, sees):
        given = [BertFeaturizer(sees.model, pooling=p) for p in ("max", ("cls", "max"))]
        name = name_of(sees)
        assert [encoder.name for encoder in choose_encoders(given)[0]] == [
            f"{name}, pooling=max",
            f"{name}, pooling=cls+max",
        ]

    def test_folders_of_the_same_name_are_told_by_their_paths(self, sees, tmp_path):
        models = [copy_of(sees.model, tmp_path / side / "bert") for side in "ab"]
        Path(models[1], "config.json").write_text(
            Path(models[1], "config.json").read_text() + " "
        )
        assert [encoder.name for encoder in choose_encoders(models)[0]] == models

    @pytest.mark.parametrize(
        ("given", "message"),
        [
            (None, "encoder=None, but 'auto', the name"),
            (3, "encoder=3, but"),
            ([], "encoder is empty"),
            ([None], "encoder holds None"),
            ([WordVectorFeaturizer()], "the strategy 'word_vectors'"),
            (BertFeaturizer, "encoder=<class"),
        ],
    )
    def test_anything_else_is_refused(self, given, message):
        with pytest.raises(InvalidParameterError, match=message):
            choose_encoders(given)

    def test_the_same_twice_is_refused(self, sees):
        again = BertFeaturizer(sees.model, dtype="float32", cache=None)
        with pytest.raises(InvalidParameterError, match="twice: both make the same"):
            choose_encoders([sees, again])

    def test_an_unknown_name_is_refused_before_anything_runs(self, compare, sees):
        told = []
        with pytest.raises(CheckpointNotFoundError, match="No weights named 'no-such'"):
            compare(["frozen"], encoder=[sees, "no-such"], on_result=told.append)
        assert not told


class TestNames:
    @pytest.fixture
    def choose(self, sees, blind):
        def choose(strategies, baseline=None, grids=None, **options):
            setting = Setting(["a film"] * 4, [sees, blind], **options)
            return choose_candidates(strategies, baseline, grids, setting)

        return choose

    @pytest.fixture
    def frozen(self, sees, blind):
        return [f"frozen ({name_of(encoder)})" for encoder in (sees, blind)]

    def test_frozen_rows_tell_their_encoder(self, choose, frozen):
        assert choose(["frozen"]).names == frozen

    def test_what_starts_from_the_leader_keeps_its_name(self, choose, frozen):
        found = choose(["fine_tune", "joint"], has_source=True)
        assert found.names == [*frozen, "fine_tune", "joint"]

    def test_chinese_texts_get_all_encoders_too(self, sees, blind, frozen):
        setting = Setting(["手机很好用"] * 4, [sees, blind])
        assert set(frozen) < set(choose_candidates(None, None, None, setting).names)

    def test_estimators_alone_need_no_frozen_rows(self, choose, words):
        assert choose({"mine": words}).names == ["mine"]

    def test_others_are_told_apart_with_what_they_are_compared_with(self, choose):
        found = choose(["fine_tune", "joint"], has_source=True)
        leader, rival = found.encoders
        rest = found.rest(leader, [rival])
        assert [[(c.name, c.base) for c in stage] for stage in rest] == [
            [("fine_tune", ""), ("joint", "fine_tune")],
            [
                (f"fine_tune ({rival})", ""),
                (f"joint ({rival})", f"fine_tune ({rival})"),
            ],
        ]
        recorded = [candidate.recorded for stage in rest for candidate in stage]
        assert len(set(recorded)) == len(recorded)
        assert recorded[0] == f"fine_tune ({leader})"

    def test_a_grid_is_for_all_encoders_or_for_one(self, choose, frozen):
        one, other = {"max_epochs": [1]}, {"max_epochs": [2]}
        found = choose(["frozen"], grids={"frozen": one, frozen[1]: other})
        assert {c.name: c.grid for c in found.first} == dict(
            zip(frozen, (one, other), strict=True)
        )

    def test_a_baseline_may_be_the_frozen_row_that_leads(self, choose, frozen, blind):
        found = choose(["fine_tune"], "frozen")
        assert choose_baseline("frozen", found) == "frozen"
        assert found.resolve("frozen", name_of(blind)) == frozen[1]
        assert choose_baseline(frozen[0], found) == frozen[0]

    def test_another_one_is_refused_with_the_names_there_are(self, choose, frozen):
        found = choose(["fine_tune"])
        with pytest.raises(
            InvalidParameterError, match="baseline='frozen \\(no"
        ) as told:
            choose_baseline("frozen (no such)", found)
        assert all(name in str(told.value) for name in [*frozen, "fine_tune"])

    def test_a_name_that_comes_twice_is_refused(self, choose, words, frozen):
        with pytest.raises(InvalidParameterError, match="twice"):
            choose({frozen[0]: words, "frozen": "frozen"})


class TestLeader:
    @pytest.fixture
    def found(self, compare, sees, blind, source_texts):
        return compare(
            ["frozen_64_32", "source_only"],
            encoder=[blind, sees],
            source=source_texts,
            baseline="frozen",
        )

    def test_strategies_start_from_it(self, found, sees, blind):
        rows = found.results.set_index("strategy")
        leader, other = name_of(sees), name_of(blind)
        assert rows["encoder"].to_dict() == {
            f"frozen ({leader})": leader,
            f"frozen ({other})": other,
            "frozen_64_32": leader,
            "source_only": leader,
        }
        assert found.estimator("frozen_64_32").encoder_.model == sees.model
        assert found.baseline == f"frozen ({leader})"
        assert rows["texts_per_second"].notna().all()
        # The distance of the domains is measured on its vectors.
        assert found.encoder.model == sees.model
        assert found.domain_distance is not None

    def test_it_is_told(self, found, sees, blind):
        leader, other = name_of(sees), name_of(blind)
        table = found.encoders.set_index("encoder")
        assert table["leads"].to_dict() == {leader: True, other: False}
        assert table.loc[other, "difference"] < -0.2
        assert table.loc[other, "pvalue"] < 0.05
        (told,) = (v for v in found.verdicts if v.startswith("The strategies that"))
        score = f"{table.loc[leader, 'score']:.3f}"
        assert f"from {leader}, whose frozen row leads with {score}; {other} is" in told
        assert "points behind (p " in told
        assert "chosen on the same folds" in told
        assert found.to_markdown().startswith("| strategy | encoder |")

    def test_one_encoder_changes_no_names(self, compare, sees):
        found = compare(["frozen", "frozen_64_32"], encoder=sees)
        assert found.results["strategy"].tolist() == ["frozen", "frozen_64_32"]
        assert found.encoders["leads"].tolist() == [True]
        assert not any("start from" in verdict for verdict in found.verdicts)
        assert not found.to_markdown().startswith("| strategy | encoder |")

    def test_workers_choose_alike(self, compare, sees, blind):
        options = {"encoder": [blind, sees]}
        with joblib.parallel_config(backend="threading"):
            one, other = (compare(["partial"], n_jobs=n, **options) for n in (1, 2))
        columns = ["strategy", "encoder", "score", "status"]
        assert one.results[columns].equals(other.results[columns])


class TestTimeBudget:
    @pytest.fixture
    def alike(self, sees):
        """Encoders that cannot be told apart on these texts."""
        return [sees, BertFeaturizer(sees.model, dtype="float32", max_length=60)]

    @pytest.mark.slow
    def test_others_are_tuned_after_the_leader(self, compare, alike):
        found = compare(["frozen_64_32", "partial"], encoder=alike, time_budget=600)
        leader, other = found.encoders["encoder"]
        assert found.results["strategy"].tolist()[-4:] == [
            "frozen_64_32",
            "partial",
            f"frozen_64_32 ({other})",
            f"partial ({other})",
        ]
        assert found.results["encoder"].tolist()[-4:] == [leader] * 2 + [other] * 2
        told = " ".join(found.verdicts)
        assert f"{other} is " in told
        assert ", not told apart, tuned as well)" in told

    @pytest.mark.slow
    def test_they_are_skipped_when_it_is_used_up(self, compare, alike, monkeypatch):
        finished = []

        def told(row):
            if row["status"] == "done":
                finished.append(row["strategy"])

        monkeypatch.setattr(
            scheduling.Schedule,
            "_is_in_time",
            lambda self, row: "frozen_64_32" not in finished,
        )
        found = compare(
            ["frozen_64_32"], encoder=alike, time_budget=600, on_result=told
        )
        assert found.results["status"].tolist() == ["done"] * 3 + ["skipped"]
        assert found.results["encoder"].iloc[-1] == found.encoders["encoder"].iloc[-1]
        assert not any("tuned as well" in verdict for verdict in found.verdicts)

    @pytest.mark.slow
    def test_without_one_only_the_leader_is(self, compare, alike):
        found = compare(["frozen_64_32"], encoder=alike)
        assert len(found.results) == 3

    @pytest.mark.slow
    def test_what_falls_behind_is_not_tuned(self, compare, sees, blind):
        found = compare(["frozen_64_32"], encoder=[sees, blind], time_budget=600)
        assert len(found.results) == 3

    def test_without_time_there_is_no_leader(self, compare, alike):
        found = compare(["frozen_64_32"], encoder=alike, time_budget=1e-9)
        assert set(found.results["status"]) == {"skipped"}
        assert not found.encoders["leads"].any()
        assert found.results["encoder"].tolist()[-1] is None


class TestGoingOn:
    def test_the_choice_is_made_again(
        self, compare, sees, blind, tmp_path, monkeypatch
    ):
        options = {"encoder": [blind, sees], "folder": tmp_path}
        one = compare(["partial"], **options)
        monkeypatch.setattr(scheduling, "evaluate", None)
        monkeypatch.setattr(scheduling, "prepare", None)
        other = compare(["partial"], **options)
        assert one.results.equals(other.results)
        assert one.encoders.equals(other.encoders)
        assert one.verdicts == other.verdicts

    @pytest.mark.parametrize("n_before", [5, 8])
    def test_a_run_that_was_stopped_ends_as_if_it_had_not_been(
        self, compare, sees, blind, tmp_path, n_before
    ):
        n_told = 0

        def stop(row):
            nonlocal n_told
            n_told += row["status"] == "running" and row["n_folds"] > 0
            if n_told == n_before:
                raise KeyboardInterrupt

        options = {"encoder": [blind, sees], "folder": tmp_path / "kept"}
        with pytest.raises(KeyboardInterrupt):
            compare(["partial"], on_result=stop, **options)
        found = compare(["partial"], **options)
        straight = compare(["partial"], **options | {"folder": None})
        columns = ["strategy", "encoder", "fold", "score", "status"]
        assert found.folds[columns[2:]].equals(straight.folds[columns[2:]])
        assert found.results["encoder"].equals(straight.results["encoder"])

    @pytest.mark.slow
    def test_an_encoder_that_is_added_may_lead(self, compare, sees, blind, tmp_path):
        other = BertFeaturizer(blind.model, dtype="float32", max_length=2)
        options = {"folder": tmp_path}
        first = compare(["frozen_64_32"], encoder=[blind, other], **options)
        found = compare(["frozen_64_32"], encoder=[blind, other, sees], **options)
        assert first.results["encoder"].iloc[-1] != name_of(sees)
        assert found.results["encoder"].iloc[-1] == name_of(sees)
        assert found.results["score"].iloc[-1] > first.results["score"].iloc[-1]


class TestFailures:
    @pytest.fixture
    def broken(self, tiny_bert, tmp_path):
        """An encoder that is found, and cannot be loaded."""
        folder = tmp_path / "broken"
        shutil.copytree(tiny_bert, folder)
        weights = folder / "model.safetensors"
        weights.write_bytes(weights.read_bytes()[:1000])
        return BertFeaturizer(str(folder), dtype="float32", device="cpu")

    def test_an_encoder_that_cannot_be_loaded_fails_its_row_only(
        self, compare, broken, blind
    ):
        found = compare(["frozen_64_32"], encoder=[broken, blind])
        rows = found.results.set_index("strategy")
        assert rows["status"].to_dict() == {
            "frozen (broken)": "failed",
            f"frozen ({name_of(blind)})": "done",
            "frozen_64_32": "done",
        }
        assert rows.loc["frozen_64_32", "encoder"] == name_of(blind)
        assert any("; broken failed; " in verdict for verdict in found.verdicts)

    def test_where_all_fail_so_does_what_would_start_from_them(self, compare, broken):
        other = BertFeaturizer(broken.model, dtype="float32", pooling="max")
        found = compare({"words": "tfidf", "tuned": "partial"}, encoder=[broken, other])
        rows = found.results.set_index("strategy")
        assert rows.loc["words", "status"] == "done"
        assert rows.loc["tuned", "status"] == "failed"
        first = next(e for e in rows["error"] if e)
        assert rows.loc["tuned", "error"].startswith("TrainingError: there is no enc")
        assert first in rows.loc["tuned", "error"]
        assert found.encoders["status"].tolist() == ["failed", "failed"]
