"""A key that never leaves AWS KMS or Cloud KMS signs what was found, and openssl verifies it."""

import base64
import json
import shutil
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from unittest.mock import Mock

import boto3
import pytest
from botocore.stub import Stubber
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, utils
from moto import mock_aws

from cli import attestation, kms
from cli.installation import Unusable
from tests.cli.test_attestation import found, verified
from tests.cli.test_verify import GitLab

pytestmark = pytest.mark.skipif(not shutil.which("openssl"), reason="there is no openssl")
VERSION = "gcpkms://projects/p/locations/global/keyRings/r/cryptoKeys/k/cryptoKeyVersions/1"
TEXT = b"a text"


def written(folder: Path, public: bytes) -> None:
    """Put the public key where the page's lines look for it."""
    pem = base64.encodebytes(public).decode()
    head, end = ("-----BEGIN PUBLIC KEY-----\n", "-----END PUBLIC KEY-----\n")
    (folder / "claude.pub").write_text(head + pem + end)


def der(key: ec.EllipticCurvePrivateKey | ed25519.Ed25519PrivateKey) -> bytes:
    form = serialization.PublicFormat.SubjectPublicKeyInfo
    return key.public_key().public_bytes(serialization.Encoding.DER, form)


@pytest.fixture
def aws(monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "test")
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")
    with mock_aws():
        yield boto3.client("kms")


def made(aws: Any, spec: str = "ECC_NIST_P256") -> str:
    """Make a key with an alias; return its ARN."""
    key = aws.create_key(KeyUsage="SIGN_VERIFY", KeySpec=spec)["KeyMetadata"]
    aws.create_alias(AliasName="alias/claude", TargetKeyId=key["KeyId"])
    return str(key["Arn"])


def test_a_key_of_aws_signs_the_envelope_that_others_check(aws: Any, tmp_path: Path) -> None:
    arn = made(aws)
    (statement,) = found(GitLab())
    for key in ("awskms:///alias/claude", f"awskms:///{arn}"):
        file = attestation.write(statement, key, tmp_path)
        envelope = json.loads(file.read_text())
        payload = base64.b64decode(envelope["payload"])
        signature = base64.b64decode(envelope["signatures"][0]["sig"])
        written(tmp_path, aws.get_public_key(KeyId=arn)["PublicKey"])
        assert json.loads(payload) == statement
        assert verified(tmp_path, payload, signature)
        assert not verified(tmp_path, payload + b" ", signature)


@pytest.mark.usefixtures("aws")
def test_an_ed25519_key_of_aws_signs_as_aws_describes_it(monkeypatch: pytest.MonkeyPatch) -> None:
    """Moto has none; the names are held against AWS's own description."""
    key, arn = ed25519.Ed25519PrivateKey.generate(), "arn:aws:kms:eu-west-1:123456789012:key/1"
    client = boto3.client("kms", region_name="eu-west-1")
    asked = {"KeyId": arn, "Message": TEXT, "MessageType": "RAW"}
    with Stubber(client) as stub:
        stub.add_response("get_public_key", {"KeyId": arn, "PublicKey": der(key)}, {"KeyId": arn})
        stub.add_response(
            "sign",
            {"Signature": key.sign(TEXT)},
            {**asked, "SigningAlgorithm": "ED25519_SHA_512"},
        )
        monkeypatch.setattr(boto3, "client", Mock(return_value=client))
        public, signature = kms.sign(f"awskms:///{arn}", TEXT)
    assert public == der(key)
    key.public_key().verify(signature, TEXT)


def test_a_key_of_aws_that_cannot_sign_is_named(aws: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(Unusable, match=r"does not sign \(NotFoundException\): sign in"):
        kms.sign("awskms:///alias/none", TEXT)
    made(aws, "ECC_NIST_P384")
    with pytest.raises(Unusable, match="it has to be P-256 or Ed25519"):
        kms.sign("awskms:///alias/claude", TEXT)
    monkeypatch.delenv("AWS_DEFAULT_REGION")
    with pytest.raises(Unusable, match=r"NoRegionError.*region \(AWS_DEFAULT_REGION\)"):
        kms.sign("awskms:///alias/claude", TEXT)
    monkeypatch.setitem(sys.modules, "boto3", None)
    with pytest.raises(Unusable, match="which PLATFORM=aws installs"):
        kms.sign("awskms:///alias/claude", TEXT)


@pytest.mark.parametrize(
    "key",
    [
        "awskms://localhost:4566/alias/claude",
        "awskms:///--x y",
        "gcpkms://projects/p/locations/global/keyRings/r/cryptoKeys/k",
        VERSION.replace("/r/", "/../"),
        VERSION.replace("projects/p", "projects/p --x"),
        "gcpkms:claude",
    ],
)
def test_a_key_s_name_of_another_form_is_refused(key: str) -> None:
    with pytest.raises(Unusable, match="is no key's name: write awskms:///alias/"):
        kms.sign(key, TEXT)


# --- Google Cloud ---------------------------------------------------------------------------------


def crc32c(data: bytes) -> int:
    """The checksum that gcloud sends and expects: https://www.rfc-editor.org/rfc/rfc3720#appendix-B.4."""
    crc = 0xFFFFFFFF
    for byte in data:
        crc ^= byte
        for _ in range(8):
            crc = crc >> 1 ^ 0x82F63B78 * (crc & 1)
    return crc ^ 0xFFFFFFFF


class CloudKms(BaseHTTPRequestHandler):
    """`getPublicKey` and `asymmetricSign` of one P-256 version, as Cloud KMS's REST has them."""

    key = ec.generate_private_key(ec.SECP256R1())
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        pem = base64.encodebytes(der(self.key)).decode()
        text = f"-----BEGIN PUBLIC KEY-----\n{pem}-----END PUBLIC KEY-----\n"
        self._answer({"pem": text, "algorithm": "EC_SIGN_P256_SHA256"})

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["content-length"])))
        digest = base64.urlsafe_b64decode(body["digest"]["sha256"])
        assert int(body["digestCrc32c"]) == crc32c(digest)
        made = self.key.sign(digest, ec.ECDSA(utils.Prehashed(hashes.SHA256())))
        self._answer(
            {
                "name": self.path[4:].partition(":")[0],
                "signature": base64.b64encode(made).decode(),
                "signatureCrc32c": str(crc32c(made)),
                "verifiedDigestCrc32c": True,
            }
        )

    def _answer(self, told: dict[str, Any]) -> None:
        body = json.dumps(told).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Say nothing."""


@pytest.mark.skipif(not shutil.which("gcloud"), reason="gcloud is not installed here")
def test_a_key_of_cloud_kms_signs_through_the_real_gcloud(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    server = ThreadingHTTPServer(("127.0.0.1", 0), CloudKms)
    threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
    url = f"http://127.0.0.1:{server.server_port}/"
    monkeypatch.setenv("CLOUDSDK_API_ENDPOINT_OVERRIDES_CLOUDKMS", url)
    monkeypatch.setenv("CLOUDSDK_AUTH_DISABLE_CREDENTIALS", "true")
    monkeypatch.setenv("CLOUDSDK_CONFIG", str(tmp_path / "gcloud"))
    try:
        public, signature = kms.sign(VERSION, attestation.encoded(TEXT))
    finally:
        server.shutdown()
        server.server_close()
    written(tmp_path, public)
    assert public == der(CloudKms.key)
    assert verified(tmp_path, TEXT, signature)


def test_an_ed25519_key_of_cloud_kms_gets_the_text_itself(monkeypatch: pytest.MonkeyPatch) -> None:
    key, asked = ed25519.Ed25519PrivateKey.generate(), list[tuple[str, ...]]()

    def played(*words: str) -> None:
        asked.append(words)
        files = {each.partition("=")[0]: Path(each.partition("=")[2]) for each in words}
        if "get-public-key" in words:
            written(files["--output-file"].parent, der(key))
            files["--output-file"].with_name("claude.pub").rename(files["--output-file"])
        else:
            files["--signature-file"].write_bytes(key.sign(files["--input-file"].read_bytes()))

    monkeypatch.setattr(kms, "_gcloud", played)
    public, signature = kms.sign(VERSION.replace("cryptoKeyVersions", "versions"), TEXT)
    key.public_key().verify(signature, TEXT)
    assert public == der(key)
    assert not [word for words in asked for word in words if "digest" in word]


def test_a_gcloud_that_refuses_or_is_missing_is_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(Unusable, match=r"gcloud is not installed: docs/gcp\.md"):
        kms.sign(VERSION, TEXT)
    (tmp_path / "gcloud").write_text("#!/bin/sh\necho somebody@example.com >&2; exit 1\n")
    (tmp_path / "gcloud").chmod(0o755)
    with pytest.raises(Unusable, match="Cloud KMS does not sign") as refused:
        kms.sign(VERSION, TEXT)
    assert "somebody" not in str(refused.value)
