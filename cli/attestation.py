"""What `verify` found, signed so that others can check it: in-toto in a DSSE envelope, by openssl.

Sources: https://github.com/secure-systems-lab/dsse/blob/master/protocol.md, …/envelope.md and
https://docs.openssl.org/3.0/man1/openssl-pkeyutl/
"""

import json
import subprocess
import tempfile
from base64 import b64encode
from hashlib import sha256
from pathlib import Path
from typing import Any

from cli.installation import Unusable

_TYPE = "application/vnd.in-toto+json"


def write(statement: dict[str, Any], key: Path, folder: Path) -> Path:
    """Sign a statement with a private key in PEM, Ed25519 or P-256; return the envelope's file.

    It is named after the commit. Raise Unusable where openssl cannot sign with that key.
    """
    payload = json.dumps(statement, indent=1).encode()
    public = _openssl(key, "pkey", "-in", str(key), "-pubout", "-outform", "DER")
    with tempfile.TemporaryDirectory() as made:  # openssl has to know the size of what it signs
        signed = Path(made, "signed")
        signed.write_bytes(encoded(payload))
        given = ("-inkey", str(key), "-rawin", "-in", str(signed))
        signature = _openssl(key, "pkeyutl", "-sign", *given)
    envelope = {
        "payloadType": _TYPE,
        "payload": b64encode(payload).decode(),
        "signatures": [{"keyid": sha256(public).hexdigest(), "sig": b64encode(signature).decode()}],
    }
    commit = statement["subject"][0]["digest"]["gitCommit"]
    file = folder / f"{commit[:12]}.intoto.json"
    file.write_text(f"{json.dumps(envelope)}\n", encoding="utf-8")
    return file


def encoded(payload: bytes) -> bytes:
    """Return the bytes that are signed: DSSE's pre-authentication encoding.

    >>> encoded(b"{}")
    b'DSSEv1 28 application/vnd.in-toto+json 2 {}'
    """
    return f"DSSEv1 {len(_TYPE)} {_TYPE} {len(payload)} ".encode() + payload


def _openssl(key: Path, *arguments: str) -> bytes:
    try:
        done = subprocess.run(["openssl", *arguments], capture_output=True, check=False)  # noqa: S607
    except FileNotFoundError:
        message = "there is no openssl to sign with: install OpenSSL 3.0 or later"
        raise Unusable(message) from None
    if done.returncode:
        message = f"{key} cannot sign: it has to be a private key in PEM, Ed25519 or P-256"
        raise Unusable(message)
    return done.stdout
