"""Folders of saved models with damaged files: refused, or the very same answer."""

from __future__ import annotations

import os
import random
import shutil
import tempfile
from pathlib import Path

from ledger import REFUSED, RIGHT, Ledger, in_child, parse
from saved_models import answer_of, save_models

from sktransfer.exceptions import SktransferError

TRIES = 300


def flip(path: Path, draw: random.Random, n: int = 1) -> str:
    """Change so many bits, at places of their own."""
    content = bytearray(path.read_bytes())
    places = [draw.randrange(len(content)) for _ in range(n)]
    for place in places:
        content[place] ^= 1 << draw.randrange(8)
    path.write_bytes(content)
    return f"bits flipped in bytes {places}"


def flip_pair(path: Path, draw: random.Random) -> str:
    """Change the same bit of two words of eight bytes, as sums overlook it."""
    content = bytearray(path.read_bytes())
    first, second = (draw.randrange(max(1, len(content) // 8)) * 8 for _ in range(2))
    offset = draw.randrange(8)
    for start in (first, second):
        content[min(start + offset, len(content) - 1)] ^= 128
    path.write_bytes(content)
    return f"the highest bit flipped in {first} and {second}"


def flip_and_restore_times(path: Path, draw: random.Random) -> str:
    """Change a bit, and give the file the times that it had."""
    state = path.stat()
    told = flip(path, draw)
    os.utime(path, ns=(state.st_atime_ns, state.st_mtime_ns))
    return f"{told}, times restored"


def truncate(path: Path, draw: random.Random) -> str:
    """Cut the end off, or everything."""
    size = draw.randrange(path.stat().st_size)
    os.truncate(path, size)
    return f"cut to {size} bytes"


def append(path: Path, draw: random.Random) -> str:
    """Add bytes at the end."""
    more = draw.choice([b"\0", b"\n", b"{}", draw.randbytes(100)])
    with path.open("ab") as file:
        file.write(more)
    return f"{more[:10]!r} appended"


def extend(path: Path, draw: random.Random) -> str:
    """Make it longer, with a hole, up to far more than memory holds."""
    size = path.stat().st_size + draw.choice([1, 4096, 2**42])
    os.truncate(path, size)
    return f"extended to {size} bytes"


def zero(path: Path, draw: random.Random) -> str:
    """Fill a part, or all of it, with zeros."""
    content = bytearray(path.read_bytes())
    start = draw.choice([0, draw.randrange(len(content))])
    content[start:] = bytes(len(content) - start)
    path.write_bytes(content)
    return f"zeros from {start} on"


def delete(path: Path, draw: random.Random) -> str:
    """Remove it."""
    path.unlink()
    return "removed"


def rename(path: Path, draw: random.Random) -> str:
    """Give it another name in the folder."""
    name = draw.choice([f"{path.name}.bak", path.name.upper(), "model"])
    path.rename(path.with_name(name))
    return f"renamed to {name}"


def swap(path: Path, draw: random.Random) -> str:
    """Exchange it for another file of the folder."""
    other = draw.choice([p for p in sorted(path.parent.iterdir()) if p != path])
    kept = path.read_bytes()
    path.write_bytes(other.read_bytes())
    other.write_bytes(kept)
    return f"swapped with {other.name}"


def make_special(path: Path, draw: random.Random) -> str:
    """Put something in its place that is no file, or that never ends."""
    path.unlink()
    kind = draw.choice(["fifo", "folder", "zero", "loop"])
    if kind == "fifo":
        os.mkfifo(path)
    elif kind == "folder":
        path.mkdir()
    else:
        path.symlink_to("/dev/zero" if kind == "zero" else path.name)
    return f"became a {kind}"


WAYS = [
    *(flip, flip_pair, flip_and_restore_times, truncate, append, extend, zero),
    *(delete, rename, swap, make_special),
    lambda path, draw: flip(path, draw, 2),
]


def answer_damaged(folder: Path, number: int) -> tuple[str, str, bytes]:
    """Load a model, damage its folder, and load it again in the same process.

    Returns what was done, an error of the package if there was one, and the answer.
    """
    answer_of(folder)
    draw = random.Random(number)
    path = draw.choice(sorted(folder.iterdir()))
    told = f"{folder.name}/{path.name} {draw.choice(WAYS)(path, draw)}"
    try:
        return told, "", answer_of(folder)
    except SktransferError as error:
        return told, str(error), b""


def attack(n_tries: int) -> None:
    ledger = Ledger("damaged_models", "one change of any file of a saved model")
    with tempfile.TemporaryDirectory() as work:
        os.environ["SKTRANSFER_CACHE"] = f"{work}/cache"
        models = save_models(Path(work))
        right = {kind: in_child(answer_of, path) for kind, path in models.items()}
        assert all(answer.kind == "value" for answer in right.values()), right
        kept = Path(work, "kept")
        for number in range(n_tries):
            kind = sorted(models)[number % len(models)]
            shutil.copytree(models[kind], kept)
            answer = in_child(answer_damaged, models[kind], number, seconds=60)
            if fault := answer.fault:
                ledger.note(fault, number, f"{kind}: {answer.name} {answer.text}")
            else:
                told, error, value = answer.value
                outcome = RIGHT if value == right[kind].value else "wrong"
                if error:
                    outcome = REFUSED if work in error else "unclear"
                ledger.note(outcome, number, f"{told}: {error}")
            shutil.rmtree(models[kind])
            kept.rename(models[kind])
    ledger.write()


ROWS = {"damaged_models": attack}

if __name__ == "__main__":
    arguments = parse(__doc__, list(ROWS))
    for row in arguments.rows:
        ROWS[row](round(TRIES * arguments.share))
