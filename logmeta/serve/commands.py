"""`logmeta serve`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from logmeta.elastic.secrets import SCORER_TOKEN_ENV, read_secret
from logmeta.errors import UsageError


def serve(
    detectors: Annotated[Path, typer.Option(help="Folder that keeps the detectors; made when missing.")],
    host: Annotated[str, typer.Option(help="Address to listen on.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(help="Port to listen on; 0 picks a free one.", min=0, max=65535)] = 9750,
    token_file: Annotated[
        Path | None, typer.Option(help=f"File with the bearer token clients must send (or set {SCORER_TOKEN_ENV}).")
    ] = None,
    auto_onboard: Annotated[bool, typer.Option(help="Let unknown sources onboard from their first lines.")] = True,
    learn_lines: Annotated[int, typer.Option(help="How many first lines make a detector.", min=20)] = 200,
    refresh: Annotated[
        bool, typer.Option(help="Calibrate sources anew, as a version of their own, on their quiet lines.")
    ] = True,
    base: Annotated[Path | None, typer.Option(help="Another base model than the shipped one.")] = None,
) -> None:
    """Score documents over HTTP: POST /v1/score."""
    from logmeta.serve.run import run  # keeps `logmeta --help` fast
    from logmeta.serve.settings import REFRESH_LINES, ServeSettings

    settings = ServeSettings(
        detectors=_made(detectors),
        host=host,
        port=port,
        token=read_secret(token_file, SCORER_TOKEN_ENV),
        auto_onboard=auto_onboard,
        learn_lines=learn_lines,
        refresh_lines=REFRESH_LINES if refresh else 0,
        base=base,
    )
    run(settings)


def _made(folder: Path) -> Path:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UsageError(f"cannot make the folder {folder}: {error.strerror}; choose another --detectors") from error
    return folder
