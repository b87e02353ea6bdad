"""What is known of public checkpoints and stands in none of their files."""

from __future__ import annotations

__all__ = ["COMPARED", "known_layers", "known_prefix"]

# Their cards want "query: " before texts that are to be classified, and their files do
# not say so; read in November 2026.
_WITH_QUERY = {
    "intfloat/e5-small-v2",
    "intfloat/e5-base-v2",
    "intfloat/e5-large-v2",
    "intfloat/multilingual-e5-small",
    "intfloat/multilingual-e5-base",
    "intfloat/multilingual-e5-large",
}

# Layers whose average served frozen heads better than the last one: the states of its
# last layer lie in a narrow cone (benchmarks/encoders.md).
_LAYERS = dict.fromkeys(
    ("multilingual-e5-small", "intfloat/multilingual-e5-small"), (-1, -2, -3)
)

# Reported to separate sentiments well, and no larger than BERT's base size: they take
# part in a comparison where the hub's local cache has them.
COMPARED = (
    "BAAI/bge-small-en-v1.5",
    "BAAI/bge-base-en-v1.5",
    "intfloat/e5-base-v2",
    "intfloat/multilingual-e5-base",
)


def known_prefix(name: str) -> str:
    """Text that a checkpoint wants before each text, else the empty string.

    Parameters
    ----------
    name : str
        A hub id. Of a folder nothing is known.

    Returns
    -------
    prefix : str
    """
    return "query: " if name in _WITH_QUERY else ""


def known_layers(name: str) -> tuple[int, ...]:
    """Layers of a checkpoint to average.

    Parameters
    ----------
    name : str
        A packaged name, or a hub id.

    Returns
    -------
    layers : tuple of int
        Counted from the last, -1, which alone it is where nothing better is known.
    """
    return _LAYERS.get(name, (-1,))
