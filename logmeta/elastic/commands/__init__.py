"""`logmeta elastic ...`: one module per command."""

from __future__ import annotations

import typer

from logmeta.elastic.commands.alarms import alarms
from logmeta.elastic.commands.annotate import annotate
from logmeta.elastic.commands.doctor import doctor
from logmeta.elastic.commands.feedback import feedback
from logmeta.elastic.commands.plugin import plugin
from logmeta.elastic.commands.proxy import proxy
from logmeta.elastic.commands.setup import setup, teardown

elastic = typer.Typer(help="Annotate log documents in Elasticsearch.", no_args_is_help=True)

_PLUGIN = "Example: logmeta elastic plugin --es-version 9.5.3 --out logmeta.zip"
_SETUP = "Example: logmeta elastic setup --url http://localhost:9200 --scorer-url http://scorer:9750"
_TEARDOWN = "Example: logmeta elastic teardown --url http://localhost:9200 --plan"
_DOCTOR = "Example: logmeta elastic doctor --url http://localhost:9200"
_ANNOTATE = (
    "Example: logmeta elastic annotate app.log --detector detectors/app --url http://localhost:9200\n\n"
    "Example: logmeta elastic annotate --from logs-app-default --url http://localhost:9200 --checkpoint app.checkpoint"
)
_ALARMS = "Example: logmeta elastic alarms --from 'logs-*' --url http://localhost:9200 --checkpoint alarms.checkpoint"
_FEEDBACK = "Example: logmeta elastic feedback --from 'logs-*' --url http://localhost:9200 --once"
_PROXY = "Example: logmeta elastic proxy --url https://elasticsearch:9200 --ca ca.pem --listen 0.0.0.0:9201"

elastic.command(epilog=_PLUGIN)(plugin)
elastic.command(epilog=_SETUP)(setup)
elastic.command(epilog=_TEARDOWN)(teardown)
elastic.command(epilog=_DOCTOR)(doctor)
elastic.command(epilog=_ANNOTATE)(annotate)
elastic.command(epilog=_ALARMS)(alarms)
elastic.command(epilog=_FEEDBACK)(feedback)
elastic.command(epilog=_PROXY)(proxy)
