"""The proofs of `make security` in small: the same code, fewer deliveries, and its page."""

import ast
import json
import os
import random
import re
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from tests import ROOT
from tests.proofs.security import (
    clouds,
    expanders,
    families,
    floods,
    fuzz,
    hints,
    hosts,
    journeys,
    loops,
    matrix,
    mutations,
    readers,
    report,
    timing,
)
from tests.proofs.security.mutants import mutants
from tests.proofs.security.threats import TESTS, THREATS
from tests.shared.outgoing import test_payload
from tests.support import fakes
from tests.support.stages import Stage

LOCKS = [
    path
    for folder in ("functions", "tests")
    for path in sorted((ROOT / folder).rglob("*requirements.txt"))
]


def seed() -> int:
    """Return a new seed, shown where a test fails, to play the failure again."""
    made = random.getrandbits(32)
    print(f"seed {made}")
    return made


def answered(tally: fuzz.Tally) -> None:
    assert tally.met, tally.stories
    assert (
        min(tally.kinds[kind] for kind in (mutations.SIGNED, mutations.UNSIGNED, mutations.METHOD))
        > 0
    )
    assert tally.reasons["queued"] > tally.total / 50


# Deliveries (T18).


def test_mutated_deliveries_are_answered_as_they_must() -> None:
    answered(fuzz.deliver(fuzz.core, seed(), 8000))


@pytest.mark.parametrize("cloud", clouds.CLOUDS)
def test_the_handlers_of_both_clouds_answer_them_the_same(cloud: str) -> None:
    answered(fuzz.run(2000, clouds.FRONTS[cloud], processes=1, now=time.time()))


@pytest.mark.parametrize("cloud", clouds.CLOUDS)
def test_requests_that_are_none_are_refused(cloud: str) -> None:
    assert fuzz.apart(clouds.odd, cloud) == []


def test_an_answer_that_is_wrong_is_counted() -> None:
    case = mutations.Case(mutations.UNSIGNED, fakes.delivery()._replace(headers={}))
    for answer, expected in (
        ((200, '{"reason": "queued"}'), (0, 0, 1)),
        ((503, '{"reason": "queue_unavailable"}'), (0, 1, 1)),
        ((401, '{"reason": "defect"}'), (1, 0, 0)),
        ((401, '{"reason": "unsigned"}'), (0, 0, 0)),
    ):
        tally = fuzz.Tally()
        tally.add(case, lambda _, answer=answer: answer)  # type: ignore[misc]
        assert (tally.exceptions, tally.server_errors, tally.wrong) == expected
        assert tally.met == (not any(expected))


@pytest.mark.parametrize("forged", [False, True])
def test_a_flood_reads_no_secret_writes_nothing_and_is_told_once_a_second(forged: bool) -> None:
    seen = floods.run(6000, forged=forged)
    assert seen.met, seen
    assert seen.reads == forged
    assert 5 <= seen.lines <= 7


def test_bombs_are_harmless() -> None:
    found = floods.bombs(most=6_500_000)
    assert {unsigned for unsigned, _ in found.values()} == {401}
    assert {signed for _, signed in found.values()} <= {200, 202}


# Who and where (T2, T3).


def test_without_a_clear_yes_nothing_starts() -> None:
    rng, cells = random.Random(seed()), list(matrix.cells())  # noqa: S311
    allowed = [cell for cell in cells if cell.yes]
    seen = matrix.judge(rng.sample(cells, 2000) + rng.sample(allowed, 50))
    assert seen.wrong == ()
    assert seen.allowed >= 50


@pytest.mark.parametrize("command", ["stop", "status", "retry", "help", "review", "--turns 3 stop"])
@pytest.mark.parametrize(
    "who",
    [
        {"role": None},
        {"role": 20},
        {"user_state": "blocked"},
        {"external": True},
        {"who": matrix.BOT},
    ],
)
def test_without_a_clear_yes_no_command_is_carried_out(command: str, who: dict[str, Any]) -> None:
    records, clock, gitlab = fakes.Records(), fakes.Clock(), matrix.Answering(matrix.Cell())
    for note_id, text in enumerate(("@claude fix it", f"@claude {command}"), 1):
        _, [run] = journeys.received(fakes.payload(text, id=note_id))
        journeys.carry(run, gitlab, clock, records)
        gitlab.become(matrix.Cell(**who))
    assert (len(gitlab.triggered), gitlab.cancelled) == (1, [])
    assert not any("pipeline 1" in reply or "| write |" in reply for reply in gitlab.replies[1:])


@pytest.mark.parametrize("pipeline_ref", ["default", "source"])
@pytest.mark.parametrize(("forks", "of_a_fork"), [("refuse", []), ("read-only", ["main"])])
def test_the_branch_is_never_one_that_a_fork_or_a_comment_names(
    pipeline_ref: str, forks: str, of_a_fork: list[str]
) -> None:
    for source_project in (7, 8, None, "7", True, 7.0):
        payload = fakes.payload(
            "@claude on branch evil, ref=evil --ref evil", noteable_type="MergeRequest", ref="evil"
        )
        ends = {
            "source_branch": "feature",
            "target_branch": "main",
            "source_project_id": source_project,
        }
        payload["merge_request"] = {
            "iid": 3,
            **ends,
            "target_project_id": 7,
            "last_commit": {"id": "a" * 40},
        }
        gitlab = fakes.GitLab()
        _, [run] = journeys.received(payload)
        journeys.carry(run, gitlab, fakes.Clock(), PIPELINE_REF=pipeline_ref, FORKS=forks)
        refs = [body["ref"] for _, _, body in gitlab.triggered]
        same = type(source_project) is int and source_project == 7
        ours = {"default": "main", "source": "feature"}[pipeline_ref]
        assert refs == ([ours] if same else of_a_fork)


# What GitLab does not say (T6, T17, T23).


def test_a_delivery_of_what_gitlab_does_not_have_starts_nothing() -> None:
    seen = hints.forged()
    assert seen.wrong == ()
    assert (seen.deliveries, seen.true, seen.pipelines) == (len(hints.FORGERIES) + 1, 1, 0)


def test_what_is_swapped_between_two_calls_is_not_what_runs() -> None:
    seen = hints.swapped(every=3)
    assert seen.wrong == ()
    assert seen.ends.keys() == {str(end) for end in hints.ENDS}


def test_a_trigger_of_a_swapped_text_would_be_noticed() -> None:
    context = {"note": {"internal": False}}
    body = {"ref": "main", "variables": {}, "ai_flow": {"input": "fix it", "context": context}}
    assert hints._judged("fix it", body) == []
    assert hints._judged("fix that", body) == ["another instruction"]
    assert hints._judged("fix it", body | {"ref": "evil"}) == ["another branch"]
    assert hints._judged("fix it", body | {"x": f"{hints.EVIL}"}) == ["the swapped text"]
    told = body | {"variables": {"AI_FLOW_INPUT": "fix it"}}
    told["ai_flow"] = {"input": "fix it", "context": {"note": {"internal": True}}}
    assert hints._judged("fix it", told) == [
        "another instruction",
        "an internal text in a variable",
    ]


def test_nothing_confidential_is_in_what_the_trigger_tells_others() -> None:
    seen = readers.run(readers.covering(list(readers.rows())))
    assert seen.wrong == ()
    assert 10 < seen.started < seen.rows


def test_a_confidential_word_in_what_the_trigger_tells_would_be_noticed(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(readers, "WORD", "greeting")  # as public rows say it
    row = readers.PLAIN
    assert readers.run([row]).wrong == (f"{row}: the word is in trigger",)


# Expansion (T1).


def test_no_text_expands_in_either_expander() -> None:
    seen = expanders.texts(seed(), 6000)
    assert seen.wrong == ()
    assert seen.raw_leaks > 2000
    through = expanders.whole(seed(), 200)
    assert through.wrong == ()
    assert through.raw_leaks > 50


def test_two_models_of_the_expanders_agree() -> None:
    rng = random.Random(seed())  # noqa: S311
    for _ in range(4000):
        for text in (expanders.text(rng)[:200], "".join(rng.choices("${}%A*#1 _-Zb$", k=12))):
            assert expanders.rails(text) == test_payload.rails(text, expanders.SECRETS)
            assert expanders.go(text) == test_payload.runner(text, expanders.SECRETS)


# Patterns (T9).


def test_hostile_texts_take_linear_time() -> None:
    slow = [seen for seen in families.run(100_000, times=2) if not seen.met]
    assert slow == []


def test_every_published_family_is_tried() -> None:
    published = json.loads((ROOT / "tests" / "data" / "redos.json").read_text())["families"]
    assert len(published) == 21
    pieces = {ast.literal_eval(re.findall(r"'(?:[^'\\]|\\.)*'", family)[0]) for family in published}
    assert all(any(repr(piece) in name for name in families.FAMILIES) for piece in pieces - {"[]("})


# Addresses and names (T10, T16, T21).


def test_hostile_addresses_reach_nobody_but_our_gitlab() -> None:
    seen = hosts.play(seed(), 40)
    assert seen.hosts == ("the configured one",)
    assert seen.wrong == ()
    assert seen.pipelines > 20


@pytest.mark.parametrize(
    "path",
    [
        "/api/v4/users/666",
        "/api/v4/projects/group%2Fapp",
        "/api/v4/projects/7/..",
        "/api/v4//",
        "/evil",
        "/api/v4/a@b",
    ],
)
def test_a_path_that_holds_more_than_ids_is_noticed(path: str) -> None:
    assert not hosts._expected(path, {})
    assert hosts._expected("/api/v4/projects/7/issues/5/notes/1001/award_emoji", {})
    assert not hosts._expected("/api/v4/projects/7", {"private_token": "https://evil.example"})


# Loops (T12).


@pytest.mark.parametrize("allowed", [False, True])
def test_bots_that_talk_for_ever_start_no_more_than_the_limits(allowed: bool) -> None:
    seen = loops.run(150, allowed=allowed)
    assert seen.wrong == ()
    assert 0 < seen.runs["ada"] <= seen.human_notes
    assert ("renovate" in seen.runs) == allowed


# Time (T13).


def test_the_time_of_a_refusal_tells_nothing() -> None:
    for compared in (timing.by_token(), timing.by_signature()):
        # A machine at work may look like a leak once, not three times.
        assert any(timing.measure(10_000, compared).worst < timing.LEAK for _ in range(3))


def test_the_method_finds_a_comparison_that_tells() -> None:
    leaks = (
        timing.measure(10_000, timing.by_token("s" * 4000), timing.leaky).worst for _ in range(3)
    )
    assert any(worst > 2 * timing.LEAK for worst in leaks)


# Replay (T14).


@pytest.mark.parametrize(
    "document", [fakes.WEBHOOK_SECRETS, json.dumps({"secret_tokens": [fakes.SECRET_TOKEN]})]
)
def test_a_recorded_delivery_starts_one_run_however_often_it_is_sent(document: str) -> None:
    stage = Stage()
    recorded = fakes.delivery()
    recorded = recorded._replace(headers={**recorded.headers, "x-gitlab-token": fakes.SECRET_TOKEN})
    statuses = []
    for after in (0, 1, 299, 301, 29 * 24 * 3600):
        stage.clock.time = fakes.NOW + after
        stage.queue, stage.tokens = fakes.Queue(), fakes.tokens(document, stage.clock)
        statuses.append(stage.receive(recorded).status)
        for run in stage.queue.runs:
            stage.dispatch(run)
    signed = "signing_tokens" in document
    assert statuses == [202, 202, 202, 401, 401] if signed else [202] * 5
    assert len(stage.gitlab.triggered) == 1


# The supply chain (T20).


@pytest.mark.parametrize("path", LOCKS, ids=lambda path: str(path.parent.name))
def test_every_locked_dependency_has_a_hash(path: Path) -> None:
    for entry in re.split(r"(?<!\\)\n", path.read_text()):
        assert (
            not entry.strip()
            or entry.startswith("#")
            or re.match(r"[A-Za-z0-9._\[\]-]+==\S+.*--hash=sha256:", entry, re.DOTALL)
        ), entry


# The mutation tester.


def test_mutants_change_what_a_tired_programmer_would(tmp_path: Path) -> None:
    source = 'LIMIT = 3\n\ndef f(a, b=None):\n    "Doc."\n    if not a and b is None:\n        raise ValueError("no")\n    return a < LIMIT\n'
    (tmp_path / "m.py").write_text(source)
    changes = {str(each) for each in mutants(tmp_path / "m.py")}
    for change in (
        "1: 3 → 4",
        "5: not a and b is None → not a or b is None",
        "5: not a → a",
        "5: b is None → b is not None",
        "6: raise ValueError('no') → pass",
        "7: a < LIMIT → a <= LIMIT",
        "7: return a < LIMIT → return None",
    ):
        assert change in changes
    assert not any("Doc" in change for change in changes)


def test_the_mutation_tester_kills_and_tells_who_lives() -> None:
    told = subprocess.run(
        [sys.executable, "-m", "tests.proofs.security.mutation", "runs.access"],
        cwd=ROOT,
        env=os.environ | {"EVERY": "40"},
        capture_output=True,
        text=True,
        check=True,
    )
    seen: dict[str, Any] = json.loads(told.stdout)
    assert seen["module"] == "runs.access"
    assert 0 < len(seen["survivors"]) + 1 <= seen["mutants"]


# The page.


def test_the_page_is_as_it_was_generated() -> None:
    text = report.PATH.read_text()
    found, shown = report.read(text)
    assert text == report.page(found, shown)
    assert list(found) == [threat.id for threat in THREATS]


def test_every_threat_has_a_proof_that_exists() -> None:
    assert [threat.id for threat in THREATS] == [f"T{n}" for n in range(1, 28)] + [
        f"J{n}" for n in range(1, 20)
    ]
    assert all(threat.tests for threat in THREATS)
    for test in TESTS:
        path, _, name = test.partition("::")
        tree = ast.parse((ROOT / "tests" / path).read_text())
        assert name in {node.name for node in tree.body if isinstance(node, ast.FunctionDef)}, test
