"""Users, projects, members, issues, merge requests, events, version, as lib/api answers them."""
# ruff: noqa: EM102, TRY003  (the sentences are GitLab's)

from collections.abc import Iterable
from datetime import UTC, date, datetime

from . import ci_entities, entities, reports
from .records import DEVELOPER, Record
from .routing import Answer, Request, invalid, no_record, not_found, refused, route
from .state import State


@route("GET", "version")
def version(state: State, _request: Request) -> Answer:
    """What GitLab this claims to be."""
    return Answer(200, {"version": state.version, "revision": "0123456789a", "enterprise": True})


@route("GET", "user")
def current_user(state: State, request: Request) -> Answer:
    """Whose token this is."""
    return Answer(200, entities.user(state, request.user.id, whole=True))


@route("GET", "users/:user_id")
def show_user(state: State, request: Request) -> Answer:
    """Anyone may ask about anyone; `bot` is here and nowhere else."""
    request.charge("users")
    if request.id("user_id") not in state.users:
        raise not_found("User")
    return Answer(200, entities.user(state, request.id("user_id"), whole=request.user.admin))


@route("GET", "projects")
def list_projects(state: State, request: Request) -> Answer:
    """Those one is a member of, active since, by id, as our calls ask; the fields that the API file
    has, though GitLab shows more.
    """
    after = request.moment("last_activity_after") or 0.0
    request.choice("order_by", ("id",), "id")
    found = [
        project
        for number, project in sorted(state.projects.items())
        if (state.level(number, request.user.id) or not request.flag("membership"))
        and entities.last_activity(state, project) >= after
    ]
    page, headers = request.page(found)
    return Answer(200, [entities.project_basic(state, each) for each in page], headers)


@route("GET", "projects/:id")
def show_project(state: State, request: Request) -> Answer:
    """By id or path."""
    request.charge("project")
    project = request.project()
    return Answer(
        200, entities.project(state, project, level=state.level(project.id, request.user.id))
    )


@route("GET", "projects/:id/members/all")
def list_members(state: State, request: Request) -> Answer:
    """Direct and inherited memberships; `query` looks into names and user names, `user_ids` takes a
    list or `1,2`.
    """
    request.charge("members")
    project, wanted = request.project(), request.numbers("user_ids")
    words = request.text("query", required=False).lower()
    found = [user_id for project_id, user_id in state.members if project_id == project.id]
    if wanted:
        found = [user_id for user_id in found if user_id in wanted]
    if words:
        found = [
            n
            for n in found
            if words in state.users[n].name.lower() or words in state.users[n].username.lower()
        ]
    if "state" in request.query:
        membership = request.choice("state", ("awaiting", "active"), "active")
        found = [n for n in found if state.members[project.id, n]["membership_state"] == membership]
    page, headers = request.page(found)
    return Answer(200, [entities.member(state, project.id, user_id) for user_id in page], headers)


@route("GET", "projects/:id/members/all/:user_id")
def show_member(state: State, request: Request) -> Answer:
    """Direct and inherited memberships alike; 404 for anyone else, administrators included."""
    project, user_id = request.project(), request.id("user_id")
    if (project.id, user_id) not in state.members:
        raise no_record()
    return Answer(200, entities.member(state, project.id, user_id))


@route("GET", "projects/:id/issues")
def list_issues(state: State, request: Request) -> Answer:
    """Those changed since, the first to change first, as our calls ask."""
    found = _changed(state, request, state.issues.values())
    page, headers = request.page(found)
    return Answer(200, [entities.issue(state, record) for record in page], headers)


def _changed(state: State, request: Request, records: Iterable[Record]) -> list[Record]:
    project, after = request.project(), request.moment("updated_after") or 0.0
    found = [
        record
        for record in records
        if record["project_id"] == project.id
        and record["updated_at"] >= after
        and state.can_read(request.user, record)
    ]
    return sorted(found, key=lambda record: (record["updated_at"], record["id"]))


@route(
    "GET",
    "projects/:id/issues/:iid/resource_label_events",
    "projects/:id/merge_requests/:iid/resource_label_events",
)
def list_label_events(state: State, request: Request) -> Answer:
    """Who added and removed labels, the first first."""
    tables = {"issues": state.issues, "merge_requests": state.merge_requests}
    table = tables[request.path.split("/")[-3]]
    record = table.get((request.project().id, request.id("iid")))
    if record is None or not state.can_read(request.user, record):
        raise not_found("Issue")
    events = [
        (edit, label, action)
        for edit in record["edits"]
        for was, now in [edit["changes"].get("labels", ([], []))]
        for action, labels, others in (("add", now, was), ("remove", was, now))
        for label in labels
        if label not in others
    ]
    page, headers = request.page(events)
    return Answer(
        200,
        [
            {
                "id": number,
                "user": entities.user_basic(state, edit["user_id"]),
                "created_at": entities.iso(edit["at"]),
                "resource_type": record["noteable_type"],
                "resource_id": record["id"],
                "label": {"id": number, "name": label},
                "action": action,
            }
            for number, (edit, label, action) in enumerate(page, 1)
        ],
        headers,
    )


@route("GET", "projects/:id/issues/:iid")
def show_issue(state: State, request: Request) -> Answer:
    """An issue that one may not read does not exist."""
    issue = state.issues.get((request.project().id, request.id("iid")))
    if issue is None or not state.can_read(request.user, issue):
        raise no_record()
    return Answer(200, entities.issue(state, issue))


def _merge_request(state: State, request: Request) -> Record:
    merge_request = state.merge_requests.get((request.project().id, request.id("iid")))
    if merge_request is None:
        raise no_record()
    if not state.can_read(request.user, merge_request):
        raise refused(403, "403 Forbidden")
    return merge_request


@route("GET", "projects/:id/merge_requests/:iid")
def show_merge_request(state: State, request: Request) -> Answer:
    """One merge request."""
    record = _merge_request(state, request)
    found = {**entities.merge_request(state, record), "head_pipeline": None}
    head = reports.head_pipeline(state, record)
    return Answer(200, {**found, "head_pipeline": head and ci_entities.pipeline(state, head)})


@route("GET", "projects/:id/merge_requests/:iid/diffs")
def list_diffs(state: State, request: Request) -> Answer:
    """The files page by page; those beyond the instance's limit are not stored, and so not here."""
    unidiff = request.flag("unidiff")
    page, headers = request.page(_merge_request(state, request)["diffs"][: state.diff_max_files])
    return Answer(200, [entities.diff(record, unidiff=unidiff) for record in page], headers)


@route("GET", "projects/:id/merge_requests/:iid/versions")
def list_versions(state: State, request: Request) -> Answer:
    """The versions of the diff, newest first: one for each push."""
    page, headers = request.page(entities.versions(_merge_request(state, request)))
    return Answer(200, page, headers)


@route("GET", "projects/:id/merge_requests")
def list_merge_requests(state: State, request: Request) -> Answer:
    """Newest first, by state and branches."""
    project = request.project()
    wanted = request.choice("state", ("opened", "closed", "locked", "merged", "all"), "all")
    found = [
        record
        for record in state.merge_requests.values()
        if record["project_id"] == project.id and state.can_read(request.user, record)
    ]
    found = [record for record in found if wanted in ("all", record["state"])]
    for name in ("source_branch", "target_branch"):
        if name in request.query:
            found = [record for record in found if record[name] == request.text(name)]
    if "updated_after" in request.query:
        found = _changed(state, request, found)
    else:
        found.sort(key=lambda record: -record["id"])
    page, headers = request.page(found)
    return Answer(200, [entities.merge_request_basic(state, record) for record in page], headers)


@route("POST", "projects/:id/merge_requests")
def create_merge_request(state: State, request: Request) -> Answer:
    """A Developer's; one open merge request for each pair of branches, the second is a 409 that
    names the first.
    """
    project = request.project()
    request.require(project, DEVELOPER)
    title, source, target = (
        request.text(name) for name in ("title", "source_branch", "target_branch")
    )
    mine = [
        record
        for (project_id, _), record in state.merge_requests.items()
        if project_id == project.id
    ]
    for record in mine:
        if record["state"] == "opened" and (
            record["source_branch"],
            record["target_branch"],
            record["source_project_id"],
        ) == (source, target, project.id):
            raise refused(
                409,
                [
                    f"Another open merge request already exists for this source branch: !{record['iid']}"
                ],
            )
    labels = request.params.get("labels") or []
    record = state.merge_request(
        project.id,
        max((record["iid"] for record in mine), default=0) + 1,
        source_branch=source,
        target_branch=target,
        title=title,
        description=request.text("description", required=False),
        labels=labels.split(",") if isinstance(labels, str) else labels,
        author_id=request.user.id,
    )
    return Answer(201, entities.merge_request(state, record))


@route("GET", "projects/:id/events")
def list_events(state: State, request: Request) -> Answer:
    """Comments only; `after` and `before` are days and exclusive, `target_type=note` misses replies
    and diff notes.
    """
    project = request.project()
    notes = [state.notes[n] for n in state.ids("project notes", project.id)]
    notes = [
        note
        for note in notes
        if not note["system"] and request.params.get("action", "commented") == "commented"
    ]
    if (
        "target_type" in request.query
    ):  # the column holds the class name: Note, DiscussionNote, DiffNote
        notes = [
            note for note in notes if request.text("target_type") == "note" and note["type"] is None
        ]
    if (after := _day(request, "after")) is not None:
        notes = [note for note in notes if note["created_at"] >= after + 86_400]
    if (before := _day(request, "before")) is not None:
        notes = [note for note in notes if note["created_at"] < before]
    if request.choice("sort", ("asc", "desc"), "desc") == "desc":
        notes.reverse()
    page, headers = request.page(notes)
    visible = [
        note
        for note in page
        if state.can_read_note(request.user, note) and _can_read_target(state, request, note)
    ]
    return Answer(200, [entities.event(state, note) for note in visible], headers)


def _can_read_target(state: State, request: Request, note: Record) -> bool:
    noteable = state.noteable(note["noteable_type"], note["project_id"], note["noteable_iid"])
    return noteable is not None and state.can_read(request.user, noteable)


def _day(request: Request, name: str) -> float | None:
    if name not in request.query:
        return None
    try:
        day = date.fromisoformat(request.text(name)[:10])
    except ValueError:
        raise invalid(f"{name} is invalid") from None
    return datetime(day.year, day.month, day.day, tzinfo=UTC).timestamp()
