"""A real Elasticsearch on this machine, for tests and the demo: fetched once, started, stopped, cleaned up."""

from __future__ import annotations

import base64
import contextlib
import hashlib
import os
import secrets
import shutil
import signal
import socket
import subprocess
import tempfile
import time
import urllib.error
import urllib.request
import zipfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import TypedDict

from logmeta.elastic.jdk import find_jdk, maven
from logmeta.errors import BackendError

VERSION = "9.5.3"
COORDINATES = "org.elasticsearch.distribution.integ-test-zip:elasticsearch:{version}:zip"
DEPENDENCY_PLUGIN = "org.apache.maven.plugins:maven-dependency-plugin:3.8.1:copy"
START_TIMEOUT_S = 120.0
STOP_TIMEOUT_S = 30.0
ROUNDS = 10_000
QUICK_JVM = "-XX:TieredStopAtLevel=1 -XX:+UseSerialGC"
UNPRIVILEGED = "nobody"


def cache_folder() -> Path:
    """Where downloads are kept: LOGMETA_CACHE, else ~/.cache/logmeta."""
    return Path(os.environ.get("LOGMETA_CACHE") or Path.home() / ".cache" / "logmeta")


def fetch(version: str = VERSION) -> Path:
    """The zip of the minimal distribution, downloaded through Maven the first time. Raises BackendError."""
    target = cache_folder() / f"elasticsearch-{version}.zip"
    if not target.is_file():
        target.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=target.parent) as scratch:
            artifact = COORDINATES.format(version=version)
            maven([DEPENDENCY_PLUGIN, f"-Dartifact={artifact}", f"-DoutputDirectory={scratch}"], folder=target.parent)
            _only_zip(Path(scratch)).replace(target)
    return target


def free_port() -> int:
    """A port nobody listens on at this moment."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


@dataclass(frozen=True, slots=True)
class FileRealm:
    """Security with users kept in files: `users` maps a name to (password, roles), `roles` is the text of roles.yml."""

    users: Mapping[str, tuple[str, Sequence[str]]]
    roles: str = ""

    def write(self, config: Path) -> None:
        """The realm's files, as `elasticsearch-users` would write them (which takes a JVM per user)."""
        roles: dict[str, list[str]] = {}
        for user, (_, names) in self.users.items():
            for name in names:
                roles.setdefault(name, []).append(user)
        hashes = {user: _hashed(password) for user, (password, _) in self.users.items()}
        _write_lines(config / "users", [f"{user}:{hashed}" for user, hashed in hashes.items()])
        _write_lines(config / "users_roles", [f"{role}:{','.join(users)}" for role, users in roles.items()])
        (config / "roles.yml").write_text(self.roles, encoding="utf-8")


@dataclass(slots=True)
class LocalNode:
    """One node on loopback in a folder of its own. Use it as a context manager."""

    plugins: Sequence[Path] = ()
    settings: Mapping[str, str] = field(default_factory=dict)
    keystore: Mapping[str, str] = field(default_factory=dict)
    security: FileRealm | None = None
    heap_mb: int = 512
    version: str = VERSION
    port: int = field(default_factory=free_port)
    _folder: Path | None = None
    _process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def home(self) -> Path:
        if self._folder is None:
            raise AssertionError("the node's folder exists while it runs only")
        return self._folder / f"elasticsearch-{self.version}"

    def __enter__(self) -> LocalNode:
        try:
            self.start()
        except BaseException:
            self.stop()
            raise
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.stop()

    def start(self) -> None:
        """Unpack, install, start, wait until it answers. Raises BackendError with the log's end when it does not."""
        archive = fetch(self.version)
        self._folder = Path(tempfile.mkdtemp(prefix="logmeta-node-"))
        self._folder.chmod(0o755)
        with zipfile.ZipFile(archive) as packed:
            packed.extractall(self._folder)
        for script in (self.home / "bin").iterdir():
            script.chmod(0o755)
        (self.home.parent / "tmp").mkdir()
        self._configure()
        self._give_away()
        if self.plugins:
            copies = [self._reachable(plugin).as_uri() for plugin in self.plugins]
            self.run_tool("elasticsearch-plugin", "install", "--batch", *copies)
        if self.keystore:
            values = "".join(f"{secret}\n" for secret in self.keystore.values())
            self.run_tool("elasticsearch-keystore", "add", "--stdin", "--force", *self.keystore, stdin=values)
        self._launch()
        self._await()

    def stop(self) -> None:
        """End the process and remove its folder; harmless when it never started."""
        self.halt()
        if self._folder is not None:
            shutil.rmtree(self._folder, ignore_errors=True)
            self._folder = None

    def restart(self) -> None:
        """End the process and start it again in the same folder. Raises BackendError when it does not come back."""
        self.halt()
        self._launch()
        self._await()

    def halt(self) -> None:
        """End the process; its folder stays for `restart`."""
        if self._process is not None and self._process.poll() is None:
            self._end(self._process)
        self._process = None

    def log_tail(self, lines: int = 30) -> str:
        """The end of what the node wrote."""
        path = self.home.parent / "console.log"
        text = path.read_text(encoding="utf-8", errors="replace") if path.is_file() else "(no log)"
        return "\n".join(text.splitlines()[-lines:])

    def _configure(self) -> None:
        settings = {
            "cluster.name": "logmeta-local",
            "node.name": "logmeta-local-0",
            "discovery.type": "single-node",
            "network.host": "127.0.0.1",
            "http.port": str(self.port),
            "transport.port": str(free_port()),
            "cluster.routing.allocation.disk.threshold_enabled": "false",
            "xpack.security.enabled": "true" if self.security else "false",
            **self.settings,
        }
        text = "".join(f"{name}: {value}\n" for name, value in settings.items())
        (self.home / "config" / "elasticsearch.yml").write_text(text, encoding="utf-8")
        options = self.home / "config" / "jvm.options.d" / "heap.options"
        options.parent.mkdir(exist_ok=True)
        options.parent.chmod(0o755)
        options.write_text(f"-Xms{self.heap_mb}m\n-Xmx{self.heap_mb}m\n", encoding="utf-8")
        if self.security is not None:
            self.security.write(self.home / "config")

    def _launch(self) -> None:
        with (self.home.parent / "console.log").open("wb") as log:
            self._process = subprocess.Popen(
                [str(self.home / "bin" / "elasticsearch")],
                cwd=self.home,
                env=self._environment(),
                stdout=log,
                stderr=subprocess.STDOUT,
                stdin=subprocess.DEVNULL,
                start_new_session=True,
                **_as_user(),
            )

    def _await(self) -> None:
        deadline = time.monotonic() + START_TIMEOUT_S
        while time.monotonic() < deadline:
            if self._process is None or self._process.poll() is not None:
                raise BackendError(
                    f"Elasticsearch {self.version} ended while starting; the end of its log:\n{self.log_tail()}"
                )
            if _answers(self.url):
                return
            time.sleep(0.3)
        raise BackendError(
            f"Elasticsearch {self.version} did not answer at {self.url} within {START_TIMEOUT_S:.0f} s; "
            f"the end of its log:\n{self.log_tail()}"
        )

    def _end(self, process: subprocess.Popen[bytes]) -> None:
        """The launcher passes SIGTERM on to the server; its group (a session of its own) is killed if that fails."""
        process.terminate()
        try:
            process.wait(STOP_TIMEOUT_S)
        except subprocess.TimeoutExpired:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait(STOP_TIMEOUT_S)

    def run_tool(self, name: str, *arguments: str, stdin: str | None = None) -> None:
        """Run one of the node's own command line tools. Raises BackendError with what it said when it fails."""
        done = subprocess.run(
            [str(self.home / "bin" / name), *arguments],
            cwd=self.home,
            env=self._environment(),
            input=stdin,
            capture_output=True,
            text=True,
            **_as_user(),
            check=False,
        )
        if done.returncode:
            output = (done.stdout + done.stderr).strip()[-2000:]
            raise BackendError(f"{name} {arguments[0]} failed in the local Elasticsearch:\n{output}")

    def _environment(self) -> dict[str, str]:
        kept = {name: value for name, value in os.environ.items() if name in ("PATH", "LANG", "LC_ALL", "TZ")}
        folder = self.home.parent
        ours = {"HOME": str(folder), "ES_TMPDIR": str(folder / "tmp"), "CLI_JAVA_OPTS": QUICK_JVM}
        return {**kept, **ours, "ES_JAVA_HOME": str(find_jdk())}

    def _reachable(self, plugin: Path) -> Path:
        """A copy in the node's folder, which the unprivileged user can read."""
        copy = self.home.parent / plugin.name
        shutil.copyfile(plugin, copy)
        copy.chmod(0o644)
        return copy

    def _give_away(self) -> None:
        """Elasticsearch refuses to run as root: its folder goes to an unprivileged user."""
        ids = _unprivileged()
        for path in (self.home.parent, *self.home.parent.rglob("*")) if ids else ():
            os.chown(path, *ids)


def _hashed(password: str) -> str:
    """Elasticsearch's PBKDF2 form of a password."""
    salt = secrets.token_bytes(32)
    key = hashlib.pbkdf2_hmac("sha512", password.encode(), salt, ROUNDS, dklen=32)
    return f"{{PBKDF2}}{ROUNDS}${base64.b64encode(salt).decode()}${base64.b64encode(key).decode()}"


def _write_lines(path: Path, lines: Sequence[str]) -> None:
    path.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")


class _User(TypedDict, total=False):
    """What `subprocess` needs to run as someone else."""

    user: int
    group: int
    extra_groups: list[int]


def _as_user() -> _User:
    ids = _unprivileged()
    return {"user": ids[0], "group": ids[1], "extra_groups": []} if ids else {}


def _unprivileged() -> tuple[int, int] | tuple[()]:
    """User and group to run as when we are root; empty otherwise."""
    if not hasattr(os, "geteuid") or os.geteuid() != 0:
        return ()
    import pwd  # not on every platform

    entry = pwd.getpwnam(UNPRIVILEGED)
    return entry.pw_uid, entry.pw_gid


def _answers(url: str) -> bool:
    try:
        urllib.request.urlopen(f"{url}/_cluster/health?wait_for_status=yellow&timeout=1s", timeout=3).close()
    except urllib.error.HTTPError as error:
        return error.code in (401, 403)  # security is on, so it answers
    except OSError:
        return False
    return True


def _only_zip(folder: Path) -> Path:
    found = list(folder.glob("*.zip"))
    if len(found) != 1:
        raise BackendError(f"Maven fetched {len(found)} zips of Elasticsearch, needed 1; remove {folder} and try again")
    return found[0]
