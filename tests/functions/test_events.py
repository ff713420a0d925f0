"""Every case of data/events.json, each vintage of GitLab's payloads, through the front ends of all three platforms.

What no front end can show (a call that fails on its way, a setting of its own) is shown by dispatch on the stand-in.
"""

import json
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest

from functions.local import handlers
from shared.installation.readers import SettingsError
from shared.installation.secrets import SecretError
from shared.outcome import messages
from shared.outcome.reasons import Reason
from shared.runs.record import ATTEMPTS
from tests import DATA
from tests.functions.test_platforms import PLATFORMS
from tests.support import canaries
from tests.support import event_cases as cases
from tests.support.event_cases import NO_ENTRY, NOTHING, OURS, PLAYS, RUN, Scene
from tests.support.event_checks import GITLAB_SECRETS, MORE, TRIGGER, Played, Worker
from tests.support.fakes import SECRET_TOKEN, SIGNING_TOKEN, WEBHOOK_SECRETS
from tests.support.gitlab import contract
from tests.support.gitlab.deliveries import sign, with_token
from tests.support.gitlab.server import Fault, GitLab
from tests.support.gitlab.vintages import VINTAGES
from tests.support.platforms.aws import Aws
from tests.support.platforms.gcp import INVOKER, QUEUE, Function, Gcp, request
from tests.support.platforms.local import Local

CASES = json.loads((DATA / "events.json").read_text())
TOKENS_ONLY = json.dumps({"secret_tokens": [SECRET_TOKEN]})
OTHER_TOKEN = "whsec_" + "A" * 43 + "="


NO_MEMBER = "not_a_member"


@pytest.fixture(params=PLATFORMS, scope="module")
def played(request: pytest.FixtureRequest) -> Iterator[Played]:
    with GitLab() as gitlab:
        settings = cases.SETTINGS
        with request.param(gitlab.url, WEBHOOK_SECRETS, GITLAB_SECRETS, **settings) as platform:
            yield Played(platform, gitlab)
        assert not gitlab.unknown_calls
        assert not [
            problem for call in gitlab.calls if not call.fault for problem in contract.check(call)
        ]


# --- what the front ends show ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("case", PLAYS)
def test_a_case_ends_as_it_should(played: Played, case: str) -> None:
    found = played.told(case)
    assert len(found) == sum(
        len(play.vintages) if played.all_vintages else 1 for play in PLAYS[case]
    )
    for told in found:
        reasons = {answer["reason"] for answer in told.answers}
        assert reasons == {told.play.answered}
        runs = {answer["run"] for answer in told.answers} - {None}
        assert bool(runs) == (told.play.answered == "queued")
        end = told.play.end
        assert sorted(start["ai_flow"]["id"] for start in told.starts) == (
            sorted(runs) if end == RUN else []
        )
        replies = 0 if end in (NOTHING, NO_ENTRY) else len(runs)
        # Who is no member is told once in ten minutes; comments carried out at once hear it each.
        assert len(told.notes) == replies or (end == NO_MEMBER and not told.notes)
        sentence = "Claude is on it" if end == RUN else messages.REASONS.get(end.upper(), ("",))[0]
        assert all(sentence in note["body"] for note in told.notes)
        if case in MORE:
            MORE[case](played, told)
    turned_away = [told.notes for told in found if told.play.end == NO_MEMBER]
    assert any(turned_away) or not turned_away


# --- what the front ends show of headers and secrets -----------------------------------------------------------------


def body_in_base64(played: Played) -> None:
    """E041: AWS sends every body so when told to; `PLAYS` shows the same comment as text on all platforms."""
    if isinstance(played.platform, Aws):
        played.platform._url.encodes = True
    headers, body = played.new("@claude räum auf 🧹")
    assert reason(played, headers, body) == (202, "queued")
    if isinstance(played.platform, Aws):
        played.platform._url.encodes = False


def header_names_in_any_case(played: Played) -> None:
    headers, body = played.new()
    for write in (str.upper, str.lower, str.title):
        assert reason(played, {write(name): value for name, value in headers.items()}, body) == (
            202,
            "queued",
        )


def a_wrong_token(played: Played) -> None:
    headers, body = played.new()
    wrong = with_token({**headers, "webhook-signature": ""}, "canary-of-a-wrong-token")
    assert reason(played, wrong, body) == (401, "signature_missing")
    wrong = sign(headers, body, OTHER_TOKEN)
    assert reason(played, wrong, body) == (401, "signature_wrong")
    assert not canaries.found_in(
        played.platform.output(), ["canary-of-a-wrong-token", *canaries.SECRETS]
    )


def a_token_that_is_not_ascii(played: Played) -> None:
    headers, body = played.new()
    strange = "é".encode().decode("latin-1")
    assert reason(played, with_token({**headers, "webhook-signature": ""}, strange), body) == (
        401,
        "signature_missing",
    )
    assert reason(played, {**headers, "webhook-signature": f"v1,{strange}"}, body) == (
        401,
        "signature_wrong",
    )


def six_minutes_old(played: Played) -> None:
    headers, body = played.new()
    assert reason(played, sign(headers, body, SIGNING_TOKEN, time.time() - 360), body) == (
        401,
        "signature_stale",
    )


def two_signatures(played: Played) -> None:
    headers, body = played.new()
    both = (
        sign(headers, body, OTHER_TOKEN)["webhook-signature"] + " " + headers["webhook-signature"]
    )
    assert reason(played, {**headers, "webhook-signature": both}, body) == (202, "queued")


def no_secret(played: Played) -> None:
    if isinstance(played.platform, Local):
        does_not_start("{}")
        return
    with cold(played, "{}") as send:
        headers, body = played.new()
        assert send(headers, body) == 503
        bare = {name: value for name, value in headers.items() if name != "webhook-signature"}
        assert send(bare, body) == 401


def secrets_denied(played: Played) -> None:
    if isinstance(played.platform, Local):  # its secrets are in its environment: there, or not
        does_not_start("")
        return
    with cold(played, "") as send:
        assert send(*played.new()) == 503
    assert not canaries.found_in(played.platform.output())


FRONT: dict[str, Callable[[Played], None]] = {
    "E041": body_in_base64,
    "E042": header_names_in_any_case,
    "E043": no_secret,
    "E044": a_wrong_token,
    "E045": a_token_that_is_not_ascii,
    "E047": six_minutes_old,
    "E048": two_signatures,
    "E055": secrets_denied,
}


def does_not_start(document: str) -> None:
    with pytest.raises((SettingsError, SecretError), match="WEBHOOK_SECRETS"):
        handlers.Local({"WEBHOOK_SECRETS": document, "GITLAB_SECRETS": GITLAB_SECRETS})


def reason(played: Played, headers: dict[str, str], body: bytes) -> tuple[int, str]:
    answer = played.platform.deliver("POST", headers, body)
    return answer.status, json.loads(answer.body)["reason"]


@contextmanager
def cold(played: Played, document: str) -> Iterator[Callable[[dict[str, str], bytes], int]]:
    """Give a way to a fresh front end whose secret holds this document, or may not be read where that is empty."""
    platform = played.platform
    with ExitStack() as stack:
        if isinstance(platform, Aws):
            store = platform._client("secretsmanager")
            store.put_secret_value(
                SecretId=platform._webhook, SecretString=document or WEBHOOK_SECRETS
            )
            if not document:
                stack.enter_context(platform.faulty("secrets", "fail"))
            platform.cold_start()
            stack.callback(
                store.put_secret_value, SecretId=platform._webhook, SecretString=WEBHOOK_SECRETS
            )
            yield lambda headers, body: platform.deliver("POST", headers, body).status
        elif isinstance(platform, Gcp):
            folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
            secret = folder / "webhook"
            if document:
                secret.write_text(document)
            environment = {
                "GITLAB_URL": platform.gitlab_url,
                "CLOUD_TASKS_ENDPOINT": platform.tasks.url,
                "QUEUE": QUEUE,
                "DISPATCH_URL": platform.dispatch.url,
                "INVOKER_SERVICE_ACCOUNT": INVOKER,
                "WEBHOOK_SECRETS_FILE": str(secret),
            }
            function = Function("receive", folder, **environment)
            stack.callback(function.stop)
            function.wait_until_it_answers()
            yield lambda headers, body: request(function.port, "POST", headers, body).status


@pytest.mark.parametrize("case", FRONT)
def test_a_case_of_headers_and_secrets(played: Played, case: str) -> None:
    FRONT[case](played)


def test_older_gitlabs_come_with_a_secret_token() -> None:
    with GitLab() as gitlab, Local(gitlab.url, TOKENS_ONLY, GITLAB_SECRETS) as local:
        cases.seed(gitlab)
        for vintage in VINTAGES:
            [(headers, body)] = Scene(gitlab, vintage).said()
            assert local.deliver("POST", with_token(headers, SECRET_TOKEN), body).status == 202
            for wrong in ("canary-of-a-wrong-token", "é".encode().decode("latin-1"), ""):
                answer = local.deliver("POST", with_token(headers, wrong), body)
                assert (
                    answer.status,
                    json.loads(answer.body)["reason"] in ("token_wrong", "unsigned"),
                ) == (401, True)
        local.settle()
        assert len(gitlab.pipelines) == len(VINTAGES)
        assert "canary-of-a-wrong-token" not in local.output()


# --- what dispatch shows ---------------------------------------------------------------------------------------------


def an_external_user() -> None:
    with Worker() as worker:
        worker.gitlab.users[OURS].admin = True  # only administrators are told
        worker.gitlab.users[cases.ADA].external = True
        assert worker.carry(*Scene(worker.gitlab, "19").said()) is Reason.EXTERNAL_USER
        assert not worker.gitlab.pipelines
        assert len(worker.replies) == 1


def a_source_branch_that_is_gone() -> None:
    with Worker(PIPELINE_REF="source") as worker:
        assert (
            worker.carry(*PLAYS["E034"][0].make(Scene(worker.gitlab, "19"))) is Reason.REF_NOT_FOUND
        )
        assert not worker.gitlab.pipelines
        assert [messages.REASONS["REF_NOT_FOUND"][0] in reply for reply in worker.replies] == [True]


def trigger_calls_that_fail() -> None:
    for faults, waits in (
        ([Fault.status(429, retry_after=40)], [40]),
        (
            [
                Fault.status(
                    400, message={"base": ["Too many pipelines created in the last minute."]}
                )
            ],
            [60],
        ),
        (
            [Fault.status(502), Fault.status(503)],
            [75, 75],
        ),  # it may have acted: so long GitLab may take to settle
        ([Fault.reset_before()], [75]),
    ):
        with Worker() as worker:
            worker.gitlab.fault(TRIGGER, *faults)
            assert worker.carry(*Scene(worker.gitlab, "19").said()) is Reason.TRIGGERED
            assert worker.waits == waits
            assert len(worker.gitlab.pipelines) == len(worker.replies) == 1
    with Worker() as worker:  # for ever
        worker.gitlab.fault(TRIGGER, *[Fault.status(429)] * ATTEMPTS)
        assert worker.carry(*Scene(worker.gitlab, "19").said()) is Reason.DEAD_LETTER
        assert not worker.gitlab.pipelines
        assert [messages.REASONS["DEAD_LETTER"][0] in reply for reply in worker.replies] == [True]


def an_answer_that_never_came() -> None:
    for fault in (Fault.act_then_reset(), Fault.status(504, acts=True), Fault.broken_json()):
        with Worker() as worker:
            worker.gitlab.fault(TRIGGER, fault)
            assert worker.carry(*Scene(worker.gitlab, "19").said()) is Reason.TRIGGERED
            assert len(worker.waits) == len(worker.gitlab.pipelines) == len(worker.replies) == 1


DISPATCH: dict[str, Callable[[], None]] = {
    "E016": an_external_user,
    "E034": a_source_branch_that_is_gone,
    "E054": trigger_calls_that_fail,
    "E056": an_answer_that_never_came,
}


@pytest.mark.parametrize("case", DISPATCH)
def test_a_case_of_dispatch(case: str) -> None:
    DISPATCH[case]()


def test_every_case_is_asserted_by_its_id() -> None:
    assert {case["id"] for case in CASES} == PLAYS.keys() | FRONT.keys() | DISPATCH.keys()
