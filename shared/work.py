"""What a run is to do: the options and the instruction that a reader sees in the request."""

from typing import NamedTuple

from shared import thread_commands
from shared.contract.ai_flow import AUTO, MENTION
from shared.gitlab.values import NOT_FOUND, GitLabError
from shared.incoming import mention
from shared.outcome.reasons import Reason, Stop
from shared.outgoing import refusals
from shared.runs import command
from shared.runs.command import Options
from shared.runs.confirm import text_of
from shared.runs.request import RunRequest
from shared.services import Services


class Work(NamedTuple):
    """What a run is to do: the request that is carried out, its instruction, its options.

    A `retry` carries out a former request.
    """

    request: RunRequest
    instruction: str
    options: Options


def understand(request: RunRequest, services: Services) -> Work:
    """Read the options a text begins with.

    Raise Stop where it is no request we serve, Retry where GitLab does not tell the text.
    """
    settings = services.settings
    name = request.event.name
    if name not in (MENTION, AUTO):  # nobody wrote a word: it is ours, or the installation's
        return Work(request, settings.prompts.get(name) or _text_of(request, services), Options())
    options, instruction = command.parse(_seen_of(request, services), settings)
    if options.command == command.RETRY:
        former = thread_commands.last_of(request, services)
        _, instruction = command.parse(_seen_of(former.carried_out, services), settings)
        request, options = thread_commands.repeated(request, options, former)
    return Work(request, instruction, options)


def _seen_of(request: RunRequest, services: Services) -> str:
    """Return what of a request's instruction a reader could see."""
    text = _text_of(request, services)
    return mention.sanitized(text, services.settings.phrases, request.second)


def _text_of(request: RunRequest, services: Services) -> str:
    try:
        return text_of(request, services.gitlab, services.settings)
    except GitLabError as error:
        if error.status == NOT_FOUND:
            raise Stop(Reason.NOTE_CHANGED) from error
        raise refusals.unavailable(error) from error
