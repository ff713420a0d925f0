import json

import pytest

from shared.outcome.reasons import Reason, Retry
from shared.runs import store
from shared.runs.store import DeadLetter
from tests.support.fakes import NOTE, NOW, Records, run

OTHER = run(NOTE._replace(note_id=102))


def test_dead_letters_of_several_runs_are_kept_apart() -> None:
    records = Records()
    for later, each in enumerate((run(), OTHER, run())):
        store.add_dead_letter(each.id, records, NOW + later)
    assert store.dead_letters(records) == [OTHER.id, run().id]
    store.remove_dead_letter(run().id, records, NOW)
    assert store.dead_letters(records) == [OTHER.id]
    store.remove_dead_letter("unheard of", records, NOW)
    assert store.dead_letters(records) == [OTHER.id]


def test_two_that_list_dead_letters_at_once_both_list_theirs(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    records, write = Records(), Records.write

    def overtaken(self: Records, key: str, text: str, version: object, expires: int) -> object:
        monkeypatch.setattr(Records, "write", write)
        store.add_dead_letter(OTHER.id, records, NOW)
        return write(self, key, text, version, expires)

    monkeypatch.setattr(Records, "write", overtaken)
    store.add_dead_letter(run().id, records, NOW)
    assert store.dead_letters(records) == [OTHER.id, run().id]


def test_a_pipeline_is_live_until_it_ends_and_its_run_stays_in_the_thread() -> None:
    records = Records()
    store.add_pipeline(run(), 7, 1, records, NOW)
    store.add_pipeline(OTHER, OTHER.event.project_id, 2, records, NOW)
    store.add_pipeline(run(), 7, 1, records, NOW)
    assert store.live_pipelines(7, records) == {1: run().id, 2: OTHER.id}
    assert store.live_pipelines(8, records) == {}
    store.end_pipeline(7, 1, records, NOW)
    assert store.live_pipelines(7, records) == {2: OTHER.id}
    assert store.runs_of_thread(run().thread, records) == [run().id, OTHER.id]
    assert store.runs_of_thread("7/issue/6", records) == []


def test_what_has_not_changed_is_not_written() -> None:
    records = Records()
    store.add_stranger(NOTE, records, NOW)
    version = records.read("stranger/7/42")[1]
    store.add_stranger(NOTE, records, NOW)
    assert records.read("stranger/7/42")[1] == version


def test_who_is_overtaken_for_ever_waits_for_a_quieter_moment() -> None:
    records = Records()
    records.write = lambda *_: None  # type: ignore[method-assign]
    with pytest.raises(Retry) as busy:
        store.add_to_thread(run(), records, NOW)
    assert busy.value.reason is Reason.BUSY


def test_lists_of_a_former_version_are_read_and_emptied() -> None:
    records = Records()
    old = {
        "live/7": {"1": "one", "2": "two"},
        "dead": ["old", "older"],
    }
    for key, value in old.items():
        records.write(key, json.dumps(value), None, 0)
    store.add_pipeline(run(), 7, 3, records, NOW)
    store.add_dead_letter(run().id, records, NOW)
    assert store.live_pipelines(7, records) == {1: "one", 2: "two", 3: run().id}
    assert [store.live_run(7, number, records) for number in (1, 3, 4)] == ["one", run().id, None]
    assert store.dead_letters(records) == ["old", "older", run().id]
    assert store.dead_letter("old", records) == DeadLetter("old", 0.0)
    assert [letter.run_id for letter in store.untold(records, 9)] == [run().id]
    store.end_pipeline(7, 1, records, NOW)
    store.remove_dead_letter("old", records, NOW)
    assert list(store.live_pipelines(7, records)) == [2, 3]
    assert store.dead_letters(records) == ["older", run().id]


def test_however_many_entries_no_record_is_large_and_each_is_written_once() -> None:
    records = Records()
    for number in range(3_000):
        store.add_pipeline(run()._replace(id=f"{number:032x}"), 7, number, records, NOW)
        store.add_dead_letter(f"{number:032x}", records, NOW + number)
    assert max(len(text) for text, _ in records.stored.values()) < 1_000
    often = [key for key, (_, version) in records.stored.items() if version > 2]
    assert often == [f"thread/{run().thread}"]  # one thread's
    assert list(store.live_pipelines(7, records)) == list(range(1_000))
    assert len(store.dead_letters(records)) == 1_000


def test_a_stranger_is_remembered_for_ten_minutes_in_a_project() -> None:
    records = Records()
    store.add_stranger(NOTE, records, NOW)
    assert store.is_stranger(NOTE, records, NOW + 599)
    assert not store.is_stranger(NOTE, records, NOW + 600)
    assert not store.is_stranger(NOTE._replace(project_id=8), records, NOW)
    assert not store.is_stranger(NOTE._replace(author_id=43), records, NOW)
