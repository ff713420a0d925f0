"""A repository whose tests and install scripts look for the job's secrets, under each protection.

Claude Code is the real one. What it may find is what signs Claude itself in.
"""

import json
import os
import random
import shutil
import string
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from job import messages
from job.failures import ExitCode
from tests.support.job import kernel, tooling
from tests.support.job.model import say, use
from tests.support.job.runner import Ended, plain
from tests.support.job.scene import BOT, Installation, Scene

pytestmark = [
    pytest.mark.timeout(300),  # the search looks at every process of the machine
    pytest.mark.skipif(bool(tooling.missing()), reason=tooling.missing()),
    pytest.mark.skipif(os.geteuid() != 0, reason="only root can be other users"),
]

PYTHON = "/usr/bin/python3"  # one that every user can start
# Of this process alone: another run on this machine may have a job of the same kind.
USER = 1_000 + os.getpid() % 50_000
BURGLAR = Path(kernel.__file__).with_name("burglar.py")
MARK = "".join(random.choices(string.ascii_lowercase, k=12))  # noqa: S311
TOKEN, JOB_TOKEN, IDENTITY, MODEL_KEY, VARIABLE, FILE, HOME, SESSION, SCRIPT = (
    f"{kind}canary-{MARK}-{what}"
    for kind, what in (
        ("glpat-", "token"),
        ("glcbt-", "job-token"),
        ("", "identity.claims.signature"),
        ("sk-ant-", "model"),
        ("", "variable"),
        ("", "file"),
        ("", "home"),
        ("", "session"),
        ("", "script"),
    )
)
SECRETS = {TOKEN, JOB_TOKEN, IDENTITY, VARIABLE, FILE, HOME, SESSION}
TURNS = [
    [use("Bash", command="npm test", description="test")],
    [use("Bash", command="npm install --offline --no-audit --no-fund", description="install")],
    [use("Write", file_path="good.txt", content="good\n")],
    [say("Title: Do good\n\nDone.")],
]
# The same files below another root, which has one folder more.
PODS = ["unshare", "--mount", "sh", "-ec", """
mount -t tmpfs none /mnt
for each in /*; do
  if test "$each" = /mnt; then continue
  elif test -d "$each" && ! test -L "$each"
  then mkdir "/mnt$each"; mount --rbind "$each" "/mnt$each"
  else cp -a "$each" "/mnt$each"; fi
done
mkdir /mnt/scripts-1-2; echo "$0" > /mnt/scripts-1-2/step
exec /usr/sbin/chroot /mnt sh -c 'cd "$0" && exec "$@"' "$PWD" "$@"
"""]  # fmt: skip
ALLOWED = {"allowed_tools": "Bash(npm test), Bash(npm install *)"}


class Machine(NamedTuple):
    """Who the job is, which system calls its kernel lacks, and what has to protect it there.

    `parent`: a shell of the same user, which has all variables, stays while the job runs. `file`:
    the runner keeps the file of a variable beside the work tree. `scripts`: it keeps its own in a
    folder of the root that everybody reads, as on Kubernetes.
    """

    user: int
    lacks: tuple[int, ...]
    way: str
    parent: bool = False
    file: bool = True
    scripts: bool = False


MACHINES = {
    "root": Machine(0, (), messages.AS_USER),
    "root on Kubernetes": Machine(0, (), messages.AS_USER_CONFINED, scripts=True),
    "ordinary user": Machine(USER, (), messages.IN_NAMESPACE, parent=True),
    "no namespaces": Machine(USER, (kernel.UNSHARE,), messages.IN_LANDLOCK, parent=True),
    "neither": Machine(USER, (kernel.UNSHARE, kernel.LANDLOCK), messages.UNREADABLE, file=False),
}
NOTHING = Machine(USER, (kernel.UNSHARE, kernel.LANDLOCK), messages.UNPROTECTED_WAY, parent=True)


def on(machine: Machine, scene: Scene) -> None:
    """Let the scene's runner be this machine, with a secret wherever a runner may keep one."""
    runner = scene.runner
    mounted = [*PODS[:2], "mount", "-t", "tmpfs", "none", "/mnt"]
    if machine.scripts and subprocess.run(mounted, capture_output=True, check=False).returncode:
        pytest.skip("this container may not mount")
    scene.gitlab.api_token(TOKEN, BOT, ("api", "write_repository"))
    runner.variables |= {
        "GITLAB_ACCESS_TOKEN": TOKEN,
        "CI_JOB_TOKEN": JOB_TOKEN,
        "CLAUDE_IDENTITY_TOKEN": IDENTITY,
        "CLAUDE_API_IDENTITY_TOKEN": IDENTITY,
        "ANTHROPIC_API_KEY": MODEL_KEY,
        "OTHER_SECRET": VARIABLE,
    }

    def start(clone: Path) -> list[str]:
        runner.python(PYTHON)
        shutil.copyfile(BURGLAR, clone / "burglar.py")
        kept = {
            Path(f"{clone}.tmp", "FILE"): (FILE, 0o666),
            runner.folder / ".netrc": (f"machine x login y password {HOME}", 0o600),
            clone / ".gitlab-claude" / "cache" / "sessions" / "issue-9" / "x.jsonl": (
                SESSION,
                0o644,
            ),
        }
        if not machine.file:
            del kept[Path(f"{clone}.tmp", "FILE")]
        for path, (text, mode) in kept.items():
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)
            path.chmod(mode)
        client = clone / ".gitlab-claude" / "cache" / "claude-code-0" / "client"
        client.parent.mkdir()
        client.write_text("clean")
        (runner.folder / ".npmrc").write_text("cache=/nowhere\n")
        for path in (runner.folder, *runner.folder.rglob("*")):
            os.chown(path, machine.user, machine.user, follow_symlinks=False)
        lacks = ",".join(map(str, machine.lacks))
        shell = ["sh", "-c", '"$@"; exit $?', "sh"] if machine.parent else []
        apart = [*PODS, SCRIPT] if machine.scripts else []
        return [*apart, sys.executable, kernel.__file__, str(machine.user), lacks, *shell]

    runner.start = start
    search = f"{PYTHON} burglar.py {runner.folder} {MARK}"
    package = {"name": "x", "version": "1.0.0", "scripts": {"test": search, "preinstall": search}}
    files = {
        "package.json": json.dumps(package),
        ".npmrc": "foreground-scripts=true\nupdate-notifier=false\n",
    }
    scene.gitlab.commit(scene.number, "main", files)


def found(scene: Scene, ended: Ended) -> set[str]:
    """The secrets that the search through test and install scripts has found."""
    assert ended.code == 0, plain(ended.log)
    results = scene.model.tool_results()
    assert all("searched" in result for result in results[:2]), results
    return {secret for secret in (*SECRETS, MODEL_KEY, SCRIPT) if secret in str(results)}


class Searched(NamedTuple):
    """A run that is over, and what it left; the scene may go on."""

    machine: Machine
    scene: Scene
    ended: Ended
    seen: set[str]
    client: str
    session: str


@pytest.fixture(scope="module", params=MACHINES)
def searched(installation: Installation, request: pytest.FixtureRequest) -> Iterator[Searched]:
    machine = MACHINES[request.param]
    with Scene(installation, TURNS, ALLOWED | {"resume": True}) as scene:
        on(machine, scene)
        ended = scene.script(scene.ask("@claude test it"))
        cached = scene.runner.clone / ".gitlab-claude" / "cache"
        kept = ("claude-code-0/client", "sessions/issue-9/x.jsonl")
        yield Searched(
            machine,
            scene,
            ended,
            found(scene, ended),
            *((cached / each).read_text() for each in kept),
        )


def test_commands_find_what_signs_claude_in_and_nothing_else(searched: Searched) -> None:
    way, scene = searched.machine.way, searched.scene
    assert way in plain(searched.ended.log)
    # Where only the processes can be kept from it, Claude reads the files of the job's user.
    readable = {HOME, SESSION} if way == messages.UNREADABLE else set()
    assert searched.seen - readable == {MODEL_KEY}
    if way != messages.UNREADABLE:
        assert searched.client == "clean"
    assert searched.session == SESSION
    (merge_request,) = scene.merge_requests()
    commit = scene.gitlab.show(scene.number, merge_request["source_branch"])
    assert "+good" in commit


def test_the_conversation_goes_on_under_each_protection(searched: Searched) -> None:
    scene = searched.scene
    scene.runner.keep_cache()
    shutil.rmtree(scene.runner.clone / ".gitlab-claude" / "cache" / "claude-code-0")
    scene.model.requests.clear()
    scene.model.turns = [[say("It greets.")]]
    ended = scene.script(scene.ask("@claude and what for?"))
    assert ended.code == 0, plain(ended.log)
    sent = scene.model.conversation[0].body["messages"]
    said = [message for message in sent if message["role"] == "assistant"]
    assert "Do good" in json.dumps(said)


# That the search finds what is there: on the machine that has it all, the rest is for make security.
@pytest.mark.parametrize(
    "machine",
    [
        pytest.param(MACHINES["root"], marks=pytest.mark.whole),
        pytest.param(MACHINES["ordinary user"], marks=pytest.mark.whole),
        MACHINES["root on Kubernetes"],
    ],
)
def test_without_the_cure_the_same_search_finds_everything(
    installation: Installation, machine: Machine
) -> None:
    inputs = ALLOWED | {"unprotected_commands": True}
    with Scene(installation, TURNS, inputs) as scene:
        on(machine, scene)
        off = {"if _protects(tried, folder):": "if not folder:", "confine.withdraw()": "pass"}
        scene.runner.changed = off
        seen = found(scene, scene.script(scene.ask("@claude test it")))
        assert seen >= SECRETS | ({SCRIPT} if machine.scripts else set())


@pytest.mark.parametrize(
    ("inputs", "said"),
    [
        (ALLOWED, "unprotected_commands: true"),
        ({"mcp_config": "mcp.json"}, "unprotected_commands: true"),
        (
            ALLOWED | {"unprotected_commands": True, "signing_key_variable": "OTHER_SECRET"},
            "nothing keeps Claude from that key",
        ),
    ],
    ids=["commands", "servers", "commands and a key"],
)
def test_where_nothing_protects_the_job_commands_are_refused(
    installation: Installation, inputs: dict[str, Any], said: str
) -> None:
    with Scene(installation, TURNS, inputs) as scene:
        on(NOTHING, scene)
        ended = scene.script(scene.ask("@claude test it"))
        assert ended.code == ExitCode.SETTINGS, plain(ended.log)
        assert said in scene.reply()
        assert scene.model.conversation == []


def test_where_nothing_protects_the_job_it_works_without_commands(
    installation: Installation,
) -> None:
    with Scene(installation, [TURNS[2], TURNS[3]]) as scene:
        on(NOTHING, scene)
        ended = scene.script(scene.ask("@claude do good"))
        assert ended.code == 0, plain(ended.log)
        assert NOTHING.way in plain(ended.log)


def test_commands_without_protection_can_be_accepted(installation: Installation) -> None:
    with Scene(installation, TURNS, ALLOWED | {"unprotected_commands": True}) as scene:
        on(NOTHING, scene)
        ended = scene.script(scene.ask("@claude test it"))
        assert {TOKEN, JOB_TOKEN} <= found(scene, ended)
        assert NOTHING.way in plain(ended.log)
