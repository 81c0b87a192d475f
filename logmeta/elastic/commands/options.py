"""Flags that the commands share, and what they say."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from collections.abc import Iterable

    from logmeta.elastic.client import Address

URL_ENV = "LOGMETA_ELASTIC__URL"
Url = Annotated[str, typer.Option(envvar=URL_ENV, show_envvar=True, help="Elasticsearch, such as https://host:9200.")]
UrlOrNone = Annotated[str | None, typer.Option(help="Elasticsearch to write to, such as https://host:9200.")]
ApiKeyFile = Annotated[Path | None, typer.Option(help="File with an API key (or set LOGMETA_ELASTIC__API_KEY).")]
Ca = Annotated[Path | None, typer.Option(help="PEM file of the CA that signed Elasticsearch's certificate.")]


def to_address(url: str, api_key_file: Path | None, ca: Path | None) -> Address:
    from logmeta.elastic.client import Address
    from logmeta.elastic.secrets import API_KEY_ENV, read_secret

    return Address.parse(url, api_key=read_secret(api_key_file, API_KEY_ENV), ca=ca)


def say(lines: Iterable[str]) -> None:
    for line in lines:
        typer.echo(line, err=True)
