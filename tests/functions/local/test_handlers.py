"""The local platform as one process: its settings, its start after a kill, its one task, its end."""

import json
import signal
import time
from collections.abc import Mapping
from datetime import UTC, datetime
from http.client import HTTPConnection
from pathlib import Path
from socket import create_server
from typing import Any

import pytest

from functions.local import handlers
from functions.local.adapters import SqliteRecords, Store
from functions.local.handlers import Local, main, secret_file
from functions.wiring import Installation
from shared.installation.readers import SettingsError
from shared.installation.secrets import SecretError
from shared.outcome.reasons import Reason, Retry
from shared.runs.record import LEASE, Record, State, key_of
from tests.support import fakes
from tests.support.catalogues import spoken

LATER = int(fakes.NOW) + 10_000
MODEL_ENDS_SOON = datetime(2026, 12, 1, tzinfo=UTC).timestamp()


@pytest.fixture
def environment(tmp_path: Path) -> dict[str, str]:
    return {
        "GITLAB_URL": "http://127.0.0.1:1",
        "WEBHOOK_SECRETS": fakes.WEBHOOK_SECRETS,
        "GITLAB_SECRETS": fakes.GITLAB_SECRETS,
        "STATE_DIR": str(tmp_path / "state"),
        "PORT": "0",
    }


def set_all(monkeypatch: pytest.MonkeyPatch, environment: Mapping[str, str]) -> None:
    for name, value in environment.items():
        monkeypatch.setenv(name, value)


def local(environment: Mapping[str, str]) -> Local:
    return Local(environment, now=lambda: fakes.NOW, log=fakes.Log())


@pytest.mark.parametrize(
    ("change", "error", "message"),
    [
        (
            {"WEBHOOK_SECRETS": ""},
            SettingsError,
            "WEBHOOK_SECRETS: found '', expected JSON such as",
        ),
        (
            {"GITLAB_SECRETS": " "},
            SettingsError,
            "GITLAB_SECRETS: found ' ', expected JSON such as",
        ),
        ({"WEBHOOK_SECRETS": "{}"}, SecretError, "WEBHOOK_SECRETS holds no token"),
        ({"GITLAB_SECRETS": "{}"}, SecretError, "GITLAB_SECRETS: api_token must be"),
        ({"MINIMUM_ROLE": "king"}, SettingsError, "MINIMUM_ROLE: found 'king'"),
        ({"PORT": "65536"}, SettingsError, "PORT: found '65536', expected a TCP port"),
        ({"PORT": "http"}, SettingsError, "PORT: found 'http', expected a TCP port"),
        ({"PORT": "-1"}, SettingsError, "PORT: found '-1', expected a TCP port"),
    ],
)
def test_what_is_missing_or_wrong_is_named_before_anything_is_made(
    environment: dict[str, str],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    change: dict[str, str],
    error: type[Exception],
    message: str,
) -> None:
    environment |= change
    with pytest.raises(error, match=message):
        local(environment)
    assert not Path(environment["STATE_DIR"]).exists()
    set_all(monkeypatch, environment)
    assert main() == 2
    assert capsys.readouterr().err.startswith(message)


def test_a_folder_in_use_is_told_with_its_cure(
    environment: dict[str, str],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    store = Store(Path(environment["STATE_DIR"]))
    set_all(monkeypatch, environment)
    assert main() == 2
    assert "is in use by another process; give each its own" in capsys.readouterr().err
    store.close()


def test_a_port_in_use_is_told_and_the_folder_let_go(environment: dict[str, str]) -> None:
    with create_server(("127.0.0.1", 0)) as other:
        taken = environment | {"PORT": str(other.getsockname()[1])}
        with pytest.raises(SettingsError, match=r"PORT: found '\d+', expected a port that is free"):
            local(taken)
    Store(Path(environment["STATE_DIR"])).close()


def test_it_answers_until_it_is_stopped_and_can_be_started_again(
    environment: dict[str, str],
) -> None:
    for _ in range(2):
        running = local(environment)
        running.start()
        connection = HTTPConnection(running.url.removeprefix("http://").rstrip("/"), timeout=5)
        connection.request("GET", "/")
        assert connection.getresponse().status == 200
        connection.close()
        running.stop()
        with pytest.raises(ConnectionRefusedError):
            connection.request("GET", "/")


def test_who_asks_how_it_is_hears_of_trouble(environment: dict[str, str]) -> None:
    running = local(environment)
    running.start()
    connection = HTTPConnection(running.url.removeprefix("http://").rstrip("/"), timeout=5)
    (Path(environment["STATE_DIR"]) / "state.sqlite3").rename(environment["STATE_DIR"] + "/away")
    running._store.find_damage(whole=False)
    connection.request("GET", "/")
    response = connection.getresponse()
    assert (response.status, response.read()) == (
        503,
        b"The state file is damaged: the log says what to do.\n",
    )
    headers, body = fakes.delivery(fakes.payload())[1:]
    connection.request("POST", "/", body, dict(headers))
    assert connection.getresponse().status == 503
    connection.close()
    running.stop()


def test_a_damaged_file_is_told_with_its_cure(
    environment: dict[str, str],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    folder = Path(environment["STATE_DIR"])
    folder.mkdir()
    (folder / "state.sqlite3").write_bytes(b"no database" * 1000)
    set_all(monkeypatch, environment)
    assert main() == 2
    assert "is damaged or was replaced, and is left as it is. Stop" in capsys.readouterr().err


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_it_in_order_and_a_second_one_at_once(
    environment: dict[str, str], monkeypatch: pytest.MonkeyPatch, number: signal.Signals
) -> None:
    set_all(monkeypatch, environment)
    before = [signal.getsignal(each) for each in (signal.SIGTERM, signal.SIGINT)]
    ended: list[object] = []

    class Stopping(Local):
        def start(self) -> None:
            super().start()
            signal.raise_signal(number)

        def stop(self) -> None:
            ended.append(signal.getsignal(number))
            super().stop()

    monkeypatch.setattr(handlers, "Local", Stopping)
    try:
        assert main() == 0
    finally:
        for each, handler in zip((signal.SIGTERM, signal.SIGINT), before, strict=True):
            signal.signal(each, handler)
    assert ended == [signal.SIG_DFL]


@pytest.mark.parametrize(
    ("error", "told"),
    [
        (KeyError("canary"), "The task failed: KeyError\n"),
        (Retry(Reason.QUEUE_UNAVAILABLE), "queue_unavailable: The queue did not take"),
    ],
)
def test_a_task_that_fails_prints_no_traceback(
    environment: dict[str, str],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    error: Exception,
    told: str,
) -> None:
    def fail(*_: object) -> None:
        raise error

    set_all(monkeypatch, environment)
    monkeypatch.setattr(Installation, "sweep", fail)
    assert main("{}") == 1
    assert capsys.readouterr().err.startswith(told)


def stored(environment: Mapping[str, str], *records: Record | tuple[str, str]) -> None:
    """Put records into the store as a process would that was killed then."""
    store = Store(Path(environment["STATE_DIR"]))
    rows = SqliteRecords(store, fakes.NOW)
    for record in records:
        key, text = (record.key, record.to_json()) if isinstance(record, Record) else record
        assert rows.write(key, text, None, LATER)
    store.close()


def read(environment: Mapping[str, str], run_id: str) -> str | None:
    store = Store(Path(environment["STATE_DIR"]))
    text, _ = SqliteRecords(store, fakes.NOW).read(key_of(run_id))
    store.close()
    return text


def test_leases_of_a_process_that_was_killed_end_with_the_next_start(
    environment: dict[str, str],
) -> None:
    leased = Record(fakes.run(), State.CLAIMED, until=fakes.NOW + LEASE, expires=LATER)
    over = Record(
        fakes.run(fakes.NOTE._replace(note_id=102)), State.FINISHED, until=0.0, expires=LATER
    )
    stored(environment, (key_of("unreadable"), '{"version": 99}'), leased, over)
    local(environment).carry_out({"replay": []})
    freed = read(environment, leased.request.id)
    assert freed
    assert Record.from_json(freed) == leased._replace(until=fakes.NOW)
    assert read(environment, over.request.id) == over.to_json()
    assert read(environment, "unreadable") == '{"version": 99}'


@pytest.mark.parametrize(
    ("task", "done"),
    [
        ({"replay": ["unknown"]}, {"replayed": []}),
        ({}, {"projects": 0, "failed": 0, "found": 0, "disabled_hooks": 0, "left": 0}),
    ],
)
def test_one_task_is_carried_out_and_its_outcome_printed(
    environment: dict[str, str],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    task: dict[str, Any],
    done: dict[str, Any],
) -> None:
    set_all(monkeypatch, environment)
    assert main(json.dumps(task)) == 0
    assert json.loads(capsys.readouterr().out) == done


@pytest.mark.parametrize("task", ["no JSON", '{"since": "yesterday"}'])
def test_a_task_that_cannot_be_read_is_an_error_of_who_wrote_it(
    environment: dict[str, str],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    task: str,
) -> None:
    set_all(monkeypatch, environment)
    assert main(task) == 2
    assert capsys.readouterr().err


def test_secrets_may_be_files_that_setup_writes_later(
    environment: dict[str, str],
) -> None:
    files = {name: environment.pop(name) for name in ("WEBHOOK_SECRETS", "GITLAB_SECRETS")}
    running = local(environment | {"URL": "https://claude.example.com"})
    running.start()

    def answered() -> int:
        connection = HTTPConnection(running.url.removeprefix("http://").rstrip("/"), timeout=5)
        sent = fakes.delivery(fakes.payload())
        connection.request("POST", "/", sent.body, dict(sent.headers))
        status = connection.getresponse().status
        connection.close()
        return status

    assert (running.awaits_setup, answered()) == (True, 503)
    for name, text in files.items():
        secret_file(Path(environment["STATE_DIR"]), name).write_text(text)
    assert answered() in (200, 202)
    running.stop()
    again = local(environment)  # now URL is not needed
    assert not again.awaits_setup
    again.start()
    again.stop()


def test_the_settings_file_is_read_and_the_environment_comes_first(
    environment: dict[str, str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    file = tmp_path / "claude.env"
    set_all(monkeypatch, environment | {"SETTINGS": str(file)})
    for text, words in (
        ("MINIMUM_ROLE=king\n", "MINIMUM_ROLE: found 'king'"),
        ("# ours\nMINIMUM_ROL=owner\n", "line 2 of the settings file: found 'MINIMUM_ROL'"),
    ):
        file.write_text(text)
        assert main() == 2
        assert words in capsys.readouterr().err
    file.write_text("PORT=http\n")
    assert main('{"since": "2026-11-23T08:00:00Z"}') == 0  # PORT of the environment is a number


@pytest.mark.parametrize("desktop", ["en_US:en", "zh_CN:zh", "de:en", "fr_FR.UTF-8"])
def test_a_desktop_s_own_list_of_languages_is_not_the_setting(
    environment: dict[str, str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    desktop: str,
) -> None:
    file = tmp_path / "claude.env"
    set_all(monkeypatch, environment | {"SETTINGS": str(file), "LANGUAGE": desktop})
    with spoken("en"):
        file.write_text("LANGUAGE=zh-CN\n")
        assert main('{"since": "2026-11-23T08:00:00Z"}') == 0
        assert Reason.BOT_AUTHOR.sentence == "这条评论由机器人发出。"
        monkeypatch.setenv("LANGUAGE", "fr")
        assert main('{"since": "2026-11-23T08:00:00Z"}') == 2
    assert "LANGUAGE: found 'fr', expected one of en, zh-CN" in capsys.readouterr().err


def test_a_platform_that_serves_warns_of_a_model_that_ends(
    environment: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("functions.local.workers.SWEEP_EVERY", 0.02)
    log = fakes.Log()
    model = {"MODEL_PROVIDER": "anthropic", "MODEL": "claude-opus-4-5-20251101"}
    served = Local(environment | model, now=lambda: MODEL_ENDS_SOON, log=log)
    served.start()
    until = time.monotonic() + 10
    while len([line for line in log.lines if line[1]["reason"] == "swept"]) < 3:
        assert time.monotonic() < until
        time.sleep(0.02)
    served.stop()
    assert [line[1]["reason"] for line in log.lines].count("model_retires") == 1
