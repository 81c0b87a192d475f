"""A webhook as a server of its own: keeps what it is sent, answers as it is told."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from running import await_that

Plan = Callable[[dict], "int | tuple[int, Mapping[str, str]]"]


@dataclass
class Receiver:
    """`taken` are the bodies answered with 2xx, `tried` all of them; `plan` says the status for a body."""

    plan: Plan = lambda body: 200
    port: int = 0
    taken: list[dict] = field(default_factory=list)
    tried: list[dict] = field(default_factory=list)
    headers: list[dict[str, str]] = field(default_factory=list)
    paths: list[str] = field(default_factory=list)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/hook"

    def await_taken(self, count: int, within_s: float = 60.0) -> list[dict]:
        """What was taken, once it is so many."""
        await_that(lambda: len(self.taken) >= count, within_s, lambda: f"{len(self.taken)} of {count}: {self.tried}")
        return self.taken

    @contextmanager
    def serving(self) -> Iterator[Receiver]:
        """Listen for as long as the block runs; on the same port again when it served before."""
        server = ThreadingHTTPServer(("127.0.0.1", self.port), _handler(self))
        server.daemon_threads = True
        self.port = server.server_address[1]
        thread = threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True)
        thread.start()
        try:
            yield self
        finally:
            server.shutdown()
            server.server_close()
            thread.join()


def _handler(receiver: Receiver) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        def do_POST(self):
            body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            receiver.tried.append(body)
            receiver.headers.append(dict(self.headers))
            receiver.paths.append(self.path)
            planned = receiver.plan(body)
            status, more = planned if isinstance(planned, tuple) else (planned, {})
            if 200 <= status < 300:
                receiver.taken.append(body)
            self.send_response(status)
            for name, value in more.items():
                self.send_header(name, value)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *args):
            return

        def handle(self):
            try:
                super().handle()
            except ConnectionError:
                return  # a sender that gave up waiting is what some tests are about

    return Handler
