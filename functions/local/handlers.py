"""The local platform: the whole installation in one process, its state in one folder."""

import json
import os
import re
import signal
import sys
import threading
import time
from collections.abc import Callable, Mapping
from pathlib import Path

from functions.local.adapters import SqliteQueue, SqliteRecords, Store, log
from functions.local.server import Server
from functions.local.workers import Workers
from functions.wiring import Installation, read_settings
from shared.incoming.delivery import Delivery
from shared.installation.readers import SettingsError
from shared.installation.secrets import GitLabSecrets, SecretError, WebhookSecrets
from shared.installation.settings import required
from shared.installation.settings_file import parse
from shared.outcome.reasons import TriggerError
from shared.receive import Answer
from shared.runs.record import Record, RecordError, key_of
from shared.services import Log

NEEDS = {
    "WEBHOOK_SECRETS": 'JSON such as {"secret_tokens": ["…"]}',
    "GITLAB_SECRETS": 'JSON such as {"api_token": "…", "trigger_tokens": {"*": "…"}}',
}
_PORTS = 65536
_LOCALES = re.compile(r"[a-z]_[A-Z]|:")


class Local:
    """Listens on 127.0.0.1, carries out what is queued and sweeps."""

    def __init__(
        self,
        environment: Mapping[str, str],
        *,
        now: Callable[[], float] = time.time,
        log: Log = log,
    ) -> None:
        """Read the settings and open everything.

        Raises SettingsError, SecretError or RuntimeError, each with a cure; OSError where the
        folder cannot be written.
        """
        settings = read_settings(environment, {})
        folder = Path(environment.get("STATE_DIR") or "./.state")
        webhook, gitlab = (_document(environment, folder, variable) for variable in NEEDS)
        # Read now, as what is wrong with them should be known before the first delivery.
        self.awaits_setup = _awaits_setup(environment, folder)
        if not self.awaits_setup:
            WebhookSecrets.parse(webhook())
            GitLabSecrets.parse(gitlab())
        port = _port(environment.get("PORT") or "8080")
        self._store = Store(folder)
        queue, records = SqliteQueue(self._store, now), SqliteRecords(self._store, now())
        _release(records, now())
        self._installation = Installation(
            settings,
            queue=queue,
            records=records,
            webhook_secrets=webhook,
            gitlab_secrets=gitlab,
            log=log,
            now=now,
        )
        try:
            self._server = Server(port, self._answer, self._installation.log_defect)
        except OSError as error:
            self._store.close()
            raise SettingsError("PORT", str(port), "a port that is free to use here") from error
        self._workers = Workers(queue, self._installation.services)

    @property
    def url(self) -> str:
        """Where the webhook's deliveries go."""
        return self._server.url

    def start(self) -> None:
        """Serve in the background."""
        self._workers.start()
        self._server.start()

    def stop(self) -> None:
        """Finish what is under way and close."""
        self._server.stop()
        self._workers.stop()
        self._store.close()

    @property
    def damage(self) -> str:
        """What is wrong with the state file, as a sentence; empty where nothing is known to be."""
        return self._store.damage

    def _answer(self, delivery: Delivery) -> Answer:
        """Tell who asks how it is what is wrong; leave the rest to `receive`."""
        if delivery.method in ("GET", "HEAD") and (trouble := self._workers.trouble()):
            return Answer(503, "text/plain; charset=utf-8", f"{trouble}\n")
        return self._installation.receive(delivery)

    def carry_out(self, task: Mapping[str, object]) -> dict[str, object]:
        """Sweep or replay once, without serving: a task as `shared.sweep.carry_out` reads it."""
        try:
            return self._installation.sweep(task)
        finally:
            self._server.server_close()
            self._store.close()


def main(task: str = "") -> int:
    """Run until SIGTERM or SIGINT, or carry out one task (JSON).

    Return 0, 1 for what failed, 2 when a setting is wrong.
    """
    try:
        wanted = json.loads(task or "null")
        local = Local({**_settings_file(os.environ), **_without_locales(os.environ)})
        if task:
            sys.stdout.write(json.dumps(local.carry_out(wanted)) + "\n")
            return 0
    except (SettingsError, SecretError, RuntimeError, OSError, ValueError) as error:
        log.say(str(error))
        return 2
    except Exception as error:  # noqa: BLE001  its text may quote a secret, a traceback does
        ours = isinstance(error, TriggerError)
        log.say(str(error) if ours else f"The task failed: {type(error).__name__}")
        return 1
    _serve(local)
    return 0


def _serve(local: Local) -> None:
    """Serve until a signal comes, and end what has begun; a second signal ends at once."""
    ended = threading.Event()
    signals = (signal.SIGTERM, signal.SIGINT)

    def end(*_: object) -> None:
        for each in signals:
            signal.signal(each, signal.SIG_DFL)
        ended.set()

    for each in signals:
        signal.signal(each, end)
    local.start()
    log.say(f"Listening on {local.url}")
    if local.awaits_setup:
        log.say("It has no secrets yet, and takes no delivery: make setup PROJECT=…")
    ended.wait()
    local.stop()
    if local.damage:  # an orderly end would have SQLite write into the file
        os._exit(1)


def secret_file(folder: Path, document: str) -> Path:
    """Return where a secret document is kept that the environment does not give."""
    return folder / f"{document.lower()}.json"


def _document(environment: Mapping[str, str], folder: Path, document: str) -> Callable[[], str]:
    """Return what reads a secret document, a file each time anew: it may have been rotated."""
    file = secret_file(folder, document)
    if not environment.get(document, "").strip() and (
        file.exists() or _awaits_setup(environment, folder)
    ):
        return lambda: file.read_text(encoding="utf-8")
    given = required(environment, document, NEEDS[document])
    return lambda: given


def _awaits_setup(environment: Mapping[str, str], folder: Path) -> bool:
    """Tell whether `setup`, which alone needs URL, is still to write the secrets."""
    given = any(environment.get(name) or secret_file(folder, name).exists() for name in NEEDS)
    return bool(environment.get("URL")) and not given


def _settings_file(environment: Mapping[str, str]) -> Mapping[str, str]:
    """Return what the settings file says, SETTINGS or else claude.env; nothing if it is not there.

    What the environment says comes before it.
    """
    file = Path(environment.get("SETTINGS") or "claude.env")
    return parse(file.read_text(encoding="utf-8")) if file.exists() else {}


def _without_locales(environment: Mapping[str, str]) -> Mapping[str, str]:
    """Return an environment without a desktop's own LANGUAGE, such as en_US:en: it is not ours.

    Source: the manual of GNU gettext, "Specifying a Priority List of Languages".
    """
    own = _LOCALES.search(environment.get("LANGUAGE", ""))
    return {name: value for name, value in environment.items() if name != "LANGUAGE" or not own}


def _port(value: str) -> int:
    if not (value.isascii() and value.isdigit() and int(value) < _PORTS):
        raise SettingsError("PORT", value, "a TCP port from 0 (any free one) to 65535")
    return int(value)


def _release(records: SqliteRecords, now: float) -> None:
    """End the leases of a process that was killed: the store has one owner, nobody else has any."""
    for key in records.starting_with(key_of("")):
        text, version = records.read(key)
        try:
            record = Record.from_json(str(text))
        except RecordError:  # `dispatch` names it when its run comes
            continue
        if record.until > now:
            freed = record.released(now)
            records.write(key, freed.to_json(), version, freed.expires)
