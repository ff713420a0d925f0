"""SSH keys for tests of signed commits."""

import shutil
import subprocess
from pathlib import Path

import pytest


def made(folder: Path, kind: str = "ed25519", passphrase: str = "") -> tuple[str, str]:
    """Make a private key and its public half, by the program that people use."""
    if not shutil.which("ssh-keygen"):
        pytest.skip("there is no ssh-keygen")
    file = folder / f"{kind}-{len(passphrase)}"
    command = ["ssh-keygen", "-q", "-t", kind, "-N", passphrase, "-C", "", "-f", str(file)]
    subprocess.run(command, check=True)
    return file.read_text(), file.with_suffix(".pub").read_text()
