"""A stand-in for a detector, where only publishing matters."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from pathlib import Path

FILES = ("weights.safetensors", "templates.json", "calibration.safetensors", "README.md")


@dataclass
class Saved:
    """The part of a detector that a registry uses."""

    source: str
    content: str = ""
    version: str = "1"
    lines_used: int = 200
    labels: tuple[str, ...] = ()

    def save_pretrained(self, folder: Path) -> None:
        folder.mkdir(parents=True)
        for name in FILES:
            (folder / name).write_bytes(bytes(range(256)))
        manifest = {
            "format": 5,
            "base": {"name": "none", "digest": "d1"},
            "lines_used": self.lines_used,
            "content": f"{self.content} as version {self.version}",
            "sha256": {name: hashlib.sha256((folder / name).read_bytes()).hexdigest() for name in FILES},
        }
        (folder / "manifest.json").write_text(json.dumps(manifest))


def content(folder: Path) -> str:
    """What was saved in a version's folder."""
    return json.loads((folder / "manifest.json").read_text())["content"]
