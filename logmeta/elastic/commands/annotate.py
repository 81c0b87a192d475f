"""`logmeta elastic annotate`."""

from __future__ import annotations

import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from logmeta.elastic.commands.options import ApiKeyFile, Ca, UrlOrNone, say, to_address
from logmeta.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Iterable

    from logmeta.elastic.annotate import Addressed
    from logmeta.elastic.client import Address


def annotate(
    lines: Annotated[str, typer.Argument(help="Log file (plain or .gz), or - for stdin.")],
    detector: Annotated[Path, typer.Option(help="Folder written by logmeta onboard.")],
    url: UrlOrNone = None,
    out: Annotated[Path | None, typer.Option(help="Write JSON lines here instead; - for stdout.")] = None,
    data_stream: Annotated[str | None, typer.Option(help="Data stream; default logs-SOURCE-default.")] = None,
    api_key_file: ApiKeyFile = None,
    ca: Ca = None,
) -> None:
    """Score lines here and write them as annotated documents; a second run adds nothing twice."""
    if url is None and out is None:
        raise UsageError("give --url (index the documents) or --out FILE (write them as JSON lines)")
    documents = _documents(lines, detector, data_stream)
    if out is not None:
        _write(documents, out)
    elif url is not None:
        _index(documents, to_address(url, api_key_file, ca))


def _documents(lines: str, detector: Path, data_stream: str | None) -> Iterable[Addressed]:
    from itertools import chain

    from logmeta.detector import Detector
    from logmeta.elastic.annotate import annotated, line_clock
    from logmeta.scoring import score_path

    loaded = Detector.from_pretrained(detector)
    target = data_stream or f"logs-{_dataset(loaded.source)}-default"
    scored = chain.from_iterable(score_path(loaded, lines))
    return annotated(scored, origin=lines, data_stream=target, clock=line_clock(time.time()))


def _index(documents: Iterable[Addressed], address: Address) -> None:
    from logmeta.elastic.annotate import NO_PIPELINE, index, require_all
    from logmeta.elastic.client import check_version, connect

    client = connect(address)
    check_version(client, address)
    done = require_all(index(client, address, documents, pipeline=NO_PIPELINE))
    say([f"{done.created} documents created, {done.existed} were there already"])


def _write(documents: Iterable[Addressed], out: Path) -> None:
    import orjson

    with sys.stdout.buffer if str(out) == "-" else out.open("wb") as file:
        for entry in documents:
            file.write(orjson.dumps({**entry.fields, "_id": entry.id}, option=orjson.OPT_APPEND_NEWLINE))


def _dataset(source: str) -> str:
    """The source as a data stream's dataset: lower case, no dash, nothing Elasticsearch refuses."""
    return "".join(c if c.isascii() and (c.isalnum() or c in "._") else "_" for c in source.lower()).lstrip("._") or "x"
