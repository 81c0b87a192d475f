"""The client of `POST /v1/score`: lines in order, one verdict per line, and failures in the plugin's words."""

from __future__ import annotations

import re
import ssl
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import httpx
import orjson

from logmeta.config import SCORER_URL
from logmeta.elastic.documents import Explain, Line, SkipReason, skipped
from logmeta.elastic.verdicts import Verdict, checked
from logmeta.errors import BackendError, UsageError
from logmeta.records import JsonValue

MAX_ANSWER_BYTES = 64 * 2**20
MAX_REQUEST_BYTES = 16 * 2**20  # half of what a scorer takes
MAX_LINE_BYTES = 2**20
SHOWN_CHARACTERS = 200
STATUSES = ("scored", "learning", "late", "skipped")
PASSING = (SkipReason.UNAVAILABLE, SkipReason.OVERLOADED, SkipReason.DEADLINE)
_SECONDS = re.compile(r"\d{1,6}(\.\d{1,3})?")


class ScoringError(BackendError):
    """A request brought no usable answer for any of its lines."""

    def __init__(self, reason: SkipReason, message: str, *, retry_after_s: float | None = None) -> None:
        super().__init__(message)
        self.reason, self.retry_after_s = reason, retry_after_s
        self.transient = reason in PASSING


@dataclass(frozen=True, slots=True)
class ScorerAddress:
    """Where the scorer is. The token never shows in its repr."""

    url: str = SCORER_URL
    token: str | None = field(default=None, repr=False)
    ca: Path | None = None


class Scorer:
    """One scorer; a request at a time keeps the order of the lines."""

    def __init__(self, address: ScorerAddress, *, explain: Explain = "alarms") -> None:
        """Nothing is sent yet. Raises UsageError when URL or CA file cannot be used."""
        if httpx.URL(address.url).scheme not in ("http", "https"):
            raise UsageError(f"the scorer's URL must look like {SCORER_URL}, got {address.url!r}; correct --scorer-url")
        headers = {"Authorization": f"Bearer {address.token}"} if address.token else {}
        self._client = httpx.Client(headers=headers, verify=trust(address.ca), trust_env=False)
        self._url = address.url.rstrip("/") + "/v1/score"
        self._explain = explain

    def close(self) -> None:
        self._client.close()

    def score(self, lines: Sequence[Line], *, within_s: float) -> list[Verdict]:
        """A verdict per line. Raises ScoringError when there is none for the whole request."""
        if not lines:
            return []
        body = orjson.dumps({"documents": lines, "explain": self._explain})
        deadline = time.monotonic() + within_s
        try:
            status, headers, answer = self._post_twice(body, deadline)
        except httpx.TimeoutException as error:
            raise self._late() from error
        except httpx.HTTPError as error:
            raise self._silent(error) from error
        if status != 200:
            raise self._refused(status, headers, answer)
        return verdicts(answer, len(lines))

    def _post_twice(self, body: bytes, deadline: float) -> tuple[int, httpx.Headers, bytes]:
        """A connection the scorer closed while it lay idle shows only when it is used: then once more."""
        try:
            return self._post(body, deadline)
        except (httpx.RemoteProtocolError, httpx.ReadError, httpx.WriteError):
            return self._post(body, deadline)

    def _post(self, body: bytes, deadline: float) -> tuple[int, httpx.Headers, bytes]:
        left = max(0.001, deadline - time.monotonic())
        with self._client.stream("POST", self._url, content=body, headers=_JSON, timeout=left) as response:
            return response.status_code, response.headers, self._read(response, deadline)

    def _read(self, response: httpx.Response, deadline: float) -> bytes:
        """The body, of bounded size and in time: a scorer gone wrong holds nobody up."""
        body = bytearray()
        for chunk in response.iter_bytes():
            body += chunk
            if len(body) > MAX_ANSWER_BYTES:
                raise ScoringError(SkipReason.BAD_RESPONSE, f"{self._url} answered more than {MAX_ANSWER_BYTES} bytes")
            if time.monotonic() > deadline:
                raise self._late()
        return bytes(body)

    def _late(self) -> ScoringError:
        return ScoringError(SkipReason.DEADLINE, f"{self._url} gave no answer in time; see to its load")

    def _silent(self, error: Exception) -> ScoringError:
        way_out = "start it with logmeta serve, or correct --scorer-url"
        return ScoringError(SkipReason.UNAVAILABLE, f"no scorer answers at {self._url}: {error}; {way_out}")

    def _refused(self, status: int, headers: httpx.Headers, body: bytes) -> ScoringError:
        message = f"{self._url} answered {status}, needed 200: {body[:SHOWN_CHARACTERS].decode(errors='replace')}"
        if status in (401, 403):
            return ScoringError(SkipReason.UNAUTHORIZED, f"{message}; give the scorer's token with --token-file")
        if status == 413:
            return ScoringError(SkipReason.TOO_LARGE, message)
        if status in (429, 503):
            return ScoringError(SkipReason.OVERLOADED, message, retry_after_s=_retry_after_s(headers))
        reason = SkipReason.UNAVAILABLE if status >= 500 else SkipReason.BAD_RESPONSE
        return ScoringError(reason, f"{message}; correct --scorer-url")


_JSON = {"Content-Type": "application/json", "Accept": "application/json"}


def verdicts(answer: bytes, lines: int) -> list[Verdict]:
    """What the scorer says of each line. Raises ScoringError when it is not one result per line."""
    try:
        parsed = orjson.loads(answer)
    except orjson.JSONDecodeError as error:
        raise ScoringError(SkipReason.BAD_RESPONSE, f"the scorer's answer is not JSON: {error}") from error
    results = parsed.get("results") if isinstance(parsed, dict) else None
    if not isinstance(results, list):
        raise ScoringError(
            SkipReason.BAD_RESPONSE, "the answer has no list 'results'; is --scorer-url a logmeta scorer?"
        )
    if len(results) != lines:
        found = f"the scorer sent {len(results)} results, needed one for each of {lines} lines"
        raise ScoringError(SkipReason.BAD_RESPONSE, found)
    return [_verdict(result) for result in results]


def _verdict(result: JsonValue) -> Verdict:
    if not isinstance(result, dict):
        return skipped(SkipReason.BAD_RESPONSE)
    error = result.get("error")
    if isinstance(error, dict):
        known = [reason for reason in SkipReason if reason == error.get("type")]
        return skipped(known[0] if known else SkipReason.BAD_RESPONSE)
    try:
        found = checked(result)
    except ValueError:
        return skipped(SkipReason.BAD_RESPONSE)
    return found if found.get("status") in STATUSES else skipped(SkipReason.BAD_RESPONSE)


def _retry_after_s(headers: httpx.Headers) -> float | None:
    """Seconds only; the date form is not ours to expect from a scorer."""
    asked = headers.get("retry-after", "")
    return max(0.01, float(asked)) if _SECONDS.fullmatch(asked) else None


def trust(ca: Path | None) -> ssl.SSLContext | bool:
    """What a client of a scorer checks its certificate with. Raises UsageError when the file cannot be used."""
    if ca is None:
        return True
    try:
        return ssl.create_default_context(cafile=str(ca))
    except (OSError, ssl.SSLError) as error:
        raise UsageError(f"cannot use the CA file {ca}: {error}; give the PEM file of the scorer's CA") from error
