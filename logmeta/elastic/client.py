"""A client of your Elasticsearch, and its failures in words a person can act on."""

from __future__ import annotations

import contextlib
import warnings
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import unquote, urlsplit

import elastic_transport
from elastic_transport.client_utils import DEFAULT
from elasticsearch import (
    ApiError,
    AuthenticationException,
    AuthorizationException,
    Elasticsearch,
    UnsupportedProductError,
)

from logmeta.errors import BackendError, UnreachableError, UsageError

OLDEST = (8, 19)
TIMEOUT_S = 30.0
PASSING = (429, 502, 503, 504)  # what a cluster answers while it is overloaded or restarts
OURS, SPOKEN = "compatible-with=9", "compatible-with=8"


class EveryServersProtocol(elastic_transport.Transport):
    """Speaks the protocol of 8.x: every 9.x server understands it, and an 8.19 does not understand the client's own."""

    def perform_request(  # type: ignore[override]  # what we do not look at goes on as it came
        self, method: str, target: str, *, headers: Mapping[str, str] | None = None, **options: object
    ) -> elastic_transport.TransportApiResponse:
        spoken = {name: value.replace(OURS, SPOKEN) for name, value in (headers or {}).items()}
        return super().perform_request(method, target, headers=spoken, **options)  # type: ignore[arg-type]  # as above


@dataclass(frozen=True, slots=True)
class Address:
    """Where Elasticsearch is and who asks. Secrets never show in its repr."""

    url: str
    api_key: str | None = field(default=None, repr=False)
    user: str | None = None
    password: str | None = field(default=None, repr=False)
    ca: Path | None = None

    @classmethod
    def parse(cls, url: str, *, api_key: str | None = None, ca: Path | None = None) -> Address:
        """An address from a URL that may hold `user:password@`.

        Raises:
            UsageError: not an http(s) URL with a host, or a CA file that is not there.
        """
        parts = urlsplit(url if "://" in url else f"http://{url}")
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise UsageError("the Elasticsearch URL must look like https://host:9200; give one with --url")
        if ca is not None and not ca.is_file():
            raise UsageError(f"the CA file {ca} is not there; give the PEM file of Elasticsearch's CA with --ca")
        return cls(
            url=f"{parts.scheme}://{_host(parts.hostname)}:{_port(url, parts.scheme)}{parts.path.rstrip('/')}",
            api_key=api_key,
            user=unquote(parts.username) if parts.username else None,
            password=unquote(parts.password) if parts.password else None,
            ca=ca,
        )


def connect(address: Address, *, retries: int = 2) -> Elasticsearch:
    """A client; nothing is sent yet. Raises UsageError when the CA file holds no certificate."""
    basic_auth = (address.user, address.password or "") if address.user else None
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # the way out is in our own errors
            return Elasticsearch(
                address.url,
                api_key=address.api_key,
                basic_auth=None if address.api_key else basic_auth,
                ca_certs=str(address.ca) if address.ca else DEFAULT,
                transport_class=EveryServersProtocol,
                request_timeout=TIMEOUT_S,
                max_retries=retries,
                retry_on_timeout=False,
            )
    except (OSError, ValueError) as error:
        raise UsageError(f"cannot use {address.url} with CA {address.ca}: {error}; check --url and --ca") from error


@contextlib.contextmanager
def backend_errors(address: Address) -> Iterator[None]:
    """Turns what the client raises inside into a BackendError that says what came, what was needed and the way out."""
    try:
        yield
    except elastic_transport.TlsError as error:
        raise BackendError(
            f"no trusted TLS connection to {address.url}: {_short(error)}; give the cluster's CA with --ca"
        ) from error
    except elastic_transport.ConnectionTimeout as error:
        raise UnreachableError(
            f"{address.url} gave no answer within {TIMEOUT_S:.0f} s; check its load and health, then run this again"
        ) from error
    except elastic_transport.TransportError as error:
        raise UnreachableError(
            f"no Elasticsearch answers at {address.url}: {_short(error)}; start it, or correct --url"
        ) from error
    except UnsupportedProductError as error:
        raise BackendError(
            f"what answers at {address.url} is not Elasticsearch (no X-Elastic-Product header); correct --url"
        ) from error
    except ApiError as error:
        raise _refusal(address, error) from error


def version(client: Elasticsearch) -> tuple[int, int, int]:
    """The server's version. Call it inside `backend_errors`."""
    try:
        text = str(client.info()["version"]["number"])
    except ApiError as error:
        if error.meta.status != 405:  # the minimal distribution has no `GET /`
            raise
        nodes = client.nodes.info(filter_path="nodes.*.version")["nodes"].values()
        text = str(next(iter(nodes))["version"])
    major, minor, patch = (int("".join(filter(str.isdigit, part)) or 0) for part in text.split("-")[0].split("."))
    return major, minor, patch


def check_version(client: Elasticsearch, address: Address) -> tuple[int, int, int]:
    """The server's version. Raises BackendError when it is older than 8.19 or does not answer."""
    with backend_errors(address):
        found = version(client)
    if found < OLDEST:
        shown, oldest = ".".join(map(str, found)), ".".join(map(str, OLDEST))
        raise BackendError(f"{address.url} runs Elasticsearch {shown}, needed {oldest} or later; upgrade it")
    return found


def _refusal(address: Address, error: ApiError) -> BackendError:
    if isinstance(error, AuthenticationException):
        return BackendError(
            f"{address.url} refused the credentials (401); give an API key with --api-key-file, "
            f"LOGMETA_ELASTIC__API_KEY, or user:password in LOGMETA_ELASTIC__URL"
        )
    if isinstance(error, AuthorizationException):
        return BackendError(f"{address.url} refused the right to do this (403): {_reason(error)}; grant it to the key")
    if "media_type_header_exception" in str(error):
        return BackendError(
            f"{address.url} runs an Elasticsearch that does not speak the protocol of 8.x: "
            f"needed {'.'.join(map(str, OLDEST))} or a 9.x; upgrade the older one of it and logmeta"
        )
    if "x-elastic-product" not in {name.lower() for name in error.meta.headers}:
        return BackendError(f"what answers {error.meta.status} at {address.url} is not Elasticsearch; correct --url")
    kind = UnreachableError if error.meta.status in PASSING else BackendError
    return kind(f"{address.url} answered {error.meta.status}: {_reason(error)}")


def _reason(error: ApiError) -> str:
    body = error.body
    cause = body.get("error") if isinstance(body, dict) else None
    reason = cause.get("reason") if isinstance(cause, dict) else cause
    return str(reason or error.message)[:500]


def _short(error: elastic_transport.TransportError) -> str:
    text = str(error.errors[-1] if error.errors else error.message)
    return text[:300]


def _host(hostname: str) -> str:
    return f"[{hostname}]" if ":" in hostname else hostname


def _port(url: str, scheme: str) -> int:
    try:
        port = urlsplit(url if "://" in url else f"http://{url}").port
    except ValueError as error:
        raise UsageError(f"the port in the Elasticsearch URL is not a number up to 65535: {error}") from error
    return port or (443 if scheme == "https" and "://" in url else 9200)
