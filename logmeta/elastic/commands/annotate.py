"""`logmeta elastic annotate`: the lines of a file, or the documents of a data stream."""

from __future__ import annotations

import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from logmeta.config import SCORER_URL
from logmeta.elastic.commands.options import (
    ApiKeyFile,
    Ca,
    CheckpointFile,
    Field,
    Once,
    ScorerCa,
    ScorerUrl,
    Source,
    SourceField,
    StreamBy,
    TimestampField,
    TokenFile,
    UrlOrNone,
    end_on_sigterm,
    need_serve_extra,
    say,
    to_address,
    to_processor,
    to_scorer,
)
from logmeta.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Iterable

    from logmeta.elastic.annotate import Addressed
    from logmeta.elastic.client import Address

OF_LINES = ("detector", "out", "data_stream")
OF_STREAMS = (
    "once", "in_place", "missing", "checkpoint", "scorer_url", "token_file", "scorer_ca",
    "field", "source", "source_field", "stream_by", "timestamp_field",
)  # fmt: skip


def annotate(
    context: typer.Context,
    lines: Annotated[str | None, typer.Argument(help="Log file (plain or .gz), or - for stdin.")] = None,
    from_: Annotated[str | None, typer.Option("--from", help="Or a data stream, an index, or a pattern.")] = None,
    detector: Annotated[Path | None, typer.Option(help="For LINES: folder written by logmeta onboard.")] = None,
    url: UrlOrNone = None,
    out: Annotated[Path | None, typer.Option(help="For LINES: write JSON lines here instead; - for stdout.")] = None,
    data_stream: Annotated[
        str | None, typer.Option(help="For LINES: data stream; default logs-SOURCE-default.")
    ] = None,
    api_key_file: ApiKeyFile = None,
    ca: Ca = None,
    scorer_url: ScorerUrl = SCORER_URL,
    token_file: TokenFile = None,
    scorer_ca: ScorerCa = None,
    checkpoint: CheckpointFile = None,
    once: Once = False,
    in_place: Annotated[
        bool, typer.Option("--in-place", help="Update the original documents, alarms only, instead of writing copies.")
    ] = False,
    missing: Annotated[
        bool, typer.Option("--missing", help="Catch up in place what was indexed as skipped, in one pass.")
    ] = False,
    field: Field = None,
    source: Source = None,
    source_field: SourceField = None,
    stream_by: StreamBy = None,
    timestamp_field: TimestampField = "@timestamp",
) -> None:
    """Write annotated documents: of a file's lines (scored here) or a data stream's documents (a scorer is asked)."""
    if (lines is None) == (from_ is None):
        raise UsageError("give either LINES (a log file) or --from (a data stream); see --help for an example of each")
    _refuse_foreign(context, OF_STREAMS if from_ is None else OF_LINES, "--from" if from_ is None else "LINES")
    address = to_address(url, api_key_file, ca) if url is not None else None
    if from_ is None:
        _annotate_lines(str(lines), detector, out, data_stream, address)
        return
    if address is None:
        raise UsageError("--from needs Elasticsearch: give it with --url")
    if missing and (in_place or checkpoint):
        raise UsageError("--missing is one pass in place; leave out --in-place and --checkpoint")
    need_serve_extra()
    from logmeta.elastic.annotator import COPIES, IN_PLACE, MISSING
    from logmeta.elastic.commands.streams import annotate_stream

    end_on_sigterm()
    annotate_stream(
        from_,
        address,
        to_scorer(scorer_url, token_file, scorer_ca),
        mode=MISSING if missing else IN_PLACE if in_place else COPIES,
        options=to_processor(field, source, source_field, stream_by, timestamp_field),
        checkpoint=checkpoint,
        once=once or missing,
    )


def _annotate_lines(
    lines: str, detector: Path | None, out: Path | None, data_stream: str | None, address: Address | None
) -> None:
    if detector is None:
        raise UsageError("LINES are scored here: give the folder that logmeta onboard wrote with --detector")
    if address is None and out is None:
        raise UsageError("give --url (index the documents) or --out FILE (write them as JSON lines)")
    documents = _documents(lines, detector, data_stream)
    if out is not None:
        _write(documents, out)
    elif address is not None:
        _index(documents, address)


def _refuse_foreign(context: typer.Context, names: Iterable[str], belongs_to: str) -> None:
    """Raises UsageError for an option that was given and means nothing here."""
    for name in names:
        found = context.get_parameter_source(name)
        if found is not None and found.name == "COMMANDLINE":
            raise UsageError(f"--{name.replace('_', '-')} goes with {belongs_to}; leave it out")


def _documents(lines: str, detector: Path, data_stream: str | None) -> Iterable[Addressed]:
    from itertools import chain

    from logmeta.detector import Detector
    from logmeta.elastic.annotate import annotated, line_clock
    from logmeta.elastic.destinations import dataset_name
    from logmeta.scoring import score_path

    loaded = Detector.from_pretrained(detector)
    target = data_stream or f"logs-{dataset_name(loaded.source)}-default"
    scored = chain.from_iterable(score_path(loaded, lines))
    return annotated(scored, origin=lines, data_stream=target, clock=line_clock(time.time()))


def _index(documents: Iterable[Addressed], address: Address) -> None:
    from logmeta.elastic.annotate import index, require_all
    from logmeta.elastic.bulk import NO_PIPELINE
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
