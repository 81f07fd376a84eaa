"""The console as people use it, in a real Chromium against a running service."""

from __future__ import annotations

import json
import re

EVIL = "\"'><script>window.hit=1</script><img src=x onerror=window.hit=2><svg onload=window.hit=3>"
LAB = {"p:lead": "0.9"}


def decision_of(page):
    return re.search(r"/items/([0-9a-f-]+)", page.url)[1]


def test_the_riskiest_item_from_the_queue_to_the_overturned_appeal(person, service, receiver):
    mina = person("mina")
    page = mina.page
    assert page.locator("h1").inner_text() == "오늘"
    mina.shot("overview_ko")
    mina.go("/console/queue")
    first = page.locator("tr[data-row] a").first.inner_text()
    mina.shot("queue_ko")

    page.keyboard.press("n")  # take the most urgent
    page.wait_for_url("**/console/items/*")
    seen = decision_of(page)
    assert page.locator("h1").inner_text()[:40] == first[:40]
    assert page.locator(".listing-title mark").count() >= 1, "the reasons stand in the seller's own words"
    assert page.locator("#why + ul li").count() >= 1
    mina.shot("item_ko")

    page.uncheck('input[name="then"]')
    page.fill('textarea[name="note"]', "위장형 카메라로 확인")
    page.click('button[value="block"]')
    page.wait_for_url(lambda url: "/items/" in url and seen not in url)
    made = decision_of(page)
    assert page.locator("header .state-off_sale").inner_text() == "판매 중지"
    assert "결정했습니다" in page.locator("[role=status]").inner_text()

    event = receiver.wait_for("item.blocked", decision_id=made)
    assert event["specversion"] == "1.0" and event["data"]["actor"] == "mina"
    assert receiver.wrong == []

    evidence = page.get_attribute('.actions a[href*="form=html"]', "href")
    mina.go(evidence)
    assert made in page.content() and "mina" in page.content()
    mina.shot("evidence_ko")
    document = service.call("GET", f"/v1/decisions/{made}/evidence", params={"form": "json"}).json()
    assert made in json.dumps(document)

    appeal = {"text": "이 제품은 카메라가 아니라 빈 케이스입니다."}
    service.call("POST", f"/v1/decisions/{made}/appeals", json=appeal)
    jun = person("jun", "en-US")
    jun.go("/console/appeals")
    assert appeal["text"] in jun.page.content()
    jun.shot("appeals_en")
    jun.page.fill('textarea[name="note"]', "The goods were looked at again.")
    jun.page.click('button[value="overturn"]')
    jun.page.wait_for_selector("[role=status]")
    assert "overturned" in jun.page.locator("[role=status]").inner_text()
    listing_id = event["data"]["listing_id"]
    mina.go(f"/console/decisions?find={listing_id}")
    assert page.locator("header .state-off_sale").count() == 0
    assert "jun" in page.locator("#history + ol").inner_text()


def test_a_bulk_action_is_previewed_applied_and_undone(person):
    mina = person("mina", "en-US")
    page = mina.page
    mina.go("/console/bulk")
    page.select_option('select[name="action"]', "review")
    page.select_option('select[name="language"]', "en")
    page.select_option('select[name="choice"]', "lab_test")
    page.click("form.filters button.main")
    number = page.locator("#would + table tbody tr").count()
    assert number > 0
    mina.shot("bulk_en")
    page.click('form[action="/console/bulk/apply"] button')
    page.wait_for_selector("[role=status]")
    assert f"{number} items decided" in page.locator("[role=status]").inner_text()
    mina.go("/console/queue?action=review&language=en")
    assert page.locator("tr[data-row]").count() == 0 and page.locator(".empty").count() == 1
    mina.go("/console/bulk")
    page.click('form[action$="/undo"] button')
    page.wait_for_selector("[role=status]")
    assert f"{number} items are back" in page.locator("[role=status]").inner_text()
    mina.go("/console/queue?action=review&language=en")
    assert page.locator("tr[data-row]").count() == number


def test_releasing_a_blocked_item_takes_a_second_person(person):
    mina, jun = person("mina"), person("jun", "en-US")
    mina.go("/console/queue?action=block")
    mina.page.click("tr[data-row] a >> nth=0")
    mina.page.click('form[action$="/claim"] button')
    mina.page.wait_for_selector('button[value="allow"]')
    seen = decision_of(mina.page)
    mina.page.uncheck('input[name="then"]')
    mina.page.keyboard.press("a")
    mina.page.wait_for_selector("[role=status]")
    mina.go("/console/second")
    assert mina.page.locator('form[action$="/agree"]').count() == 0, "not one's own"
    jun.go("/console/second")
    jun.shot("second_en")
    jun.page.click(f'tr:has(a[href$="{seen}"]) form[action$="/agree"] button')
    jun.page.wait_for_selector("[role=status]")
    assert "Agreed" in jun.page.locator("[role=status]").inner_text()


def test_the_keyboard_alone_is_enough(person):
    mina = person("mina", "en-US")
    page = mina.page
    page.keyboard.type("gq")  # in one go: what comes 1.5 s after the first letter is another word
    page.wait_for_url("**/console/queue")
    page.keyboard.press("?")
    assert page.locator("dialog[open]").count() == 1
    page.keyboard.press("Escape")
    page.keyboard.press("j")
    page.keyboard.press("j")
    second = page.locator("tr[data-row] a.title, tr[data-row] td:first-child a").nth(1)
    assert page.evaluate("document.activeElement.textContent") == second.inner_text()
    page.keyboard.press("Enter")
    page.wait_for_url("**/console/items/*")
    page.keyboard.press("n")
    page.wait_for_selector('button[value="block"]')
    page.keyboard.press("s")
    page.wait_for_url("**/console/queue")
    mina.go("/console")
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.className") == "skip", (
        "first of all a way past the navigation"
    )


def test_a_policy_is_tried_before_it_is_in_force(person, service):
    sol = person("sol", "en-US")
    page = sol.page
    sol.go("/console/policy")
    text = page.input_value('textarea[name="text"]')
    assert "on_expiry" in text
    page.fill(
        'textarea[name="text"]',
        text.replace("at_least: review", "at_least: monitor").replace("2026.11", "2026.12"),
    )
    page.click('form[action="/console/policy/try"] button.main')
    page.wait_for_selector("#diff")
    sol.shot("policy_en")
    page.click('button[formaction="/console/policy/shadow"]')
    page.wait_for_selector("[role=status]")
    assert "shadow" in page.locator("[role=status]").inner_text()
    dae = person("dae")
    dae.go("/console/policy")
    assert dae.page.locator('button[formaction="/console/policy/promote"]').count() == 0
    dae.page.click('form[action="/console/policy/shadow/end"] button')
    dae.page.wait_for_selector("[role=status]")


def test_nothing_a_seller_writes_runs(person, service):
    hostile = {
        "id": "evil-1",
        "title": EVIL,
        "description": EVIL,
        "bullets": [EVIL],
        "attributes": {EVIL: EVIL},
        "category": [EVIL],
        "brand": EVIL,
        "origin": EVIL,
        "target_age": EVIL,
        "seller": {"id": EVIL, "name": EVIL, "country": EVIL},
        "certificates": [{"kind": EVIL, "number": EVIL}],
        "images": ["javascript:window.hit=4", "https://evil.example/x.png", EVIL],
        "marketplace": EVIL,
    }
    made = service.call("POST", "/v1/score", json=hostile).json()["decision_id"]
    service.call("POST", "/v1/bans", json={"listing": hostile, "reason": EVIL})
    sol = person("sol", "en-US")
    seller = service.call("GET", f"/v1/decisions/{made}").json()["listing"]["seller"]["id"]
    from urllib.parse import quote

    places = [
        "/console", "/console/queue", f"/console/items/{made}", "/console/bans", "/console/decisions",
        f"/console/seller?marketplace={quote(EVIL)}&id={quote(seller)}", "/console/sellers", "/console/matches",
        f"/console/decisions?find={quote(EVIL)}", f"/console/queue?seller_id={quote(EVIL)}", "/console/people",
        f"/v1/decisions/{made}/evidence?form=html",
    ]  # fmt: skip
    for place in places:
        sol.go(place)
        assert sol.page.evaluate("window.hit === undefined"), place
        assert sol.page.locator("img[src=x]").count() == 0, place


def test_who_may_not_sees_no_door_and_finds_none(person, service):
    dae = person("dae", "en-US")
    assert dae.page.locator('nav a[href="/console/people"]').count() == 0
    answer = dae.page.request.get(service.address + "/console/people")
    assert answer.status == 403 and "is not allowed to you" in answer.text()
    dae.go("/console/queue")
    assert dae.page.locator('form[action="/console/queue/take"]').count() == 0
    dae.page.click('form[action="/console/logout"] button')
    dae.page.wait_for_url("**/console/login")
    dae.go("/console/queue")
    assert "/console/login" in dae.page.url
