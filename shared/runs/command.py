"""The closed list of words and options that a comment may begin with. Everything else in it is free text."""

import re
from typing import NamedTuple

from shared.installation.readers import PROMPTED
from shared.installation.settings import Settings
from shared.outcome import messages
from shared.outcome.reasons import Reason, Stop

HELP, STATUS, STOP, RETRY = "help", "status", "stop", "retry"

_WORD = re.compile(r"\s*([A-Za-z]+)(?=[\s,.:;!?]|$)[,.:;!?]*")
_OPTION = re.compile(r"\s*(?:--|—)([A-Za-z][^\s=]*)(?:=|[ \t]*)")  # keyboards make one dash of two
_VALUE = re.compile(r"\S*")
_NUMBER = re.compile(r"[1-9][0-9]{0,3}", re.ASCII)


class Options(NamedTuple):
    """What a comment begins with: a command or nothing, and the options it gives, each checked; 0 and "": not given."""

    command: str = ""
    model: str = ""
    turns: int = 0
    minutes: int = 0


def parse(instruction: str, settings: Settings) -> tuple[Options, str]:
    """Return what an instruction begins with, and the instruction without options; raise Stop for a wrong option.

    `help`, `status`, `stop` and `retry` are commands only where nothing but options follows: "stop using tabs" is a
    request. An empty instruction is a call for help.
    """
    given, start = _options(instruction, 0, settings)
    text = instruction[start:].strip() if given else instruction
    word = _WORD.match(text)
    command = word[1].lower() if word else ""
    if word and command in (HELP, STATUS, STOP, RETRY, *PROMPTED):
        more, end = _options(text, word.end(), settings)
        if command in PROMPTED or not text[end:].strip():
            rest = f"{word[0]} {text[end:].strip()}".strip() if more else text
            return Options(command, **given | more), rest  # type: ignore[arg-type]
    return Options("" if text.strip() else HELP, **given), text  # type: ignore[arg-type]


def _options(text: str, at: int, settings: Settings) -> tuple[dict[str, str | int], int]:
    """Return the options from a position on, and where they end."""
    given: dict[str, str | int] = {}
    while found := _OPTION.match(text, at):
        name = found[1].lower()
        if name not in messages.OPTIONS:
            raise Stop(
                Reason.OPTION_UNKNOWN, _meant(name, [f"--{each}" for each in messages.OPTIONS])
            )
        value = _VALUE.match(text, found.end())[0]  # type: ignore[index]  # it matches nothing as well
        given[name] = _model(value, settings) if name == "model" else _number(name, value, settings)
        at = found.end() + len(value)
    return given, at


def _number(name: str, value: str, settings: Settings) -> int:
    most = settings.max_turns if name == "turns" else settings.max_minutes
    if not _NUMBER.fullmatch(value) or int(value) > most:
        raise Stop(Reason.OPTION_VALUE, messages.HELP_OPTIONS[name].format(most) if most else "")
    return int(value)


def _model(value: str, settings: Settings) -> str:
    """Return the one allowed model that has the name or holds it: `opus` will do."""
    offered = settings.allowed_models
    found = (
        [value]
        if value in offered
        else [model for model in offered if value and value.lower() in model.lower()]
    )
    if len(found) != 1:
        raise Stop(
            Reason.MODEL_NOT_OFFERED, messages.OFFERED.format(", ".join(offered)) if offered else ""
        )
    return found[0]


def _meant(name: str, known: list[str]) -> str:
    from difflib import get_close_matches  # noqa: PLC0415  for a slip of the fingers only

    near = get_close_matches(f"--{name}", known, 1)
    return messages.DID_YOU_MEAN.format(near[0]) if near else ""
