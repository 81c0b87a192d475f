"""`logmeta elastic setup|annotate|doctor`."""

from __future__ import annotations

import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from logmeta.errors import BackendError, UsageError

if TYPE_CHECKING:
    from collections.abc import Iterable

    from logmeta.elastic.annotate import Addressed
    from logmeta.elastic.client import Address

elastic = typer.Typer(help="Annotate log documents in Elasticsearch.", no_args_is_help=True)

URL_ENV = "LOGMETA_ELASTIC__URL"
Url = Annotated[str, typer.Option(envvar=URL_ENV, show_envvar=True, help="Elasticsearch, such as https://host:9200.")]
UrlOrNone = Annotated[str | None, typer.Option(help="Elasticsearch to write to, such as https://host:9200.")]
ApiKeyFile = Annotated[Path | None, typer.Option(help="File with an API key (or set LOGMETA_ELASTIC__API_KEY).")]
Ca = Annotated[Path | None, typer.Option(help="PEM file of the CA that signed Elasticsearch's certificate.")]


@elastic.command(epilog="Example: logmeta elastic setup --url http://localhost:9200 --scorer-url http://scorer:9750")
def setup(
    url: Url,
    api_key_file: ApiKeyFile = None,
    ca: Ca = None,
    source_field: Annotated[str, typer.Option(help="Field that names a document's source.")] = "data_stream.dataset",
    field: Annotated[list[str] | None, typer.Option(help="Field with the log line; may be repeated.")] = None,
    scorer_url: Annotated[list[str] | None, typer.Option(help="Scorer the nodes ask; repeat it for more.")] = None,
    remove: Annotated[bool, typer.Option("--remove", help="Take everything out again.")] = False,
) -> None:
    """Put templates, pipeline and the logs@custom hook into Elasticsearch; may be repeated."""
    from logmeta.elastic.client import check_version, connect
    from logmeta.elastic.setup import DEFAULT_FIELDS, Options, teardown
    from logmeta.elastic.setup import setup as put

    address = _address(url, api_key_file, ca)
    client = connect(address)
    check_version(client, address)
    if remove:
        _say(["removed; left to do by hand:", *teardown(client, address)])
        return
    options = Options(source_field, tuple(field or DEFAULT_FIELDS), tuple(scorer_url or ()))
    _say([f"put {name}" for name in put(client, address, options)])


@elastic.command(epilog="Example: logmeta elastic doctor --url http://localhost:9200")
def doctor(
    url: Url,
    api_key_file: ApiKeyFile = None,
    ca: Ca = None,
    scorer_url: Annotated[str | None, typer.Option(help="Also check this scorer, from here.")] = None,
    token_file: Annotated[Path | None, typer.Option(help="File with the scorer's bearer token.")] = None,
) -> None:
    """Check everything annotation needs; exit code 5 when something is missing."""
    from logmeta.elastic.client import connect
    from logmeta.elastic.doctor import doctor as check
    from logmeta.elastic.secrets import SCORER_TOKEN_ENV, read_secret

    address = _address(url, api_key_file, ca)
    checks = check(connect(address), address, scorer_url=scorer_url, token=read_secret(token_file, SCORER_TOKEN_ENV))
    for found in checks:
        typer.echo(f"{'ok ' if found.ok else 'BAD'} {found.name}: {found.found}" + _arrow(found.way_out))
    bad = [found.name for found in checks if not found.ok]
    if bad:
        raise BackendError(f"not ready: {', '.join(bad)}; each line above names its way out")


@elastic.command(
    epilog="Example: logmeta elastic annotate app.log --detector detectors/app --url http://localhost:9200"
)
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
        _index(documents, _address(url, api_key_file, ca))


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
    _say([f"{done.created} documents created, {done.existed} were there already"])


def _write(documents: Iterable[Addressed], out: Path) -> None:
    import orjson

    with sys.stdout.buffer if str(out) == "-" else out.open("wb") as file:
        for entry in documents:
            file.write(orjson.dumps({**entry.fields, "_id": entry.id}, option=orjson.OPT_APPEND_NEWLINE))


def _address(url: str, api_key_file: Path | None, ca: Path | None) -> Address:
    from logmeta.elastic.client import Address
    from logmeta.elastic.secrets import API_KEY_ENV, read_secret

    return Address.parse(url, api_key=read_secret(api_key_file, API_KEY_ENV), ca=ca)


def _dataset(source: str) -> str:
    """The source as a data stream's dataset: lower case, no dash, nothing Elasticsearch refuses."""
    return "".join(c if c.isascii() and (c.isalnum() or c in "._") else "_" for c in source.lower()).lstrip("._") or "x"


def _arrow(way_out: str) -> str:
    return f" -> {way_out}" if way_out else ""


def _say(lines: Iterable[str]) -> None:
    for line in lines:
        typer.echo(line, err=True)
