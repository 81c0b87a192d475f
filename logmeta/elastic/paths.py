"""Fields of a JSON document by their path (`host.name`), found and written as an ingest pipeline does.

A path leads through objects, and through lists by number. A dotted key at the top is another field than the path.
"""

from __future__ import annotations

from typing import TypeAlias

from logmeta.records import JsonValue

Fields: TypeAlias = "dict[str, JsonValue]"


def get(document: Fields, path: str) -> JsonValue:
    """The value at the path; None when nothing is there."""
    if "." not in path:
        return document.get(path)
    value: JsonValue = document
    for name in path.split("."):
        value = _child(value, name)
    return value


def has(document: Fields, path: str) -> bool:
    """Whether something, null included, is there."""
    parent, name = _parent(document, path)
    if isinstance(parent, dict):
        return name in parent
    return isinstance(parent, list) and _place(parent, name) is not None


def put(document: Fields, path: str, value: JsonValue) -> None:
    """Write a value; objects on the way that are missing are made.

    Raises:
        ValueError: something on the way is no object.
    """
    if "." not in path:
        document[path] = value
        return
    *way, last = path.split(".")
    parent: JsonValue = document
    for name in way:
        parent = parent.setdefault(name, {}) if isinstance(parent, dict) else _child(parent, name)
    if not isinstance(parent, dict):
        raise ValueError(f"{path!r} cannot be written: a part of it is no object")
    parent[last] = value


def _parent(document: Fields, path: str) -> tuple[JsonValue, str]:
    way, _, last = path.rpartition(".")
    return (get(document, way) if way else document), last


def _child(parent: JsonValue, name: str) -> JsonValue:
    if isinstance(parent, dict):
        return parent.get(name)
    if isinstance(parent, list):
        place = _place(parent, name)
        return None if place is None else parent[place]
    return None


def _place(items: list[JsonValue], name: str) -> int | None:
    return int(name) if name.isdecimal() and int(name) < len(items) else None
