"""GitLab's quick actions: which lines of a note are commands, and what is left of it; nothing is
executed here.
"""

import re

# docs.gitlab.com/user/project/quick_actions (19.3), without /shrug, /tableflip and /cc, which only
# change the text.
_WORDS = """
add_child add_contacts add_email add_parent approve assign assign_reviewer award blocked_by blocks board_move
checkin_reminder child_epic clear_health_status clear_parent clear_weight clone close confidential convert_to_ticket
copy_metadata create_merge_request done draft due duplicate epic estimate estimate_time health_status invite_email
iteration label labels link lock mark_as_duplicate merge milestone move page parent_epic promote promote_to
promote_to_incident publish react ready reassign reassign_reviewer rebase relabel relate remove_child remove_child_epic
remove_contacts remove_due_date remove_email remove_epic remove_estimate remove_estimate_time remove_iteration
remove_label remove_milestone remove_parent remove_parent_epic remove_time_spent remove_zoom reopen request_changes
request_review reviewer run_pipeline set_parent severity ship spend spend_time spent start_review submit_review
subscribe tag target_branch timeline title todo type unapprove unassign unassign_reviewer unlabel unlink unlock unrelate
unsubscribe weight zoom
"""
COMMANDS = frozenset(_WORDS.split())
_COMMAND = re.compile(r"/(\w+)(?: (.*))?\s*")
_FENCE = re.compile(r"(`{3,}|~{3,}|>{3,})[^`]*")


def split(text: str) -> tuple[str, list[tuple[str, str]]]:
    """Return the text without its commands, and these as (name, arguments); code and quote blocks
    are left alone.
    """
    if "/" not in text:
        return text, []
    kept: list[str] = []
    commands: list[tuple[str, str]] = []
    fence = ""
    for line in text.replace("\r", "").split("\n"):
        if fence:
            ends = line.rstrip()
            fence = "" if ends.startswith(fence) and not ends.strip(fence[0]) else fence
        elif opened := _FENCE.fullmatch(line):
            fence = opened[1]
        elif (found := _COMMAND.fullmatch(line)) and found[1].lower() in COMMANDS:
            commands.append((found[1].lower(), found[2] or ""))
            continue
        kept.append(line)
    return ("\n".join(kept).rstrip() if commands else text), commands
