"""Merge requests of a run: their titles and texts, and which one is ours."""

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from job import merge_request
from job.audience import Audience
from job.failures import Failure
from job.gitlab import GitLab as Client
from job.inputs import Inputs
from job.merge_request import Summary, Writer
from job.request import Request
from shared.contract import marks
from shared.contract.marks import ENDED, of_job, of_push, of_run
from tests.support.gitlab.git import GitLabWithGit

OWN, ADA = 1, 42
PUBLIC = Audience()
ISSUE = Request("r", "mention", "x", {}, kind="issue", iid=5, author_id=ADA, author="ada")
MERGE_REQUEST = ISSUE._replace(kind="merge_request", iid=3)


@pytest.fixture
def gitlab() -> Iterator[GitLabWithGit]:
    with GitLabWithGit() as made:
        made.user(OWN, "claude")
        made.user(ADA, "ada")
        made.project(7, "group/app")
        made.member(7, OWN, 30)
        made.member(7, ADA, 30)
        made.api_token("glpat-own", OWN)
        yield made


def client(gitlab: GitLabWithGit) -> Client:
    return Client(f"{gitlab.url}/api/v4", "7", "glpat-own", pause=lambda _: None)


def publish(
    gitlab: GitLabWithGit,
    request: Request = ISSUE,
    inputs: Inputs | None = None,
    known: dict[str, Any] | None = None,
    answer: str = "Mended for @all.",
) -> str:
    gitlab.projects[7].branches["claude/issue-5-9"] = "a" * 40
    return merge_request.publish(
        client(gitlab),
        request,
        inputs or Inputs(),
        branch="claude/issue-5-9",
        target="main",
        summary=Summary("Mend it", answer),
        link="[job 9](u)",
        known=known,
    )


@pytest.mark.parametrize(
    ("answer", "title", "body"),
    [
        ("Title: Mend it\n\nMended.", "Mend it", "Mended."),
        ("**Title:** Mend it\n\nMended.", "Mend it", "Mended."),
        ("**Title: Mend it**\n\nMended.", "Mend it", "Mended."),
        ("Title: **Mend it**\n\nMended.", "Mend it", "Mended."),
        ("# Title: Take **kwargs\n\nMended.", "Take **kwargs", "Mended."),
        ("Title: **kwargs are kept\n\nMended.", "**kwargs are kept", "Mended."),
        ("**Title:** Keep __init__ and *args\n\nx", "Keep __init__ and *args", "x"),
        ("Mended.", "Changes for #5", "Mended."),
        ("Title: \n\nx", "Changes for #5", "x"),
        ("", "Changes for #5", ""),
    ],
)
def test_the_title_is_claude_s_if_it_gave_one(answer: str, title: str, body: str) -> None:
    assert merge_request.summary(answer, ISSUE, PUBLIC) == (title, body)


def test_without_a_title_what_it_was_asked_in_names_the_change() -> None:
    by_hand = Request("r", "mention", "x", {})
    assert merge_request.summary("Mended.", MERGE_REQUEST, PUBLIC).title == "Changes for !3"
    assert merge_request.summary("Mended.", by_hand, PUBLIC).title == "Changes for the project"


def test_what_was_asked_internally_is_named_by_its_number_at_most() -> None:
    def title(audience: Audience) -> str:
        return merge_request.summary("Title: The secret\n\nx", ISSUE, audience).title

    assert title(Audience(internal=True, private=True)) == "Changes for #5"
    assert title(Audience(internal=True, push=True)) == "Changes for the project"


def test_the_commit_names_who_asked() -> None:
    assert merge_request.commit_message("Mend it", ISSUE, "gitlab.example.com") == (
        "Mend it\n"
        "\n"
        "Asked for in #5.\n"
        "\n"
        "Co-authored-by: ada <42-ada@users.noreply.gitlab.example.com>\n"
        "Co-authored-by: Claude <noreply@anthropic.com>\n"
    )


def test_further_trailers_stand_beside_who_asked() -> None:
    message = merge_request.commit_message("Mend it", ISSUE, "g", ["Claude-Run: r"])
    last = message.rstrip().rpartition("\n\n")[2].splitlines()
    assert last[0] == "Claude-Run: r"
    assert last[1].startswith("Co-authored-by: ada <42-")


def test_a_commit_that_nobody_in_particular_asked_for_says_less() -> None:
    message = merge_request.commit_message("Mend it", Request("r", "mention", "x", {}), "g")
    assert message == "Mend it\n\nCo-authored-by: Claude <noreply@anthropic.com>\n"


def test_a_merge_request_of_another_project_is_a_failure(gitlab: GitLabWithGit) -> None:
    gitlab.merge_request(7, 4, source_branch="b", source_project_id=8)
    gitlab.merge_request(7, 5, source_branch="c")
    with pytest.raises(Failure, match="comes from another project"):
        merge_request.current(client(gitlab), 4, "7")
    assert merge_request.current(client(gitlab), 5, "7")["source_branch"] == "c"


def test_a_commit_that_nobody_asked_for_says_so_and_names_no_person() -> None:
    unasked = MERGE_REQUEST._replace(event="auto", author="ada", author_id=ADA)
    assert merge_request.commit_message("Mend it", unasked, "g") == (
        "Mend it\n\nStarted by policy in !3: nobody asked.\n\n"
        "Co-authored-by: Claude <noreply@anthropic.com>\n"
    )


def test_a_run_that_nobody_asked_for_is_superseded_by_other_commits_than_its_own(
    gitlab: GitLabWithGit,
) -> None:
    gitlab.merge_request(7, 3, source_branch="feature", sha="b" * 40, author_id=ADA)
    unasked = MERGE_REQUEST._replace(event="auto", sha="a" * 40)
    there, gone = client(gitlab), MERGE_REQUEST._replace(event="auto", sha="a" * 40, iid=4)
    assert merge_request.superseded(there, unasked)
    assert not merge_request.superseded(there, unasked, "b" * 40)
    assert not merge_request.superseded(there, unasked._replace(sha="b" * 40))
    assert not merge_request.superseded(there, unasked._replace(sha=""))
    assert not merge_request.superseded(there, unasked._replace(event="mention"))
    assert not merge_request.superseded(there, gone)  # GitLab does not tell


def test_a_repair_that_nobody_asked_for_has_nothing_to_say_once_the_pipeline_has_passed(
    gitlab: GitLabWithGit,
) -> None:
    gitlab.merge_request(7, 3, source_branch="feature", sha="a" * 40, author_id=ADA)
    repair, there = (
        MERGE_REQUEST._replace(event="auto", sha="a" * 40, command="fix"),
        client(gitlab),
    )
    assert not merge_request.superseded(there, repair)  # GitLab tells of no pipeline
    pipeline = gitlab.pipeline(7, ref="feature", sha="a" * 40, user_id=ADA, source="push")
    for status, passed in (("failed", False), ("running", False), ("success", True)):
        gitlab.set_pipeline(pipeline["id"], status)
        assert merge_request.superseded(there, repair) is passed
    assert not merge_request.superseded(there, repair, "b" * 40)
    assert not merge_request.superseded(there, repair._replace(command="review"))
    assert not merge_request.superseded(there, repair._replace(event="mention"))


def test_only_our_own_open_merge_request_for_the_issue_is_ours(gitlab: GitLabWithGit) -> None:
    others = [("claude/issue-5-1", ADA, "opened"), ("claude/issue-5-2", OWN, "closed")]
    others.append(("claude/issue-55-1", OWN, "opened"))
    for iid, (branch, author, state) in enumerate(others, 1):
        gitlab.merge_request(7, iid, source_branch=branch, author_id=author, state=state)
    assert merge_request.ours(client(gitlab), "claude/issue-5-", OWN) is None
    gitlab.merge_request(7, 9, source_branch="claude/issue-5-7", author_id=OWN)
    found = merge_request.ours(client(gitlab), "claude/issue-5-", OWN)
    assert found
    assert found["iid"] == 9


def test_ours_is_found_behind_any_number_of_others(gitlab: GitLabWithGit) -> None:
    gitlab.merge_request(7, 1, source_branch="claude/issue-5-7", author_id=OWN)
    for iid in range(2, 203):
        gitlab.merge_request(7, iid, source_branch=f"claude/issue-6-{iid}", author_id=OWN)
    found = merge_request.ours(client(gitlab), "claude/issue-5-", OWN)
    assert found
    assert found["iid"] == 1


def test_what_replies_of_ours_say_was_pushed_is_known(gitlab: GitLabWithGit) -> None:
    gitlab.merge_request(7, 3, source_branch="a")
    marks = f"{of_job(7, ENDED)}\n{of_run('r')}"
    bodies = [
        (OWN, f"x\n\n{of_push('a' * 40)}\n{marks}"),
        (ADA, f"x\n\n{of_push('b' * 40)}\n{marks}"),
        (OWN, f"x\n\n{of_push('c' * 40)}\n\n{marks}"),
        (OWN, f"```\n\n{of_push('d' * 40)}\n{marks}\n```\n\n{marks}"),
    ]
    for author, body in bodies:
        gitlab.note(7, "merge_request", 3, author_id=author, body=body)
    assert merge_request.pushed(client(gitlab), "merge_request-3", Writer(OWN, "")) == {"a" * 40}
    both = merge_request.pushed(client(gitlab), "merge_request-3", Writer(OWN, "ada"))
    assert both == {"a" * 40, "b" * 40}
    for nobody in (Writer(None, ""), Writer(999, ""), Writer("ada", "")):  # nor a name like an id
        assert merge_request.pushed(client(gitlab), "merge_request-3", nobody) == set()


def test_a_new_merge_request_closes_its_issue_and_belongs_to_who_asked(
    gitlab: GitLabWithGit,
) -> None:
    url = publish(gitlab, inputs=Inputs(labels="claude,ai"))
    record = gitlab.merge_requests[7, 1]
    assert url.endswith("/group/app/-/merge_requests/1")
    assert record["title"] == "Draft: Mend it"
    assert record["description"].partition("\n\n")[2] == (
        "Claude made these changes.\n\nMended for @\u200ball.\n\nJob: [job 9](u).\n\n"
        "<!-- gitlab-claude-trigger -->\n\nCloses #5"
    )
    (call,) = [call for call in gitlab.calls if call.method == "POST"]
    assert (call.json["labels"], call.json["assignee_id"]) == ("claude,ai", ADA)


def test_no_draft_no_labels_where_the_include_says_so(gitlab: GitLabWithGit) -> None:
    publish(gitlab, inputs=Inputs(draft=False))
    (call,) = [call for call in gitlab.calls if call.method == "POST"]
    assert call.json["title"] == "Mend it"
    assert "labels" not in call.json


def test_a_request_that_must_not_be_named_is_not(gitlab: GitLabWithGit) -> None:
    publish(gitlab, Audience(internal=True, push=True).shown(ISSUE._replace(internal=True)))
    assert "#5" not in gitlab.merge_requests[7, 1]["description"]
    (call,) = [call for call in gitlab.calls if call.method == "POST"]
    assert "assignee_id" not in call.json


def test_what_claude_says_closes_no_issue_but_the_one_asked_in(gitlab: GitLabWithGit) -> None:
    publish(gitlab, answer="Fixes #1. `Closes #2`\n\n```\nResolves #3\n```")
    text = gitlab.merge_requests[7, 1]["description"].replace("\u2060", "|")
    assert (
        "Fixes| #1. <code>Closes&#32;&#35;2</code>\n\n"
        "<pre><code>Resolves&#32;#3\n</code></pre>\n\nJob: "
    ) in text
    assert text.endswith("-->\n\nCloses #5")


def test_a_description_is_known_as_ours_whatever_it_says(gitlab: GitLabWithGit) -> None:
    publish(gitlab)
    assert marks.TRIGGER in gitlab.merge_requests[7, 1]["description"]


def again(gitlab: GitLabWithGit, answer: str = "And more.") -> str:
    """Publish a second request's answer; return the description before and after."""
    record = gitlab.merge_requests[7, 1]
    publish(gitlab, known={"iid": 1, "web_url": "https://known"}, answer=answer)
    return str(record["description"])


def test_a_known_merge_request_keeps_its_title_and_gets_our_part_anew(
    gitlab: GitLabWithGit,
) -> None:
    publish(gitlab)
    gitlab.merge_requests[7, 1]["title"] = "Old"
    text = again(gitlab)
    assert gitlab.merge_requests[7, 1]["title"] == "Old"
    assert "And more." in text
    assert "Mended" not in text
    assert text.count("<!--") == 2
    assert text.endswith("-->\n\nCloses #5")


@pytest.mark.parametrize(
    "edited",
    [
        lambda text: f"## Release note\n\nNew.\n\n{text}\n\n- [x] tested\n\nCloses #9",
        lambda text: text.replace("Closes #5", ""),
        lambda text: f"{text}\n\nSee `<!-- gitlab-claude-trigger -->`",
        lambda text: f"<!-- gitlab-claude-trigger part={'0' * 64} -->\n\n{text}",
        lambda text: text.replace("\n", "\r\n") + "\r\n\r\n/shrug",
    ],
    ids=["around it", "no longer closes", "shows our mark", "shows the other", "lines of the web"],
)
def test_what_people_wrote_around_our_part_stays(
    gitlab: GitLabWithGit, edited: Callable[[str], str]
) -> None:
    publish(gitlab)
    record = gitlab.merge_requests[7, 1]
    before = record["description"]
    record["description"] = edited(before)
    begins, ends = before.index("<!--"), before.index("-->\n\nCloses") + 3
    ours = before[begins:ends]
    around = edited(before).replace("\r\n", "\n").split(ours)
    text = again(gitlab).replace("\r\n", "\n")
    assert text.startswith(around[0])
    assert text.endswith(around[1])
    assert "And more." in text


@pytest.mark.parametrize(
    "edited",
    [
        lambda _: "",
        lambda _: "All new. Closes #9",
        lambda text: text.replace("Mended", "Well mended"),
        lambda text: text.replace("<!-- gitlab-claude-trigger -->", ""),
        lambda text: text.partition("-->")[2],
    ],
    ids=["all removed", "all replaced", "in it", "its end removed", "its beginning removed"],
)
def test_what_people_changed_in_our_part_stays_so(
    gitlab: GitLabWithGit, edited: Callable[[str], str]
) -> None:
    publish(gitlab)
    record = gitlab.merge_requests[7, 1]
    record["description"] = left = edited(record["description"])
    assert again(gitlab) == left
    assert [call for call in gitlab.calls if call.method == "PUT"] == []


def test_our_marks_in_an_answer_end_nothing(gitlab: GitLabWithGit) -> None:
    mark = "```\n<!-- gitlab-claude-trigger -->\n```\n\nEnd."
    publish(gitlab, answer=mark)
    assert "End." in again(gitlab, mark)
    text = again(gitlab)
    assert "End." not in text
    assert text.count("<!--") == 2
