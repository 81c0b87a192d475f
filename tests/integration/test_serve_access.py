"""Who gets in and how: tokens, TLS, Unix sockets, and clients that speak HTTP badly. Real processes throughout."""

from __future__ import annotations

import os
import resource
import shutil
import socket
import ssl
import stat
import subprocess
import time

import httpx
import pytest
from running import await_ready, launch_scorer, start_scorer

from logmeta.elastic.node import free_port


def status(scorer, token):
    header = {"Authorization": f"Bearer {token}"}
    return httpx.get(f"{scorer.url}/v1/detectors", headers=header, timeout=30).status_code


def await_true(claim):
    deadline = time.monotonic() + 20
    while not claim():
        assert time.monotonic() < deadline, "it did not come true within 20 s"
        time.sleep(0.2)


def test_each_token_of_a_file_is_admitted_and_a_changed_file_counts_without_a_restart(tmp_path):
    file = tmp_path / "tokens"
    file.write_text("# the nodes\nold-token\n\n# the operator\nother-token\n")
    scorer = start_scorer(tmp_path, "--token-file", str(file))
    try:
        assert [status(scorer, t) for t in ("old-token", "other-token", "new-token", "#", "# the nodes")] == (
            [200, 200, 401, 401, 401]
        )
        file.write_text("new-token\nother-token\n")
        await_true(lambda: status(scorer, "new-token") == 200)
        assert [status(scorer, t) for t in ("old-token", "other-token")] == [401, 200]
        file.write_text("")
        time.sleep(1.5)
        assert [status(scorer, t) for t in ("new-token", "old-token")] == [200, 401]
        assert "the tokens before stay" in scorer.output
    finally:
        scorer.stop()
    assert not [token for token in ("old-token", "other-token", "new-token") if token in scorer.output]


def test_the_environment_may_hold_several_tokens(tmp_path):
    scorer = start_scorer(tmp_path, token="first second")
    found = [status(scorer, t) for t in ("first", "second", "first second", "third")]
    scorer.stop()
    assert found == [200, 200, 401, 401]


@pytest.mark.parametrize(
    ("content", "told"), [("", "is empty"), ("# nothing\n", "is empty"), ("two words\n", "one secret per line")]
)
def test_a_token_file_without_usable_tokens_is_refused_at_the_start(tmp_path, content, told):
    (tmp_path / "tokens").write_text(content)
    scorer = launch_scorer(tmp_path, "--token-file", str(tmp_path / "tokens"))
    assert scorer.process.wait(60) == 2
    assert told in scorer.output
    assert "two words" not in scorer.output


@pytest.fixture(scope="module")
def pem(tmp_path_factory):
    """A certificate of localhost and its key."""
    if shutil.which("openssl") is None:
        pytest.skip("openssl is not on the PATH")
    folder = tmp_path_factory.mktemp("tls")
    cert, key = folder / "cert.pem", folder / "key.pem"
    make = "openssl req -x509 -newkey rsa:2048 -nodes -days 2 -subj /CN=localhost -addext subjectAltName=DNS:localhost"
    subprocess.run([*make.split(), "-keyout", str(key), "-out", str(cert)], check=True, capture_output=True)
    return cert, key


def test_it_speaks_tls_to_clients_that_trust_its_certificate_and_nothing_else(tmp_path, pem):
    cert, key = pem
    port = free_port()
    scorer = launch_scorer(tmp_path, "--port", str(port), "--tls-cert", str(cert), "--tls-key", str(key))
    with httpx.Client(verify=ssl.create_default_context(cafile=str(cert))) as client:
        await_ready(scorer, lambda: _ok(client, f"https://localhost:{port}/readyz"))
        answer = client.post(f"https://localhost:{port}/v1/score", json={"documents": []})
    with pytest.raises(httpx.HTTPError):
        httpx.get(f"http://localhost:{port}/readyz")
    with pytest.raises(httpx.HTTPError):
        httpx.get(f"https://localhost:{port}/readyz")
    assert scorer.stop() == 0
    assert answer.json() == {"results": []}
    assert f"https://127.0.0.1:{port}" in scorer.output


def _ok(client, url):
    try:
        answer = client.get(url)
    except httpx.HTTPError as error:
        raise OSError(str(error)) from error
    if answer.status_code != 200:
        raise OSError(str(answer.status_code))


@pytest.mark.parametrize("flags", [("--tls-cert", "cert"), ("--tls-key", "key"), ("--tls-cert", "a", "--tls-key", "b")])
def test_half_a_certificate_or_none_at_all_is_refused_at_the_start(tmp_path, flags):
    scorer = launch_scorer(tmp_path, *flags)
    assert scorer.process.wait(60) == 2
    assert "--tls-" in scorer.output or "PEM" in scorer.output


def test_a_unix_socket_is_for_its_group_survives_a_kill_and_goes_with_the_scorer(tmp_path):
    path = tmp_path / "scorer.sock"
    with httpx.Client(transport=httpx.HTTPTransport(uds=str(path)), base_url="http://scorer") as client:
        first = launch_scorer(tmp_path, "--unix-socket", str(path))
        await_ready(first, lambda: _ok(client, "/readyz"))
        assert stat.S_IMODE(path.stat().st_mode) == 0o660
        refused = launch_scorer(tmp_path / "other", "--unix-socket", str(path))
        assert refused.process.wait(60) == 2
        assert "listens on" in refused.output
        assert client.get("/readyz").status_code == 200
        first.process.kill()
        first.process.wait(30)
        assert path.exists()
        second = launch_scorer(tmp_path, "--unix-socket", str(path))
        await_ready(second, lambda: _ok(client, "/readyz"))
        assert client.post("/v1/score", json={"documents": []}).json() == {"results": []}
        assert second.stop() == 0
    assert not path.exists()


def test_a_file_that_is_no_socket_is_left_alone(tmp_path):
    path = tmp_path / "precious"
    path.write_text("data")
    scorer = launch_scorer(tmp_path, "--unix-socket", str(path))
    assert scorer.process.wait(60) == 2
    assert path.read_text() == "data"


@pytest.fixture(scope="module")
def plain(tmp_path_factory):
    """A scorer that waits one second for a request to be complete."""
    scorer = start_scorer(tmp_path_factory.mktemp("plain"), "--read-s", "1")
    yield scorer
    scorer.stop()


def connect(scorer):
    host, _, port = scorer.url.removeprefix("http://").partition(":")
    connected = socket.create_connection((host, int(port)), timeout=20)
    return connected


def until_closed(connected):
    received = b""
    try:
        while chunk := connected.recv(65536):
            received += chunk
    except ConnectionResetError:
        pass
    return received


def test_a_path_nobody_serves_is_404_in_json(plain):
    answer = httpx.get(f"{plain.url}/v2/score")
    assert (answer.status_code, answer.json()["error"]["type"]) == (404, "unknown_path")


def test_a_wrong_method_is_405_in_json_and_names_the_right_one(plain):
    answer = httpx.get(f"{plain.url}/v1/score")
    assert (answer.status_code, answer.json()["error"]["type"], answer.headers["allow"]) == (
        405,
        "wrong_method",
        "POST",
    )


def test_a_connection_is_kept_from_request_to_request(plain):
    head = b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n"
    with connect(plain) as connected:
        for _ in range(3):
            connected.sendall(head)
            received = b""
            while b'{"status":"ok"}' not in received:
                received += connected.recv(65536)
            assert received.startswith(b"HTTP/1.1 200")


@pytest.mark.parametrize(
    "sent",
    [b"GET /healthz HT", b"POST /v1/score HTTP/1.1\r\nHost: x\r\nX-Slow: ", b""],
    ids=["half a line", "half a head", "nothing"],
)
def test_a_client_that_does_not_finish_its_head_is_closed(plain, sent):
    start = time.monotonic()
    with connect(plain) as connected:
        connected.sendall(sent)
        until_closed(connected)
    assert 0.5 < time.monotonic() - start < 10


def test_a_client_that_drips_its_head_gains_no_time(plain):
    start = time.monotonic()
    with connect(plain) as connected, pytest.raises(OSError):
        for byte in b"GET /healthz HTTP/1.1\r\nX-Slow: " + b"x" * 100:
            connected.sendall(bytes([byte]))
            time.sleep(0.1)
    assert time.monotonic() - start < 10


def test_a_body_that_comes_too_slowly_is_408_and_the_connection_is_closed(plain):
    with connect(plain) as connected:
        connected.sendall(b'POST /v1/score HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\n{"documents"')
        received = until_closed(connected)
    assert received.startswith(b"HTTP/1.1 408")
    assert b"body_too_slow" in received


@pytest.mark.parametrize(
    "sent",
    [
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
        b"NONSENSE\r\n\r\n",
        b"POST /v1/score HTTP/1.1\r\nHost: x\r\nContent-Length: -5\r\n\r\n",
        b"POST /v1/score HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
        b"GET /" + b"x" * 200_000 + b" HTTP/1.1\r\n\r\n",
        b"GET /healthz HTTP/1.1\r\nHost: x\r\n" + b"X-Many: y\r\n" * 20_000 + b"\r\n",
        b"GET /v1/detectors/%ff%00%0a HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n",
        os.urandom(4096),
    ],
    ids=["tls", "nonsense", "length", "chunks", "long path", "many headers", "odd path", "noise"],
)
def test_what_is_no_http_is_refused_and_the_scorer_goes_on(plain, sent):
    with connect(plain) as connected:
        try:
            connected.sendall(sent)
            received = until_closed(connected)
        except OSError:
            received = b""
    assert received[:13] in (b"", b"HTTP/1.1 400 ", b"HTTP/1.1 404 ", b"HTTP/1.1 431 ")
    assert httpx.get(f"{plain.url}/readyz").status_code == 200


def test_a_client_that_leaves_in_the_middle_of_its_body_costs_nothing(plain):
    for _ in range(20):
        with connect(plain) as connected:
            connected.sendall(b'POST /v1/score HTTP/1.1\r\nHost: x\r\nContent-Length: 1000\r\n\r\n{"docu')
    await_true(lambda: "client_gone" in httpx.get(f"{plain.url}/metrics").text)
    assert httpx.post(f"{plain.url}/v1/score", json={"documents": []}).status_code == 200
    assert "Traceback" not in plain.output and "stack_trace" not in plain.output


def test_beyond_a_thousand_connections_further_ones_are_closed_until_others_go(tmp_path):
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    scorer = start_scorer(tmp_path)
    opened = [connect(scorer) for _ in range(1_010)]
    try:
        assert until_closed(opened[-1]) == b""
        opened[0].sendall(b"GET /metrics HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
        told = until_closed(opened[0]).decode()
        assert 'logmeta_rejected_requests_total{reason="too_many_connections"} 10.0' in told
        assert "\nlogmeta_connections 1000.0\n" in told
    finally:
        for connected in opened:
            connected.close()
    await_true(lambda: httpx.get(f"{scorer.url}/readyz").status_code == 200)
    scorer.stop()
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
