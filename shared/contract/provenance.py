"""What accounts for a commit of the job: its trailers, a request's digest, the trigger's seal.

The seal is an HMAC with a key that only the trigger and its operator have; the job, which runs what
others wrote, never does. `python -m cli verify` reads all of it back: docs/provenance.md.
"""

from __future__ import annotations

import hmac
import json
from hashlib import sha256
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

# Names of trailers, as `git interpret-trailers` reads them.
RUN, ASKED_BY, NOTE = "Claude-Run", "Claude-Asked-by", "Claude-Note"
MODEL, CLIENT, REQUEST = "Claude-Model", "Claude-Code", "Claude-Request"

# https://github.com/in-toto/attestation/blob/main/spec/v1/statement.md
STATEMENT = "https://in-toto.io/Statement/v1"
PREDICATE = "urn:gitlab-claude-trigger:run:1"

MASK = "[MASKED]"  # what stands in the place of a secret in what the job leaves
SEAL = "seal"  # the one name of `ai_flow` that the digest leaves out
NOTES = "refs/notes/claude"  # where statements stand as git notes: `git log --notes=claude`


def digest(flow: Mapping[str, object]) -> str:
    """Return the SHA-256 of an `ai_flow` in hex: of its JSON, names sorted, ASCII, no blanks.

    That is the same before and after GitLab has written it anew. It holds the run's nonce, so that
    nobody can guess a text from it.
    """
    told = {name: value for name, value in flow.items() if name != SEAL}
    text = json.dumps(told, sort_keys=True, separators=(",", ":"))
    return sha256(text.encode()).hexdigest()


def seal(key: str, flow: Mapping[str, object]) -> str:
    """Return the HMAC-SHA-256, in hex, of a request's digest."""
    return hmac.new(key.encode(), digest(flow).encode(), sha256).hexdigest()


def note_path(commit: str) -> str:
    """Return where a commit's note stands in the tree of NOTES, as git finds it in a large one.

    Source: `load_subtree` of git's notes.c, which takes any mix of folders and whole names.
    """
    return f"{commit[:2]}/{commit[2:]}"


def trailers(message: str) -> dict[str, str]:
    r"""Return the trailers of a commit's message that are ours, by their names.

    Only the last paragraph counts; of a name that stands there twice neither does.

    >>> trailers("Mend it\n\nClaude-Run: 5f3a\n")
    {'Claude-Run': '5f3a'}
    """
    lines = message.rstrip().rpartition("\n\n")[2].splitlines()
    pairs = [line.partition(": ") for line in lines]
    names = [name for name, _, _ in pairs]
    ours = (RUN, ASKED_BY, NOTE, MODEL, CLIENT, REQUEST)
    return {name: value for name, _, value in pairs if name in ours and names.count(name) == 1}
