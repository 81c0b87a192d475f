"""`logmeta elastic alarms`."""

from __future__ import annotations

from typing import Annotated

import typer

from logmeta.elastic.commands.options import (
    ApiKeyFile,
    Ca,
    CheckpointFile,
    Once,
    Url,
    end_on_sigterm,
    need_serve_extra,
    to_address,
)


def alarms(
    url: Url,
    from_: Annotated[str, typer.Option("--from", help="Data stream, index or pattern with annotated documents.")],
    api_key_file: ApiKeyFile = None,
    ca: Ca = None,
    checkpoint: CheckpointFile = None,
    once: Once = False,
) -> None:
    """Copy alarms that the plugin or the proxy wrote into the alarm stream, each as a document of its own."""
    need_serve_extra()
    from logmeta.elastic.commands.streams import copy_alarms

    end_on_sigterm()
    copy_alarms(from_, to_address(url, api_key_file, ca), checkpoint=checkpoint, once=once)
