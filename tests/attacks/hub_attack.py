"""Has the hub, or a proxy before it, misbehave in every way that came to mind.

A try is refused where looking for weights ends within 45 seconds by an error of the
package that names the hub, and a fault otherwise; no try can be right.
"""

from __future__ import annotations

import json
import os
import socket
import struct
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

from ledger import Ledger, parse

# Seconds of a call: half a minute of patience, and what comes before. A process also
# imports, on a busy machine, and has threads to end.
LIMIT, LIMIT_OF_PROCESS = 45.0, 120.0
N_AT_ONCE = 4

CHILD = """
import time
import huggingface_hub
from sktransfer.encoders.checkpoints.checkpoint import find_checkpoint
from sktransfer.exceptions import CheckpointError
start = time.monotonic()
try:
    find_checkpoint("someone/model")
    said = "no error"
except CheckpointError as error:
    said = str(error)
print(time.monotonic() - start, said)
"""

SHA = "a" * 40
FILES = {"config.json": b"{}" * 500, "model.safetensors": b"x" * 50_000}
# A request's method and path, and the connection to answer on.
Answerer = Callable[[str, str, socket.socket], None]


def reply(
    connection: socket.socket, body: bytes = b"", status: str = "200 OK", **headers: str
) -> None:
    """Answer as a server should, but for what is asked for."""
    headers = {"Content-Length": str(len(body)), "Connection": "close"} | {
        name.replace("_", "-"): value for name, value in headers.items()
    }
    lines = [f"HTTP/1.1 {status}", *(f"{k}: {v}" for k, v in headers.items()), "", ""]
    connection.sendall("\r\n".join(lines).encode() + body)


def drip(connection: socket.socket, content: bytes) -> None:
    for byte in content:
        connection.sendall(bytes([byte]))
        time.sleep(1)


def silent(method: str, path: str, connection: socket.socket) -> None:
    time.sleep(10 * LIMIT_OF_PROCESS)


def says(body: bytes = b"", status: str = "200 OK", **headers: str) -> Answerer:
    return lambda method, path, connection: reply(connection, body, status, **headers)


def drips_body(method: str, path: str, connection: socket.socket) -> None:
    connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 5000\r\n\r\n")
    drip(connection, b" " * 5000)


def drips_head(method: str, path: str, connection: socket.socket) -> None:
    connection.sendall(b"HTTP/1.1 200 OK\r\nX-Long: ")
    drip(connection, b"y" * 5000)


def heads_without_end(method: str, path: str, connection: socket.socket) -> None:
    connection.sendall(b"HTTP/1.1 200 OK\r\n")
    while True:
        connection.sendall(b"X-More: " + b"y" * 1000 + b"\r\n")


def resets(method: str, path: str, connection: socket.socket) -> None:
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))


def talks_nonsense(method: str, path: str, connection: socket.socket) -> None:
    connection.sendall(b"\0\xff" * 99)


def good(method: str, path: str, connection: socket.socket) -> None:
    """A hub as it should be, with a repository of two files."""
    name = path.rpartition("/")[2]
    if "/tree/" in path:
        files = [
            {"type": "file", "path": name, "size": len(body), "oid": SHA}
            for name, body in FILES.items()
        ]
        reply(connection, json.dumps(files).encode())
    elif "/resolve/" in path:
        facts = {"ETag": f'"{name}"', "X-Repo-Commit": SHA}
        if method == "HEAD":
            reply(connection, **facts, Content_Length=str(len(FILES[name])))
        else:
            reply(connection, FILES[name], **facts)
    else:
        reply(connection, json.dumps({"id": "someone/model", "sha": SHA}).encode())


def good_until(part: str, then: Answerer, of_method: str = "") -> Answerer:
    """A good hub, except for requests with that in their path."""

    def answer(method: str, path: str, connection: socket.socket) -> None:
        bad = part in path and of_method in ("", method)
        (then if bad else good)(method, path, connection)

    return answer


PLAIN: dict[str, Answerer] = {
    "silent": silent,
    "drips its body": drips_body,
    "drips its head": drips_head,
    "has no end of headers": heads_without_end,
    "hangs up": lambda method, path, connection: None,
    "resets": resets,
    "talks nonsense": lambda method, path, connection: connection.sendall(
        b"\0\xff" * 99
    ),
    "shows a page": says(b"<html>Log in</html>", Content_Type="text/html"),
    "asks for a login": says(b"", "407 Proxy Authentication Required"),
    "is ill": says(b"oops", "500 Internal Server Error"),
    "wants an hour": says(b"", "503 Service Unavailable", Retry_After="3600"),
    "limits the rate": says(b"", "429 Too Many Requests", Retry_After="3600"),
    "sends round in a circle": says(b"", "302 Found", Location="/api/models/x/y"),
    "sends nowhere": says(b"", "302 Found", Location="http://[::1"),
    "hangs up too early": says(b"{}", Content_Length="5000"),
    "answers null": says(b"null"),
    "answers a list": says(b"[1, 2]"),
    "answers nothing": says(b"{}"),
    "answers brackets": says(b"[" * 200_000),
    "has another format": says(b"nonsense", Content_Encoding="gzip"),
    "lists nothing at all": good_until("/tree/", silent),
    "lists nonsense": good_until("/tree/", says(b'[{"type": "file"}]')),
    "lists a path above": good_until(
        "/tree/",
        says(b'[{"type": "file", "path": "../../x.json", "size": 1, "oid": "a"}]'),
    ),
    "is silent about files": good_until("/resolve/", silent),
    "drips the head of files": good_until("/resolve/", drips_head, "HEAD"),
    "drips files": good_until("/resolve/", drips_body, "GET"),
    "sends half of files": good_until("/resolve/", says(b"x" * 99), "GET"),
    "sends files of no model": good,
}
# The hub is reached through a proxy, which answers CONNECT.
PROXIED: dict[str, Answerer] = {
    "proxy is silent": silent,
    "proxy asks for a login": says(b"", "407 Proxy Authentication Required"),
    "proxy is ill": says(b"", "502 Bad Gateway"),
    "proxy shows a page": says(b"<html>"),
    "proxy hangs up": lambda method, path, connection: None,
}


def serve(answer: Answerer) -> int:
    """Start a server of this process, and return its port."""
    listener = socket.create_server(("127.0.0.1", 0))

    def handle(connection: socket.socket) -> None:
        with connection:
            try:
                head = b""
                while b"\r\n\r\n" not in head:
                    more = connection.recv(65536)
                    if not more:
                        return
                    head += more
                method, path, *_ = head.decode("latin-1").split(" ")
                answer(method, path.partition("?")[0], connection)
            except OSError:  # whoever asked has gone
                return

    def accept() -> None:
        while True:
            connection, _ = listener.accept()
            threading.Thread(target=handle, args=(connection,), daemon=True).start()

    threading.Thread(target=accept, daemon=True).start()
    return int(listener.getsockname()[1])


def settings() -> dict[str, dict[str, str]]:
    """Environment of each try."""
    with socket.create_server(("127.0.0.1", 0)) as unused:
        closed = unused.getsockname()[1]
    found = {
        name: {"HF_ENDPOINT": f"http://127.0.0.1:{serve(answer)}"}
        for name, answer in PLAIN.items()
    }
    found["is not there"] = {"HF_ENDPOINT": f"http://127.0.0.1:{closed}"}
    found["speaks no TLS"] = {"HF_ENDPOINT": f"https://127.0.0.1:{serve(good)}"}
    found["has no name"] = {"HF_ENDPOINT": "http://no.such.host.invalid"}
    for name, answer in PROXIED.items():
        found[name] = {
            "HF_ENDPOINT": "https://hub.invalid",
            "HTTPS_PROXY": f"http://127.0.0.1:{serve(answer)}",
        }
    return found


def attempt(environment: dict[str, str]) -> tuple[str, str]:
    """What came of a process with this environment, and its last words."""
    with tempfile.TemporaryDirectory() as home:
        places = {"HF_HOME": home, "SKTRANSFER_CACHE": home, "HF_HUB_OFFLINE": "0"}
        plain = {k: v for k, v in os.environ.items() if not k.lower().endswith("proxy")}
        child = subprocess.Popen(
            [sys.executable, "-c", CHILD],
            env=plain | places | environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        try:
            out, err = child.communicate(timeout=LIMIT_OF_PROCESS)
        except subprocess.TimeoutExpired:
            child.kill()
            out, err = child.communicate()
            return "hung", out[-300:] or err[-300:]
        if child.returncode:
            return "raw error", err[-300:]
        took, _, said = out.partition(" ")
        said = f"{float(took):.0f} s: {said}"
        if float(took) > LIMIT:
            return "hung", said
        if "no error" in said:
            return "wrong", said
        named = "hub" in said and "Pass an existing folder" in said
        return "refused" if named or "valid JSON" in said else "unclear", said


def main() -> None:
    arguments = parse(__doc__, ["hub"])
    ledger = Ledger("hub", "servers and proxies that misbehave")
    # Not a row of the table's: the places of the tries are their numbers.
    chosen = list(settings().items())
    chosen = chosen[: max(1, round(len(chosen) * arguments.share))]
    with ThreadPoolExecutor(N_AT_ONCE) as pool:
        answers = pool.map(attempt, [environment for _, environment in chosen])
        for number, (outcome, said) in enumerate(answers):
            name = chosen[number][0]
            print(number, name, outcome, said[:200].replace("\n", " "), flush=True)
            ledger.note(outcome, number, f"{name}: {said}")
    ledger.write()
    os._exit(0)  # servers that are silent have no end


if __name__ == "__main__":
    main()
