"""The console's pages: for every role and language, with hostile listings, and what its forms do."""

from __future__ import annotations

import re
from html.parser import HTMLParser
from pathlib import Path

import httpx
import pytest

import serving.console
from serving.access.door import AccessDoor
from serving.access.secrets import Cost
from serving.access.settings import AccessSettings
from serving.access.table import GRANTS, TABLE
from serving.bans.office import load_reader, office_of
from serving.console.item_view import pieces_of, text_fields, words_of
from serving.console.page import environment
from serving.console.shown import length_of, percent
from serving.console.wording import LANGUAGES, MissingTextError, Wording, catalogue, language_of
from serving.store import Store, StoreSink

PASSWORD = "a long enough password"
RISKY = {"p:lead": "0.9", "audience": "under_3"}
EVIL = "\"'><script>alert(1)</script><img src=x onerror=alert(2)>{{7*7}}</textarea>"
FOLDER = Path(serving.console.__file__).parent


@pytest.fixture
def store(sqlite_template, tmp_path):
    import shutil

    shutil.copy(sqlite_template, tmp_path / "store.db")
    with Store(f"sqlite:///{tmp_path / 'store.db'}") as store:
        yield store


@pytest.fixture(scope="module")
def reader():
    return load_reader()


@pytest.fixture
def office(store, predictor, reader):
    return office_of(store, predictor, reader)


@pytest.fixture
def served(store, office, client_of):
    return client_of(sink=StoreSink(store), store=store, bans=office)


def listing(number=1, **fields):
    seller = {"id": "s/1?&", "name": "판매자", "history": {"strikes": 2, "tested": 4, "failed": 1}}
    given = {
        "id": f"a-{number}",
        "title": "폭신한 곰 인형",
        "market": "KR",
        "marketplace": "shop",
        "seller": seller,
    }
    return given | {"attributes": RISKY} | fields


class Browser:
    """Keeps cookies and the token of the last page, as a browser would."""

    def __init__(self, client, **headers):
        self.portal = client.portal
        transport = httpx.ASGITransport(client.app)
        self.http = httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1", headers=headers)
        self.token = ""

    def get(self, path, **more):
        return self._keep(self.portal.call(lambda: self.http.get(path, follow_redirects=True, **more)))

    def post(self, path, **fields):
        data = {"csrf": self.token, **fields}
        return self._keep(self.portal.call(lambda: self.http.post(path, data=data, follow_redirects=True)))

    def _keep(self, answer):
        found = re.search(r'name="csrf" value="([0-9a-f]{64})"', answer.text)
        self.token = found[1] if found else self.token
        return answer

    def sign_in(self, name):
        self.get("/console/login")
        return self.post("/console/login", name=name, password=PASSWORD, next="/console")


@pytest.fixture
def browser(served):
    return Browser(served)


def people(store, *roles):
    door = AccessDoor(store, AccessSettings(), cost=Cost(2**4, 8, 1))
    for role in roles:
        door.add_account(role, role, PASSWORD, "test")


def pages(decision_id):
    for (method, path), permission in sorted(TABLE.items()):
        if method == "GET" and path.startswith("/console") and "{" not in path and permission != "public":
            yield path, permission
    yield f"/console/items/{decision_id}", "decisions.read"
    yield "/console/seller?marketplace=shop&id=s%2F1%3F%26", "sellers.read"
    yield "/console/bulk?hazard=lead&choice=block", "queue.read"


class Checker(HTMLParser):
    """Notes what a page must not have, and what forms and fields lack."""

    def __init__(self):
        super().__init__()
        self.wrong, self.open_labels, self.ids = [], 0, []

    def handle_starttag(self, tag, attrs):
        given = dict(attrs)
        self.wrong += [f"{tag} {name}" for name in given if name.startswith("on") or name == "style"]
        if tag == "script" and given.get("src") != "/console/static/console.js":
            self.wrong.append("script")
        for name in ("src", "href", "action", "formaction"):
            if (given.get(name) or "/").startswith(("http", "//", "javascript", "data")):
                self.wrong.append(f"{tag} {name}={given[name]}")
        self.open_labels += tag == "label"
        if tag in ("input", "select", "textarea") and given.get("type") != "hidden" and not self.open_labels:
            self.wrong.append(f"{tag} {given.get('name')} has no label")
        if tag == "img" and "alt" not in given:
            self.wrong.append("img without alt")
        if "id" in given:
            self.ids.append(given["id"])

    def handle_endtag(self, tag):
        self.open_labels -= tag == "label"


def check(page):
    checker = Checker()
    checker.feed(page)
    assert checker.wrong == []
    assert len(set(checker.ids)) == len(checker.ids), "an id is used twice"
    assert page.count("<h1") == 1


@pytest.mark.parametrize("language", LANGUAGES)
def test_every_page_for_every_role(served, store, language):
    decision_id = served.post("/v1/score", json=listing()).json()["decision_id"]
    people(store, *GRANTS)
    AccessDoor(store).closed()
    for role, granted in GRANTS.items():
        browser = Browser(served, **{"Accept-Language": language})
        assert wait_closed(browser, store) and browser.sign_in(role).status_code == 200
        for path, permission in pages(decision_id):
            answer = browser.get(path)
            assert answer.status_code == (200 if permission in granted else 403), (
                role,
                path,
                answer.text[-300:],
            )
            assert f'<html lang="{language}">' in answer.text
            check(answer.text)


def wait_closed(browser, store):
    """The gate looks once a second whether an account exists."""
    import time

    for _ in range(60):
        if browser.get("/console").url.path == "/console/login":
            return True
        time.sleep(0.05)
    return False


def test_an_empty_store_has_pages_with_something_to_say(browser):
    for path in ("/console", "/console/queue", "/console/second", "/console/bulk", "/console/decisions"):
        answer = browser.get(path)
        assert answer.status_code == 200 and 'class="empty"' in answer.text, path


def hostile():
    return listing(
        66,
        title=EVIL,
        description=EVIL,
        bullets=[EVIL],
        attributes={EVIL: EVIL, **RISKY},
        category=[EVIL, EVIL],
        brand=EVIL,
        origin=EVIL,
        target_age=EVIL,
        seller={"id": EVIL, "name": EVIL, "country": EVIL},
        certificates=[{"kind": EVIL, "number": EVIL}],
        images=[EVIL, "javascript:alert(1)", "https://evil.example/x.jpg"],
        variants=[{"name": EVIL}],
        marketplace=EVIL,
        ship_from=EVIL,
    )


def test_no_field_of_a_listing_becomes_markup(served, browser):
    decision_id = served.post("/v1/score", json=hostile()).json()["decision_id"]
    browser.get("/console")
    browser.post(f"/console/items/{decision_id}/claim")
    browser.post(f"/console/items/{decision_id}/note", text=EVIL)
    for path, _ in pages(decision_id):
        answer = browser.get(path)
        assert answer.status_code == 200, path
        assert "<script>alert" not in answer.text and "<img src=x" not in answer.text, path
        assert "49</textarea>" not in answer.text
        check(answer.text)
    assert "&lt;script&gt;" in browser.get(f"/console/items/{decision_id}").text


def test_headers_keep_everything_from_outside_away(browser):
    answer = browser.get("/console")
    policy = answer.headers["content-security-policy"]
    assert "default-src 'none'" in policy and "unsafe" not in policy and "frame-ancestors 'none'" in policy
    assert answer.headers["cache-control"] == "no-store"
    assert answer.headers["x-content-type-options"] == "nosniff"


def test_taking_and_blocking_an_item(served, browser, store):
    decision_id = served.post("/v1/score", json=listing()).json()["decision_id"]
    browser.get("/console/queue")
    page = browser.post("/console/queue/take")
    assert page.url.path == f"/console/items/{decision_id}"
    page = browser.post(f"/console/items/{decision_id}/decide", choice="block", hazard="lead", note="납")
    assert page.status_code == 200 and store.latest("shop", "a-1").action == "block"
    assert store.latest("shop", "a-1").id == page.url.path.rpartition("/")[2]
    assert store.queue_page() == ()


def test_what_cannot_be_done_is_said_on_the_page(served, browser):
    decision_id = served.post("/v1/score", json=listing()).json()["decision_id"]
    browser.get("/console/queue")
    page = browser.post(f"/console/items/{decision_id}/decide", choice="block")
    assert "Not done:" in page.text and "you do not hold" in page.text
    assert browser.get("/console/items/nothing").status_code == 404


def test_a_bulk_action_through_its_forms(served, browser, store):
    for number in range(3):
        served.post("/v1/score", json=listing(number))
    page = browser.get("/console/bulk?hazard=lead&choice=block")
    mark = re.search(r'name="mark" value="([0-9a-f]+)"', page.text)[1]
    page = browser.post("/console/bulk/apply", hazard="lead", choice="block", mark=mark)
    assert "3 items decided" in page.text and store.queue_page() == ()
    undo = re.search(r"/console/bulk/[0-9a-f]+/undo", page.text)[0]
    assert "3 items are back" in browser.post(undo).text
    assert len(store.queue_page()) == 3


def test_a_golden_item_looks_like_any_other_and_shows_nothing_that_came_after(served, browser, store):
    from serving.review.desk import ReviewDesk

    decision_id = served.post("/v1/score", json=listing()).json()["decision_id"]
    browser.get("/console")
    browser.post(f"/console/items/{decision_id}/claim")
    browser.post(f"/console/items/{decision_id}/decide", choice="block", hazard="lead")
    browser.get("/console/quality")
    page = browser.post("/console/goldens", decision_id=decision_id, choice="block", why="laboratory")
    assert "was added" in page.text
    people(store, "reviewer")
    claim = ReviewDesk(store, draw=lambda: 0.0).take("reviewer")
    assert claim.golden_id
    reviewer = Browser(served)
    assert wait_closed(reviewer, store)
    reviewer.sign_in("reviewer")
    page = reviewer.get(f"/console/items/{decision_id}")
    assert 'name="choice" value="block"' in page.text and "golden" not in page.text.lower()
    assert "local" not in page.text and page.text.count("action-block") == 0, (
        "what came of it is not to be seen"
    )
    page = reviewer.post(f"/console/items/{decision_id}/decide", choice="allow")
    assert page.url.path == "/console/queue" and "Decided: Allow" in page.text
    assert store.latest("shop", "a-1").action == "block"


def test_photos_are_given_only_as_pictures_and_blurred_until_asked(served, browser, store):
    from dataclasses import replace

    from serving.store import DecisionRecord, Picture

    decision_id = served.post("/v1/score", json=listing()).json()["decision_id"]
    stored = store.decision(decision_id)
    images = (Picture(b"\xff\xd8\xff\xe0", "image/jpeg"), Picture(b"<script>", "text/html"))
    record = DecisionRecord(
        "with-photos", stored.listing, "review", "held", "m", "p", stored.decided_at, images=images
    )
    store.record([replace(record, body=stored.body)])
    page = browser.get("/console/items/with-photos")
    assert page.text.count('<figure class="photo">') == 2
    photo = browser.get("/console/photos/with-photos/0")
    assert (
        photo.headers["content-type"] == "image/jpeg"
        and "sandbox" in photo.headers["content-security-policy"]
    )
    assert browser.get("/console/photos/with-photos/1").status_code == 404, "not a picture"
    assert browser.get("/console/photos/with-photos/9").status_code == 404
    style = (FOLDER / "static" / "console.css").read_text("utf-8")
    assert ".photo img { filter: blur" in style and ".photo.clear img { filter: none" in style


def test_signing_in_leads_back_inside_and_nowhere_else(served, store):
    people(store, "reviewer")
    browser = Browser(served)
    assert wait_closed(browser, store)
    assert browser.get("/console/queue?hazard=lead").url.params["next"] == "/console/queue?hazard=lead"
    for there in ("https://evil.example", "//evil.example", "/console//evil", "/docs", "/console\\evil"):
        page = browser.post("/console/login", name="reviewer", password=PASSWORD, next=there)
        assert page.url.path == "/console" and page.url.host == "127.0.0.1", there
        browser.post("/console/logout")
    wrong = browser.post("/console/login", name="reviewer", password="wrong wrong wrong", next="")
    assert (
        wrong.status_code == 401
        and "Name or password is wrong" in wrong.text
        and "wrong wrong" not in wrong.text
    )


def test_the_session_cookie_is_out_of_reach_of_scripts_and_other_sites(served, store):
    people(store, "reviewer")
    browser = Browser(served)
    assert wait_closed(browser, store)
    answer = browser.portal.call(
        lambda: browser.http.post("/console/login", data={"name": "reviewer", "password": PASSWORD})
    )
    cookie = answer.headers["set-cookie"].lower()
    assert "httponly" in cookie and "samesite=lax" in cookie and "path=/" in cookie


def test_the_language_can_be_chosen(browser):
    browser.get("/console")
    page = browser.post("/console/language", to="ko", there="/console/queue")
    assert (
        page.url.path == "/console/queue" and '<html lang="ko">' in page.text and "심사 대기열" in page.text
    )


def test_accounts_and_keys_from_the_console(browser, store):
    browser.get("/console/people")
    page = browser.post(
        "/console/people/keys", name="pipeline", role="administrator", scope="score", days="10"
    )
    key = re.search(r"lrk_[0-9a-f]+_[\w-]+", page.text)[0]
    door = AccessDoor(store)
    assert door.key_actor(key).scopes == {"score"}


def test_an_item_is_banned_from_its_page_and_the_ban_is_changed(served, browser, office):
    decision_id = served.post("/v1/score", json=listing()).json()["decision_id"]
    browser.get(f"/console/items/{decision_id}")
    page = browser.post(f"/console/items/{decision_id}/ban", reason="자석이 빠짐")
    ban_id = page.url.path.rpartition("/")[2]
    assert office.desk.book.entry(ban_id).actor == "local" and "자석이 빠짐" in page.text
    for what, state in (("quarantine", "quarantined"), ("release", "active"), ("lift", "lifted")):
        browser.post(f"/console/bans/{ban_id}/change", what=what)
        assert office.desk.book.entry(ban_id).state == state
    assert browser.get("/console/bans/nothing").status_code == 404


def test_a_policy_is_tried_and_promoted_from_the_console(served, browser, store):
    served.post("/v1/score", json=listing())
    text = (
        (Path(serving.__path__[0]) / "policy" / "policy.yaml")
        .read_text("utf-8")
        .replace("2026.11.1", "2026.12.1")
    )
    browser.get("/console/policy")
    assert (
        "unknown key" in browser.post("/console/policy/try", text="version: x\nnonsense: 1\n", days="3").text
    )
    page = browser.post("/console/policy/try", text=text.replace("\n", "\r\n"), days="3")
    assert page.status_code == 200 and "what would have changed" in page.text
    page = browser.post("/console/policy/promote", text=text.replace("\n", "\r\n"), why="December")
    assert "2026.12.1" in page.text
    from serving.policy.desk import promoted_policy

    assert promoted_policy(store).content.version == "2026.12.1"


# --- texts and views -------------------------------------------------------------------------------------------------


def test_every_text_a_template_asks_for_exists():
    keys = set()
    for path in (FOLDER / "templates").glob("*.html"):
        keys |= set(re.findall(r'(?<![\w.])t\(["\']([a-z0-9_.]+)["\'](?! ~)', path.read_text("utf-8")))
    for path in FOLDER.glob("*.py"):
        keys |= set(re.findall(r'words\("([a-z0-9_.]+)"', path.read_text("utf-8")))
    keys = {key for key in keys if not key.endswith(".")}
    assert keys <= set(catalogue()), sorted(keys - set(catalogue()))
    assert len(keys) > 200


def test_texts_have_the_same_places_to_fill_in_both_languages():
    for key, texts in catalogue().items():
        places = [sorted(re.findall(r"\{(\w+)\}", texts[language])) for language in LANGUAGES]
        assert places[0] == places[1], key


def test_templates_compile():
    for name in environment().list_templates():
        environment().get_template(name)


def test_a_text_that_is_missing_is_an_error():
    with pytest.raises(MissingTextError):
        Wording("ko")("no.such.text")
    assert Wording("ko").name("action", "no_such_action") == "no_such_action"
    assert [language_of(asked) for asked in ("ko-KR,en;q=0.8", "fr,en-US", "de", "")] == [
        "ko",
        "en",
        "en",
        "en",
    ]


def test_marks_stand_where_the_words_are():
    phrases = [
        {"field": "title", "start": 0, "end": 4, "weight": 2.0, "hazard": "lead", "text": "납 목걸"},
        {"field": "title", "start": 2, "end": 6, "weight": 0.5, "hazard": "fire", "text": "목걸이 "},
        {
            "field": "title",
            "start": 90,
            "end": 95,
            "weight": 9.0,
            "hazard": "fire",
            "text": "out of the text",
        },
        {"field": "bullets.0", "start": 0, "end": 2, "weight": -1.0, "hazard": "lead", "text": "KC"},
    ]
    title, bullet = text_fields({"title": "납 목걸이 세트", "bullets": ["KC 인증"]}, phrases)
    assert [(p.text, p.tone) for p in title.pieces] == [
        ("납 ", "more"),
        ("목걸", "more"),
        ("이 ", "less"),
        ("세트", ""),
    ]
    assert title.pieces[1].hazards == ("lead", "fire")
    assert [(p.text, p.tone) for p in bullet.pieces] == [("KC", "against"), (" 인증", "")]
    assert "".join(piece.text for piece in pieces_of("abc", phrases)) == "abc"
    assert words_of(phrases)[0].text == "out of the text"


def test_values_as_people_read_them():
    assert [percent(value) for value in (None, 0, 0.5, 0.0123, 0.00001)] == ["", "0%", "50%", "1.2%", "<0.1%"]
    assert [length_of(value, "ko") for value in (30, 3600, 200_000, -7200)] == [
        "0분",
        "1시간",
        "2일",
        "-2시간",
    ]


# --- colours ---------------------------------------------------------------------------------------------------------

ON = (
    *(("ink", ground) for ground in ("bg", "card", "hover", "gray-soft")),
    *(("soft", ground) for ground in ("bg", "card", "hover", "gray-soft")),
    *((name, f"{name}-soft") for name in ("red", "amber", "blue", "violet", "green")),
    ("red", "card"), ("amber", "card"), ("green", "card"), ("accent", "card"), ("accent", "bg"),
    ("accent-ink", "accent"), ("ink", "accent-soft"), ("ink", "amber-soft"), ("ink", "red-soft"),
    ("side-ink", "side"), ("side-soft", "side"), ("side-ink", "side-on"),
)  # fmt: skip


def luminance(colour):
    parts = [int(colour[at : at + 2], 16) / 255 for at in (1, 3, 5)]
    linear = [part / 12.92 if part <= 0.03928 else ((part + 0.055) / 1.055) ** 2.4 for part in parts]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def palettes():
    text = (FOLDER / "static" / "console.css").read_text("utf-8")
    blocks = re.findall(r":root \{(.*?)\}", text, re.DOTALL)
    assert len(blocks) == 2
    wide = {name: "#" + "".join(c * 2 for c in code[1:]) if len(code) == 4 else code
            for name, code in re.findall(r"--([\w-]+): (#[0-9a-f]{3,6});", blocks[0])}  # fmt: skip
    dark = {name: "#" + "".join(c * 2 for c in code[1:]) if len(code) == 4 else code
            for name, code in re.findall(r"--([\w-]+): (#[0-9a-f]{3,6});", blocks[1])}  # fmt: skip
    return {"light": wide, "dark": wide | dark}


@pytest.mark.parametrize("name", ["light", "dark"])
def test_text_can_be_read_on_its_ground(name):
    """WCAG 2.2, 1.4.3: at least 4.5 to 1."""
    palette = palettes()[name]
    for ink, ground in ON:
        lighter, darker = sorted((luminance(palette[ink]), luminance(palette[ground])), reverse=True)
        assert (lighter + 0.05) / (darker + 0.05) >= 4.5, (ink, ground)
