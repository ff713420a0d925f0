"""Reports about other triggers, played on this one: from the delivery to what GitLab is told."""

import json
import re
import time
from collections.abc import Iterator, Mapping
from typing import Any

import pytest

from functions.gitlab import GitLab as Adapter
from shared.dispatch import dispatch
from shared.incoming.delivery import Delivery
from shared.installation.secrets import Cached, GitLabSecrets
from shared.outcome.reasons import Retry
from shared.receive import Answer, receive
from shared.runs.request import RunRequest
from shared.services import Services
from tests import DATA
from tests.support import fakes
from tests.support.gitlab.server import Fault, GitLab
from tests.support.gitlab.told import know

CASES = json.loads((DATA / "reports.json").read_text())
PROJECT, DEV, OURS = 5, 7, 99
TOKEN = "held-out-secret-token"  # as the cases have it
MANY = 20  # more calls than a case makes


class Played:
    """One case on the stand-in: the answers of the front end, and what GitLab was told."""

    def __init__(self, case: Mapping[str, Any]) -> None:
        self.case, self.expected = case, case["expect"]
        self.answers: list[Answer] = []
        self.queue, self.records, self.log = fakes.Queue(), fakes.Records(), fakes.Log()
        with GitLab() as gitlab:
            self.gitlab = gitlab
            self.settings = fakes.settings(GITLAB_URL=gitlab.url, **case.get("settings", {}))
            self._seed()
            for number, sent in enumerate(case["deliveries"], 201):
                self._deliver(sent, number)
            secrets = Cached(lambda: fakes.GITLAB_SECRETS, GitLabSecrets.parse, time.time)
            adapter = Adapter(gitlab.url, secrets)
            self.services = Services(
                self.settings, secrets, self.records, adapter, time.time, self.log
            )
            self.waiting = [run for run in self.queue.runs if not self._ends(run)]

    def _seed(self) -> None:
        gitlab, sent = self.gitlab, self.case["deliveries"][0]
        gitlab.user(DEV, "dev")
        gitlab.user(OURS, "claude", bot=True)
        gitlab.api_token(fakes.API_TOKEN, OURS)
        path = sent.get("over", {}).get("project", {}).get("path_with_namespace", "g/p")
        gitlab.project(PROJECT, path)
        gitlab.trigger_token(fakes.TRIGGER_TOKEN, PROJECT, OURS)
        gitlab.member(PROJECT, DEV, 30)
        gitlab.member(PROJECT, OURS, 40)
        for scripted in self.case.get("gitlab_answers", []):
            data = json.dumps(scripted["body"]).encode()
            answer = (scripted["status"], (("Content-Type", "application/json"),), data)
            fault = Fault("scripted", acts=False, answer=answer)
            for path in globs(scripted["path"]):
                times = scripted.get("times", MANY)
                gitlab.fault(f"{scripted['method']} *{path}", *[fault] * times)

    def _deliver(self, sent: Mapping[str, Any], note_id: int) -> None:
        payload = payload_of(sent, note_id)
        know(self.gitlab, payload)
        given = {"X-Gitlab-Token": TOKEN, **sent.get("headers", {})}
        headers = {"x-gitlab-event": sent.get("event", "Note Hook")}
        # Of several headers with one name a front end makes one: RFC 9110, 5.2.
        headers |= {
            name.lower(): ",".join([text] if isinstance(text, str) else text)
            for name, text in given.items()
        }
        for _ in range(sent.get("repeat", 1)):
            self.answers.append(
                receive(
                    Delivery("POST", headers, json.dumps(payload).encode()),
                    settings=self.settings,
                    secrets=fakes.tokens(json.dumps({"secret_tokens": [TOKEN]})),
                    queue=self.queue,
                    now=time.time,
                    log=self.log,
                )
            )

    def _ends(self, run: RunRequest) -> bool:
        try:
            dispatch(run, self.services)
        except Retry:
            return False
        return True

    @property
    def starts(self) -> list[dict[str, Any]]:
        """The trigger calls that made a pipeline."""
        calls = [each for each in self.gitlab.calls if each.path.endswith("/trigger/pipeline")]
        return [call.json["ai_flow"] for call in calls if call.status == 201]

    @property
    def replies(self) -> list[str]:
        return [each["body"] for each in self.gitlab.notes.values() if each["author_id"] == OURS]


def globs(path: str) -> Iterator[str]:
    """Yield the stand-in's patterns for one of the cases."""
    stem = path.removesuffix("$")
    choice = re.search(r"\((.*)\)", stem)
    for each in choice[1].split("|") if choice else [""]:
        yield stem.replace(choice[0], each) if choice else stem


def payload_of(sent: Mapping[str, Any], note_id: int) -> dict[str, Any]:
    """Return a payload of its own, or that of a comment with what is told to be other in it."""
    if "payload" in sent:
        return dict(sent["payload"])
    made = fakes.payload(sent["note"], id=note_id, author_id=DEV)
    made |= {"project_id": PROJECT, "user": {"id": DEV, "name": "Dev", "username": "dev"}}
    made["project"] |= {"id": PROJECT, "path_with_namespace": "g/p"}
    for name, value in sent.get("over", {}).items():
        if value == "__remove__":
            del made[name]
        else:
            made[name] = {**made.get(name, {}), **value}
    return made


def named(case: Mapping[str, Any]) -> str:
    return str(case["title"])


@pytest.mark.parametrize("case", CASES, ids=named)
def test_what_went_wrong_elsewhere_is_right_here(case: Mapping[str, Any]) -> None:
    played = Played(case)
    expected, said = case["expect"], "\n".join(played.replies)
    told = [json.loads(answer.body) for answer in played.answers]
    statuses = [answer.status for answer in played.answers]
    assert statuses == expected.get("statuses", statuses)
    reasons = [each["reason"] for each in told]
    assert reasons == expected.get("reasons", reasons)
    assert len(played.starts) == expected["pipelines"]
    assert all(part in said for part in expected.get("reply_has", []))
    assert not [part for part in expected.get("reply_lacks", []) if part in said]
    assert len(played.replies) == expected.get("replies", len(played.replies))
    starts = played.starts
    assert [each["input"] for each in starts] == expected.get(
        "inputs", [each["input"] for each in starts]
    )
    commands = [each["command"] for each in starts]
    assert commands == expected.get("commands", commands)
    assert bool(played.waiting) == case.get("may_not_settle", False)
