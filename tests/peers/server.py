"""An HTTP server on a free port of this machine, for the length of a ``with`` block, that can be made to misbehave."""

from __future__ import annotations

import http.server
import json
import threading
from collections.abc import Mapping
from types import TracebackType
from typing import Any, NamedTuple
from urllib.parse import unquote, urlsplit

HTML = b"<html><head><title>502 Bad Gateway</title></head><body><h1>Bad <b>Gateway</b></h1>nginx</body></html>"
# What a bad answer is: status, body, and by how much its Content-Length is wrong. None: no answer, and the connection
# is closed, at once or in the end.
BAD: dict[str, tuple[int, bytes, int] | None] = {
    "silent": None,
    "500": (500, b'{"message": "database is locked"}', 0),
    "html": (200, HTML, 0),
    "half": (200, b'{"task_id": "1", "status": ', 100),
    "closed": None,
    "garbage": (200, b"\xff\xfe{{{ not json", 0),
    "empty": (200, b"", 0),
    "list": (200, b"[1, 2]", 0),
}


class Call(NamedTuple):
    """``path`` is without its query; ``body`` is the JSON that came, None without one."""

    method: str
    path: str
    query: str
    body: Any
    cookie: str


class Answer(NamedTuple):
    body: Any = None  # bytes as they are, all else as JSON
    status: int = 200
    headers: Mapping[str, str] = {}


class Peer:
    """A service. ``bad`` names for a beginning of a path what its answer is instead (a key of BAD); ``calls`` are the
    calls that came."""

    def __init__(self) -> None:
        self.bad: dict[str, str] = {}
        self.calls: list[Call] = []
        self._ending = threading.Event()
        self._server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), self._handler())
        self._server.daemon_threads = True
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.02,))
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}"

    def answer(self, call: Call) -> Answer:
        raise NotImplementedError

    def __enter__(self) -> Any:
        self._thread.start()
        return self

    def __exit__(self, *_: type[BaseException] | BaseException | TracebackType | None) -> None:
        self._ending.set()
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    def _handler(peer) -> type[http.server.BaseHTTPRequestHandler]:  # noqa: N805
        class Handler(http.server.BaseHTTPRequestHandler):
            def _do(self) -> None:
                parts = urlsplit(self.path)
                raw = self.rfile.read(int(self.headers.get("Content-Length") or 0))
                body = json.loads(raw) if raw else None
                cookie = self.headers.get("Cookie") or ""
                call = Call(self.command, parts.path, unquote(parts.query), body, cookie)
                peer.calls.append(call)
                mode = next((mode for path, mode in peer.bad.items() if call.path.startswith(path)), None)
                bad = BAD[mode] if mode else None
                if bad:
                    self._send(Answer(bad[1], bad[0]), bad[2])
                elif mode == "silent":
                    peer._ending.wait()
                elif mode is None:
                    self._send(peer.answer(call), 0)
                self.close_connection = True

            do_GET = do_POST = _do  # noqa: N815

            def _send(self, answer: Answer, missing: int) -> None:
                content = answer.body if isinstance(answer.body, bytes) else json.dumps(answer.body).encode()
                self.send_response(answer.status)
                for name, value in answer.headers.items():
                    self.send_header(name, value)
                self.send_header("Content-Length", str(len(content) + missing))
                self.end_headers()
                self.wfile.write(content)

            def log_message(self, *_: object) -> None:
                pass

        return Handler
