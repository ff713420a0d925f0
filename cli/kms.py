"""Sign with a key of AWS KMS or Cloud KMS, which never leaves it; named as cosign names them.

https://docs.sigstore.dev/cosign/key_management/overview/: `awskms:///` with a key's id, ARN or
alias, `gcpkms://` with the whole name of a key's version.
"""

import re
import subprocess
import tempfile
from base64 import b64decode
from pathlib import Path

from cli.installation import Unusable

FORMS = "awskms:///alias/…, or gcpkms://projects/…/cryptoKeyVersions/1"
_AWS = re.compile(r"awskms:///((?:arn:[\w-]+:kms:([\w-]+):\d+:)?[\w/:-]+)")
_GOOGLE = re.compile(
    r"gcpkms://projects/([\w.:-]+)/locations/([\w-]+)/keyRings/([\w-]+)/cryptoKeys/([\w-]+)"
    r"/(?:cryptoKeyVersions|versions)/(\d+)"
)
# What a public key in DER begins with: https://www.rfc-editor.org/rfc/rfc5480 and …/rfc8410
_P256 = bytes.fromhex("3059301306072a8648ce3d020106082a8648ce3d030107")
_ED25519 = bytes.fromhex("302a300506032b6570")


def names(key: str) -> bool:
    """Tell whether a key is one of a KMS, and no file.

    >>> names("awskms:///alias/claude"), names("claude.pem")
    (True, False)
    """
    return key.startswith(("awskms:", "gcpkms:"))


def sign(key: str, text: bytes) -> tuple[bytes, bytes]:
    """Return the public key in DER and a signature of the text, as openssl verifies it.

    P-256 signs the text's SHA-256, Ed25519 the text. Raise Unusable where that cannot be done.
    """
    aws, google = _AWS.fullmatch(key), _GOOGLE.fullmatch(key)
    if aws:
        return _with_aws(aws[1], aws[2], text)
    if google:
        return _with_gcloud(google, text)
    message = f"{key} is no key's name: write {FORMS}"
    raise Unusable(message)


def _hashes(public: bytes) -> bool:
    """Tell whether a key signs a digest."""
    if public.startswith((_P256, _ED25519)):
        return public.startswith(_P256)
    message = "the key cannot sign this: it has to be P-256 or Ed25519"
    raise Unusable(message)


def _with_aws(name: str, region: str | None, text: bytes) -> tuple[bytes, bytes]:
    """Ask `GetPublicKey` and `Sign`, which takes texts of up to 4,096 bytes: ours have some 1,000.

    https://docs.aws.amazon.com/kms/latest/APIReference/API_Sign.html
    """
    try:
        import boto3  # noqa: PLC0415  it is not there on other platforms
        from botocore.exceptions import BotoCoreError, ClientError  # noqa: PLC0415
    except ImportError:
        message = "keys of AWS KMS need boto3, which PLATFORM=aws installs"
        raise Unusable(message) from None
    try:
        client = boto3.client("kms", region_name=region)
        found = client.get_public_key(KeyId=name)
        hashes = _hashes(found["PublicKey"])
        signed = client.sign(
            KeyId=found["KeyId"],  # an alias may be put on another key meanwhile
            Message=text,
            MessageType="RAW",
            SigningAlgorithm="ECDSA_SHA_256" if hashes else "ED25519_SHA_512",
        )
    except (ClientError, BotoCoreError) as error:
        code = error.response["Error"]["Code"] if isinstance(error, ClientError) else ""
        message = f"AWS KMS does not sign ({code or type(error).__name__}): sign in, for the key's"
        message = f"{message} region (AWS_DEFAULT_REGION), with kms:GetPublicKey and kms:Sign on"
        message = f"{message} {name}"
        raise Unusable(message) from None
    return found["PublicKey"], signed["Signature"]


def _with_gcloud(key: re.Match[str], text: bytes) -> tuple[bytes, bytes]:
    """Have gcloud ask; it holds what travels against its checksum."""
    project, location, ring, name, version = key.groups()
    place = [f"--project={project}", f"--location={location}", f"--keyring={ring}"]
    place += [f"--key={name}", "--quiet"]
    with tempfile.TemporaryDirectory() as made:
        public, given, signature = (Path(made, each) for each in ("public", "text", "signature"))
        words = ("keys", "versions", "get-public-key", version, f"--output-file={public}")
        _gcloud(*words, *place)
        lines = public.read_text().splitlines()
        der = b64decode("".join(line for line in lines if not line.startswith("-----")))
        how = ["--digest-algorithm=sha256"] if _hashes(der) else []
        given.write_bytes(text)
        files = (f"--input-file={given}", f"--signature-file={signature}")
        _gcloud("asymmetric-sign", *files, f"--version={version}", *how, *place)
        return der, signature.read_bytes()


def _gcloud(*words: str) -> None:
    try:
        subprocess.run(["gcloud", "kms", *words], capture_output=True, check=True, timeout=60)  # noqa: S607
    except FileNotFoundError:
        message = "gcloud is not installed: docs/gcp.md"
        raise Unusable(message) from None
    except (OSError, subprocess.SubprocessError):
        message = "Cloud KMS does not sign: sign in to gcloud with roles/cloudkms.signerVerifier on"
        message = f"{message} that version of the key"
        raise Unusable(message) from None
