"""A month in the life of a source at a running scorer: ordinary days, incidents, feedback, a deploy, an attack, a bad
version and the way back. Time is accelerated: lines come as fast as they are scored."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import httpx
from deploys import new_version

from logmeta.datasets.draws import records
from logmeta.datasets.labelled import Incident, LabelledSet
from logmeta.records import LogRecord

SUPPORT, ORDINARY, SETTLED = 200, 1_500, 500
DRIPPED, DRIP_EVERY = 4_500, 100
BATCH = 50
APART = 30
CLICKS, FEWEST_LINES = 5, 50
LEVEL = 0.5  # a score at the alarm level
Verdict = dict[str, Any]


@dataclass
class Month:
    """One source's month. Every step returns its figures; `run` goes through all of them.

    `bad` are lines of other systems' incidents, of which the attacker takes those that alarm.
    """

    api: httpx.Client
    data: LabelledSet
    bad: Sequence[str]
    budget_per_day: float = 10.0
    answered: int = 0
    sent: int = 0
    lines: list[LogRecord] = field(default_factory=list)

    def run(self) -> dict[str, Any]:
        self.lines = records(self.data.ordinary)
        renew = new_version(self.lines, 0)
        told: dict[str, Any] = {"system": self.data.name, "sha256": self.data.sha256, "onboarded": self._onboard()}
        told["ordinary days"] = self._ordinary(self._later(0), lambda line: line)
        first, second = self._halves()
        told["incidents before"] = self._incidents(*first, lambda line: line)
        told["feedback"] = self._feedback()
        told["deploy"] = self._ordinary(self._later(1), renew)
        told["incidents behind the deploy"] = self._incidents(*second, renew)
        told["incidents there without a deploy"] = self._without_deploy(second)
        told["attack"] = self._attack(renew)
        told["bad version"] = self._bad_version()
        told["lines"] = {"sent": self.sent, "answered": self.answered}
        told["standing"] = self._standing()
        return told

    @property
    def source(self) -> str:
        return self.data.name

    def _onboard(self) -> dict[str, Any]:
        made = self._onboarded(self.source, self.lines[:SUPPORT])
        changed = self.api.patch(f"/v1/detectors/{self.source}", json={"response": "absorb", "by": "ada"})
        assert changed.status_code == 200, changed.text
        return {"lines": SUPPORT, "provisional": made["summary"]["provisional"]}

    def _onboarded(self, source: str, lines: Sequence[LogRecord]) -> dict[str, Any]:
        body = {"source": source, "lines": [line.text for line in lines], "budget_per_day": self.budget_per_day}
        made = self.api.post("/v1/detectors", json=body)
        assert made.status_code == 201, made.text
        return made.json()

    def _later(self, half: int) -> list[LogRecord]:
        """Ordinary lines behind the support: those before the deploy, or those behind it."""
        later = self.lines[SUPPORT : SUPPORT + 2 * ORDINARY]
        middle = len(later) // 2
        return later[middle:] if half else later[:middle]

    def _halves(self) -> tuple[tuple[list[LogRecord], list[Incident]], tuple[list[LogRecord], list[Incident]]]:
        """The test lines in two parts with their incidents, each renumbered from 1, cut between incidents."""
        test = records(self.data.test)[:12_000]
        known = [span for span in self.data.incidents if span.last <= len(test)]
        cut = known[len(known) // 2 - 1].last if len(known) > 1 else len(test)
        late = [
            Incident(s.first - cut, s.last - cut, s.kind, s.keyword_free, s.silent, None)
            for s in known
            if s.first > cut
        ]
        return (test[:cut], [span for span in known if span.last <= cut]), (test[cut:], late)

    def _send(self, lines: Sequence[LogRecord], source: str | None = None) -> list[Verdict]:
        found: list[Verdict] = []
        for start in range(0, len(lines), BATCH):
            documents = [
                {
                    "source": source or self.source,
                    "message": line.text,
                    **({"stream": line.stream} if line.stream else {}),
                }
                for line in lines[start : start + BATCH]
            ]
            answer = self.api.post("/v1/score", json={"documents": documents, "explain": "alarms"})
            assert answer.status_code == 200, answer.text
            found += answer.json()["results"]
            self._await_version(source or self.source)
        self.sent += len(lines)
        self.answered += sum(verdict["status"] in ("scored", "late") for verdict in found)
        return found

    def _await_version(self, source: str) -> None:
        """In life fifty lines take longer than trying a version on canary lines."""
        while self.api.get(f"/v1/detectors/{source}").json()["trying"]:
            time.sleep(0.1)

    def _ordinary(self, lines: Sequence[LogRecord], renew: Callable[[LogRecord], LogRecord]) -> dict[str, Any]:
        """Ordinary days; counted from 500 lines on, when a new normal must have become known."""
        renewed = [renew(line) for line in lines]
        found = self._send(renewed[:SETTLED])
        settled = self._send(renewed[SETTLED:])
        return {
            "lines": len(settled),
            "alarms": sum(verdict["alarm"] for verdict in settled),
            "anomalous_lines": sum("alarm_id" in verdict for verdict in settled),
            "anomalous_lines_at_first": sum("alarm_id" in verdict for verdict in found),
            "absorbed": len(self._words()["absorbed"]),
        }

    def _incidents(
        self, lines: Sequence[LogRecord], spans: Sequence[Incident], renew: Callable[[LogRecord], LogRecord],
        source: str | None = None,
    ) -> dict[str, Any]:  # fmt: skip
        news = [_is_news(verdict) for verdict in self._send([renew(line) for line in lines], source)]
        return {"incidents": len(spans), "found": sum(any(news[s.first - 1 : s.last]) for s in spans)}

    def _without_deploy(self, second: tuple[list[LogRecord], list[Incident]]) -> dict[str, Any]:
        """The same incidents for a detector of the same lines that never saw a deploy."""
        twin = f"{self.source}-without-a-deploy"
        self._onboarded(twin, self.lines[:SUPPORT])
        self._send(self._later(0), twin)
        return self._incidents(*second, lambda line: line, source=twin)

    def _feedback(self) -> dict[str, Any]:
        """Five clicks of "not an anomaly" at most, on alarms of different templates; the last one is taken back."""
        alarms = self.api.get("/v1/alarms", params={"source": self.source, "limit": 50}).json()["alarms"]
        templates = {alarm["template_id"]: alarm for alarm in alarms}
        ids = [
            self.api.post("/v1/feedback", json={"alarm_id": alarm["alarm_id"], "anomalous": False, "by": "ada"}).json()
            for alarm in list(templates.values())[:CLICKS]
        ]
        if ids:
            undone = {"source": self.source, "id": ids[-1]["label"]["id"], "by": "ben"}
            assert self.api.post("/v1/feedback/undo", json=undone).status_code == 200
        return {"alarms": len(alarms), "clicks": len(ids), "labels": len(self._words()["labels"])}

    def _attack(self, renew: Callable[[LogRecord], LogRecord]) -> dict[str, Any]:
        """One line in a hundred is bad: do the later ones carry an alarm as the first ones did?"""
        loud = self._loud()
        if not loud:
            return {"bad_lines": 0}
        ordinary, lines = [renew(line) for line in self.lines[SUPPORT:]], []
        for n in range(DRIPPED):
            line = ordinary[n % len(ordinary)]
            is_bad = n % DRIP_EVERY == DRIP_EVERY - 1
            lines.append(LogRecord(n, loud[n // DRIP_EVERY % len(loud)], line.stream) if is_bad else line)
        known = set(loud)
        found = self._send(lines)
        carry = ["alarm_id" in v for line, v in zip(lines, found, strict=True) if line.text in known]
        third = max(1, len(carry) // 3)
        first, last = carry[:third], carry[-third:]
        return {"bad_lines": len(carry), "first": round(sum(first) / third, 3), "last": round(sum(last) / third, 3)}

    def _loud(self) -> list[str]:
        """Bad lines that are anomalous to a fresh detector of the source."""
        twin = f"{self.source}-attacked"
        self._onboarded(twin, self.lines[:SUPPORT])
        self._send(self.lines[SUPPORT : SUPPORT + ORDINARY], twin)
        ordinary = self.lines[SUPPORT : SUPPORT + APART]
        tried = self._send([line for text in self.bad for line in (*ordinary, LogRecord(0, text))], twin)
        return [text for text, verdict in zip(self.bad, tried[APART :: APART + 1], strict=True) if _is_news(verdict)][
            :CLICKS
        ]

    def _bad_version(self) -> dict[str, Any]:
        """A version of other lines is refused by the guard, forced by an operator, and rolled back."""
        before = self._standing()["current"]
        ordinary = self._send(self._later(0)[:FEWEST_LINES])
        poisoned = [LogRecord(n, text) for n, text in enumerate(self.bad[:SUPPORT])]
        candidate = self._onboarded(self.source, poisoned)["version"]
        back = self._patch({"current": before, "by": "ada"})
        assert back.status_code == 200, back.text
        tried = self._patch({"shadow": candidate, "by": "ada"})
        assert tried.status_code == 200, tried.text
        refused = self._patch({"promote": True, "by": "ada"})
        forced = self._patch({"promote": True, "force": True, "by": "ada"})
        assert forced.status_code == 200, forced.text
        self._send(self._later(0)[:FEWEST_LINES])
        assert self._patch({"current": before, "by": "ada"}).status_code == 200
        again = self._send(self._later(0)[:FEWEST_LINES])
        same = [(a["template"]["id"], b["template"]["id"]) for a, b in zip(ordinary, again, strict=True)]
        return {
            "guard": refused.status_code,
            "reason": refused.json().get("error", {}).get("reason", ""),
            "rolled_back_to": before,
            "current": self._standing()["current"],
            "lines_parsed_as_before": sum(a == b for a, b in same),
        }

    def _patch(self, decision: dict[str, Any]) -> httpx.Response:
        return self.api.patch(f"/v1/detectors/{self.source}", json=decision)

    def _words(self) -> dict[str, Any]:
        return self.api.get("/v1/labels", params={"source": self.source}).json()

    def _standing(self) -> dict[str, Any]:
        entry = self.api.get(f"/v1/detectors/{self.source}").json()
        why = [info["why"] for info in entry["lineage"]]
        return {"current": entry["current"], "versions": why}


def _is_news(verdict: Verdict) -> bool:
    """Whether a line is anomalous and no mere repetition of an earlier alarm's."""
    return "alarm_id" in verdict and verdict["score"] >= LEVEL
