"""module_utils/web.py against a real server that answers well, badly, or not at all."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator

import pytest
from ansible_collections.ousamg.anno.plugins.module_utils import web
from ansible_collections.ousamg.anno.plugins.module_utils.web import Api, Limits, WebError
from peers.server import BAD, Answer, Call, Peer

WHAT = "the API of an echo"


class Echo(Peer):
    """Gives back what it was sent; ``/answer`` what the test has put there."""

    special = Answer()

    def answer(self, call: Call) -> Answer:
        if call.path == "/answer":
            return self.special
        return Answer({"method": call.method, "body": call.body, "cookie": call.cookie})


@pytest.fixture
def echo() -> Iterator[Echo]:
    with Echo() as peer:
        yield peer


def test_json_goes_and_comes(echo: Echo) -> None:
    api = Api(echo.url + "/", WHAT)
    assert api.json("POST", "/x", {"å": [1]}) == {"method": "POST", "body": {"å": [1]}, "cookie": ""}
    assert api.json("GET", "/x")["body"] is None


def test_a_path_of_the_base_is_kept(echo: Echo) -> None:
    Api(echo.url + "/ella/", WHAT).json("GET", "/api")
    assert echo.calls[-1].path == "/ella/api"


def test_cookies_are_kept_and_sent(echo: Echo) -> None:
    api = Api(echo.url, WHAT)
    echo.special = Answer(1, headers={"Set-Cookie": 'T="a b"; HttpOnly; Path=/'})
    api.json("GET", "/answer")
    assert list(api.cookies) == ["T"]
    assert api.json("GET", "/x")["cookie"] == 'T="a b"'


@pytest.mark.parametrize(
    ("mode", "found"),
    [
        ("500", "HTTP status 500 Internal Server Error (database is locked)"),
        ("html", "it is no JSON: 502 Bad Gateway Bad Gateway nginx"),
        ("half", "it ends after 27 of 127 bytes"),
        ("closed", "the connection was closed without one"),
        ("garbage", "it is no JSON: ��{{{ not json"),
        ("empty", "it is empty"),
    ],
)
def test_bad_answers_are_told(echo: Echo, mode: str, found: str) -> None:
    assert mode in BAD
    echo.bad["/x"] = mode
    with pytest.raises(WebError) as caught:
        Api(echo.url, WHAT).json("GET", "/x")
    error = caught.value
    assert error.path == f"{echo.url}/x"
    assert error.found == f"the answer is not what was asked for: {found}"
    assert error.expected == WHAT and "log" in error.todo
    assert error.status == (500 if mode == "500" else None)


@pytest.mark.parametrize("mode", ["500", "html", "garbage"])
def test_nothing_of_a_secret_answer_is_repeated(echo: Echo, mode: str) -> None:
    echo.bad["/x"] = mode
    with pytest.raises(WebError) as caught:
        Api(echo.url, WHAT).json("POST", "/x", {"password": "p"}, secret=True)
    assert not {"locked", "nginx", "{{{"} & set(str(caught.value).replace(")", " ").split())


def test_a_redirection_is_not_followed(echo: Echo) -> None:
    echo.special = Answer(b"", 302, {"Location": echo.url + "/x"})
    with pytest.raises(WebError, match="HTTP status 302"):
        Api(echo.url, WHAT).json("GET", "/answer")
    assert [call.path for call in echo.calls] == ["/answer"]


def test_a_body_that_is_too_large_is_not_read(echo: Echo) -> None:
    echo.special = Answer(bytes(1 << 20))
    with pytest.raises(WebError, match="more than 1000 bytes"):
        Api(echo.url, WHAT).call("GET", "/answer", limit=1000)


@pytest.mark.parametrize(
    "begin",
    [
        b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n",
        b"HTTP/1.1 200 OK\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nX-Long: ",
    ],
)
def test_an_answer_that_trickles_has_an_end(monkeypatch: pytest.MonkeyPatch, begin: bytes) -> None:
    monkeypatch.setattr(web, "_WAIT", 0.05)
    told: list[None] = []
    ended = threading.Event()

    def trickle() -> None:
        peer, _ = server.accept()
        with peer:
            peer.recv(1000)
            peer.sendall(begin)
            while not ended.wait(0.05):
                try:
                    peer.sendall(b"x")
                except OSError:
                    return

    with socket.create_server(("127.0.0.1", 0)) as server:
        thread = threading.Thread(target=trickle)
        thread.start()
        try:
            limits = Limits(0.3, waiting=lambda: told.append(None))
            with pytest.raises(WebError, match="not there, or not whole, after 0 s"):
                Api(f"http://127.0.0.1:{server.getsockname()[1]}", WHAT, limits).call("GET", "/")
        finally:
            ended.set()
            thread.join()
    assert len(told) > 1


def test_a_server_that_says_nothing_is_given_up_and_meanwhile_told(echo: Echo, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(web, "_WAIT", 0.05)
    echo.bad["/x"] = "silent"
    told: list[None] = []
    with pytest.raises(WebError, match="not there, or not whole, after 1 s"):
        Api(echo.url, WHAT, Limits(0.6, waiting=lambda: told.append(None))).call("GET", "/x")
    assert len(told) > 1


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def test_a_service_that_comes_up_meanwhile_is_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(web, "_WAIT", 0.01)
    port = free_port()
    servers: list[socket.socket] = []
    tries: list[None] = []

    def waiting() -> None:
        tries.append(None)
        if len(tries) == 3:
            servers.append(socket.create_server(("127.0.0.1", port)))
            threading.Thread(target=serve).start()

    def serve() -> None:
        peer, _ = servers[0].accept()
        with peer:
            peer.recv(1000)
            peer.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}")

    assert Api(f"http://127.0.0.1:{port}", WHAT, Limits(30, 30, waiting)).json("GET", "/") == {}
    servers[0].close()
    assert len(tries) == 3


@pytest.mark.parametrize("patience", [0.0, 0.05])
def test_one_that_does_not_is_told(monkeypatch: pytest.MonkeyPatch, patience: float) -> None:
    monkeypatch.setattr(web, "_WAIT", 0.01)
    with pytest.raises(WebError, match=r"not reachable \(Connection refused\)") as caught:
        Api(f"http://127.0.0.1:{free_port()}", WHAT, Limits(patience=patience)).json("GET", "/")
    assert ("tried for" in caught.value.found) == bool(patience)
    assert "Check the URL" in caught.value.todo


def test_no_such_host() -> None:
    with pytest.raises(WebError, match="not reachable"):
        Api("http://no-such-host.invalid", WHAT).json("GET", "/")


def test_no_tls_there(echo: Echo) -> None:
    with pytest.raises(WebError, match="no secure connection"):
        Api(echo.url.replace("http:", "https:"), WHAT).json("GET", "/")


@pytest.mark.parametrize(
    "url",
    ["", "p22-anno-01:6000", "ftp://h", "http://", "http://h:p", "http://h:0", "http://[::1", "http://å", "http://h/ "],
)
def test_what_is_no_url(url: str) -> None:
    with pytest.raises(WebError, match="is not an HTTP URL"):
        Api(url, WHAT)


@pytest.mark.parametrize("url", ["http://user:S3cret@host", "http://user:S3cret@h:p"])
def test_credentials_in_the_url_are_refused_and_not_shown(url: str) -> None:
    with pytest.raises(WebError, match="holds credentials") as caught:
        Api(url, WHAT)
    assert "S3cret" not in str(caught.value)
