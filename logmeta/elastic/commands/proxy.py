"""`logmeta elastic proxy`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from logmeta.config import SCORER_URL
from logmeta.elastic.commands.options import (
    Ca,
    Field,
    ScorerCa,
    ScorerUrl,
    Source,
    SourceField,
    StreamBy,
    TimestampField,
    TokenFile,
    Url,
    need_serve_extra,
    say,
    to_processor,
    to_scorer,
)
from logmeta.errors import UsageError


def proxy(
    url: Url,
    listen: Annotated[str, typer.Option(help="HOST:PORT to listen on; port 0 picks a free one.")] = "127.0.0.1:9201",
    ca: Ca = None,
    tls_cert: Annotated[Path | None, typer.Option(help="PEM certificate of the listening side.")] = None,
    tls_key: Annotated[Path | None, typer.Option(help="PEM key of the listening side.")] = None,
    scorer_url: ScorerUrl = SCORER_URL,
    token_file: TokenFile = None,
    scorer_ca: ScorerCa = None,
    max_wait: Annotated[float, typer.Option(help="Seconds a document waits at most.", min=0.001, max=60)] = 3.0,
    max_body_mb: Annotated[int, typer.Option(help="Largest _bulk body, unpacked; above it 413.", min=1)] = 100,
    max_waiting: Annotated[int, typer.Option(help="Most documents that wait; above it 429.", min=1)] = 50_000,
    field: Field = None,
    source: Source = None,
    source_field: SourceField = None,
    stream_by: StreamBy = None,
    timestamp_field: TimestampField = "@timestamp",
) -> None:
    """Stand between shippers and Elasticsearch: annotate what _bulk indexes, pass everything else."""
    need_serve_extra()
    from logmeta.elastic.client import Address
    from logmeta.elastic.proxy.app import ProxySettings
    from logmeta.elastic.proxy.run import Listen, run
    from logmeta.elastic.scorer import Scorer

    address = Address.parse(url, ca=ca)
    if address.user is not None:
        raise UsageError("the proxy holds no credentials, its callers' pass through; leave user:password@ out of --url")
    settings = ProxySettings(
        address, max_wait_s=max_wait, max_body_bytes=max_body_mb * 2**20, max_waiting_lines=max_waiting
    )
    options = to_processor(field, source, source_field, stream_by, timestamp_field)
    scorer = Scorer(to_scorer(scorer_url, token_file, scorer_ca))
    where = Listen.parse(listen, cert=tls_cert, key=tls_key)
    run(settings, options, scorer, where, say=lambda words: say([words]))
