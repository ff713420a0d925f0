"""The catalogue: what could be a sentence of ours stands in it and nowhere else."""

import ast
import re
import string
from pathlib import Path

import pytest

from job import messages, messages_zh_cn
from job.failures import Failure, Reason
from tests.support.catalogues import differences, spoken

JOB = Path(messages.__file__).parent
ELSEWHERE = ("messages.py", "messages_zh_cn.py", "prompts.py")  # for people, and one for Claude
NAMES = [name for name in vars(messages) if name.isupper()]


def written(path: Path) -> list[str]:
    """The texts of a file, without docstrings."""
    tree = ast.parse(path.read_text())
    documented = {
        id(node.body[0].value)
        for node in ast.walk(tree)
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef)
        and isinstance(node.body[0], ast.Expr)
    }
    return [
        node.value
        for node in ast.walk(tree)
        if isinstance(node, ast.Constant)
        and isinstance(node.value, str)
        and id(node) not in documented
    ]


@pytest.mark.parametrize(
    "path", [path for path in JOB.glob("*.py") if path.name not in ELSEWHERE], ids=lambda p: p.stem
)
def test_no_sentence_stands_elsewhere(path: Path) -> None:
    sentences = [text for text in written(path) if text[:1].isupper() and text.endswith(".")]
    assert sentences == []


def test_every_message_is_used() -> None:
    code = "\n".join(path.read_text() for path in JOB.glob("*.py"))
    used = set(re.findall(r"\bmessages\.([A-Z0-9_]+)\b", code))
    assert [name for name in NAMES if name not in used] == []


def test_blanks_have_names() -> None:
    for message in (getattr(messages, name) for name in NAMES):
        for text in message if isinstance(message, tuple) else (message,):
            fields = [field for _, field, _, _ in string.Formatter().parse(text)]
            assert all(field is None or field.isidentifier() for field in fields), text


def test_chinese_says_all_that_english_says() -> None:
    assert differences(messages, messages_zh_cn) == []


def test_a_failure_is_told_in_the_language_that_is_spoken() -> None:
    with spoken("zh-CN"):
        failure = Failure(Reason.MAX_BUDGET, limit=5)
        assert failure.text.startswith("Claude 达到 $5 的上限，已停止。请缩小")
        assert str(failure).startswith("max_budget: ")
    assert Failure(Reason.MAX_BUDGET, limit=5).text.startswith("Claude stopped")
