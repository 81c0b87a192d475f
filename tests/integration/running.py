"""Servers of the integration tests: the real scorer as a process, and stand-ins for scorers that misbehave."""

from __future__ import annotations

import contextlib
import json
import os
import socket
import subprocess
import sys
import threading
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import uvicorn

from logmeta.elastic.client import Address
from logmeta.elastic.documents import ProcessorOptions
from logmeta.elastic.node import free_port
from logmeta.elastic.proxy.app import ProxySettings, create_app
from logmeta.elastic.scorer import Scorer, ScorerAddress

READY_S = 180.0
STOP_S = 30.0


@dataclass
class RunningScorer:
    """`logmeta serve` in a process of its own."""

    url: str
    folder: Path
    process: subprocess.Popen[bytes]
    token: str | None = None

    @property
    def output(self) -> str:
        return (self.folder / "serve.log").read_text(errors="replace")

    def stop(self) -> int:
        self.process.terminate()
        try:
            return self.process.wait(STOP_S)
        except subprocess.TimeoutExpired:
            self.process.kill()
            return self.process.wait(STOP_S)


def start_scorer(folder: Path, *flags: str, token: str | None = None, port: int | None = None) -> RunningScorer:
    """A ready scorer whose detectors and output are kept in the folder."""
    port = port or free_port()
    scorer = launch_scorer(folder, "--port", str(port), *flags, token=token, url=f"http://127.0.0.1:{port}")
    await_ready(scorer, lambda: urllib.request.urlopen(f"{scorer.url}/readyz", timeout=5).close())
    return scorer


def launch_scorer(folder: Path, *flags: str, token: str | None = None, url: str = "") -> RunningScorer:
    """A scorer that has just been started, wherever its flags say it listens."""
    environment = {**os.environ, **({"LOGMETA_SERVE__TOKEN": token} if token else {})}
    folder.mkdir(parents=True, exist_ok=True)
    command = [sys.executable, "-m", "logmeta.cli", "serve", "--detectors", str(folder / "detectors"), *flags]
    with (folder / "serve.log").open("ab") as log:
        process = subprocess.Popen(command, env=environment, stdout=log, stderr=subprocess.STDOUT)
    return RunningScorer(url, folder, process, token)


def await_ready(scorer: RunningScorer, ask: Callable[[], object]) -> None:
    """Wait until asking raises no error any more; a scorer that does not get there is ended."""
    try:
        _await_ready(scorer, ask)
    except AssertionError:
        scorer.stop()
        raise


def _await_ready(scorer: RunningScorer, ask: Callable[[], object]) -> None:
    deadline = time.monotonic() + READY_S
    while time.monotonic() < deadline:
        assert scorer.process.poll() is None, f"the scorer ended while starting:\n{scorer.output}"
        try:
            ask()
            return
        except OSError:  # what urllib raises is one, too
            time.sleep(0.2)
    raise AssertionError(f"the scorer was not ready within {READY_S} s:\n{scorer.output}")


def await_that(holds: Callable[[], bool], within_s: float = 60.0, told: Callable[[], str] = lambda: "") -> None:
    """Wait until it holds."""
    deadline = time.monotonic() + within_s
    while not holds():
        assert time.monotonic() < deadline, f"not within {within_s} s: {told()}"
        time.sleep(0.05)


Answer = Callable[[dict], "tuple[int, dict | bytes]"]


@contextmanager
def stand_in(answer: Answer, port: int = 0, *, retry_after: str | None = None) -> Iterator[str]:
    """A scorer that answers as it is told, as (status, body) per request (bytes as they are); yields its URL."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self):
            request = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            request["authorization"] = self.headers["Authorization"]
            status, body = answer(request)
            payload = body if isinstance(body, bytes) else json.dumps(body).encode()
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(payload)))
            if retry_after is not None and status != 200:
                self.send_header("Retry-After", retry_after)
            self.end_headers()
            self.wfile.write(payload)

        def log_message(self, *args):
            return

    class Server(ThreadingHTTPServer):
        daemon_threads = True

        def handle_error(self, request, client_address):
            return  # a client that gave up waiting is what some tests are about

    server = Server(("127.0.0.1", port), Handler)
    thread = threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


class Relay:
    """Forwards TCP connections to a server; while it is cut, nothing answers at its address."""

    def __init__(self, port: int):
        self._target, self._cut = port, threading.Event()
        self._listening = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self._listening.getsockname()[1]}"
        threading.Thread(target=self._serve, daemon=True).start()

    def cut(self):
        self._cut.set()

    def mend(self):
        self._cut.clear()

    def close(self):
        self._listening.close()

    def _serve(self):
        with contextlib.suppress(OSError):
            while True:
                client, _ = self._listening.accept()
                server = socket.create_connection(("127.0.0.1", self._target))
                for pair in ((client, server), (server, client)):
                    threading.Thread(target=self._pump, args=pair, daemon=True).start()

    def _pump(self, come, go):
        with come, go, contextlib.suppress(OSError):
            while not self._cut.is_set() and (data := come.recv(65536)):
                if self._cut.is_set():
                    return
                go.sendall(data)


@contextmanager
def running_proxy(elasticsearch: str, scorer: str, **settings) -> Iterator[str]:
    """The proxy on a free port, in a thread of this process; yields its URL. Settings are ProxySettings'."""
    port, said = free_port(), []
    asked = Scorer(ScorerAddress(scorer))
    bounds = ProxySettings(Address.parse(elasticsearch), **settings)
    app = create_app(bounds, ProcessorOptions(), asked, say=said.append)
    server = uvicorn.Server(uvicorn.Config(app, port=port, log_level="error", server_header=False, date_header=False))
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    while not server.started:
        assert thread.is_alive(), "the proxy ended while starting"
        time.sleep(0.01)
    try:
        yield f"http://127.0.0.1:{port}"
    finally:
        server.should_exit = True
        thread.join(STOP_S)
        asked.close()
