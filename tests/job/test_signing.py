"""Commits are signed by a key that is in reach of git alone, or the run ends before it costs."""

import base64
from pathlib import Path

import pytest

from job import signing
from job.commits import Author
from job.failures import Failure
from job.git import GitError
from job.inputs import Inputs
from job.job_log import Log
from job.workspace import Workspace
from tests.support.job.clone import Clone, ready
from tests.support.job.keys import made

NAME = "SIGNING_KEY"
INPUTS = Inputs(signing_key_variable=NAME)
LOG = Log(print, lambda: 0.0)
WHO = Author("Claude", "claude@example.com")


def signer(clone: Clone, workspace: Workspace, commit: str, public: str) -> str:
    """Push a commit; say what git finds of its signature in the project."""
    workspace.commits.push(commit, "claude/x", "", skip_ci=False)
    allowed = clone.private / "allowed"
    allowed.write_text(f"{WHO.email} {public}")
    known = ("-c", f"gpg.ssh.allowedSignersFile={allowed}")
    at = clone.gitlab.repository(7)
    return clone.gitlab.git(at, *known, "show", "-s", "--format=%G? %GS", commit)


def changed(workspace: Workspace, clone: Clone) -> str:
    workspace.guard()
    signing.check(workspace.commits.try_key, INPUTS, LOG)
    (clone.folder / "app.py").write_text("2\n")
    return workspace.commit(workspace.changes(), "Two\n\nbody\n", WHO)


@pytest.mark.parametrize("kind", ["ed25519", "ecdsa"])
@pytest.mark.parametrize("given", ["file", "text", "base64"])
def test_git_finds_the_committer_s_signature(clone: Clone, kind: str, given: str) -> None:
    private, public = made(clone.private, kind)
    file = clone.private / "FILE"
    # As a form in a browser sends it: other line ends, and no last one.
    file.write_bytes(private.replace("\n", "\r\n").strip().encode())
    workspace = ready(clone)
    coded = base64.b64encode(private.encode()).decode()
    value = {"file": str(file), "text": private.strip(), "base64": coded}[given]
    log = Log(print, lambda: 0.0)
    workspace.commits.key = signing.key(INPUTS, {NAME: value}, log)
    assert log.masked(private.splitlines()[2]) == "[MASKED]"
    commit = changed(workspace, clone)
    assert signer(clone, workspace, commit, public) == f"G {WHO.email}"
    assert not (clone.private / "signing-key").exists()


def test_without_a_key_nothing_is_signed(clone: Clone) -> None:
    assert signing.key(Inputs(), {NAME: "x", "": "y"}, LOG) == ""
    workspace = ready(clone)
    workspace.guard()
    signing.check(workspace.commits.try_key, Inputs(), LOG)
    (clone.folder / "app.py").write_text("2\n")
    commit = workspace.commit(workspace.changes(), "Two", WHO)
    assert signer(clone, workspace, commit, "") == "N"


def test_the_key_is_in_a_file_for_no_longer_than_git_signs(tmp_path: Path) -> None:
    with signing.at_hand("secret\n", tmp_path) as path:
        assert (Path(path).read_text(), Path(path).stat().st_mode & 0o777) == ("secret\n", 0o600)
    with pytest.raises(GitError), signing.at_hand("secret\n", tmp_path):
        raise GitError
    assert list(tmp_path.iterdir()) == []
    (tmp_path / "signing-key").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(FileExistsError), signing.at_hand("secret\n", tmp_path):
        pass
    assert not (tmp_path / "elsewhere").exists()


def test_a_key_that_cannot_sign_ends_the_run_before_claude(clone: Clone) -> None:
    lines: list[str] = []
    workspace = ready(clone)
    workspace.guard()
    locked, _ = made(clone.private, passphrase="locked")
    for text in ("no key", locked, "-----BEGIN OPENSSH PRIVATE KEY-----"):
        workspace.commits.key = signing.key(INPUTS, {NAME: text}, LOG)
        with pytest.raises(Failure) as failed:
            signing.check(workspace.commits.try_key, INPUTS, Log(lines.append, lambda: 0.0))
        assert "`signing_key_variable` is not usable: git could not sign" in failed.value.text
    assert len(lines) == 3
    assert locked.splitlines()[1] not in "".join(lines)


@pytest.mark.parametrize("value", ["", " ", None])
def test_a_variable_that_is_not_there_is_named(value: str | None) -> None:
    environment = {} if value is None else {NAME: value}
    with pytest.raises(Failure, match=f"{NAME} is not set, so no commit can be signed"):
        signing.key(INPUTS, environment, LOG)


def test_claude_s_commands_are_not_given_the_key() -> None:
    for shared in ({"environment": ("NODE_ENV", NAME)}, {"mcp_variables": (NAME,)}):
        with pytest.raises(Failure, match="environment or mcp_variables names the same variable"):
            signing.key(INPUTS._replace(**shared), {NAME: "x"}, LOG)
    with pytest.raises(Failure, match="nothing keeps Claude from that key"):
        signing.refuse_open(INPUTS)
    signing.refuse_open(Inputs())


def test_only_a_file_is_looked_for_by_the_probe(tmp_path: Path) -> None:
    file = tmp_path / "FILE"
    assert signing.file(INPUTS, {NAME: str(file)}) == []
    file.write_text("x")
    assert signing.file(INPUTS, {NAME: f"{file}\n"}) == [str(file)]
    assert signing.file(INPUTS, {NAME: "-----BEGIN"}) == []
    assert signing.file(Inputs(), {"": str(file)}) == []
