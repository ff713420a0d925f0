"""HTTP as it comes: what the local server makes of it, and what it answers."""

from collections.abc import Iterator
from http.client import HTTPConnection
from socket import create_connection

import pytest

from functions.local.server import Server
from shared.incoming.delivery import MAX_BODY, Delivery
from shared.receive import Answer

SEEN: list[Delivery] = []


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    def answer(delivery: Delivery) -> Answer:
        SEEN.append(delivery)
        return Answer(202, "application/json", '{"reason": "schön"}')

    server = Server(0, answer)
    server.start()
    yield server
    server.stop()


@pytest.fixture
def connection(server: Server) -> Iterator[HTTPConnection]:
    SEEN.clear()
    connection = HTTPConnection("127.0.0.1", server.server_port, timeout=5)
    yield connection
    connection.close()


def raw(server: Server, request: bytes) -> bytes:
    """Send bytes and read until the server closes."""
    SEEN.clear()
    with create_connection(("127.0.0.1", server.server_port), timeout=5) as sent:
        sent.sendall(request)
        return b"".join(iter(lambda: sent.recv(65536), b""))


def test_it_listens_on_this_machine_only(server: Server) -> None:
    assert server.server_address[0] == "127.0.0.1"
    assert server.url == f"http://127.0.0.1:{server.server_port}/"


def test_a_request_is_a_delivery_and_the_connection_stays(connection: HTTPConnection) -> None:
    for method in ("POST", "PUT"):
        connection.request(method, "/any/path?x=1", b"{}", {"X-Gitlab-Event": "Note Hook"})
        response = connection.getresponse()
        assert (response.status, response.read().decode()) == (202, '{"reason": "schön"}')
        assert response.headers["Content-Type"] == "application/json"
        assert response.headers["Server"].strip() == "gitlab-claude-trigger"  # no Python's version
    assert [(each.method, each.body) for each in SEEN] == [("POST", b"{}"), ("PUT", b"{}")]
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
    head = f"POST / HTTP/1.1\r\nContent-Length: {length}\r\n\r\n".encode()
    assert raw(server, head + b"x" * 100).startswith(b"HTTP/1.1 202")
    assert [len(each.body) for each in SEEN] == [MAX_BODY + 1]


def test_a_body_in_chunks_is_not_taken_for_another_request(server: Server) -> None:
    head = b"POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n"
    assert raw(server, head + b"4\r\nGET \r\n0\r\n\r\n").count(b"HTTP/1.1 ") == 1
    assert [each.body for each in SEEN] == [b""]


def test_nothing_is_written_of_a_request(
    connection: HTTPConnection, capsys: pytest.CaptureFixture[str]
) -> None:
    connection.request("GET", "/canary")
    connection.getresponse().read()
    assert capsys.readouterr() == ("", "")
