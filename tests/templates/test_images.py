"""What the image lacks is installed or named: Alpine's and Debian's slim images as the job sees them.

No image is at hand: each is a PATH that has what the image has, Alpine's with busybox's tools and
shell. The package managers are stand-ins that note how they are called.
"""

import shutil
import subprocess
from pathlib import Path

import pytest

from job.failures import ExitCode
from tests.support.job import tooling
from tests.support.job.programs import program
from tests.support.job.runner import plain
from tests.support.job.scene import ANSWER, Installation, Scene
from tests.templates.test_component import script

pytestmark = pytest.mark.skipif(bool(tooling.missing()), reason=tooling.missing())

# A package manager that installs what is named, if that is a command.
INSTALLS = """echo "$0 $@" >> "{folder}/called"
for name in "$@"; do
  case "$name" in
    python3|git|npm) ln -sf /bin/true "{folder}/$name";;
    openssh-client) ln -sf /bin/true "{folder}/ssh-keygen";;
  esac
done
"""


def opening(**inputs: str) -> str:
    """Of the component's shell, the lines before the program."""
    return script(**inputs).partition('program="$(mktemp -d)"')[0] + "echo ready\n"


@pytest.fixture
def busybox() -> Path:
    found = tooling.busybox()
    if found is None:
        pytest.skip("busybox cannot be had here")
    return found


class Image:
    """An image's programs, of which `shell` is the one that GitLab's runner starts."""

    def __init__(self, folder: Path, shell: list[str]) -> None:
        self.bin, self.shell = folder / "image", shell
        self.bin.mkdir()

    def has(self, *names: str, does: str = "exit 0") -> None:
        for name in names:
            program(self.bin / name, does.format(folder=self.bin))

    def open(self, **inputs: str) -> "subprocess.CompletedProcess[str]":
        return subprocess.run(
            [*self.shell, "-c", opening(**inputs)],
            env={"PATH": str(self.bin)},
            capture_output=True,
            text=True,
            check=False,
        )

    def called(self) -> list[str]:
        """How the package manager was called."""
        path = self.bin / "called"
        return path.read_text().replace(f"{self.bin}/", "").splitlines() if path.exists() else []


@pytest.fixture
def alpine(tmp_path: Path, busybox: Path) -> Image:
    """As node:24-alpine3.21: busybox, node, npm; no bash, git or Python."""
    image = Image(tmp_path, [str(busybox), "sh"])
    for tool in ("sh", "mktemp", "cat", "ln", "mkdir", "rm"):
        (image.bin / tool).symlink_to(busybox)
    image.has("node", "npm")
    image.has("apk", does=INSTALLS)
    image.has("id", does="echo 0")
    return image


@pytest.fixture
def debian(tmp_path: Path) -> Image:
    """As debian:bookworm-slim: coreutils and dash, nothing else."""
    image = Image(tmp_path, [str(shutil.which("dash") or "sh")])
    for tool in ("sh", "mktemp", "cat", "ln", "mkdir", "rm"):
        (image.bin / tool).symlink_to(str(shutil.which(tool)))
    image.has("apt-get", does=INSTALLS)
    image.has("id", does="echo 0")
    return image


def test_alpine_s_image_gets_what_it_lacks_and_a_shell_for_commands(alpine: Image) -> None:
    done = alpine.open()
    assert done.returncode == 0, done.stderr
    assert done.stdout.endswith("ready\n")
    assert alpine.called() == ["apk add --quiet --no-cache python3 git bash ca-certificates"]


def test_debian_s_slim_image_gets_what_it_lacks(debian: Image) -> None:
    done = debian.open()
    assert done.returncode == 0, done.stderr
    assert done.stdout.endswith("ready\n")
    assert debian.called() == [
        "apt-get update -qq",
        "apt-get install -qq --no-install-recommends python3 git npm ca-certificates",
    ]


def test_an_image_that_has_it_all_is_left_alone(debian: Image) -> None:
    debian.has("python3", "git", "claude")
    assert debian.open().stdout == "ready\n"
    assert debian.called() == []


def test_what_signs_commits_is_installed_where_they_are_signed(debian: Image) -> None:
    debian.has("python3", "git", "claude")
    done = debian.open(signing_key_variable="CLAUDE_SIGNING_KEY")
    assert (done.returncode, done.stdout.endswith("ready\n")) == (0, True), done.stderr
    installed = "apt-get install -qq --no-install-recommends openssh-client ca-certificates"
    assert debian.called() == ["apt-get update -qq", installed]


def test_where_nothing_can_be_installed_all_that_is_missing_is_named(debian: Image) -> None:
    debian.has("npm")
    debian.has("id", does="echo 1000")
    done = debian.open()
    assert done.returncode == ExitCode.SETTINGS
    assert "The job's image has no python3 git: see the input image." in done.stderr
    assert debian.called() == []


def test_what_the_package_manager_could_not_install_is_named(debian: Image) -> None:
    debian.has("python3", "npm")
    debian.has("apt-get", does="echo no network >&2; exit 100")
    done = debian.open()
    assert done.returncode == ExitCode.SETTINGS
    assert "no network" in done.stderr
    assert "The job's image has no git:" in done.stderr


def test_a_whole_run_takes_busybox_s_shell_and_tools(
    installation: Installation, busybox: Path
) -> None:
    with Scene(installation, ANSWER) as scene:
        image = scene.runner.folder / "image"  # where Claude, as another user, may look
        image.mkdir()
        tools = subprocess.run([busybox, "--list"], capture_output=True, text=True, check=True)
        for tool in tools.stdout.split():
            (image / tool).symlink_to(busybox)
        for tool in ("node", "npm", "git"):
            (image / tool).symlink_to(str(shutil.which(tool)))
        (image / "claude").symlink_to(installation.tools.claude.resolve())
        scene.runner.path = f"{scene.runner.folder}/bin:{image}"
        scene.runner.shell = [str(busybox), "sh"]
        ended = scene.script(scene.ask("@claude what is it?"))
        assert ended.code == 0, plain(ended.log)
        assert "It greets." in scene.reply()
