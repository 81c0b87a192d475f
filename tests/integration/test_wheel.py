"""A wheel brings the plugin: its command stamps zips without a checkout, a JDK or Maven."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest
from conftest import unavailable

from logmeta.elastic.plugin import DESCRIPTOR, build_plugin

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def installed(plugin_zips, tmp_path_factory):
    """The wheel's content, as it would lie in site-packages."""
    uv = next(filter(None, map(shutil.which, (str(ROOT / ".tools" / "bin" / "uv"), "uv"))), None)
    if uv is None:
        unavailable("uv is neither in .tools nor on the PATH")
    folder = tmp_path_factory.mktemp("wheel")
    subprocess.run([uv, "build", "--quiet", "--wheel", "--out-dir", str(folder)], cwd=ROOT, check=True, timeout=300)
    [wheel] = folder.glob("*.whl")
    with zipfile.ZipFile(wheel) as packed:
        packed.extractall(folder / "site-packages")
    return folder / "site-packages"


def test_the_page_is_in_the_wheel_as_it_lies_in_the_checkout(installed):
    page = ROOT / "logmeta" / "serve" / "console"
    assert {path.name for path in page.iterdir()} == {
        path.name for path in (installed / "logmeta/serve/console").iterdir()
    }


def write(installed, version, out):
    """`logmeta elastic plugin` of the installed package, with no program on the PATH."""
    command = [sys.executable, "-m", "logmeta.cli", "elastic", "plugin", "--es-version", version, "--out", str(out)]
    bare = {"PATH": "/nonexistent", "PYTHONPATH": str(installed), "HOME": os.environ.get("HOME", "/")}
    return subprocess.run(command, cwd=out.parent, env=bare, capture_output=True, text=True, timeout=120, check=False)


@pytest.mark.parametrize("version", ["8.19.9", "9.1.0", "9.5.3"])
def test_the_installed_command_writes_what_a_checkout_writes(installed, tmp_path, version):
    done = write(installed, version, tmp_path / "logmeta.zip")
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "logmeta.zip").read_bytes() == build_plugin(version).read_bytes()
    with zipfile.ZipFile(tmp_path / "logmeta.zip") as zipped:
        assert f"elasticsearch.version={version}\n" in zipped.read(DESCRIPTOR).decode()


def test_a_release_nobody_tests_is_warned_of_and_one_that_is_tested_is_not(installed, tmp_path):
    assert "warning: not tested on 9.5.1" in write(installed, "9.5.1", tmp_path / "logmeta.zip").stderr
    assert "warning" not in write(installed, "9.5.3", tmp_path / "logmeta.zip").stderr


def test_a_release_that_is_not_served_is_a_usage_error_and_writes_nothing(installed, tmp_path):
    done = write(installed, "9.0.4", tmp_path / "logmeta.zip")
    assert done.returncode == 2
    assert "9.0.4 is not served" in done.stderr and "Traceback" not in done.stderr
    assert list(tmp_path.iterdir()) == []


def test_a_wheel_without_zips_says_what_to_do(installed, tmp_path):
    shutil.copytree(installed, tmp_path / "bare", ignore=shutil.ignore_patterns("zips", "pretrained", "demo_data"))
    done = write(tmp_path / "bare", "9.5.3", tmp_path / "logmeta.zip")
    assert done.returncode == 5
    assert "dev.py wheel" in done.stderr
