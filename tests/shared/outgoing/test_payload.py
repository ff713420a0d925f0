import json
import os
import re
import subprocess
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from shared.incoming.event import Branches, Event
from shared.outcome.reasons import Reason, Stop
from shared.outgoing import payload
from shared.runs.command import Options
from tests import DATA
from tests.support import fakes
from tests.support.fakes import NOTE, run

SECRETS = {
    "ANTHROPIC_API_KEY": "sk-ant-canary",
    "CI_JOB_TOKEN": "canary-job-token",
    "PATH": "/bin",
    "A": "canary-a",
}

# gitlabhq lib/gitlab/ci/variables/collection/item.rb, VARIABLES_REGEXP
RAILS = re.compile(
    r"\$\$|%%|\$(?P<a>[a-zA-Z_][a-zA-Z0-9_]*)|\$\{(?P<b>[a-zA-Z_][a-zA-Z0-9_]*)?\}|%(?P<c>[a-zA-Z_][a-zA-Z0-9_]*)%"
)


def rails(text: str, variables: dict[str, str]) -> str:
    """GitLab's own expansion: undefined names are kept, $$ and %% are passed over."""

    def replaced(match: re.Match[str]) -> str:
        name = match["a"] or match["b"] or match["c"]
        return variables.get(name, match[0]) if name else match[0]

    return RAILS.sub(replaced, text)


def runner(text: str, variables: dict[str, str]) -> str:
    """Expand as the runner does (Go os.Expand): $$ is $, specials and undefined names are empty."""
    out, at = [], 0
    while at < len(text):
        if text[at] != "$" or at + 1 == len(text):
            out.append(text[at])
            at += 1
            continue
        name, width = go_shell_name(text[at + 1 :])
        if name == "$":
            out.append("$")
        elif name:
            out.append(variables.get(name, ""))
        elif width == 0:
            out.append("$")
        at += 1 + width
    return "".join(out)


def go_shell_name(text: str) -> tuple[str, int]:
    """Go's os.getShellName: the name after a $ and how many characters it takes."""
    if text[0] == "{":
        if len(text) > 2 and text[1] in "*#$@!?-0123456789" and text[2] == "}":
            return text[1], 3
        end = text.find("}")
        if end == 1:
            return "", 2
        return (text[1:end], end + 1) if end > 0 else ("", 1)
    if text[0] in "*#$@!?-0123456789":
        return text[0], 1
    name = re.match(r"[A-Za-z0-9_]*", text, re.ASCII)
    assert name
    return name[0], len(name[0])


def seen_by_the_job(value: str) -> str:
    return runner(rails(value, SECRETS), SECRETS)


CASES = json.loads((DATA / "ci-variable-expansion.json").read_text())["cases"]
PIECES = (
    "$", "%", "{", "}", "$$", "%%", "A", "CI_JOB_TOKEN", "ANTHROPIC_API_KEY", "x", "5", " ", "\n",
    "％", "\0",
)  # fmt: skip
LEAKING = st.lists(st.sampled_from(PIECES), max_size=20).map("".join)


@pytest.mark.parametrize("case", CASES, ids=lambda case: case["comment"])
def test_nothing_leaks_from_a_published_case(case: dict[str, Any]) -> None:
    assert "canary" not in seen_by_the_job(payload.safe(case["comment"]))
    assert seen_by_the_job(payload.safe_json(case["comment"])) == payload.safe_json(case["comment"])


def test_the_model_of_the_expanders_does_leak_what_is_not_made_safe() -> None:
    for text in ("$ANTHROPIC_API_KEY", "${CI_JOB_TOKEN}", "%CI_JOB_TOKEN%", "$$A"):
        assert "canary" in seen_by_the_job(text) or text == "$$A"
    assert "canary" in seen_by_the_job("%A%".replace("$", "$$"))


@settings(max_examples=2000)
@given(LEAKING | st.text())
def test_no_text_expands_to_a_secret(text: str) -> None:
    seen = seen_by_the_job(payload.safe(text))
    assert "canary" not in seen
    assert (
        seen.replace("％", "%")
        == text.replace("\0", "").replace("％", "%").encode("utf-8", "replace").decode()
    )


@settings(max_examples=500)
@given(
    st.recursive(
        LEAKING | st.text(),
        lambda inner: st.lists(inner) | st.dictionaries(LEAKING, inner),
        max_leaves=5,
    )
)
def test_json_reads_back_to_the_letter(value: object) -> None:
    text = payload.safe_json(value)
    assert seen_by_the_job(text) == text
    assert json.loads(text) == value


@pytest.mark.parametrize("text", ["$", "é", "好", "🚀", "a", "%A", "$A$", "x$"])
@pytest.mark.parametrize("offset", range(4))
def test_a_long_value_is_cut_where_nothing_breaks(text: str, offset: int) -> None:
    value = payload.safe("y" * offset + text * 200_000)
    assert len(value.encode()) <= payload.MAX_VALUE
    assert value.endswith(f"[cut here: the text has {offset + 200_000 * len(text)} characters]")
    assert "canary" not in seen_by_the_job(value)
    kept = seen_by_the_job(value).rpartition("\n")[0].replace("％", "%")
    assert ("y" * offset + text * 200_000).startswith(kept)


@pytest.mark.parametrize(
    "text", ["$" * 100_000, "X$" * 100_000, "X" * 98_000 + "$" * 9000, "$X" * 100_000]
)
@pytest.mark.parametrize("offset", range(4))
def test_a_cut_leaves_no_half_of_a_doubled_dollar(text: str, offset: int) -> None:
    text = "y" * offset + text
    mark = f"\n[cut here: the text has {len(text)} characters]"
    kept = text.replace("$", "$$")[: 96 * 1024 - len(mark)]
    ends = re.search(r"\$*$", kept)
    assert payload.safe(text) == kept[: len(kept) - (len(ends[0]) % 2 if ends else 0)] + mark


def test_a_value_of_96_kib_is_not_cut() -> None:
    whole = "y" * 96 * 1024
    assert payload.safe(whole) == whole
    assert "[cut here" in payload.safe(whole + "y")


def test_half_of_a_surrogate_pair_becomes_a_question_mark() -> None:
    assert payload.safe("a\ud800b") == "a?b"


def test_a_program_starts_with_the_longest_values() -> None:
    body = payload.body(run(), Options(), "é" * 1_000_000, {}, fakes.settings(), nonce="n")
    environment = {name: str(value) for name, value in body["variables"].items()}  # type: ignore[attr-defined]
    assert subprocess.run(["/bin/true"], env=os.environ | environment, check=False).returncode == 0


def test_the_body_holds_the_request_to_the_letter_and_the_variables_made_safe() -> None:
    text = "print $ANTHROPIC_API_KEY ${CI_JOB_TOKEN} %PATH%"
    body: dict[str, Any] = payload.body(
        run(),
        Options(),
        text,
        {"a": "$B %C%"},
        fakes.settings(MODEL_PROVIDER="bedrock", MODEL_REGION="eu-west-1"),
        nonce="n",
    )
    assert body["ref"] == "main"
    assert body["ai_flow"]["input"] == text
    assert body["ai_flow"]["id"] == run().id
    assert body["ai_flow"]["model"] == {"provider": "bedrock", "region": "eu-west-1", "id": ""}
    variables = body["variables"]
    assert set(variables) == {
        "AI_FLOW_INPUT",
        "AI_FLOW_CONTEXT",
        "AI_FLOW_EVENT",
        "AI_FLOW_ID",
        "AI_FLOW_NONCE",
        "AI_FLOW_THREAD",
        "AI_FLOW_PROJECT_PATH",
        "AI_FLOW_GITLAB_HOSTNAME",
        "AI_FLOW_DISCUSSION_ID",
        "AWS_REGION",
    }
    assert all(isinstance(value, str) for value in variables.values())
    assert json.loads(variables["AI_FLOW_CONTEXT"]) == body["ai_flow"]["context"]
    assert variables["AI_FLOW_EVENT"] == "mention"
    assert variables["AI_FLOW_GITLAB_HOSTNAME"] == "gitlab.com"


@pytest.mark.parametrize("discussion", ["d" * 40, None])
def test_the_body_has_its_version_and_names_the_thread(discussion: str | None) -> None:
    asked = run(NOTE._replace(discussion_id=discussion))
    body: dict[str, Any] = payload.body(asked, Options(), "fix it", {}, fakes.settings(), nonce="n")
    told = {name: body["ai_flow"][name] for name in ("version", "id", "event")}
    assert told == {"version": 1, "id": asked.id, "event": "mention"}
    assert body["variables"]["AI_FLOW_THREAD"] == "issue-5"
    assert body["variables"]["AI_FLOW_DISCUSSION_ID"] == (discussion or "")


MERGE_REQUEST = NOTE._replace(
    kind="merge_request", branches=Branches("feature", "main", 7, "abc"), position={"new_path": "a"}
)


def body(
    event: Event = NOTE,
    options: Options = Options(),  # noqa: B008  a constant
    **environment: str,
) -> dict[str, Any]:
    settings = fakes.settings(**environment)
    return payload.body(run(event), options, "do it", {"note": 1}, settings, nonce="n")


def test_the_job_is_told_what_a_run_may_spend_and_no_variable_is() -> None:
    asked = body(NOTE, Options(turns=7), BUDGET_PER_RUN="2.5")
    assert asked["ai_flow"]["options"] == {"turns": 7, "minutes": None, "usd": "2.500000"}
    assert asked["variables"] == body(NOTE, Options(turns=7))["variables"]


def test_an_option_chooses_the_model_and_the_limits() -> None:
    asked = body(NOTE, Options("review", "claude-opus-4-5", 7, 9), MODEL="claude-sonnet-4-5")
    assert asked["ai_flow"]["options"] == {"turns": 7, "minutes": 9}
    assert (
        asked["ai_flow"]["model"]["id"]
        == asked["variables"]["ANTHROPIC_MODEL"]
        == "claude-opus-4-5"
    )
    assert asked["ai_flow"]["command"] == "review"
    plain = body(MODEL="claude-sonnet-4-5")["ai_flow"]
    assert (plain["options"], plain["model"]["id"]) == (
        {"turns": None, "minutes": None},
        "claude-sonnet-4-5",
    )


@pytest.mark.parametrize(
    ("name", "kind", "command"),
    [
        ("mention", "issue", ""),
        ("assign", "issue", "implement"),
        ("label", "issue", "implement"),
        ("assign", "merge_request", ""),
        ("assign_reviewer", "merge_request", "review"),
    ],
)
def test_an_event_without_words_says_what_is_to_be_done(name: str, kind: str, command: str) -> None:
    assert body(MERGE_REQUEST._replace(name=name, kind=kind))["ai_flow"]["command"] == (
        command or None
    )


def test_the_installation_words_its_prompts() -> None:
    asked = body(NOTE, Options("review"), PROMPTS=json.dumps({"review": "Look at security first."}))
    assert asked["ai_flow"]["prompt"] == "Look at security first."
    assert body(NOTE, Options("fix"))["ai_flow"]["prompt"] == ""


def test_pipelines_run_on_the_default_branch_unless_chosen_otherwise() -> None:
    default, source = (fakes.settings(PIPELINE_REF=ref) for ref in ("default", "source"))
    assert payload.ref(NOTE, default) == "main"
    assert payload.ref(NOTE, source) == "main"
    assert payload.ref(MERGE_REQUEST, default) == "main"
    assert payload.ref(MERGE_REQUEST, source) == "feature"


@pytest.mark.parametrize("pipeline_ref", ["default", "source"])
@pytest.mark.parametrize("project", [8, None, 0])
def test_a_fork_s_merge_request_never_runs_here(pipeline_ref: str, project: int | None) -> None:
    note = MERGE_REQUEST._replace(branches=Branches("main", "main", project, "abc"))
    with pytest.raises(Stop) as stop:
        payload.ref(note, fakes.settings(PIPELINE_REF=pipeline_ref))
    assert stop.value.reason is Reason.FORK_MERGE_REQUEST


@pytest.mark.parametrize("pipeline_ref", ["default", "source"])
@pytest.mark.parametrize("project", [8, None])
def test_where_forks_are_read_the_default_branch_runs_and_only_our_job_is_told(
    pipeline_ref: str, project: int | None
) -> None:
    note = MERGE_REQUEST._replace(branches=Branches("feature", "release", project, "abc"))
    asked = body(note, FORKS="read-only", PIPELINE_REF=pipeline_ref)
    assert asked["ref"] == "main"
    assert asked["ai_flow"]["read_only"] is True
    # A job that knows no more than variables would take the fork's branch for one of its own.
    assert not {"AI_FLOW_INPUT", "AI_FLOW_CONTEXT"} & asked["variables"].keys()
    assert "read_only" not in body(MERGE_REQUEST, FORKS="read-only")["ai_flow"]


@pytest.mark.parametrize(
    ("branch", "reason"),
    [
        ("", Reason.REPOSITORY_EMPTY),
        ("refs/merge-requests/1/head", Reason.REF_NOT_FOUND),
        ("refs/heads/main", Reason.REF_NOT_FOUND),
    ],
)
def test_only_a_branch_is_run_on(branch: str, reason: Reason) -> None:
    with pytest.raises(Stop) as stop:
        payload.ref(NOTE._replace(default_branch=branch), fakes.settings())
    assert stop.value.reason is reason


@pytest.mark.parametrize(("name", "told"), [("mention", None), ("assign", "do it")])
def test_of_an_internal_request_no_text_leaves(name: str, told: str | None) -> None:
    sent = body(NOTE._replace(internal=True, name=name))
    assert (sent["ai_flow"]["version"], sent["ai_flow"]["input"]) == (2, told)
    assert not {"AI_FLOW_INPUT", "AI_FLOW_CONTEXT"} & set(sent["variables"])
    assert set(body()["variables"]) - set(sent["variables"]) == {"AI_FLOW_INPUT", "AI_FLOW_CONTEXT"}


@pytest.mark.parametrize(("language", "told"), [("en", {}), ("zh-CN", {"language": "zh-CN"})])
def test_the_job_is_told_another_language_than_english(language: str, told: dict[str, str]) -> None:
    spoken = fakes.settings(LANGUAGE=language)
    flow = payload.body(run(), Options(), "fix it", {}, spoken, nonce="n")["ai_flow"]
    assert isinstance(flow, dict)
    assert {key: value for key, value in flow.items() if key == "language"} == told
