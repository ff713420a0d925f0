import re

import pytest

from shared.installation.readers import SettingsError
from shared.installation.settings import VARIABLES
from shared.installation.settings_file import PLACES, parameter_name, parse
from tests.support.deploy import google, template


def test_names_and_values_are_read_as_they_stand() -> None:
    text = (
        '\n# a comment\nTRIGGER_PHRASE=@claude, @ai\n PROMPTS = {"review": "a=b"} \nALLOWED_BOTS=\n'
    )
    assert parse(text) == {
        "TRIGGER_PHRASE": "@claude, @ai",
        "PROMPTS": '{"review": "a=b"}',
        "ALLOWED_BOTS": "",
    }
    assert parse("") == {}


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("TRIGER_PHRASE=@claude", "line 1 of the settings file: found 'TRIGER_PHRASE'"),
        ("\n\nGITLAB_SECRETS={}", "line 3 of the settings file: found 'GITLAB_SECRETS', expected no secret"),
        ("a word", "line 1 of the settings file: found 'a line of another form'"),
        ("export PORT=1", "a line of another form"),
        ("PORT=1\nPORT=2", "'PORT a second time'"),
        ('PROMPTS="x"', "without quotes"),
        ("PLATFORM=azure", "one of local, aws, google"),
    ],
)  # fmt: skip
def test_a_line_that_is_none_is_named_and_no_value_is_repeated(text: str, words: str) -> None:
    with pytest.raises(SettingsError, match=re.escape(words)) as error:
        parse(text.replace("{}", "canary"))
    assert "canary" not in str(error.value)


def test_every_name_is_one_that_a_descriptor_has() -> None:
    parameters = set(template.source()["Parameters"])
    ours = {parameter_name(name) for name in (*VARIABLES, *PLACES["aws"])}
    assert ours - {"Stack"} == parameters
    substitutions = set(google.build()["substitutions"])
    known = {f"_{name}" for name in (*VARIABLES, *PLACES["google"])}
    assert known - {"_PROJECT_ID"} == substitutions
