import json

import pytest

from shared.runs import projects
from shared.runs.projects import Mark
from tests.support.fakes import NOW, Records


def test_a_project_that_is_known_costs_no_write() -> None:
    records = Records()
    for later in (0, 100):
        projects.add(7, records, NOW + later)
    assert records.stored["projects/7"][1] == 1
    assert projects.known(records) == {7: Mark(until=int(NOW))}


def test_projects_learnt_at_once_are_all_remembered(monkeypatch: pytest.MonkeyPatch) -> None:
    records, write = Records(), Records.write

    def overtaken(self: Records, key: str, text: str, version: object, expires: int) -> object:
        monkeypatch.setattr(Records, "write", write)
        projects.add(7 + 32, records, NOW)
        return write(self, key, text, version, expires)

    monkeypatch.setattr(Records, "write", overtaken)
    projects.add(7, records, NOW)
    assert set(projects.known(records)) == {7, 39}


def test_ten_thousand_projects_are_small_records() -> None:
    records = Records()
    mark = Mark(int(NOW), int(NOW), int(NOW), int(NOW))
    projects.save(dict.fromkeys(range(80_000_000, 80_010_000), mark), records, NOW)
    assert len(projects.known(records)) == 10_000
    assert max(len(text) for text, _ in records.stored.values()) < 25_000


def test_what_an_earlier_version_knew_is_known() -> None:
    records = Records()
    records.write("projects", "[7, 8]", None, 0)
    records.write("sweep/7", repr(NOW + 0.5), None, 0)
    assert projects.known(records) == {7: Mark(int(NOW), live=1), 8: Mark(0, live=1)}
    projects.save({7: Mark(int(NOW) + 9, live=1)}, records, NOW)
    assert projects.known(records)[7].until == int(NOW) + 9


@pytest.mark.parametrize(("started", "live"), [(-200, False), (-50, True), (1, True)])
def test_a_pipeline_started_while_a_look_saw_none_stays_live(started: float, *, live: bool) -> None:
    records = Records()
    projects.add(7, records, NOW - 500)
    projects.add(7, records, NOW + started, live=True)
    projects.save({7: Mark(int(NOW), int(NOW), live=0)}, records, NOW)
    assert bool(projects.known(records)[7].live) is live
    stored = json.loads(records.stored["projects/7"][0])
    assert list(stored) == ["7"]
