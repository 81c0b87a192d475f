"""`logmeta serve`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from logmeta.elastic.secrets import API_KEY_ENV, SCORER_TOKEN_ENV, read_secret
from logmeta.errors import UsageError

if TYPE_CHECKING:
    from logmeta.elastic.client import Address


def serve(
    detectors: Annotated[Path, typer.Option(help="Folder that keeps the detectors; made when missing.")],
    host: Annotated[str, typer.Option(help="Address to listen on.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(help="Port to listen on; 0 picks a free one.", min=0, max=65535)] = 9750,
    token_file: Annotated[
        Path | None, typer.Option(help=f"File with the bearer token clients must send (or set {SCORER_TOKEN_ENV}).")
    ] = None,
    onboarding: Annotated[
        Literal["auto", "approve", "off"],
        typer.Option(help="Unknown sources: learn from their first lines, wait for approval then, or stay unknown."),
    ] = "auto",
    max_sources: Annotated[int, typer.Option(help="No more sources learn by themselves than this.", min=1)] = 1_000,
    learn_lines: Annotated[int, typer.Option(help="How many first lines make a detector.", min=20)] = 200,
    refresh: Annotated[
        bool, typer.Option(help="Calibrate sources anew, as a version of their own, on their quiet lines.")
    ] = True,
    registry_url: Annotated[
        str | None, typer.Option(help="Elasticsearch that shares the detectors among scorers; --detectors mirrors it.")
    ] = None,
    registry_index: Annotated[str, typer.Option(help="Its index.")] = "logmeta-registry",
    registry_api_key_file: Annotated[
        Path | None, typer.Option(help=f"File with an API key for it (or set {API_KEY_ENV}).")
    ] = None,
    registry_ca: Annotated[Path | None, typer.Option(help="PEM file of the CA that signed its certificate.")] = None,
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
        onboarding=onboarding,
        max_sources=max_sources,
        shared=_shared(registry_url, registry_api_key_file, registry_ca),
        shared_index=registry_index,
        learn_lines=learn_lines,
        refresh_lines=REFRESH_LINES if refresh else 0,
        base=base,
    )
    run(settings)


def _shared(url: str | None, api_key_file: Path | None, ca: Path | None) -> Address | None:
    from logmeta.elastic.client import Address

    return None if url is None else Address.parse(url, api_key=read_secret(api_key_file, API_KEY_ENV), ca=ca)


def _made(folder: Path) -> Path:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UsageError(f"cannot make the folder {folder}: {error.strerror}; choose another --detectors") from error
    return folder
