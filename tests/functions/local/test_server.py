"""HTTP as it comes: what the local server makes of it, and what it answers."""

import time
from collections.abc import Iterator
from contextlib import suppress
from http.client import HTTPConnection
from socket import SHUT_WR, SO_LINGER, SOL_SOCKET, create_connection, socket
from struct import pack
from threading import Event, Thread

import pytest

from functions.local import server as module
from functions.local.server import CONNECTIONS, Server
from shared.incoming.delivery import MAX_BODY, Delivery
from shared.receive import Answer

SEEN: list[Delivery] = []
DEFECTS: list[Exception] = []
GO_ON = Event()
TOKEN = {"X-Gitlab-Token": "canary"}


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    def answer(delivery: Delivery) -> Answer:
        SEEN.append(delivery)
        if delivery.headers.get("x-gitlab-event") == "Defect":
            raise KeyError
        if delivery.headers.get("x-gitlab-event") == "Slow":
            GO_ON.wait(10)
        return Answer(202, "application/json", '{"reason": "schön"}')

    server = Server(0, answer, DEFECTS.append)
    server.start()
    yield server
    server.stop()


@pytest.fixture
def connection(server: Server) -> Iterator[HTTPConnection]:
    SEEN.clear()
    connection = HTTPConnection("127.0.0.1", server.server_port, timeout=5)
    yield connection
    connection.close()


def connected(server: Server) -> socket:
    return create_connection(("127.0.0.1", server.server_port), timeout=5)


def rest(sent: socket) -> bytes:
    return b"".join(iter(lambda: sent.recv(65536), b""))


def raw(server: Server, request: bytes) -> bytes:
    """Send bytes and read until the server closes."""
    SEEN.clear()
    with connected(server) as sent:
        sent.sendall(request)
        return rest(sent)


def test_it_listens_on_this_machine_only(server: Server) -> None:
    assert server.server_address[0] == "127.0.0.1"
    assert server.url == f"http://127.0.0.1:{server.server_port}/"


def test_a_request_is_a_delivery_and_the_connection_stays(connection: HTTPConnection) -> None:
    for _ in range(2):
        headers = TOKEN | {"X-Gitlab-Event": "Note Hook"}
        connection.request("POST", "/any/path?x=1", b"{}", headers)
        response = connection.getresponse()
        assert (response.status, response.read().decode()) == (202, '{"reason": "schön"}')
        assert response.headers["Content-Type"] == "application/json"
        assert response.headers["Server"].strip() == "gitlab-claude-trigger"  # no Python's version
    assert [(each.method, each.body) for each in SEEN] == [("POST", b"{}")] * 2
    assert SEEN[0].headers["x-gitlab-event"] == "Note Hook"


def test_values_of_one_header_become_one_value(server: Server) -> None:
    raw(
        server,
        b"GET / HTTP/1.1\r\nX-Gitlab-Token: a\r\nX-GITLAB-TOKEN: b\r\nConnection: close\r\n\r\n",
    )
    assert SEEN[0].headers["x-gitlab-token"] == "a,b"


def test_head_is_answered_without_a_body(connection: HTTPConnection) -> None:
    connection.request("HEAD", "/")
    response = connection.getresponse()
    assert (response.status, response.headers["Content-Length"], response.read()) == (
        202,
        "20",
        b"",
    )


@pytest.mark.parametrize("length", [str(MAX_BODY + 1), "9" * 30, "-1", "abc", "١", ""])
def test_a_body_too_large_or_of_no_length_is_not_read(server: Server, length: str) -> None:
    head = f"POST / HTTP/1.1\r\nX-Gitlab-Token: x\r\nContent-Length: {length}\r\n\r\n".encode()
    assert raw(server, head + b"x" * 100).startswith(b"HTTP/1.1 202")
    assert [len(each.body) for each in SEEN] == [MAX_BODY + 1]


CHUNKED = b"POST / HTTP/1.1\r\nX-Gitlab-Token: x\r\nTransfer-Encoding: chunked\r\n"


def test_a_body_in_chunks_is_read_and_not_taken_for_another_request(server: Server) -> None:
    body = b"4\r\nGET \r\n0A;name=value\r\n/ HTTP/1.1\r\n0\r\nX-Trailer: 1\r\n\r\n"
    last = b"GET / HTTP/1.1\r\nConnection: close\r\n\r\n"
    assert raw(server, CHUNKED + b"\r\n" + body + last).count(b"HTTP/1.1 202") == 2
    assert [(each.method, each.body) for each in SEEN] == [
        ("POST", b"GET / HTTP/1.1"),
        ("GET", b""),
    ]


@pytest.mark.parametrize(
    ("request_", "status"),
    [
        (CHUNKED + b"\r\n4\r\nabcdX\r\n0\r\n\r\n", b"400"),  # longer than it says
        (CHUNKED + b"\r\n-4\r\nabcd\r\n0\r\n\r\n", b"400"),
        (CHUNKED + b"\r\n4_0\r\nabcd\r\n0\r\n\r\n", b"400"),
        (CHUNKED + b"\r\n\r\nabcd\r\n0\r\n\r\n", b"400"),
        (CHUNKED + b"\r\n4\nabcd\n0\n\n", b"400"),  # a lone line feed ends no line
        (CHUNKED + b"\r\n" + b"0" * 5000, b"400"),
        (CHUNKED + b"\r\n0\r\n" + b"X: y\r\n" * 2000, b"400"),
        (CHUNKED + b"Content-Length: 4\r\n\r\n4\r\nabcd\r\n0\r\n\r\n", b"400"),
        (CHUNKED.replace(b"1.1", b"1.0") + b"\r\n4\r\nabcd\r\n0\r\n\r\n", b"400"),
        (CHUNKED.replace(b"chunked", b"gzip, chunked") + b"\r\n0\r\n\r\n", b"501"),
        (CHUNKED + b"Transfer-Encoding: identity\r\n\r\n0\r\n\r\n", b"501"),
    ],
)
def test_chunks_that_another_would_read_otherwise_are_refused(
    server: Server, request_: bytes, status: bytes
) -> None:
    said = raw(server, request_ + b"GET / HTTP/1.1\r\n\r\n")
    assert (said[9:12], said.count(b"HTTP/1.")) == (status, 1)
    assert SEEN == []


def test_half_a_body_in_chunks_is_no_delivery(server: Server) -> None:
    SEEN.clear()
    for begun in (b"", b"4", b"4\r\n", b"4\r\nab", b"4\r\nabcd\r\n", b"0\r\n"):
        with connected(server) as sent:
            sent.sendall(CHUNKED + b"\r\n" + begun)
            sent.shutdown(SHUT_WR)
            assert rest(sent)[9:12] == b"408"
    assert SEEN == []


def test_chunks_that_keep_coming_are_not_read_for_ever(
    server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "DEADLINE", 0.3)
    # Who is cut off may have sent so much that the end is never read.
    monkeypatch.setattr(Server, "_cut_off", lambda *_: None)
    SEEN.clear()
    chunk, began = b"1;" + b"x" * 4000 + b"\r\na\r\n", time.monotonic()
    with connected(server) as sent, suppress(OSError):
        sent.sendall(CHUNKED + b"\r\n")
        while time.monotonic() - began < 4:
            sent.sendall(chunk * 20)
    assert time.monotonic() - began < 3
    assert SEEN == []


def test_chunks_are_read_up_to_the_largest_body(
    server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "MAX_BODY", 10)
    for chunks, size in ((b"6\r\nabcdef\r\n4\r\nabcd\r\n", 10), (b"6\r\nabcdef\r\n5\r\n", 11)):
        end = b"0\r\n\r\nGET / HTTP/1.1\r\nConnection: close\r\n\r\n"
        raw(server, CHUNKED + b"\r\n" + chunks + end)
        assert len(SEEN[0].body) == size
        assert len(SEEN) == (2 if size == 10 else 1)


def test_two_lengths_are_none(server: Server) -> None:
    head = (
        b"POST / HTTP/1.1\r\nX-Gitlab-Token: x\r\nContent-Length: 4\r\nContent-Length: 40\r\n\r\n"
    )
    assert raw(server, head + b"abcdGET / HTTP/1.1\r\n\r\n").count(b"HTTP/1.1 ") == 1
    assert [len(each.body) for each in SEEN] == [MAX_BODY + 1]


def test_blanks_around_a_value_are_no_part_of_it(server: Server) -> None:
    raw(server, b"GET / HTTP/1.1\r\nX-Gitlab-Token: \t a b \t\r\nConnection: close\r\n\r\n")
    assert SEEN[0].headers["x-gitlab-token"] == "a b"


def test_nothing_is_written_of_a_request(
    connection: HTTPConnection, capsys: pytest.CaptureFixture[str]
) -> None:
    connection.request("GET", "/canary")
    connection.getresponse().read()
    assert capsys.readouterr() == ("", "")


@pytest.mark.parametrize(
    "head", ["POST / HTTP/1.1\r\n", "PUT / HTTP/1.1\r\nX-Gitlab-Token: x\r\n", "GET / HTTP/1.1\r\n"]
)
def test_without_credentials_a_body_is_not_read(server: Server, head: str) -> None:
    # It never comes, so that an answer proves that nobody waits for it.
    answer = raw(server, f"{head}Content-Length: {MAX_BODY}\r\n\r\n".encode())
    assert answer.startswith(b"HTTP/1.1 202")
    assert b"\r\nConnection: close\r\n" in answer
    assert [each.body for each in SEEN] == [b""]


def test_the_answer_arrives_while_a_refused_body_is_still_sent(server: Server) -> None:
    head = f"POST / HTTP/1.1\r\nContent-Length: {2 * MAX_BODY}\r\n\r\n".encode()
    assert raw(server, head + bytes(900_000)).startswith(b"HTTP/1.1 202")


def test_a_request_that_does_not_end_is_cut_off(
    server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "DEADLINE", 0.5)
    SEEN.clear()
    for begun in (
        b"POST / HTTP/1.1\r\nX-Gitlab-Token: x\r\nContent-Length: 100\r\n\r\n",
        b"POST / HTTP/1.1\r\nX-Gitlab-",
    ):
        with connected(server) as sent:
            sent.sendall(begun)
            began, answer = time.monotonic(), b""
            while not answer and time.monotonic() - began < 4:  # a byte now and then
                sent.settimeout(0.1)
                try:
                    answer = sent.recv(65536)
                except TimeoutError:
                    sent.sendall(b"x")
            assert answer[9:12] in (b"408", b"202")
            assert time.monotonic() - began < 2
    assert all(not each.body for each in SEEN)


def test_half_a_body_is_no_delivery(server: Server) -> None:
    SEEN.clear()
    with connected(server) as sent:
        sent.sendall(b"POST / HTTP/1.1\r\nX-Gitlab-Token: x\r\nContent-Length: 100\r\n\r\n{")
        sent.shutdown(SHUT_WR)
        assert rest(sent).startswith(b"HTTP/1.1 408")
    assert SEEN == []


def test_so_many_connections_are_answered_at_once_and_the_next_when_one_ends(
    server: Server,
) -> None:
    GO_ON.clear()
    held = [connected(server) for _ in range(CONNECTIONS)]
    for each in held:
        each.sendall(b"GET / HTTP/1.1\r\nX-Gitlab-Event: Slow\r\n\r\n")
    with connected(server) as waiting:
        waiting.sendall(b"GET / HTTP/1.1\r\nConnection: close\r\n\r\n")
        waiting.settimeout(0.5)
        with pytest.raises(TimeoutError):
            waiting.recv(1)
        GO_ON.set()
        waiting.settimeout(5)
        assert waiting.recv(65536).startswith(b"HTTP/1.1 202")
    for each in held:
        assert each.recv(65536).startswith(b"HTTP/1.1 202")
        each.close()


def test_silent_clients_keep_nobody_waiting(server: Server) -> None:
    held = [connected(server) for _ in range(CONNECTIONS + 40)]
    held[70].sendall(b"GET / HTTP/1.1\r\n")
    began = time.monotonic()
    for _ in range(20):
        assert raw(server, b"GET / HTTP/1.1\r\nConnection: close\r\n\r\n").startswith(
            b"HTTP/1.1 202"
        )
    assert time.monotonic() - began < 2
    assert held[0].recv(1) == b""  # who has said nothing for the longest had to go
    for each in held:
        each.close()


def test_a_client_that_hangs_up_writes_nothing_and_a_defect_its_class(
    server: Server, capsys: pytest.CaptureFixture[str]
) -> None:
    DEFECTS.clear()
    for _ in range(5):
        with connected(server) as sent:
            sent.setsockopt(SOL_SOCKET, SO_LINGER, pack("ii", 1, 0))  # close with a reset
            sent.sendall(b"GET / HTTP/1.1\r\n\r\nGET / HTTP/1.1\r\n\r\n")
    assert raw(server, b"GET / HTTP/1.1\r\nX-Gitlab-Event: Defect\r\n\r\n") == b""
    assert capsys.readouterr() == ("", "")
    assert [type(each) for each in DEFECTS] == [KeyError]


def test_an_end_lets_what_has_begun_be_answered_and_silent_ones_go() -> None:
    def answer(delivery: Delivery) -> Answer:
        begun.set()
        GO_ON.wait(10)
        return Answer(202, "text/plain", str(len(delivery.body)))

    begun, server = Event(), Server(0, answer, DEFECTS.append)
    server.start()
    GO_ON.clear()
    with connected(server) as silent, connected(server) as half, connected(server) as asked:
        half.sendall(b"POST / HTTP/1.1\r\nX-Gitlab-Token: x\r\nContent-Length: 2\r\n\r\n{")
        asked.sendall(b"GET / HTTP/1.1\r\n\r\n")
        assert begun.wait(5)
        ending = Thread(target=server.stop)
        ending.start()
        assert silent.recv(1) == b""
        assert ending.is_alive()
        half.sendall(b"}")
        GO_ON.set()
        for each in (half, asked):
            said = rest(each)
            assert said.startswith(b"HTTP/1.1 202")
            assert b"\r\nConnection: close\r\n" in said
        ending.join(5)
        assert not ending.is_alive()
