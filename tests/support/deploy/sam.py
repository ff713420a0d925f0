"""The SAM CLI in a virtual environment of its own, for it pins what we pin otherwise; made once and
kept in the cache.
"""

import os
import shutil
import subprocess
import sys
import venv
from pathlib import Path

import pytest

from tests import ROOT
from tests.support.deploy import bundles, template
from tests.support.deploy.ministack import KEYS, Ministack, Stack
from tests.support.job import programs

LOCK = Path(__file__).with_name("sam-requirements.txt")
# Make's python3. The same sources give the same bundle, as test_bundle.py holds, and they are built
# for three functions, twice: the first is built, and the others are copies of it.
_PYTHON = """\
if ! test -d "{kept}"; then "{python}" "$@" && cp -a "$3" "{kept}"; exit; fi
cp -a "{kept}/." "$3"
"""


def program() -> Path:
    """Return the SAM CLI, installed if need be; skip the test when it cannot be."""
    if "build-ReceiveFunction" not in (ROOT / "Makefile").read_text():
        pytest.skip("the Makefile has no build-ReceiveFunction yet")
    version = LOCK.read_text().partition("aws-sam-cli==")[2].split()[0]
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    folder = (
        cache
        / "gitlab-claude-trigger"
        / f"sam-{version}-{sys.version_info.major}.{sys.version_info.minor}"
    )
    found = folder / "bin" / "sam"
    if not (folder / "complete").exists():
        shutil.rmtree(folder, ignore_errors=True)
        venv.create(folder, with_pip=True)
        # The lock is complete; pip would not see that an extra of a package is locked with the
        # package.
        options = [
            "--quiet",
            "--disable-pip-version-check",
            "--no-deps",
            "--require-hashes",
            "-r",
            str(LOCK),
        ]
        command = [str(folder / "bin" / "python"), "-m", "pip", "install", *options]
        done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=300)
        if done.returncode:
            pytest.skip(
                f"the SAM CLI cannot be installed here: {done.stderr.strip().splitlines()[-1]}"
            )
        (folder / "complete").touch()
    return found


def deploy(cloud: Ministack, folder: Path, name: str, **parameters: str) -> Stack:
    """Type what the docs say, `sam build` and `sam deploy --guided`, in a copy of the project;
    answer the questions.
    """
    sam = program()
    tree = folder / "tree"
    # SAM copies it for each function, at each build: what neither needs stays behind.
    others = (".*", "__pycache__", "build", "samconfig.toml", "docs", "job", "templates", "tests")
    shutil.copytree(ROOT, tree, ignore=shutil.ignore_patterns(*others))
    python = _PYTHON.format(kept=folder / "kept", python=sys.executable)
    programs.program(folder / "python3", python)
    environment = _environment(cloud, folder)
    chosen = [parameters.get(parameter, "") for parameter in template.source()["Parameters"]]
    # Name, region, parameters; confirm changes, let it create roles, disable rollback, "receive has
    # no authentication".
    answers = [name, "", *chosen, "", "", "", "y", "", "", ""]
    for command, typed in ((["build"], []), (["deploy", "--guided"], answers)):
        done = subprocess.run(
            [str(sam), *command],
            cwd=tree,
            env=environment,
            input="\n".join([*typed, ""]),
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
    return Stack(cloud, name)


def again(cloud: Ministack, folder: Path, settings: str) -> str:
    """Type `make deploy-aws` as a colleague does, whose clone has the settings file and no more;
    return what was shown.
    """
    tree = folder / "tree"
    (tree / "samconfig.toml").unlink(missing_ok=True)
    (tree / "claude.env").write_text(settings)
    command = [sys.executable, "-m", "cli", "deploy", "--platform", "aws"]
    done = subprocess.run(
        command,
        cwd=tree,
        env=_environment(cloud, folder),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
    return done.stdout


def _environment(cloud: Ministack, folder: Path) -> dict[str, str]:
    tools = [str(program().parent), str(Path(sys.executable).parent), os.environ["PATH"]]
    return {
        **KEYS,
        "PATH": os.pathsep.join(tools),
        "PYTHON": str(folder / "python3"),
        "HOME": str(folder),
        "AWS_ENDPOINT_URL": cloud.url,
        "SAM_CLI_TELEMETRY": "0",
        "LAMBDA": " ".join(bundles.HOST),
    }
