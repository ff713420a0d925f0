"""A model API on 127.0.0.1 with a script of turns, as Anthropic, Bedrock and Vertex AI spell it.

AWS STS, Google STS and IAM, and Entra answer too. The turn is chosen by how many assistant messages with a
tool call the request already holds. Every request is recorded.
"""

import base64
import binascii
import itertools
import json
import re
import struct
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Self

Block = dict[str, Any]
Turn = list[Block]

_BEDROCK = re.compile(r"/model/([^/]+)/(invoke|invoke-with-response-stream)$")
_VERTEX = re.compile(r"/models/([^/:]+):(rawPredict|streamRawPredict)$")
_NUMBERS = itertools.count(1)
_FIELDS = ("AccessKeyId", "SecretAccessKey", "SessionToken", "Expiration")
_STS = (
    '<AssumeRoleWithWebIdentityResponse xmlns="https://sts.amazonaws.com/doc/2011-06-15/">'
    "<AssumeRoleWithWebIdentityResult><Credentials>{keys}</Credentials>"
    "</AssumeRoleWithWebIdentityResult></AssumeRoleWithWebIdentityResponse>"
)
AWS_KEYS = ("ASIAFAKE", "fake-secret", "fake-session", "2099-01-01T00:00:00Z")


def say(text: str) -> Block:
    """A block of text."""
    return {"type": "text", "text": text}


def use(name: str, **given: Any) -> Block:
    """A block that calls a tool."""
    return {"type": "tool_use", "name": name, "input": given}


@dataclass
class Sent:
    """One request as it came."""

    method: str
    path: str
    headers: dict[str, str]
    text: str
    body: Any = None
    time: float = field(default_factory=time.monotonic)

    @property
    def calls_model(self) -> bool:
        """Whether it is a turn of the conversation and not a title or a probe."""
        return isinstance(self.body, dict) and bool(self.body.get("tools"))


@dataclass
class Model:
    """The stand-in.

    `status` answers every turn with an error, `broken` those of the models it names; `hold` keeps
    turns waiting until it is set. `refusal` is said to who brings an identity token.
    """

    turns: Sequence[Turn] = ()
    status: int = 0
    broken: Mapping[Any, int] = field(default_factory=dict)
    refusal: str = ""
    requests: list[Sent] = field(default_factory=list)
    hold: threading.Event | None = None
    called: threading.Event = field(default_factory=threading.Event)

    def __enter__(self) -> Self:
        handler = type("Handler", (_Handler,), {"stand_in": self})
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
        self._server.daemon_threads = True
        threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True).start()
        self.url = f"http://127.0.0.1:{self._server.server_port}"
        return self

    def __exit__(self, *_: object) -> None:
        if self.hold:
            self.hold.set()
        self._server.shutdown()
        self._server.server_close()

    @property
    def conversation(self) -> list[Sent]:
        """The requests that are turns."""
        return [sent for sent in self.requests if sent.calls_model]

    def prompt(self) -> str:
        """The first message of the first turn as the model got it."""
        content = self.conversation[0].body["messages"][0]["content"]
        if isinstance(content, str):
            return content
        return "\n".join(part.get("text", "") for part in content)

    def system(self) -> str:
        """The system prompt of the first turn."""
        return json.dumps(self.conversation[0].body.get("system"), ensure_ascii=False)

    def tool_results(self) -> list[str]:
        """What Claude Code answered to each tool call, in order."""
        return [
            json.dumps(part.get("content"))
            for message in self.conversation[-1].body["messages"]
            for part in _parts(message)
            if part.get("type") == "tool_result"
        ]

    def turn(self, body: Mapping[str, Any]) -> Turn:
        """What to answer."""
        if not body.get("tools") or not self.turns:
            return [say('{"title": "a title"}')]
        done = sum(
            any(part.get("type") == "tool_use" for part in _parts(message))
            for message in body.get("messages", [])
            if message["role"] == "assistant"
        )
        return self.turns[min(done, len(self.turns) - 1)]


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    stand_in: Model

    def log_message(self, *_: object) -> None:
        """Say nothing."""

    def _answer(self) -> None:
        body = self.rfile.read(int(self.headers.get("content-length") or 0))
        text = body.decode("utf-8", "replace")
        headers = {name.lower(): value for name, value in self.headers.items()}
        sent = Sent(self.command, self.path.partition("?")[0], headers, text, _json(text))
        self.stand_in.requests.append(sent)
        if self._signs_in(sent):
            return
        bedrock, vertex = _BEDROCK.search(sent.path), _VERTEX.search(sent.path)
        named = bedrock or vertex
        if not (sent.path.endswith("/messages") or named) or not isinstance(sent.body, dict):
            self._send(404, _error("not_found_error", "not served"))
            return
        if sent.calls_model:
            self.stand_in.called.set()
            if self.stand_in.hold:
                self.stand_in.hold.wait(60)
            status = self.stand_in.broken.get(sent.body.get("model"), self.stand_in.status)
            if status:
                self._send(status, _error("scripted", "as the test wants it"))
                return
        blocks = self.stand_in.turn(sent.body)
        model = sent.body.get("model") or (named[1] if named else "")
        if bedrock and bedrock[2] == "invoke-with-response-stream":
            frames = b"".join(_frame(data) for _, data in _events(model, blocks))
            self._send(200, frames, "application/vnd.amazon.eventstream")
        elif sent.body.get("stream") or (vertex and vertex[2] == "streamRawPredict"):
            events = _events(model, blocks)
            lines = [f"event: {name}\ndata: {json.dumps(data)}\n\n" for name, data in events]
            self._send(200, "".join(lines).encode(), "text/event-stream")
        else:
            self._send(200, _whole(model, blocks))

    def _signs_in(self, sent: Sent) -> bool:
        """Answer what a token exchange asks for; tell whether it was one."""
        if self.stand_in.refusal:
            self._send(400, self.stand_in.refusal.encode(), "text/plain")
        elif "AssumeRoleWithWebIdentity" in sent.text:
            fields = zip(_FIELDS, AWS_KEYS, strict=True)
            keys = "".join(f"<{name}>{value}</{name}>" for name, value in fields)
            self._send(200, _STS.format(keys=keys).encode(), "text/xml")
        elif sent.path == "/google/v1/token":
            kind = "urn:ietf:params:oauth:token-type:access_token"
            self._send(200, _bearer("sts-token") | {"issued_token_type": kind})
        elif sent.path.endswith(":generateAccessToken"):
            self._send(200, {"accessToken": "google-token", "expireTime": "2099-01-01T00:00:00Z"})
        elif sent.path.endswith("/oauth2/v2.0/token"):
            self._send(200, _bearer("entra-token"))
        elif sent.path == "/v1/oauth/token":
            self._send(200, _bearer("federated-token"))
        else:
            return False
        return True

    def _send(self, status: int, content: object, kind: str = "application/json") -> None:
        data = content if isinstance(content, bytes) else json.dumps(content).encode()
        self.send_response(status)
        self.send_header("content-type", kind)
        self.send_header("content-length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    do_GET = do_POST = do_PUT = do_HEAD = _answer  # noqa: N815  (http.server's names)


def _parts(message: Mapping[str, Any]) -> list[Block]:
    content = message["content"]
    return content if isinstance(content, list) else []


def _error(kind: str, message: str) -> dict[str, Any]:
    return {"type": "error", "error": {"type": kind, "message": message}}


def _bearer(token: str) -> dict[str, Any]:
    return {"access_token": token, "token_type": "Bearer", "expires_in": 3600}


def _json(text: str) -> Any:
    try:
        return json.loads(text)
    except ValueError:
        return None


def _whole(model: str, blocks: Turn) -> dict[str, Any]:
    content = [
        block | {"id": f"toolu_{next(_NUMBERS)}"} if block["type"] == "tool_use" else block
        for block in blocks
    ]
    calls = any(block["type"] == "tool_use" for block in blocks)
    return {
        "id": f"msg_{next(_NUMBERS)}",
        "type": "message",
        "role": "assistant",
        "model": model,
        "content": content,
        "stop_reason": "tool_use" if calls else "end_turn",
        "stop_sequence": None,
        "usage": {"input_tokens": 100, "output_tokens": 50},
    }


def _events(model: str, blocks: Turn) -> Iterator[tuple[str, dict[str, Any]]]:
    """The same as a stream."""
    message = _whole(model, blocks)
    content, stop = message["content"], message["stop_reason"]
    usage = message["usage"] | {"output_tokens": 1}
    start = message | {"content": [], "stop_reason": None, "usage": usage}
    yield _event("message_start", message=start)
    for index, block in enumerate(content):
        if block["type"] == "tool_use":
            empty = block | {"input": {}}
            delta = {"type": "input_json_delta", "partial_json": json.dumps(block["input"])}
        else:
            empty = block | {"text": ""}
            delta = {"type": "text_delta", "text": block["text"]}
        yield _event("content_block_start", index=index, content_block=empty)
        yield _event("content_block_delta", index=index, delta=delta)
        yield _event("content_block_stop", index=index)
    end = {"stop_reason": stop, "stop_sequence": None}
    yield _event("message_delta", delta=end, usage={"output_tokens": 50})
    yield _event("message_stop")


def _event(kind: str, **fields: Any) -> tuple[str, dict[str, Any]]:
    return kind, {"type": kind, **fields}


def _frame(data: Mapping[str, Any]) -> bytes:
    """One message of AWS's event stream: https://smithy.io/2.0/aws/amazon-eventstream.html"""
    payload = json.dumps({"bytes": base64.b64encode(json.dumps(data).encode()).decode()}).encode()
    headers = b"".join(
        struct.pack("!B", len(name)) + name + b"\x07" + struct.pack("!H", len(value)) + value
        for name, value in (
            (b":event-type", b"chunk"),
            (b":content-type", b"application/json"),
            (b":message-type", b"event"),
        )
    )
    prelude = struct.pack("!II", 16 + len(headers) + len(payload), len(headers))
    message = prelude + struct.pack("!I", binascii.crc32(prelude)) + headers + payload
    return message + struct.pack("!I", binascii.crc32(message))
