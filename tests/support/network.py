"""What stands between an installation and GitLab in a company: TLS of a private CA, a proxy.

Both listen on 127.0.0.1, pass bytes on to a server there, and end with their context.
"""

import ssl
from base64 import b64encode
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path
from socket import SHUT_RDWR, create_connection, socket
from socketserver import StreamRequestHandler, ThreadingTCPServer
from threading import Thread
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID


def private_ca(folder: Path) -> tuple[Path, Path]:
    """Write a CA's certificate, and key and certificate it gave to 127.0.0.1; return both paths."""
    ca_key, key = (ec.generate_private_key(ec.SECP256R1()) for _ in range(2))
    ca_name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "A company's own CA")])
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "gitlab")])
    ca = _certificate(ca_name, ca_name, ca_key.public_key())
    ca = ca.add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
    there = x509.SubjectAlternativeName([x509.IPAddress(ip_address("127.0.0.1"))])
    leaf = _certificate(name, ca_name, key.public_key()).add_extension(there, critical=False)
    authority, server = folder / "ca.pem", folder / "server.pem"
    pem = serialization.Encoding.PEM
    authority.write_bytes(ca.sign(ca_key, hashes.SHA256()).public_bytes(pem))
    private = key.private_bytes(
        pem, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    server.write_bytes(private + leaf.sign(ca_key, hashes.SHA256()).public_bytes(pem))
    return authority, server


def _certificate(
    name: x509.Name, issuer: x509.Name, key: ec.EllipticCurvePublicKey
) -> x509.CertificateBuilder:
    now = datetime.now(UTC)
    builder = x509.CertificateBuilder().subject_name(name).issuer_name(issuer).public_key(key)
    builder = builder.serial_number(x509.random_serial_number())
    return builder.not_valid_before(now - timedelta(days=1)).not_valid_after(
        now + timedelta(days=1)
    )


@contextmanager
def behind_tls(port: int, certificate: Path) -> Iterator[str]:
    """Serve what listens on a port of this machine under https; yield the address."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)

    class Terminator(StreamRequestHandler):
        def handle(self) -> None:
            with suppress(OSError), context.wrap_socket(self.request, server_side=True) as inner:
                _pass_on(inner, port)

    with _serving(Terminator) as own:
        yield f"https://127.0.0.1:{own}"


@contextmanager
def proxy(seen: list[str], login: str = "") -> Iterator[str]:
    """Serve CONNECT as a company's proxy does, note who is asked for; yield its address.

    With a login, name:password, others are refused with 407.
    """
    wanted = f"Basic {b64encode(login.encode()).decode()}" if login else ""

    class Connect(StreamRequestHandler):
        def handle(self) -> None:
            line = self.rfile.readline().decode()
            given = ""
            while header := self.rfile.readline().strip().decode():
                name, _, value = header.partition(": ")
                given = value if name == "Proxy-Authorization" else given
            if wanted not in ("", given):
                self.wfile.write(b"HTTP/1.1 407 Proxy Authentication Required\r\n\r\n")
                return
            seen.append(line.split(" ")[1])
            self.wfile.write(b"HTTP/1.1 200 Connection established\r\n\r\n")
            _pass_on(self.request, int(seen[-1].rpartition(":")[2]))

    with _serving(Connect) as own:
        yield f"http://127.0.0.1:{own}"


class _Server(ThreadingTCPServer):
    def __init__(self, address: tuple[str, int], handler: type[StreamRequestHandler]) -> None:
        self.open: list[socket] = []
        super().__init__(address, handler)

    def process_request(self, request: Any, client_address: Any) -> None:
        self.open.append(request.dup())
        super().process_request(request, client_address)

    def server_close(self) -> None:
        super().server_close()
        for each in self.open:
            each.close()


@contextmanager
def _serving(handler: type[StreamRequestHandler]) -> Iterator[int]:
    with _Server(("127.0.0.1", 0), handler) as server:
        listener = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
        listener.start()
        try:
            yield server.server_address[1]
        finally:
            server.shutdown()
            listener.join()
            for each in server.open:  # a client may keep its connection
                with suppress(OSError):
                    each.shutdown(SHUT_RDWR)


def _pass_on(inner: socket, port: int) -> None:
    with create_connection(("127.0.0.1", port)) as outer:
        back = Thread(target=_copy, args=(outer, inner))
        back.start()
        _copy(inner, outer)
        back.join()


def _copy(source: socket, target: socket) -> None:
    with suppress(OSError):
        while data := source.recv(65_536):
            target.sendall(data)
    with suppress(OSError):
        target.shutdown(SHUT_RDWR)
