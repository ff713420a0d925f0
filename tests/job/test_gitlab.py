"""GitLab's API as the job calls it: tried again where it is safe, no redirect, clear errors."""

from collections.abc import Iterator

import pytest

from job.gitlab import GitLab as Client
from job.gitlab import GitLabError
from tests.support.gitlab.faults import Fault
from tests.support.gitlab.server import GitLab

NOTES = "issues/5/notes"


@pytest.fixture
def gitlab() -> Iterator[GitLab]:
    with GitLab() as made:
        made.user(1, "claude")
        made.project(7, "group/app")
        made.member(7, 1, 30)
        made.api_token("glpat-own", 1)
        made.issue(7, 5)
        yield made


class Calls:
    """A client, and the pauses it made."""

    def __init__(self, gitlab: GitLab, token: str = "glpat-own") -> None:
        self.pauses: list[float] = []
        url = f"{gitlab.url}/api/v4/"
        self.client = Client(url, "7", token, pause=self.pauses.append)


def test_one_project_is_read_and_written(gitlab: GitLab) -> None:
    client = Calls(gitlab).client
    made = client.post(NOTES, {"body": "One."})
    client.put(f"{NOTES}/{made['id']}", {"body": "Two."})
    assert client.user()["username"] == "claude"
    assert [note["body"] for note in client.get(NOTES, per_page=5)] == ["Two."]


def test_a_refusal_is_an_error_with_its_status_and_words(gitlab: GitLab) -> None:
    with pytest.raises(GitLabError, match="GitLab answered 401: ") as error:
        Calls(gitlab, "glpat-wrong").client.user()
    assert error.value.status == 401
    gitlab.fault("GET *", Fault.status(403, message="x" * 5000))
    with pytest.raises(GitLabError) as error:
        Calls(gitlab).client.user()
    assert len(error.value.message) == 500


def test_of_a_file_the_end_is_read_in_bounds(gitlab: GitLab) -> None:
    client = Calls(gitlab).client
    gitlab.project(7, "group/app").public_jobs = True
    pipeline = gitlab.pipeline(7, ref="main", sha="a" * 40, user_id=1)
    job = gitlab.job(pipeline["id"], "test")
    job["trace"] = "0123456789" * 20_000
    path = f"jobs/{job['id']}/trace"
    assert client.end_of(path, 5, 200_000) == (b"56789", False)
    assert client.end_of(path, 200_000, 200_000)[1]
    with pytest.raises(GitLabError, match="too long"):
        client.end_of(path, 5, 99_999)
    job["trace"] = ""
    assert client.end_of(path, 5, 10) == (b"", True)


def test_no_answer_is_status_0() -> None:
    pauses: list[float] = []
    client = Client("http://127.0.0.1:1/api/v4", "7", "x", pause=pauses.append)
    with pytest.raises(GitLabError, match=r"GitLab did not answer: .*refused") as error:
        client.user()
    assert error.value.status == 0
    assert pauses == [1.0, 2.0, 4.0]


@pytest.mark.parametrize("status", [429, 502, 503, 504])
def test_reading_is_tried_again(gitlab: GitLab, status: int) -> None:
    gitlab.fault("GET *", Fault.status(status), Fault.status(status, retry_after=7))
    calls = Calls(gitlab)
    assert calls.client.get("issues/5")["iid"] == 5
    assert calls.pauses == [1.0, 7.0]


def test_nobody_waits_for_longer_than_a_minute(gitlab: GitLab) -> None:
    gitlab.fault("GET *", Fault.status(429, retry_after=3600))
    calls = Calls(gitlab)
    calls.client.user()
    assert calls.pauses == [60.0]


def test_after_four_attempts_the_error_is_told(gitlab: GitLab) -> None:
    gitlab.fault("GET *", *[Fault.status(503)] * 4)
    calls = Calls(gitlab)
    with pytest.raises(GitLabError) as error:
        calls.client.user()
    assert (error.value.status, len(calls.pauses)) == (503, 3)


def test_a_note_is_written_again_only_where_nothing_can_have_happened(gitlab: GitLab) -> None:
    gitlab.fault("POST *", Fault.status(429), Fault.status(502, acts=True))
    calls = Calls(gitlab)
    with pytest.raises(GitLabError) as error:
        calls.client.post(NOTES, {"body": "Once."})
    assert (error.value.status, calls.pauses) == (502, [1.0])
    gitlab.fault("POST *", Fault.act_then_reset())
    with pytest.raises(GitLabError):
        calls.client.post(NOTES, {"body": "Twice?"})
    assert [note["body"] for note in gitlab.notes.values()] == ["Once.", "Twice?"]


def test_a_redirect_is_not_followed(gitlab: GitLab) -> None:
    with GitLab() as other:
        gitlab.fault("GET *", Fault.redirect(f"{other.url}/api/v4/user"))
        with pytest.raises(GitLabError) as error:
            Calls(gitlab).client.user()
        assert (error.value.status, other.calls) == (302, [])


def test_an_answer_that_is_no_json_is_none(gitlab: GitLab) -> None:
    gitlab.fault("POST *", Fault.broken_json())
    with pytest.raises(GitLabError) as error:
        Calls(gitlab).client.post(NOTES, {"body": "x"})
    assert error.value.status == 0


def test_no_text_that_is_written_holds_a_secret(gitlab: GitLab) -> None:
    made = Client(
        f"{gitlab.url}/api/v4",
        "7",
        "glpat-own",
        masked=lambda text: text.replace("canary", "[MASKED]"),
    )
    made.post("issues/5/notes", {"body": "a canary", "internal": True})
    (call,) = [call for call in gitlab.calls if call.method == "POST"]
    assert call.json == {"body": "a [MASKED]", "internal": True}


def test_in_a_hurry_nothing_is_tried_again(gitlab: GitLab) -> None:
    calls = Calls(gitlab)
    gitlab.fault("GET *", Fault.status(503))
    calls.client.hurry()
    with pytest.raises(GitLabError, match="503"):
        calls.client.user()
    assert calls.pauses == []
