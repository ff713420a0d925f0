"""A TCP relay to a port of this machine that can go wrong on request."""

import asyncio
from threading import Event, Thread


class Relay:
    """Passes connections on to the target.

    `fault`: "" passes everything on; "stall" takes requests and answers none; "fail" answers each
    with 500; "drop" ends the connection instead of answering the next request, once, as one does
    that died while a function was frozen. `accepted` counts connections.
    """

    def __init__(self, target: int) -> None:
        self.fault, self.port, self.accepted = "", 0, 0
        self._target, self._started = target, Event()
        self._thread = Thread(target=lambda: asyncio.run(self._serve()))
        self._thread.start()
        self._started.wait()

    def stop(self) -> None:
        """Close every connection and the port."""
        self._loop.call_soon_threadsafe(self._stopping.set)
        self._thread.join()

    async def _serve(self) -> None:
        self._loop, self._stopping = asyncio.get_running_loop(), asyncio.Event()
        server = await asyncio.start_server(self._connection, "127.0.0.1", 0)
        self.port = server.sockets[0].getsockname()[1]
        self._started.set()
        await self._stopping.wait()
        server.close()

    async def _connection(
        self, client: asyncio.StreamReader, answers: asyncio.StreamWriter
    ) -> None:
        self.accepted += 1
        server, requests = await asyncio.open_connection("127.0.0.1", self._target)
        back = asyncio.ensure_future(_pass_on(server, answers))
        try:
            while data := await client.read(65536):
                if self.fault == "drop":
                    self.fault = ""
                    break
                if self.fault == "fail":
                    answers.write(
                        b"HTTP/1.1 500 Internal Server Error\r\nContent-Length: 2\r\nConnection: close\r\n\r\n{}"
                    )
                    await client.read()  # until the client closes
                elif not self.fault:
                    requests.write(data)
                    await requests.drain()
        except OSError:
            pass
        finally:
            back.cancel()
            answers.close()
            requests.close()


async def _pass_on(source: asyncio.StreamReader, target: asyncio.StreamWriter) -> None:
    while data := await source.read(65536):
        target.write(data)
        await target.drain()
    target.close()
