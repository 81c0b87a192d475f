"""A stand-in for a detector, where only publishing matters."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path


@dataclass
class Saved:
    """The part of a detector that a registry uses."""

    source: str
    content: str = ""
    version: str = "1"

    def save_pretrained(self, folder: Path) -> None:
        folder.mkdir(parents=True)
        (folder / "manifest.json").write_text(f"{self.content} as version {self.version}")
        (folder / "weights.bin").write_bytes(bytes(range(256)))
