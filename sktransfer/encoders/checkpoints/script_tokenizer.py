"""A tokenizer of many languages that holds only the pieces its texts may need.

A Unigram tokenizer keeps its pieces in a tree of hash tables, which for the 250,000
pieces of XLM-R takes more memory than the layers of a small model. A piece with letters
of a script can be found in texts of this script only, so that it may be left out until
the first of these comes: all ids stay, and each text has the tokens it always had.
"""

from __future__ import annotations

import io
import json
import re
import threading
from collections.abc import Sequence
from pathlib import Path

from tokenizers import Encoding, Tokenizer, models

__all__ = ["ScriptTokenizer", "read_by_script"]

_UNIGRAM = re.compile(rb'"type"\s*:\s*"Unigram"')
# Scripts after which the rest is loaded too: each takes as long as the first did.
_MANY_SCRIPTS = 3
# What other letters and signs, Latin ones above all, are found in is always there.
_SCRIPTS = {
    "Greek": "\u0370-\u03ff\u1f00-\u1fff",
    "Cyrillic": "\u0400-\u052f\u1c80-\u1c8f\u2de0-\u2dff\ua640-\ua69f",
    "Caucasian": "\u0530-\u058f\u10a0-\u10ff\u2d00-\u2d2f",
    "Hebrew": "\u0590-\u05ff\ufb1d-\ufb4f",
    "Arabic": "\u0600-\u06ff\u0750-\u077f\u08a0-\u08ff\ufb50-\ufdff\ufe70-\ufeff",
    "Indic": "\u0900-\u0dff\ua8e0-\ua8ff",
    "South East Asian": "\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\ua9e0-\uaa7f",
    "Ethiopic": "\u1200-\u139f\u2d80-\u2ddf\uab00-\uab2f",
    "Hangul": "\u1100-\u11ff\u3130-\u318f\ua960-\ua97f\uac00-\ud7ff",
    "Chinese and Japanese": (
        "\u2e80-\u2fdf\u3040-\u30ff\u3105-\u312f\u31a0-\u31ff\u3400-\u4dbf\u4e00-\u9fff"
        "\uf900-\ufaff\U00020000-\U0003ffff"
    ),
}
# Letters of the file that are looked at together: all at once take much memory.
_PART = 2**18
_OF_SCRIPT = {name: re.compile(f"[{letters}]") for name, letters in _SCRIPTS.items()}
# Stands for a piece that is left out: a space is found nowhere.
_NOTHING = '[" "'


class ScriptTokenizer:
    """A tokenizer that reads its file anew when a text in another script comes.

    Parameters
    ----------
    content : bytes
        Of ``tokenizer.json``, with a Unigram model that is given no spaces.
    """

    def __init__(self, content: bytes) -> None:
        self._content = content
        self._loaded: frozenset[str] = frozenset()
        self._loading = threading.Lock()
        self._tokenizer: Tokenizer | None = _load(content, self._loaded)
        self._normalizer = self._tokenizer.normalizer

    def encode(self, text: str) -> Encoding:
        """Tokens of a text, special ones included."""
        return self._for([text]).encode(text)

    def encode_batch_fast(self, texts: Sequence[str]) -> list[Encoding]:
        """Tokens of texts, without their places."""
        return self._for(texts).encode_batch_fast(list(texts))

    def is_suitable(self) -> bool:
        """Whether its model looks for pieces in texts in which no space is left."""
        tokenizer = self._for([])
        if not isinstance(tokenizer.model, models.Unigram):
            return False
        state = json.loads(tokenizer.pre_tokenizer.__getstate__())
        kinds = [step["type"] for step in state.get("pretokenizers", [state])]
        return kinds in (["Metaspace"], ["WhitespaceSplit", "Metaspace"])

    def _for(self, texts: Sequence[str]) -> Tokenizer:
        """The tokenizer, with all pieces that may be found in `texts`."""
        scripts = self._find_scripts(texts)
        with self._loading:
            if self._tokenizer is None or not scripts <= self._loaded:
                wanted = self._loaded | scripts
                if len(wanted) > _MANY_SCRIPTS:
                    wanted = frozenset(_SCRIPTS)
                self._tokenizer = None  # The memory does not have to hold both.
                self._tokenizer = _load(self._content, wanted)
                self._loaded = wanted
            return self._tokenizer

    def _find_scripts(self, texts: Sequence[str]) -> frozenset[str]:
        if all(text.isascii() for text in texts):
            return frozenset()
        # Spaces keep what stands beside one another from becoming one letter.
        letters = " ".join(set().union(*texts))
        # Half of a surrogate pair is for the tokenizer itself to refuse.
        letters = letters.encode("utf-8", "ignore").decode()
        if self._normalizer is not None:
            letters += self._normalizer.normalize_str(letters)
        return frozenset(
            name for name, pattern in _OF_SCRIPT.items() if pattern.search(letters)
        )


def read_by_script(path: Path) -> ScriptTokenizer | None:
    """Read ``tokenizer.json`` if its pieces can be told apart by script, else None."""
    content = path.read_bytes()
    if _UNIGRAM.search(content) is None:
        return None
    tokenizer = ScriptTokenizer(content)
    return tokenizer if tokenizer.is_suitable() else None


def _load(content: bytes, scripts: frozenset[str]) -> Tokenizer:
    """Tokenizer without the pieces of all scripts but these."""
    others = "".join(_SCRIPTS[name] for name in _SCRIPTS if name not in scripts)
    if others:
        # As it stands in the list: ["piece", -9.5]
        piece = re.compile(rf'\[\s*"[^"\\]*[{others}][^"\\]*"(?=\s*,\s*-?\d)')
        parts = io.TextIOWrapper(io.BytesIO(content), encoding="utf-8", newline="")
        # A piece that is cut in two is not recognised, and stays.
        content = b"".join(
            piece.sub(_NOTHING, part).encode()
            for part in iter(lambda: parts.read(_PART), "")
        )
    tokenizer = Tokenizer.from_buffer(content)
    tokenizer.no_truncation()
    tokenizer.no_padding()
    return tokenizer
