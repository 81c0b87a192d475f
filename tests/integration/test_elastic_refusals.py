"""What the commands say when Elasticsearch is down, foreign, too old, or refuses. Needs no Elasticsearch."""

from __future__ import annotations

import json
import subprocess
import sys
import threading
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from logmeta.elastic.node import free_port

PRODUCT = {"X-Elastic-Product": "Elasticsearch"}


@contextmanager
def server(status, body, headers):
    """Something on a port that gives every request the same answer; yields its URL."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self):
            payload = json.dumps(body).encode()
            self.send_response(status)
            for name, value in {"Content-Type": "application/json", **headers}.items():
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(payload)))
            self.end_headers()
            self.wfile.write(payload)

        do_HEAD = do_PUT = do_POST = do_GET  # noqa: N815 - the names http.server calls

        def log_message(self, *args):
            return

    running = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=running.serve_forever, args=(0.05,), daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{running.server_address[1]}"
    finally:
        running.shutdown()
        running.server_close()
        thread.join()


def elastic(*arguments, env=None):
    return subprocess.run(
        [sys.executable, "-m", "logmeta.cli", "elastic", *arguments],
        capture_output=True, text=True, timeout=120, check=False, env=env,
    )  # fmt: skip


def words(done, exit_code):
    assert done.returncode == exit_code, done.stdout + done.stderr
    assert "Traceback" not in done.stderr
    assert done.stdout == ""
    return done.stderr


INFO = {"version": {"number": "7.17.0"}}
TOO_NEW = {"error": {"type": "media_type_header_exception", "reason": "Accept version must be either 7 or 6"}}


@pytest.mark.parametrize("command", ["setup", "doctor"])
def test_elasticsearch_down_is_exit_code_5(command):
    said = words(elastic(command, "--url", f"http://127.0.0.1:{free_port()}"), 5)
    assert "no Elasticsearch answers" in said and "--url" in said


@pytest.mark.parametrize(
    ("status", "body", "headers", "expected"),
    [
        (200, INFO, PRODUCT, "7.17.0"),
        (400, TOO_NEW, PRODUCT, "8.19"),
        (401, {}, PRODUCT, "401"),
        (403, {"error": {"type": "security_exception", "reason": "not you"}}, PRODUCT, "not you"),
        (200, INFO, {}, "not Elasticsearch"),
        (404, {}, {}, "not Elasticsearch"),
        (500, {"error": "broken"}, PRODUCT, "500"),
    ],
    ids=["old", "older protocol", "401", "403", "foreign", "foreign 404", "500"],
)
def test_a_refusal_is_exit_code_5_and_says_why(status, body, headers, expected):
    with server(status, body, headers) as url:
        assert expected in words(elastic("setup", "--url", url), 5)


def test_secrets_never_show(tmp_path):
    key = tmp_path / "key"
    key.write_text("s3cr3t-key")
    with server(401, {}, PRODUCT) as url:
        said = words(elastic("setup", "--url", url.replace("//", "//me:pa55word@"), "--api-key-file", str(key)), 5)
    assert "s3cr3t-key" not in said and "pa55word" not in said


@pytest.mark.parametrize("url", ["ftp://host", "http://", "http://host:notaport"])
def test_a_url_that_is_none_is_a_usage_error(url):
    assert "URL" in words(elastic("setup", "--url", url), 2)


def test_annotate_wants_exactly_one_target(tmp_path):
    said = words(elastic("annotate", "-", "--detector", str(tmp_path)), 2)
    assert "--url" in said and "--out" in said
