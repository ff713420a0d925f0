"""The examples in the docstrings of the core are true, and what others call first shows one."""

import doctest
import importlib
import pkgutil

import pytest

import shared

MODULES = sorted(module.name for module in pkgutil.walk_packages(shared.__path__, "shared."))
CALLED_FIRST = (
    "shared.contract.invisible.without",
    "shared.contract.marks.of_run",
    "shared.incoming.delivery.verify",
    "shared.incoming.mention.instruction",
    "shared.incoming.mention.may_occur",
    "shared.incoming.payloads.parse",
    "shared.log_fields.entry",
    "shared.markdown.sanitize.sanitize",
    "shared.markdown.visible.mask",
    "shared.outcome.reasons.Reason",
    "shared.outgoing.payload.safe",
    "shared.outgoing.refusals.refused",
    "shared.outgoing.replies.state_of",
    "shared.runs.access.authorise",
    "shared.runs.command.parse",
    "shared.runs.detect.ask",
    "shared.runs.request.from_json",
)


@pytest.mark.parametrize("name", MODULES)
def test_the_examples_of_a_module_are_true(name: str) -> None:
    found = doctest.testmod(importlib.import_module(name), optionflags=doctest.ELLIPSIS)
    assert found.failed == 0


@pytest.mark.parametrize("name", CALLED_FIRST)
def test_what_others_call_first_shows_an_example(name: str) -> None:
    module = importlib.import_module(name.rpartition(".")[0])
    shown = [test.name for test in doctest.DocTestFinder().find(module) if test.examples]
    assert name in shown
