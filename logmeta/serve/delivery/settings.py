"""Where alerts go, and every bound on the way there."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Final
from urllib.parse import SplitResult, quote, urlsplit

from logmeta.elastic.secrets import read_secret
from logmeta.errors import UsageError
from logmeta.serve.delivery.template import Template

ACTION: Final = {"event.action": "webhook"}  # beside every line of the log about it
TOKEN_ENV: Final = "LOGMETA_SERVE__WEBHOOK_TOKEN"
TOKEN_IN_URL: Final = "${token}"


@dataclass(frozen=True, slots=True)
class WebhookSettings:
    """One webhook. The address may be a secret itself, so neither it nor the token shows in a repr.

    `bearer`: the token goes into the Authorization header, since neither address nor template holds it.
    `repeat_s`: for so long messages of one source that are alike are counted, not sent. `leave_s`: time at the end.
    """

    url: str = field(repr=False)
    template: Template = field(repr=False)
    token: str | None = field(default=None, repr=False)
    bearer: bool = True
    ca: Path | None = None
    min_severity: str = "warning"
    per_minute: int = 30
    repeat_s: float = 600.0
    drift: bool = True
    console: str | None = None
    timeout_s: float = 10.0
    first_wait_s: float = 1.0
    longest_wait_s: float = 60.0
    leave_s: float = 5.0
    max_waiting: int = 1_000
    max_alike: int = 1_000
    max_told: int = 10_000

    @property
    def place(self) -> str:
        """Where it is, in words that may be logged: the path of an address is often a secret."""
        parts = urlsplit(self.url)
        return f"{parts.scheme}://{parts.netloc}"


def webhook_settings(
    url: str | None,
    *,
    template: str,
    token_file: Path | None,
    ca: Path | None,
    min_severity: str,
    per_minute: int,
    repeat_s: float,
    drift: bool,
    console: str | None,
) -> WebhookSettings | None:
    """The webhook that the options of `logmeta serve` name; None without an address.

    Raises:
        UsageError: an option that cannot be used as given.
    """
    if url is None:
        return None
    _check(url, "--webhook-url")
    if ca is not None and not ca.is_file():
        raise UsageError(f"the CA file {ca} is not there; give the PEM file of the webhook's CA with --webhook-ca")
    found, token = Template.load(template), read_secret(token_file, TOKEN_ENV)
    if token is None and (found.holds_token or TOKEN_IN_URL in url):
        raise UsageError(f"${{token}} needs a secret; give it with --webhook-token-file or {TOKEN_ENV}")
    return WebhookSettings(
        url=url.replace(TOKEN_IN_URL, quote(token or "", safe="/")),
        template=found,
        token=token,
        bearer=not (found.holds_token or TOKEN_IN_URL in url),
        ca=ca,
        min_severity=min_severity,
        per_minute=per_minute,
        repeat_s=repeat_s,
        drift=drift,
        console=_console(console),
    )


def _console(url: str | None) -> str | None:
    if url is None:
        return None
    _check(url, "--console-url")
    return url.rstrip("/")


def _check(url: str, option: str) -> None:
    """Raises UsageError for what is no http(s) address, without repeating it: it may hold a secret."""
    parts = _parts(url, option)
    if parts.scheme not in ("http", "https") or not parts.hostname or TOKEN_IN_URL in parts.netloc:
        raise UsageError(f"an address must look like https://host/path, got scheme {parts.scheme!r}; correct {option}")
    if parts.username or parts.password:
        raise UsageError(f"the address holds a user or password; take them out of {option}, see --webhook-token-file")


def _parts(url: str, option: str) -> SplitResult:
    try:
        parts = urlsplit(url)
        _ = parts.port  # raises for what is no number up to 65535
    except ValueError as error:
        raise UsageError(f"the address cannot be read; write https://host:port/path for {option}") from error
    return parts
