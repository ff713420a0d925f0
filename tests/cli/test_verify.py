"""`verify` tells who asked for a commit, and names the hop at which a byte was changed."""

import base64
import copy
import json
import re
from collections.abc import Callable
from typing import Any

import pytest

from cli import statements, verify
from job.audience import Audience
from job.claude import Result
from job.provenance import statement, trailers
from job.request import Request
from shared.contract import marks, provenance
from shared.gitlab.values import GitLabError
from shared.installation.settings import Settings
from tests.support.fakes import settings
from tests.support.operator_scene import Scene

SHA, OTHER, RUN, KEY = "c" * 40, "d" * 40, "5f3a", "k" * 32
BOT, ADA = 1, 42
AT = "https://g/group/app"
JOB = {"CI_PROJECT_URL": AT, "CI_PIPELINE_ID": "7", "CI_JOB_URL": f"{AT}/-/jobs/70"}
RESULT = Result("", 2, 0.1, {}, "s", None, ("claude-a",), "2.1.332")


def flow() -> dict[str, Any]:
    made: dict[str, Any] = {
        "version": 1,
        "id": RUN,
        "input": "mend it",
        "command": None,
        "nonce": "n" * 32,
        "context": {
            "project": {"id": 7, "path": "group/app"},
            "issue": {"iid": 5},
            "note": {"id": 9},
            "author": {"id": ADA, "username": "ada", "access_level": 30},
        },
    }
    return made | {provenance.SEAL: provenance.seal(KEY, made)}


class GitLab:
    """What GitLab answers, by path."""

    def __init__(self, asked_for: dict[str, Any] | None = None) -> None:
        made = asked_for or flow()
        note, event = made["context"].get("note", {}).get("id", 0), made.get("event", "mention")
        request = Request(RUN, event, "x", {}, "issue", 5, author_id=ADA, note_id=note, flow=made)
        lines = trailers(request, Audience(), RESULT, JOB)
        message = "\n".join(["Mend it", "", *lines, "Co-authored-by: ada <a@b>", ""])
        reply = f"Done.\n\n{marks.of_push(SHA)}\n{marks.of_job(7, 'ended')}\n{marks.of_run(RUN)}"
        payload = json.dumps({"ref": "main", "ai_flow": made})
        asked = {"id": 9, "author": {"id": ADA}, "body": "@claude mend it"}
        self.statement = json.loads(statement(request, RESULT, SHA, JOB))
        self.answers: dict[str, Any] = {
            "/user": {"id": BOT},
            "/p": {"id": 7, "path_with_namespace": "group/app", "web_url": AT},
            f"/p/repository/commits/{SHA}": {"id": SHA, "message": message},
            "/p/issues/5/notes": [asked, {"id": 10, "author": {"id": BOT}, "body": reply}],
            "/p/issues/5/notes/9": asked,
            "/p/pipelines/7": {"id": 7, "source": "trigger"},
            "/p/pipelines/7/jobs": [{"id": 70}, {"id": 75}],
            "/p/pipelines/7/variables": [{"key": "TRIGGER_PAYLOAD", "value": payload}],
        }

    def get(self, path: str, **_: Any) -> Any:
        if path not in self.answers:
            raise GitLabError(404)
        return copy.deepcopy(self.answers[path])

    def find(self, path: str, **_: Any) -> Any | None:
        return copy.deepcopy(self.answers.get(path))

    def all(self, path: str, **_: Any) -> list[dict[str, Any]]:
        return list(self.get(path))

    def file(self, path: str) -> bytes:
        return str(self.get(path)).encode()

    def change(self, path: str, old: str, new: str) -> None:
        """Change what GitLab has under a path, bytes for bytes."""
        text = json.dumps(self.answers[path])
        assert old in text
        self.answers[path] = json.loads(text.replace(old, new))


def check(
    gitlab: GitLab,
    told: dict[str, Any] | None = None,
    keys: tuple[str, ...] = (KEY,),
    sha: str = SHA,
    read: Settings | None = None,
) -> tuple[int, str]:
    lines: list[str] = []
    asked = verify.Asked(gitlab, "/p", sha, told, keys, read or settings())
    return verify.verify(asked, lines.append), "\n".join(lines)


def test_a_whole_chain_says_who_asked_with_which_right_for_which_text() -> None:
    gitlab = GitLab()
    for told in (None, gitlab.statement):
        status, shown = check(gitlab, told)
        assert status == 0, shown
        assert "✘" not in shown
        for words in ("user 42 (@ada), access level 30", f"run {RUN}", "claude-a, 2.1.332"):
            assert words in shown
        assert "text sha256:" in shown


def test_where_nobody_asked_it_says_so_and_names_nobody_as_who_did() -> None:
    made = flow() | {"event": "auto", "input": "fix the pipeline"}
    del made["context"]["note"], made[provenance.SEAL]
    gitlab = GitLab(made | {provenance.SEAL: provenance.seal(KEY, made)})
    assert "Claude-Asked-by" not in gitlab.answers[f"/p/repository/commits/{SHA}"]["message"]
    assert gitlab.statement["predicate"]["askedBy"] == 0
    for told in (None, gitlab.statement):
        status, shown = check(gitlab, told)
        assert status == 0, shown
        assert "✔ note: nobody asked for it: the installation's policy started it" in shown
        assert (
            "Nobody asked: the installation's policy started it, by what was done by user 42"
            in shown
        )
        assert "Asked by user" not in shown
    gitlab.change(
        f"/p/repository/commits/{SHA}", "Claude-Note", "Claude-Asked-by: 42\\nClaude-Note"
    )
    assert "✘ request: user unknown asked, not the one in the commit" in check(gitlab)[1]


def test_the_statement_stands_in_for_what_gitlab_has_forgotten() -> None:
    gitlab = GitLab()
    gitlab.answers["/p/pipelines/7/variables"] = []
    assert "pipeline" in check(gitlab)[1].rpartition("✘")[2]
    status, shown = check(gitlab, gitlab.statement)
    assert (status, "✔ pipeline" in shown, "? pipeline" in shown) == (0, False, True)
    del gitlab.answers["/p/pipelines/7"]
    assert check(gitlab, gitlab.statement)[0] == 0


ARTIFACT = "/p/jobs/70/artifacts/.gitlab-claude/statement.json"


def leave(gitlab: GitLab, home: str = "/p") -> None:
    """Let GitLab still have the job's artifact."""
    text = json.dumps(gitlab.statement, separators=(",", ":"))
    gitlab.answers[ARTIFACT.replace("/p", home, 1)] = text
    jobs = [{"id": 70, "artifacts": [{"file_type": "archive"}]}, {"id": 75, "artifacts": []}]
    gitlab.answers[f"{home}/pipelines/7/jobs"] = jobs


def test_the_artifact_is_fetched_where_no_statement_is_given() -> None:
    gitlab = GitLab()
    leave(gitlab)
    gitlab.answers["/p/pipelines/7/variables"] = []
    status, shown = check(gitlab)
    assert status == 0, shown
    assert "✔ statement: it is the job's artifact, and about this commit" in shown
    gitlab.answers[ARTIFACT] = gitlab.answers[ARTIFACT].replace("mend it", "break it")
    assert "✘ statement" in check(gitlab)[1]


def test_the_artifact_of_a_runner_project_is_fetched_there() -> None:
    gitlab = GitLab()
    leave(gitlab, "/projects/9")
    for part in ("", "/variables"):
        gitlab.answers[f"/projects/9/pipelines/7{part}"] = gitlab.answers.pop(
            f"/p/pipelines/7{part}"
        )
    gitlab.change("/projects/9/jobs/70/artifacts/.gitlab-claude/statement.json", "/-/jobs/70", "")
    gitlab.statement["predicate"]["job"] = ""
    leave(gitlab, "/projects/9")
    status, shown = check(gitlab, read=settings(RUNNER_PROJECT="9"))
    assert (status, "✔ statement: it is the job's artifact" in shown) == (0, True), shown


def test_an_artifact_that_is_gone_is_said_to_be_and_the_rest_still_holds() -> None:
    gitlab = GitLab()
    assert "? statement: the artifacts of its pipeline have expired" in check(gitlab)[1]
    leave(gitlab)
    del gitlab.answers[ARTIFACT]
    status, shown = check(gitlab)
    assert (status, "? statement: the artifact of job 70 has expired" in shown) == (0, True)
    gitlab.answers["/p/pipelines/7/variables"] = []
    assert "give the job's statement" in check(gitlab)[1]


def test_a_statement_without_the_secret_that_was_asked_breaks_nothing() -> None:
    """A token in the comment is masked in what the job leaves, and the digest is of the whole."""
    gitlab = GitLab()
    whole = json.dumps(gitlab.statement)
    gitlab.statement = json.loads(whole.replace("mend it", "use [MASKED]"))
    leave(gitlab)
    status, shown = check(gitlab)
    assert (status, "? statement: secrets were taken out" in shown) == (0, True), shown
    note = base64.b64encode(json.dumps(gitlab.statement).encode()).decode()
    gitlab.answers[f"/p/repository/files/{SHA[:2]}%2F{SHA[2:]}"] = {"content": note}
    assert check(gitlab)[0] == 0
    assert "✘ statement" in check(gitlab, gitlab.statement)[1]  # whoever gives one wants it held


COMMIT, NOTES, NOTE = f"/p/repository/commits/{SHA}", "/p/issues/5/notes", "/p/issues/5/notes/9"
PAYLOAD = "/p/pipelines/7/variables"
Change = Callable[[GitLab], object]


def changed(path: str, old: str, new: str) -> Change:
    return lambda gitlab: gitlab.change(path, old, new)


def unsealed() -> list[dict[str, str]]:
    sent = {name: value for name, value in flow().items() if name != provenance.SEAL}
    return [{"key": "TRIGGER_PAYLOAD", "value": json.dumps({"ai_flow": sent})}]


def moved(gitlab: GitLab) -> None:
    """Let the commit and the reply name another thread than the request."""
    gitlab.change(COMMIT, "issues/5", "issues/6")
    for path in (NOTES, NOTE):
        gitlab.answers[path.replace("5", "6", 1)] = gitlab.answers[path]


BROKEN: list[tuple[str, Change]] = [
    ("commit", lambda gitlab: gitlab.answers.pop(COMMIT)),
    ("commit", changed(COMMIT, "Claude-Request: ", "X-Request: ")),
    ("commit", changed(COMMIT, "Claude-Run: 5f3a", "Claude-Request: sha256:0")),
    ("request", changed(COMMIT, "sha256:", "sha256:0")),
    ("request", changed(COMMIT, "Claude-Run: 5f3a", "Claude-Run: 5f3b")),
    ("request", changed(COMMIT, "Claude-Asked-by: 42", "Claude-Asked-by: 43")),
    ("request", changed(COMMIT, "#note_9", "#note_8")),
    ("reply", changed(COMMIT, "Claude-Note", "X-Note")),
    ("reply", changed(NOTES, SHA, OTHER)),
    ("reply", changed(NOTES, '"id": 1}', '"id": 42}')),
    ("reply", changed(NOTES, f"run={RUN}", "run=")),
    ("request", changed(NOTES, f"run={RUN}", "run=stolen")),
    ("pipeline", changed(NOTES, "pipeline=7", "pipeline=8")),
    ("pipeline", changed("/p/pipelines/7", "trigger", "web")),
    ("pipeline", changed(PAYLOAD, "ai_flow", "ai_flew")),
    ("request", changed(PAYLOAD, "mend it", "break it")),
    ("request", changed(PAYLOAD, '\\"access_level\\": 30', '\\"access_level\\": 50')),
    ("request", changed(PAYLOAD, '\\"nonce\\": \\"n', '\\"nonce\\": \\"m')),
    ("seal", changed(PAYLOAD, '\\"seal\\": \\"', '\\"seal\\": \\"0')),
    ("request", changed(PAYLOAD, '\\"seal\\": ', '\\"seel\\": ')),
    ("seal", lambda gitlab: gitlab.answers.update({PAYLOAD: unsealed()})),
    ("request", changed("/p", "7", "8")),
    ("request", moved),
    ("note", lambda gitlab: gitlab.answers.pop(NOTE)),
    ("note", changed(NOTE, '"id": 42', '"id": 43')),
    ("note", changed(NOTE, "mend it", "mend them")),
]  # fmt: skip


@pytest.mark.parametrize(("hop", "change"), BROKEN)
def test_a_byte_that_is_changed_names_its_hop(hop: str, change: Change) -> None:
    gitlab = GitLab()
    change(gitlab)
    status, shown = check(gitlab)
    assert (status, shown.rpartition("✘ ")[2].partition(":")[0]) == (1, hop), shown


STATED = {
    "another commit": (SHA, OTHER),
    "another run": ('"run": "5f3a"', '"run": "5f3b"'),
    "another person": ('"askedBy": 42', '"askedBy": 43'),
    "another place": ("#note_9", "#note_8"),
    "another client": ("2.1.332", "2.1.331"),
    "another model": ("claude-a", "claude-b"),
    "another text": ("mend it", "break it"),
}


@pytest.mark.parametrize("name", STATED)
def test_a_statement_that_was_changed_is_refused(name: str) -> None:
    gitlab = GitLab()
    told = json.loads(json.dumps(gitlab.statement).replace(*STATED[name]))
    status, shown = check(gitlab, told)
    assert (status, shown.rpartition("✘ ")[2].partition(":")[0]) == (1, "statement"), shown


def test_a_forged_request_without_the_key_breaks_at_the_seal() -> None:
    gitlab = GitLab()
    assert "✘ seal" in check(gitlab, keys=("x" * 32,))[1]
    assert check(gitlab, keys=("new" * 11, KEY))[0] == 0  # a key of earlier times still counts
    status, shown = check(gitlab, keys=())
    assert (status, "? seal" in shown) == (0, True)


def test_an_internal_request_needs_the_statement_to_be_found() -> None:
    gitlab = GitLab()
    for line in ("Claude-Run", "Claude-Asked-by", "Claude-Note"):
        gitlab.change(COMMIT, line, "X")
    assert "give the job's statement" in check(gitlab)[1]
    assert check(gitlab, gitlab.statement)[0] == 0


@pytest.mark.parametrize("runner", ["9", "group/* = team/runner"])
def test_a_pipeline_of_a_runner_project_is_found_there(runner: str) -> None:
    gitlab = GitLab()
    home = "/projects/9" if runner == "9" else "/projects/team%2Frunner"
    gitlab.answers["/p"]["path_with_namespace"] = "group/app"
    for part in ("", "/variables"):
        gitlab.answers[f"{home}/pipelines/7{part}"] = gitlab.answers.pop(f"/p/pipelines/7{part}")
    assert check(gitlab)[0] == 1
    status, shown = check(gitlab, read=settings(RUNNER_PROJECT=runner))
    assert status == 0, shown
    gitlab.change(f"{home}/pipelines/7", "trigger", "web")
    assert "✘ pipeline" in check(gitlab, read=settings(RUNNER_PROJECT=runner))[1]


@pytest.mark.parametrize("sha", ["../../user", "main", "c" * 6, "--x"])
def test_what_is_no_commit_s_id_is_not_asked_for(sha: str) -> None:
    assert "is no commit's id" in check(GitLab(), sha=sha)[1]


@pytest.mark.parametrize("body", ["@claude retry", "@claude --turns many mend it"])
def test_a_text_that_says_nothing_by_itself_is_not_compared(body: str) -> None:
    gitlab = GitLab()
    gitlab.answers[NOTE]["body"] = body
    status, shown = check(gitlab)
    assert (status, "no text to compare" in shown) == (0, True)


@pytest.mark.parametrize("subject", ["x", ["x"], [{"digest": "x"}], {}, None])
def test_a_statement_about_nothing_names_its_hop(subject: object) -> None:
    gitlab = GitLab()
    assert "✘ statement" in check(gitlab, gitlab.statement | {"subject": subject})[1]


@pytest.mark.parametrize("context", ["x", None, {"author": "x"}])
def test_a_request_of_no_form_names_its_hop(context: object) -> None:
    gitlab = GitLab()
    sent = flow() | {"context": context}
    gitlab.answers[PAYLOAD] = [{"key": "TRIGGER_PAYLOAD", "value": json.dumps({"ai_flow": sent})}]
    gitlab.change(COMMIT, provenance.digest(flow()), provenance.digest(sent))
    assert "✘ request" in check(gitlab, keys=())[1]


def test_the_command_reads_the_installation_s_secrets(stage: Scene) -> None:
    stage.setup()
    assert len(stage.document("GITLAB_SECRETS")["signing_keys"][0]) >= 32
    status, shown = stage.run("verify", "main", "--project", "group/app")
    # The scene's own server may write its log in between.
    assert (status, "✘ commit: main is no commit's id\n" in shown) == (1, True)
    file = str(stage.folder / "none.json")
    status, shown = stage.run("verify", SHA, "--project", "7", "--statement", file)
    assert (status, "is no statement" in shown) == (1, True)


# --- any byte, at any hop -------------------------------------------------------------------------

Whole = Callable[[str], tuple[int, str]]


def other(byte: str) -> str:
    """Another character of the same class, so that what holds it stays well-formed."""
    if byte in "0123456789abcdef":
        return "0123456789abcdef"[(int(byte, 16) + 1) % 10]
    return chr(ord(byte) ^ 1) if byte.isalnum() else "~"


def each_byte_changed(text: str, part: str, checked: Whole) -> dict[str, int]:
    """Change each byte of a part of a text, one by one; count the hops that are named.

    What is read as before, such as a blank, is no change. "": nothing was named.
    """
    start, named = text.index(part), dict[str, int]()
    for at in range(start, start + len(part)):
        status, shown = checked(text[:at] + other(text[at]) + text[at + 1 :])
        hop = shown.rpartition("✘ ")[2].partition(":")[0] if status else ""
        named[hop] = named.get(hop, 0) + 1
    return named


def of_statement(gitlab: GitLab) -> Whole:
    def checked(text: str) -> tuple[int, str]:
        try:
            told = statements.read(text.encode(), "it")
        except statements.Broken as broken:
            return 1, f"✘ {broken}"
        return check(gitlab, dict(told))

    return checked


@pytest.mark.parametrize("forgotten", [False, True])
def test_any_byte_of_the_statement_names_the_statement_or_the_seal(*, forgotten: bool) -> None:
    gitlab = GitLab()
    if forgotten:
        gitlab.answers[PAYLOAD] = []
    text = json.dumps(gitlab.statement, separators=(",", ":"))
    named = each_byte_changed(text, text, of_statement(gitlab))
    assert set(named) == {"statement", "seal"}
    assert named["seal"] == 64
    assert of_statement(gitlab)(text)[0] == 0


def test_any_byte_of_the_artifact_names_the_statement_or_the_seal() -> None:
    gitlab = GitLab()
    leave(gitlab)
    text = gitlab.answers[ARTIFACT]

    def checked(changed: str) -> tuple[int, str]:
        gitlab.answers[ARTIFACT] = changed
        return check(gitlab)

    assert set(each_byte_changed(text, text, checked)) == {"statement", "seal"}


def test_any_byte_of_a_trailer_names_its_hop() -> None:
    gitlab = GitLab()
    commit = gitlab.answers[COMMIT]

    def checked(message: str) -> tuple[int, str]:
        gitlab.answers[COMMIT] = commit | {"message": message}
        return check(gitlab, gitlab.statement)

    (part,) = re.findall(r"Claude-Run.*sha256:\w+", commit["message"], re.DOTALL)
    named = each_byte_changed(commit["message"], part, checked)
    assert set(named) == {"commit", "statement", "request"}


def test_any_byte_of_the_request_names_its_hop() -> None:
    gitlab = GitLab()
    text = gitlab.answers[PAYLOAD][0]["value"]

    def checked(value: str) -> tuple[int, str]:
        gitlab.answers[PAYLOAD] = [{"key": "TRIGGER_PAYLOAD", "value": value}]
        return check(gitlab)

    part = text[text.index('"ai_flow"') :]
    named = each_byte_changed(text, part, checked)
    assert set(named) == {"pipeline", "request", "seal"}


def test_any_byte_of_the_reply_s_marks_names_its_hop() -> None:
    gitlab = GitLab()
    reply = gitlab.answers[NOTES][1]
    body = reply["body"]

    def checked(text: str) -> tuple[int, str]:
        gitlab.answers[NOTES][1] = reply | {"body": text}
        return check(gitlab)

    for part in (marks.of_push(SHA), "<!-- gitlab-claude-job pipeline=7", marks.of_run(RUN)):
        named = each_byte_changed(body, part, checked)
        assert "" not in named
        assert set(named) <= {"reply", "pipeline", "request"}


def test_any_byte_of_the_comment_names_the_comment() -> None:
    gitlab = GitLab()
    comment = gitlab.answers[NOTE]

    def checked(text: str) -> tuple[int, str]:
        gitlab.answers[NOTE] = comment | {"body": text}
        return check(gitlab)

    assert each_byte_changed(comment["body"], comment["body"], checked) == {"note": 15}


def test_any_byte_of_the_place_of_what_was_asked_names_the_request() -> None:
    gitlab = GitLab()
    commit = gitlab.answers[COMMIT]

    def checked(message: str) -> tuple[int, str]:
        gitlab.answers[COMMIT] = commit | {"message": message}
        return check(gitlab)

    named = each_byte_changed(commit["message"], f"{AT}/-/issues/5#note_9", checked)
    assert set(named) == {"request", "reply"}


# --- replayed, swapped, forged --------------------------------------------------------------------


def another() -> dict[str, Any]:
    """Another request of the same person, sealed by the same trigger."""
    made = flow() | {"id": "0b1c", "input": "break it", "nonce": "m" * 32}
    return made | {provenance.SEAL: provenance.seal(KEY, made)}


def replayed(gitlab: GitLab) -> None:
    """Put the message of a commit of ours on another, as a cherry-pick does."""
    gitlab.answers[f"/p/repository/commits/{OTHER}"] = gitlab.answers[COMMIT] | {"id": OTHER}


def test_a_message_that_is_put_on_another_commit_is_refused() -> None:
    gitlab = GitLab()
    replayed(gitlab)
    assert "✘ reply" in check(gitlab, sha=OTHER)[1]
    assert "✘ statement" in check(gitlab, gitlab.statement, sha=OTHER)[1]


def test_a_true_request_in_the_place_of_another_is_refused() -> None:
    gitlab = GitLab()
    gitlab.answers[PAYLOAD][0]["value"] = json.dumps({"ref": "main", "ai_flow": another()})
    for told in (None, gitlab.statement):
        status, shown = check(gitlab, told)
        assert (status, shown.rpartition("✘ ")[2].partition(":")[0]) in [
            (1, "request"),
            (1, "seal"),
        ]
    swapped = json.loads(json.dumps(gitlab.statement))
    swapped["predicate"] |= {"request": another(), "run": "0b1c"}
    swapped["predicate"]["requestDigest"] = {"sha256": provenance.digest(another())}
    assert "✘ statement" in check(gitlab, swapped)[1]


def test_a_seal_of_another_request_does_not_fit() -> None:
    gitlab = GitLab()
    gitlab.change(PAYLOAD, flow()[provenance.SEAL], another()[provenance.SEAL])
    assert "✘ seal: no signing key" in check(gitlab)[1]
    assert "✘ seal: the pipeline's is not the statement's" in check(gitlab, gitlab.statement)[1]


# --- the git note ---------------------------------------------------------------------------------

FILE = f"/p/repository/files/{SHA[:2]}%2F{SHA[2:]}"


def noted(gitlab: GitLab, content: bytes) -> None:
    gitlab.answers[FILE] = {"encoding": "base64", "content": base64.b64encode(content).decode()}


def test_a_git_note_stands_in_for_the_artifact() -> None:
    gitlab = GitLab()
    noted(gitlab, json.dumps(gitlab.statement).encode())
    gitlab.answers[PAYLOAD] = []
    status, shown = check(gitlab)
    assert (status, "✔ statement: it is the git note's" in shown) == (0, True)
    assert "git note" not in check(gitlab, gitlab.statement)[1]


@pytest.mark.parametrize(
    "content",
    [b"", b"x", b"[]", b"\xff", b"[" * 100_000, b'{"predicate": {}}', b'{"_type": []}'],
    ids=range(7),
)
def test_a_git_note_that_is_none_of_ours_names_its_hop(content: bytes) -> None:
    gitlab = GitLab()
    noted(gitlab, content)
    status, shown = check(gitlab)
    assert (status, "✘ statement: the git note in refs/notes/claude is no" in shown) == (1, True)
    assert check(gitlab, gitlab.statement)[0] == 0  # the artifact is of more worth
    gitlab.answers[FILE] = {"content": "%"}
    assert "✘ statement" in check(gitlab)[1]


def test_the_git_note_of_another_commit_is_refused() -> None:
    gitlab = GitLab()
    noted(gitlab, json.dumps(gitlab.statement).replace(SHA, OTHER).encode())
    assert "✘ statement: it is about another commit" in check(gitlab)[1]


def test_a_job_of_another_pipeline_is_not_the_statement_s() -> None:
    gitlab = GitLab()
    gitlab.answers["/p/pipelines/7/jobs"] = [{"id": 71}]
    assert "✘ statement: its job is none of pipeline 7" in check(gitlab, gitlab.statement)[1]
    del gitlab.answers["/p/pipelines/7/jobs"]
    assert check(gitlab, gitlab.statement)[0] == 0
