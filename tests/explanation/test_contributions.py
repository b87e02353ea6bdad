from __future__ import annotations

from html.parser import HTMLParser

from sktransfer.explanation.contributions import render_html, render_plain

ATTACK = "<script>alert('x')</script> & \"good\""
SPANS = [(0, 8), (29, 30), (31, 37)]


class Reader(HTMLParser):
    def __init__(self):
        super().__init__()
        self.tags, self.attributes, self.text = [], [], ""

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        self.attributes += attrs

    def handle_data(self, data):
        self.text += data


def read(html):
    reader = Reader()
    reader.feed(html)
    return reader


class TestHTML:
    def test_what_texts_and_labels_hold_is_shown_and_not_run(self):
        html = render_html(ATTACK, SPANS, [1.0, -0.5, 0.2], "<img src=x>", 0.9)
        reader = read(html)
        assert set(reader.tags) <= {"span", "b", "mark", "sup"}
        assert ATTACK.split()[-1].strip('"') in reader.text
        assert "<script>" in reader.text
        assert "<img src=x> (p = 0.90):" in reader.text

    def test_nothing_is_asked_of_the_network(self):
        names = {
            name for name, _ in read(render_html("a", [(0, 1)], [1], "b", 1)).attributes
        }
        assert names <= {"class", "style", "title"}

    def test_sides_differ_by_more_than_colour(self):
        html = render_html("good bad", [(0, 4), (5, 8)], [1.0, -1.0], "pos", 0.9)
        good, bad = html.split("<mark")[1:]
        assert "underline solid" in good
        assert ">+</sup>" in good
        assert "underline wavy" in bad
        assert ">\u2212</sup>" in bad

    def test_letters_keep_the_colour_of_the_page(self):
        html = render_html("good", [(0, 4)], [1.0], "pos", 0.9)
        assert "color:inherit" in html
        assert "background:rgba(0,114,178,0.45)" in html

    def test_what_hardly_counts_is_not_marked(self):
        html = render_html("good film", [(0, 4), (5, 9)], [1.0, 0.01], "pos", 0.9)
        assert html.count("<mark") == 1

    def test_white_space_stays(self):
        html = render_html("a  b\nc", [(0, 1), (3, 4)], [0.0, 0.0], "pos", 0.9)
        assert "a  b\nc" in html
        assert "white-space:pre-wrap" in html

    def test_empty_texts_and_unknown_probabilities_will_do(self):
        assert "<b>pos:</b>" in render_html("", [], [], "pos", float("nan"))


class TestPlain:
    def test_numbers_stand_behind_words_that_count(self):
        line = render_plain("good film!", [(0, 4), (5, 9)], [1.0, -0.5], "pos", 0.9)
        assert line == "pos (p = 0.90): good[+1.00] film[-0.50]!"

    def test_codes_for_the_terminal_are_taken_out(self):
        line = render_plain("a\x1b[31m\nb", [(0, 1)], [0.0], "pos", float("nan"))
        assert line == "pos: a [31m b"

    def test_the_empty_text_is_a_headline(self):
        assert render_plain("", [], [], "pos", 0.5) == "pos (p = 0.50):"
