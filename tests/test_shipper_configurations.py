"""The shipper configurations as far as they can be read without their shippers."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
FOLDERS = {
    "rsyslog": ["rsyslog.conf"],
    "filebeat": ["filebeat.yml"],
    "logstash": ["logmeta.conf", "logstash.yml"],
    "fluent-bit": ["fluent-bit.yaml"],
    "vector": ["vector.toml"],
}
FILES = [ROOT / "plugins" / folder / name for folder, names in FOLDERS.items() for name in names]
TRIED = ("rsyslog", "filebeat")
VARIABLE = re.compile(r"\$\{?([A-Z][A-Z_]+)\}?")
PAGE = (ROOT / "docs" / "shippers.md").read_text(encoding="utf-8")


def text_of(folder: str) -> str:
    return "".join((ROOT / "plugins" / folder / name).read_text(encoding="utf-8") for name in FOLDERS[folder])


@pytest.mark.parametrize("file", [f for f in FILES if f.suffix in (".yml", ".yaml")], ids=lambda file: file.name)
def test_yaml_is_yaml(file):
    yaml = pytest.importorskip("yaml")
    assert isinstance(yaml.safe_load(file.read_text(encoding="utf-8")), dict)


def test_toml_is_toml():
    sinks = tomllib.loads(text_of("vector"))["sinks"]
    assert sinks["elasticsearch"]["request_retry_partial"] is True


@pytest.mark.parametrize("folder", FOLDERS)
def test_every_variable_is_explained(folder):
    explained = PAGE + (ROOT / "plugins" / folder / "README.md").read_text(encoding="utf-8")
    assert {name for name in VARIABLE.findall(text_of(folder)) if f"`{name}`" not in explained} == set()


@pytest.mark.parametrize("folder", FOLDERS)
def test_each_ships_to_the_data_stream_with_what_makes_a_stream(folder):
    text = text_of(folder)
    assert {"ES_API_KEY", "LOG_FILE", "SERVICE_NAME", "DATASET", "NAMESPACE", "ES_CA"} <= set(VARIABLE.findall(text))
    assert "host" in text and "service" in text and "9201" in text


@pytest.mark.parametrize("folder", [folder for folder in FOLDERS if folder not in TRIED])
def test_what_nobody_tried_says_so_first(folder):
    readme = (ROOT / "plugins" / folder / "README.md").read_text(encoding="utf-8")
    assert "untried" in readme.splitlines()[0]
    assert re.search(rf"\| \[[^\]]+\]\(\.\./plugins/{folder}/README\.md\) \| \*\*untried\*\*", PAGE)
