"""What Claude is doing, as log and reply show it."""

from typing import Any

import pytest

from job.job_log import Log
from job.progress import Progress


class Watched:
    """Progress with a clock to set; `lines` is the log, `shown` every text for the reply."""

    def __init__(self) -> None:
        self.now = 0.0
        self.lines: list[str] = []
        self.shown: list[str] = []
        self.log = Log(self.lines.append, lambda: 0.0)
        self.progress = Progress(self.log, lambda: self.now, self.shown.append, "job 9")

    def at(self, seconds: float, event: dict[str, Any]) -> None:
        self.now = seconds
        self.progress.event(event)


def said(*blocks: object, by: str = "assistant") -> dict[str, Any]:
    return {"type": by, "message": {"content": list(blocks)}}


def tool(name: str, given: object) -> dict[str, Any]:
    return said({"type": "tool_use", "name": name, "input": given})


def todo(content: str) -> dict[str, Any]:
    return tool("TodoWrite", {"todos": [{"content": content, "status": "pending"}]})


def test_the_to_do_list_is_shown_at_most_every_fifteen_seconds() -> None:
    watched = Watched()
    watched.at(0.0, todo("one"))
    assert watched.shown == []
    watched.at(15.0, {"type": "system"})
    watched.at(29.0, todo("two"))
    watched.at(31.0, todo("three"))
    watched.at(60.0, {"type": "system"})
    assert [text.rpartition(" ")[2] for text in watched.shown] == ["one", "three"]


def test_each_step_is_a_line_of_the_log() -> None:
    watched = Watched()
    watched.at(0.0, said({"type": "text", "text": "I look."}))
    watched.at(0.0, tool("Read", {"file_path": "app.py", "limit": 5}))
    watched.at(0.0, tool("TodoWrite", {"todos": []}))
    failed = {"type": "tool_result", "is_error": True, "content": "no such file"}
    watched.at(0.0, said(failed, {"type": "text", "text": "a person's"}, by="user"))
    assert watched.lines == ["I look.\n", "→ Read app.py\n", "→ TodoWrite\n", "  ✗ no such file\n"]


def test_models_and_version_are_what_the_client_says_in_the_form_of_such() -> None:
    watched = Watched()
    start = {"type": "system", "subtype": "init", "model": "claude-a", "claude_code_version": "2.1"}
    watched.at(0.0, start)
    assert (watched.progress.models, watched.progress.version) == (("claude-a",), "2.1")
    used: dict[str, object] = {"claude-a": {}, "eu.b-v1:0": {}, "x\nClaude-Run: forged": {}}
    watched.at(0.0, {"type": "result", "modelUsage": used})
    assert watched.progress.models == ("claude-a", "eu.b-v1:0")
    another = Watched()
    another.at(0.0, start | {"claude_code_version": "2\nX: y", "model": ["x"]})
    assert (another.progress.models, another.progress.version) == ((), "")


def test_where_only_steps_are_said_no_word_and_no_argument_is() -> None:
    watched = Watched()
    watched.log.say_steps_only("quiet")
    watched.lines.clear()
    watched.at(0.0, said({"type": "text", "text": "CANARY"}))
    watched.at(0.0, tool("Grep", {"pattern": "CANARY"}))
    watched.at(0.0, tool("CANARY", {}))
    watched.at(0.0, said({"type": "tool_result", "is_error": True, "content": "CANARY"}, by="user"))
    assert watched.lines == ["→ Grep\n", "→ another tool\n", "  ✗\n"]


def test_a_secret_is_masked_before_a_text_is_cut() -> None:
    watched = Watched()
    watched.log.hide("canary-of-a-token")
    watched.at(0.0, tool("Read", {"file_path": "x" * 290 + "canary-of-a-token"}))
    watched.at(20.0, todo("canary-of-a-token"))
    assert "canary" not in "".join([*watched.lines, *watched.shown])


@pytest.mark.parametrize(
    "event",
    [
        {},
        {"message": 5},
        {"message": {"content": "x"}},
        said(5, {"type": "tool_use", "input": 5}),
        tool("TodoWrite", {"todos": "x"}),
        tool("TodoWrite", {"todos": [5, {}]}),
    ],
)
def test_an_event_of_another_shape_disturbs_nothing(event: dict[str, Any]) -> None:
    Watched().at(20.0, event)
