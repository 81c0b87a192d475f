"""Flags that the commands share, and what they say."""

from __future__ import annotations

import signal
import sys
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from logmeta.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from logmeta.elastic.client import Address
    from logmeta.elastic.documents import ProcessorOptions
    from logmeta.elastic.scorer import ScorerAddress

URL_ENV = "LOGMETA_ELASTIC__URL"
Url = Annotated[str, typer.Option(envvar=URL_ENV, show_envvar=True, help="Elasticsearch, such as https://host:9200.")]
UrlOrNone = Annotated[str | None, typer.Option(help="Elasticsearch to write to, such as https://host:9200.")]
ApiKeyFile = Annotated[Path | None, typer.Option(help="File with an API key (or set LOGMETA_ELASTIC__API_KEY).")]
Ca = Annotated[Path | None, typer.Option(help="PEM file of the CA that signed Elasticsearch's certificate.")]
ScorerUrl = Annotated[str, typer.Option(help="The scorer that is asked.")]
TokenFile = Annotated[Path | None, typer.Option(help="File with the scorer's token (or set LOGMETA_SERVE__TOKEN).")]
ScorerCa = Annotated[Path | None, typer.Option(help="PEM file of the CA that signed the scorer's certificate.")]
CheckpointFile = Annotated[Path | None, typer.Option(help="File that remembers what is done; a restart goes on there.")]
Once = Annotated[bool, typer.Option("--once", help="End when everything that is there has been handled.")]
Field = Annotated[list[str] | None, typer.Option(help="Field with the log line, tried in order; may be repeated.")]
Source = Annotated[str | None, typer.Option(help="The source's name, for all documents.")]
SourceField = Annotated[str | None, typer.Option(help="Field that names a document's source.")]
StreamBy = Annotated[list[str] | None, typer.Option(help="Field that names the stream; may be repeated.")]
TimestampField = Annotated[str, typer.Option(help="Field with the line's time.")]


def to_address(url: str, api_key_file: Path | None, ca: Path | None) -> Address:
    from logmeta.elastic.client import Address
    from logmeta.elastic.secrets import API_KEY_ENV, read_secret

    return Address.parse(url, api_key=read_secret(api_key_file, API_KEY_ENV), ca=ca)


def to_scorer(url: str, token_file: Path | None, ca: Path | None) -> ScorerAddress:
    from logmeta.elastic.scorer import ScorerAddress
    from logmeta.elastic.secrets import SCORER_TOKEN_ENV, read_secret

    return ScorerAddress(url, read_secret(token_file, SCORER_TOKEN_ENV), ca)


def to_processor(
    field: list[str] | None,
    source: str | None,
    source_field: str | None,
    stream_by: list[str] | None,
    timestamp_field: str,
) -> ProcessorOptions:
    """Raises UsageError when both `--source` and `--source-field` are given."""
    from logmeta.elastic.documents import ProcessorOptions
    from logmeta.elastic.setup import DEFAULT_FIELDS, DEFAULT_SOURCE_FIELD

    if source is not None and source_field is not None:
        raise UsageError("--source came together with --source-field; keep one of them")
    return ProcessorOptions(
        field=tuple(field or DEFAULT_FIELDS),
        source=source,
        source_field=source_field or DEFAULT_SOURCE_FIELD,
        stream_by=tuple(stream_by) if stream_by else ProcessorOptions().stream_by,
        timestamp_field=timestamp_field,
    )


def need_serve_extra() -> None:
    """Raises UsageError where the libraries are missing that speak HTTP to a scorer."""
    missing = [name for name in ("httpx", "starlette", "uvicorn") if find_spec(name) is None]
    if missing:
        raise UsageError(f"this needs {', '.join(missing)}; install them with pip install 'logmeta[serve]'")


def say(lines: Iterable[str]) -> None:
    for line in lines:
        typer.echo(line, err=True)


def progress() -> Callable[[str], None]:
    """Shows a line of progress in place on a terminal, nothing elsewhere."""
    if not sys.stderr.isatty():
        return lambda _: None
    return lambda words: typer.echo(f"\r\x1b[K{words[:150]}", err=True, nl=False)


def end_on_sigterm() -> None:
    """What a service manager sends ends a command as Ctrl-C does: what is being written is finished first."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))
