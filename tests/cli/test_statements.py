"""Where a job's statement is found: in a file, and over HTTP in the artifacts of a pipeline's jobs."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from cli import statements
from cli.api import Api
from shared.contract import provenance
from tests.support.gitlab.faults import Fault
from tests.support.gitlab.records import Record
from tests.support.gitlab.server import GitLab

SHA, OTHER, TOKEN = "c" * 40, "d" * 40, "glpat-canary"
FILE = ".gitlab-claude/statement.json"


def about(sha: str) -> str:
    """A statement about a commit."""
    told = {"_type": provenance.STATEMENT, "predicateType": provenance.PREDICATE, "predicate": {}}
    return json.dumps(told | {"subject": [{"name": "p", "digest": {"gitCommit": sha}}]})


class Left:
    """A pipeline whose jobs left something, and what is read of it over HTTP."""

    def __init__(self, gitlab: GitLab) -> None:
        self.gitlab = gitlab
        gitlab.user(1, "claude")
        gitlab.project(7, "group/app")
        gitlab.member(7, 1, 40)
        gitlab.api_token(TOKEN, 1)
        self.id = gitlab.pipeline(7, ref="main", sha="a" * 40, user_id=1)["id"]
        for job in gitlab.pipelines[self.id]["jobs"]:
            job["archive"] = {}

    def job(self, text: str | None) -> Record:
        job = self.gitlab.job(self.id, "claude")
        job["archive"] = {".gitlab-claude/result.json": "{}"} | ({FILE: text} if text else {})
        return job

    def read(self) -> tuple[str, str]:
        """Return the statement's commit, or "", and why there is none."""
        path = f"/projects/group%2Fapp/pipelines/{self.id}"
        given, why = statements.of_artifacts(Api(self.gitlab.url, TOKEN), path, SHA)
        return given["subject"][0]["digest"]["gitCommit"] if given else "", why


@pytest.fixture
def left() -> Iterator[Left]:
    with GitLab() as gitlab:
        yield Left(gitlab)


def test_it_is_fetched_from_the_job_that_left_it(left: Left) -> None:
    assert left.read() == (
        "",
        "the artifacts of its pipeline have expired, or there never were any",
    )
    left.job(about(SHA))
    assert left.read() == (SHA, "")


def test_of_a_job_that_was_started_again_the_try_that_pushed_is_taken(left: Left) -> None:
    left.job(about(SHA))
    left.job(about(OTHER))
    left.job(None)
    assert left.read() == (SHA, "")


def test_one_about_another_commit_is_returned_where_no_other_is_missing(left: Left) -> None:
    left.job(about(OTHER))
    assert left.read() == (OTHER, "")
    left.job(None)
    commit, why = left.read()
    assert commit == ""
    assert "is without one" in why


def test_a_redirect_gets_no_token_and_is_not_followed(left: Left) -> None:
    left.job(about(SHA))
    with GitLab() as elsewhere:
        left.gitlab.fault("GET */artifacts/*", Fault.redirect(f"{elsewhere.url}/archive?signed=1"))
        commit, why = left.read()
        assert (commit, elsewhere.calls) == ("", [])
    assert "GitLab answered 302" in why
    assert TOKEN not in why


@pytest.mark.parametrize("fault", [Fault.status(403), Fault.status(502), Fault.reset_before()])
def test_what_cannot_be_read_is_named_with_gitlab_s_answer(left: Left, fault: Fault) -> None:
    job = left.job(about(SHA))
    left.gitlab.fault("GET */artifacts/*", fault)
    commit, why = left.read()
    assert (commit, f"the artifact of job {job['id']} has expired" in why) == ("", True)


def test_jobs_that_are_not_shown_are_said_to_be(left: Left) -> None:
    left.job(about(SHA))
    left.gitlab.fault("GET */jobs", Fault.status(403))
    commit, why = left.read()
    assert (commit, "not for this token to see: GitLab answered 403" in why) == ("", True)


def test_a_file_too_large_and_jobs_too_many_end_somewhere(
    left: Left, monkeypatch: pytest.MonkeyPatch
) -> None:
    job = left.job(about(SHA))
    monkeypatch.setattr("functions.gitlab.client._LARGEST", 50)
    assert left.read()[0] == ""
    monkeypatch.undo()
    for _ in range(statements._MOST_JOBS):
        left.job(about(OTHER))
    left.gitlab.calls.clear()
    assert left.read() == ("", "the newest jobs of its pipeline were about other commits")
    asked = [call.path for call in left.gitlab.calls if "/artifacts/" in call.path]
    assert len(asked) == statements._MOST_JOBS
    assert not any(f"/jobs/{job['id']}/" in path for path in asked)


def test_an_artifact_that_is_no_statement_names_its_job(left: Left) -> None:
    job = left.job("[]")
    with pytest.raises(statements.Broken, match=f"the artifact of job {job['id']} is no statement"):
        left.read()


def test_a_file_that_is_no_statement_is_said_to_be_none(tmp_path: Path) -> None:
    for text in ("", "[]", "{}", '{"predicateType": "urn:gitlab-claude-trigger:run:1"}'):
        (tmp_path / "s").write_text(text)
        with pytest.raises(statements.Broken, match="no statement"):
            statements.of_file(tmp_path / "s")
