"""Script in whatever strangers write, in a real Chromium: every field has its own mark, every page is opened."""

from __future__ import annotations

import re
from urllib.parse import quote

from serving.access.table import TABLE

KINDS = (
    "<script>hit('{}')</script>",
    "\"'><img src=x onerror=hit('{}')>",
    "</title></textarea></script><svg onload=hit('{}')>",
    "javascript:hit('{}')",
    "{{{{constructor.constructor('hit(1)')()}}}}<iframe srcdoc=\"<script>parent.hit('{}')</script>\">",
    "<a href=\"javascript:hit('{}')\" autofocus onfocus=hit('{}')>x</a><base href=//evil.example/>",
    "<style>@import '//evil.example/{}'</style><link rel=stylesheet href=//evil.example/a.css>",
    "<form action=//evil.example><button>x</button></form><meta http-equiv=refresh content=0;url=//evil.example/{}>",
)
LIVE = (
    "img[src=x], iframe, base, svg[onload], [onerror], [onfocus], a[href^='javascript:' i], "
    "meta[http-equiv=refresh]"
)


class Marks:
    """Gives every field a payload of its own, of another kind each time."""

    def __init__(self) -> None:
        self.given: list[str] = []

    def __call__(self, field: str) -> str:
        self.given.append(field)
        return KINDS[len(self.given) % len(KINDS)].replace("{}", field)


def hostile(mark: Marks, number: int) -> dict:
    """A listing with a payload in every field of text that it has."""
    return {
        "id": mark("id")[:200],
        "title": mark("title"),
        "description": mark("description"),
        "bullets": [mark("bullet")],
        "attributes": {mark("attribute"): mark("value"), "p:lead": "0.9"},
        "category": [mark("category")],
        "brand": mark("brand"),
        "origin": mark("origin"),
        "ship_from": mark("ship_from"),
        "target_age": mark("age"),
        "seller": {"id": mark("seller")[:200], "name": mark("seller_name"), "country": mark("country")},
        "certificates": [{"kind": mark("kind"), "number": mark("number")}],
        "variants": [{"id": mark("variant")[:200], "name": mark("variant_name"), "image": mark("image")}],
        "images": [mark("photo"), "javascript:hit('photo')", f"https://evil.example/{number}.png"],
        "marketplace": mark("marketplace"),
    }


def test_no_script_in_any_field_runs_on_any_page(person, service):
    """No dialog, no call, no request to another host, a content security policy on every page, nothing left out."""
    mark = Marks()
    made, subjects = [], {}
    for number in range(len(KINDS)):
        listing = hostile(mark, number)
        answer = service.call("POST", "/v1/score", json=listing).json()
        made.append(answer["decision_id"])
        subjects[answer["decision_id"]] = listing
    first = subjects[made[0]]
    ban = service.call(
        "POST", "/v1/bans", json={"listing": first, "reason": mark("ban"), "bank": "hostile"}
    ).json()
    notice = {
        "authority": mark("authority"), "number": mark("notice"), "reason": mark("notice_reason"),
        "url": "javascript:hit('notice_url')",
        "products": [{"title": mark("product"), "brand": mark("product_brand"), "description": mark("product_text")}],
    }  # fmt: skip
    notice_id = service.call("POST", "/v1/notices", json=notice).json()["notice_id"]
    place = {"listing_id": first["id"], "marketplace": first["marketplace"]}
    complaint = {"id": "c-1", "text": mark("complaint"), **place}
    service.call("POST", "/v1/complaints", json={"complaints": [complaint]})
    service.call("POST", "/v1/acknowledgements", json={"note": mark("note"), **place})
    again = service.call("POST", "/v1/score", json={**first, "id": "hostile-again"}).json()
    assert again["state"] != "live", "what is banned does not come back"
    service.call("POST", f"/v1/decisions/{again['decision_id']}/appeals", json={"text": mark("appeal")})
    made.append(again["decision_id"])

    sol = person("sol", "en-US")
    called: list[str] = []
    sol.page.expose_function("hit", lambda where: called.append(str(where)))
    sol.page.on("dialog", lambda dialog: called.append(dialog.message))
    fixed = [path for (method, path), _ in TABLE.items() if method == "GET" and path.startswith("/console")]
    pages = [path for path in fixed if "{" not in path and path not in ("/console/login",)]
    pages += [f"/console/items/{one}" for one in made]
    pages += [f"/v1/decisions/{one}/evidence?form=html" for one in made[:2]]
    pages += [
        f"/console/bans/{ban['ban']['ban_id']}",
        f"/console/notices/{notice_id}",
        f"/v1/notices/{notice_id}/evidence?form=html",
        f"/console/decisions?find={quote(first['id'])}",
        f"/console/queue?seller_id={quote(first['seller']['id'])}",
        f"/console/seller?marketplace={quote(first['marketplace'])}&id={quote(first['seller']['id'])}",
        f"/console/nothing/{quote(KINDS[0])}",
        f"/console/login?next={quote(chr(106) + 'avascript:hit(1)')}",
    ]
    for path in pages:
        answer = sol.page.goto(service.address + path)
        assert answer is not None
        policy = answer.headers.get("content-security-policy", "")
        assert re.search(r"default-src 'none'|default-src 'self'", policy), (path, policy)
        assert "unsafe-inline" not in re.sub(r"style-src[^;]*", "", policy), (path, policy)
        assert sol.page.url.startswith(service.address), path
        assert sol.page.locator(LIVE).count() == 0, path
    assert called == []
    assert not [url for url in sol.outside if not url.startswith("data:")]
    sol.complaints[:] = [said for said in sol.complaints if "(Not Found)" not in said]  # the page of nothing
