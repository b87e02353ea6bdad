"""How fast BertFeaturizer encodes, beside sentence-transformers.

Same weights, same texts, in turn in one process, medians of the rounds. Short texts are
rated movie snippets; long ones are book reviews, found through SKTRANSFER_BENCH_DATA.
"""

from __future__ import annotations

import os
import platform
import statistics
import subprocess
import sys
import time
import warnings
from collections.abc import Callable
from functools import partial
from importlib.metadata import version
from pathlib import Path

import numpy as np
import torch
from sentence_transformers import SentenceTransformer

from sktransfer import BertFeaturizer, fetch_reviews
from sktransfer.encoders.checkpoints.checkpoint import find_checkpoint
from sktransfer.encoders.compute.devices import multiplies_bfloat16
from sktransfer.encoders.compute.loop import do_each
from sktransfer.encoders.loaded_models import load_tokenizer

N_ROUNDS = 4
N_COLD = 5
MAX_LENGTH = 256
# Rounds on one core, by the processor's time: what other programs do hardly counts.
N_LONELY = 3
COLD = {
    "sktransfer": (
        "from sktransfer import BertFeaturizer; "
        "BertFeaturizer(cache=None).fit_transform(['A moving film'])"
    ),
    "sentence-transformers": (
        "from sentence_transformers import SentenceTransformer; "
        "SentenceTransformer({folder!r}, device='cpu').encode(['A moving film'])"
    ),
}


def choose(texts: list[str], n: int) -> list[str]:
    distinct = list(dict.fromkeys(text for text in texts if text.strip()))
    order = np.random.default_rng(0).permutation(len(distinct))
    return [distinct[index] for index in order[:n]]


def short_texts(n: int) -> list[str]:
    reviews = fetch_reviews()
    pairs = zip(reviews.data, reviews.domains, strict=True)
    return choose([text for text, domain in pairs if domain == "movies"], n)


def long_texts(n: int) -> list[str]:
    root = os.environ.get("SKTRANSFER_BENCH_DATA")
    if not root:
        return []
    folder = Path(root, "en_amazon", "books")
    texts = [path.read_text("utf-8") for path in sorted(folder.glob("review_*"))]
    return choose("\n".join(texts).split("\n"), n)


def seconds(call: Callable[[], object]) -> float:
    start = time.perf_counter()
    call()
    return time.perf_counter() - start


def encode_by_peer(peer: SentenceTransformer, texts: list[str]) -> np.ndarray:
    # E5's folder names a prompt that would be put before each text, and leaves vectors
    # at any length.
    return peer.encode(texts, prompt="", normalize_embeddings=True)


def lowest_cosines(vectors: np.ndarray, reference: np.ndarray) -> tuple[float, float]:
    def lowest(a: np.ndarray, b: np.ndarray) -> float:
        lengths = np.linalg.norm(a, axis=1) * np.linalg.norm(b, axis=1)
        return float(((a * b).sum(axis=1) / lengths).min())

    mean = reference.mean(axis=0)
    return lowest(vectors, reference), lowest(vectors - mean, reference - mean)


def flops_of(lengths: np.ndarray, width: int, inner: int, n_layers: int) -> float:
    products = 2 * lengths * (4 * width**2 + 2 * width * inner)
    return float((products + 4 * lengths**2 * width).sum() * n_layers)


def products_per_second(dtype: torch.dtype, width: int, inner: int) -> float:
    """FLOP/s of one layer's four products of 2048 tokens, on all cores."""
    shapes = [(width, 3 * width), (width, width), (width, inner), (inner, width)]
    pairs = [
        (torch.randn(2048, i).to(dtype), torch.randn(i, o).to(dtype)) for i, o in shapes
    ]
    n_times = 8 * torch.get_num_threads()

    def multiply(_: int) -> bool:
        for x, weight in pairs:
            torch.mm(x, weight)
        return True

    flops = 2 * 2048 * sum(i * o for i, o in shapes) * n_times
    n_cores = torch.get_num_threads()
    spent = seconds(lambda: do_each(multiply, range(n_times), n_cores))
    return flops / spent


# Fewer texts for the model with twice as many layers.
TEXTS: dict[str, Callable[[], dict[str, list[str]]]] = {
    "all-MiniLM-L6-v2": lambda: {"short": short_texts(320), "long": long_texts(64)},
    "multilingual-e5-small": lambda: {
        "short": short_texts(160),
        "long": long_texts(32),
    },
}


def encode_table(model: str, lines: list[str]) -> None:
    checkpoint = find_checkpoint(model)
    folder = checkpoint.folder
    native = multiplies_bfloat16(torch.device("cpu"))
    formats = ["float32", "bfloat16"] if native else ["float32"]
    peers = {
        dtype: SentenceTransformer(
            str(folder), device="cpu", model_kwargs={"dtype": getattr(torch, dtype)}
        )
        for dtype in formats
    }
    for peer in peers.values():
        peer.max_seq_length = MAX_LENGTH
    ours = {
        dtype: BertFeaturizer(
            model,
            dtype=dtype,
            cache=None,
            device="cpu",
            max_length=MAX_LENGTH,
            prefix="",
        ).fit(["text"])
        for dtype in formats
    }
    tokenizer = load_tokenizer(ours["float32"].checkpoint_)
    lines += [
        "| texts | format | sentence-transformers, texts/s | sktransfer, texts/s "
        "| ratio "
        "| against its default | one core: ratio | one core: against its default "
        "| share of plain products | cosine | without mean |",
        "|---|---|---|---|---|---|---|---|---|---|---|",
    ]
    n_layers = checkpoint.n_layers
    for name, texts in TEXTS[model]().items():
        if not texts:
            continue
        lengths = np.array([len(e.ids) for e in tokenizer.encode_batch_fast(texts)])
        lengths = np.minimum(lengths, MAX_LENGTH)
        flops = flops_of(lengths, 384, 1536, n_layers)
        spent: dict[tuple[str, str], list[float]] = {}
        plain: dict[str, list[float]] = {dtype: [] for dtype in formats}
        for number in range(N_ROUNDS + 1):
            for dtype in formats:
                calls = {
                    ("peer", dtype): partial(encode_by_peer, peers[dtype], texts),
                    ("ours", dtype): partial(ours[dtype].transform, texts),
                }
                for key, call in calls.items():
                    once = seconds(call)
                    if number:  # the first is to warm up
                        spent.setdefault(key, []).append(once)
                speed = products_per_second(getattr(torch, dtype), 384, 1536)
                plain[dtype].append(speed)
        n_cores = torch.get_num_threads()
        torch.set_num_threads(1)
        lonely: dict[tuple[str, str], list[float]] = {}
        for _ in range(N_LONELY):
            for dtype in formats:
                start = time.process_time()
                encode_by_peer(peers[dtype], texts)
                middle = time.process_time()
                ours[dtype].transform(texts)
                lonely.setdefault(("peer", dtype), []).append(middle - start)
                lonely.setdefault(("ours", dtype), []).append(
                    time.process_time() - middle
                )
        torch.set_num_threads(n_cores)
        reference = encode_by_peer(peers["float32"], texts)
        default = len(texts) / statistics.median(spent["peer", "float32"])
        for dtype in formats:
            vectors = ours[dtype].transform(texts)
            vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
            cosine, centred = lowest_cosines(vectors, reference)
            peer, own = (
                len(texts) / statistics.median(spent[who, dtype])
                for who in ("peer", "ours")
            )
            share = flops * own / len(texts) / statistics.median(plain[dtype])
            alone = {key: statistics.median(times) for key, times in lonely.items()}
            lines.append(
                f"| {name} ({len(texts)}, {lengths.mean():.0f} tokens) | {dtype} "
                f"| {peer:.0f} | {own:.0f} | {own / peer:.2f} | {own / default:.2f} "
                f"| {alone['peer', dtype] / alone['ours', dtype]:.2f} "
                f"| {alone['peer', 'float32'] / alone['ours', dtype]:.2f} "
                f"| {share:.0%} | {cosine:.5f} | {centred:.5f} |"
            )
            print(lines[-1], flush=True)


def cold_table(folder: Path, lines: list[str]) -> None:
    spent: dict[str, list[float]] = {name: [] for name in COLD}
    for _ in range(N_COLD):
        for name, program in COLD.items():
            code = program.format(folder=str(folder))
            command = [sys.executable, "-W", "ignore", "-c", code]
            start = partial(subprocess.run, command, check=True, capture_output=True)
            spent[name].append(seconds(start))
    medians = {name: statistics.median(times) for name, times in spent.items()}
    ratio = medians["sktransfer"] / medians["sentence-transformers"]
    lines += [
        "## Cold start",
        "",
        f"First vector from a cold start of Python, median of {N_COLD}: "
        f"{medians['sktransfer']:.2f} s against "
        f"{medians['sentence-transformers']:.2f} s, {ratio:.2f} times as long.",
    ]
    print(lines[-1])


def main() -> None:
    warnings.simplefilter("ignore")
    native = multiplies_bfloat16(torch.device("cpu"))
    lines = [
        "# How fast are texts encoded?",
        "",
        f"Medians of {N_ROUNDS} rounds in turn; "
        f"{torch.get_num_threads()} cores of {platform.machine()} "
        f"({torch.cpu.get_capabilities().get('cpu_name', platform.processor())}, "
        f"bfloat16 {'native' if native else 'not native'}), Python "
        f"{platform.python_version()}, torch {version('torch')}, "
        f"sentence-transformers {version('sentence-transformers')}, load average "
        f"{os.getloadavg()[0]:.1f} at the start.",
        "",
        "The defaults of sentence-transformers are float32 and batches of 32; 'against "
        "its default' is the ratio to them. 'One core' is by the processor's time with "
        "one thread, which other programs on the machine disturb less. Cosines are the "
        "lowest to the float32 vectors of sentence-transformers. 'Share' is the FLOP/s "
        "over that of plain products of the model's shapes and format, in the same "
        "rounds and on as many cores. Both read at most "
        f"{MAX_LENGTH} tokens of a text, and put nothing before it.",
        "",
    ]
    for model in TEXTS:
        lines += [f"## {model}", ""]
        encode_table(model, lines)
        lines.append("")
    cold_table(find_checkpoint("all-MiniLM-L6-v2").folder, lines)
    table = "\n".join(lines) + "\n"
    Path(__file__).with_suffix(".md").write_text(table, encoding="utf-8")


if __name__ == "__main__":
    main()
