r"""Find the comments of code that GitLab draws instead of showing: diagrams, formulas, tables.

Kinds: https://docs.gitlab.com/user/markdown/#diagrams-and-flowcharts, #math-equations, #json;
https://docs.gitlab.com/administration/integration/kroki/. The marks of a comment are no part of it:
they stay, so that no line becomes another one. Strings of the languages are passed where they may
hold such marks.
"""

import json
import re
from bisect import bisect_right
from collections.abc import Collection, Iterator
from typing import Any

from shared.contract import invisible
from shared.markdown.blocks import TAB
from shared.markdown.code import CONTAINER
from shared.markdown.front_matter import fenced
from shared.markdown.syntax import match_end

Span = tuple[int, int]

_BEGINS = r"(?:^|(?<=[ \t>;]))"
_STRING = r'"(?>(?:[^"\\\n]++|\\.)*)"'
_SLASHES = rf"{_BEGINS}//(?P<line>[^\n]++)"
_STARRED = r"/\*(?:\*/|(?P<block>(?>(?:[^*]++|\*(?!/))+))(?:\*/|\Z))"
_C_LIKE = rf"{_SLASHES}|{_STARRED}"
# A colour is no comment.
_HASH = rf"{_BEGINS}\#(?![0-9A-Fa-f]{{3,8}}\b)(?P<hash>[^\n]++)"
_QUOTED = r'"""(?:"""|(?P<block>(?>(?:[^"]++|"(?!""))+))(?:"""|\Z))'
_XML = r"<!--(?:-->|(?P<block>(?>(?:[^-]++|-(?!->))+))(?:-->|\Z))"
_PLANTUML = r"^[ \t>]*+'(?P<line>[^\n]++)|/'(?:'/|(?P<block>(?>(?:[^']++|'(?!/))+))(?:'/|\Z))"
_MERMAID = (
    rf"%%\{{(?:\}}%%|(?P<block>(?>(?:[^}}]++|\}}(?!%%))+))(?:\}}%%|\Z))"
    rf"|{_BEGINS}%%(?!\{{)(?P<line>[^\n]++)|^[ \t>]*+acc(?:Title|Descr)[ \t]*+:(?P<told>[^\n]++)"
    r"|^[ \t>]*+accDescr[ \t]*+\{(?P<described>[^}]++)"
)
_FORMULA = re.compile(
    r"%(?P<line>[^\n]+)|(?P<phantom>\\[hv]?phantom(?![A-Za-z])[ \t\n>]*+\{)|\\[\s\S]"
    r"|(?P<open>\{)|(?P<close>\})"
)
_KINDS = {
    "mermaid": _MERMAID,
    "plantuml c4plantuml": _PLANTUML,
    "actdiag blockdiag nwdiag packetdiag rackdiag seqdiag graphviz dot pikchr structurizr": (
        rf"{_STRING}|{_C_LIKE}|{_HASH}"
    ),
    "dbml nomnoml wavedrom": rf"{_STRING}|{_C_LIKE}",
    "d2": rf"{_QUOTED}|{_STRING}|{_HASH}",
    "erd wireviz": rf"{_STRING}|{_HASH}",
    "bpmn diagramsnet umlet": _XML,
    "bytefield": rf"{_STRING}|{_BEGINS};(?P<line>[^\n]++)",
    "symbolator": rf"{_STRING}|{_C_LIKE}|{_BEGINS}--(?P<dashes>[^\n]++)",
}
_COMMENTS = {
    kind: re.compile(pattern, re.MULTILINE)
    for kinds, pattern in _KINDS.items()
    for kind in kinds.split()
}
_FORMULAS = ("math", "tikz")
_WORDS = (*_COMMENTS, *_FORMULAS, "json:table")
_DRAWN = "|".join(_WORDS)
_FENCE = re.compile(
    rf"^(?P<before>{CONTAINER})(?P<fence>`{{3,}}+|~{{3,}}+)[ \t]*+(?P<info>[^\n]*+)", re.MULTILINE
)
_LANGUAGE = re.compile(rf"(?i:({_DRAWN}))(?=[:\s]|\Z)")
# In HTML the language is an attribute.
_ELEMENT = re.compile(
    rf"(?<!`)<(?ai:pre|code)(?=[ \t\n])[^<>]*?(?<=[ \t\n])(?ai:lang)[ \t\n]*+=[ \t\n]*+[\"']?"
    rf"(?ai:({_DRAWN}))(?![\w-])[^<>]*+>"
)
_CLOSING_TAG = re.compile(r"</(?ai:pre|code)")
_QUOTE = re.compile(r"^[ \t>]*+", re.MULTILINE)
_ALSO = (("\u0130", "i"), ("\u0131", "i"), ("\u017f", "s"))  # to a pattern that ignores case


def is_drawn(text: str) -> bool:
    """Tell whether a text may hold code that is drawn: no is certain."""
    for letter, same in _ALSO:
        text = text.replace(letter, same)
    text = text.lower()
    return any(word in text for word in _WORDS)  # one pattern of them takes ten times as long


def comments(text: str, code: list[Span]) -> list[Span]:
    r"""Return where the comments of drawn code are, in order, but not their marks.

    The text has fences for front matter. `code` is what is certainly code: what looks like the
    start of a block within one is none.

    >>> comments("```mermaid\n%% hidden\nA --> B\n```", [(0, 35)])
    [(13, 20)]
    """
    found: list[Span] = []
    for language, start, end in _bodies(text, code):
        if language in _FORMULAS:
            found += [(start + a, start + b) for a, b in formula_comments(text[start:end])]
        elif language in _COMMENTS:
            each = _COMMENTS[language].finditer(text, start, end)
            found += [one.span(one.lastgroup) for one in each if one.lastgroup]
    return sorted(found)


def without_columns(text: str) -> str:
    """Return the text without what JSON tables hold and show in no column."""
    if "json:table" not in text.lower():
        return text
    pieces, done = [""], 0
    for language, start, end in sorted(_bodies(fenced(text), []), key=lambda body: body[1:]):
        if language == "json:table" and start >= done:
            pieces += text[done:start], _table(text[start:end])
            done = end
    return "".join([*pieces, text[done:]])


def formula_comments(body: str) -> Iterator[Span]:
    r"""Yield where in a formula the comments and the contents of `\phantom{…}` are.

    >>> list(formula_comments(r"a \phantom{b {c}} % d"))
    [(11, 16), (19, 21)]
    """
    depth, hidden_at, start = 0, 0, 0  # the depth of the phantom that hides, and where it starts
    for found in _FORMULA.finditer(body):
        kind = found.lastgroup
        if kind == "line" and not hidden_at:
            yield found.span("line")
        elif kind in ("open", "phantom"):
            depth += 1
            if kind == "phantom" and not hidden_at:
                hidden_at, start = depth, found.end()
        elif kind == "close" and depth:
            if depth == hidden_at:
                hidden_at = 0
                if start < found.start():
                    yield start, found.start()
            depth -= 1
    if hidden_at and start < len(body):
        yield start, len(body)


def _bodies(text: str, code: list[Span]) -> Iterator[tuple[str, int, int]]:
    """Yield language, start and end of drawn code: within each block of code, and between them."""
    done = 0
    for start, end in [*code, (len(text), len(text))]:
        yield from _fences(text, done, start, sure=False)
        if text[start : start + 1] in ("`", "~"):
            yield from _fences(text, text.rfind("\n", 0, start) + 1, end, sure=True)
        done = max(done, end)
    done = 0
    for element in _ELEMENT.finditer(text):
        block = bisect_right(code, (element.start(), len(text))) - 1
        if element.start() >= done and (block < 0 or element.start() >= code[block][1]):
            closing = _CLOSING_TAG.search(text, element.end())
            done = closing.start() if closing else len(text)
            yield element[1].lower(), element.end(), done


def _fences(text: str, start: int, end: int, *, sure: bool) -> Iterator[tuple[str, int, int]]:
    """Yield the drawn code of fences; what stands in another's is none where that is `sure`."""
    opening, language = None, ""
    for line in _FENCE.finditer(text, start, end):
        if opening is None:
            # Backticks behind them make code of a line of them.
            if line["fence"][0] == "~" or "`" not in line["info"]:
                found = _LANGUAGE.match(line["info"])
                language = found[1].lower() if found else ""
                opening = line if language or sure else None
        elif _closes(line, opening):
            if language:
                yield language, opening.end(), max(line.start() - 1, opening.end())
            opening = None
    if opening and language:
        yield language, opening.end(), max(end - (text[end - 1] == "\n"), opening.end())


def _closes(line: re.Match[str], opening: re.Match[str]) -> bool:
    before, outer = line["before"], opening["before"]
    return (
        line["fence"].startswith(opening["fence"])
        and not line["info"].strip()
        and not before.strip(" \t>")
        and before.count(">") <= outer.count(">")
        and len(before.expandtabs(TAB)) < len(outer.expandtabs(TAB)) + TAB
    )


def _table(body: str) -> str:
    """Return the JSON of a table without what its columns do not show; what is none stays."""
    twice = False

    def members(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        nonlocal twice
        twice = twice or len(dict(pairs)) < len(pairs)
        return dict(pairs)

    try:
        table = json.loads(_QUOTE.sub("", body), object_pairs_hook=members)
    except json.JSONDecodeError:
        return body  # GitLab shows it as it is
    except (ValueError, RecursionError):
        return ""
    if not isinstance(table, dict):
        return body
    shown = _shown(table)
    if shown == table and not twice:
        return body
    quote = match_end(_QUOTE, body, 1)
    written = invisible.without(json.dumps(shown, ensure_ascii=False, indent=2))
    lines = re.sub("[\u2028\u2029]", " ", written).split("\n")
    return "".join(f"\n{body[1:quote]}{line}" for line in lines)


def _shown(table: dict[str, Any]) -> dict[str, Any]:
    """Return what a reader sees of a table: without fields the first item's keys are columns."""
    shown: dict[str, Any] = {
        name: table[name] for name in ("filter", "markdown", "caption") if name in table
    }
    fields, items = table.get("fields"), table.get("items")
    rows = items if isinstance(items, list) else []
    if isinstance(fields, list):
        shown["fields"] = [_only(each, ("key", "label", "sortable")) for each in fields]
    if isinstance(fields, list) and fields:
        names = [each.get("key") if isinstance(each, dict) else each for each in fields]
    else:
        names = list(rows[0]) if rows and isinstance(rows[0], dict) else []
    if isinstance(items, list):
        columns = [name for name in names if isinstance(name, str)]
        shown["items"] = [_only(row, columns) for row in rows]
    return shown


def _only(value: Any, names: Collection[str]) -> Any:  # noqa: ANN401  any JSON
    if not isinstance(value, dict):
        return value
    known = frozenset(names)
    return {key: member for key, member in value.items() if key in known}
