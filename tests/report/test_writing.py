"""The page holds everything, whole or not at all, and nothing that runs."""

from __future__ import annotations

import base64
import hashlib
import importlib.util
import json
import re
from html import unescape
from html.parser import HTMLParser

import matplotlib as mpl
import numpy as np
import pandas as pd
import pytest

from sktransfer.exceptions import (
    InvalidInputError,
    InvalidParameterError,
    MissingExtraError,
)
from sktransfer.explanation.contributions import Explanation
from sktransfer.plotting.compared import is_number
from sktransfer.plotting.cost import CostDisplay
from sktransfer.report import page_folder, pictures
from sktransfer.report.contents import result_table
from sktransfer.report.writing import write_report

pytestmark = pytest.mark.slow

mpl.use("Agg")


@pytest.fixture(scope="module")
def page(make_comparison, tmp_path_factory):
    folder = tmp_path_factory.mktemp("report")
    path = write_report(make_comparison(5), folder, title="<Mine> & yours")
    return path.read_text("utf-8")


def test_the_folder_has_page_table_and_pictures(make_comparison, tmp_path):
    comparison = make_comparison(5, train_sizes=(16, 64))
    tmp_path.joinpath("model").mkdir()
    path = write_report(comparison, tmp_path)
    assert path == tmp_path / "report.html"
    stems = ("confusion", "cost", "curves", "scores")
    files = {f"{stem}.{kind}" for stem in stems for kind in ("png", "svg")}
    tables = {"results.csv", "suspects.csv"}
    expected = files | {"report.html", "report.json", "model"} | tables
    assert {entry.name for entry in tmp_path.iterdir()} == expected
    written = pd.read_csv(tmp_path / "results.csv")
    assert written["strategy"].tolist() == comparison.results["strategy"].tolist()
    assert "With fewer labelled texts" in path.read_text("utf-8")


def test_checks_are_listed_with_their_remedies(make_comparison, tmp_path):
    comparison = make_comparison(5)
    facts = "none of 15 has found anything"
    assert facts in write_report(comparison, tmp_path).read_text("utf-8")
    row = ["SKT003", "near_copies", "<b>Nine</b> repeat.", "Look.", "checks/a.html"]
    comparison.checks = pd.DataFrame(
        [[*row, [], []]], columns=comparison.checks.columns
    )
    page = write_report(comparison, tmp_path).read_text("utf-8")
    assert facts not in page
    listed = page.partition('<section class="checks">')[2].partition("</section>")[0]
    assert "<b>SKT003</b> &lt;b&gt;Nine&lt;/b&gt; repeat. <em>Look.</em>" in listed
    assert "Documentation: checks/a.html" in listed


def test_labels_that_look_wrong_are_listed(make_comparison, tmp_path):
    comparison = make_comparison(5)
    suspects = comparison.suspects(None)
    page = write_report(comparison, tmp_path, n_mistakes=2).read_text("utf-8")
    section = unescape(page.partition("<h2>Labels that look wrong</h2>")[2])
    section = section.partition("</section>")[0]
    assert section.count("<li>") == 2
    assert suspects["text"][0] in section
    assert f"{len(suspects):,} labels in all" in section
    written = pd.read_csv(tmp_path / "suspects.csv")
    assert written["row"].tolist() == suspects["row"].tolist()
    for table in comparison.predictions.values():
        table[[name for name in table if name.startswith("probability_")]] = 0.5
    page = write_report(comparison, tmp_path / "even").read_text("utf-8")
    assert "Labels that look wrong" not in page


def test_several_encoders_are_a_column(make_comparison, tmp_path):
    comparison = make_comparison(5)
    assert "encoder" not in [head.name for head in result_table(comparison).heads]
    names = [None, None, "one", "<two>", "one"]
    comparison.results["encoder"] = pd.Series(names, dtype=object)
    page = write_report(comparison, tmp_path).read_text("utf-8")
    assert "transformer whose vectors" in page
    assert '<td data-value="&lt;two&gt;">&lt;two&gt;</td>' in page
    written = pd.read_csv(tmp_path / "results.csv")
    assert written["encoder"].fillna("").tolist() == ["", "", "one", "<two>", "one"]


def test_a_source_brings_a_map(make_comparison, tmp_path, monkeypatch):
    from sklearn.feature_extraction.text import TfidfVectorizer

    monkeypatch.setattr(
        "sktransfer.encoders.featurizer.BertFeaturizer", TfidfVectorizer
    )
    write_report(make_comparison(5, with_source=True), tmp_path)
    page = tmp_path.joinpath("report.html").read_text("utf-8")
    assert tmp_path.joinpath("domains.svg").exists()
    assert "proxy A-distance" in page
    assert "30" in page


def test_without_weights_there_is_no_map_but_a_page(
    make_comparison, tmp_path, monkeypatch
):
    from sktransfer.encoders.featurizer import BertFeaturizer

    monkeypatch.setattr(
        "sktransfer.encoders.featurizer.BertFeaturizer",
        lambda: BertFeaturizer("no-such-folder/at-all", local_files_only=True),
    )
    write_report(make_comparison(5, with_source=True), tmp_path)
    assert not tmp_path.joinpath("domains.svg").exists()


def test_texts_names_and_errors_are_escaped(page):
    visible = re.sub(r"<script.*?</script>", "", page, flags=re.DOTALL)
    assert "&lt;script&gt;document.title" in visible
    assert "<b>no</b>" not in page
    assert "ValueError: &lt;b&gt;no&lt;/b&gt; GPU" in visible
    assert "<h1>&lt;Mine&gt; &amp; yours</h1>" in page
    assert "better than &lt;tfidf&gt;" in visible


def test_results_can_be_read_back_from_the_page(page):
    (held,) = re.findall(r'id="results">(.*?)</script>', page)
    assert not set("<>&") & set(held)
    rows = json.loads(held)
    assert rows[-1]["error"] == "ValueError: <b>no</b> GPU"
    assert rows[-1]["score"] is None
    assert is_number(rows[0]["score"])


def test_the_policy_allows_this_script_and_this_style_only(page):
    (policy,) = re.findall(r'Security-Policy" content="(.*?)"', page)
    policy = unescape(policy)
    (script,) = re.findall(r"<script>(.*?)</script>", page, flags=re.DOTALL)
    (style,) = re.findall(r"<style>(.*?)</style>", page, flags=re.DOTALL)
    for part in (script, style):
        digest = hashlib.sha256(part.encode()).digest()
        assert f"'sha256-{base64.b64encode(digest).decode()}'" in policy
    assert "default-src 'none'" in policy
    assert "http" not in policy


def test_nothing_is_loaded_from_elsewhere(page):
    addresses = re.findall(r'\b(?:src|href)="([^"]{0,30})', page)
    assert addresses
    assert all(address.startswith("data:") for address in addresses)


def test_sentences_come_first_and_the_failed_last(page):
    places = [
        page.index(part)
        for part in ("<h2>What follows", "<h2>All strategies", "<h2>Scores", "<h2>Most")
    ]
    assert places == sorted(places)
    table = page[page.index("<tbody>") : page.index("</tbody>")]
    last = table.split("<tr")[-1]
    assert 'class="unfinished"' in last
    assert ">failed<" in last


def test_what_learns_from_the_source_alone_stands_where_its_score_is(
    make_comparison, tmp_path
):
    comparison = make_comparison(4, failed=0)
    weakest = comparison.results["strategy"] == "majority"
    comparison.results.loc[weakest, "train_size"] = 0
    page = write_report(comparison, tmp_path).read_text("utf-8")
    table = page[page.index("<tbody>") : page.index("</tbody>")]
    assert "majority" in table.split("<tr")[-1]


def test_pictures_say_what_they_show(page):
    alts = re.findall(r'<img [^>]*alt="([^"]*)"', page)
    assert len(alts) == 3
    assert "strategy 1 0." in alts[0]


def explanation_of(text, label="neg"):
    return Explanation(
        text=text,
        spans=[(0, 8), (9, 14), (15, 20)],
        contributions=np.array([1.5, -0.5, 0.01]),
        label=label,
        probability=0.75,
        value=1.1,
        base_value=0.1,
        method="exact",
    )


@pytest.fixture(scope="module")
def explained(make_comparison, tmp_path_factory):
    """Page with an explanation of its only mistake."""
    comparison = make_comparison(5)
    path = write_report(
        comparison,
        tmp_path_factory.mktemp("explained"),
        explanations={0: explanation_of(comparison.texts[0], "<i>neg</i>")},
        model_folder="a 'folder'",
        n_mistakes=1,
    )
    return path.read_text("utf-8")


class TestExplanations:
    def test_words_are_marked_as_they_are_elsewhere(self, explained, make_comparison):
        mistakes = explained.partition('<ol class="mistakes">')[2].partition("</ol>")[0]
        (said,) = re.findall('<p class="said" dir="auto">(.*?)</p>', mistakes)
        text = make_comparison(5).texts[0]
        html = explanation_of(text, "<i>neg</i>").to_html()
        html = html.replace(' class="sktransfer-explanation"', "")
        assert parse(said) == parse(html)
        assert said.count("<mark ") == 2
        assert said.count("<sup ") == 2

    def test_what_could_do_harm_is_text(self, explained):
        said = explained[explained.index('<p class="said"') :]
        assert "&lt;i&gt;neg&lt;/i&gt; (p = 0.75):" in said
        assert "<i>" not in explained
        assert "<script>document" not in explained.replace("<mark", "").replace(
            "</mark>", ""
        )
        tags = {tag for kind, tag, _ in parse(said.partition("</p>")[0]) if kind == "<"}
        assert tags == {"p", "span", "b", "mark", "sup"}

    def test_the_model_folder_is_named(self, explained):
        assert "load(&#34;a &#39;folder&#39;&#34;)" in explained

    @pytest.mark.parametrize("given", ["<b>good</b>", b"good", {"text": "good"}])
    def test_markup_and_other_things_are_refused(
        self, make_comparison, tmp_path, given
    ):
        kind = type(given).__name__
        message = rf"explanations\[3\] is of type {kind}.*not its HTML"
        with pytest.raises(InvalidInputError, match=message):
            write_report(make_comparison(3), tmp_path, explanations={3: given})
        assert not list(tmp_path.iterdir())


HARMFUL = [
    "<script>f()</script>",
    "</p></section><img src=x onerror=f()>",
    "{{ title }}",
]
HARMFUL += ["' onmouseover='f()", '" onmouseover="f()', "</script><script>f()"]


@pytest.mark.parametrize("said", HARMFUL)
def test_whatever_comes_is_text_everywhere(make_comparison, tmp_path, said):
    names = ["majority", "tfidf", said]
    comparison = make_comparison(3, names=names, classes=("neg", said), failed=0)
    usual = make_comparison(
        3, names=["majority", "tfidf", "x"], classes=("neg", "x"), failed=0
    )
    pages = []
    for number, (told, word) in enumerate([(comparison, said), (usual, "x")]):
        told.texts[:] = [word] * len(told.texts)
        told.verdicts[:] = [word]
        told.baseline = word
        told.results["encoder"] = pd.Series([None, word, "one"], dtype=object)
        path = write_report(
            told,
            tmp_path / str(number),
            title=word,
            model_folder=word,
            explanations={
                row: Explanation(
                    word, [(0, 1)], np.ones(1), word, 0.5, 1.0, 0.0, "exact"
                )
                for row in range(60)
            },
        )
        pages.append(path.read_text("utf-8"))
    shapes = [
        [(kind, tag, names) for kind, tag, names in parse(page) if kind != "text"]
        for page in pages
    ]
    assert shapes[0] == shapes[1]


class Parser(HTMLParser):
    def __init__(self):
        super().__init__(convert_charrefs=True)
        self.found = []

    def handle_starttag(self, tag, attrs):
        self.found.append(("<", tag, [name for name, _ in attrs]))

    def handle_endtag(self, tag):
        self.found.append((">", tag, []))

    def handle_data(self, data):
        self.found.append(("text", data, []))


def parse(page):
    """Tags with the names of their attributes, and texts."""
    parser = Parser()
    parser.feed(page)
    parser.close()
    return parser.found


def test_a_comparison_in_which_everything_failed_is_a_page_too(
    make_comparison, tmp_path
):
    comparison = make_comparison(2, failed=2)
    page = write_report(comparison, tmp_path).read_text("utf-8")
    assert "<img" not in page
    assert page.count(">failed<") == 2


def test_half_characters_do_not_stop_it(make_comparison, tmp_path):
    comparison = make_comparison(3)
    comparison.verdicts.append("broken \ud83d")
    comparison.results["error"] = comparison.results["error"].astype(object)
    comparison.results.loc[2, "error"] = "broken \ud83d"
    assert "broken ?" in write_report(comparison, tmp_path).read_text("utf-8")


def test_an_old_page_stays_where_the_new_one_fails(
    make_comparison, tmp_path, monkeypatch
):
    old = write_report(make_comparison(3), tmp_path).read_bytes()
    before = {entry.name for entry in tmp_path.iterdir()}
    monkeypatch.setattr(pictures.Picture, "embed", lambda self: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        write_report(make_comparison(3), tmp_path)
    assert {entry.name for entry in tmp_path.iterdir()} == before
    assert tmp_path.joinpath("report.html").read_bytes() == old


class TestFilesOfOthers:
    @pytest.mark.parametrize("name", ["report.html", "results.csv", "cost.svg"])
    def test_they_stay_unless_asked(self, make_comparison, tmp_path, name):
        tmp_path.joinpath(name).write_text("mine")
        with pytest.raises(InvalidParameterError, match=f"holds {name}.*overwrite=Tr"):
            write_report(make_comparison(3), tmp_path)
        assert [entry.name for entry in tmp_path.iterdir()] == [name]
        assert tmp_path.joinpath(name).read_text() == "mine"
        write_report(make_comparison(3), tmp_path, overwrite=True)
        assert tmp_path.joinpath(name).read_text("utf-8") != "mine"

    def test_those_with_other_names_are_no_obstacle(self, make_comparison, tmp_path):
        for name in ("folds.csv", "curves.png"):
            tmp_path.joinpath(name).write_text("mine")
        write_report(make_comparison(3), tmp_path)
        for name in ("folds.csv", "curves.png"):
            assert tmp_path.joinpath(name).read_text() == "mine"

    def test_an_earlier_report_is_replaced(self, make_comparison, tmp_path):
        write_report(make_comparison(3), tmp_path, title="one")
        page = write_report(make_comparison(4), tmp_path, title="two")
        assert "<h1>two</h1>" in page.read_text("utf-8")

    @pytest.mark.slow
    def test_so_is_one_that_was_killed_half_way(
        self, make_comparison, tmp_path, monkeypatch
    ):
        write_report(make_comparison(3), tmp_path, title="one")
        write = page_folder.write_file_beside

        def killed(path):
            if path.name == "results.csv":
                raise KeyboardInterrupt
            return write(path)

        monkeypatch.setattr(page_folder, "write_file_beside", killed)
        with pytest.raises(KeyboardInterrupt):
            write_report(make_comparison(4), tmp_path, title="two")
        monkeypatch.undo()
        page = write_report(make_comparison(5), tmp_path, title="three")
        assert "<h1>three</h1>" in page.read_text("utf-8")

    def test_what_was_edited_is_somebody_elses(self, make_comparison, tmp_path):
        page = write_report(make_comparison(3), tmp_path)
        page.write_text(page.read_text("utf-8") + "<p>my notes", encoding="utf-8")
        with pytest.raises(InvalidParameterError, match=r"holds report\.html"):
            write_report(make_comparison(3), tmp_path)


def test_the_same_results_give_the_same_pictures(make_comparison):
    one, other = (pictures.draw_pictures(make_comparison(3)) for _ in range(2))
    assert [picture.svg for picture in one] == [picture.svg for picture in other]


def test_other_things_are_refused(make_comparison, tmp_path):
    with pytest.raises(InvalidInputError, match="type dict"):
        write_report({}, tmp_path)
    with pytest.raises(InvalidInputError, match="explanations is of type list"):
        write_report(make_comparison(3), tmp_path, explanations=["<b>"])


@pytest.mark.parametrize("missing", ["matplotlib", "jinja2"])
def test_the_extra_is_named_where_it_is_missing(
    make_comparison, tmp_path, monkeypatch, missing
):
    find = importlib.util.find_spec
    monkeypatch.setattr(
        "importlib.util.find_spec", lambda name: None if name == missing else find(name)
    )
    with pytest.raises(MissingExtraError, match=rf"'{missing}'.*sktransfer\[plot\]"):
        write_report(make_comparison(3), tmp_path)


def test_what_a_fit_takes_is_a_column(make_comparison, tmp_path):
    comparison = make_comparison(3)
    comparison.results["fit_peak_mib"] = [12.3, 1234.5, np.nan]
    page = write_report(comparison, tmp_path).read_text("utf-8")
    assert (
        'title="MiB that the process grew by at most, in one training">memory<' in page
    )
    assert '<td data-value="1234.5">1,234</td>' in page


def test_what_has_no_seconds_has_no_picture_of_them(make_comparison, tmp_path):
    comparison = make_comparison(5)
    comparison.results["fit_seconds"] = [np.nan, 1.0, np.nan, np.nan, np.nan]
    write_report(comparison, tmp_path)
    page = tmp_path.joinpath("report.html").read_text("utf-8")
    assert "against the seconds to train it: tfidf 1 s." in page
    comparison.results["fit_seconds"] = np.nan
    (drawn, *others) = pictures.draw_pictures(comparison)
    assert drawn.name == "scores"
    assert "cost" not in [picture.name for picture in others]
    with pytest.raises(InvalidInputError, match="no cost to draw: tell what they took"):
        CostDisplay.from_comparison(comparison)


def test_labels_alone_make_no_confident_mistakes(make_comparison, tmp_path):
    comparison = make_comparison(5)
    page = write_report(comparison, tmp_path / "one").read_text("utf-8")
    assert "<h2>Most confident mistakes of strategy 1</h2>" in page
    table = comparison.predictions["strategy 1"]
    table[["probability_neg", "probability_pos"]] = np.nan
    page = write_report(comparison, tmp_path / "two").read_text("utf-8")
    assert "<h2>Mistakes of strategy 1</h2>" in page
    assert "How to use it" not in page
