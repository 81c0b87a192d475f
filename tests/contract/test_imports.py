"""What a plain import and a help page cost: no torch, and an example on every page."""

from __future__ import annotations

import subprocess
import sys

import pytest
import typer

from logmeta.cli import app

HEAVY = {"torch", "transformers", "numpy", "drain3", "elasticsearch", "learn2learn", "starlette", "uvicorn"}


def commands(command, name="logmeta"):
    """(words to type, command) of a command and everything below it."""
    yield name.split()[1:], command
    for word, sub in getattr(command, "commands", {}).items():
        yield from commands(sub, f"{name} {word}")


ALL = list(commands(typer.main.get_command(app)))


def test_the_help_page_imports_nothing_heavy():
    code = (
        "import sys; sys.argv = ['logmeta', '--help']\n"
        "from logmeta.cli import main\n"
        "try:\n    main()\nexcept SystemExit as done:\n    assert not done.code\n"
        f"print('HEAVY', sorted({HEAVY!r} & set(sys.modules)), file=sys.stderr)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stderr.strip() == "HEAVY []"
    assert "onboard" in done.stdout


def test_the_commands_of_the_contract_are_there():
    assert {"onboard", "score", "explain", "inspect", "serve", "demo", "elastic"} <= {w[0] for w, _ in ALL if w}


@pytest.mark.parametrize(("words", "command"), ALL, ids=[" ".join(words) or "logmeta" for words, _ in ALL])
def test_every_help_page_has_a_sentence_and_an_example(words, command):
    assert command.help
    assert f"logmeta {' '.join(words)}".strip() in (command.epilog or command.help)


def test_every_option_says_what_it_is_for():
    silent = [
        f"{' '.join(words)} {option.opts[0]}"
        for words, command in ALL
        for option in command.params
        if option.param_type_name == "option" and not option.help
    ]
    assert silent == []
