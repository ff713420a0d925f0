"""The pipeline trigger and what one may read and do with pipelines, as
lib/api/ci/{triggers,pipelines}.rb answer it.
"""
# ruff: noqa: EM102, TRY003  (the sentences are GitLab's)

import json

from . import ci_entities
from .ci_state import LIVE, STATUSES
from .records import DEVELOPER, MAINTAINER, VARIABLES_ROLES, Json, Project, Record
from .routing import Answer, Refused, Request, invalid, no_record, not_found, refused, route
from .state import State

_SOURCES = """
unknown push web trigger schedule api external pipeline chat webide merge_request_event external_pull_request_event
parent_pipeline ondemand_dast_scan ondemand_dast_validation security_orchestration_policy container_registry_push
duo_workflow pipeline_execution_policy_schedule dependency_management_security_update
"""
INVALID_YAML = "jobs:claude config should implement the script:, run:, or trigger: keyword"


def _failed(text: str) -> Refused:
    """A pipeline that was not made: ActiveModel's errors, as a hash of lists."""
    return refused(400, {"base": [text]})


@route(
    "POST", "projects/:id/trigger/pipeline", "projects/:id/ref/:ref/trigger/pipeline", token=False
)
def trigger(state: State, request: Request) -> Answer:
    """`PipelineTriggerService` and the chain behind it, refusals in GitLab's order."""
    params = {
        **request.params,
        **({"ref": request.values["ref"]} if "ref" in request.values else {}),
    }
    variables = _check_parameters(request, params)
    project, token = (
        state.find_project(request.values["id"]),
        state.trigger_tokens.get(str(params["token"])),
    )
    if project is None or token is None or token["project_id"] != project.id:
        raise not_found()
    if not state.can_see(state.users[token["owner_id"]], project):
        raise not_found()
    _check_rights(state, project, token["owner_id"], variables)
    ref, commit = _find_ref(state, project, token["owner_id"], str(params["ref"]))
    if state.limits.over("pipelines", (project.id, token["owner_id"], commit)):
        raise _failed("Too many pipelines created in the last minute. Try again later.")
    _check_ci(project, variables)
    token["last_used"] = state.clock()
    pipeline = state.pipeline(project.id, user_id=token["owner_id"], ref=ref, sha=commit)
    pipeline["variables"] = [
        *(
            {"key": key, "value": value, "variable_type": "env_var", "raw": False}
            for key, value in variables.items()
        ),
        {
            "key": "TRIGGER_PAYLOAD",
            "value": _payload(params, request.values["id"], variables),
            "variable_type": "file",
            "raw": True,
        },
    ]
    pipeline["name"] = project.workflow_name(pipeline) if project.workflow_name else None
    if project.ci == "invalid":
        pipeline["yaml_errors"] = INVALID_YAML
        state.set_pipeline(pipeline["id"], "failed", failure_reason="config_error")
        raise refused(422, INVALID_YAML)
    state.job(pipeline["id"], "claude")
    return Answer(201, ci_entities.pipeline(state, pipeline))


def _check_parameters(request: Request, params: Json) -> dict[str, str]:
    """Return the variables; what Grape and the endpoint itself refuse."""
    if missing := [f"{name} is missing" for name in ("token", "ref") if params.get(name) is None]:
        raise invalid(", ".join(missing))
    if params["ref"] == "":
        raise invalid("ref is empty")
    if request.headers.get("x-gitlab-event") == "Pipeline Hook":
        raise refused(403, "403 Forbidden")
    variables = {} if params.get("variables") is None else params["variables"]
    if not isinstance(variables, dict):
        raise invalid("variables is invalid")
    if not all(isinstance(value, str) for value in variables.values()):
        raise refused(400, "variables needs to be a map of key-valued strings")
    return variables


def _check_ci(project: Project, variables: dict[str, str]) -> None:
    """Refuse where the project's CI configuration has nothing to run."""
    if "TRIGGER_PAYLOAD" in variables:
        raise refused(422, "Duplicate variable name: TRIGGER_PAYLOAD")
    if project.ci == "filtered":
        raise _failed(
            "The pipeline did not run. Review the workflow:rules configuration for the pipeline."
        )
    if project.ci == "none" or (project.ci == "theirs" and "AI_FLOW_EVENT" not in variables):
        text = "The resulting pipeline would have been empty. Review the rules configuration for the relevant jobs."
        raise _failed(text)


def _check_rights(state: State, project: Project, owner_id: int, variables: Json) -> None:
    level = state.level(project.id, owner_id)
    if variables and level < VARIABLES_ROLES[project.variables_role]:
        raise _failed("Insufficient permissions to set pipeline variables")
    if level < DEVELOPER:
        raise _failed("Insufficient permissions to create a new pipeline")


def _find_ref(state: State, project: Project, owner_id: int, ref: str) -> tuple[str, str]:
    """The short name of a branch or tag and its commit; protected ones ask for more."""
    branch = ref.removeprefix("refs/heads/") if not ref.startswith("refs/tags/") else ""
    tag = ref.removeprefix("refs/tags/") if not ref.startswith("refs/heads/") else ""
    if branch in project.branches and tag in project.tags:
        raise _failed("Ref is ambiguous")
    if branch in project.branches and state.level(project.id, owner_id) < project.protected.get(
        branch, 0
    ):
        raise _failed(
            f"You do not have sufficient permission to run a pipeline on '{branch}'. "
            "Please select a different branch or contact your administrator for assistance."
        )
    if branch in project.branches:
        return branch, project.branches[branch]
    if tag in project.tags:
        return tag, project.tags[tag]
    raise _failed("Reference not found")


def _payload(params: Json, project_id: str, variables: Json) -> str:
    """TRIGGER_PAYLOAD, as Rails writes JSON: all parameters but the token, the path's id, always
    `variables`.
    """
    whole = {name: value for name, value in params.items() if name != "token"} | {
        "id": project_id,
        "variables": variables,
    }
    text = json.dumps(whole, ensure_ascii=False, separators=(",", ":"))
    for character in "<>&\u2028\u2029":
        text = text.replace(character, f"\\u{ord(character):04x}")
    return text


def pipeline_of(state: State, request: Request) -> tuple[Project, Record]:
    """The pipeline of a request's path."""
    project = request.project()
    pipeline = state.pipelines.get(request.id("pipeline_id"))
    if pipeline is None or pipeline["project_id"] != project.id:
        raise no_record()
    return project, pipeline


@route("GET", "projects/:id/pipelines")
def list_pipelines(state: State, request: Request) -> Answer:
    """Newest first unless asked otherwise; times are inclusive; the list shows neither variables
    nor who triggered.
    """
    project = request.project()
    order = request.choice("order_by", ("id", "status", "ref", "updated_at", "user_id"), "id")
    newest_first = request.choice("sort", ("asc", "desc"), "desc") == "desc"
    found = [state.pipelines[n] for n in state.ids("pipelines", project.id)]
    for name, values in (("source", _SOURCES.split()), ("status", STATUSES)):
        if name in request.query:
            wanted = request.choice(name, values, "")
            found = [pipeline for pipeline in found if pipeline[name] == wanted]
    for name in ("ref", "sha", "name"):
        if name in request.query:
            found = [pipeline for pipeline in found if pipeline[name] == request.text(name)]
    if "username" in request.query:
        found = [
            pipeline
            for pipeline in found
            if state.users[pipeline["user_id"]].username == request.text("username")
        ]
    for column in ("created", "updated"):
        after, before = request.moment(f"{column}_after"), request.moment(f"{column}_before")
        if after is not None:
            found = [pipeline for pipeline in found if pipeline[f"{column}_at"] >= after]
        if before is not None:
            found = [pipeline for pipeline in found if pipeline[f"{column}_at"] <= before]
    if order != "id" or not newest_first:
        found.sort(key=lambda pipeline: (pipeline[order], pipeline["id"]), reverse=newest_first)
    else:
        found.reverse()
    page, headers = request.page(found)
    return Answer(200, [ci_entities.pipeline_basic(state, pipeline) for pipeline in page], headers)


@route("GET", "projects/:id/pipelines/:pipeline_id")
def show_pipeline(state: State, request: Request) -> Answer:
    """One pipeline."""
    _, pipeline = pipeline_of(state, request)
    return Answer(200, {**ci_entities.pipeline(state, pipeline), "name": pipeline["name"]})


@route("GET", "projects/:id/pipelines/:pipeline_id/variables")
def list_variables(state: State, request: Request) -> Answer:
    """In clear, TRIGGER_PAYLOAD included; for Maintainers and for whoever the pipeline runs as."""
    project, pipeline = pipeline_of(state, request)
    if pipeline["user_id"] != request.user.id:
        request.require(project, MAINTAINER)
    return Answer(200, [dict(variable) for variable in pipeline["variables"]])


@route("GET", "projects/:id/pipelines/:pipeline_id/jobs")
def list_jobs(state: State, request: Request) -> Answer:
    """The pipeline's jobs, with their failure reasons; not its bridges."""
    _, pipeline = pipeline_of(state, request)
    scope = str(request.params.get("scope", ""))
    page, headers = request.page(
        [job for job in pipeline["jobs"] if job["status"] == scope or not scope]
    )
    return Answer(200, [ci_entities.job(state, job, pipeline) for job in page], headers)


@route("POST", "projects/:id/pipelines/:pipeline_id/cancel")
def cancel(state: State, request: Request) -> Answer:
    """200, also where nothing was left to cancel; on a protected ref for those who may push or
    merge there.
    """
    project, pipeline = pipeline_of(state, request)
    request.require(project, max(DEVELOPER, project.protected.get(pipeline["ref"], 0)))
    if pipeline["status"] in LIVE:
        state.cancel_pipeline(pipeline["id"])
    return Answer(200, ci_entities.pipeline(state, pipeline))


@route("GET", "projects/:id/triggers")
def list_triggers(state: State, request: Request) -> Answer:
    """The project's trigger tokens, cut short for all but their owners."""
    project = request.project()
    request.require(project, MAINTAINER)
    page, headers = request.page(
        [token for token in state.trigger_tokens.values() if token["project_id"] == project.id]
    )
    return Answer(
        200, [ci_entities.trigger(state, token, caller=request.user) for token in page], headers
    )


@route("POST", "projects/:id/triggers")
def create_trigger(state: State, request: Request) -> Answer:
    """A new trigger token, owned by the caller."""
    project = request.project()
    request.require(project, MAINTAINER)
    token = f"glptt-{state.number():020d}"
    state.trigger_token(token, project.id, request.user.id)
    state.trigger_tokens[token]["description"] = request.text("description")
    return Answer(201, ci_entities.trigger(state, state.trigger_tokens[token], caller=request.user))
