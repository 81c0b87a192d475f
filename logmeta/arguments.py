"""What commands share: arguments that mean the same everywhere, and what they stand for."""

from __future__ import annotations

import signal
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from logmeta.detector import Detector

LinesArg = Annotated[str, typer.Argument(metavar="LINES", help="Log file (plain or .gz), or - for stdin.")]
DetectorOpt = Annotated[Path, typer.Option(help="Folder written by `logmeta onboard`.")]


def end_with_the_reader() -> None:
    """End in silence when stdout's reader has had enough (`| head`), as other filters do."""
    signal.signal(signal.SIGPIPE, signal.SIG_DFL)


def load(folder: Path) -> Detector:
    """The detector in a folder."""
    from logmeta.detector import Detector

    return Detector.from_pretrained(folder)
