"""The bundles of both clouds as `deploy/bundle.py` builds them, their sizes and digests."""

import atexit
import hashlib
import io
import platform
import subprocess
import sys
import zipfile
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from tests import ROOT

HOST = (
    "--python",
    f"{sys.version_info.major}.{sys.version_info.minor}",
    "--machine",
    platform.machine(),
)


def build(cloud: str, folder: Path, *options: str) -> Path:
    """Build a bundle; skip the test when this machine can reach no packages."""
    command = [sys.executable, str(ROOT / "deploy" / "bundle.py"), cloud, str(folder), *options]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode and "No matching distribution" in done.stderr:
        pytest.skip(f"pip finds no packages here: {done.stderr.splitlines()[-1]}")
    assert done.returncode == 0, done.stderr
    return folder


@cache
def here() -> Path:
    """Return Lambda's bundle for this machine's Python and processor, built once for all tests."""
    folder = TemporaryDirectory(prefix="bundle-")
    atexit.register(folder.cleanup)
    return build("aws", Path(folder.name), *HOST)


def zipped(folder: Path, compression: int = zipfile.ZIP_DEFLATED) -> bytes:
    """Return the folder as a zip file, the same bytes for the same files."""
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", compression, compresslevel=9) as archive:
        for path in sorted(folder.rglob("*")):
            archive.write(path, path.relative_to(folder))
    return packed.getvalue()


def digest(folder: Path) -> str:
    """Return what tells two bundles apart."""
    return hashlib.sha256(zipped(folder, zipfile.ZIP_STORED)).hexdigest()


def files(folder: Path) -> set[str]:
    """Return the paths of a bundle's files."""
    return {str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()}
