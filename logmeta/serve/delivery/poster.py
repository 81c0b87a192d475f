"""One try to send a message, and what came of it."""

from __future__ import annotations

import ssl
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Final, Literal

import httpx

from logmeta.errors import UsageError
from logmeta.serve.delivery.notice import Notice
from logmeta.serve.delivery.settings import WebhookSettings

PASSING: Final = (408, 429)  # of the 4xx
LONGEST_PAUSE_S: Final = 3_600.0
Outcome = Literal["delivered", "refused", "failed"]


@dataclass(frozen=True, slots=True)
class Answer:
    """`failed` may work later, `refused` will not. `why` may be logged, `pause_s` is what the receiver asked for."""

    outcome: Outcome
    why: str = ""
    pause_s: float = 0.0


class Poster:
    """Sends to one address. Redirects are not followed, and of an answer only its head is read."""

    def __init__(self, settings: WebhookSettings) -> None:
        """Raises UsageError when the CA file holds no certificate."""
        headers = {"Content-Type": "application/json", "User-Agent": "logmeta"}
        if settings.token and settings.bearer:
            headers["Authorization"] = f"Bearer {settings.token}"
        self._settings = settings
        self._client = httpx.Client(
            headers=headers, verify=_trust(settings), timeout=settings.timeout_s, follow_redirects=False
        )

    def close(self) -> None:
        self._client.close()

    def post(self, notice: Notice) -> Answer:
        """Send one message. Nothing is raised, and no word of the answer's body or of the address is told."""
        body = self._settings.template.fill(notice.fields(), token=self._settings.token)
        try:
            with self._client.stream("POST", self._settings.url, content=body) as response:
                return _answer(response)
        except httpx.TimeoutException:
            return Answer("failed", f"no answer within {self._settings.timeout_s:g} s")
        except (httpx.HTTPError, httpx.InvalidURL, OSError) as error:
            return Answer("failed", f"no connection ({type(error).__name__})")


def _answer(response: httpx.Response) -> Answer:
    status = response.status_code
    if response.is_success:
        return Answer("delivered")
    if status >= 500 or status in PASSING:
        return Answer("failed", f"it answered {status}", _pause_s(response.headers.get("Retry-After", "")))
    hint = {401: ", see --webhook-token-file", 403: ", see --webhook-token-file"}.get(status, "")
    return Answer("refused", f"it answered {status}{hint}{', redirects are not followed' * response.is_redirect}")


def _pause_s(given: str) -> float:
    """The seconds of a Retry-After, which may be a date; 0 for one that cannot be read."""
    try:
        seconds = float(given) if given.isascii() and given.isdigit() else _until(given)
    except (ValueError, TypeError, OverflowError):
        return 0.0
    return min(max(0.0, seconds), LONGEST_PAUSE_S)


def _until(date: str) -> float:
    when = parsedate_to_datetime(date)
    return (when if when.tzinfo else when.replace(tzinfo=UTC)).timestamp() - datetime.now(UTC).timestamp()


def _trust(settings: WebhookSettings) -> ssl.SSLContext | bool:
    if settings.ca is None:
        return True
    try:
        return ssl.create_default_context(cafile=str(settings.ca))
    except (OSError, ssl.SSLError) as error:
        raise UsageError(f"the CA file {settings.ca} holds no certificate; correct --webhook-ca") from error
