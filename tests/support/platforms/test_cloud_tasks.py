"""What the stand-in of Cloud Tasks promises."""

import json
from base64 import urlsafe_b64decode
from socket import create_server

from tests.support import fakes
from tests.support.platforms.cloud_tasks import CloudTasks, Limits
from tests.support.platforms.gcp import INVOKER, QUEUE, tasks_queue


def test_the_queue_of_the_stand_in_pauses_as_the_reference_tells() -> None:
    limits = Limits(min_backoff=10, max_backoff=300, doublings=3)
    assert [limits.pause(attempt) for attempt in range(1, 9)] == [
        10,
        20,
        40,
        80,
        160,
        240,
        300,
        300,
    ]


def test_an_id_token_of_the_stand_in_names_account_and_audience() -> None:
    tasks = CloudTasks(QUEUE)
    with create_server(("127.0.0.1", 0)) as target:
        url = f"http://127.0.0.1:{target.getsockname()[1]}/"
        tasks_queue(tasks, url).put(fakes.run())
        connection, _ = target.accept()
        with connection:
            head = connection.recv(65536).decode()
            connection.sendall(b"HTTP/1.1 204 No Content\r\n\r\n")
        tasks.settle(10)
    tasks.close()
    headers = dict(line.split(": ", 1) for line in head.split("\r\n\r\n")[0].split("\r\n")[1:])
    claims = json.loads(urlsafe_b64decode(headers["Authorization"].split(".")[1] + "=="))
    assert (claims["email"], claims["aud"]) == (INVOKER, url)
    assert headers["X-CloudTasks-TaskName"].startswith(fakes.run().id)
    assert headers["X-CloudTasks-TaskRetryCount"] == "0"
