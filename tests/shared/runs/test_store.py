import pytest

from shared.outcome.reasons import Reason, Retry
from shared.runs import store
from tests.support.fakes import NOTE, NOW, Records, run

OTHER = run(NOTE._replace(note_id=102))


def test_dead_letters_of_several_runs_are_kept_apart() -> None:
    records = Records()
    for each in (run(), OTHER, run()):
        store.add_dead_letter(each.id, records, NOW)
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
    store.add_pipeline(run(), 1, records, NOW)
    store.add_pipeline(OTHER, 2, records, NOW)
    store.add_pipeline(run(), 1, records, NOW)
    assert store.live_pipelines(7, records) == {1: run().id, 2: OTHER.id}
    assert store.live_pipelines(8, records) == {}
    store.end_pipeline(7, 1, records, NOW)
    assert store.live_pipelines(7, records) == {2: OTHER.id}
    assert store.runs_of_thread(run().thread, records) == [run().id, OTHER.id]
    assert store.runs_of_thread("7/issue/6", records) == []


def test_what_has_not_changed_is_not_written() -> None:
    records = Records()
    for _ in range(2):
        store.add_dead_letter(run().id, records, NOW)
    assert records.stored["dead"][1] == 1


def test_who_is_overtaken_for_ever_waits_for_a_quieter_moment() -> None:
    records = Records()
    records.write = lambda *_: None  # type: ignore[method-assign]
    with pytest.raises(Retry) as busy:
        store.add_dead_letter(run().id, records, NOW)
    assert busy.value.reason is Reason.BUSY
