"""In which encoding a file is: by its mark, by trying, by the commonest characters."""

from __future__ import annotations

import codecs
from typing import BinaryIO

__all__ = ["detect_encoding", "is_utf8", "known_encoding"]

# UTF-32 first: its little-endian mark begins with that of UTF-16.
_MARKS = {
    codecs.BOM_UTF8: "utf-8-sig",
    codecs.BOM_UTF32_LE: "utf-32",
    codecs.BOM_UTF32_BE: "utf-32",
    codecs.BOM_UTF16_LE: "utf-16",
    codecs.BOM_UTF16_BE: "utf-16",
}
# Every third character of a Chinese text is one of these, in the two ways to write.
_COMMON = frozenset(
    "的一是不了在人有我他这个们中来上大为和国地到以说时要就出会可也你对生能而子那得于着下"
    "自之年过发后作里用道行所然家种事成方多经么去法学如都同现当没动面起看定天分还进好小部"
    "这个们来为国说时会对过发后里经么学现当没动还进开给电买东质量酒店房间服务很非常手机书"
    "這個們來為國說時會對過發後裡經麼學現當沒動還進開給電買東質量酒店房間服務很非常手機書"
    "，。！？、；：（）"
)
_CHINESE = ("gb18030", "big5")

# From this share of common characters among those that are not ASCII on, it is Chinese.
_ENOUGH = 0.15


def known_encoding(name: str) -> str | None:
    """Python's name of an encoding, or None where there is no such.

    Parameters
    ----------
    name : str
        As people write it, for example ``"GBK"`` or ``"latin-1"``.

    Returns
    -------
    encoding : str or None

    Examples
    --------
    >>> from sktransfer.cli.charsets import known_encoding
    >>> known_encoding("UTF8"), known_encoding("no such")
    ('utf-8', None)
    """
    try:
        return codecs.lookup(name).name
    except LookupError:
        return None


def detect_encoding(sample: bytes, *, fits_utf8: bool | None = None) -> str:
    """Name the encoding of a text.

    Parameters
    ----------
    sample : bytes
        Its beginning; it may end within a character.
    fits_utf8 : bool or None, default=None
        Whether the whole text is UTF-8, where that is known; None asks the sample.

    Returns
    -------
    encoding : str
        UTF-8, -16 or -32 by their marks; UTF-8 where that fits; GB18030 or Big5 where
        it makes common Chinese characters; else Windows' western one.

    Examples
    --------
    >>> from sktransfer.cli.charsets import detect_encoding
    >>> [detect_encoding("很好的酒店".encode(name)) for name in ("utf-8", "gbk")]
    ['utf-8', 'gb18030']
    """
    for mark, name in _MARKS.items():
        if sample.startswith(mark):
            return name
    if fits_utf8 is None:
        fits_utf8 = _decode(sample, "utf-8") is not None
    if fits_utf8:
        return "utf-8"
    shares = {name: _share_of_common(sample, name) for name in _CHINESE}
    best = max(shares, key=lambda name: shares[name])
    if shares[best] >= _ENOUGH:
        return best
    return "cp1252" if _decode(sample, "cp1252") is not None else "latin-1"


def is_utf8(file: BinaryIO, n_bytes: int = 1 << 20) -> bool:
    """Whether all that is left of a file is UTF-8.

    Parameters
    ----------
    file : binary file
        Read to its end, or to the first byte that is wrong.
    n_bytes : int, default=2**20
        Bytes that are read at once.

    Returns
    -------
    fits : bool
    """
    decoder = codecs.getincrementaldecoder("utf-8")()
    try:
        while piece := file.read(n_bytes):
            decoder.decode(piece)
        decoder.decode(b"", final=True)
    except UnicodeDecodeError:
        return False
    return True


def _decode(sample: bytes, encoding: str) -> str | None:
    """Text of a sample whose last character may be cut, or None if it does not fit."""
    try:
        return codecs.getincrementaldecoder(encoding)().decode(sample)
    except UnicodeDecodeError:
        return None


def _share_of_common(sample: bytes, encoding: str) -> float:
    """Share of common Chinese characters among those beyond ASCII."""
    text = _decode(sample, encoding)
    if text is None:
        return 0.0
    beyond = [character for character in text if ord(character) > 127]
    return sum(character in _COMMON for character in beyond) / max(len(beyond), 1)
