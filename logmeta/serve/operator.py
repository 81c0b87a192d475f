"""`logmeta sources ...`: what an operator does with the sources of a running scorer, over its HTTP API."""

from __future__ import annotations

import getpass
import json
import sys
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any
from urllib.parse import quote

import typer

from logmeta.config import SCORER_URL
from logmeta.elastic.secrets import SCORER_TOKEN_ENV, read_secret
from logmeta.errors import BackendError, UsageError
from logmeta.registry import Response

if TYPE_CHECKING:
    from rich.table import Table

TIMEOUT_S = 30.0
sources = typer.Typer(help="See and steer the sources of a running scorer.", no_args_is_help=True)

Source = Annotated[str, typer.Argument(help="Name of the source.")]
ScorerUrl = Annotated[str, typer.Option(help="The scorer.")]
TokenFile = Annotated[Path | None, typer.Option(help=f"File with its bearer token (or set {SCORER_TOKEN_ENV}).")]
By = Annotated[str | None, typer.Option(help="Who decides; default: your user name.")]


@sources.command("list", epilog="Example: logmeta sources list --json | jq '.[] | select(.standing.waiting)'")
def list_sources(
    scorer_url: ScorerUrl = SCORER_URL,
    token_file: TokenFile = None,
    as_json: Annotated[bool, typer.Option("--json", help="As JSON instead of a table.")] = False,
) -> None:
    """Every source: its status, versions, lines it was made from, and its alarms a day beside the budget."""
    entries = _ask(scorer_url, token_file, "/v1/detectors")["detectors"]
    if as_json:
        typer.echo(json.dumps(entries, indent=2))
        return
    from rich.console import Console

    Console(file=sys.stdout, width=None if sys.stdout.isatty() else 140).print(_table(entries))


@sources.command(epilog="Example: logmeta sources pin payments --version 3")
def pin(
    source: Source,
    version: Annotated[str | None, typer.Option(help="Version to pin; default: the current one.")] = None,
    scorer_url: ScorerUrl = SCORER_URL,
    token_file: TokenFile = None,
    by: By = None,
) -> None:
    """Keep a source at one version: nothing that runs by itself replaces it."""
    _decide(scorer_url, token_file, source, by, pinned=True, **({"current": version} if version else {}))


@sources.command(epilog="Example: logmeta sources use payments 2")
def use(
    source: Source,
    version: Annotated[str, typer.Argument(help="Version to go (back) to.")],
    scorer_url: ScorerUrl = SCORER_URL,
    token_file: TokenFile = None,
    by: By = None,
) -> None:
    """Make another version the current one."""
    _decide(scorer_url, token_file, source, by, current=version)


@sources.command(epilog="Example: logmeta sources versions payments")
def versions(
    source: Source,
    scorer_url: ScorerUrl = SCORER_URL,
    token_file: TokenFile = None,
    as_json: Annotated[bool, typer.Option("--json", help="As JSON instead of a table.")] = False,
) -> None:
    """Where each version of a source's detector comes from, and which are kept."""
    from logmeta.lineage import VersionInfo, print_lineage

    entry = _ask(scorer_url, token_file, f"/v1/detectors/{quote(source, safe='')}")
    print_lineage([VersionInfo.from_dict(info) for info in entry["lineage"]], entry["current"], as_json=as_json)


@sources.command(epilog="Example: logmeta sources shadow payments 7 && logmeta sources shadow payments")
def shadow(
    source: Source,
    version: Annotated[str | None, typer.Argument(help="Version to try; without it, what came of it so far.")] = None,
    off: Annotated[bool, typer.Option("--off", help="Try no version any more.")] = False,
    scorer_url: ScorerUrl = SCORER_URL,
    token_file: TokenFile = None,
    by: By = None,
) -> None:
    """Let a version score beside the one in use, and see (as JSON) what would change."""
    if version is not None and off:
        raise UsageError("give a version to try, or --off, not both")
    if version is not None or off:
        _decide(scorer_url, token_file, source, by, shadow=version)
        return
    entry = _ask(scorer_url, token_file, f"/v1/detectors/{quote(source, safe='')}")
    typer.echo(json.dumps(entry["shadow"], indent=2))


@sources.command(epilog="Example: logmeta sources promote payments")
def promote(
    source: Source,
    force: Annotated[bool, typer.Option("--force", help="Even if it falls behind the version in use.")] = False,
    scorer_url: ScorerUrl = SCORER_URL,
    token_file: TokenFile = None,
    by: By = None,
) -> None:
    """Put the version into use that is tried beside the present one (or waits), unless it falls behind."""
    _decide(scorer_url, token_file, source, by, promote=True, **({"force": True} if force else {}))


@sources.command(epilog="Example: logmeta sources feedback payments --alarm 0f3c9a7be2d14c55 --normal")
def feedback(
    source: Source,
    alarm: Annotated[str | None, typer.Option(help="Alarm that the word is on: its alarm_id.")] = None,
    anomaly: Annotated[
        bool | None, typer.Option("--anomaly/--normal", help="It was an anomaly, or was not.", show_default=False)
    ] = None,
    undo: Annotated[str | None, typer.Option(help="Take back the label of this id instead.")] = None,
    list_: Annotated[bool, typer.Option("--list", help="The source's labels as JSON lines instead.")] = False,
    scorer_url: ScorerUrl = SCORER_URL,
    token_file: TokenFile = None,
    by: By = None,
) -> None:
    """Say that an alarm was none, or was one; take a word back; or list what was said."""
    if [alarm is not None, undo is not None, list_].count(True) != 1 or (alarm is None) != (anomaly is None):
        raise UsageError("feedback needs --alarm ID with --normal or --anomaly, or --undo ID, or --list")
    if list_:
        for label in _ask(scorer_url, token_file, f"/v1/labels?source={quote(source, safe='')}")["labels"]:
            typer.echo(json.dumps(label))
        return
    body: dict[str, Any] = {"source": source, "id": undo}
    if alarm is not None:
        _check_alarm(scorer_url, token_file, source, alarm)
        body = {"alarm_id": alarm, "anomalous": anomaly}
    path, body["by"] = "/v1/feedback/undo" if alarm is None else "/v1/feedback", by or getpass.getuser()
    done = _ask(scorer_url, token_file, path, body, method="POST")
    typer.echo("\n".join(_told(done, is_undo=alarm is None)), err=True)


def _check_alarm(url: str, token_file: Path | None, source: str, alarm: str) -> None:
    """Raises UsageError when the alarm is another source's."""
    found = _ask(url, token_file, f"/v1/alarms/{quote(alarm, safe='')}")["source"]
    if found != source:
        raise UsageError(f"alarm {alarm!r} is of source {found!r}, not {source!r}; correct one of them")


def _told(done: dict[str, Any], *, is_undo: bool) -> Iterator[str]:
    """What a word has done, in words."""
    label = done["label"]
    word = "withdrawn" if is_undo else "an anomaly" if label["anomalous"] else "not an anomaly"
    yield f"{done['source']}: {word}: {label['template']!r} (label {label['id']}), version {done['version']}"
    for gone in done["withdrawn"] if not is_undo else ():
        yield f"withdrawn, since it says the opposite: label {gone['id']} of {gone['by'] or 'nobody named'}"
    if "warning" in done:
        yield f"note: by this word it falls behind what it was: {done['warning']}"


@sources.command(epilog="Example: logmeta sources respond payments absorb")
def respond(
    source: Source,
    response: Annotated[Response, typer.Argument(help="What to do about drift.")],
    scorer_url: ScorerUrl = SCORER_URL,
    token_file: TokenFile = None,
    by: By = None,
) -> None:
    """Choose what is done about drift: tell only, calibrate anew, absorb what a deploy changed, or learn anew."""
    _decide(scorer_url, token_file, source, by, response=response)


def _switch(name: str, words: str, **decision: bool) -> None:
    """A command that sets one flag of a source."""

    def command(
        source: Source, scorer_url: ScorerUrl = SCORER_URL, token_file: TokenFile = None, by: By = None
    ) -> None:
        _decide(scorer_url, token_file, source, by, **decision)

    sources.command(name, help=words, epilog=f"Example: logmeta sources {name} payments")(command)


_switch("approve", "Put the detector that waits for approval into use, or mark the current one.", approved=True)
_switch("unpin", "Let a pinned source be refreshed again.", pinned=False)
_switch("disable", "Stop scoring a source; its documents are indexed as skipped, reason disabled.", disabled=True)
_switch("enable", "Score a disabled source again.", disabled=False)
_switch("relearn", "Make a new version from the next lines; the present one scores until then.", relearn=True)


def status_of(entry: dict[str, Any]) -> str:
    """One word for where a source stands."""
    standing, summary = entry["standing"], entry["summary"]
    if standing["disabled"]:
        return "disabled"
    if entry["current"] is None:
        return "awaiting approval" if standing["waiting"] else "learning"
    marks = [word for word, is_so in (("pinned", standing["pinned"]), ("relearning", standing["relearn"])) if is_so]
    if summary is None:  # no line of it came since the scorer started
        return ", ".join(["ready", *marks])
    return ", ".join(["provisional" if summary["provisional"] else "scored", *marks])


def _table(entries: list[dict[str, Any]]) -> Table:
    from rich.table import Table

    table = Table(
        "source", "status", "version", "of", "made from", "alarms a day", "budget", "drift", "decided by", box=None
    )
    for entry in entries:
        summary, standing = entry["summary"] or {}, entry["standing"]
        made_from = summary.get("lines_used") or entry["learning_lines"]
        table.add_row(
            entry["source"],
            status_of(entry),
            entry["current"] or "-",
            str(len(entry["versions"])),
            f"{made_from} lines" if made_from else "-",
            "-" if entry["alarms_per_day"] is None else f"{entry['alarms_per_day']:.1f}",
            f"{summary['alarm_budget_per_day']:g}" if summary else "-",
            entry["drift"]["kind"] if entry.get("drift") else "-",
            f"{standing['by']}, {standing['at'][:16]}" if standing["by"] else "-",
        )
    return table


def _decide(url: str, token_file: Path | None, source: str, by: str | None, **decision: Any) -> None:
    body = {**decision, "by": by or getpass.getuser()}
    entry = _ask(url, token_file, f"/v1/detectors/{quote(source, safe='')}", body)
    typer.echo(f"{source}: {status_of(entry)}, version {entry['current'] or 'none'}", err=True)


def _ask(
    url: str, token_file: Path | None, path: str, body: dict[str, Any] | None = None, *, method: str = "PATCH"
) -> dict[str, Any]:
    """The scorer's answer. Raises UsageError when it refuses, BackendError when it does not answer."""
    token = read_secret(token_file, SCORER_TOKEN_ENV)
    headers = {"Content-Type": "application/json", **({"Authorization": f"Bearer {token}"} if token else {})}
    data = None if body is None else json.dumps(body).encode()
    try:
        request = urllib.request.Request(
            url.rstrip("/") + path, data, headers, method="GET" if body is None else method
        )
        with urllib.request.urlopen(request, timeout=TIMEOUT_S) as answer:
            found: dict[str, Any] = json.load(answer)
    except urllib.error.HTTPError as error:
        raise _refusal(url, error) from error
    except (OSError, ValueError) as error:
        reason = getattr(error, "reason", error)
        raise BackendError(f"no scorer answers at {url}: {reason}; start it, or correct --scorer-url") from error
    return found


def _refusal(url: str, error: urllib.error.HTTPError) -> UsageError | BackendError:
    if error.code == 401:
        return BackendError(f"the scorer at {url} refused the token; give it with --token-file")
    try:
        reason = json.load(error)["error"]["reason"]
    except (ValueError, KeyError, TypeError):
        reason = f"what answers {error.code} at {url} is no scorer; correct --scorer-url"
    return BackendError(reason) if error.code >= 500 else UsageError(reason)
