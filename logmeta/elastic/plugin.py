"""The plugin's zips: built by Maven once per API line, stamped here for a release.

A node takes a plugin only when the descriptor names the node's own version, to the patch. The jar is not tied so
tightly: one per API line serves every release of it, so a stamp is a line of text and needs no JDK.
"""

from __future__ import annotations

import re
import zipfile
from pathlib import Path

from logmeta.elastic.jdk import maven
from logmeta.elastic.lines import line_of
from logmeta.elastic.node import VERSION
from logmeta.errors import BackendError, UsageError

PROJECT = Path(__file__).resolve().parents[2] / "plugins" / "elasticsearch"
PACKAGED = Path(__file__).resolve().parent / "zips"
DESCRIPTOR = "plugin-descriptor.properties"


def write_plugin(version: str, out: Path) -> None:
    """Write the ingest plugin's zip for one release of Elasticsearch.

    In a checkout the jars are built first when they are missing or stale; a wheel brings them.

    Raises:
        UsageError: a release that is not served, or a place that cannot be written.
        BackendError: there are no jars, and none can be built.
    """
    stamp(_unstamped(version, ""), version, out)


def build_plugin(version: str = VERSION) -> Path:
    """The ingest plugin for a node of this version, up to date with its sources. Raises as `write_plugin`."""
    return _stamped_beside(version, "")


def build_testsupport(version: str = VERSION) -> Path:
    """The plugin that gives the minimal distribution `GET /`; in a checkout only. Raises as `write_plugin`."""
    return _stamped_beside(version, "-testsupport")


def stamp(unstamped: Path, version: str, out: Path) -> None:
    """Copy a plugin's zip with another `elasticsearch.version`: equal input, equal bytes. Raises as `write_plugin`."""
    beside = out.with_name(out.name + ".part")
    try:
        with zipfile.ZipFile(unstamped) as old, zipfile.ZipFile(beside, "w") as new:
            for entry in old.infolist():
                content = old.read(entry)
                new.writestr(entry, _named(content, version) if entry.filename == DESCRIPTOR else content)
        beside.replace(out)
    except zipfile.BadZipFile as error:
        raise BackendError(f"{unstamped} is damaged: {error}; remove it, then build or install again") from error
    except OSError as error:
        raise UsageError(f"cannot write {out}: {error}; give a file in a folder that is there with --out") from error


def _named(descriptor: bytes, version: str) -> bytes:
    return re.sub(rb"(?m)^elasticsearch\.version=.*$", b"elasticsearch.version=" + version.encode(), descriptor)


def _stamped_beside(version: str, kind: str) -> Path:
    unstamped = _unstamped(version, kind)
    out = unstamped.parent / "stamped" / f"logmeta{kind}-{version}.zip"
    out.parent.mkdir(exist_ok=True)
    stamp(unstamped, version, out)
    return out


def _unstamped(version: str, kind: str) -> Path:
    line = line_of(version)
    if not (PROJECT / "pom.xml").is_file():
        return _packaged(line, kind)
    found = PROJECT / "lines" / line / "target" / f"logmeta-{line}{kind}.zip"
    if not _is_fresh(found):
        maven(["package", "-DskipTests"], folder=PROJECT)
        if not found.is_file():
            raise BackendError(f"Maven wrote no {found}; run mvn package in {PROJECT} and look")
        found.touch()  # Maven leaves alone what would not change
    return found


def _packaged(line: str, kind: str) -> Path:
    found = PACKAGED / f"logmeta-{line}{kind}.zip"
    if not found.is_file():
        raise BackendError(
            f"no {found.name} in this installation; install a wheel made by `python3 dev.py wheel`, or use a checkout"
        )
    return found


def _is_fresh(built: Path) -> bool:
    folders = [PROJECT / "compat", *(PROJECT / module for module in ("plugin", "testsupport"))]
    sources = [path for folder in folders for path in folder.rglob("*") if path.is_file() and "test" not in path.parts]
    poms = [PROJECT / "pom.xml", *PROJECT.glob("lines/*/pom.xml")]
    return built.is_file() and all(_age(path) <= _age(built) for path in (*sources, *poms))


def _age(path: Path) -> float:
    return path.stat().st_mtime
