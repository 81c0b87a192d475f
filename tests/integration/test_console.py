"""The page at `/`: a real scorer, a real Chromium. A page may ask its scorer only, and must complain of nothing."""

from __future__ import annotations

import os
import re
import time
from dataclasses import replace
from importlib.resources import files
from pathlib import Path

import httpx
import pytest
from browsing import PHONE, browser, chromium, low_contrast, watched
from filled import fill_alarms, fill_ordinary, publish
from logs import lines
from playwright.sync_api import expect
from running import start_scorer

from logmeta.elastic.node import free_port
from logmeta.registry import Registry

SCREENSHOTS = Path(__file__).parents[2] / "docs" / "screenshots"
MOST_BYTES = 200_000
INCIDENT = "postgresql"
TOKEN = "the-token-of-the-page"
HOSTILE = (
    "2026-11-22 17:00:06.000 UTC [18335] PANIC:  out of memory "
    '<img src=x onerror="window.ran=1"><script>window.ran=1</script> \u202egpj.exe'
)

pytestmark = pytest.mark.skipif(chromium() is None, reason="no Chromium on the PATH (or in LOGMETA_CHROMIUM)")


@pytest.fixture(scope="module")
def chrome():
    with browser() as running:
        yield running


@pytest.fixture(scope="module")
def scorer(tmp_path_factory):
    running = start_scorer(
        tmp_path_factory.mktemp("console"), "--learn-lines", "60", "--onboarding", "approve", "--no-refresh"
    )
    yield running
    running.stop()


@pytest.fixture(scope="module")
def api(scorer):
    with httpx.Client(base_url=scorer.url, timeout=120) as client:
        yield client


@pytest.fixture
def open_page(chrome, scorer):
    """Opens a page; at the end it must have asked the scorer only, and complained of nothing."""
    opened = []

    def open_at(address="", *, operator="ada", **options):
        context = watched(chrome, **options)
        found = context.__enter__()
        opened.append((context, found))
        if operator:
            found.page.add_init_script(
                f"localStorage.getItem('logmeta.operator') ?? localStorage.setItem('logmeta.operator', '{operator}')"
            )
        found.page.goto(f"{scorer.url}/{address}")
        return found.page

    yield open_at
    for context, found in opened:
        context.__exit__(None, None, None)
        assert found.hosts == {scorer.url.removeprefix("http://")}
        assert found.complaints == []


def onboarded(api, source, times=1):
    for seed in range(times):
        made = api.post("/v1/detectors", json={"source": source, "lines": lines("normal", 200), "seed": seed})
        assert made.status_code == 201, made.text
    return source


def send(api, source, messages, stream="db-1"):
    documents = [{"source": source, "stream": stream, "message": message} for message in messages]
    for start in range(0, len(documents), 500):
        assert api.post("/v1/score", json={"documents": documents[start : start + 500]}).status_code == 200


def alarms(api, source):
    return api.get("/v1/alarms", params={"source": source}).json()["alarms"]


def await_alarms(api, source, count):
    deadline = time.monotonic() + 30
    while len(alarms(api, source)) < count:
        assert time.monotonic() < deadline, f"{len(alarms(api, source))} alarms of {source}, not {count}"
        time.sleep(0.1)
    return alarms(api, source)


@pytest.fixture(scope="module")
def incident(api, killed):
    """A source with two versions, 3,000 lines and two alarms."""
    source = onboarded(api, "postgresql", times=2)
    send(api, source, lines("test", 3_000))
    send(api, source, [killed])
    await_alarms(api, source, 2)
    return source


@pytest.fixture
def alarming(api, request, killed):
    """A source of the test's own, with one alarm; gives the source."""
    source = onboarded(api, request.node.name[:60], times=2)
    send(api, source, [*lines("normal", 300), killed])
    await_alarms(api, source, 1)
    return source


def at_source(source):
    return f"#/source/{source.replace('/', '%2F')}"


def items(page):
    return page.locator("a.item")


def test_sources_are_listed_with_status_and_rate_beside_the_budget(open_page, api, incident):
    send(api, "half-way", lines("normal", 20))
    page = open_page()
    row = page.get_by_role("row").filter(has=page.get_by_role("link", name=incident, exact=True))
    expect(row).to_contain_text("provisional")
    expect(row.locator(".rate")).to_contain_text(re.compile(r"of 10"))
    expect(row.locator(".seen time")).to_be_visible()
    expect(page.get_by_role("row").filter(has_text="half-way")).to_contain_text("learning, 20 lines")
    expect(page.locator(".headline")).to_contain_text("1 learning")
    expect(page.locator(".latest .alarm").first).to_contain_text("postgresql")


def test_the_filter_and_the_column_heads_choose_and_order_sources(open_page, api, incident):
    onboarded(api, "a-quiet-one")
    page = open_page()
    expect(items(page.locator(".sources")).filter(has_text="a-quiet-one")).to_be_visible()
    page.keyboard.press("/")
    page.keyboard.type("QUIET")
    expect(items(page.locator(".sources"))).to_have_count(1)
    page.keyboard.type(" nowhere")
    expect(page.locator(".sources")).to_contain_text("No source matches")
    page.get_by_label("Filter the sources").fill("")
    page.get_by_role("button", name="Source", exact=True).click()
    names = items(page.locator(".sources")).all_inner_texts()
    assert names == sorted(names, key=str.lower)
    expect(page.get_by_role("columnheader", name="Source")).to_have_attribute("aria-sort", "ascending")


def test_the_timeline_is_walked_by_keyboard_and_leads_to_its_alarms(open_page, incident):
    page = open_page(at_source(incident))
    timeline = page.get_by_role("slider", name="Scores over time")
    expect(timeline).to_have_attribute("aria-valuetext", re.compile(r"lines, top score 0\.\d+"))
    for button, pressed in (("Week", "true"), ("Day", "false"), ("Hour", "false")):
        if pressed == "true":
            page.get_by_role("button", name=button).click()
        expect(page.get_by_role("button", name=button)).to_have_attribute("aria-pressed", pressed)
    page.get_by_text("As a table").click()
    expect(page.get_by_role("region", name="Steps with something odd")).to_contain_text("Top score")
    timeline.focus()
    page.keyboard.press("End")
    while "alarm" not in timeline.get_attribute("aria-valuetext"):
        page.keyboard.press("ArrowLeft")
    page.keyboard.press("Enter")
    expect(page.locator(".alarms a.item:focus")).to_have_count(1)
    assert page.locator(".alarm-mark").count() > 0


def test_an_opened_alarm_shows_its_line_among_others_and_why(open_page, api, incident, killed):
    found = next(alarm for alarm in alarms(api, incident) if "signal 9" in alarm["message"])
    page = open_page(f"#/alarm/{found['alarm_id']}")
    expect(page.locator(".line.itself code")).to_have_text(killed)
    expect(page.locator(".line")).to_have_count(11)
    expect(page.locator(".reasons li").first).to_contain_text("terminated by signal 9")
    expect(page.locator(".nearest li")).not_to_have_count(0)
    expect(page.locator(".usual li")).not_to_have_count(0)
    expect(page.get_by_role("link", name=incident)).to_have_attribute("href", at_source(incident))


def test_feedback_is_given_with_a_name_and_taken_back(open_page, api, alarming, killed):
    page = open_page(f"#/alarm/{alarms(api, alarming)[0]['alarm_id']}", operator=None)
    page.get_by_role("button", name="Not an anomaly").click()
    page.get_by_label("Your name").fill("grace")
    page.get_by_role("button", name="Keep").click()
    expect(page.locator(".toasts")).to_contain_text("version 3")
    expect(page.get_by_role("button", name="Not an anomaly")).to_have_attribute("aria-pressed", "true")
    [label] = api.get("/v1/labels", params={"source": alarming}).json()["labels"]
    assert (label["anomalous"], label["by"]) == (False, "grace")
    page.reload()
    page.locator(".stands").get_by_role("button", name="Undo").click()
    expect(page.locator(".toasts")).to_contain_text("Taken back")
    expect(page.get_by_role("button", name="Not an anomaly")).to_have_attribute("aria-pressed", "false")
    assert api.get("/v1/labels", params={"source": alarming}).json()["labels"] == []


def test_the_notice_after_feedback_undoes_it_and_the_events_tell_of_both(open_page, api, alarming):
    page = open_page(at_source(alarming))
    items(page.locator(".alarms")).first.focus()
    page.keyboard.press("a")
    expect(page.locator(".alarms .label-word")).to_have_text("was an anomaly")
    expect(page.locator(".labels li")).to_contain_text("ada")
    page.locator(".toasts").get_by_role("button", name="Undo").click()
    expect(page.locator(".alarms .label-word")).to_have_count(0)
    expect(page.locator(".labels")).to_be_hidden()
    expect(page.locator(".events")).to_contain_text("undone", timeout=20_000)
    expect(page.locator(".events")).to_contain_text("feedback")


def test_a_roll_back_is_asked_about_and_bears_the_name_of_who_did_it(open_page, api, alarming):
    page = open_page(at_source(alarming))
    page.get_by_role("button", name="Roll back to version 1").click()
    page.get_by_role("button", name="Cancel").click()
    assert api.get(f"/v1/detectors/{alarming}").json()["current"] == "2"
    page.get_by_role("button", name="Roll back to version 1").click()
    page.get_by_role("dialog").get_by_role("button", name="Roll back").click()
    expect(page.locator(".version-item.current .version-name")).to_have_text("1")
    entry = api.get(f"/v1/detectors/{alarming}").json()
    assert (entry["current"], entry["standing"]["by"]) == ("1", "ada")


def test_versions_tell_where_they_come_from(open_page, alarming):
    page = open_page(at_source(alarming))
    current = page.locator(".version-item.current")
    expect(current).to_contain_text("in use · relearned")
    expect(current).to_contain_text("from 1")
    expect(current).to_contain_text("200 lines")


@pytest.fixture
def tried(scorer, detector, request):
    """A source with a sound version in use and another beside it, whose calibration was moved; gives the source."""

    def publish_both(by):
        source, registry = request.node.name[:60], Registry(scorer.folder / "detectors")
        other = replace(detector.calibration, knots=detector.calibration.knots + by)
        registry.publish(replace(detector, source=source, calibration=other))
        registry.publish(replace(detector, source=source))
        return source

    return publish_both


def test_a_version_is_tried_beside_the_current_one_and_promoted(open_page, api, tried):
    source = tried(by=0.0)
    page = open_page(at_source(source))
    page.get_by_role("button", name="Let version 1 score beside the current one").click()
    expect(page.get_by_role("group", name="Tried beside")).to_contain_text("0 lines")
    send(api, source, lines("normal", 100))
    send(api, source, lines("normal", 100))
    expect(page.get_by_role("group", name="Tried beside")).to_contain_text("100 lines, 0 alarms where 2 raised 0")
    page.get_by_role("button", name="Promote").click()
    expect(page.locator(".version-item.current .version-name")).to_have_text("1")
    assert api.get(f"/v1/detectors/{source}").json()["standing"]["by"] == "ada"


def test_a_version_that_falls_behind_is_promoted_only_by_who_insists(chrome, scorer, api, tried):
    source = tried(by=100.0)
    with watched(chrome) as found:  # a browser logs the 409 itself
        page = found.page
        page.goto(f"{scorer.url}/{at_source(source)}")
        page.evaluate("localStorage.setItem('logmeta.operator', 'ada')")
        page.get_by_role("button", name="Let version 1 score beside the current one").click()
        page.get_by_role("button", name="Promote").click()
        expect(page.get_by_role("dialog")).to_contain_text("it finds 0")
        page.get_by_role("button", name="Cancel").click()
        assert api.get(f"/v1/detectors/{source}").json()["current"] == "2"
        page.get_by_role("button", name="Promote").click()
        page.get_by_role("button", name="Promote nevertheless").click()
        expect(page.locator(".version-item.current .version-name")).to_have_text("1")


def test_a_source_is_pinned_disabled_and_enabled_and_a_refusal_is_told(open_page, api, alarming):
    page = open_page(at_source(alarming))
    page.get_by_role("button", name="Pin", exact=True).click()
    expect(page.get_by_role("button", name="Unpin")).to_be_visible()
    page.get_by_role("button", name="Disable").click()
    page.get_by_role("dialog").get_by_role("button", name="Disable").click()
    expect(page.locator(".standing")).to_contain_text("disabled")
    page.get_by_role("button", name="Enable").click()
    expect(page.locator(".standing")).to_contain_text("pinned")
    standing = api.get(f"/v1/detectors/{alarming}").json()["standing"]
    assert (standing["pinned"], standing["disabled"]) == (True, False)


RENAMED = {"connection": "linkup", "authenticated": "vouched", "received": "taken", "checkpoint": "savepoint"}


def deployed(count):
    """Ordinary lines as the next release of the program words them."""
    pattern = re.compile("|".join(RENAMED))
    return [pattern.sub(lambda match: RENAMED[match[0]], line) for line in lines("normal", 200 + count)[200:]]


def test_what_is_absorbed_after_a_deploy_is_asked_for_listed_and_taken_back(open_page, api):
    made = {"source": "deployed", "lines": lines("normal", 200), "budget_per_day": 2_000}
    assert api.post("/v1/detectors", json=made).status_code == 201
    page = open_page(at_source("deployed"))
    page.get_by_label("When it drifts").select_option("absorb")
    expect(page.locator(".toasts")).to_contain_text("absorb what a deploy changed")
    for message in [*batches(lines("normal", 700)[200:]), *batches(deployed(1_000))]:
        for host in ("host-1", "host-2"):
            send(api, "deployed", message, stream=host)
    absorbed = page.locator(".absorbed li")
    expect(absorbed).not_to_have_count(0)
    count = absorbed.count()
    absorbed.first.get_by_role("button", name="Undo").click()
    expect(page.locator(".toasts")).to_contain_text("Taken back")
    expect(absorbed).to_have_count(count - 1)


def batches(messages, size=50):
    return [messages[start : start + size] for start in range(0, len(messages), size)]


def test_what_was_learned_is_approved(open_page, api):
    send(api, "newcomer", lines("normal", 60))
    page = open_page(at_source("newcomer"))
    page.get_by_role("button", name="Approve version 1").click(timeout=60_000)
    expect(page.locator(".version-item.current .version-name")).to_have_text("1")
    assert api.get("/v1/detectors/newcomer").json()["current"] == "1"


def test_a_new_alarm_appears_by_itself_and_moves_neither_focus_nor_scroll(open_page, api, alarming, killed):
    page = open_page(at_source(alarming), viewport={"width": 1280, "height": 400})
    expect(items(page.locator(".alarms"))).to_have_count(1)
    page.get_by_text("Versions").scroll_into_view_if_needed()
    page.evaluate("scrollTo(0, 150)")
    items(page.locator(".alarms")).first.evaluate("link => link.focus({ preventScroll: true })")
    before = page.evaluate("[document.activeElement.href, document.activeElement.getBoundingClientRect().top]")
    send(api, alarming, [killed], stream="db-2")
    expect(items(page.locator(".alarms"))).to_have_count(2)
    after = page.evaluate("[document.activeElement.href, document.activeElement.getBoundingClientRect().top]")
    assert before[0] == after[0]
    assert abs(before[1] - after[1]) < 4, "what is read stays where it is, although an alarm came in above it"


def test_the_keyboard_alone_goes_from_sources_to_an_alarm_and_back(open_page, incident):
    page = open_page()
    expect(items(page.locator(".sources")).first).to_be_visible()
    page.keyboard.press("/")
    page.keyboard.type(incident)
    page.keyboard.press("Escape")
    page.keyboard.press("j")
    expect(page.locator(".sources a.item:focus")).to_have_text(incident)
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", level=1)).to_have_text(incident)
    expect(page.locator(".alarms .alarm")).not_to_have_count(0)
    page.keyboard.press("j")
    page.keyboard.press("ArrowDown")
    page.keyboard.press("k")
    chosen = page.locator(".alarms a.item:focus").get_attribute("href")
    page.keyboard.press("Enter")
    expect(page.locator(".line.itself")).to_be_visible()
    page.keyboard.press("Escape")
    expect(page.locator(f'.alarms a.item[href="{chosen}"]')).to_be_focused()
    page.keyboard.press("Escape")
    expect(page.locator(".sources a.item:focus")).to_have_text(incident)
    page.keyboard.press("?")
    expect(page.get_by_role("dialog")).to_contain_text("not an anomaly")
    page.keyboard.press("Escape")
    expect(page.get_by_role("dialog")).to_have_count(0)


def test_a_view_can_be_kept_as_an_address_and_gone_back_from(open_page, incident):
    page = open_page(at_source(incident))
    expect(page).to_have_title(re.compile(incident))
    items(page.locator(".alarms")).first.click()
    expect(page.locator(".line.itself")).to_be_visible()
    page.go_back()
    expect(page.get_by_role("heading", level=1)).to_have_text(incident)


def test_an_alarm_nobody_knows_and_an_address_that_leads_nowhere_say_so(chrome, scorer):
    with watched(chrome) as found:  # a browser logs the 404 itself
        found.page.goto(f"{scorer.url}/#/alarm/nothing")
        expect(found.page.get_by_role("heading", level=1)).to_have_text("No such alarm")
        found.page.goto(f"{scorer.url}/#/nowhere")
        expect(found.page.get_by_role("heading", level=1)).to_have_text("No such view")


def test_a_hostile_line_stays_text_wherever_it_is_shown(open_page, api):
    source = onboarded(api, "<b onmouseover=alert(1)>&lt;")
    send(api, source, [*lines("normal", 300), HOSTILE], stream="<svg onload=window.ran=1>")
    [alarm, *_] = await_alarms(api, source, 1)
    page = open_page()
    for address in ("", at_source(source), f"#/alarm/{alarm['alarm_id']}", "#/alarms"):
        page.goto(page.url.split("#")[0] + address)
        expect(page.locator("main")).to_contain_text("<b onmouseover=alert(1)>&lt;")
        expect(page.locator("main")).to_contain_text("onerror=")
        assert page.evaluate("window.ran") is None
        assert page.locator("main :is(img, script, b[onmouseover], svg[onload])").count() == 0
        expect(page.locator("main")).to_contain_text("\\u202egpj.exe")  # what turns the text round is spelled out


INLINE = "const code = document.createElement('script'); code.append('window.ran = 1'); document.head.append(code)"


@pytest.mark.parametrize("attempt", [INLINE, "document.body.innerHTML = '<p>x'", "document.write('<p>x')"])
def test_the_browser_itself_refuses_code_and_html_in_the_page(chrome, scorer, attempt):
    with watched(chrome) as found:
        found.page.goto(scorer.url)
        found.page.evaluate(f"() => {{ try {{ {attempt} }} catch (error) {{ console.error(error.message) }} }}")
        assert found.page.evaluate("[window.ran, document.querySelector('body > p:not([class])')]") == [None, None]
        assert any("Content Security Policy" in said or "Trusted" in said for said in found.complaints)


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_every_text_can_be_read_in_light_and_dark(open_page, api, incident, scheme):
    page = open_page(color_scheme=scheme)
    for address in views(api, incident):
        page.goto(page.url.split("#")[0] + address)
        expect(page.locator("a.item, .line.itself").first).to_be_visible()
        assert low_contrast(page) == []
    light = page.evaluate("getComputedStyle(document.body).backgroundColor.match(/\\d+/)[0] > 128")
    assert light is (scheme == "light")


def views(api, source):
    return ["#/", at_source(source), f"#/alarm/{alarms(api, source)[0]['alarm_id']}", "#/alarms"]


def test_on_a_phone_nothing_is_wider_than_the_screen(open_page, api, incident):
    send(api, incident, ["PANIC: " + "unbroken" * 500], stream="a-stream-of-a-long-name" * 8)
    page = open_page(viewport=PHONE, has_touch=True, is_mobile=True, reduced_motion="reduce")
    for address in views(api, incident):
        page.goto(page.url.split("#")[0] + address)
        expect(page.locator("a.item, .line.itself").first).to_be_visible()
        assert page.evaluate("document.documentElement.scrollWidth") <= PHONE["width"]


def test_while_the_scorer_is_away_the_page_says_so_and_recovers_by_itself(chrome, tmp_path):
    own = start_scorer(tmp_path)
    port = own.url.rpartition(":")[2]
    with watched(chrome) as found:
        found.page.goto(own.url)
        expect(found.page.locator("#connection")).to_have_text("live")
        own.stop()
        expect(found.page.get_by_role("alert")).to_contain_text("does not answer")
        own = start_scorer(tmp_path, port=int(port))
        expect(found.page.locator("#connection")).to_have_text("live")
        expect(found.page.locator("#trouble")).to_be_hidden()
    own.stop()


@pytest.fixture(scope="module")
def guarded(tmp_path_factory):
    running = start_scorer(tmp_path_factory.mktemp("guarded"), token=TOKEN)
    yield running
    running.stop()


def test_a_token_is_asked_for_kept_for_the_tab_and_forgotten_on_sign_out(chrome, guarded):
    with watched(chrome) as found:  # a browser logs the 401 itself
        page = found.page
        page.goto(guarded.url)
        page.get_by_label("Token").fill("wrong")
        page.keyboard.press("Enter")
        expect(page.get_by_role("alert")).to_contain_text("refused that token")
        page.get_by_label("Token").fill(TOKEN)
        page.keyboard.press("Enter")
        expect(page.locator(".headline")).to_contain_text("No source yet")
        assert (
            page.evaluate("[JSON.stringify(localStorage), document.cookie, location.href].join().includes('the-token')")
            is False
        )
        page.reload()
        expect(page.locator(".headline")).to_contain_text("No source yet")
        page.get_by_role("button", name="Sign out").click()
        expect(page.get_by_label("Token")).to_be_focused()
        assert page.evaluate("sessionStorage.length") == 0
        assert found.hosts == {guarded.url.removeprefix("http://")}


def test_the_page_needs_no_token_and_its_files_carry_a_strict_policy(guarded):
    for path in ("/", "/console/main.js", "/console/console.css", "/console/icon.svg"):
        answer = httpx.get(guarded.url + path)
        assert answer.status_code == 200
        assert "default-src 'none'" in answer.headers["content-security-policy"]
        assert "unsafe" not in answer.headers["content-security-policy"]
        assert (answer.headers["x-content-type-options"], answer.headers["referrer-policy"]) == (
            "nosniff",
            "no-referrer",
        )
        again = httpx.get(guarded.url + path, headers={"If-None-Match": answer.headers["etag"]})
        assert (again.status_code, again.content) == (304, b"")
    assert httpx.get(f"{guarded.url}/console/..%2fapp.py").status_code == 404
    assert httpx.get(f"{guarded.url}/console/none.js").status_code == 404
    assert httpx.get(f"{guarded.url}/v1/detectors").status_code == 401


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"Sec-Fetch-Site": "cross-site", "Origin": "https://elsewhere.example"}, 403),
        ({"Sec-Fetch-Site": "same-site", "Origin": "http://127.0.0.1:1"}, 403),
        ({"Origin": "https://elsewhere.example"}, 403),
        ({"Sec-Fetch-Site": "same-origin"}, 400),
        ({}, 400),
    ],
)
def test_a_page_of_another_origin_can_change_nothing(scorer, headers, status):
    answer = httpx.post(f"{scorer.url}/v1/detectors", content=b"{}", headers={"Content-Type": "text/plain", **headers})
    assert answer.status_code == status


@pytest.fixture(scope="module")
def busy(tmp_path_factory, detector, killed):
    """A scorer on a common day: twelve sources, a day of lines, an incident that has just begun, a label."""
    folder, port = tmp_path_factory.mktemp("busy"), free_port()
    names = (
        "auth",
        "billing",
        "checkout",
        "gateway",
        "inventory",
        "k8s/ingress",
        "mailer",
        "orders",
        "search",
        "stock",
    )
    journal = folder / "detectors" / f"journal-{port}.sqlite"
    scored = list(detector.score(lines("test", 15_000)))
    publish(folder / "detectors", detector, [*names, INCIDENT])
    fill_ordinary(journal, [INCIDENT], [line for line in scored if line.score < 0.45], days=1.2)
    fill_alarms(journal, [*names[:4], INCIDENT], [line for line in scored if line.alarm], count=24, days=1)
    running = start_scorer(folder, "--onboarding", "approve", "--learn-lines", "60", "--no-refresh", port=port)
    with httpx.Client(base_url=running.url, timeout=120) as api:
        send(api, "newcomer", lines("test", 60))
        send(api, "half-way", lines("test", 24))
        for name in names[:8]:
            send(api, name, lines("normal", 400))
        first = await_alarms(api, INCIDENT, 4)[-1]
        api.post("/v1/feedback", json={"alarm_id": first["alarm_id"], "anomalous": True, "by": "grace"})
        send(api, INCIDENT, [*lines("normal", 2_500), killed, *lines("normal", 60)])
        await_alarms(api, INCIDENT, 5)
    yield running
    running.stop()


@pytest.mark.parametrize(
    ("name", "address", "options"),
    [
        ("sources", "", {}),
        ("source", f"#/source/{INCIDENT}", {}),
        ("alarm", "#/alarm/", {}),
        ("source-dark", f"#/source/{INCIDENT}", {"color_scheme": "dark"}),
        ("alarm-phone", "#/alarm/", {"viewport": PHONE, "color_scheme": "dark"}),
    ],
)
def test_the_views_are_kept_as_pictures(chrome, busy, tmp_path, name, address, options):
    folder = SCREENSHOTS if os.environ.get("LOGMETA_SCREENSHOTS") == "1" else tmp_path
    folder.mkdir(exist_ok=True)
    with httpx.Client(base_url=busy.url) as api:
        latest = next(alarm for alarm in alarms(api, INCIDENT) if "signal 9" in alarm["message"])
    with watched(chrome, **{"viewport": {"width": 1180, "height": 760}, **options}) as found:
        found.page.goto(f"{busy.url}/{address}{latest['alarm_id'] if address.endswith('alarm/') else ''}")
        expect(found.page.locator("a.item, .line.itself").first).to_be_visible()
        expect(found.page.locator("#connection")).to_have_text("live")
        found.page.wait_for_load_state("networkidle")
        found.page.screenshot(path=folder / f"{name}.png", animations="disabled")
        assert found.complaints == []
    assert (folder / f"{name}.png").stat().st_size < MOST_BYTES


def test_every_module_is_asked_for_at_once_not_one_after_another():
    folder = files("logmeta.serve") / "console"
    page = (folder / "index.html").read_text(encoding="utf-8")
    modules = [path.name for path in folder.iterdir() if path.name.endswith(".js")]
    assert [name for name in modules if f'href="/console/{name}"' not in page and name != "main.js"] == []
