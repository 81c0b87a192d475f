"""Settings: flag > environment `LOGMETA_SECTION__KEY` > `logmeta.toml` > default. An unknown key is an error.

A section is a command (`[onboard]`, `[serve]`, `[elastic]`), a key one of its flags with underscores
(`budget_per_day = 5`); `[model] base` names another base model than the shipped one.
"""

from __future__ import annotations

import difflib
import os
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from logmeta.errors import UsageError

FILE: Final = "logmeta.toml"
SCORER_URL: Final = "http://127.0.0.1:9750"  # where `logmeta serve` listens unless it is told otherwise
PREFIX: Final = "LOGMETA_"
MODEL: Final = {"base"}
BASE_MODEL: Final = "LOGMETA_MODEL__BASE"  # folder of another base model
_SECRET: Final = {
    "serve": {"token", "webhook_token"},
    "elastic": {"api_key"},
}  # environment only, read by their commands
Settings = dict[str, dict[str, Any]]


def load_settings(known: Mapping[str, set[str]]) -> Settings:
    """Settings of the file in the working directory and of the environment, by section.

    `known` holds the keys of each section.

    Raises:
        UsageError: an unknown section or key (the nearest known one is named), or a file that is no TOML.
    """
    known = {**known, "model": MODEL}
    found: Settings = {}
    for section, key, value, where in [*_from_file(Path(FILE)), *_from_environment()]:
        if key in _SECRET.get(section, ()) and where != FILE:
            continue
        _check(section, key, known, where)
        found.setdefault(section, {})[key] = value
    return found


def _from_file(path: Path) -> list[tuple[str, str, Any, str]]:
    if not path.is_file():
        return []
    try:
        tables = tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise UsageError(f"{path} cannot be read as TOML: {error}; correct or remove it") from error
    loose = [name for name, table in tables.items() if not isinstance(table, dict)]
    if loose:
        raise UsageError(f"{path}: {loose[0]!r} stands outside a section; put it below [onboard], [serve] or another")
    return [(section, key, value, FILE) for section, table in tables.items() for key, value in table.items()]


def _from_environment() -> list[tuple[str, str, Any, str]]:
    names = [name for name in sorted(os.environ) if name.startswith(PREFIX) and "__" in name]
    parts = [(name, name[len(PREFIX) :].lower().split("__", 1)) for name in names]
    return [(section, key, os.environ[name], name) for name, (section, key) in parts]


def _check(section: str, key: str, known: Mapping[str, set[str]], where: str) -> None:
    if section not in known:
        raise UsageError(f"{where}: there is no section {section!r}; {_nearest(section, known)}")
    if key not in known[section]:
        raise UsageError(f"{where}: section {section!r} has no setting {key!r}; {_nearest(key, known[section])}")


def _nearest(word: str, among: Mapping[str, set[str]] | set[str]) -> str:
    close = difflib.get_close_matches(word, list(among), n=1, cutoff=0.4)
    return f"did you mean {close[0]!r}?" if close else f"known are {', '.join(sorted(among))}"
