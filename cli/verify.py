"""Tell who asked for a commit of the job's, and name the hop at which GitLab does not bear it out.

docs/provenance.md says what each hop is. It reads only.
"""

import hmac
import json
import re
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from hashlib import sha256
from http import HTTPStatus
from typing import Any, NamedTuple

from cli import statements
from cli.api import under
from cli.statements import Broken, Json, Reader
from functions.gitlab.client import PAGE
from shared.contract import marks, provenance
from shared.contract.ai_flow import AUTO, WITHHELD
from shared.gitlab.values import GitLabError
from shared.incoming import mention
from shared.installation.settings import Settings
from shared.outcome.reasons import Stop
from shared.runs import command
from shared.runs.detect import instruction_of

HOPS = ("commit", "statement", "reply", "pipeline", "request", "seal", "note")

_VERIFIED = "urn:gitlab-claude-trigger:verified:1"
_PLACE = re.compile(r"/-/(issues|merge_requests)/([0-9]+)(?:#note_([0-9]+))?$")
_ID = re.compile(r"[0-9a-f]{7,64}")
_OF_STATEMENT = {"_type", "subject", "predicateType", "predicate"}


class Asked(NamedTuple):
    """What is looked into: a commit of a project, and the job's statement about it, if at hand.

    `path` is the project's in GitLab's API, `keys` are the installation's signing keys.
    """

    api: Reader
    path: str
    commit: str
    statement: Mapping[str, Any] | None
    keys: Sequence[str]
    settings: Settings


class _Found(NamedTuple):
    """The commit's whole id and trailers, the request, its pipeline, and where it was made."""

    sha: str
    told: Mapping[str, str]
    flow: Json
    pipeline: str
    place: re.Match[str]


def verify(
    asked: Asked, say: Callable[[str], None], attest: Callable[[Json], None] | None = None
) -> int:
    """Look at one hop after the other and say what holds; return 1 where one is broken.

    `attest` gets what was found where all hold: a statement about the commit, without what was
    asked.
    """
    held: dict[str, bool] = {}

    def told(line: str) -> None:
        say(line)
        held[line[2:].partition(":")[0]] = line.startswith("✔")

    try:
        found = _chain(asked, told)
    except Broken as broken:
        say(f"✘ {broken}")
        return 1
    say(_summary(found))
    if attest:
        attest(_attested(found, held))
    return 0


def _chain(asked: Asked, say: Callable[[str], None]) -> _Found:
    sha, told = _commit(asked)
    say(f"✔ commit: {sha} says that it was made for the request {told[provenance.REQUEST]}")
    given = asked.statement or statements.of_note(asked.api, asked.path, sha)
    known = None
    if given and (asked.statement or _is_whole(given, told)):
        known = _stated(given, sha, told)
        where = "" if asked.statement else "the git note's, and "
        say(f"✔ statement: it is {where}about this commit and this request")
    place = _PLACE.search(told.get(provenance.NOTE) or str((known or {}).get("note", "")))
    if place is None:
        why = "the commit does not say where it was asked for: give the job's statement"
        raise Broken("reply", why)
    pipeline, run = _reply(asked, sha, place)
    say(f"✔ reply: in {place[1]} {place[2]} our own user says that run {run} pushed it")
    path, found = _pipeline(asked, pipeline)
    if known is None:
        known, shown = _left(asked, path, sha, told)
        say(shown)
    flow, shown = _request(asked, pipeline, path, found, known)
    say(shown)
    _fits(asked, flow, told, run, place)
    say("✔ request: who asked, where, and the run are the commit's")
    say(_seal(asked, flow))
    say(_note(asked, flow, place))
    return _Found(sha, told, flow, pipeline, place)


def _left(
    asked: Asked, path: str, sha: str, told: Mapping[str, str]
) -> tuple[Mapping[str, Any] | None, str]:
    """Return what the job's artifact says of the commit, if GitLab still has it, and the line."""
    if not path:
        return None, "? statement: without its pipeline there is no artifact to look at"
    given, why = statements.of_artifacts(asked.api, path, sha)
    if given is None:
        return None, f"? statement: {why}"
    if not _is_whole(given, told):
        why = "secrets were taken out of the artifact, so the commit's digest is not of it"
        return None, f"? statement: {why}"
    known = _stated(given, sha, told)
    return known, "✔ statement: it is the job's artifact, and about this commit and this request"


def _is_whole(given: Mapping[str, Any], told: Mapping[str, str]) -> bool:
    """Tell whether a statement that nobody gave can be held against the commit.

    The job takes secrets out of what it leaves, and the digest is that of the whole request.
    """
    flow = _part(given, "predicate", "request")
    return provenance.MASK not in json.dumps(flow) or _spelled(flow) == told[provenance.REQUEST]


def _commit(asked: Asked) -> tuple[str, dict[str, str]]:
    if not _ID.fullmatch(asked.commit):
        raise Broken("commit", f"{asked.commit} is no commit's id")
    found = asked.api.find(f"{asked.path}/repository/commits/{asked.commit}")
    if not found or not str(found.get("id")).startswith(asked.commit):
        raise Broken("commit", "the project has no such commit")
    told = provenance.trailers(str(found.get("message")))
    if provenance.REQUEST not in told:
        raise Broken("commit", f"its message has no {provenance.REQUEST}: no job of ours made it")
    return str(found["id"]), told


def _stated(given: Mapping[str, Any], sha: str, told: Mapping[str, str]) -> Mapping[str, Any]:
    """Return the statement's predicate: it says what the commit and its own request say.

    Its pipeline and job are compared with the reply's.
    """
    known = given["predicate"]
    flow = known.get("request")
    if not isinstance(flow, dict) or _spelled(flow) != told[provenance.REQUEST]:
        raise Broken("statement", "its request is not the commit's")
    address = told.get(provenance.NOTE) or str(known.get("note"))
    if not address:
        raise Broken("reply", "neither commit nor statement says where it was asked for")
    subject = {"name": _PLACE.sub("", address), "digest": {"gitCommit": sha}}
    if not _same(given.get("subject"), [subject]):
        raise Broken("statement", "it is about another commit or project")
    expected = {
        "run": flow.get("id"),
        "askedBy": _asker(flow),
        "note": address,
        "requestDigest": {"sha256": provenance.digest(flow)},
        "request": flow,
        "models": told[provenance.MODEL].split(", ") if provenance.MODEL in told else [],
        "client": told.get(provenance.CLIENT, ""),
    }
    for name, value in expected.items():
        if not _same(known.get(name), value):
            raise Broken("statement", f"its {name} is not the commit's")
    more = {*given} ^ _OF_STATEMENT or {*known} ^ {*expected, "pipeline", "job"}
    if more:
        raise Broken("statement", f"it lacks or adds {', '.join(sorted(more))}")
    return dict(known)


def _same(one: object, other: object) -> bool:
    """Tell whether two values are the same JSON: to Python 1 equals true and 1.0 as well."""
    return json.dumps(one, sort_keys=True) == json.dumps(other, sort_keys=True)


def _reply(asked: Asked, sha: str, place: re.Match[str]) -> tuple[str, str]:
    """Return the pipeline and the run that a reply of our own user names for the commit."""
    own = asked.api.get("/user")["id"]
    try:
        notes = asked.api.all(f"{asked.path}/{place[1]}/{place[2]}/notes")
    except GitLabError as error:
        if error.status != HTTPStatus.NOT_FOUND:
            raise
        raise Broken("reply", "the thread is gone, or this token may not see it") from None
    for note in notes:
        body = str(note.get("body"))
        if _part(note, "author").get("id") == own and marks.pushed(body) == sha:
            run = marks.run_of(body)
            if run:
                return marks.pipeline_of(body), run
    raise Broken("reply", "no reply of our own user says that a run pushed this commit")


def _request(
    asked: Asked, pipeline: str, path: str, found: Json, known: Mapping[str, Any] | None
) -> tuple[Json, str]:
    """Return the `ai_flow` that the pipeline was started with, and what that rests on."""
    if found and found.get("source") != "trigger":
        raise Broken("pipeline", f"{pipeline} was not started by a trigger token")
    if known:
        _ran(asked, pipeline, path, known)
    variables = asked.api.find(f"{path}/variables") if found else None
    for variable in variables or []:
        if variable.get("key") == "TRIGGER_PAYLOAD":
            flow = _flow(str(variable.get("value")))
            if known and flow.get(provenance.SEAL) != known["request"].get(provenance.SEAL):
                raise Broken("seal", "the pipeline's is not the statement's")
            whole = f"✔ pipeline: {pipeline} is the trigger token's, and was started with that"
            return flow, f"{whole} request"
    if known:
        whole = f"? pipeline: GitLab no longer tells what {pipeline} was started with, so the"
        return dict(known["request"]), f"{whole} request is the statement's"
    why = f"GitLab no longer tells what {pipeline} was started with: give the job's statement"
    raise Broken("pipeline", why)


def _ran(asked: Asked, pipeline: str, path: str, known: Mapping[str, Any]) -> None:
    """Hold the statement's pipeline and job against the reply's pipeline, if that is still there.

    A runner project's job does not say where it ran.
    """
    if known.get("pipeline") != pipeline:
        raise Broken("statement", f"its pipeline is not {pipeline}, which the reply names")
    jobs = asked.api.find(f"{path}/jobs", include_retried="true", per_page=PAGE) if path else None
    url = _PLACE.sub("", str(known.get("note")))  # the project's, as it was then
    places = [f"{url}/-/jobs/{job.get('id')}" for job in jobs or []]
    if not path.startswith(f"{asked.path}/"):
        places = [""] if path else []
    if 0 < len(places) < PAGE and known.get("job") not in places:
        raise Broken("statement", f"its job is none of pipeline {pipeline}")


def _pipeline(asked: Asked, pipeline: str) -> tuple[str, Json]:
    """Return a pipeline and its path, in the project itself or in the one that runs its jobs."""
    project = asked.api.get(asked.path)
    runner = asked.settings.runner_of(project["id"], str(project.get("path_with_namespace")))
    for place in (asked.path, *([under("projects", runner)] if runner else [])):
        path = f"{place}/pipelines/{pipeline}"
        found = asked.api.find(path)
        if found:
            return path, dict(found)
    return "", {}


def _flow(text: str) -> Json:
    try:
        flow = json.loads(text)["ai_flow"]
    except (ValueError, KeyError, TypeError):
        flow = None
    if not isinstance(flow, dict):
        raise Broken("pipeline", "what it was started with is no request of ours")
    return flow


def _fits(
    asked: Asked, flow: Json, told: Mapping[str, str], run: str, place: re.Match[str]
) -> None:
    if _spelled(flow) != told[provenance.REQUEST]:
        raise Broken("request", "it is not the one that the commit names")
    asker, note = _asker(flow), _part(flow, "context", "note")
    project = asked.api.get(asked.path)
    if _part(flow, "context", "project").get("id") != project["id"]:
        raise Broken("request", "it was made in another project")
    if flow.get("id") != run or told.get(provenance.RUN, run) != run:
        raise Broken("request", f"it is another run's than {run}")
    if told.get(provenance.ASKED_BY, str(asker)) != str(asker):
        raise Broken("request", f"user {asker or 'unknown'} asked, not the one in the commit")
    named = {provenance.RUN, provenance.ASKED_BY, provenance.NOTE} & told.keys()
    lacks = {provenance.RUN, provenance.NOTE, *([provenance.ASKED_BY] if asker else [])}
    lacks -= named
    if named and lacks:  # none of them stands there where it was asked internally
        raise Broken("commit", f"its message lacks {', '.join(sorted(lacks))}")
    thread = _part(flow, "context", place[1].removesuffix("s"))
    if str(thread.get("iid")) != place[2]:
        raise Broken("request", "it was made in another thread than the commit says")
    if str(note.get("id") or "") != (place[3] or ""):
        raise Broken("request", "it was asked for in another comment than the commit says")
    if not _is_there(place.string[: place.start()], flow, project):
        raise Broken("request", "it was made on another GitLab, or under another project's name")


def _is_there(address: str, flow: Json, project: Mapping[str, Any]) -> bool:
    """Tell whether an address is the project's, by the name that it had then."""
    path, url = _part(flow, "context", "project").get("path"), project.get("web_url")
    if not (path and url):
        return True
    return address == f"{str(url).removesuffix(str(project.get('path_with_namespace')))}{path}"


def _asker(flow: Mapping[str, Any]) -> int:
    """Return who asked, by GitLab's id; 0 where nobody did or that is not known."""
    by_policy = flow.get("event") == AUTO
    return 0 if by_policy else _part(flow, "context", "author").get("id") or 0


def _part(whole: Mapping[str, Any], *names: str) -> Json:
    """Return the object under these names, one in the other; {} where there is none."""
    found: Any = whole
    for name in names:
        found = found.get(name) if isinstance(found, Mapping) else None
    return dict(found) if isinstance(found, Mapping) else {}


def _spelled(flow: Mapping[str, object]) -> str:
    return f"sha256:{provenance.digest(flow)}"


def _seal(asked: Asked, flow: Json) -> str:
    made = str(flow.get(provenance.SEAL) or "").encode()
    if not asked.keys:
        return "? seal: the installation has no signing key, so nothing shows that it was ours"
    if not made:
        raise Broken("seal", "the request has none: it is older than the signing key, or not ours")
    if not any(
        hmac.compare_digest(provenance.seal(key, flow).encode(), made) for key in asked.keys
    ):
        raise Broken("seal", "no signing key of this installation made it")
    return "✔ seal: this installation's trigger sent that request"


def _note(asked: Asked, flow: Json, place: re.Match[str]) -> str:
    if flow.get("event") == AUTO:
        return "✔ note: nobody asked for it: the installation's policy started it"
    if not place[3]:
        return "✔ note: it was asked for by a change of the thread, not by a comment"
    found = asked.api.find(f"{asked.path}/{place[1]}/{place[2]}/notes/{place[3]}")
    if not found:
        raise Broken("note", "the comment is gone, or this token may not see it")
    if _part(found, "author").get("id") != _part(flow, "context", "author").get("id"):
        raise Broken("note", "somebody else wrote the comment")
    withheld = flow.get("version") == WITHHELD  # its text did not travel
    now = None if withheld else _asks(str(found.get("body")), asked.settings)
    if now is None:
        return "✔ note: that person wrote the comment; there is no text to compare"
    if now != flow.get("input"):
        raise Broken("note", "the comment asks for something else by now: it was edited since")
    return "✔ note: that person wrote it, and it asks what the job was asked"


def _asks(body: str, settings: Settings) -> str | None:
    """Return what a comment asks for, as `dispatch` reads it.

    None where it repeats another, or has options that today's settings do not allow.
    """
    asked = instruction_of((body,), settings.phrases)
    try:
        options, text = command.parse(mention.sanitized(asked or "", settings.phrases), settings)
    except Stop:
        return None
    return None if options.command == command.RETRY else text


def _summary(found: _Found) -> str:
    told, flow = found.told, found.flow
    author = _part(flow, "context", "author")
    name = f" (@{author['username']})" if author.get("username") else ""
    text = sha256(str(flow.get("input") or "").encode()).hexdigest()
    by = ", ".join(filter(None, (told.get(provenance.MODEL), told.get(provenance.CLIENT))))
    asked = "Asked by"
    if flow.get("event") == AUTO:
        asked = "Nobody asked: the installation's policy started it, by what was done by"
    return (
        f"{asked} user {author.get('id')}{name}, access level"
        f" {author.get('access_level')} at the time; text sha256:{text}; run {flow.get('id')};"
        f" made by {by or 'a model that the commit does not name'}."
    )


def _attested(found: _Found, held: Mapping[str, bool]) -> Json:
    """Return a statement of what holds; no digest in it is one of a text that could be guessed."""
    author, place = _part(found.flow, "context", "author"), found.place
    return {
        "_type": provenance.STATEMENT,
        "subject": [{"name": place.string[: place.start()], "digest": {"gitCommit": found.sha}}],
        "predicateType": _VERIFIED,
        "predicate": {
            "verifiedAt": datetime.now(UTC).isoformat(timespec="seconds"),
            "askedBy": _asker(found.flow) or None,
            "accessLevel": author.get("access_level"),
            "note": place.string,
            "run": found.flow.get("id"),
            "pipeline": found.pipeline,
            "request": found.told[provenance.REQUEST],
            "models": found.told.get(provenance.MODEL, ""),
            "client": found.told.get(provenance.CLIENT, ""),
            "holds": [hop for hop, holds in held.items() if holds],
            "notShown": [hop for hop in HOPS if not held.get(hop)],
        },
    }
