"""Git as the job runs it: nobody's configuration, no hook, and the token for one address only."""

import os
import subprocess
from pathlib import Path

import pytest

from job.failures import Failure
from job.git import Git, GitError, Login

ENVIRONMENT = {"PATH": os.environ["PATH"], "GITLAB_ACCESS_TOKEN": "canary", "LANG": "C"}


@pytest.fixture
def git(tmp_path: Path) -> Git:
    subprocess.run(["git", "init", "-q", tmp_path], env=ENVIRONMENT, check=True)
    return Git(tmp_path / ".git", tmp_path, ENVIRONMENT)


def variables(git: Git) -> str:
    """The environment that a program sees which git starts."""
    return git.text("-c", "alias.show-it=!env", "show-it")


def test_little_of_the_job_s_environment_is_passed_on(git: Git) -> None:
    seen = variables(git)
    assert "canary" not in seen
    assert "GIT_TERMINAL_PROMPT=0" in seen
    assert "GIT_CONFIG_GLOBAL=/dev/null" in seen


def test_the_runner_s_ca_file_is_git_s(tmp_path: Path) -> None:
    made = Git(tmp_path / ".git", tmp_path, ENVIRONMENT | {"CI_SERVER_TLS_CA_FILE": "/ca.pem"})
    made.run("init", "-q")
    assert "GIT_SSL_CAINFO=/ca.pem" in variables(made)


def test_the_token_is_sent_to_its_own_address_only(git: Git) -> None:
    login = Login("https://gitlab.example.com/group/app.git", "glpat-x")
    assert login.config == {
        "http.https://gitlab.example.com/group/app.git.extraHeader": (
            "Authorization: Basic b2F1dGgyOmdscGF0LXg="
        )
    }

    def header(url: str, login: Login | None) -> bytes:
        return git.run("config", "--get-urlmatch", "http.extraHeader", url, login=login)

    assert b"Basic" in header(login.url, login)
    for url, other in (
        ("https://gitlab.example.com/group/other.git", login),
        ("https://evil.example/group/app.git", login),
        (login.url, None),
    ):
        with pytest.raises(GitError):
            header(url, other)


def test_hooks_of_the_repository_do_not_run(git: Git, tmp_path: Path) -> None:
    hook = tmp_path / ".git" / "hooks" / "post-commit"
    hook.parent.mkdir(exist_ok=True)
    hook.write_text(f"#!/bin/sh\ntouch {tmp_path}/ran\n")
    hook.chmod(0o755)
    who = {"GIT_AUTHOR_NAME": "a", "GIT_AUTHOR_EMAIL": "a@b"}
    who |= {"GIT_COMMITTER_NAME": "a", "GIT_COMMITTER_EMAIL": "a@b"}
    git.run("commit", "-q", "--allow-empty", "-m", "x", variables=who)
    assert not (tmp_path / "ran").exists()


def test_what_git_says_is_the_error(git: Git) -> None:
    with pytest.raises(GitError, match="Needed a single revision"):
        git.text("rev-parse", "--verify", "none")
    assert git.knows("rev-parse", "--git-dir")
    assert not git.knows("rev-parse", "--verify", "none")


def test_an_image_without_git_is_said(tmp_path: Path) -> None:
    with pytest.raises(Failure, match="The job's image has no git"):
        Git(tmp_path, tmp_path, {"PATH": str(tmp_path)}).run("status")
