"""Which texts a detector's folder keeps, read from its files, so that nothing is left out; and what looks personal."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import orjson

from logmeta.artifact import read_manifest
from logmeta.detector import Detector
from logmeta.privacy import redacted
from logmeta.records import JsonValue

_CHECKSUMS: Final = "sha256"
_VALUES: Final = 6  # place of the values in a slot's row


@dataclass(frozen=True, slots=True)
class Kept:
    """What a folder keeps of its source.

    `texts` are its distinct texts by where they stand (`templates`, `labels.by`, ...). Fingerprints are 32 bits of a
    word, value or stream name: a guess can be checked against them, so they are counted, not taken for nothing.
    """

    source: str
    privacy: bool
    texts: dict[str, list[str]]
    fingerprints: dict[str, int]
    numbers: int

    @property
    def looking_personal(self) -> list[dict[str, JsonValue]]:
        """Kept texts in which the masks find something, with what the masks would keep of them."""
        found = ((kind, text, redacted(text)) for kind, texts in self.texts.items() for text in texts)
        return [{"kind": kind, "text": text, "masked": masked} for kind, text, masked in found if masked != text]

    def to_dict(self) -> dict[str, JsonValue]:
        return {
            "source": self.source,
            "privacy": self.privacy,
            "looks_personal": [*self.looking_personal],
            "texts": {kind: [*texts] for kind, texts in self.texts.items()},
            "fingerprints": {**self.fingerprints},
            "numbers": self.numbers,
        }


def kept_by(folder: Path) -> Kept:
    """What a detector's folder keeps. Its other files hold arrays only, and the card `README.md` says the same again.

    Raises:
        ArtifactError: the folder is no detector, or is damaged.
    """
    manifest = read_manifest(folder)
    data = orjson.loads((folder / "templates.json").read_bytes())
    texts: dict[str, dict[str, None]] = {}
    for fields in (data, manifest):
        for kind, text in _texts(fields):
            texts.setdefault(kind, {})[text] = None
    values = [value for slot in data.get("slots", ()) for value in slot[_VALUES]]
    fingerprints = sum(isinstance(value, int) for value in values)
    return Kept(
        source=manifest["source"],
        privacy=manifest.get("privacy", False),
        texts={kind: list(found) for kind, found in texts.items()},
        fingerprints={
            "words": len(data.get("words", ())),
            "values": fingerprints,
            "streams": len(data.get("across", {}).get("shares", ())),
        },
        numbers=len(values) - fingerprints,
    )


def shown(folder: Path, *, templates: bool = False, privacy: bool = False) -> str:
    """A detector as `logmeta inspect` shows it, in JSON: its summary, with its templates, or what it keeps."""
    if privacy:
        fields = kept_by(folder).to_dict()
    else:
        found = Detector.from_pretrained(folder)
        fields = found.summary() | ({"template_list": list(found.memory.templates)} if templates else {})
    return orjson.dumps(fields, option=orjson.OPT_INDENT_2).decode()


def _texts(value: Any, kind: str = "") -> Iterator[tuple[str, str]]:
    """Every text in a JSON value, with the keys that lead to it."""
    if isinstance(value, str):
        yield kind, value
    elif isinstance(value, list):
        for item in value:
            yield from _texts(item, kind)
    elif isinstance(value, dict):
        for key, item in value.items():
            if key != _CHECKSUMS:
                yield from _texts(item, f"{kind}.{key}" if kind else key)
