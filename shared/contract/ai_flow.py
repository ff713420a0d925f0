"""The names in `ai_flow`, the object by which the trigger tells the job what to do.

`docs/trigger-call.md` describes the object; `docs/ai-flow-context.schema.json` its `context`.
"""

from __future__ import annotations

# Of `ai_flow`; a job refuses any other. WITHHELD is for what was asked internally: its `context`
# has ids only, its `input` is null where a person wrote it, and the job reads the texts itself.
VERSION, WITHHELD = 1, 2

# What a run can be about: `kind`.
ISSUE, MERGE_REQUEST, COMMIT, SNIPPET = "issue", "merge_request", "commit", "snippet"

# What made it a run: `event`, and the variable AI_FLOW_EVENT.
MENTION, ASSIGN, ASSIGN_REVIEWER, LABEL = "mention", "assign", "assign_reviewer", "label"
AUTO = "auto"  # nobody asked: the installation's policy did

# What the job can be told to do in one word: `command`.
REVIEW, FIX, EXPLAIN, IMPLEMENT = "review", "fix", "explain", "implement"

# What the replies are written in: `language`, which English does without.
ENGLISH, CHINESE = "en", "zh-CN"
LANGUAGES = (ENGLISH, CHINESE)

# For `re.fullmatch`: to compile a pattern is work that few starts of the trigger need.
RUN_ID = r"[A-Za-z0-9-]{1,64}"
DISCUSSION_ID = r"[0-9A-Za-z]{1,64}"
SHA = r"[0-9a-f]{40}(?:[0-9a-f]{24})?"
USERNAME = r"[A-Za-z0-9_.-]{1,255}"

_BY_EVENT = {
    (ASSIGN_REVIEWER, MERGE_REQUEST): REVIEW,
    (ASSIGN, ISSUE): IMPLEMENT,
    (LABEL, ISSUE): IMPLEMENT,
}


def command_of(event: str, kind: str) -> str:
    """Return the command of an event that came without a word, or "" where it has none.

    >>> command_of(ASSIGN_REVIEWER, MERGE_REQUEST)
    'review'
    """
    return _BY_EVENT.get((event, kind), "")
