"""`logmeta elastic plugin`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from logmeta.elastic.commands.options import say


def plugin(
    es_version: Annotated[str, typer.Option(help="The server's version, such as 9.5.3.")],
    out: Annotated[Path | None, typer.Option(help="Zip to write; default logmeta-VERSION.zip, here.")] = None,
) -> None:
    """Write the ingest plugin's zip for one release of Elasticsearch."""
    from logmeta.elastic.lines import TESTED
    from logmeta.elastic.plugin import write_plugin

    file = out or Path(f"logmeta-{es_version}.zip")
    write_plugin(es_version, file)
    if es_version not in TESTED:
        say([f"warning: not tested on {es_version}, only on {', '.join(TESTED)}; try it on one node first"])
    say([f"wrote {file}; on every ingest node: bin/elasticsearch-plugin install --batch {file.resolve().as_uri()}"])
