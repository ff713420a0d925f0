"""A proxy and host nobody should ever turn to: it records who did, and lets nothing through."""

import socket
import threading
from typing import Self


class Witness:
    """A TCP listener on 127.0.0.1; `asked` holds the first line of all who say something."""

    def __enter__(self) -> Self:
        self.asked: list[str] = []
        self._socket = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self._socket.getsockname()[1]}"
        self._listener = threading.Thread(target=self._listen)
        self._listener.start()
        return self

    def __exit__(self, *_: object) -> None:
        # To close it is not enough: a thread about to accept would do so on whatever socket has
        # the number next, and answer for it.
        self._socket.shutdown(socket.SHUT_RDWR)
        self._listener.join()
        self._socket.close()

    def _listen(self) -> None:
        while True:
            try:
                connection, _ = self._socket.accept()
            except OSError:
                return
            connection.settimeout(5)
            with connection:
                line = connection.recv(4096).decode("latin-1").partition("\r\n")[0]
                if not line:  # another test looks at which ports answer
                    continue
                self.asked.append(line)
                connection.sendall(
                    b"HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
                )
