import socket
import threading
import time

import huggingface_hub
import pytest

from sktransfer.encoders.checkpoints import downloads
from sktransfer.encoders.checkpoints.checkpoint import find_checkpoint
from sktransfer.encoders.checkpoints.downloads import StalledError, call_watched
from sktransfer.exceptions import CheckpointNotFoundError


@pytest.fixture
def serve(monkeypatch, tmp_path):
    """Function that starts a server and makes it the hub; it answers what it is told.

    A function is called with the connection, and bytes are sent.
    """
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path))
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", False)
    monkeypatch.setattr(downloads, "QUIET", 1.0)
    listeners, ended = [], threading.Event()

    def serve(answer):
        listener = socket.create_server(("127.0.0.1", 0))
        listeners.append(listener)

        def handle(connection):
            with connection:
                connection.recv(65536)
                for byte in answer:
                    try:
                        connection.sendall(byte)
                    except OSError:
                        return
                    if ended.wait(0.1):
                        return
                ended.wait(30)

        def accept():
            while True:
                try:
                    connection, _ = listener.accept()
                except OSError:
                    return
                threading.Thread(target=handle, args=[connection], daemon=True).start()

        threading.Thread(target=accept, daemon=True).start()
        address = f"http://127.0.0.1:{listener.getsockname()[1]}"
        monkeypatch.setattr("huggingface_hub.constants.ENDPOINT", address)
        return address

    yield serve
    ended.set()
    for listener in listeners:
        listener.close()
    huggingface_hub.close_session()


HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nContent-Length: "


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        ([], "nothing came"),
        ([HEAD + b"500\r\n\r\n", *([b" "] * 500)], "nothing came"),
        ([b"HTTP/1.1 200 OK\r\n", *([b"X: y\r\n"] * 500)], "nothing came"),
        ([HEAD + b"6\r\n\r\n<html>"], r"\(JSONDecodeError"),
        ([b"HTTP/1.1 407 Who?\r\nContent-Length: 0\r\n\r\n"], "407"),
        ([b"nonsense\r\n\r\n"], "ProtocolError"),
    ],
    ids=["silence", "a slow body", "a slow head", "a page", "a login", "nonsense"],
)
def test_a_hub_that_misbehaves_is_given_up(serve, answer, reason):
    address = serve(answer)
    start = time.monotonic()
    with pytest.raises(CheckpointNotFoundError, match=reason) as caught:
        find_checkpoint("someone/model")
    assert time.monotonic() - start < 20
    for told in (address, "local_files_only=True", "all-MiniLM-L6-v2"):
        assert told in str(caught.value)


def test_a_slow_answer_that_goes_on_is_waited_for(serve, tmp_path, monkeypatch):
    monkeypatch.setattr(downloads, "QUIET", 4.0)
    address = serve([HEAD + b"90000\r\n\r\n", *([b" " * 2000] * 45)])

    def ask():
        return len(huggingface_hub.get_session().get(address, timeout=10).content)

    start = time.monotonic()
    assert call_watched(ask, tmp_path) == 90_000
    assert time.monotonic() - start > downloads.QUIET


def test_files_that_grow_count_too(serve, tmp_path, monkeypatch):
    monkeypatch.setattr(downloads, "QUIET", 3.0)
    serve([])
    (tmp_path / "blobs").mkdir()

    def download():
        for number in range(40):
            (tmp_path / "blobs" / str(number)).write_bytes(bytes(2000))
            time.sleep(0.1)
        return "done"

    assert call_watched(download, tmp_path) == "done"


def test_what_was_given_up_asks_for_nothing_more(serve, tmp_path):
    address = serve([])
    failed = threading.Event()

    def ask_again():
        time.sleep(2.5)
        try:
            huggingface_hub.get_session().get(address, timeout=10)
        except StalledError:
            failed.set()

    with pytest.raises(StalledError, match="nothing came for 1 seconds"):
        call_watched(ask_again, tmp_path)
    assert failed.wait(10)


def test_errors_of_the_call_are_its_own(serve, tmp_path):
    serve([])
    for error in (TimeoutError("mine"), KeyError("mine")):

        def fail(error=error):
            raise error

        with pytest.raises(type(error), match="mine"):
            call_watched(fail, tmp_path)
    hooks = huggingface_hub.get_session().event_hooks
    assert not [hook for hook in hooks["response"] if "Watch" in repr(hook)]


@pytest.mark.parametrize("offline", [False, True])
def test_nobody_is_asked_where_that_is_forbidden(monkeypatch, tmp_path, offline):
    def refuse(*args, **kwargs):
        raise AssertionError("the network was asked")

    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path))
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", offline)
    monkeypatch.setattr(socket, "socket", refuse)
    monkeypatch.setattr(socket, "getaddrinfo", refuse)
    with pytest.raises(CheckpointNotFoundError, match="the hub was not asked"):
        find_checkpoint("someone/model", local_files_only=not offline)
