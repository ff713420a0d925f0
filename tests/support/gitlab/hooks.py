"""Project webhooks: settings, the log of deliveries, sending one again; as lib/api/project_hooks.rb
answers.
"""
# ruff: noqa: TRY003  (the sentences are GitLab's)

import http.client
import json
import time
from urllib.parse import urlsplit

from . import deliveries, entities
from .records import MAINTAINER, Json, Record
from .routing import Answer, Refused, Request, invalid, no_record, refused, route
from .state import State

_HOOK = "projects/:id/hooks/:hook_id"
_SETTINGS = (
    "url", "name", "description", "enable_ssl_verification", "token", "signing_token",
    "push_events_branch_filter", "custom_webhook_template", "branch_filter_strategy",
    "custom_headers", "url_variables",
)  # fmt: skip
_FILTERS = {
    "successful": range(200, 300),
    "client_failure": range(400, 500),
    "server_failure": range(500, 600),
}
_TIMEOUT = 10.0  # GitLab's webhook_timeout
_FAILED = "internal error"  # what GitLab logs as the status when no answer came


_HOOK_EVENTS = (
    "push", "tag_push", "merge_requests", "repository_update", "issues", "confidential_issues",
    "note", "confidential_note", "pipeline", "wiki_page", "deployment", "feature_flag", "job",
    "releases", "milestone", "emoji", "resource_access_token",
)  # fmt: skip


def asks_for(hook: Record, event: str) -> bool:
    """Tell whether the hook wants this kind of event (`note`, `issues`, …); only pushes are on by
    default.
    """
    return hook.get(f"{event}_events", event == "push") in (True, "true", "1")


def _entity(record: Record) -> Json:
    """`Entities::ProjectHook`: says that tokens are set, never what they are."""
    return {
        **{name: record[name] for name in ("id", "url", "project_id")},
        "name": record.get("name"),
        "description": record.get("description"),
        "created_at": entities.iso(record["created_at"]),
        **{f"{name}_events": asks_for(record, name) for name in _HOOK_EVENTS},
        "enable_ssl_verification": bool(record.get("enable_ssl_verification", True)),
        "alert_status": record["alert_status"],
        "disabled_until": None,
        "url_variables": [],
        "push_events_branch_filter": record.get("push_events_branch_filter"),
        "branch_filter_strategy": record.get("branch_filter_strategy", "wildcard"),
        "custom_webhook_template": record.get("custom_webhook_template"),
        "custom_headers": [{"key": header["key"]} for header in record.get("custom_headers", [])],
        "token_present": bool(record.get("token")),
        "signing_token_present": bool(record.get("signing_token")),
    }


def _hook(state: State, request: Request) -> Record:
    project = request.project()
    request.require(project, MAINTAINER)
    hook = state.hooks.get(request.id("hook_id"))
    if hook is None or hook["project_id"] != project.id:
        raise no_record()
    return hook


def _settings(request: Request) -> Json:
    settings = {
        name: value
        for name, value in request.body.items()
        if name in _SETTINGS or name.endswith("_events")
    }
    if "url" in settings and not str(settings["url"]).startswith(("http://", "https://")):
        raise Refused(422, {"error": "Invalid url given"})
    if (token := settings.get("signing_token")) and deliveries.signing_key(token) is None:
        raise refused(422, {"signing_token": ["is invalid"]})
    if "\n" in str(settings.get("token", "")):
        raise refused(422, {"token": ["is invalid"]})
    return settings


@route("GET", "projects/:id/hooks")
def list_hooks(state: State, request: Request) -> Answer:
    """For Maintainers."""
    project = request.project()
    request.require(project, MAINTAINER)
    page, headers = request.page(
        [hook for hook in state.hooks.values() if hook["project_id"] == project.id]
    )
    return Answer(200, [_entity(hook) for hook in page], headers)


@route("POST", "projects/:id/hooks")
def create_hook(state: State, request: Request) -> Answer:
    """`push_events` is on by default; `signing_token` is `whsec_` and 32 bytes in base64."""
    project = request.project()
    request.require(project, MAINTAINER)
    request.text("url")
    settings = _settings(request)
    return Answer(201, _entity(state.hook(project.id, settings.pop("url"), **settings)))


@route("GET", _HOOK)
def show_hook(state: State, request: Request) -> Answer:
    """One hook."""
    return Answer(200, _entity(_hook(state, request)))


@route("PUT", _HOOK)
def update_hook(state: State, request: Request) -> Answer:
    """A new URL clears the secret token unless a new one comes with it; the signing token stays."""
    hook, settings = _hook(state, request), _settings(request)
    if settings.get("url", hook["url"]) != hook["url"]:
        hook["token"] = None
    hook.update(settings)
    return Answer(200, _entity(hook))


@route("DELETE", _HOOK)
def delete_hook(state: State, request: Request) -> Answer:
    """Gone, and its log with it."""
    hook = state.hooks.pop(_hook(state, request)["id"])
    for number in state.ids("hook events", hook["id"]):
        del state.hook_events[number]
    return Answer(204)


@route("GET", f"{_HOOK}/events")
def list_hook_events(state: State, request: Request) -> Answer:
    """The log, newest first; `per_page` beyond 20 is refused here."""
    hook = _hook(state, request)
    events = [state.hook_events[n] for n in reversed(state.ids("hook events", hook["id"]))]
    wanted = request.query.get("status")
    if wanted:
        words = wanted if isinstance(wanted, list) else str(wanted).split(",")
        if not all(word in _FILTERS or word.isdecimal() for word in words):
            raise invalid("status does not have a valid value")
        events = [
            event
            for event in events
            if any(_matches(event["response_status"], word) for word in words)
        ]
    page, headers = request.page(events, most=20)
    return Answer(
        200, [{**event, "created_at": entities.iso(event["created_at"])} for event in page], headers
    )


def _matches(status: str, word: str) -> bool:
    if status == _FAILED:
        return word == "server_failure"
    return int(status) in _FILTERS[word] if word in _FILTERS else status == word


@route("POST", f"{_HOOK}/events/:event_id/resend", locked=False)
def resend(state: State, request: Request) -> Answer:
    """The same body and webhook-id with a new time and signature; 422 if the URL has changed or
    nobody answers.
    """
    with state.lock:
        hook = _hook(state, request)
        request.charge("resend")
        event = state.hook_events.get(request.id("event_id"))
        if event is None or event["id"] not in state.ids("hook events", hook["id"]):
            raise no_record()
        if event["url"] != hook["url"]:
            raise refused(422, "The hook URL has changed, and this log entry cannot be retried")
    body = json.dumps(event["request_data"], ensure_ascii=False, separators=(",", ":")).encode()
    sent = send(state, hook, {**event["request_headers"]}, body, event["trigger"])
    if sent["response_status"] == _FAILED:
        raise refused(422, sent["response_body"])
    return Answer(201, {"response_status": int(sent["response_status"])})


def _post(url: str, headers: dict[str, str], body: bytes) -> tuple[str, dict[str, str], bytes]:
    """One POST: no proxy, no redirect followed (GitLab counts a 3xx as a success)."""
    target = urlsplit(url)
    kind = http.client.HTTPSConnection if target.scheme == "https" else http.client.HTTPConnection
    connection = kind(target.netloc, timeout=_TIMEOUT)
    try:
        connection.request(
            "POST",
            (target.path or "/") + (f"?{target.query}" if target.query else ""),
            body,
            headers,
        )
        response = connection.getresponse()
        return str(response.status), dict(response.getheaders()), response.read()
    except http.client.HTTPException as error:
        raise OSError(type(error).__name__) from error
    finally:
        connection.close()


def send(state: State, hook: Record, headers: dict[str, str], body: bytes, trigger: str) -> Record:
    """Deliver to the hook's URL with the hook's tokens, once and for ten seconds at most; return
    the log entry.
    """
    fresh = {
        name: value
        for name, value in headers.items()
        if name.lower() not in ("x-gitlab-token", "webhook-signature")
    }
    if hook.get("token"):
        fresh["X-Gitlab-Token"] = hook["token"]
    if "webhook-id" in fresh:  # since 19.0; what is older is not signed
        fresh["webhook-timestamp"] = str(int(state.clock()))
    if "webhook-id" in fresh and hook.get("signing_token"):
        fresh = deliveries.sign(fresh, body, hook["signing_token"])
    started = time.monotonic()
    try:
        status, answer_headers, answer = _post(hook["url"], fresh, body)
    except OSError as error:
        status, answer_headers, answer = _FAILED, {}, str(error).encode()
    with state.lock:
        event = {
            "id": state.number(),
            "url": hook["url"],
            "trigger": trigger,
            "request_data": json.loads(body),
            "response_headers": answer_headers,
            "request_headers": {
                name: "[REDACTED]" if name == "X-Gitlab-Token" else value
                for name, value in fresh.items()
            },
            "response_body": answer[:8192].decode(errors="replace"),
            "response_status": status,
            "execution_duration": time.monotonic() - started,
            "created_at": state.clock(),
        }
        state.hook_events[event["id"]] = event
        state.ids("hook events", hook["id"]).append(event["id"])
    return event
