"""What earlier GitLabs did not send yet: a payload of today made one of 2023 (16.0) or of 18.1."""

import re
from typing import Any

from .records import Json

VINTAGES = ("2023", "18.1", "19")
_MOMENT = re.compile(r"(\d{4}-\d\d-\d\d)T(\d\d:\d\d:\d\d)\.\d{3}Z")
# Fields by the block they are in; they came after 18.1, or after 2023.
_AFTER_18_1 = {
    "object_attributes": {"internal", "actioned_at", "target_branch_protected", "default_branch"},
    "merge_request": {"target_branch_protected"},
    "reviewers": {"state", "re_requested"},
}
_AFTER_2023 = {"note": {"action"}, "issue": {"type", "customer_relations_contacts"}}


def aged(payload: Json, vintage: str) -> Json:
    """Return the payload as that GitLab would have sent it; ValueError for what it did not send."""
    if vintage not in VINTAGES:
        raise ValueError(f"no vintage {vintage!r}, only {', '.join(VINTAGES)}")  # noqa: EM102, TRY003
    if vintage == "19":
        return payload
    if _asks_again(payload):
        raise ValueError("before 18.5 no webhook told that a review was requested again")  # noqa: TRY003
    later = {block: set(names) for block, names in _AFTER_18_1.items()}
    if payload["object_kind"] == "note":
        later["object_attributes"] |= {"attachment"} if vintage == "18.1" else _AFTER_2023["note"]
    if vintage == "2023":
        later["issue"] = _AFTER_2023["issue"]
        if payload["object_kind"] in ("issue", "work_item"):
            later["object_attributes"] |= {"customer_relations_contacts"}
    found: Json = _older(payload, "", later)
    return found


def _asks_again(payload: Json) -> bool:
    return any(each["re_requested"] for each in payload.get("reviewers", ()))


def _older(part: Any, block: str, later: dict[str, set[str]]) -> Any:
    """Leave out later fields, and write moments as Ruby does; `block` is the nearest name of a
    block or list.
    """
    if isinstance(part, list):
        return [_older(item, block, later) for item in part]
    if not isinstance(part, dict):
        return part
    kept = {}
    for name, value in part.items():
        if name in later.get(block, ()) or name.endswith("_at_iso"):
            continue
        inner = block if name in ("previous", "current") else name
        moment = (
            _MOMENT.fullmatch(value) if isinstance(value, str) and _dated(name, block) else None
        )
        kept[name] = f"{moment[1]} {moment[2]} UTC" if moment else _older(value, inner, later)
    return kept


def _dated(name: str, block: str) -> bool:
    """Tell whether the field holds a moment; under `changes` its previous or current value."""
    return (block if name in ("previous", "current") else name).endswith("_at")
