"""`logmeta elastic doctor`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from logmeta.elastic.commands.options import ApiKeyFile, Ca, Url, to_address
from logmeta.errors import BackendError

_MARKS = {"ok": "ok  ", "warn": "WARN", "bad": "BAD "}


def doctor(
    url: Url,
    api_key_file: ApiKeyFile = None,
    ca: Ca = None,
    scorer_url: Annotated[str | None, typer.Option(help="Also check this scorer, from here.")] = None,
    token_file: Annotated[Path | None, typer.Option(help="File with the scorer's bearer token.")] = None,
    plugin: Annotated[bool, typer.Option(help="Check the plugin, pipeline and hook too.")] = True,
) -> None:
    """Check everything annotation needs; exit code 5 when something is missing."""
    from logmeta.elastic.client import connect
    from logmeta.elastic.doctor import doctor as check
    from logmeta.elastic.secrets import SCORER_TOKEN_ENV, read_secret

    address = to_address(url, api_key_file, ca)
    scorer_token = read_secret(token_file, SCORER_TOKEN_ENV)
    checks = check(connect(address), address, scorer_url=scorer_url, token=scorer_token, plugin=plugin)
    for found in checks:
        typer.echo(f"{_MARKS[found.grade]} {found.name}: {found.found}" + _arrow(found.way_out))
    bad = [found.name for found in checks if found.grade == "bad"]
    if bad:
        raise BackendError(f"not ready: {', '.join(bad)}; each line above names its way out")


def _arrow(way_out: str) -> str:
    return f" -> {way_out}" if way_out else ""
