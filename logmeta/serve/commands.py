"""`logmeta serve`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from logmeta.elastic.secrets import API_KEY_ENV, SCORER_TOKEN_ENV, read_secret
from logmeta.errors import UsageError
from logmeta.registry import Response

if TYPE_CHECKING:
    from logmeta.elastic.client import Address

LogFormat = Literal["auto", "text", "json"]


def serve(
    detectors: Annotated[Path, typer.Option(help="Folder that keeps the detectors; made when missing.")],
    host: Annotated[str, typer.Option(help="Address to listen on.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(help="Port to listen on; 0 picks a free one.", min=0, max=65535)] = 9750,
    unix_socket: Annotated[Path | None, typer.Option(help="Listen on this Unix socket instead.")] = None,
    tls_cert: Annotated[Path | None, typer.Option(help="PEM file with the certificate chain, for https.")] = None,
    tls_key: Annotated[Path | None, typer.Option(help="PEM file with the certificate's key.")] = None,
    token_file: Annotated[
        Path | None,
        typer.Option(help=f"File with a bearer token per line that clients may send (or set {SCORER_TOKEN_ENV})."),
    ] = None,
    log_format: Annotated[LogFormat, typer.Option(help="Of stderr; auto: text on a terminal, else JSON.")] = "auto",
    grace_s: Annotated[float, typer.Option(help="Seconds that accepted requests have when told to end.", min=1)] = 20,
    notice_s: Annotated[
        float, typer.Option(help="Seconds from a /readyz that says it ends to the closed door.", min=0)
    ] = 0.5,
    read_s: Annotated[float, typer.Option(help="Seconds a client may take to send a request.", min=0.1)] = 30,
    onboarding: Annotated[
        Literal["auto", "approve", "off"],
        typer.Option(help="Unknown sources: learn from their first lines, wait for approval then, or stay unknown."),
    ] = "auto",
    privacy: Annotated[
        bool, typer.Option(help="Mask personal data and secrets before anything is learned from a source.")
    ] = True,
    max_sources: Annotated[int, typer.Option(help="No more sources learn by themselves than this.", min=1)] = 1_000,
    learn_lines: Annotated[int, typer.Option(help="How many first lines make a detector.", min=20)] = 200,
    refresh: Annotated[
        bool, typer.Option(help="Calibrate sources anew, as a version of their own, on their quiet lines.")
    ] = True,
    keep_versions: Annotated[
        int, typer.Option(help="A source's newest versions to keep, beside those in use.", min=2)
    ] = 20,
    respond: Annotated[
        Response,
        typer.Option(help="About drift, where `sources respond` says nothing else (docs/drift.md)."),
    ] = "notify",
    warm: Annotated[int, typer.Option(help="Sources used last to open before the scorer is ready.", min=0)] = 200,
    max_open: Annotated[int, typer.Option(help="Most sources open at once.", min=1)] = 1_000,
    max_memory_mib: Annotated[int, typer.Option(help="Resident set from which sources are closed.", min=1)] = 2_048,
    max_waiting: Annotated[int, typer.Option(help="Most documents that wait to be scored.", min=1)] = 20_000,
    registry_url: Annotated[
        str | None, typer.Option(help="Elasticsearch that shares the detectors among scorers; --detectors mirrors it.")
    ] = None,
    registry_index: Annotated[str, typer.Option(help="Its index.")] = "logmeta-registry",
    registry_api_key_file: Annotated[
        Path | None, typer.Option(help=f"File with an API key for it (or set {API_KEY_ENV}).")
    ] = None,
    registry_ca: Annotated[Path | None, typer.Option(help="PEM file of the CA that signed its certificate.")] = None,
    webhook_url: Annotated[
        str | None, typer.Option(help="Address that alarms are posted to; ${token} in it is the webhook's token.")
    ] = None,
    webhook_template: Annotated[
        str, typer.Option(help="generic, slack, alertmanager, pagerduty, or a JSON file with ${placeholders}.")
    ] = "generic",
    webhook_token_file: Annotated[
        Path | None, typer.Option(help="File with the webhook's bearer token (or set LOGMETA_SERVE__WEBHOOK_TOKEN).")
    ] = None,
    webhook_ca: Annotated[Path | None, typer.Option(help="PEM file of the CA that signed its certificate.")] = None,
    webhook_min_severity: Annotated[
        Literal["warning", "minor", "major", "critical"], typer.Option(help="Nothing below this is posted.")
    ] = "warning",
    webhook_per_minute: Annotated[int, typer.Option(help="Most messages a minute.", min=2)] = 30,
    webhook_repeat_s: Annotated[
        float, typer.Option(help="Seconds in which alarms of one source and template are one message.", min=1)
    ] = 600,
    webhook_drift: Annotated[
        bool, typer.Option(help="Also tell when a source looks like a deploy or incident.")
    ] = True,
    console_url: Annotated[str | None, typer.Option(help="Where people reach this scorer, for links.")] = None,
    base: Annotated[Path | None, typer.Option(help="Another base model than the shipped one.")] = None,
) -> None:
    """Score documents over HTTP: POST /v1/score."""
    from logmeta.serve.delivery.settings import webhook_settings
    from logmeta.serve.logs import errors_told_here, start_logging  # keeps `logmeta --help` fast
    from logmeta.serve.run import run
    from logmeta.serve.settings import REFRESH_LINES, ServeSettings
    from logmeta.serve.tokens import Tokens

    start_logging(log_format)
    with errors_told_here():
        settings = ServeSettings(
            detectors=_made(detectors),
            host=host,
            port=port,
            unix_socket=unix_socket,
            tls_cert=tls_cert,
            tls_key=tls_key,
            tokens=Tokens(token_file, SCORER_TOKEN_ENV),
            grace_s=grace_s,
            notice_s=notice_s,
            read_s=read_s,
            onboarding=onboarding,
            privacy=privacy,
            shared=_shared(registry_url, registry_api_key_file, registry_ca),
            shared_index=registry_index,
            learn_lines=learn_lines,
            refresh_lines=REFRESH_LINES if refresh else 0,
            keep_versions=keep_versions,
            respond=respond,
            warm=warm,
            max_sources=max_sources,
            max_open=max_open,
            max_memory_mib=max_memory_mib,
            max_waiting_documents=max_waiting,
            webhook=webhook_settings(
                webhook_url,
                template=webhook_template,
                token_file=webhook_token_file,
                ca=webhook_ca,
                min_severity=webhook_min_severity,
                per_minute=webhook_per_minute,
                repeat_s=webhook_repeat_s,
                drift=webhook_drift,
                console=console_url,
            ),
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
