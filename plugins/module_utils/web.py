# Copyright: (c) 2026, OUS AMG
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""An HTTP API that is asked for small things: each answer whole, in time and of bounded size, or an error that says so.

No proxy is used and no redirection followed: a service of the site's own network, and a cookie that goes nowhere else.
"""

from __future__ import annotations

import contextlib
import http.client
import http.cookies
import json
import re
import socket
import ssl
import threading
import time
from types import TracebackType
from typing import Any, Callable, NamedTuple
from urllib.parse import SplitResult, urlsplit

from ansible_collections.ousamg.anno.plugins.module_utils.errors import AnnoError

MAX_BODY = 8 << 20
_WAIT = 0.5  # seconds between two tries to connect, and between two words to who waits
_CHUNK = 1 << 16
_SHOWN = 120  # characters of a body
_PRINTABLE = re.compile("[!-~]+")
_NOT_TEXT = re.compile(r"<(script|style)\b.*?</\1\s*>|<!--.*?-->|<[^>]*>", re.DOTALL | re.IGNORECASE)


class WebError(AnnoError):
    """The service cannot be asked, or answers something else. ``status`` is that of its answer, None without one."""

    def __init__(self, path: str, found: str, expected: str, todo: str, status: int | None = None) -> None:
        super().__init__(path, found, expected, todo)
        self.status = status


class Limits(NamedTuple):
    """Seconds that a call may take, and seconds to go on trying where the connection is refused, as it is while a
    service comes up. ``waiting`` is called every now and then meanwhile."""

    timeout: float = 60.0
    patience: float = 0.0
    waiting: Callable[[], None] = lambda: None


LIMITS = Limits()


class _Watch:
    """Tells who waits, every now and then, that a call goes on, and cuts its connection when the time is up.

    A socket's own timeout does neither: it begins anew with each byte of an answer that trickles, and is silent until
    then. ``cut`` is whether the time was up.
    """

    def __init__(self, limits: Limits) -> None:
        self.cut = False
        self._limits = limits
        self._deadline = float("inf")
        self._socket: socket.socket | None = None
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)

    def guard(self, connected: socket.socket) -> None:
        """The time of this connection begins."""
        connected.settimeout(None)
        self._socket = connected
        self._deadline = time.monotonic() + self._limits.timeout

    def __enter__(self) -> _Watch:
        self._thread.start()
        return self

    def __exit__(self, *_: type[BaseException] | BaseException | TracebackType | None) -> None:
        self._ended.set()
        self._thread.join()

    def _run(self) -> None:
        while not self._ended.wait(_WAIT):
            self._limits.waiting()
            if self._socket and time.monotonic() > self._deadline:
                self.cut = True
                # Of the socket below TLS: whoever reads in the other thread sees an end.
                with contextlib.suppress(OSError):
                    socket.socket.shutdown(self._socket, socket.SHUT_RDWR)


class Api:
    """The HTTP API of one service.

    :param url: its base, such as ``http://p22-anno-01:6000``. One that holds credentials is refused.
    :param what: what it is to be, for error texts: "the HTTP API of an anno service".
    Every call raises WebError.
    """

    def __init__(self, url: str, what: str, limits: Limits = LIMITS) -> None:
        self._address = address(url)
        self.url = url.rstrip("/")
        self._what = what
        self._limits = limits
        self.cookies: dict[str, str] = {}

    def json(self, method: str, path: str, body: Any = None, *, secret: bool = False) -> Any:
        """The JSON that a call answers with.

        :param body: what to send as JSON.
        :param secret: do not repeat anything of the answer in an error: it may quote what was sent.
        """
        answer = self.call(method, path, body, secret=secret)
        try:
            return json.loads(answer)
        except (ValueError, RecursionError):
            shown = "" if secret else f": {_words(answer)}"
            raise self.unexpected(path, f"it is no JSON{shown}" if answer else "it is empty") from None

    def call(self, method: str, path: str, body: Any = None, *, limit: int = MAX_BODY, secret: bool = False) -> bytes:
        """The body of an answer with a status of 200 to 202; ``limit`` is how many bytes it may have."""
        response = None
        with _Watch(self._limits) as watch:
            connection = self._connected(path)
            watch.guard(connection.sock)
            try:
                self._ask(connection, method, path, body)
                response = connection.getresponse()
                answer = self._read(response, path, limit)
            except (http.client.HTTPException, OSError, WebError) as error:
                if not watch.cut:
                    raise (error if isinstance(error, WebError) else self._broken(path, error)) from None
            finally:
                connection.close()
        if watch.cut or response is None:
            raise self.unexpected(path, f"it is not there, or not whole, after {self._limits.timeout:.0f} s")
        if response.status not in (200, 201, 202):
            words = "" if secret else _words(answer)
            found = f"HTTP status {response.status} {response.reason}{f' ({words})' if words else ''}"
            raise self.unexpected(path, found, response.status)
        self._keep_cookies(response)
        return answer

    def _ask(self, connection: http.client.HTTPConnection, method: str, path: str, body: Any) -> None:
        headers = {"Accept": "*/*", "Connection": "close"}
        if self.cookies:
            headers["Cookie"] = "; ".join(f"{name}={value}" for name, value in self.cookies.items())
        content = None
        if body is not None:
            content = json.dumps(body).encode()
            headers["Content-Type"] = "application/json"
        connection.request(method, self._address.path.rstrip("/") + path, content, headers)

    def unexpected(self, path: str, found: str, status: int | None = None) -> WebError:
        """The error for an answer that is not what was asked for."""
        todo = "Check host, port and path of the URL, and the service's own log."
        return WebError(self.url + path, f"the answer is not what was asked for: {found}", self._what, todo, status)

    def _connected(self, path: str) -> http.client.HTTPConnection:
        kind = http.client.HTTPSConnection if self._address.scheme == "https" else http.client.HTTPConnection
        give_up = time.monotonic() + self._limits.patience
        while True:
            connection = kind(self._address.hostname or "", self._address.port, timeout=self._limits.timeout)
            try:
                connection.connect()
                return connection
            except ConnectionRefusedError as error:
                connection.close()
                if time.monotonic() >= give_up:
                    raise self._broken(path, error) from None
                time.sleep(_WAIT)
            except (OSError, UnicodeError, http.client.HTTPException) as error:
                connection.close()
                raise self._broken(path, error) from None

    def _read(self, response: http.client.HTTPResponse, path: str, limit: int) -> bytes:
        parts, size = [], 0
        while part := response.read1(_CHUNK):
            parts.append(part)
            size += len(part)
            if size > limit:
                raise self.unexpected(path, f"it has more than {limit} bytes")
        if response.length:
            raise self.unexpected(path, f"it ends after {size} of {size + response.length} bytes")
        return b"".join(parts)

    def _keep_cookies(self, response: http.client.HTTPResponse) -> None:
        for line in response.headers.get_all("Set-Cookie", []):
            with contextlib.suppress(http.cookies.CookieError):
                self.cookies.update({name: part.coded_value for name, part in http.cookies.SimpleCookie(line).items()})

    def _broken(self, path: str, error: Exception) -> WebError:
        if isinstance(error, http.client.RemoteDisconnected):
            return self.unexpected(path, "the connection was closed without one")
        if isinstance(error, http.client.IncompleteRead):
            return self.unexpected(path, f"it ends after {len(error.partial)} bytes of a part")
        if isinstance(error, http.client.HTTPException):
            return self.unexpected(path, f"it is no HTTP ({type(error).__name__})")
        if isinstance(error, ssl.SSLError):
            found = f"no secure connection ({error.reason or error})"
            todo = "Check the host name in the URL and the certificate authorities of this host."
            return WebError(self.url + path, found, "a certificate that this host trusts", todo)
        found = f"not reachable ({getattr(error, 'strerror', None) or error or type(error).__name__})"
        if self._limits.patience:
            found += f", tried for {self._limits.patience:.0f} s"
        todo = "Check the URL (http or https, host, port), that the service runs there, and the firewall."
        return WebError(self.url + path, found, self._what, todo)


def address(url: str) -> SplitResult:
    """The parts of a URL. One with credentials is refused, without showing them."""
    try:
        parts = urlsplit(url)
        secret = "@" in parts.netloc
        usable = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
        usable = usable and bool(_PRINTABLE.fullmatch(url))
    except ValueError:
        secret, usable = "@" in url, False
    if secret:
        todo = "Give them as user name and password."
        raise WebError("url", "the URL holds credentials (they are not shown here)", "a URL without them", todo)
    if not usable:
        expected = "http://host:port or https://host:port"
        raise WebError("url", f"{url!r} is not an HTTP URL", expected, "Correct the URL in the inventory.")
    return parts


def _words(body: bytes) -> str:
    """The first words of a body as a person reads them: the message of a JSON object, the text of a page."""
    text = body[: 1 << 14].decode("utf-8", "replace")
    with contextlib.suppress(ValueError, RecursionError, AttributeError):
        message = json.loads(body).get("message")
        text = message if isinstance(message, str) else text
    words = " ".join(_NOT_TEXT.sub(" ", text).split())
    shown = "".join(c if c.isprintable() else "�" for c in words)
    return shown if len(shown) <= _SHOWN else shown[:_SHOWN] + " …"
