"""`logmeta elastic setup` and `logmeta elastic teardown`: the plan first, then the changes."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from logmeta.elastic.commands.options import ApiKeyFile, Ca, Url, say, to_address

if TYPE_CHECKING:
    from collections.abc import Sequence

    from logmeta.elastic.client import Address
    from logmeta.elastic.setup import Step

Plan = Annotated[bool, typer.Option("--plan", help="Show what would change, and change nothing.")]
Yes = Annotated[bool, typer.Option("--yes", help="Do not ask on a terminal.")]


def setup(
    url: Url,
    api_key_file: ApiKeyFile = None,
    ca: Ca = None,
    source_field: Annotated[str, typer.Option(help="Field that names a document's source.")] = "data_stream.dataset",
    field: Annotated[list[str] | None, typer.Option(help="Field with the log line; may be repeated.")] = None,
    scorer_url: Annotated[list[str] | None, typer.Option(help="Scorer the nodes ask; repeat it for more.")] = None,
    plugin: Annotated[bool, typer.Option(help="The nodes have the plugin; without it, templates only.")] = True,
    detail: Annotated[
        Literal["all", "alarms"], typer.Option(help="alarms: ordinary lines carry little more than their score.")
    ] = "all",
    plan: Plan = False,
    yes: Yes = False,
) -> None:
    """Put templates, pipeline and the logs@custom hook into Elasticsearch; may be repeated."""
    from logmeta.elastic.client import check_version, connect
    from logmeta.elastic.setup import DEFAULT_FIELDS, Options, plan_setup

    address = to_address(url, api_key_file, ca)
    client = connect(address)
    check_version(client, address)
    options = Options(source_field, tuple(field or DEFAULT_FIELDS), tuple(scorer_url or ()), plugin, detail)
    _carry_out(plan_setup(client, address, options), address, only_show=plan, yes=yes)


def teardown(url: Url, api_key_file: ApiKeyFile = None, ca: Ca = None, plan: Plan = False, yes: Yes = False) -> None:
    """Take out what setup put, in the order in which nothing breaks; says what is left to do by hand."""
    from logmeta.elastic.client import check_version, connect
    from logmeta.elastic.setup import BY_HAND, plan_teardown

    address = to_address(url, api_key_file, ca)
    client = connect(address)
    check_version(client, address)
    _carry_out(plan_teardown(client, address), address, only_show=plan, yes=yes)
    say(["left to do by hand:", *BY_HAND])


def _carry_out(steps: Sequence[Step], address: Address, *, only_show: bool, yes: bool) -> None:
    """Show the plan; then, unless that was all that is wanted, make the changes."""
    from logmeta.elastic.setup import apply

    say([f"{step.change:7}{step.what}" for step in steps])
    changes = [step for step in steps if step.change != "keep"]
    if only_show or not changes:
        say([f"{len(changes)} changes" if changes else "nothing to change"])
        return
    if not yes and sys.stdin.isatty() and sys.stderr.isatty():
        typer.confirm(f"make these {len(changes)} changes?", abort=True, err=True)
    notes = apply(changes, address)
    say([f"made {len(changes)} changes", *notes])
