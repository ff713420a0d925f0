"""Builds what is deployed: one cloud's sources and locked packages, the same bytes each time.

    python3 deploy/bundle.py aws FOLDER    what `sam build` ships for each function (see Makefile)
    python3 deploy/bundle.py gcp FOLDER    what Google's buildpack builds from

It uploads nothing. It runs with any Python from 3.9 on, as on AWS CloudShell, and needs its pip for
`aws`.
"""
# ruff: noqa: INP001, T201  a script that tells what it does, not a package

import argparse
import os
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent

# Lambda's Python brings the SDK and what it stands on: nine tenths of the bundle would be a copy.
IN_THE_RUNTIME = {"boto3", "botocore", "jmespath", "python-dateutil", "s3transfer", "six"}

# Parts of packages that no function imports: what a bundle ships, a cold start has to fetch.
NOT_USED = (
    "bin",  # console scripts, with the path of this machine's Python
    "aws_lambda_powertools/event_handler",
    "aws_lambda_powertools/utilities/data_masking",
    "aws_lambda_powertools/utilities/feature_flags",
    "aws_lambda_powertools/utilities/idempotency",
    "aws_lambda_powertools/utilities/kafka",
    "aws_lambda_powertools/utilities/parameters",
    "aws_lambda_powertools/utilities/parser",
    "aws_lambda_powertools/utilities/streaming",
    "aws_lambda_powertools/utilities/validation",
)

MAIN = '''\
"""The functions as the buildpack looks for them."""

from functions.gcp.handlers import {}  # noqa: F401
'''
THEN = 315532800  # the oldest time a zip file can hold: the same sources give the same archive


def main() -> None:
    """Build the bundle the command line asks for."""
    arguments = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    arguments.add_argument("cloud", choices=("aws", "gcp"))
    arguments.add_argument("folder", type=Path)
    arguments.add_argument(
        "--python", default="3.13", help="Lambda's version (default: %(default)s)"
    )
    arguments.add_argument(
        "--machine", default="aarch64", help="Lambda's processor: aarch64 (default) or x86_64"
    )
    given = arguments.parse_args()
    folder = given.folder.resolve()
    folder.mkdir(parents=True, exist_ok=True)
    if given.cloud == "aws":
        install(folder, given.python, given.machine)
    else:
        shutil.copy(ROOT / "functions" / "gcp" / "requirements.txt", folder)
        (folder / "main.py").write_text(MAIN.format(", ".join(entry_points())))
    copy_sources(given.cloud, folder)
    if given.cloud == "aws":
        compile_all(folder, given.python)
    for path in [folder, *folder.rglob("*")]:
        os.utime(path, (THEN, THEN))


def copy_sources(cloud: str, folder: Path) -> None:
    """Copy the core and one cloud's adapters: no tests, no docs, no other platform.

    And the certificate of GitLab's own CA, where the operator has put one beside the folders.
    """
    own = ("functions/*.py", "functions/gitlab/**/*.py", f"functions/{cloud}/**/*.py")
    for pattern in ("gitlab-ca.pem", "shared/**/*.py", *own):
        for path in sorted(ROOT.glob(pattern)):
            target = folder / path.relative_to(ROOT)
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(path, target)


def entry_points() -> "list[str]":
    """Return the Google functions there are."""
    text = (ROOT / "functions" / "gcp" / "handlers.py").read_text()
    return [
        name
        for name in ("dispatch", "receive", "sweep")
        if re.search(rf"^def {name}\(", text, re.MULTILINE)
    ]


def install(folder: Path, python: str, machine: str) -> None:
    """Install the locked packages for Lambda's Python and processor, whatever runs here."""
    target = ["--python-version", python, "--implementation", "cp"]
    for platform in ("manylinux_2_28", "manylinux_2_17", "manylinux2014"):
        target += ["--platform", f"{platform}_{machine}"]
    with tempfile.TemporaryDirectory() as scratch:
        locked = Path(scratch) / "requirements.txt"
        locked.write_text(shipped((ROOT / "functions" / "aws" / "requirements.txt").read_text()))
        options = "--quiet --disable-pip-version-check --no-compile --no-deps --require-hashes"
        command = [sys.executable, "-m", "pip", "install", *options.split(), *target]
        command += ["--only-binary", ":all:", "--target", str(folder), "-r", str(locked)]
        subprocess.run(command, check=True)
    for part in NOT_USED:
        shutil.rmtree(folder / part, ignore_errors=True)


def shipped(requirements: str) -> str:
    """Return the lock file without what the runtime brings."""
    blocks = re.split(r"\n(?=[A-Za-z0-9])", requirements.strip())
    kept = [each for each in blocks if re.split(r"[=\s;]", each)[0] not in IN_THE_RUNTIME]
    return "\n".join(kept) + "\n"


def compile_all(folder: Path, python: str) -> None:
    """Ship byte-code if a Python of Lambda's own version is here to write it.

    Lambda cannot keep what it compiles itself.
    """
    interpreter = find(python)
    if interpreter is None:
        print(
            f"no python{python} on PATH: the bundle has no byte-code, its cold starts take about"
            " twice as long"
        )
        return
    options = "-q -f --invalidation-mode unchecked-hash"
    where = ["-s", str(folder), "-p", "/var/task"]  # the path that tracebacks show
    command = [interpreter, "-m", "compileall", *options.split(), *where, str(folder)]
    subprocess.run(command, check=True, env={**os.environ, "PYTHONHASHSEED": "0"})


def find(python: str) -> "str | None":
    """Return an interpreter of a version, if there is one that works."""
    question = "import sys; print('{}.{}'.format(*sys.version_info))"
    for path in filter(None, map(shutil.which, (sys.executable, f"python{python}"))):
        asked = subprocess.run([path, "-c", question], capture_output=True, text=True, check=False)
        if asked.stdout.strip() == python:
            return path
    return None


if __name__ == "__main__":
    main()
