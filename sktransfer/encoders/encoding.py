"""Texts to vectors by a recipe, through a cache where there is one.

The recipe is all that changes the vector of a text; its fingerprint is part of the key
under which a cache keeps that vector.

A store keeps one vector for each pooling, so that poolings put side by side, and other
featurizers, share them. Shapes: n texts, w the width of a token's state.
"""

from __future__ import annotations

import contextlib
import hashlib
import itertools
import warnings
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace

import numpy as np
import torch
from numpy.typing import NDArray

from sktransfer.encoders.cache.lookup import hash_texts, look_up
from sktransfer.encoders.cache.memory import Store
from sktransfer.encoders.compute.loop import POOLINGS, choose_batch_tokens, encode_rows
from sktransfer.encoders.compute.threads import count_texts, ensure_not_forked
from sktransfer.encoders.registry import Checkpoint, load_encoder, load_tokenizer
from sktransfer.encoders.tokens import TokenRows, merge_windows, tokenize
from sktransfer.exceptions import TruncationWarning

__all__ = ["SHARES", "Job", "Recipe", "encode_all", "warn_of_cuts"]

# Part of every fingerprint: raise it when the same recipe would give other vectors.
# (Which attention a model uses follows from its configuration, which the digest holds.)
_FORMAT = 2

SHARES = ("poolings", "layers")

# Texts that are tokenised, encoded and kept together: many enough to sort by length,
# few enough that an interruption loses little.
_BLOCK = 8192
# Texts that are looked up together: what is held beside the result is so many rows.
_LOOK_UP = 16384


@dataclass(frozen=True)
class Recipe:
    """All that changes the vector of a text.

    Scaling to length 1 is not part of it: it costs next to nothing and is done last.

    Attributes
    ----------
    checkpoint : Checkpoint
        Weights and tokenizer.
    layers : tuple of int
        Hidden states that are averaged.
    pooling : tuple of {"mean", "cls", "max"}
        Put side by side.
    prefix : str
        Put before each text.
    max_length : int
        Tokens of a row, special ones included.
    long_text : {"truncate", "head_tail", "window"}
        What becomes of longer texts.
    device : torch.device
        Where it is computed.
    dtype : torch.dtype
        In which number format.
    """

    checkpoint: Checkpoint
    layers: tuple[int, ...]
    pooling: tuple[str, ...]
    prefix: str
    max_length: int
    long_text: str
    device: torch.device
    dtype: torch.dtype

    @property
    def width(self) -> int:
        """Length of a vector."""
        return len(self.pooling) * self.checkpoint.hidden_size

    @property
    def fingerprint(self) -> str:
        """SHA-256 of all that tells two vectors of one text apart.

        The folder and the number of a card are no part of it.
        """
        return self._hash(self.device.type, str(self.dtype))

    def digest(self, *choices: object) -> str:
        """SHA-256 of what a user chose, whatever the machine made of it.

        Parameters
        ----------
        *choices : object
            Further choices, with a ``repr`` that is the same everywhere.

        Returns
        -------
        digest : str of 64 characters
            Of checkpoint, layers, pooling, prefix, lengths, and `choices`.
        """
        return self._hash(*choices)

    def _hash(self, *others: object) -> str:
        parts = (
            _FORMAT,
            self.checkpoint.digest,
            self.layers,
            self.pooling,
            self.prefix,
            self.max_length,
            self.long_text,
            *others,
        )
        return hashlib.sha256(repr(parts).encode()).hexdigest()


def warn_of_cuts(n_cut: int, n_texts: int, max_length: int) -> None:
    """Warn that texts lost their ends to a length that nobody asked for.

    Parameters
    ----------
    n_cut, n_texts : int
        Texts that lost tokens, and texts in all.
    max_length : int
        Tokens that were kept.
    """
    warnings.warn(
        f"{n_cut} of {n_texts} texts ({n_cut / n_texts:.0%}) were longer than the "
        f"{max_length} tokens that the checkpoint declares, and their ends were cut: "
        "pass long_text='window' or 'head_tail' to read more, or max_length to say "
        "that it is meant.",
        TruncationWarning,
        stacklevel=4,
    )


@dataclass
class Job:
    """How texts are to be encoded, and what came of it.

    Attributes
    ----------
    recipe : Recipe
        What to do.
    store : Store or None
        Where to look and what to add to; None computes all.
    share : {"poolings", "layers"} or None
        What a forward pass keeps beside what is asked for.
    batch_tokens : int or None
        Most tokens of one forward pass; None chooses by the device.
    verbose : bool
        Show a progress bar.
    n_computed, n_cut : int
        Texts that went through the model, and those among them that lost tokens.
    """

    recipe: Recipe
    store: Store | None = None
    share: str | None = None
    batch_tokens: int | None = None
    verbose: bool = False
    n_computed: int = 0
    n_cut: int = 0
    parts: list[Recipe] = field(init=False)

    def __post_init__(self) -> None:
        """List what a pass gives: layers and poolings, each a recipe of its own."""
        recipe = self.recipe
        poolings = recipe.pooling if self.share is None else tuple(POOLINGS)
        layers = [recipe.layers]
        if self.share == "layers":
            depth = recipe.checkpoint.n_layers + 1
            every = [(layer,) for layer in range(-depth, 0)]
            layers += [single for single in every if single != recipe.layers]
        self.parts = [
            replace(recipe, layers=chosen, pooling=(name,))
            for chosen, name in itertools.product(layers, poolings)
        ]


def encode_all(texts: Sequence[str], job: Job) -> NDArray[np.float32]:
    """Return vectors of texts, computing each distinct one that the store lacks once.

    Parameters
    ----------
    texts : sequence of str, of length n
        They may repeat.
    job : Job
        What to do; counts are added to it.

    Returns
    -------
    vectors : float32 array of shape (n, len(pooling) * w)
    """
    position = {text: index for index, text in enumerate(dict.fromkeys(texts))}
    distinct = list(position)
    rows = np.fromiter(map(position.__getitem__, texts), np.intp, len(texts))
    del position  # a hundred bytes a text
    # A call of few texts, none twice, is answered with what was looked up.
    simple = len(distinct) == len(texts) <= _LOOK_UP
    shape = (0 if simple else len(texts), job.recipe.width)
    vectors = np.empty(shape, dtype=np.float32)
    with _progress(len(distinct), job.verbose) as advance:
        for start in range(0, len(distinct), _LOOK_UP):
            block, n_before = distinct[start : start + _LOOK_UP], job.n_computed
            if job.store is None:
                part = np.empty((len(block), job.recipe.width), dtype=np.float32)
                for done, computed in _compute(block, job, [job.recipe], advance):
                    part[done] = computed
            else:
                part = _encode_through(job.store, block, job, advance)
            advance(len(block) - (job.n_computed - n_before))
            if simple:
                return part
            here = np.flatnonzero((rows >= start) & (rows < start + len(block)))
            # Picking rows makes a copy, and many texts may repeat a few.
            for first in range(0, len(here), _LOOK_UP):
                some = here[first : first + _LOOK_UP]
                vectors[some] = part[rows[some] - start]
    return vectors


def _encode_through(
    store: Store, texts: Sequence[str], job: Job, advance: Callable[[float], object]
) -> NDArray[np.float32]:
    """Vectors out of a store, or into it."""
    recipe = job.recipe
    wanted = [replace(recipe, pooling=(name,)) for name in recipe.pooling]
    width = recipe.checkpoint.hidden_size
    keys = {part: hash_texts(texts, part.fingerprint) for part in wanted}
    result = np.empty((len(texts), recipe.width), dtype=np.float32)
    # What a pass for one pooling gave for the others; a store may have no room.
    spare = np.zeros((len(wanted), len(texts)), dtype=bool)
    for number, part in enumerate(wanted):
        columns = slice(number * width, (number + 1) * width)

        def compute(
            indices: list[int], number: int = number, columns: slice = columns
        ) -> Iterator[tuple[list[int], NDArray[np.float32]]]:
            known = [index for index in indices if spare[number, index]]
            if known:
                yield known, result[known, columns]
            missing = [index for index in indices if not spare[number, index]]
            chosen = [texts[index] for index in missing]
            for rows, vectors in _compute(chosen, job, job.parts, advance):
                done = [missing[row] for row in rows]
                pieces = np.split(vectors, len(job.parts), axis=1)
                for other, piece in zip(job.parts, pieces, strict=True):
                    if other in wanted:
                        place = wanted.index(other)
                        result[done, place * width : (place + 1) * width] = piece
                        spare[place, done] = True
                    else:
                        others = hash_texts(
                            [texts[index] for index in done], other.fingerprint
                        )
                        store.put_many(others, piece)
                yield done, result[done, columns]

        if spare[number].all():
            store.put_many(keys[part], result[:, columns])
        else:
            look_up(store, keys[part], width, compute, out=result[:, columns])
    return result


def _compute(
    texts: Sequence[str],
    job: Job,
    parts: Sequence[Recipe],
    advance: Callable[[float], object],
) -> Iterator[tuple[list[int], NDArray[np.float32]]]:
    """Yield positions and their vectors, parts side by side, a block at a time."""
    blocks = [
        list(range(start, min(start + _BLOCK, len(texts))))
        for start in range(0, len(texts), _BLOCK)
    ]
    layers = list(dict.fromkeys(part.layers for part in parts))
    pooling = tuple(dict.fromkeys(itertools.chain(*(part.pooling for part in parts))))
    with ThreadPoolExecutor(1) as ahead:
        # The next block is tokenised while this one is computed.
        def begin(block: list[int]) -> Callable[[], TokenRows]:
            chosen = [texts[index] for index in block]
            return ahead.submit(_tokenize, chosen, job.recipe).result

        coming = [begin(block) for block in blocks[:1]]
        for number, block in enumerate(blocks):
            rows = coming.pop()()
            coming += [begin(block) for block in blocks[number + 1 : number + 2]]
            vectors = _run(rows, len(block), job, layers, pooling, advance)
            job.n_computed += len(block)
            job.n_cut += rows.n_cut
            yield block, vectors


def _tokenize(texts: Sequence[str], recipe: Recipe) -> TokenRows:
    return tokenize(
        load_tokenizer(recipe.checkpoint),
        texts,
        prefix=recipe.prefix,
        max_length=recipe.max_length,
        long_text=recipe.long_text,
        pad_id=recipe.checkpoint.pad_id,
    )


def _run(
    rows: TokenRows,
    n_texts: int,
    job: Job,
    layers: Sequence[tuple[int, ...]],
    pooling: tuple[str, ...],
    advance: Callable[[float], object],
) -> NDArray[np.float32]:
    ensure_not_forked()
    recipe = job.recipe
    vectors = encode_rows(
        load_encoder(recipe.checkpoint, device=recipe.device, dtype=recipe.dtype),
        rows,
        layers=layers,
        pooling=pooling,
        batch_tokens=job.batch_tokens
        or choose_batch_tokens(recipe.device, recipe.checkpoint.hidden_size),
        # The window of a text counts as a part of it.
        on_progress=lambda n_rows: advance(
            n_rows if len(rows) == n_texts else n_rows * n_texts / len(rows)
        ),
    )
    count_texts(n_texts)
    return merge_windows(vectors, rows)


@contextlib.contextmanager
def _progress(n_texts: int, shown: bool) -> Iterator[Callable[[float], object]]:
    """A function to call with the number of texts done; it draws a bar."""
    if not shown:
        yield lambda n_done: None
        return
    from tqdm.auto import tqdm

    with tqdm(total=n_texts, unit=" texts") as bar:
        yield bar.update
