"""What an operator sets up: access tokens, trigger tokens, members, variables, files, branches, CI
lint, runners, groups; as lib/api answers it, by tier and version (`State.tier`, `State.version`).
"""
# ruff: noqa: TRY003  (the sentences are GitLab's)

import base64
import hashlib
from typing import Any

from . import entities
from .hooks import _entity, _settings
from .records import MAINTAINER, OWNER, Json, Project, Record
from .routing import Answer, Refused, Request, invalid, no_record, not_found, refused, route
from .state import State

_EITHER = "{projects,groups}/:id"
JOB = ".gitlab/claude.yml"


def _place(state: State, request: Request, level: int = MAINTAINER) -> int:
    """Return the id of the project or group of the path, if the caller has this level there."""
    if request.values["kind"] != "groups":
        project = request.project()
        request.require(project, level)
        return project.id
    group = _group(state, request)
    if state.level(group["id"], request.user.id) < OWNER:
        raise refused(403, "403 Forbidden")
    return int(group["id"])


def _group(state: State, request: Request) -> Record:
    name = request.values["id"]
    found = (g for g in state.groups.values() if name in (str(g["id"]), g["full_path"]))
    group = next(found, None)
    if group is None or not state.level(group["id"], request.user.id):
        raise not_found("Group")
    return group


@route("GET", "personal_access_tokens/self")
def own_token(state: State, request: Request) -> Answer:
    """The token that came with the request."""
    text = request.headers["private-token"]
    record = next((r for r in state.access_tokens.values() if r["token"] == text), None)
    scopes = sorted(state.api_tokens[text][1])
    until = state.expiries.get(text)
    return Answer(200, _token(record or {"id": 1, "name": "pat", "scopes": scopes, "until": until}))


def _token(record: Record, *, shown: bool = False) -> Json:
    names = ("id", "name", "scopes")
    answer = {name: record[name] for name in names} | {
        "description": record.get("description"),
        "expires_at": record["until"],
        "active": True,
        "revoked": False,
        "user_id": record.get("user_id", 1),
    }
    if not record.get("described", True):
        del answer["description"]
    return answer | ({"token": record["token"]} if shown else {})


@route("GET", f"{_EITHER}/access_tokens")
def list_access_tokens(state: State, request: Request) -> Answer:
    """Those of the project or group, without their text."""
    place = _place(state, request)
    found = [r for r in state.access_tokens.values() if r["place"] == place]
    page, headers = request.page(found)
    return Answer(200, [_token(record) for record in page], headers)


@route("POST", f"{_EITHER}/access_tokens")
def create_access_token(state: State, request: Request) -> Answer:
    """A bot is made with it; GitLab.com's Free tier has none, and no bot may make one."""
    place = _place(state, request)
    if request.user.bot or (state.saas and state.tier == "free"):
        raise refused(400, "User does not have permission to create project access token")
    level = int(request.params.get("access_level", MAINTAINER))
    if level > state.level(place, request.user.id):
        raise refused(
            400, "Access level of the token can't be greater the access level of the user"
        )
    number = state.number()
    bot = state.user(number, f"{request.values['kind'][:-1]}_{place}_bot_{number}", bot=True)
    served = [place, *(p.id for p in state.projects_of(place))]
    for each in served:
        state.admit(each, bot.id, level)
    record = _record(state, request, place, bot.id)
    return Answer(201, _token(record, shown=True))


@route("DELETE", f"{_EITHER}/access_tokens/:token_id")
def revoke_access_token(state: State, request: Request) -> Answer:
    """The token ends, and its bot with it."""
    place, record = _place(state, request), state.access_tokens.get(request.id("token_id"))
    if record is None or record["place"] != place:
        raise not_found("Access Token")
    del state.access_tokens[record["id"]]
    state.api_tokens.pop(record["token"], None)
    for key in [key for key in state.members if key[1] == record["user_id"]]:
        del state.members[key]
    return Answer(204)


def _accounts(state: State, request: Request) -> int:
    """Return the place; refuse where it has no service accounts: ee/lib/api, since 18.11 in Free."""
    place = _place(state, request)
    since = (18, 11) if request.values["kind"] == "projects" else (16, 1)
    first, second = state.version.split(".")[:2]
    if (int(first), int(second)) < since:
        raise not_found()
    if not state.service_accounts or (request.values["kind"] == "groups" and not state.saas):
        raise refused(403, "403 Forbidden")  # an administrator's, unless he lets Owners
    return place


@route("GET", f"{_EITHER}/service_accounts")
def list_service_accounts(state: State, request: Request) -> Answer:
    """Those of the project or group."""
    place = _accounts(state, request)
    found = [_account(state, id_) for id_, of in state.accounts.items() if of == place]
    page, headers = request.page(found)
    return Answer(200, page, headers)


@route("POST", f"{_EITHER}/service_accounts")
def create_service_account(state: State, request: Request) -> Answer:
    """A user, who is no member of anything yet."""
    place, number = _accounts(state, request), state.number()
    kind = request.values["kind"][:-1]
    user = state.user(number, f"service_account_{kind}_{place}_{number:032x}", bot=True)
    user.name = request.text("name")
    state.accounts[user.id] = place
    return Answer(201, _account(state, user.id))


def _account(state: State, user_id: int) -> Json:
    user = state.users[user_id]
    email = f"{user.username}@noreply.gitlab.example.com"
    return {"id": user.id, "username": user.username, "name": user.name, "email": email}


@route("DELETE", f"{_EITHER}/service_accounts/:user_id")
def delete_service_account(state: State, request: Request) -> Answer:
    """Gone with its tokens and memberships."""
    user_id = _one_account(state, request)
    del state.accounts[user_id]
    for id_ in [r["id"] for r in state.access_tokens.values() if r["user_id"] == user_id]:
        state.api_tokens.pop(state.access_tokens.pop(id_)["token"], None)
    for key in [key for key in state.members if key[1] == user_id]:
        del state.members[key]
    return Answer(204)


def _one_account(state: State, request: Request) -> int:
    place, user_id = _accounts(state, request), request.id("user_id")
    if state.accounts.get(user_id) != place:
        raise not_found("User")
    return user_id


@route("GET", f"{_EITHER}/service_accounts/:user_id/personal_access_tokens")
def list_account_tokens(state: State, request: Request) -> Answer:
    """Without their text."""
    user_id = _one_account(state, request)
    found = [_token(r) for r in state.access_tokens.values() if r["user_id"] == user_id]
    return Answer(200, found)


@route("POST", f"{_EITHER}/service_accounts/:user_id/personal_access_tokens")
def create_account_token(state: State, request: Request) -> Answer:
    """With its text, once."""
    user_id = _one_account(state, request)
    record = _record(state, request, None, user_id)
    return Answer(201, _token(record, shown=True))


@route("DELETE", f"{_EITHER}/service_accounts/:user_id/personal_access_tokens/:token_id")
def revoke_account_token(state: State, request: Request) -> Answer:
    """Gone."""
    user_id, record = _one_account(state, request), state.access_tokens.get(request.id("token_id"))
    if record is None or record["user_id"] != user_id:
        raise not_found("Personal Access Token")
    del state.access_tokens[record["id"]]
    state.api_tokens.pop(record["token"], None)
    return Answer(204)


def _record(state: State, request: Request, place: int | None, user_id: int) -> Record:
    record: Record = {
        "id": state.number(),
        "place": place,
        "name": request.text("name"),
        "scopes": list(request.params["scopes"]),
        "description": request.params.get("description"),
        "described": not state.version.startswith(("16", "17")),
        "until": request.text("expires_at"),
        "user_id": user_id,
        "token": f"glpat-{state.number():020d}",
    }
    state.access_tokens[record["id"]] = record
    state.api_token(record["token"], user_id, record["scopes"])
    return record


@route("DELETE", "projects/:id/triggers/:trigger_id")
def delete_trigger(state: State, request: Request) -> Answer:
    """A Maintainer's right, whoever owns it."""
    project = request.project()
    request.require(project, MAINTAINER)
    wanted = request.id("trigger_id")
    for token, record in list(state.trigger_tokens.items()):
        if record["id"] == wanted and record["project_id"] == project.id:
            del state.trigger_tokens[token]
            return Answer(204)
    raise not_found("Trigger")


@route("POST", f"{_EITHER}/members")
def add_member(state: State, request: Request) -> Answer:
    """Not for the bot of another project or group: project_member_policy.rb."""
    place, user_id = _place(state, request), int(request.params["user_id"])
    bots = {r["user_id"] for r in state.access_tokens.values()} - state.accounts.keys()
    if user_id in bots or state.accounts.get(user_id, place) != place:
        raise refused(400, {"user": ["project bots cannot be added to other groups / projects"]})
    for each in (place, *(p.id for p in state.projects_of(place))):
        state.admit(each, user_id, int(request.params["access_level"]))
    return Answer(201, entities.member(state, place, user_id))


@route("GET", "groups/:id")
def show_group(state: State, request: Request) -> Answer:
    """By id or path."""
    return Answer(200, _group(state, request))


@route("GET", "groups/:id/projects")
def list_group_projects(state: State, request: Request) -> Answer:
    """Those below the group."""
    found = list(state.projects_of(_group(state, request)["id"]))
    page, headers = request.page(found)
    return Answer(200, [_project(state, each) for each in page], headers)


def _project(state: State, project: Project) -> Json:
    return entities.project(state, project, level=MAINTAINER)


@route("GET", "groups/:id/members/all/:user_id")
def show_group_member(state: State, request: Request) -> Answer:
    """404 for anyone else."""
    group, user_id = _group(state, request), request.id("user_id")
    if (group["id"], user_id) not in state.members:
        raise no_record()
    return Answer(200, entities.member(state, group["id"], user_id))


@route("GET", "groups/:id/hooks")
def list_group_hooks(state: State, request: Request) -> Answer:
    """Premium's."""
    request.values["kind"] = "groups"
    place = _place(state, request)
    if state.tier == "free":
        raise not_found()
    found = [hook for hook in state.hooks.values() if hook["project_id"] == place]
    return Answer(200, [_entity(hook) for hook in found])


@route("POST", "groups/:id/hooks")
def create_group_hook(state: State, request: Request) -> Answer:
    """Premium's."""
    request.values["kind"] = "groups"
    place = _place(state, request)
    if state.tier == "free":
        raise not_found()
    settings = _settings(request)
    return Answer(201, _entity(state.hook(place, settings.pop("url"), **settings)))


@route("DELETE", "groups/:id/hooks/:hook_id")
def delete_group_hook(state: State, request: Request) -> Answer:
    """Gone."""
    request.values["kind"] = "groups"
    _place(state, request)
    del state.hooks[request.id("hook_id")]
    return Answer(204)


@route("GET", f"{_EITHER}/variables")
def list_variables(state: State, request: Request) -> Answer:
    """A hidden one has no value."""
    found = list(state.ci_variables.get(_place(state, request), {}).values())
    page, headers = request.page(found)
    return Answer(200, page, headers)


@route("POST", f"{_EITHER}/variables")
def create_variable(state: State, request: Request) -> Answer:
    """A masked one has eight characters at least and no line break."""
    known, name = state.ci_variables.setdefault(_place(state, request), {}), request.text("key")
    scope = str(request.params.get("environment_scope", "*"))
    kept = _kept(name, scope)
    if kept in known:
        raise refused(400, {"key": [f"({name}) has already been taken"]})
    known[kept] = _variable({"key": name, "environment_scope": scope}, request.params)
    return Answer(201, known[kept])


def _kept(name: str, scope: str) -> str:
    """Return under which name a variable is kept: of several with one name each has its scope."""
    return name if scope == "*" else f"{name} {scope}"


def _chosen(request: Request, known: Json) -> str:
    """Return the one variable that is meant; GitLab answers 409 where a filter would have to say."""
    key, scope = request.values["key"], request.query.get("filter", {}).get("environment_scope")
    found = [
        name
        for name, each in known.items()
        if each["key"] == key and scope in (None, each["environment_scope"])
    ]
    if len(found) > 1:
        raise refused(409, f"There are multiple variables with provided parameters. {key}")
    if not found:
        raise not_found("Variable")
    return found[0]


@route("PUT", f"{_EITHER}/variables/:key")
def update_variable(state: State, request: Request) -> Answer:
    """Its value and flags."""
    known = state.ci_variables.get(_place(state, request), {})
    name = _chosen(request, known)
    known[name] = _variable(known[name], request.params)
    return Answer(200, known[name])


@route("DELETE", f"{_EITHER}/variables/:key")
def delete_variable(state: State, request: Request) -> Answer:
    """Gone."""
    known = state.ci_variables.get(_place(state, request), {})
    del known[_chosen(request, known)]
    return Answer(204)


def _variable(before: Json, given: Json) -> Json:
    hidden = bool(given.get("masked_and_hidden", before.get("hidden", False)))
    masked = hidden or bool(given.get("masked", before.get("masked", False)))
    value = str(given.get("value", ""))
    if masked and (len(value) < 8 or "\n" in value):
        raise refused(400, {"value": ["is invalid"]})
    return {
        "variable_type": "env_var",
        "key": before["key"],
        "value": None if hidden else value,
        "hidden": hidden,
        "protected": bool(given.get("protected", before.get("protected", False))),
        "masked": masked,
        "raw": bool(given.get("raw", True)),
        "environment_scope": before.get("environment_scope", "*"),
        "description": given.get("description", before.get("description")),
    }


@route("GET", "projects/:id/protected_branches/:name")
def show_protected_branch(_state: State, request: Request) -> Answer:
    """Who may merge and push; 404 where it is not protected."""
    project = request.project()
    level = project.protected.get(request.values["name"])
    if level is None:
        raise no_record()
    who = [{"id": 1, "access_level": level, "access_level_description": "", "user_id": None}]
    return Answer(
        200,
        {
            "id": 1,
            "name": request.values["name"],
            "push_access_levels": who,
            "merge_access_levels": who,
            "allow_force_push": False,
        },
    )


@route("GET", "projects/:id/repository/files/:file_path")
def show_file(state: State, request: Request) -> Answer:
    """A file of a branch, in base64."""
    name = request.values["file_path"]
    text = _files(state, request.project(), request.text("ref")).get(name)
    if text is None:
        raise not_found("File")
    content = base64.b64encode(text.encode()).decode()
    blob = hashlib.sha1(f"blob {len(text.encode())}\0{text}".encode()).hexdigest()  # noqa: S324  git's
    return Answer(
        200, {"file_path": name, "encoding": "base64", "content": content, "blob_id": blob}
    )


def _files(state: State, project: Project, branch: str) -> dict[str, str]:
    return state.files.setdefault((project.id, branch), {})


@route("POST", "projects/:id/repository/commits")
def create_commit(state: State, request: Request) -> Answer:
    """To a new branch, or one that the caller may push to."""
    project, branch = request.project(), request.text("branch")
    request.require(project, project.protected.get(branch, 30))
    start = str(request.params.get("start_branch", branch))
    if branch != start and branch in project.branches:
        raise refused(400, f"A branch called '{branch}' already exists.")
    files = dict(_files(state, project, start))
    for action in request.params["actions"]:
        if (action["action"] == "create") == (action["file_path"] in files):
            raise refused(400, "A file with this name already exists")
        files[action["file_path"]] = action["content"]
    state.files[project.id, branch] = files
    project.branches[branch] = f"{state.number():040x}"
    return Answer(201, {"id": project.branches[branch], "title": request.text("commit_message")})


@route("GET", "projects/:id/repository/branches/:branch")
def show_branch(_state: State, request: Request) -> Answer:
    """One branch."""
    project, name = request.project(), request.values["branch"]
    if name not in project.branches:
        raise not_found("Branch")
    return Answer(200, {"name": name, "protected": name in project.protected})


@route("DELETE", "projects/:id/repository/branches/:branch")
def delete_branch(state: State, request: Request) -> Answer:
    """Gone; a protected one stays."""
    project, name = request.project(), request.values["branch"]
    if name not in project.branches:
        raise not_found("Branch")
    del project.branches[name]
    state.files.pop((project.id, name), None)
    return Answer(204)


@route("GET", "projects/:id/ci/lint")
def lint(state: State, request: Request) -> Answer:
    """The configuration of a branch as far as the stand-in reads it: `Project.ci`, and our file."""
    project = request.project()
    files = _files(state, project, str(request.query.get("content_ref", project.default_branch)))
    text = files.get(".gitlab-ci.yml", "")
    errors = ["jobs:x config is wrong"] if project.ci == "invalid" or "\tx" in text else []
    if project.ci == "none" and not text:
        errors = ["Please provide content of .gitlab-ci.yml"]
    if f"local: {JOB}" in text and JOB not in files:
        errors = [f"Local file `{JOB}` does not exist!"]
    there = project.ci == "ours" or f"local: {JOB}" in text
    job: Json = {"name": "claude", "tag_list": state.job_tags, "environment": None}
    if "name: claude/$AI_FLOW_PROJECT_ID" in text:
        job["environment"] = "claude/$AI_FLOW_PROJECT_ID"
    jobs = [job] if there and not errors else []
    answer: Json = {"valid": not errors, "errors": errors, "warnings": [], "merged_yaml": text}
    return Answer(200, answer | ({"jobs": jobs} if request.flag("include_jobs") else {}))


@route("PUT", "projects/:id")
def edit_project(state: State, request: Request) -> Answer:
    """What a runner project's setup changes; an Owner's word on variables is an Owner's to take."""
    project = request.project()
    request.require(project, MAINTAINER)
    project.variables_role = str(
        request.params.get("ci_pipeline_variables_minimum_override_role", project.variables_role)
    )
    project.order = str(request.params.get("resource_group_default_process_mode", project.order))
    return Answer(200, entities.project(state, project, level=MAINTAINER))


@route("GET", "projects/:id/runners")
def list_runners(state: State, request: Request) -> Answer:
    """Those that are online, if asked for."""
    project = request.project()
    request.require(project, MAINTAINER)
    tags = request.text("tag_list", required=False)
    named = [number for number in state.runners if not tags or tags in state.runner_tags]
    found = [{"id": number, "paused": False, "status": "online"} for number in named]
    return Answer(200, found)


@route("GET", "projects/:id/issues")
def list_issues(state: State, request: Request) -> Answer:
    """By state and words of the title."""
    project, words = request.project(), request.text("search", required=False).lower()
    wanted = request.choice("state", ("opened", "closed", "all"), "all")
    found = [
        issue
        for issue in state.issues.values()
        if issue["project_id"] == project.id
        and state.can_read(request.user, issue)
        and words in issue["title"].lower()
        and wanted in ("all", issue["state"])
    ]
    page, headers = request.page(found)
    return Answer(200, [entities.issue(state, issue) for issue in page], headers)


@route("POST", "projects/:id/issues")
def create_issue(state: State, request: Request) -> Answer:
    """A member's."""
    project = request.project()
    iid = max((key[1] for key in state.issues if key[0] == project.id), default=0) + 1
    issue = state.issue(
        project.id,
        iid,
        title=request.text("title"),
        description=request.text("description", required=False),
        confidential=request.flag("confidential"),
        author_id=request.user.id,
    )
    return Answer(201, entities.issue(state, issue))


@route("PUT", "projects/:id/{issues,merge_requests}/:iid")
def close(state: State, request: Request) -> Answer:
    """The stand-in only closes."""
    issues = request.values["kind"] == "issues"
    table: Any = state.issues if issues else state.merge_requests
    record = table.get((request.project().id, request.id("iid")))
    if record is None:
        raise no_record()
    if request.text("state_event") != "close":
        raise invalid("state_event does not have a valid value")
    record["state"] = "closed"
    show = entities.issue if issues else entities.merge_request
    return Answer(200, show(state, record))


@route("DELETE", "projects/:id/issues/:iid")
def delete_issue(state: State, request: Request) -> Answer:
    """An Owner's."""
    project = request.project()
    if state.level(project.id, request.user.id) < OWNER:
        raise Refused(403, {"message": "403 Forbidden"})
    if state.issues.pop((project.id, request.id("iid")), None) is None:
        raise no_record()
    return Answer(204)
