"""Each kind of text by itself; `test_settings.py` reads whole environments."""

import pytest

from shared.installation import readers
from shared.installation.readers import ROLES, SettingsError, Variable


def variable(**changes: object) -> Variable:
    return Variable("V", "", "group")._replace(**changes)  # type: ignore[arg-type]


def test_the_roles_have_gitlab_s_numbers() -> None:
    # https://docs.gitlab.com/api/access_requests/#valid-access-levels
    known = {"guest": 10, "planner": 15, "reporter": 20, "developer": 30, "maintainer": 40}
    assert known | {"owner": 50} == ROLES


def test_a_list_has_no_empty_entries() -> None:
    assert readers.entries(variable(), {"V": " a b,, C ,"}) == ("a b", "C")
    assert readers.paths(variable(), {"V": "B,a"}) == ("b", "a")
    assert readers.names(variable(), {"V": "B,a"}) == {"a", "b"}
    assert readers.entries(variable(), {"V": ""}) == ()


@pytest.mark.parametrize(("text", "value"), [("0", 0), ("07", 7), ("90", 90)])
def test_a_number_is_whole_and_within_bounds(text: str, value: int) -> None:
    assert readers.number(variable(most=90), {"V": text}) == value


@pytest.mark.parametrize("text", ["", "91", "-1", "1.5", "007", "٣", " 7", "7e1"])
def test_any_other_number_is_refused_with_its_bounds(text: str) -> None:
    with pytest.raises(SettingsError, match="expected a whole number up to 90; 0: no limit"):
        readers.number(variable(most=90), {"V": text})


def test_a_switch_is_on_or_off() -> None:
    switch = variable(values=("true", "false"))
    assert readers.switch(switch, {"V": "TRUE"}) is True
    assert readers.switch(switch, {"V": "false"}) is False
    with pytest.raises(SettingsError, match="V: found 'on', expected one of true, false"):
        readers.switch(switch, {"V": "on"})
