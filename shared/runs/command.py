"""Parse what a comment may begin with: a command and options, from a closed list.

Everything else in it is free text.
"""

import re
from typing import NamedTuple

from shared.incoming import opening
from shared.installation.readers import PROMPTED
from shared.installation.settings import Settings
from shared.outcome import messages
from shared.outcome.reasons import Reason, Stop

HELP, STATUS, STOP, RETRY, BUDGET = opening.ON_THREADS

_WORD = re.compile(rf"\s*{opening.DRESS}([A-Za-z]+){opening.WORD_END}")
_NAME = rf"{opening.DASHES}((?=[A-Za-z]){opening.NAME}){opening.SEPARATOR}"
_OPTION = re.compile(rf"[\s{opening.PUNCTUATION}]*{_NAME}")
_VALUE = re.compile(opening.VALUE)
_NUMBER = re.compile(r"[1-9][0-9]{0,3}", re.ASCII)


class Options(NamedTuple):
    """What a comment begins with, each checked; "" and 0 where it was not given."""

    command: str = ""
    model: str = ""
    turns: int = 0
    minutes: int = 0


def parse(instruction: str, settings: Settings) -> tuple[Options, str]:
    """Return what an instruction begins with, and the instruction without options.

    Raise Stop, with a hint, for a wrong option. `help`, `status`, `stop`, `retry` and `budget` are
    commands only where nothing but options follows: "stop using tabs" is a request. An empty
    instruction is a call for help.

    >>> parse("review --turns 5 the parser", Settings.read({}))
    (Options(command='review', model='', turns=5, minutes=0), 'review the parser')
    >>> parse("stop using tabs", Settings.read({}))
    (Options(command='', model='', turns=0, minutes=0), 'stop using tabs')
    """
    given, start = _options(instruction, 0, settings)
    text = instruction[start:].strip() if given else instruction
    word = _WORD.match(text)
    command = word[1].lower() if word else ""
    if word and command in (*opening.ON_THREADS, *PROMPTED):
        more, end = _options(text, word.end(), settings)
        if command in PROMPTED or opening.is_nothing(text[end:]):
            rest = f"{word[0]} {text[end:].strip()}".strip() if more else text
            return Options(command, **given | more), rest  # type: ignore[arg-type]
    return Options("" if text.strip() else HELP, **given), text  # type: ignore[arg-type]


def _options(text: str, at: int, settings: Settings) -> tuple[dict[str, str | int], int]:
    """Return the options from a position on, and where they end."""
    given: dict[str, str | int] = {}
    while found := _OPTION.match(text, at):
        name = found[1].lower()
        if name not in messages.OPTIONS:
            raise Stop(Reason.OPTION_UNKNOWN, _did_you_mean(name))
        whole = _VALUE.match(text, found.end())[0]  # type: ignore[index]  # it matches "" as well
        value = whole.rstrip(opening.PUNCTUATION)
        given[name] = _model(value, settings) if name == "model" else _number(name, value, settings)
        at = found.end() + len(whole)
    return given, at


def _number(name: str, value: str, settings: Settings) -> int:
    most = settings.max_turns if name == "turns" else settings.max_minutes
    if not _NUMBER.fullmatch(value) or int(value) > most:
        raise Stop(Reason.OPTION_VALUE, messages.HELP_OPTIONS[name].format(most) if most else "")
    return int(value)


def _model(value: str, settings: Settings) -> str:
    """Return the one allowed model that has the name or holds it: `opus` will do."""
    offered = settings.allowed_models
    if value in offered:
        return value
    found = [model for model in offered if value and value.lower() in model.lower()]
    if len(found) != 1:
        hint = messages.OFFERED.format(", ".join(offered)) if offered else ""
        raise Stop(Reason.MODEL_NOT_OFFERED, hint)
    return found[0]


def _did_you_mean(name: str) -> str:
    from difflib import get_close_matches  # noqa: PLC0415  for a slip of the fingers only

    known = [f"--{each}" for each in messages.OPTIONS]
    near = get_close_matches(f"--{name}", known, 1)
    return messages.DID_YOU_MEAN.format(near[0]) if near else ""
