import re
from types import ModuleType

import pytest

from shared.outcome import messages, messages_zh_cn
from shared.outcome.reasons import Reason
from shared.runs.command import Options
from tests.support.catalogues import differences, spoken


def test_nothing_that_can_happen_lacks_its_words() -> None:
    assert set(messages.REASONS) == {reason.name for reason in Reason}
    assert set(messages.STATES) == set(messages.STATE_NAMES)
    assert set(messages.OPTIONS) == set(messages.HELP_OPTIONS) == set(Options._fields) - {"command"}


@pytest.mark.parametrize(
    "text",
    [
        *messages.STATES.values(),
        *messages.CAUSES.values(),
        messages.HELP,
        messages.UNDERSTOOD,
    ],
)
def test_no_words_begin_a_line_that_gitlab_carries_out(text: str) -> None:
    assert not re.search(r"^\s*/", text, re.MULTILINE)


def test_chinese_says_all_that_english_says() -> None:
    assert differences(messages, messages_zh_cn) == []


def test_what_a_language_lacks_or_says_otherwise_is_told() -> None:
    other = ModuleType("other")
    vars(other).update(
        {name: words for name, words in vars(messages_zh_cn).items() if name.isupper()}
    )
    del vars(other)["STOPPED"]
    vars(other).update(
        NEW="新",
        STATUS_GONE="deleted forever",
        TO_STOP="如需停止，请写 {phrase} stop",
        STATES=messages_zh_cn.STATES | {"success": "Claude 已完成：{pipeline}。"},
        REASONS=messages_zh_cn.REASONS
        | {"BUSY": ("忙。", "请等待。"), "DISABLED": ("已关闭。", "请打开。")},
    )
    assert differences(messages, other) == [
        "REASONS.BUSY.1: empty in one language only",
        "REASONS.DISABLED.1: lacks ['ENABLED']",
        "STATES.success: blanks Counter({'pipeline': 1, 'duration': 1}) and Counter({'pipeline': 1})",
        "STATUS_GONE: not translated",
        "TO_STOP: lacks ['`{phrase} stop`']",
        "not in other: STOPPED",
        "only in other: NEW",
    ]


def test_a_language_is_spoken_from_then_on_and_english_again() -> None:
    english = Reason.NO_JOB.sentence
    with spoken("zh-CN"):
        assert Reason.NO_JOB.sentence == messages_zh_cn.REASONS["NO_JOB"][0]
        assert str(Reason.NO_JOB) == "no_job"
        assert messages.STATES == messages_zh_cn.STATES
    assert Reason.NO_JOB.sentence == english
