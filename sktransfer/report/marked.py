"""Coloured lines of explanations, with everything but letters and colours left out.

An explanation is HTML that was made from somebody's text, and may have come from
anywhere. What goes into the page is written anew: known tags, known properties.
"""

from __future__ import annotations

import html
import re
from html.parser import HTMLParser

__all__ = ["keep_marks"]

_TAGS = {"span", "mark", "b", "strong", "i", "em", "sup", "sub", "small", "br"}
_UNSHOWN = {"script", "style", "template", "title", "noscript", "iframe", "textarea"}
_PROPERTY = re.compile(
    r"(?P<name>background(?:-color)?|color|text-decoration|text-underline-offset"
    r"|border-radius|padding|font-size|font-weight|line-height|white-space"
    r"|overflow-wrap)\s*:\s*(?P<value>[\w\s#.,%()+-]+)"
)


def keep_marks(markup: str) -> str:
    """Rewrite the HTML of an explanation as text with marks, and nothing else.

    Parameters
    ----------
    markup : str
        For example what ``Explanation.to_html`` returns.

    Returns
    -------
    safe : str
        Tags that format letters, with colours, sizes and titles; all else is dropped or
        shown as text. Every tag that is opened is closed.

    Examples
    --------
    >>> from sktransfer.report.marked import keep_marks
    >>> keep_marks('<mark style="color:red;position:fixed" onclick="f()">good</mark>')
    '<mark style="color:red">good</mark>'
    >>> keep_marks("<script>f()</script><a href='x'>fine</a>")
    'fine'
    """
    rewriter = _Rewriter()
    rewriter.feed(markup)
    rewriter.close()
    return rewriter.finish()


class _Rewriter(HTMLParser):
    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self._pieces: list[str] = []
        self._open: list[str] = []
        self._unshown = 0

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag in _UNSHOWN:
            self._unshown += 1
        if tag not in _TAGS or self._unshown:
            return
        given = {name: value or "" for name, value in attrs}
        kept = {"style": _keep_style(given.get("style", ""))}
        kept["title"] = given.get("title", "")
        shown = "".join(
            f' {name}="{html.escape(value)}"' for name, value in kept.items() if value
        )
        self._pieces.append(f"<{tag}{shown}>")
        if tag != "br":
            self._open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.handle_starttag(tag, attrs)
        self.handle_endtag(tag)

    def handle_endtag(self, tag: str) -> None:
        if tag in _UNSHOWN:
            self._unshown = max(self._unshown - 1, 0)
        elif tag in self._open and not self._unshown:
            while (last := self._open.pop()) != tag:
                self._pieces.append(f"</{last}>")
            self._pieces.append(f"</{tag}>")

    def handle_data(self, data: str) -> None:
        if not self._unshown:
            self._pieces.append(html.escape(data))

    def finish(self) -> str:
        return "".join([*self._pieces, *(f"</{tag}>" for tag in reversed(self._open))])


def _keep_style(style: str) -> str:
    declarations = (declaration.strip() for declaration in style.split(";"))
    matches = (_PROPERTY.fullmatch(declaration) for declaration in declarations)
    # url() and the like would ask for something, or run it.
    return ";".join(
        f"{match['name']}:{match['value']}"
        for match in matches
        if match and not re.search(r"url|expression|var|image|attr", match["value"])
    )
