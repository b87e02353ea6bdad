"""Of an explanation's HTML only letters and their looks come into a page."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sktransfer.explanation.contributions import Explanation
from sktransfer.report.sections import keep_marks


def test_explanations_pass_as_they_are():
    explanation = Explanation(
        text="Not <b>good</b>",
        spans=[(0, 3), (7, 11)],
        contributions=np.array([1.5, -0.5]),
        label="neg",
        probability=0.75,
        value=1.1,
        base_value=0.1,
        method="exact",
    )
    kept = keep_marks(explanation.to_html())
    assert kept.count("<mark") == 2
    assert kept.count("background:rgba(") == 2
    assert "&lt;b&gt;" in kept


@pytest.mark.parametrize(
    ("markup", "kept"),
    [
        ("<script>steal()</script>fine", "fine"),
        ("<img src=x onerror=steal()>fine", "fine"),
        ("<mark onclick=steal()>fine</mark>", "<mark>fine</mark>"),
        ("<b style='background:url(//x)'>fine</b>", "<b>fine</b>"),
        ("<b style='color:var(--x);color:red'>fine", '<b style="color:red">fine</b>'),
        ("<b style='position:fixed;top:0'>fine</b>", "<b>fine</b>"),
        ("</section></b>fine", "fine"),
        ("<i><b>fine</i>", "<i><b>fine</b></i>"),
        ("<style>b{}</style><svg><script>x</script></svg>fine", "fine"),
        ("&lt;script&gt;", "&lt;script&gt;"),
        ("<b title='\"><i>'>fine</b>", '<b title="&quot;&gt;&lt;i&gt;">fine</b>'),
    ],
)  # fmt: skip
def test_what_could_do_harm_is_left_out(markup, kept):
    assert keep_marks(markup) == kept


@given(st.text(alphabet="<>/&;\"'=! -abscriptmkx:u()", max_size=60))
def test_whatever_comes_stays_the_same_when_it_comes_again(markup):
    kept = keep_marks(markup)
    assert keep_marks(kept) == kept
    assert "<script" not in kept
