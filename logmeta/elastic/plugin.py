"""The plugin's zips: found where Maven puts them, built when they are missing or older than their sources."""

from __future__ import annotations

from pathlib import Path

from logmeta.elastic.jdk import maven
from logmeta.errors import BackendError

PROJECT = Path(__file__).resolve().parents[2] / "plugins" / "elasticsearch"


def build_plugin(project: Path = PROJECT) -> Path:
    """The zip of the ingest plugin, up to date with its sources. Raises BackendError when it cannot be built."""
    return _built(project, "plugin")


def build_testsupport(project: Path = PROJECT) -> Path:
    """The zip of the plugin that gives the minimal distribution `GET /`. Raises BackendError."""
    return _built(project, "testsupport")


def _built(project: Path, module: str) -> Path:
    if not (project / "pom.xml").is_file():
        raise BackendError(f"no plugin sources at {project}; run this from a checkout of logmeta")
    if not _is_fresh(project, module):
        maven(["package", "-DskipTests"], folder=project)
    found = _zip(project, module)
    if found is None:
        raise BackendError(f"Maven wrote no zip in {project / module / 'target'}; run mvn package there and look")
    return found


def _zip(project: Path, module: str) -> Path | None:
    return max((project / module / "target").glob("*.zip"), key=_age, default=None)


def _is_fresh(project: Path, module: str) -> bool:
    found = _zip(project, module)
    poms = [project / "pom.xml", project / module / "pom.xml", *project.glob("*.xml")]
    sources = [path for path in (project / module / "src" / "main").rglob("*") if path.is_file()]
    return found is not None and all(_age(path) <= _age(found) for path in [*poms, *sources])


def _age(path: Path) -> float:
    return path.stat().st_mtime
