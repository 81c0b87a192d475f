"""`logmeta elastic setup`."""

from __future__ import annotations

from typing import Annotated

import typer

from logmeta.elastic.commands.options import ApiKeyFile, Ca, Url, say, to_address


def setup(
    url: Url,
    api_key_file: ApiKeyFile = None,
    ca: Ca = None,
    source_field: Annotated[str, typer.Option(help="Field that names a document's source.")] = "data_stream.dataset",
    field: Annotated[list[str] | None, typer.Option(help="Field with the log line; may be repeated.")] = None,
    scorer_url: Annotated[list[str] | None, typer.Option(help="Scorer the nodes ask; repeat it for more.")] = None,
    without_plugin: Annotated[
        bool, typer.Option("--without-plugin", help="Only what annotate, alarms and proxy need: types and templates.")
    ] = False,
    remove: Annotated[bool, typer.Option("--remove", help="Take everything out again.")] = False,
) -> None:
    """Put templates, pipeline and the logs@custom hook into Elasticsearch; may be repeated."""
    from logmeta.elastic.client import check_version, connect
    from logmeta.elastic.setup import DEFAULT_FIELDS, Options, teardown
    from logmeta.elastic.setup import setup as put

    address = to_address(url, api_key_file, ca)
    client = connect(address)
    check_version(client, address)
    if remove:
        say(["removed; left to do by hand:", *teardown(client, address)])
        return
    options = Options(source_field, tuple(field or DEFAULT_FIELDS), tuple(scorer_url or ()), plugin=not without_plugin)
    say([f"put {name}" for name in put(client, address, options)])
