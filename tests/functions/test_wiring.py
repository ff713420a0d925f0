"""What the handlers of all platforms share, over fakes; and that it costs `receive` nothing."""

import json
import subprocess
import sys
from contextlib import suppress
from datetime import datetime
from typing import Any

import pytest

from functions import wiring
from functions.gitlab import GitLab
from functions.wiring import Installation, read_settings
from shared.incoming.delivery import Delivery
from shared.installation.readers import SettingsError
from shared.outcome.reasons import Reason, Retry
from tests import ROOT
from tests.support import fakes
from tests.support.catalogues import spoken

WHAT = {"QUEUE_URL": "the queue's URL", "TABLE": "the table's name"}


class Stage:
    """An installation on fakes whose secrets count how often they are read."""

    def __init__(self, **settings: str) -> None:
        self.queue, self.records = fakes.Queue(), fakes.Records()
        self.clock, self.log, self.read = fakes.Clock(), fakes.Log(), list[str]()
        self.installation = Installation(
            fakes.settings(**settings),
            queue=self.queue,
            records=self.records,
            webhook_secrets=lambda: self._secret("webhook", fakes.WEBHOOK_SECRETS),
            gitlab_secrets=lambda: self._secret("gitlab", fakes.GITLAB_SECRETS),
            log=self.log,
            now=self.clock,
        )

    def _secret(self, name: str, document: str) -> str:
        self.read.append(name)
        return document


@pytest.mark.parametrize("missing", WHAT)
def test_a_function_s_own_variable_that_is_missing_is_named_first(missing: str) -> None:
    environment = {name: "set" for name in WHAT if name != missing} | {"MINIMUM_ROLE": "king"}
    with pytest.raises(SettingsError, match=f"^{missing}: found None, expected {WHAT[missing]}"):
        read_settings(environment, WHAT)


def test_settings_are_read_where_nothing_is_missing() -> None:
    environment = dict.fromkeys(WHAT, "set") | {"GITLAB_URL": "https://gitlab.example"}
    assert read_settings(environment, WHAT).gitlab_url == "https://gitlab.example"
    with pytest.raises(SettingsError, match="MINIMUM_ROLE"):
        read_settings(environment | {"MINIMUM_ROLE": "king"}, WHAT)


def test_receive_answers_by_the_core_and_reads_the_secret_when_one_is_needed() -> None:
    stage = Stage()
    unsigned = fakes.delivery(fakes.payload())._replace(headers={})
    assert stage.installation.receive(unsigned).status == 401
    assert stage.read == []
    assert stage.installation.receive(fakes.delivery(fakes.payload())).status == 202
    assert stage.queue.runs == [fakes.run()]
    assert stage.read == ["webhook"]
    assert [fields["reason"] for _, fields in stage.log.lines] == ["queued"]


def test_what_is_refused_is_counted_and_told_once_a_second() -> None:
    stage = Stage()
    unsigned = fakes.delivery()._replace(headers={})
    forged = unsigned._replace(headers=fakes.sign(b"other"))
    stale = unsigned._replace(headers=fakes.sign(unsigned.body, fakes.NOW - 1000))

    def told(*deliveries: Delivery) -> list[tuple[str, Any]]:
        stage.log.lines.clear()
        for each in deliveries:
            stage.installation.receive(each)
        return list(stage.log.lines)

    def line(reason: str, count: int) -> tuple[str, Any]:
        return "WARNING", {"outcome": "refused", "reason": reason, "count": count}

    assert told(unsigned) == []  # one stray request loads no logger
    assert told(forged, stale, forged, forged) == [line("signature_wrong", 1)]
    stage.clock.time += 0.9
    assert told(forged, unsigned, stale) == []
    stage.clock.time += 0.1
    assert told(forged, forged) == [line("signature_stale", 2)]
    stage.clock.time += 1
    assert told(unsigned, forged) == [line("signature_wrong", 5)]
    stage.clock.time += 1
    assert told(unsigned, unsigned) == [line("signature_wrong", 1)]
    stage.clock.time += 1
    assert told(unsigned) == [line("unsigned", 6)]
    assert told(fakes.delivery())[0][1]["outcome"] == "queued"


def test_dispatch_reads_the_request_and_tells_the_core_whether_it_is_the_last(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    stage, given = Stage(), list[Any]()

    def dispatch(*arguments: object, **options: object) -> Reason:
        given.append((*arguments, options))
        return Reason.TRIGGERED

    monkeypatch.setattr("shared.dispatch.dispatch", dispatch)
    for last in (False, True):
        body = fakes.run().to_json()
        assert stage.installation.dispatch(body, last=last) is Reason.TRIGGERED
        assert stage.installation.dispatch(body.encode(), last=last) is Reason.TRIGGERED
    services = stage.installation.services
    assert given == [(fakes.run(), services, {"last": last}) for last in (0, 0, 1, 1)]


def test_a_message_that_cannot_be_read_is_named_and_comes_again_up_to_its_dead_letter() -> None:
    stage = Stage()
    for last in (False, True):
        stage.log.lines.clear()
        with suppress(Retry):
            stage.installation.dispatch('{"canary": 1}', last=last, name="message-7")
        ends = ["request_unreadable", "dead_letter"][: 1 + last]
        assert [line["reason"] for _, line in stage.log.lines] == ends
        assert {line["message_id"] for _, line in stage.log.lines} == {"message-7"}
        assert "canary" not in str(stage.log.lines)
    assert stage.installation.sweep({"replay": "all"}) == {"replayed": []}  # it is kept


def test_sweep_carries_out_a_task() -> None:
    assert Stage().installation.sweep({"replay": ["unknown"]}) == {"replayed": []}


def test_services_are_made_once_of_what_the_platform_gave() -> None:
    stage = Stage()
    services = stage.installation.services
    assert services is stage.installation.services
    assert isinstance(services.gitlab, GitLab)
    assert (services.records, services.now, services.log) == (
        stage.records,
        stage.clock,
        stage.log,
    )
    assert stage.read == []
    assert services.secrets.get().api_token.reveal() == fakes.API_TOKEN


def test_a_defect_is_logged_by_its_class_alone() -> None:
    stage = Stage()
    stage.installation.log_defect(KeyError("canary"))
    assert stage.log.lines == [("ERROR", {"reason": "defect", "error": "KeyError"})]


def test_what_stands_behind_the_queue_is_not_loaded_at_cold_start() -> None:
    program = (
        "import json, sys; known = set(sys.modules); import functions.wiring;"
        "print(json.dumps(sorted(set(sys.modules) - known)))"
    )
    ran = subprocess.run(
        [sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=True
    )
    loaded = set(json.loads(ran.stdout))
    assert wiring.__name__ in loaded
    assert not loaded & {"shared.dispatch", "shared.sweep", "shared.services", "functions.gitlab"}
    assert "shared.outcome.messages_zh_cn" not in loaded
    roots = {name.partition(".")[0] for name in loaded}
    assert roots - sys.stdlib_module_names == {"functions", "shared"}


def test_a_model_that_ends_soon_is_warned_of_once_a_day_before_and_after_its_end() -> None:
    stage = Stage(MODEL_PROVIDER="anthropic", MODEL="claude-opus-4-5-20251101")
    told = []
    for day in ("2026-11-22", "2026-11-23", "2026-11-24", "2027-01-23"):
        stage.clock.time = datetime.fromisoformat(f"{day}T12:00Z").timestamp()
        stage.log.lines.clear()
        for _ in range(3):
            stage.installation.sweep({})
        lines = [fields for severity, fields in stage.log.lines if severity == "WARNING"]
        told.append([line["error"] for line in lines if line["reason"] == "model_retires"])
    assert told[0] == []
    assert told[1] == [
        (
            "MODEL: claude-opus-4-5-20251101 retires on 2027-01-22, in 60 days; change to a newer one,"
            " such as claude-opus-5-5."
        )
    ]
    assert len(told[2]) == 1
    assert "retired on 2027-01-22; set one that answers" in str(told[3])


def test_an_installation_speaks_its_language() -> None:
    with spoken("en"):
        Stage(LANGUAGE="zh-CN")
        assert Reason.BOT_AUTHOR.sentence == "这条评论由机器人发出。"
        Stage()
        assert Reason.BOT_AUTHOR.sentence == "A bot wrote the comment."
