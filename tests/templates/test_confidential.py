"""What was asked internally, and what a secret of the job holds, is in no output for other readers.

One word stands in all that is confidential, and every output of a run is searched for it. Claude
Code is the real one.
"""

import json
import shutil
from itertools import product
from pathlib import Path
from typing import Any

import pytest

from tests.proofs.security import readers
from tests.support.gitlab.faults import Fault
from tests.support.gitlab.records import Record
from tests.support.job import tooling
from tests.support.job.model import Turn, say, use
from tests.support.job.runner import Ended, plain
from tests.support.job.scene import ADA, ANSWER, MODEL_KEY, Installation, Scene

pytestmark = pytest.mark.skipif(bool(tooling.missing()), reason=tooling.missing())

WORD = readers.WORD
PARROT = Path(tooling.__file__).with_name("parrot.sh")
TODO = {"content": f"{WORD} to-do", "status": "in_progress", "activeForm": "x"}
CHANGE: list[Turn] = [
    [
        say(f"I look at the {WORD}."),
        use("Grep", pattern=WORD),
        use("Read", file_path=f"{WORD}.txt"),
        use("Bash", command=f"echo {WORD}", description=WORD),
        use("TodoWrite", todos=[TODO]),
    ],
    [use("Write", file_path="fixed.txt", content="fixed\n")],
    [say(f"Title: Close the {WORD}\n\nThe {WORD} is closed.")],
]
ANSWERED: list[Turn] = [[say(f"The {WORD} is in `app.py`.")]]
WAYS = ("internal note", "confidential issue", "withheld note", "withheld description")
VISIBILITIES = ("public", "internal", "private")
# Each way and each visibility: the answer stays unpushed where others may see the project, and each
# kind of way is played on both sides of that. The rest is for make security.
COVERING = (
    ("public", "internal note"),
    ("public", "withheld description"),
    ("internal", "confidential issue"),
    ("internal", "withheld note"),
    ("private", "confidential issue"),
    ("private", "withheld note"),
)


def prepared(scene: Scene, visibility: str, way: str) -> None:
    """Let the project have this visibility, and the issue hold the word where it may."""
    scene.gitlab.projects[scene.number].visibility = visibility
    if way != "public":
        scene.gitlab.note(
            scene.number, "issue", 5, author_id=ADA, body=f"{WORD} note", internal=True
        )
    issue = scene.gitlab.issues[scene.number, 5]
    if way in ("confidential issue", "withheld description"):
        issue.update(confidential=True, title=f"The {WORD}", labels=[WORD])
        issue["description"] = f"How to get at the {WORD} <!-- hidden -->"


def asked(scene: Scene, way: str) -> Record:
    """Ask in this way; return the pipeline."""
    text = f"@claude close the {WORD} <!-- hidden -->"
    if not way.startswith("withheld"):
        return scene.ask(text, internal=way == "internal note")
    note = None
    if way == "withheld note":
        note = scene.gitlab.note(scene.number, "issue", 5, author_id=ADA, body=text, internal=True)
    return scene.trigger(
        {"token": f"glptt-{scene.number}", "ref": "main", "ai_flow": withheld(scene, note)}
    )


def withheld(scene: Scene, note: Record | None) -> dict[str, Any]:
    """What the trigger function sends for an internal request: ids only."""
    return {
        "version": 2,
        "id": "ab" * 16,
        "event": "mention",
        "input": None,
        "command": None,
        "prompt": "",
        "options": {"turns": None, "minutes": None},
        "model": {"provider": "anthropic", "region": None, "id": None},
        "context": {
            "version": 1,
            "event": "mention",
            "project": {"id": scene.number, "path": scene.path, "default_branch": "main"},
            "issue": {"iid": 5},
            "note": {"id": note and note["id"], "internal": True},
            "thread": {"discussion_id": note and note["discussion_id"]},
            "position": None,
            "author": {"id": ADA, "username": "ada", "access_level": 30},
            "unread": [],
        },
    }


def public(scene: Scene, ended: Ended, issue: int = 5) -> dict[str, str]:
    """All outputs of a run that more people read than the internal question; artifacts are not."""
    confidential = scene.gitlab.issues[scene.number, issue]["confidential"]
    notes = [note for note in scene.gitlab.notes.values() if note["project_id"] == scene.number]
    cache = scene.runner.clone / ".gitlab-claude" / "cache"
    shown = [note["body"] for note in notes if not (note["internal"] or confidential)]
    path = f"/projects/{scene.number}/merge_requests"
    posted = [call.json for call in scene.gitlab.calls if call.path.endswith(path)]
    return {
        "log": plain(ended.log),
        "notes": "\n".join(shown),
        "merge requests": json.dumps([scene.merge_requests(), posted], default=str),
        "branches": scene.git("for-each-ref"),
        "commits": scene.git("log", "--all", "-p", "--format=%an %ae %B", "--", ":!templates"),
        "cache": "\n".join(
            f"{path} {path.read_text(errors='replace')}"
            for path in (cache / "sessions").rglob("*")
            if path.is_file()
        ),
    }


@pytest.mark.parametrize(
    ("visibility", "way"),
    [
        pytest.param(*each, marks=() if each in COVERING else pytest.mark.whole)
        for each in product(VISIBILITIES, WAYS)
    ],
)
def test_nothing_confidential_is_in_an_output_for_others(
    installation: Installation, visibility: str, way: str
) -> None:
    with Scene(installation, CHANGE, {"resume": True}) as scene:
        prepared(scene, visibility, way)
        run = scene.run if way == "withheld note" else scene.script  # the first with all rules
        ended = run(asked(scene, way))
        assert ended.code == 0, plain(ended.log)
        outputs = public(scene, ended)
        assert {name for name, text in outputs.items() if WORD in text} == set()
        assert "→ Grep\n" in outputs["log"]
        assert WORD in ended.artifacts["transcript.jsonl"]
        assert "+fixed" in ended.artifacts["changes.patch"]
        assert f"The {WORD} is closed." in scene.replies()[-1]
        assert "hidden" not in scene.model.prompt().replace("is hidden", "")
        if visibility == "private":
            assert "Closes #5" in outputs["merge requests"]
            assert "+fixed" in outputs["commits"]
        else:
            assert scene.merge_requests() == []
            assert outputs["branches"].count("refs/heads/") == 1
            assert "Nothing was pushed" in scene.replies()[-1]


def test_the_search_finds_what_is_said_in_public(installation: Installation) -> None:
    with Scene(installation, CHANGE, {"resume": True}) as scene:
        prepared(scene, "public", "public")
        ended = scene.script(asked(scene, "public"))
        assert ended.code == 0, plain(ended.log)
        found = {name for name, text in public(scene, ended).items() if WORD in text}
        assert found == {"log", "notes", "merge requests", "commits", "cache"}


def test_what_the_include_lets_be_pushed_names_no_issue(installation: Installation) -> None:
    with Scene(installation, CHANGE, {"confidential_changes": "push"}) as scene:
        prepared(scene, "public", "confidential issue")
        ended = scene.script(asked(scene, "confidential issue"))
        assert ended.code == 0, plain(ended.log)
        outputs = public(scene, ended)
        assert {name for name, text in outputs.items() if WORD in text} == set()
        assert "+fixed" in outputs["commits"]
        (made,) = scene.merge_requests()
        assert made["title"] == "Draft: Changes for the project"
        for text in (made["description"], outputs["branches"], outputs["commits"]):
            assert "#5" not in text
            assert "issue-5" not in text
            assert "Co-authored-by: ada" not in text
        assert "assignee_id" not in outputs["merge requests"]


@pytest.mark.parametrize("way", WAYS[::2])
def test_a_failure_says_nothing_confidential_in_the_log(
    installation: Installation, way: str
) -> None:
    with Scene(installation, ANSWERED) as scene:
        prepared(scene, "public", way)
        pipeline = asked(scene, way)
        # With a reply of the trigger's: its first edit may fail, the last is the answer.
        method, times = ("POST", 1) if way.startswith("withheld") else ("PUT", 2)
        scene.gitlab.fault(f"{method} *notes*", *[Fault.status(500)] * times)
        ended = scene.script(pipeline)
        assert scene.gitlab.pending_faults == []
        assert ended.code == 3, plain(ended.log)
        assert WORD not in ended.log
    with Scene(installation, CHANGE, {"max_turns": 1}) as scene:
        prepared(scene, "public", way)
        ended = scene.script(asked(scene, way))
        assert ended.code == 1, plain(ended.log)
        assert WORD not in ended.log
        assert "max_turns" in ended.log
        assert "Claude stopped at the limit of 1 turns." in ended.artifacts["log.txt"]


PARROTED: dict[str, Any] = {"resume": True, "claude_version": ""}  # whatever stands there
JOBS = {
    "anthropic": {},
    "bedrock": {"provider": "bedrock", "region": "eu-central-1", "model": "eu.anthropic.claude-x"},
    "vertex": {"provider": "vertex", "region": "europe-west1", "model": "claude-opus-5-5"},
}


@pytest.mark.parametrize("row", readers.covering([row for row in readers.rows() if row.starts]))
def test_what_the_trigger_hands_over_leaves_the_job_in_no_output_for_others(
    installation: Installation, row: readers.Row
) -> None:
    with Scene(installation, [], PARROTED | JOBS[row.provider]) as scene:
        ended = parroted(scene, row)
        outputs = public(scene, ended, readers.ISSUE)
        if not row.secret:  # then the artifacts are for more people than the internal comment
            outputs |= ended.artifacts
        assert {name for name, text in outputs.items() if WORD in text} == set()
        assert ("greeting" in outputs["log"]) != row.secret
        assert row.secret == (WORD in ended.artifacts["transcript.jsonl"])


def test_the_search_finds_what_another_decision_would_say(installation: Installation) -> None:
    row = readers.PLAIN._replace(confidential=True)
    with Scene(installation, [], PARROTED) as scene:
        scene.runner.changed = {
            "return not self.internal or self.private": "return True or self.private",
            "return not self.internal\n": "return True\n",
        }
        outputs = public(scene, parroted(scene, row), readers.ISSUE)
        found = {name for name, text in outputs.items() if WORD in text}
        assert found == {"log", "merge requests", "commits", "cache"}


def parroted(scene: Scene, row: readers.Row) -> Ended:
    """Play the row up to the trigger call, then the job, with a client that says all it hears."""
    shutil.copy(PARROT, scene.runner.folder / "bin" / "claude")
    stage = readers.Stage(scene.gitlab, scene.number, f"glptt-{scene.number}")
    assert stage.play(row).leaks == []
    made = [each for each in scene.gitlab.pipelines.values() if each["project_id"] == scene.number]
    ended = scene.script(made[0])
    assert ended.code == 0, plain(ended.log)
    return ended


@pytest.mark.parametrize(
    ("first", "second"),
    [
        (True, False),
        pytest.param(False, True, marks=pytest.mark.whole),
        pytest.param(True, True, marks=pytest.mark.whole),
    ],
)
def test_no_conversation_goes_on_between_public_and_internal(
    installation: Installation,
    first: bool,
    second: bool,
) -> None:
    with Scene(installation, ANSWER, {"resume": True}) as scene:
        assert scene.script(scene.ask(f"@claude what is the {WORD}?", internal=first)).code == 0
        scene.runner.keep_cache()
        scene.model.requests.clear()
        ended = scene.script(scene.ask("@claude what was asked?", internal=second))
        assert ended.code == 0, plain(ended.log)
        messages = scene.model.conversation[0].body["messages"]
        assert "assistant" not in {message["role"] for message in messages}
        assert second or WORD not in json.dumps(messages)


def test_what_was_asked_internally_and_then_changed_is_not_run(installation: Installation) -> None:
    with Scene(installation, ANSWER) as scene:
        prepared(scene, "public", "withheld note")
        pipeline = asked(scene, "withheld note")
        newest = max(scene.gitlab.notes)
        scene.gitlab.notes[newest]["updated_at"] = pipeline["created_at"] + 60
        ended = scene.script(pipeline)
        assert ended.code == 4, plain(ended.log)
        assert scene.model.requests == []
        assert "Ask again in a new comment." in scene.reply()


def test_what_the_job_s_token_may_not_read_is_told(installation: Installation) -> None:
    with Scene(installation, ANSWER) as scene:
        prepared(scene, "public", "withheld note")
        pipeline = asked(scene, "withheld note")
        scene.gitlab.remove_note(scene.gitlab.notes[max(scene.gitlab.notes)])
        ended = scene.script(pipeline)
        assert ended.code == 3, plain(ended.log)
        assert "GITLAB_ACCESS_TOKEN" in "".join(scene.replies())


def test_a_secret_leaves_the_job_in_no_output(installation: Installation) -> None:
    """Not in the spellings that it is asked for, either; a file that would hold it is named."""
    other = "glpat-" + "Ab1_" * 5
    text = f"Title: Add {MODEL_KEY}\n\nIt is {MODEL_KEY}, {MODEL_KEY[::-1]}, npm-canary, {other}."
    content = f"{MODEL_KEY.encode().hex()}\nmode = production\n"
    turns: list[Turn] = [
        [
            use("TodoWrite", todos=[TODO | {"content": MODEL_KEY}]),
            use("Write", file_path="a.txt", content=content),
        ],
        [say(text)],
    ]
    inputs = {"environment": "NPM_TOKEN, NODE_ENV:plain"}
    with Scene(installation, turns, inputs) as scene:
        scene.runner.variables |= {"NPM_TOKEN": "npm-canary", "NODE_ENV": "production"}
        ended = scene.script(scene.ask("@claude tell"))
        assert ended.code == 0, plain(ended.log)
        said = scene.everything_said(ended) + scene.git("log", "--all", "-p")
        found = (MODEL_KEY, MODEL_KEY[::-1], MODEL_KEY.encode().hex(), "npm-canary", other)
        assert [value for value in found if value in said] == []
        assert "would hold a secret of the job in `a.txt`" in scene.reply()
        assert "Nothing was pushed; the reply says why." in ended.log
        assert "+mode = production" in ended.artifacts["changes.patch"]
        assert scene.merge_requests() == []
