"""Puts the plugin's zips into a wheel when Maven has built them; `python3 dev.py wheel` does both."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface


class PluginZips(BuildHookInterface):
    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        if version == "editable":  # a checkout finds them where Maven puts them
            return
        for line in Path(self.root, "plugins", "elasticsearch", "lines").glob("*"):
            built = line / "target" / f"logmeta-{line.name}.zip"
            if built.is_file():
                build_data["force_include"][str(built)] = f"logmeta/elastic/zips/{built.name}"
