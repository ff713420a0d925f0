"""`make demo`: a recorded GitLab comment becomes a pipeline, with nothing outside this machine."""

import json
import sys
import time
from typing import Any

from tests import DATA
from tests.support.gitlab.deliveries import headers, minified, sign
from tests.support.gitlab.server import Call, GitLab
from tests.support.platforms.local import Local

RECORDED = DATA / "payloads" / "fedora-w2fm-note-issue-2025.json"
SIGNING_TOKEN = "whsec_MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY="
API_TOKEN, TRIGGER_TOKEN = "glpat-demo", "glptt-demo"
QUESTION = "@claude why does this fail?\n\nIt costs $5 and prints $ANTHROPIC_API_KEY on %PATH%."
STRANGER = 4711


class Demo:
    """The local platform in front of the GitLab stand-in, and what was seen of them."""

    def __init__(self, gitlab: GitLab, local: Local) -> None:
        self.gitlab, self.local = gitlab, local
        self.recorded: dict[str, Any] = json.loads(RECORDED.read_text())
        self.failed: list[str] = []

    def expect(self, what: str, *, happened: bool) -> None:
        """Show what happened, or that it did not."""
        say(f"   {'✔' if happened else '✘'} {what}")
        if not happened:
            self.failed.append(what)

    def send(
        self, text: str | None = None, author: int | None = None, *, forged: bool = False
    ) -> tuple[int, str]:
        """Deliver the recorded comment, or another text or author; return status and reason."""
        payload = json.loads(json.dumps(self.recorded))
        note = payload["object_attributes"]
        author = author or note["author_id"]
        written = self.gitlab.note(
            payload["project_id"], "issue", 1, author_id=author, body=text or note["note"]
        )
        note |= {
            "id": written["id"],
            "discussion_id": written["discussion_id"],
            "author_id": author,
        }
        note |= {"note": written["body"], "description": written["body"]}
        body = minified(payload)
        signed = sign(headers(self.gitlab, "Note Hook"), body, SIGNING_TOKEN)
        answer = self.local.deliver(
            "POST", signed, body.replace(b"Issue 1", b"Issue 2") if forged else body
        )
        said = json.loads(answer.body)
        say(
            f"   delivery: {len(body)} bytes, signed → {answer.status} {said['reason']} after {answer.seconds * 1000:.0f} ms"
        )
        return answer.status, said["reason"]

    def calls(self, began: float, since: int) -> None:
        """Show what the platform asked of GitLab."""
        for call in self.gitlab.calls[since:]:
            say(
                f"   {(call.time - began) * 1000:5.0f} ms  {call.method} {call.path} → {call.status}"
            )

    def replies(self, since: int) -> list[str]:
        """Return what our own user has written in the thread since."""
        own = self.gitlab.api_tokens[API_TOKEN][0]
        return [
            note["body"]
            for note in list(self.gitlab.notes.values())[since:]
            if note["author_id"] == own
        ]


def say(line: str) -> None:
    """Show a line at once."""
    print(line, flush=True)


def mention(demo: Demo) -> None:
    """A developer asks."""
    say(
        f"1. A developer writes in an issue:\n\n      {QUESTION.replace(chr(10), chr(10) + '      ')}\n"
    )
    began, notes = time.time(), len(demo.gitlab.notes)
    status, _ = demo.send(QUESTION)
    demo.local.settle()
    demo.calls(began, 0)
    triggers = [
        call
        for call in demo.gitlab.calls
        if call.path.endswith("/trigger/pipeline") and call.status == 201
    ]
    demo.expect("202: the mention is stored", happened=status == 202)
    demo.expect("one pipeline", happened=len(demo.gitlab.pipelines) == len(triggers) == 1)
    demo.expect(
        "👀 on the comment",
        happened=[award["name"] for award in demo.gitlab.emoji.values()] == ["eyes"],
    )
    for reply in demo.replies(notes):
        say(f"\n      {reply.partition(chr(10))[0]}\n")
    demo.expect(
        "one reply with the pipeline's link",
        happened="/-/pipelines/" in "".join(demo.replies(notes)),
    )
    if triggers:
        handover(demo, triggers[0])


def handover(demo: Demo, call: Call) -> None:
    """What the job gets."""
    variables, flow = call.json["variables"], call.json["ai_flow"]
    say("\n   The trigger call hands over, for jobs that others wrote:\n")
    for name in ("AI_FLOW_INPUT", "AI_FLOW_CONTEXT", "AI_FLOW_EVENT"):
        say(f"      {name}={variables[name].replace(chr(10), chr(10) + '      ')}")
    say("\n   and for ours, in the file TRIGGER_PAYLOAD, which GitLab does not expand:\n")
    say(f"      ai_flow.input={json.dumps(flow['input'])}\n")
    whole = flow["input"] == QUESTION.removeprefix("@claude ")
    demo.expect("our job gets the question to the letter, secrets' names and all", happened=whole)
    surroundings = flow["context"]
    known = (
        not surroundings["unread"]
        and surroundings["issue"]["title"] == demo.recorded["issue"]["title"]
    )
    demo.expect("and the issue it stands in, read from GitLab", happened=known)
    demo.expect(
        "no token is among the variables", happened="glp" not in json.dumps([variables, flow])
    )


def nothing(demo: Demo) -> None:
    """Three deliveries that start nothing."""
    say("\n2. The recorded comment itself, which mentions nobody:")
    demo.expect("ignored: no_mention", happened=demo.send() == (200, "no_mention"))
    say("\n3. A delivery whose body was changed on the way:")
    demo.expect(
        "refused: signature_wrong",
        happened=demo.send(QUESTION, forged=True) == (401, "signature_wrong"),
    )
    say("\n4. Somebody who is no member of the project asks:")
    began, since, notes = time.time(), len(demo.gitlab.calls), len(demo.gitlab.notes)
    demo.send(QUESTION, STRANGER)
    demo.local.settle()
    demo.calls(began, since)
    told = "".join(demo.replies(notes))
    say(f"\n      {told.partition(chr(10))[0]}\n")
    demo.expect("told why in the thread: not_a_member", happened="Only members" in told)
    demo.expect("still one pipeline", happened=len(demo.gitlab.pipelines) == 1)


def main() -> int:
    """Run the demo; return 0 only if all of it happened."""
    webhook = json.dumps({"signing_tokens": [SIGNING_TOKEN]})
    tokens = json.dumps({"api_token": API_TOKEN, "trigger_tokens": {"*": TRIGGER_TOKEN}})
    with GitLab() as gitlab, Local(gitlab.url, webhook, tokens) as local:
        demo = Demo(gitlab, local)
        project, author = (
            demo.recorded["project_id"],
            demo.recorded["object_attributes"]["author_id"],
        )
        gitlab.project(project, demo.recorded["project"]["path_with_namespace"])
        gitlab.user(author, demo.recorded["user"]["username"])
        gitlab.user(STRANGER, "stranger")
        gitlab.user(1, "claude", bot=True)
        gitlab.member(project, author, 30)
        gitlab.member(project, 1, 40)
        gitlab.api_token(API_TOKEN, 1)
        gitlab.trigger_token(TRIGGER_TOKEN, project, 1)
        texts = {name: demo.recorded["issue"][name] for name in ("title", "description")}
        gitlab.issue(project, 1, **texts)
        say(f"GitLab's stand-in: {gitlab.url}    the local platform: {local.url}\n")
        mention(demo)
        nothing(demo)
    say(
        "\nAll of it happened."
        if not demo.failed
        else f"\n{len(demo.failed)} of it did not happen."
    )
    return 1 if demo.failed else 0


if __name__ == "__main__":
    sys.exit(main())
