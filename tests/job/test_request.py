"""The request: from the payload, from variables, and refused where it is not ours."""

import json
from pathlib import Path
from typing import Any

import pytest

from job.failures import Failure
from job.request import read

RUN = "ab" * 16
PROJECT = {"CI_PROJECT_ID": "7", "CI_PIPELINE_ID": "31"}


def payload(folder: Path, **flow: Any) -> Path:
    context = {
        "version": 1,
        "project": {"id": 7, "path": "group/app"},
        "merge_request": {"iid": 3, "sha": "c" * 40},
        "note": {"id": 101, "internal": True},
        "thread": {"discussion_id": "d" * 40},
        "author": {"id": 42, "username": "ada"},
        "something": {"new": "of a later version"},
    }
    whole = {
        "version": 1,
        "id": RUN,
        "event": "mention",
        "input": "fix $it %NOW%",
        "context": context,
        "model": {"id": "m"},
    }
    path = folder / "payload"
    path.write_text(json.dumps({"ref": "main", "variables": {}, "ai_flow": whole | flow}))
    return path


@pytest.mark.parametrize(("told", "is_so"), [(True, True), (None, False), ("yes", False)])
def test_only_the_trigger_s_word_makes_a_run_that_reads(
    tmp_path: Path, told: object, is_so: bool
) -> None:
    assert read(PROJECT, payload(tmp_path, read_only=told)).read_only is is_so


def test_the_payload_is_read_whole(tmp_path: Path) -> None:
    request = read(PROJECT, payload(tmp_path))
    assert (request.id, request.input, request.target) == (RUN, "fix $it %NOW%", "merge_request-3")
    assert (request.sha, request.discussion_id, request.internal) == ("c" * 40, "d" * 40, True)
    assert (request.author_id, request.author, request.model) == (42, "ada", {"id": "m"})
    assert request.context["something"] == {"new": "of a later version"}


def test_what_the_trigger_function_chose_is_read(tmp_path: Path) -> None:
    told = {
        "command": "fix",
        "prompt": " Mend it.\n",
        "options": {"turns": 5, "minutes": 10},
        "event": "label",
    }
    request = read(PROJECT, payload(tmp_path, **told))
    assert (request.command, request.prompt, request.event) == ("fix", "Mend it.", "label")
    assert (request.turns, request.minutes) == (5, 10)


def test_a_sender_that_chose_nothing_is_told_from_one_that_knows_no_commands(
    tmp_path: Path,
) -> None:
    assert read(PROJECT, payload(tmp_path, command="")).command == ""
    request = read(PROJECT, payload(tmp_path))
    assert (request.command, request.prompt, request.turns, request.minutes) == (None, "", 0, 0)


@pytest.mark.parametrize("command", ["deploy", "../fix", "Fix", "default"])
def test_a_command_we_do_not_have_is_none(tmp_path: Path, command: str) -> None:
    assert read(PROJECT, payload(tmp_path, command=command)).command == ""


@pytest.mark.parametrize("given", [None, 0, -3, True, 2.5, "7", [7]])
def test_options_that_are_no_positive_whole_numbers_are_ignored(
    tmp_path: Path, given: object
) -> None:
    request = read(PROJECT, payload(tmp_path, options={"turns": given, "minutes": given}))
    assert (request.turns, request.minutes) == (0, 0)


def test_fields_of_another_kind_are_as_good_as_missing(tmp_path: Path) -> None:
    request = read(PROJECT, payload(tmp_path, command=5, prompt=["x"], options="fast"))
    assert (request.command, request.prompt, request.turns) == (None, "", 0)


def test_the_payload_wins_over_variables(tmp_path: Path) -> None:
    assert read(PROJECT | {"AI_FLOW_INPUT": "another"}, payload(tmp_path)).input == "fix $it %NOW%"


def test_what_was_asked_internally_comes_without_its_text(tmp_path: Path) -> None:
    note = {"id": 101, "internal": True}
    request = read(PROJECT, payload(tmp_path, version=2, input=None, context={"note": note}))
    assert (request.withheld, request.internal, request.note_id) == (True, True, 101)
    assert request.input == ""
    request = read(PROJECT, payload(tmp_path, version=2, context={"note": {"id": None}}))
    assert (request.internal, request.note_id, request.input) == (True, 0, "fix $it %NOW%")


@pytest.mark.parametrize(
    "flow",
    [
        {"version": 3},
        {"version": "2"},
        {"version": None},
        {"id": "../../x"},
        {"id": 5},
        {"id": "run -->"},
        {"context": {"project": {"id": 8}}},
    ],
)
def test_a_request_that_is_not_ours_is_refused(tmp_path: Path, flow: dict[str, Any]) -> None:
    with pytest.raises(Failure, match="request_invalid"):
        read(PROJECT, payload(tmp_path, **flow))


def test_a_payload_that_is_no_json_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "payload"
    path.write_text("no json")
    with pytest.raises(Failure, match="request_invalid"):
        read(PROJECT, path)


def test_ids_that_are_none_are_as_good_as_missing(tmp_path: Path) -> None:
    context = {
        "issue": {"iid": "5; rm"},
        "author": {"id": True, "username": "a b\n"},
        "thread": {"discussion_id": "../x"},
        "merge_request": {"iid": -1, "sha": "HEAD"},
        "note": [],
    }
    request = read(PROJECT, payload(tmp_path, context=context))
    assert (request.kind, request.iid, request.sha, request.target) == ("", 0, "", "")
    assert (request.author_id, request.author) == (0, "")
    assert (request.discussion_id, request.internal) == ("", False)


def test_other_senders_variables_do(tmp_path: Path) -> None:
    given = PROJECT | {
        "AI_FLOW_INPUT": "fix it",
        "AI_FLOW_CONTEXT": '{"issue": {"iid": 5}}',
        "AI_FLOW_DISCUSSION_ID": "d" * 40,
    }
    request = read(given, None)
    assert (request.id, request.input) == ("pipeline-31", "fix it")
    assert (request.target, request.discussion_id) == ("issue-5", "d" * 40)
    path = tmp_path / "payload"
    path.write_text(json.dumps({"ref": "main", "variables": {"AI_FLOW_INPUT": "raw $5"}}))
    assert read(given, path).input == "raw $5"


@pytest.mark.parametrize("given", [{}, {"AI_FLOW_INPUT": "  "}])
def test_no_request_is_said(given: dict[str, str]) -> None:
    with pytest.raises(Failure, match="request_missing"):
        read(PROJECT | given, None)


def test_a_context_that_is_no_json_is_nothing() -> None:
    given = {"AI_FLOW_INPUT": "x", "AI_FLOW_CONTEXT": "[" * 100_000}
    assert read(PROJECT | given, None).target == ""


@pytest.mark.parametrize(
    ("given", "dollars"),
    [
        ("2.500000", 2.5),
        ("0.000000", 0.0),
        ("2.5", 0.0),
        (2.5, 0.0),
        ("-1.000000", 0.0),
        (None, 0.0),
    ],
)
def test_what_a_run_may_spend_is_what_the_trigger_writes(
    tmp_path: Path, given: object, dollars: float
) -> None:
    assert read(PROJECT, payload(tmp_path, options={"usd": given})).dollars == dollars
