from tests.support.fakes import NOTE


def test_what_nobody_asked_for_is_told_by_its_name() -> None:
    assert NOTE._replace(name="auto", note_id=0).by_policy
    assert not NOTE.by_policy
