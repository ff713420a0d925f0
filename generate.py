"""Write what the code knows best where it is shown: docs, descriptors and the component.

    python3 generate.py            rewrite what is out of date
    python3 generate.py --check    only tell what is; the exit status is 1 then

In docs, template.yaml and cloudbuild.yaml a part stands between `generated: NAME ARGUMENTS` and
`end`, each in a comment. NAME is a key of PARTS.
"""

import json
import re
import sys
import textwrap
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

from shared.contract.version import VERSION
from shared.installation.providers import (
    BEDROCK_PROFILES,
    MODELS,
    NEWEST,
    NO_FUNCTION_URL,
    PROVIDERS,
    REVIEWED,
    Model,
)
from shared.installation.readers import Variable
from shared.installation.settings import ROWS, VARIABLES
from shared.installation.settings_file import parameter_name
from shared.outcome import messages
from shared.outcome.reasons import Outcome, Reason

ROOT = Path(__file__).parent
COMPONENT = ROOT / "templates" / "claude.yml"
PROGRAM = ("job/*.py", "job/locks/*.json", "shared/__init__.py", "shared/contract/*.py")
BEGIN = "# The program, written by generate.py from job/ and shared/contract/: begin"
END = "# The program: end"
_FILE, _LAST = "#==", "END_OF_PROGRAM"

_PART = re.compile(
    r"^(?P<first>(?P<indent> *)(?:<!--|#) generated: (?P<name>\w+)(?P<arguments>.*?)(?: -->)?\n)"
    r".*?(?P<last>^ *(?:<!-- end -->|# end)$)",
    re.DOTALL | re.MULTILINE,
)
_WIDTH = 84  # of a part; with its indentation a line has 100 columns at most
PARTS: dict[str, Callable[..., str]] = {}


def part(write: Callable[..., str]) -> Callable[..., str]:
    """Let a file name this function as one of its parts."""
    PARTS[write.__name__] = write
    return write


# --- the docs ---


# What the tables of a language have: their heads, a number's bounds, any text.
_HEADS = {
    "en": (
        "| reason | outcome | what it means | what to change |",
        "| variable | default | takes | meaning |",
        "0 to {}",
        "text",
    ),
    "zh-CN": (
        "| 原因 | 结果 | 含义 | 如何处理 |",
        "| 变量 | 默认值 | 取值 | 含义 |",
        "0 到 {}",
        "文本",
    ),
}


@part
def reasons(language: str = "en") -> str:
    """Return the table of every way a delivery or run can end without a pipeline or an answer."""
    well = (Outcome.QUEUED, Outcome.TRIGGERED, Outcome.ANSWERED)
    messages.speak(language)
    rows = [
        f"| `{reason}` | {reason.outcome} | {reason.sentence} | {reason.cure} |"
        for reason in Reason
        if reason.outcome not in well
    ]
    messages.speak("en")
    return "\n".join([_HEADS[language][0], "|---|---|---|---|", *rows])


@part
def settings(language: str = "en") -> str:
    """Return the table of the settings; what a language lacks is told in English."""
    told = json.loads((ROOT / "docs" / "zh-CN" / "settings.json").read_text(encoding="utf-8"))
    meanings = told if language == "zh-CN" else {}
    rows = [
        f"| `{each.name}` | {_code(each.default)} | {_taken(each, language)}"
        f" | {meanings.get(each.name, meaning)} |"
        for _, each, meaning in ROWS.values()
    ]
    return "\n".join([_HEADS[language][1], "|---|---|---|---|", *rows])


def _taken(variable: Variable, language: str) -> str:
    _, _, bounds, text = _HEADS[language]
    number = [bounds.format(variable.most)] if variable.most else []
    return ", ".join(map(_code, variable.values)) or "".join(number) or text


def _code(text: str) -> str:
    return f"`{text}`" if text else "–"


# --- settings in template.yaml and cloudbuild.yaml ---


@part
def console_groups(*groups: str) -> str:
    """Return the parameters under their headings in the console of CloudFormation."""
    lines = []
    for group in groups:
        names = [parameter_name(each.name) for each in VARIABLES.values() if each.group == group]
        lines += [f"- Label: {{default: {group}}}", _flow("  Parameters: ", names)]
    return "\n".join(lines)


@part
def parameters() -> str:
    """Return the parameters of the stack, each of which refuses what its setting refuses."""
    return "\n".join(
        line
        for _, variable, meaning in ROWS.values()
        for line in [
            f"{parameter_name(variable.name)}:",
            *(f"  {line}" for line in _parameter(variable, meaning)),
        ]
    )


def _parameter(variable: Variable, meaning: str) -> Iterator[str]:
    yield f"Type: {'Number' if variable.most else 'String'}"
    yield f"Default: {variable.default if variable.most else _scalar(variable.default)}"
    if variable.values:
        yield _flow("AllowedValues: ", variable.values)
    if variable.most:
        yield "MinValue: 0"
        yield f"MaxValue: {variable.most}"
    if variable.longest:
        yield f"MaxLength: {variable.longest}"
    if variable.pattern:
        yield f"AllowedPattern: {_scalar(variable.pattern)}"
        what = f"{parameter_name(variable.name)} is {variable.pattern_in_words}."
        yield from _sentence("ConstraintDescription", what)
    yield from _sentence("Description", meaning)


@part
def variables() -> str:
    """Return what the functions on AWS find in their environment."""
    return "\n".join(f"{name}: !Ref {parameter_name(name)}" for name in VARIABLES)


@part
def substitutions() -> str:
    """Return the settings as Cloud Build takes them, each with its meaning above."""
    return "\n".join(
        line
        for _, variable, meaning in ROWS.values()
        for line in (
            *(f"# {line}" for line in _wrapped(meaning, 2)),
            f"_{variable.name}: {_scalar(variable.default)}",
        )
    )


@part
def environment() -> str:
    """Return what the first step of the build finds in its environment."""
    return "\n".join(f"- {name}=${{_{name}}}" for name in VARIABLES)


@part
def version() -> str:
    """Return the output that tells which version the stack is of."""
    return f'Version:\n  Description: Of the functions; GET / tells it too\n  Value: "{VERSION}"'


# --- regions and models in the rules of template.yaml ---


@part
def regions_without_function_urls() -> str:
    """Return the regions in which the stack cannot be."""
    return _flow("- ", NO_FUNCTION_URL.split())


@part
def regions(provider: str) -> str:
    """Return the regions of a provider."""
    return _flow("- ", PROVIDERS[provider].regions.split())


@part
def not_of_anthropic() -> str:
    """Return the ids that only Vertex AI has."""
    return _flow("- ", _without(_ids("vertex"), _ids("anthropic")))


@part
def not_of_bedrock() -> str:
    """Return what Bedrock cannot do with: no model, and the ids of the others."""
    return _flow("- ", ["", *_ids("anthropic"), *_without(_ids("vertex"), _ids("anthropic"))])


@part
def not_of_vertex() -> str:
    """Return what Vertex AI cannot do with: no model, and the ids that only the Claude API has."""
    return _flow("- ", ["", *_without(_ids("anthropic"), _ids("vertex"))])


@part
def retired() -> str:
    """Return the ids that answered no more on the day of the table's review."""
    return _flow(
        "- ",
        [
            model
            for provider in ("anthropic", "vertex", "bedrock")
            for model in _ids(provider)
            if not _answers(provider, model)
        ],
    )


@part
def profile_rules() -> str:
    """Return a rule for each prefix of Bedrock's profiles: the regions that they start in."""
    return "\n".join(line for prefix in BEDROCK_PROFILES for line in _profile_rule(prefix))


def _profile_rule(prefix: str) -> Iterator[str]:
    models = [each for each in _ids("bedrock", prefix) if _answers("bedrock", each)]
    here, government = BEDROCK_PROFILES[prefix].split(), BEDROCK_PROFILES["us-gov"].split()
    yield f"{prefix.title().replace('-', '')}Profile:"
    yield "  RuleCondition: !Contains"
    yield textwrap.indent(_flow("- ", models), "    ")
    yield "    - !Ref Model"
    yield "  Assertions:"
    yield "    - Assert: !Equals [!Ref ModelProvider, bedrock]"
    yield from _said(
        f"Model begins with {prefix}. and so is an inference profile of Bedrock."
        f" Set ModelProvider to bedrock, or take a model id such as {NEWEST}."
    )
    if prefix == "global":  # they start everywhere else
        yield f"    - Assert: !Not [!Contains [[{', '.join(government)}], !Ref ModelRegion]]"
        yield from _said(
            f"Profiles {prefix}. do not start in the GovCloud regions."
            " Take the model id that begins with us-gov."
        )
    else:
        yield "    - Assert: !Contains"
        yield textwrap.indent(_flow("- ", here), " " * 10)
        yield "          - !Ref ModelRegion"
        yield from _said(
            f"Profiles {prefix}. start in {', '.join(here)} only."
            " Change ModelRegion, or take the model id whose prefix belongs to it."
        )


def _said(sentence: str) -> Iterator[str]:
    return (f"      {line}" for line in _sentence("AssertDescription", sentence))


def _ids(provider: str, *prefixes: str) -> list[str]:
    """Return the ids of all models at a provider; at Bedrock with these prefixes, or all."""
    if provider != "bedrock":
        return [getattr(model, provider) for model in MODELS.values()]
    return [
        f"{prefix}.anthropic.{model.bedrock}"
        for model in MODELS.values()
        for prefix in prefixes or BEDROCK_PROFILES
    ]


def _answers(provider: str, model: str) -> bool:
    answers, _ = Model(PROVIDERS[provider], "", model).advice(REVIEWED)
    return answers


def _without(these: Iterable[str], those: list[str]) -> list[str]:
    return [each for each in these if each not in those]


# --- YAML ---


def _flow(first: str, values: Iterable[str]) -> str:
    """Return a list in brackets, on as many lines as it takes."""
    lines = _wrapped(", ".join(map(_scalar, values)), len(first) + 2)
    return f"{first}[" + f"\n{' ' * (len(first) + 1)}".join(lines) + "]"


def _sentence(key: str, text: str) -> Iterator[str]:
    """Yield a key and a sentence, folded where it is long or could be read as anything else."""
    if re.fullmatch(r"[A-Za-z][^:#]*", text) and len(key) + len(text) < _WIDTH:
        yield f"{key}: {text}"
    else:
        yield f"{key}: >-"
        yield from (f"  {line}" for line in _wrapped(text, 2))


def _wrapped(text: str, room: int) -> list[str]:
    """Return a text's lines, broken at blanks only, with room for so many columns before them."""
    return textwrap.wrap(text, _WIDTH - room, break_long_words=False, break_on_hyphens=False)


def _scalar(text: str) -> str:
    """Return a text as YAML that can be read as nothing else: not as a number, not as a switch."""
    if re.fullmatch(r"[A-Za-z][\w.@-]*", text) and text.lower() not in _WORDS:
        return text
    return "'{}'".format(text.replace("'", "''")) if '"' in text or "\\" in text else f'"{text}"'


_WORDS = {"true", "false", "yes", "no", "on", "off", "y", "n", "null"}


# --- the component ---


# One process writes all files: a `cat` for each would take as long as the program's start.
_UNPACK = """\
python3 -I -S -c '
import os, sys
for part in sys.stdin.buffer.read().split(b"%(file)s ")[1:]:
    name, _, text = part.partition(b"\\n")
    path = os.path.join(os.fsencode(sys.argv[1]), name)
    os.makedirs(os.path.dirname(path), exist_ok=True)
    with open(path, "wb") as file:
        file.write(text)
' "$program" <<'%(last)s' || exit 2
"""


def program() -> str:
    """Return the shell lines that write the program into the folder `$program`."""
    paths = [path for pattern in PROGRAM for path in sorted(ROOT.glob(pattern))]
    files = "".join(_embedded(path) for path in paths)
    return _UNPACK % {"file": _FILE, "last": _LAST} + files + f"{_LAST}\n"


def _embedded(path: Path) -> str:
    """Return one file after a line with its name; raise ValueError if it cannot be told apart."""
    name, text = path.relative_to(ROOT).as_posix(), path.read_text(encoding="utf-8")
    if any(each in text for each in (_FILE, _LAST, "$[[", "\t")):
        message = f"{path} holds {_FILE}, {_LAST}, $[[ or a tab, none of which the component takes"
        raise ValueError(message)
    return f"{_FILE} {name}\n{text}"


def component(current: str) -> str:
    """Return the component with the program as it is now; raise ValueError without its marks."""
    head, _, rest = current.partition(BEGIN)
    _, end, tail = rest.partition(END)
    if not end:
        message = f"{COMPONENT} lacks {BEGIN!r} or {END!r}"
        raise ValueError(message)
    indent = head.rpartition("\n")[2]
    lines = [f"{indent}{line}" if line else "" for line in program().splitlines()]
    return f"{head}{BEGIN}\n" + "\n".join(lines) + f"\n{indent}{END}{tail}"


# --- all of it ---


def with_parts(current: str) -> str:
    """Return a text with its generated parts as they are now."""
    return _PART.sub(_written, current)


def _written(found: re.Match[str]) -> str:
    text = PARTS[found["name"]](*found["arguments"].split())
    return found["first"] + textwrap.indent(text, found["indent"]) + "\n" + found["last"]


def main(arguments: list[str]) -> int:
    """Write every file that is out of date; with `--check` name them and return 1."""
    pages = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
    descriptors = [ROOT / "template.yaml", ROOT / "cloudbuild.yaml"]
    makers = dict.fromkeys([*pages, *descriptors], with_parts) | {COMPONENT: component}
    current = {path: path.read_text(encoding="utf-8") for path in makers}
    wanted = {path: make(current[path]) for path, make in makers.items()}
    shown = {found["name"] for text in wanted.values() for found in _PART.finditer(text)}
    if lost := PARTS.keys() - shown:
        sys.stderr.write(f"in no file, or without its end: {', '.join(sorted(lost))}\n")
        return 1
    stale = [path for path in makers if wanted[path] != current[path]]
    if "--check" in arguments:
        names = ", ".join(str(path.relative_to(ROOT)) for path in stale)
        sys.stderr.write(f"out of date: {names}; run make docs\n" if stale else "")
        return int(bool(stale))
    for path in stale:
        path.write_text(wanted[path], encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
