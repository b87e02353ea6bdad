"""Texts to vectors by a recipe, through a cache where there is one.

A store keeps one vector for each pooling, so that poolings put side by side, and other
featurizers, share them. Threads that ask for the same text at the same time wait for
the one that is at it. Shapes: n texts, w the width of a token's state.
"""

from __future__ import annotations

import contextlib
import functools
import hashlib
import itertools
import os
import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sktransfer.encoders.cache.memory import Store
from sktransfer.encoders.checkpoints.checkpoint import Checkpoint, ensure_unchanged
from sktransfer.encoders.compute.devices import ensure_not_forked
from sktransfer.encoders.compute.loop import POOLINGS, choose_batch_tokens, encode_rows
from sktransfer.encoders.loaded_models import load_encoder, load_tokenizer
from sktransfer.encoders.parameters import Recipe
from sktransfer.encoders.tokens import TokenRows, merge_windows, tokenize
from sktransfer.exceptions import CheckpointError, TruncationWarning, warn

__all__ = [
    "Job",
    "encode_all",
    "hash_texts",
    "look_up",
    "n_texts_encoded",
    "warn_of_cuts",
]

# Texts that are tokenised, encoded and kept together: many enough to sort by length,
# few enough that an interruption loses little.
_BLOCK = 8192
# Texts that are looked up together: what is held beside the result is so many rows.
_LOOK_UP = 16384

# Hashes that are remembered, and characters of the longest text for which they are: at
# most some 64 MB, usually a tenth of it.
_N_REMEMBERED = 2**15
_SHORT = 512

_counting = threading.Lock()
_n_texts = 0


def warn_of_cuts(n_cut: int, n_texts: int, max_length: int) -> None:
    """Warn that texts lost their ends to a length that nobody asked for."""
    warn(
        f"{n_cut} of {n_texts} texts ({n_cut / n_texts:.0%}) were longer than the "
        f"{max_length} tokens that the checkpoint declares, and their ends were cut: "
        "pass long_text='window' or 'head_tail' to read more, or max_length to say "
        "that it is meant.",
        TruncationWarning,
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
    n_computed : int
        Texts that went through the model.
    n_texts, n_cut : int
        Texts that were asked for, and those among them that lost tokens, whether they
        went through the model now or before.
    """

    recipe: Recipe
    store: Store | None = None
    share: str | None = None
    batch_tokens: int | None = None
    verbose: bool = False
    n_computed: int = 0
    n_texts: int = 0
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
    """Vectors (n, len(pooling) * w) of texts, which may repeat; counts go to `job`.

    Each distinct text that the store lacks is computed once.
    """
    position = {text: index for index, text in enumerate(dict.fromkeys(texts))}
    distinct = list(position)
    rows = np.fromiter(map(position.__getitem__, texts), np.intp, len(texts))
    del position  # a hundred bytes a text
    # A call of few texts, none twice, is answered with what was looked up.
    simple = len(distinct) == len(texts) <= _LOOK_UP
    shape = (0 if simple else len(texts), job.recipe.width)
    vectors = np.empty(shape, dtype=np.float32)
    job.n_texts += len(texts)
    with _progress(len(distinct), job.verbose) as advance:
        for start in range(0, len(distinct), _LOOK_UP):
            block, n_before = distinct[start : start + _LOOK_UP], job.n_computed
            cut = np.zeros(len(block), dtype=bool)
            if job.store is None:
                part = np.empty((len(block), job.recipe.width), dtype=np.float32)
                for done, computed in _compute(block, job, [job.recipe], advance, cut):
                    part[done] = computed
            else:
                part = _encode_through(job.store, block, job, advance, cut)
            advance(len(block) - (job.n_computed - n_before))
            if simple:
                job.n_cut += int(cut.sum())
                return part
            here = np.flatnonzero((rows >= start) & (rows < start + len(block)))
            job.n_cut += int(cut[rows[here] - start].sum())
            # Picking rows makes a copy, and many texts may repeat a few.
            for first in range(0, len(here), _LOOK_UP):
                some = here[first : first + _LOOK_UP]
                vectors[some] = part[rows[some] - start]
    return vectors


def _encode_through(
    store: Store,
    texts: Sequence[str],
    job: Job,
    advance: Callable[[float], object],
    cut: NDArray[np.bool_],
) -> NDArray[np.float32]:
    """Vectors out of a store, or into it; `cut` is set where a text lost tokens."""
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
            lost = np.zeros(len(chosen), dtype=bool)
            for rows, vectors in _compute(chosen, job, job.parts, advance, lost):
                done = [missing[row] for row in rows]
                cut[done] |= lost[rows]
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
                        store.put_many(others, piece, cut[done])
                yield done, result[done, columns]

        # An earlier pooling's passes gave all: there is nothing to look up.
        if spare[number].all():
            store.put_many(keys[part], result[:, columns], cut)
        else:
            own = result[:, columns]
            look_up(store, keys[part], width, compute, out=own, cut=cut)
    return result


def _compute(
    texts: Sequence[str],
    job: Job,
    parts: Sequence[Recipe],
    advance: Callable[[float], object],
    cut: NDArray[np.bool_],
) -> Iterator[tuple[list[int], NDArray[np.float32]]]:
    """Yield positions and their vectors, parts side by side, a block at a time.

    By then `cut`, of shape (n_texts,), says which texts of the block lost tokens.
    """
    blocks = [
        list(range(start, min(start + _BLOCK, len(texts))))
        for start in range(0, len(texts), _BLOCK)
    ]
    # Parts differ in layers and pooling alone, so that one pass gives all of them.
    layers = list(dict.fromkeys(part.layers for part in parts))
    pooling = tuple(dict.fromkeys(itertools.chain(*(part.pooling for part in parts))))
    if blocks:
        load_tokenizer(job.recipe.checkpoint)  # here, as loads are timed by thread
    with ThreadPoolExecutor(1) as ahead:
        # The next block is tokenised while this one is computed.
        def begin(block: list[int]) -> Callable[[], TokenRows]:
            chosen = [texts[index] for index in block]
            return ahead.submit(_tokenize, chosen, job.recipe).result

        coming = [begin(block) for block in blocks[:1]]
        for number, block in enumerate(blocks):
            with _placed(job.recipe.checkpoint):
                rows = coming.pop()()
                coming += [begin(block) for block in blocks[number + 1 : number + 2]]
                vectors = _run(rows, len(block), job, layers, pooling, advance)
            # Weights are mapped: nothing is kept of what they may have become.
            ensure_unchanged(job.recipe.checkpoint)
            job.n_computed += len(block)
            if rows.cut is not None:
                cut[block] = rows.cut
            yield block, vectors


@contextlib.contextmanager
def _placed(checkpoint: Checkpoint) -> Iterator[None]:
    """Say where the files are that an error is of."""
    try:
        yield
    except CheckpointError as error:
        if str(checkpoint.folder) in str(error):
            raise
        where = f"The checkpoint is {checkpoint.name!r} in {checkpoint.folder}."
        raise CheckpointError(f"{error} {where}") from error


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
    _count_texts(n_texts)
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


def n_texts_encoded() -> int:
    """How many texts went through a model in this process; those of a cache did not."""
    return _n_texts


def _count_texts(n_texts: int) -> None:
    global _n_texts
    with _counting:
        _n_texts += n_texts


def hash_texts(texts: Iterable[str], fingerprint: str) -> list[bytes]:
    """Key of 32 bytes of each text: half for the recipe, half for the text.

    `fingerprint` is the recipe's, in hexadecimal. Half of a surrogate pair is allowed.
    """
    recipe = bytes.fromhex(fingerprint)[:16]
    return [
        recipe + (_hash_again(text) if len(text) <= _SHORT else _hash(text))
        for text in texts
    ]


def _hash(text: str) -> bytes:
    content = text.encode("utf-8", "surrogatepass")
    return hashlib.blake2b(content, digest_size=16).digest()


# A grid search hashes the same texts a hundred times.
_hash_again = functools.lru_cache(maxsize=_N_REMEMBERED)(_hash)


class _Claim:
    """What one call of `look_up` has taken upon itself to find or to compute.

    A plain lock, held until that is over: an interrupt may leave an event half set.
    """

    def __init__(self) -> None:
        self._working = threading.Lock()
        self._working.acquire()

    def finish(self) -> None:
        """Say that it is over, whatever came of it."""
        self._working.release()

    def is_over(self) -> bool:
        """Whether nobody is at it; a thread that has just waited counts for a while."""
        return not self._working.locked()

    def wait(self) -> None:
        """Wait until it is over."""
        with self._working:
            return


# Which call is at which key of which store.
_under_way: dict[tuple[int, bytes], _Claim] = {}
_claiming = threading.Lock()


def look_up(
    store: Store,
    keys: Sequence[bytes],
    width: int,
    compute: Callable[[list[int]], Iterable[tuple[list[int], NDArray[np.float32]]]],
    *,
    out: NDArray[np.float32] | None = None,
    cut: NDArray[np.bool_] | None = None,
) -> NDArray[np.float32]:
    """Vector of each key, shape (n_texts, width), computed where the store lacks it.

    `keys` are without duplicates. `compute` gets positions in them and yields pairs of
    positions and their vectors, a part at a time; each part is kept as soon as it
    comes, so that an interrupted computation is not lost. The vectors go into `out`
    where it is given. `cut`, of shape (n_texts,), is set where the store knows that a
    text lost tokens, and read where `compute` has set it.
    """
    result = np.empty((len(keys), width), dtype=np.float32) if out is None else out
    cut = np.zeros(len(keys), dtype=bool) if cut is None else cut

    def look_again(indices: list[int]) -> list[int]:
        """Fill in what is there by now and return what is not."""
        rows = np.empty((len(indices), width), dtype=np.float32)
        lost = np.zeros(len(indices), dtype=bool)
        own = [keys[index] for index in indices]
        found = store.get_many(own, rows, count=False, cut=lost)
        places = np.asarray(indices, dtype=np.intp)
        result[places[found]] = rows[found]
        cut[places] |= lost
        return [index for index, there in zip(indices, found, strict=True) if not there]

    # Only what is missing is claimed: mostly nothing is.
    found = store.get_many(keys, result, cut=cut) if keys else np.ones(0, dtype=bool)
    pending = np.flatnonzero(~found).tolist()
    while pending:
        claim = _Claim()
        try:
            mine, theirs = _divide(store, keys, pending, claim)
            missing = look_again(mine)
            with _locked(store, [keys[index] for index in missing]) as parts:
                for positions in parts:
                    # While this process waited for the lock, another may have done it.
                    part = look_again([missing[position] for position in positions])
                    for done, vectors in compute(part) if part else ():
                        # At once: Ctrl-C in the next part loses nothing of this one.
                        own = [keys[index] for index in done]
                        store.put_many(own, vectors, cut[done])
                        result[done] = vectors
        finally:
            _release(store, keys, pending, claim)
        # Our own work is done first, so that two calls never wait for each other.
        for _, other in theirs:
            other.wait()
        # Now they are in the store, unless it has no room or the other call failed.
        pending = [index for index, _ in theirs]
    return result


@contextlib.contextmanager
def _locked(store: Store, keys: Sequence[bytes]) -> Iterator[Iterable[list[int]]]:
    """Parts of the keys as `Store.lock` gives them; locks end with the block.

    After an interrupt they would else be held until garbage is collected.
    """
    parts: Any = store.lock(keys) if keys else iter(())
    try:
        yield parts
    finally:
        if keys:
            parts.close()


def _divide(
    store: Store, keys: Sequence[bytes], pending: Iterable[int], claim: _Claim
) -> tuple[list[int], list[tuple[int, _Claim]]]:
    """Divide positions into ours, which get our claim, and what others are at."""
    mine: list[int] = []
    theirs: list[tuple[int, _Claim]] = []
    with _claiming:
        for index in pending:
            owner = _under_way.setdefault((id(store), keys[index]), claim)
            # Who was interrupted may have left a claim that is over.
            if owner.is_over():
                owner = _under_way[id(store), keys[index]] = claim
            if owner is claim:
                mine.append(index)
            else:
                theirs.append((index, owner))
    return mine, theirs


def _release(
    store: Store, keys: Sequence[bytes], pending: Iterable[int], claim: _Claim
) -> None:
    # First of all: if this is interrupted, nobody waits for ever.
    claim.finish()
    with _claiming:
        for index in pending:
            place = id(store), keys[index]
            if _under_way.get(place) is claim:
                del _under_way[place]


def _forget_other_threads() -> None:
    """After a fork the threads that held locks and claims are not there any more."""
    global _claiming
    _claiming = threading.Lock()
    _under_way.clear()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget_other_threads)
