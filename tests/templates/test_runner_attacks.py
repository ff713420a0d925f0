"""A run for one project whose Claude may run commands looks for what is another project's.

Both are served by one runner project, on a machine that keeps what jobs leave: beside the work tree
lies what a killed job had there, in another slot another project's job is at work.
"""

import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.support.job import tooling
from tests.support.job.model import say, use
from tests.support.job.runner import Ended, plain
from tests.support.job.scene import BOT, Installation
from tests.support.platforms.local import Local
from tests.templates.test_identity import ALLOWED, MACHINES, MARK, TOKEN, TURNS, Machine, on
from tests.templates.test_runner import Asking, local  # noqa: F401  a fixture

pytestmark = [
    pytest.mark.timeout(300),
    pytest.mark.skipif(bool(tooling.missing()), reason=tooling.missing()),
    pytest.mark.skipif(os.geteuid() != 0, reason="only root can be other users"),
]
OF_OTHER = {name: f"canary-{MARK}-other-{name}" for name in ("left", "running", "session", "tree")}
OTHER_TOKEN = f"glpat-canary-{MARK}-other-token"
INPUTS = {"allowed_tools": f"{ALLOWED['allowed_tools']}, Bash(git *)"}


def neighbour(scene: Asking, user: int) -> None:
    """Let the machine hold what is of the other project, readable as jobs leave it."""
    start = scene.runner.start

    def started(clone: Path) -> list[str]:
        command = start(clone)
        thread = clone / ".gitlab-claude" / "cache" / "sessions" / "1191-issue-5"
        kept = {
            clone.parent / f".claude-job-{clone.name}-abcdefgh" / "config": OF_OTHER["left"],
            thread / "x.jsonl": OF_OTHER["session"],
            clone.parents[1] / "slot-1" / clone.name / ".git" / "config": OF_OTHER["tree"],
        }
        for path, text in kept.items():
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)
        for path in scene.runner.folder.rglob("*"):
            os.chown(path, user, user, follow_symlinks=False)
        return command

    scene.runner.start = started


@contextmanager
def at_work(user: int) -> Iterator[None]:
    """Let another project's job be at work, of the same user, its token in the environment."""
    environment = {"GITLAB_ACCESS_TOKEN": OTHER_TOKEN, "X": OF_OTHER["running"]}
    with subprocess.Popen(["/bin/sleep", "120"], env=environment, user=user) as process:
        yield
        process.kill()


def attacked(installation: Installation, local: Local, machine: Machine, **off: str) -> set[str]:  # noqa: F811
    """Let A's Claude search and push; return what of the other's it has found."""
    gitlab, other = installation.gitlab, next(installation.numbers)
    gitlab.project(other, f"group/other-{other}", visibility="private")
    gitlab.member(other, BOT, 40)
    gitlab.commit(other, "main", {"README.md": "of the other\n"})
    url = f"{gitlab.url}/group/other-{other}.git"
    push = f"git push {url} HEAD:refs/heads/evil"
    read = f"git ls-remote {url}"
    turns = [[use("Bash", command=each, description="x")] for each in (push, read)]
    with Asking(installation, local, [*TURNS[:2], *turns, [say("Done.")]]) as scene:
        scene.inputs |= INPUTS | ({"unprotected_commands": True} if off else {})
        on(machine, scene)
        neighbour(scene, machine.user)
        scene.runner.changed = off
        with at_work(machine.user):
            pipeline = scene.asked("@claude test it")
            builds = scene.runner.folder / f"build-{pipeline['id']}"
            scene.runner.variables["CI_BUILDS_DIR"] = str(builds)
            ended: Ended = scene.served(pipeline, token=TOKEN)
        assert ended.code == 0, plain(ended.log)
        results = scene.model.tool_results()
        assert all("searched" in result for result in results[:2]), results
        assert list(gitlab.projects[other].branches) == ["main"]
        assert "refs/heads" not in str(results[2:])
        shared = scene.runner.clone / ".gitlab-claude" / "cache" / "claude-code-0" / "client"
        assert shared.read_text() == ("poisoned" if off else "clean")  # the next job starts it
        return {each for each in (*OF_OTHER.values(), OTHER_TOKEN, TOKEN) if each in str(results)}


@pytest.mark.parametrize("name", ["root", "ordinary user"])
def test_commands_find_nothing_of_another_project(
    installation: Installation,
    local: Local,  # noqa: F811
    name: str,
) -> None:
    assert attacked(installation, local, MACHINES[name]) == set()


def test_without_the_cure_the_same_search_finds_it(
    installation: Installation,
    local: Local,  # noqa: F811
) -> None:
    off = {"if _protects(tried, folder):": "if not folder:", "confine.withdraw()": "pass"}
    seen = attacked(installation, local, MACHINES["root"], **off)
    assert seen >= {OTHER_TOKEN, OF_OTHER["running"], OF_OTHER["session"], OF_OTHER["tree"]}
