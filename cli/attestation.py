"""What `verify` found, signed so that others can check it: in-toto in a DSSE envelope.

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

from cli import kms
from cli.installation import Unusable

_TYPE = "application/vnd.in-toto+json"


def write(statement: dict[str, Any], key: str, folder: Path) -> Path:
    """Sign a statement with a key, Ed25519 or P-256; return the envelope's file.

    The key is a file, private and in PEM, or one that `kms` has. The envelope is named after the
    commit. Raise Unusable where that key cannot sign.
    """
    payload = json.dumps(statement, indent=1).encode()
    signs = kms.sign if kms.names(key) else _with_openssl
    public, signature = signs(key, encoded(payload))
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


def _with_openssl(key: str, text: bytes) -> tuple[bytes, bytes]:
    public = _openssl(key, "pkey", "-in", key, "-pubout", "-outform", "DER")
    with tempfile.TemporaryDirectory() as made:  # openssl has to know the size of what it signs
        signed = Path(made, "signed")
        signed.write_bytes(text)
        given = ("-inkey", key, "-rawin", "-in", str(signed))
        return public, _openssl(key, "pkeyutl", "-sign", *given)


def _openssl(key: str, *arguments: str) -> bytes:
    try:
        done = subprocess.run(["openssl", *arguments], capture_output=True, check=False)  # noqa: S607
    except FileNotFoundError:
        message = "there is no openssl to sign with: install OpenSSL 3.0 or later"
        raise Unusable(message) from None
    if done.returncode:
        message = f"{key} cannot sign: it has to be a private key in PEM, Ed25519 or P-256, or a"
        message = f"{message} key of a KMS ({kms.FORMS})"
        raise Unusable(message)
    return done.stdout
