"""Kibana's saved objects for annotated lines, in Kibana's export format: `python plugins/kibana/objects.py`.

Writes logmeta.ndjson beside this file. Only types that have kept their format for years: data view, search,
aggregation-based visualization, dashboard. VERSIONS are the formats written here; Kibana migrates from there on import.
"""

from __future__ import annotations

import json
from pathlib import Path

FILE = Path(__file__).with_name("logmeta.ndjson")
LINES, ALARM_STREAM = "logmeta-lines", "logmeta-alarm-stream"
DATA_VIEWS = {LINES: "logs-*,-logs-logmeta.alarm-*", ALARM_STREAM: "logs-logmeta.alarm-*"}
VERSIONS = {"index-pattern": "8.0.0", "search": "7.9.3", "visualization": "8.5.0", "dashboard": "8.9.0"}
SOURCE = "kibanaSavedObjectMeta.searchSourceJSON.index"
COLUMNS = ["source", "stream", "severity", "score"]


def saved_object(kind, identity, attributes, references=()):
    """One line of an export."""
    return {
        "id": identity,
        "type": kind,
        "attributes": attributes,
        "references": list(references),
        "coreMigrationVersion": "8.8.0",
        "typeMigrationVersion": VERSIONS[kind],
        "managed": False,
    }


def data_view(identity, name):
    """Which indices, and which field is the time."""
    title = DATA_VIEWS[identity]
    return saved_object("index-pattern", identity, {"title": title, "name": name, "timeFieldName": "@timestamp"})


def search_source(query):
    """The query of a search or visualization, as Kibana nests it: JSON in a string."""
    body = {"query": {"query": query, "language": "kuery"}, "filter": [], "indexRefName": SOURCE}
    return {"searchSourceJSON": json.dumps(body)}


def of_view(view):
    """The reference of a search or visualization to its data view."""
    return [{"id": view, "name": SOURCE, "type": "index-pattern"}]


def search(identity, title, query, columns, view=LINES):
    """A Discover session; its time column stands first by itself."""
    attributes = {
        "title": title,
        "description": "",
        "columns": columns,
        "sort": [["@timestamp", "desc"]],
        "kibanaSavedObjectMeta": search_source(query),
    }
    return saved_object("search", identity, attributes, of_view(view))


def visualization(identity, title, kind, query, aggs, **params):
    """An aggregation-based chart of annotated lines."""
    state = {"title": title, "type": kind, "aggs": aggs, "params": {"type": kind, **params}}
    attributes = {
        "title": title,
        "description": "",
        "visState": json.dumps(state),
        "uiStateJSON": "{}",
        "kibanaSavedObjectMeta": search_source(query),
    }
    return saved_object("visualization", identity, attributes, of_view(LINES))


def agg(number, kind, schema, **params):
    """One metric or bucket of a chart."""
    return {"id": str(number), "enabled": True, "type": kind, "schema": schema, "params": params}


def count():
    return agg(1, "count", "metric")


def over_time(number=2):
    params = {"field": "@timestamp", "interval": "auto", "min_doc_count": 1, "useNormalizedEsInterval": True}
    return agg(number, "date_histogram", "segment", **params)


def top(number, field, schema, size, label):
    """The most frequent values of a keyword."""
    return agg(number, "terms", schema, field=field, size=size, order="desc", orderBy="1", customLabel=label)


def axes(kind, label, value_id="1", stacked=True):
    """What a chart over time needs: a time axis, a value axis, one kind of series."""
    series = {"show": True, "type": kind, "mode": "stacked" if stacked else "normal", "valueAxis": "ValueAxis-1"}
    bottom = {"id": "CategoryAxis-1", "type": "category", "position": "bottom", "show": True, "style": {}}
    left = {"id": "ValueAxis-1", "name": "LeftAxis-1", "type": "value", "position": "left", "show": True, "style": {}}
    labels = {"show": True, "filter": True, "truncate": 100}
    return {
        "grid": {"categoryLines": False},
        "categoryAxes": [{**bottom, "scale": {"type": "linear"}, "labels": labels, "title": {}}],
        "valueAxes": [{**left, "scale": {"type": "linear"}, "labels": labels, "title": {"text": label}}],
        "seriesParams": [{**series, "data": {"id": value_id, "label": label}, "lineWidth": 2, "showCircles": True}],
        "addTooltip": True,
        "addLegend": True,
        "legendPosition": "right",
        "detailedTooltip": True,
        "isVislibVis": True,
        "palette": {"type": "palette", "name": "default"},
    }


def table():
    return {"perPage": 10, "showPartialRows": False, "showMetricsAtAllLevels": False, "showToolbar": True}


def pie():
    labels = {"show": True, "values": True, "last_level": False, "valuesFormat": "percent", "truncate": 100}
    return {"addTooltip": True, "legendDisplay": "show", "legendPosition": "right", "isDonut": True, "labels": labels}


def charts():
    """The dashboard's charts, by identity."""
    by_source = top(3, "logmeta.source", "group", 10, "source")
    percentiles = agg(1, "percentiles", "metric", field="logmeta.score", percents=[50, 95, 99])
    return [
        visualization(
            "logmeta-alarms-over-time", "Alarms by source", "histogram", "logmeta.alarm: true",
            [count(), over_time(), by_source], **axes("histogram", "alarms"),
        ),
        visualization(
            "logmeta-status", "Lines by status", "pie", "logmeta.status: *",
            [count(), top(2, "logmeta.status", "segment", 5, "status")], **pie(),
        ),
        visualization(
            "logmeta-skipped", "Why lines were skipped", "histogram", "logmeta.status: skipped",
            [count(), over_time(), top(3, "logmeta.reason", "group", 12, "reason")], **axes("histogram", "lines"),
        ),
        visualization(
            "logmeta-new-templates", "New templates", "table", "logmeta.template.new: true",
            [
                count(),
                top(2, "logmeta.source", "bucket", 10, "source"),
                top(3, "logmeta.template.text", "bucket", 20, "template"),
            ], **table(),
        ),
        visualization(
            "logmeta-scores", "Score percentiles (0.5: alarm level)", "line", "logmeta.score: *",
            [percentiles, over_time()], **axes("line", "score", stacked=False), fittingFunction="zero",
        ),
    ]  # fmt: skip


def searches():
    """Discover sessions: all lines, alarms, the alarm stream."""
    columns = [f"logmeta.{name}" for name in COLUMNS]
    reasons = [*columns, "message", "logmeta.explanation.kind"]
    return [
        search("logmeta-search-lines", "logmeta: annotated lines", "logmeta.status: *", [*columns, "message"]),
        search("logmeta-search-alarms", "logmeta: alarms", "logmeta.alarm: true", reasons),
        search("logmeta-search-stream", "logmeta: alarm stream", "", ["rule.name", *reasons], view=ALARM_STREAM),
    ]


PANELS = [  # type, identity, place on a grid 48 wide
    ("visualization", "logmeta-alarms-over-time", (0, 0, 32, 12)),
    ("visualization", "logmeta-status", (32, 0, 16, 12)),
    ("search", "logmeta-search-alarms", (0, 12, 48, 16)),
    ("visualization", "logmeta-new-templates", (0, 28, 24, 14)),
    ("visualization", "logmeta-scores", (24, 28, 24, 14)),
    ("visualization", "logmeta-skipped", (0, 42, 48, 10)),
]


def panel(number, kind, place):
    """A panel names its object by a reference of the dashboard."""
    x, y, w, h = place
    grid = {"x": x, "y": y, "w": w, "h": h, "i": str(number)}
    config = {"enhancements": {}}
    named = {"panelIndex": str(number), "panelRefName": f"panel_{number}"}
    return {"type": kind, **named, "gridData": grid, "embeddableConfig": config}


def dashboard():
    """One page: what alarms, what was not scored, what is new, how scores run."""
    panels = [panel(number, kind, place) for number, (kind, _, place) in enumerate(PANELS, start=1)]
    options = {"useMargins": True, "syncColors": False, "syncCursor": True, "hidePanelTitles": False}
    attributes = {
        "title": "logmeta",
        "description": "Anomalous log lines by source, what was not scored and why, new templates, scores.",
        "panelsJSON": json.dumps(panels),
        "optionsJSON": json.dumps(options),
        "timeRestore": True,
        "timeFrom": "now-24h",
        "timeTo": "now",
        "refreshInterval": {"pause": True, "value": 60000},
        "version": 1,
        "kibanaSavedObjectMeta": {
            "searchSourceJSON": json.dumps({"query": {"query": "", "language": "kuery"}, "filter": []})
        },
    }
    references = [
        {"id": identity, "name": f"{number}:panel_{number}", "type": kind}
        for number, (kind, identity, _) in enumerate(PANELS, start=1)
    ]
    return saved_object("dashboard", "logmeta-dashboard", attributes, references)


def objects():
    """Everything, what is referred to first."""
    views = [data_view(LINES, "logmeta: annotated lines"), data_view(ALARM_STREAM, "logmeta: alarm stream")]
    return [*views, *searches(), *charts(), dashboard()]


def render():
    """The file's text."""
    return "".join(json.dumps(one, ensure_ascii=False, sort_keys=True) + "\n" for one in objects())


if __name__ == "__main__":
    FILE.write_text(render(), encoding="utf-8")
