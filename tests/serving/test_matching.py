"""Matching: an edited copy of a banned item is found, innocent look-alikes are not, photos and people have a say."""

from __future__ import annotations

import math
import random
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from features.offer_index import OfferIndex
from features.schema import Listing, parse_listing
from features.scripts import language
from serving.bans.bank import OfferReader
from serving.bans.book import request_of
from serving.bans.match import PhotoFinding, PhotoResult, combined
from serving.bans.matching import MatchFinder
from serving.bans.office import load_reader, office_of
from serving.bans.retroaction import BanOffice
from serving.store import Store
from training.matcher_sets import read_sample
from training.retitle import relisted

UNSEEN = read_sample("test")
"""The half of the sample that the packaged matcher was not made from."""


@pytest.fixture(scope="module")
def reader() -> OfferReader:
    return load_reader()


@pytest.fixture
def office(tmp_path: Path, predictor: Any, reader: OfferReader) -> Iterator[BanOffice]:
    with Store(str(tmp_path / "s.db")) as store:
        yield office_of(store, predictor, reader)


def ban(office: BanOffice, item: Listing) -> str:
    request = request_of({"listing": item.model_dump(mode="json", exclude_defaults=True), "reason": "failed"})
    return office.desk.place(request, "ann").ban_id


def titled(title: str, **more: Any) -> Listing:
    return parse_listing({"id": "q", "title": title, "seller": {"id": "s-77"}, **more})


@dataclass(frozen=True)
class Photos:
    """Photo findings as a photo index would give them."""

    findings: tuple[PhotoFinding, ...]

    reads: bool = True

    def against(self, listing: Listing) -> PhotoResult:
        return PhotoResult(self.findings)


def finding(ban_id: str, p: float, *, verified: bool = False) -> PhotoFinding:
    return PhotoFinding(ban_id, photo=0, banned_photo=1, probability=p, base_rate=0.01, verified=verified)


def test_edited_copies_are_found_and_other_goods_are_not(office):
    products = dict(reversed([(product, item) for product, item in UNSEEN]))
    banned = dict(list(products.items())[::6][:16])
    ids = {product: ban(office, item) for product, item in banned.items()}
    finder, rng = MatchFinder(office.desk.bank), random.Random(3)
    copies = [(p, relisted(item, rng, language(item.title))) for p, item in banned.items() for _ in range(3)]
    found = sum(any(m.entry.ban_id == ids[p] for m in finder.find(copy)) for p, copy in copies)
    assert found >= 0.95 * len(copies)
    innocent = [item for product, item in UNSEEN if product not in banned]
    wrong = [item for item in innocent if finder.find(item)]
    exact = [item for item in innocent if any(m.tier == "exact" for m in finder.find(item))]
    assert len(wrong) <= 0.04 * len(innocent)
    assert len(exact) <= 0.01 * len(innocent)


def test_a_banned_item_that_returns_is_blocked_with_the_evidence(office):
    item = titled("Rainbow Magnet Balls 5mm 216 Pieces Desk Cube ZK-216", id="old", seller={"id": "s-1"})
    ban_id = ban(office, item)
    copy = titled("FREE SHIPPING ZK216 Rainbow Magnet Balls 216 Pieces 5mm Desk Cube")
    (decision,) = office.decider.decide([copy])
    assert decision.state == "held" and decision.action in ("block", "review")
    (match,) = decision.to_json()["matches"]
    assert match["ban_id"] == ban_id and match["reason"] == "failed" and not match["same_offer"]
    words = " ".join(copy.title[w["start"] : w["end"]].lower() for w in match["words"])
    assert "magnet balls" in words and "free" not in words and "shipping" not in words
    assert "Magnet" not in str(match), "the seller's words are cited by position only"
    assert "banned-item" in decision.rules[0].id
    assert "matches" not in office.decider.decide([titled("Stainless steel bottle 500ml")])[0].to_json()


def test_words_are_cited_as_the_seller_wrote_them(office):
    ban(office, titled("rainbow magnet balls 5mm desk cube set zk-216", id="old"))
    title = "NEW!! rainbow  M.a.g.n.e.t balls 5mm desk cube set zk-216"
    (match,) = MatchFinder(office.desk.bank).find(titled(title))
    assert any("M.a.g.n.e.t" in title[w.start : w.end] for w in match.words)


def test_the_very_offer_is_exact_whatever_the_model_thinks(office):
    item = titled("a", id="old", seller={"id": "S-1 "})
    ban(office, item)
    (match,) = MatchFinder(office.desk.bank).find(titled("A", seller={"id": "s-1"}))
    assert (match.tier, match.p, match.same_offer) == ("exact", 1.0, True)


def test_a_verified_photo_is_exact_and_a_poor_one_changes_nothing(office):
    ban_id = ban(office, titled("rainbow magnet balls 216", id="old"))
    query = titled("Desk sculpture set for adults", images=["a.jpg"])
    assert MatchFinder(office.desk.bank).find(query) == ()
    assert MatchFinder(office.desk.bank, Photos((finding(ban_id, 0.005),))).find(query) == ()
    (match,) = MatchFinder(office.desk.bank, Photos((finding(ban_id, 0.999, verified=True),))).find(query)
    assert match.tier == "exact" and match.photos[0].banned_photo == 1
    assert match.to_json()["photos"] == [{"photo": 0, "banned_photo": 1, "p": 0.999, "verified": True}]
    without = query.model_copy(update={"images": []})
    assert MatchFinder(office.desk.bank, Photos((finding(ban_id, 0.999, verified=True),))).find(without) == ()


@given(st.floats(0, 1), st.floats(0, 1), st.floats(0, 1))
def test_words_and_photos_make_one_probability(p_text, low, high):
    low, high = sorted((low, high))
    joined = [combined(p_text, [finding("b", p)]) for p in (low, high)]
    assert p_text - 1e-5 <= joined[0] <= joined[1] + 1e-12
    assert all(0 <= p <= 1 for p in joined)
    assert combined(p_text, []) == p_text
    assert not math.isnan(joined[1])


def test_a_confirmed_look_alike_is_left_alone_and_the_banned_item_is_not(office):
    item = titled("Rainbow Magnet Balls 5mm 216 Pieces Desk Cube", id="old", brand="Zorb", price=9.0)
    ban_id = ban(office, item)
    fine = titled("New Rainbow Magnet Balls 5mm 216 Pieces Desk Cube", id="fine", brand="Zorb", price=11.0)
    finder = MatchFinder(office.desk.bank)
    assert finder.find(fine)
    office.desk.overturn(ban_id, fine, "ann")
    assert finder.find(fine) == ()
    assert finder.find(fine.model_copy(update={"id": "fine-2", "price": 5.0})) == ()
    copy = titled("Rainbow Magnet Balls 5mm 216 Pieces Desk Cube", brand="Zorb", price=9.5)
    assert [m.entry.ban_id for m in finder.find(copy)] == [ban_id]


def test_quarantined_lifted_and_disabled_entries_match_nobody(office):
    item = titled("Rainbow Magnet Balls 5mm 216 Pieces Desk Cube", id="old")
    ban_id, finder = ban(office, item), MatchFinder(office.desk.bank)
    assert finder.find(item)
    office.desk.quarantine(ban_id, "ann")
    assert finder.find(item) == ()
    office.desk.release(ban_id, "ann")
    assert finder.find(item)
    office.desk.set_bank("banned", 0.0, "ann")
    assert finder.find(item) == ()
    office.desk.set_bank("banned", 1.0, "ann")
    office.desk.lift(ban_id, "ann")
    assert finder.find(item) == ()


@pytest.mark.parametrize(
    "title", ["🧲🧲🧲", "\u200b", "a" * 1000, "().*+?[", "자" * 999, "%_'\"; --", "a\x00b"]
)
def test_hostile_titles_are_searched_and_banned_without_harm(office, title):
    ban(office, titled("rainbow magnet balls", id="old"))
    finder = MatchFinder(office.desk.bank)
    query = titled(title)
    for match in finder.find(query):
        assert 0 <= match.p <= 1
        assert all(0 <= w.start < w.end <= len(query.title) for w in match.words)


def test_what_is_not_compared_in_full_would_have_matched_nothing(office):
    """The shortlist is cut by a cheap sum; comparing all of it finds hardly one banned item in a hundred more."""
    finder, rng = MatchFinder(office.desk.bank), random.Random(5)
    banned = [item for _, item in UNSEEN[::4]][:40]
    for item in banned:
        ban(office, item)
    copies = [relisted(item, rng, language(item.title)) for item in banned]
    others = [item for _, item in UNSEEN[1::4]][:40]
    reader, bank = finder.reader, finder.bank
    compared = shortlisted = missed = found = 0
    for listing in (*copies, *others):
        (read,) = reader.read([listing])
        (near,) = bank.nearest([reader.query(read)])
        p = reader.matcher.compare([(read.view, bank.view(n.key)) for n in near], [n.cosine for n in near])
        whole = {n.key for n, one in zip(near, p, strict=True) if one >= reader.matcher.near}
        cut = finder.text_probabilities(read)
        missed += len(whole - cut.keys())
        found += len(whole)
        shortlisted, compared = shortlisted + len(near), compared + len(cut)
    assert found >= len(copies) * 0.8 and missed <= found / 100
    assert 0 < compared < shortlisted / 2


def test_looking_back_compares_what_a_look_up_would(office):
    """A ban looks through what is on sale, a listing through the bans: both pass over the same pairs."""
    finder, rng = MatchFinder(office.desk.bank), random.Random(9)
    reader = finder.reader
    banned = UNSEEN[0][1]
    ban_id = ban(office, banned)
    copies = [relisted(banned, rng, language(banned.title)) for _ in range(10)]
    listings = [*copies, *(item for _, item in UNSEEN[1:80])]
    index = OfferIndex(reader.encoder.identity.dim)
    index.add([(str(i), mark) for i, mark in enumerate(reader.marks(listings))])
    (read,) = reader.read([banned])
    near = index.nearest(reader.query(read), len(listings))
    p = reader.compare(read, near, [listings[int(one.key)] for one in near])
    looked_up = [finder.text_probabilities(reader.read([listings[int(one.key)]])[0]) for one in near]
    for value, found in zip(p, looked_up, strict=True):
        # Stored prints are rounded: a pair on the border may fall on either side, and is no match then.
        assert value == pytest.approx(found.get(ban_id, 0.0), abs=0.1)
    assert sum(value >= reader.matcher.near for value in p) >= 8
    assert (p == 0).sum() > 40
    assert len(reader.compare(read, [], [])) == 0


def test_matches_of_a_block_are_those_of_each_listing_alone(office):
    rng = random.Random(6)
    banned = [item for _, item in UNSEEN[::5]][:30]
    for item in banned:
        ban(office, item)
    listings = [relisted(item, rng, language(item.title)) for item in banned] + [i for _, i in UNSEEN[2::9]][
        :20
    ]
    finder = MatchFinder(office.desk.bank)
    together = finder.compare(listings)
    assert any(matches for matches, _ in together)
    for listing, (matches, _) in zip(listings, together, strict=True):
        assert [match.to_json() for match in finder.find(listing)] == [match.to_json() for match in matches]


def test_the_bank_keeps_few_offers_as_they_are_compared(office, monkeypatch):
    monkeypatch.setattr("serving.bans.bank.VIEWS_KEPT", 3)
    ids = [ban(office, item) for _, item in UNSEEN[:9]]
    bank = office.desk.bank
    views = [bank.view(ban_id) for ban_id in ids]
    assert len(bank._views) == 3 and bank.view(ids[-1]) is views[-1]
    assert bank.view(ids[0]) == views[0]
