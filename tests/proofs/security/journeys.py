"""A delivery on its whole way, `receive` then `dispatch`, between fakes. It judges nothing."""

import json
from collections.abc import Mapping
from contextlib import suppress
from functools import cache
from typing import Any

from shared.dispatch import dispatch
from shared.gitlab.port import GitLab
from shared.incoming import mention
from shared.installation.settings import Settings
from shared.outcome.reasons import Retry
from shared.receive import Answer, receive
from shared.runs.request import RunRequest, from_json
from tests.support import fakes


@cache
def settings(**environment: str) -> Settings:
    """Return settings, read once: without a limit per day unless one is given."""
    return fakes.settings(**({"RUNS_PER_DAY": "0"} | environment))


def received(
    payload: Mapping[str, Any],
    clock: fakes.Clock | None = None,
    headers: Mapping[str, str] | None = None,
    **environment: str,
) -> tuple[Answer, list[RunRequest]]:
    """Deliver a payload, signed, and more headers; return the answer and what the queue holds."""
    now = clock or fakes.Clock()
    queue, delivery = fakes.Queue(), fakes.delivery(json.dumps(payload).encode(), now())
    delivery = delivery._replace(headers={**delivery.headers, **(headers or {})})
    tokens, log = fakes.tokens(now=now), fakes.Log()
    answer = receive(
        delivery, settings=settings(**environment), secrets=tokens, queue=queue, now=now, log=log
    )
    back = [from_json(run.to_json()) for run in queue.runs]
    return answer, [run for run in back if isinstance(run, RunRequest)]


def carry(
    run: RunRequest,
    gitlab: GitLab,
    clock: fakes.Clock,
    records: fakes.Records | None = None,
    **environment: str,
) -> object:
    """Dispatch a request once; return how it ended, None where it is to come again.

    A GitLab in memory has the comment that the request was made of.
    """
    if isinstance(gitlab, fakes.GitLab):
        gitlab.hears(run)
    services: Any = fakes.services(gitlab, records or fakes.Records(), clock, fakes.Log())  # type: ignore[arg-type]
    with suppress(Retry):
        return dispatch(run, services._replace(settings=settings(**environment)))
    return None


def trigger_body(payload: Mapping[str, Any]) -> tuple[dict[str, Any], str] | None:
    """Return the trigger call's body for a payload, and the instruction as a reader sees it.

    An instruction too long for the queue is read again, and counts as queued. None: there is no
    pipeline.
    """
    answer, runs = received(payload)
    if answer.status != 202:
        return None
    gitlab = fakes.GitLab()
    said = payload["object_attributes"]
    # No store has half a pair.
    gitlab.said[said["id"]] = said["note"].encode("utf-8", "replace").decode()
    carry(runs[0], gitlab, fakes.Clock())
    if not gitlab.triggered:
        return None
    body: dict[str, Any] = gitlab.triggered[0][2]
    queued = runs[0].instruction
    return body, body["ai_flow"]["input"] if queued is None else mention.sanitized(
        queued, settings().phrases
    )
