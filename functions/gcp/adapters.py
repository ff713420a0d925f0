"""The Google ports: Cloud Tasks, Firestore, Secret Manager, logs.

Every SDK is imported on first need and its client kept.
"""

import json
import os
import time
from collections.abc import Callable, Mapping
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from shared.contract.version import VERSION

if TYPE_CHECKING:
    from shared.runs.request import RunRequest, TrackRequest

QUICK = 1.2  # seconds: `receive` answers within 3 whatever hangs
PATIENT = 5.0  # seconds
SAME = 300  # seconds in which the same request is the first one again; later it may be a Resend
_DEADLINE = 120  # seconds Cloud Tasks waits for `dispatch`


class TasksQueue:
    """A Cloud Tasks queue whose tasks call the private function `dispatch`.

    https://cloud.google.com/tasks/docs/reference/rest/v2/projects.locations.queues.tasks
    """

    def __init__(self, queue: str, url: str, service_account: str) -> None:
        """Take the queue's resource name, the URL of `dispatch`, and who may call it (e-mail)."""
        self._queue, self._url, self._service_account = queue, url, service_account

    def put(self, request: "RunRequest | TrackRequest") -> None:
        """Create a task named after the request; one of the same name is stored already.

        Cloud Tasks keeps a name up to 24 hours after its task is gone, even if that failed: so the
        name holds the time.
        """
        from google.api_core.exceptions import Conflict

        call = {
            "url": self._url,
            "http_method": "POST",
            "headers": {"Content-Type": "application/json"},
            "body": request.to_json().encode(),
            "oidc_token": {"service_account_email": self._service_account, "audience": self._url},
        }
        name = f"{self._queue}/tasks/{request.message_id}-{int(time.time() / SAME)}"
        task = {"name": name, "http_request": call, "dispatch_deadline": {"seconds": _DEADLINE}}
        try:
            _tasks().create_task(parent=self._queue, task=task, timeout=QUICK, retry=None)
        except Conflict:
            return


class FirestoreRecords:
    """A Firestore collection, one document per record, with a TTL policy on `expires`."""

    def __init__(self, project: str, collection: str) -> None:
        """Take the project and the collection's name."""
        self._project, self._collection = project, collection

    def read(self, key: str) -> tuple[str | None, object]:
        """Return the record and the time of its last change, which is its version."""
        found = self._document(key).get(timeout=PATIENT, retry=None)
        return (str(found.get("text")), found.update_time) if found.exists else (None, None)

    def write(self, key: str, text: str, version: object, expires: int) -> object:
        """Create or update the document on condition that it did not change since it was read."""
        from datetime import UTC, datetime

        from google.api_core.exceptions import Conflict, FailedPrecondition, NotFound

        document = self._document(key)
        fields = {"text": text, "expires": datetime.fromtimestamp(expires, UTC)}
        try:
            if version is None:
                done = document.create(fields, timeout=PATIENT, retry=None)
            else:
                unchanged = _firestore(self._project).write_option(last_update_time=version)
                done = document.update(fields, option=unchanged, timeout=PATIENT, retry=None)
        except (Conflict, FailedPrecondition, NotFound):
            return None
        return done.update_time

    def delete(self, key: str) -> None:
        """Delete the document."""
        self._document(key).delete(timeout=PATIENT, retry=None)

    def listed(self, index: str, most: int) -> list[tuple[str, str]]:
        """Query the documents between two names, which needs no index of its own."""
        first, beyond = self._document(f"{index}//"), self._document(f"{index}/;")
        named = first.parent.order_by("__name__")
        between = named.start_after({"__name__": first}).end_before({"__name__": beyond})
        found = between.limit(most).stream(timeout=PATIENT, retry=None)
        return [(each.id.replace(":", "/"), str(each.get("text"))) for each in found]

    def _document(self, key: str) -> Any:
        name = key.replace("/", ":")  # a document's name holds no slash
        return _firestore(self._project).collection(self._collection).document(name)


def secret(name: str) -> Callable[[], str]:
    """Return a function that reads a secret's newest version anew."""

    def read() -> str:
        version = name if "/versions/" in name else f"{name}/versions/latest"
        found = _secret_manager().access_secret_version(name=version, timeout=PATIENT, retry=None)
        return str(found.payload.data.decode())

    return read


def mounted(path: str) -> Callable[[], str]:
    """Return a function that reads a secret's newest version anew, where Cloud Run mounts it.

    To read the file is to ask Secret Manager, without a client, which is most of a cold start:
    https://cloud.google.com/run/docs/configuring/services/secrets. Raises TimeoutError, OSError.
    """

    def read() -> str:
        return str(_reader().submit(Path(path).read_text, "utf-8").result(QUICK))

    return read


@cache
def _reader() -> Any:
    """Make threads to read files in: a read that hangs can be given up from outside alone."""
    from concurrent.futures import ThreadPoolExecutor

    return ThreadPoolExecutor()


def log(severity: str, fields: Mapping[str, object]) -> None:
    """Write one line as Cloud Logging reads it.

    https://cloud.google.com/logging/docs/structured-logging
    """
    message = str(fields.get("reason"))
    line = {"severity": severity, "message": message, **fields, "version": VERSION}
    print(json.dumps(line), flush=True)  # noqa: T201


@cache
def _secret_manager() -> Any:
    from google.cloud.secretmanager_v1 import SecretManagerServiceClient

    return _client(SecretManagerServiceClient, "SECRET_MANAGER_ENDPOINT")


@cache
def _tasks() -> Any:
    from google.cloud.tasks_v2 import CloudTasksClient

    return _client(CloudTasksClient, "CLOUD_TASKS_ENDPOINT")


@cache
def _firestore(project: str) -> Any:
    from google.cloud.firestore import Client

    return Client(project=project)  # heeds FIRESTORE_EMULATOR_HOST by itself


def _client(kind: Any, variable: str) -> Any:
    """Make a client over REST, which starts twice as fast as gRPC; `variable` names a stand-in."""
    endpoint = os.environ.get(variable)
    if not endpoint:
        return kind(transport="rest")
    from google.auth.credentials import AnonymousCredentials

    nobody = AnonymousCredentials()  # type: ignore[no-untyped-call]
    return kind(transport="rest", credentials=nobody, client_options={"api_endpoint": endpoint})
