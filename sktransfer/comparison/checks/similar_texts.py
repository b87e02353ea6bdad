"""How alike texts are, by the runs of characters that they share.

Five characters of a text's key in a row are hashed, and a text keeps those with small
hashes, so many that a long one costs no more than a short one. Where two texts of like
length share a run, it is in both sketches or in none. Shapes: n texts.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
import numpy.typing as npt
from scipy import sparse

__all__ = ["like_pairs", "sketch_texts"]

Floats = npt.NDArray[np.float64]

# Characters in a row, and how many such runs a sketch has on average.
_RUN = 5
_SIZE = 96
# Runs that are in more texts than this share of them tell nothing, and cost most.
_COMMON = 0.1
# Texts that are compared with all others at once: memory stays small.
_BLOCK = 512
# Of a number that any hash is multiplied with: odd, with bits all over.
_ODD = np.uint64(0x9E3779B97F4A7C15)


def sketch_texts(keys: Sequence[str]) -> sparse.csr_matrix:
    """Sketches of texts by their keys: rows (n, runs), none longer than 1.

    Runs are weighted by how rare they are, as in TF-IDF. What only one text has makes
    its row shorter, and is left out. The product of the rows of two texts is their
    similarity, from 0 to 1.

    Examples
    --------
    >>> from sktransfer.comparison.checks.similar_texts import sketch_texts
    >>> rows = sketch_texts(["thephoneisverygood", "phoneisverygood", "notatall"])
    >>> (rows @ rows.T).toarray()[0, 1:].round(1).tolist()
    [0.8, 0.0]
    """
    hashes, owners = _hash_runs(keys)
    runs, columns = np.unique(hashes, return_inverse=True)
    size = (len(keys), max(len(runs), 1))
    present = sparse.csr_matrix(
        (np.ones(len(owners)), (owners, columns.ravel())), shape=size
    )
    # Twice in a text is as once.
    present.data[:] = 1.0
    n_texts = np.bincount(present.indices, minlength=size[1])
    weights = np.log(1 + len(keys) / np.maximum(n_texts, 1))
    present.data *= weights[present.indices]
    lengths = np.sqrt(np.asarray(present.multiply(present).sum(axis=1)).ravel())
    present = sparse.diags(1 / np.where(lengths > 0, lengths, 1.0)) @ present
    kept = (n_texts > 1) & (n_texts <= max(_COMMON * len(keys), 10))
    return present[:, np.flatnonzero(kept)].tocsr()


def _hash_runs(
    keys: Sequence[str],
) -> tuple[npt.NDArray[np.uint64], npt.NDArray[np.intp]]:
    """Hashes of the runs that are kept, and the row of the text of each."""
    lengths = np.array([len(key) for key in keys], dtype=np.intp)
    joined = "".join(keys).encode("utf-32-le", "surrogatepass")
    codes = np.frombuffer(joined, dtype="<u4").astype(np.uint64)
    n_runs = max(len(codes) - _RUN + 1, 0)
    hashes = np.zeros(n_runs, dtype=np.uint64)
    for place in range(_RUN):
        hashes = hashes * _ODD + codes[place : place + n_runs]
        hashes ^= hashes >> np.uint64(29)
    hashes *= _ODD
    owners = np.repeat(np.arange(len(keys)), lengths)
    # A run lies within one text.
    kept = owners[:n_runs] == owners[_RUN - 1 :][:n_runs]
    shares = np.minimum(_SIZE / np.maximum(lengths - _RUN + 1, 1), 1.0)
    bounds = (shares * (2.0**64 - 2048)).astype(np.uint64)
    kept &= hashes <= bounds[owners[:n_runs]]
    return hashes[kept], owners[:n_runs][kept]


def like_pairs(
    rows: sparse.csr_matrix, others: sparse.csr_matrix, least: float
) -> Iterator[tuple[npt.NDArray[np.intp], npt.NDArray[np.intp]]]:
    """Pairs that are at least so much alike, block by block of `rows`.

    Yields positions in `rows` and in `others`.
    """
    across = others.T.tocsc().tocsr()
    for start in range(0, rows.shape[0], _BLOCK):
        found = (rows[start : start + _BLOCK] @ across).tocoo()
        kept = found.data >= least
        yield found.row[kept].astype(np.intp) + start, found.col[kept].astype(np.intp)
