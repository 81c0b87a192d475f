"""Parameters in the address of a request. One that cannot be used is an InputError: what came, and what fits."""

from __future__ import annotations

import math
from collections.abc import Mapping

from logmeta.errors import InputError


def known(given: Mapping[str, str], *, allowed: tuple[str, ...]) -> None:
    """Raises InputError naming the first parameter nobody reads."""
    unknown = next((name for name in given if name not in allowed), None)
    if unknown is not None:
        raise InputError(f"unknown parameter {unknown[:60]!r}; known here: {', '.join(allowed)}")


def text(given: Mapping[str, str], name: str) -> str | None:
    """None where it is not given, or empty."""
    return given.get(name) or None


def required(given: Mapping[str, str], name: str) -> str:
    found = text(given, name)
    if found is None:
        raise InputError(f"{name!r} is missing; say which, as in ?{name}=payments")
    return found


def whole(given: Mapping[str, str], name: str, *, default: int, most: int) -> int:
    """A whole number from 1 to `most`."""
    found = given.get(name, str(default))
    if not (found.isascii() and found.isdigit() and len(found) <= len(str(most)) and 1 <= int(found) <= most):
        raise InputError(f"{name!r} must be a whole number from 1 to {most}, got {found[:60]!r}")
    return int(found)


def cursor(given: Mapping[str, str], name: str) -> int | None:
    """Where an earlier answer ended."""
    found = text(given, name)
    if found is not None and not (found.isascii() and found.isdigit() and len(found) <= 18):
        raise InputError(f"{name!r} must be a cursor as an earlier answer gave it, got {found[:60]!r}")
    return None if found is None else int(found)


def hours(given: Mapping[str, str], name: str, *, default: float, most: float) -> float:
    """A number of hours above 0, at most `most`."""
    try:
        found = float(given.get(name, default))
    except ValueError:
        found = math.nan
    if not 0 < found <= most:
        raise InputError(f"{name!r} must be a number of hours above 0, at most {most:g}, got {given[name][:60]!r}")
    return found
