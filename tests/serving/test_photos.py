"""Photos in matching: bans keep them, listings are compared with them, live listings are found by them."""

from __future__ import annotations

import base64
import io
import shutil
import subprocess
import sys
import textwrap
from pathlib import Path

import numpy as np
import pytest

from benchmarks.relisting.drawn import branded, picture
from features.schema import Listing
from serving.bans.book import request_of
from serving.bans.office import load_reader, office_of
from serving.bans.photo_bank import BASE_RATE, BannedPhotos, key_of
from serving.bans.photo_index import SharedIndex, packed, unpacked
from serving.bans.photos import NOT_INSTALLED, PHOTOS_MAX, open_eyes
from serving.decisions import PhotoNote
from serving.policy.document import load_policy
from serving.predictor import Predictor
from serving.store import Store, schema
from serving.store.ban_photos import read_places
from serving.store.engine import reading
from training.image_matching import BASE_RATE as FITTED_RATE


def data(image, quality=90):
    held = io.BytesIO()
    image.save(held, "JPEG", quality=quality)
    return "data:image/jpeg;base64," + base64.b64encode(held.getvalue()).decode()


def cropped(image, share=0.1):
    width, height = image.size
    return image.crop((int(width * share), int(height * share), width, height))


@pytest.fixture(scope="module")
def reader():
    return load_reader()


@pytest.fixture(scope="module")
def eyes():
    return open_eyes()


@pytest.fixture
def office_at(stub, reader, eyes, tmp_path):
    """Open an office over a store; folder and eyes may be given."""
    opened = []

    def open_at(url, folder="photos", see=eyes):
        store = Store(url).open()
        predictor = Predictor(stub.StubBundle(), load_policy())
        office = office_of(store, predictor, reader, see, tmp_path / folder)
        opened.append((office, store))
        return office

    yield open_at
    for office, store in opened:
        office.close()
        store.close()


@pytest.fixture
def here(sqlite_template, tmp_path):
    """Address of a SQLite store, for what is the same on either database."""
    shutil.copy(sqlite_template, tmp_path / "here.db")
    return f"sqlite:///{tmp_path / 'here.db'}"


def item(**fields):
    return {
        "id": "banned",
        "title": "자석 큐브 216개 세트",
        "images": [data(picture(1)), data(picture(2))],
    } | fields


def place(office, **fields):
    return office.place(request_of({"listing": item(**fields), "reason": "magnets"}), "officer")


def test_rates_agree():
    assert BASE_RATE == FITTED_RATE


def test_an_edited_photo_under_another_title_is_blocked(office_at, store_url):
    office = office_at(store_url)
    ban = place(office).entry
    copy = Listing(id="new", title="Desk ornament, gift for adults", images=[data(cropped(picture(2)), 60)])
    decision = office.decider.decide([copy])[0]
    assert decision.action == "block" and decision.state == "held"
    (match,) = decision.to_json()["matches"]
    assert (match["ban_id"], match["tier"]) == (ban.ban_id, "exact")
    (photo,) = match["photos"]
    assert (photo["photo"], photo["banned_photo"], photo["verified"]) == (0, 1, True)
    assert decision.to_json()["photos"] == {"compared": 1, "notes": []}


def test_another_photo_matches_nobody(office_at, here):
    office = office_at(here)
    place(office, images=[data(branded(5))])
    for number in (3, 6, 40):
        other = Listing(id="o", title="Desk ornament", images=[data(branded(number))])
        assert not [m for m in office.decider.decide([other])[0].matches if m.kind == "exact"], number


def test_a_photo_that_cannot_be_used_is_named_and_lowers_nothing(office_at, here):
    office = office_at(here)
    place(office)
    images = ["data:image/jpeg;base64,AAAA", "https://shop.example/1.jpg", data(cropped(picture(1)))]
    decision = office.decider.decide([Listing(id="n", title="gift", images=images)])[0]
    assert decision.action == "block"
    seen = decision.to_json()["photos"]
    assert seen["compared"] == 1 and [note["photo"] for note in seen["notes"]] == [0, 1]
    assert seen["notes"][1]["reason"] == "fetching_off"
    many = Listing(id="n", title="gift", images=["x"] * (PHOTOS_MAX + 3))
    notes = office.decider.decide([many])[0].photos.notes
    assert notes[-1].reason == "too_many" and "3 were not" in notes[-1].detail


def test_without_the_extra_the_decision_says_so(office_at, here):
    office = office_at(here, see=None)
    place(office)
    decision = office.decider.decide([Listing(id="n", title="gift", images=[data(picture(1))])])[0]
    assert decision.action == "allow" and decision.photos.notes == (NOT_INSTALLED,)
    assert office.decider.decide([Listing(id="n", title="gift")])[0].photos is None


def test_lifting_and_quarantine_take_photos_out(office_at, store_url):
    office = office_at(store_url)
    ban, copy = place(office).entry, Listing(id="n", title="gift", images=[data(cropped(picture(1)))])
    assert office.decider.decide([copy])[0].action == "block"
    office.desk.quarantine(ban.ban_id, "officer")
    assert office.decider.decide([copy])[0].action == "allow"
    office.desk.release(ban.ban_id, "officer")
    assert office.decider.decide([copy])[0].action == "block"
    lifted = office.lift(ban.ban_id, "officer")
    assert office.decider.decide([copy])[0].action == "allow" and lifted.entry.state == "lifted"
    assert not len(office.photos.index)


def test_a_live_listing_is_found_by_its_photo_alone(office_at, here):
    office = office_at(here)
    live = [Listing(id=f"live-{n}", title=f"물건 {n} 호", images=[data(branded(n))]) for n in range(20, 28)]
    again = [
        Listing(id=f"copy-{n}", title=f"장식품 {n}", images=[data(cropped(picture(1), 0.02 * n))])
        for n in range(1, 6)
    ]
    list(office.catalogue.add([*live, *again]))
    found = place(office)
    assert {d.listing_id for d in found.decisions} == {f"copy-{n}" for n in range(1, 6)}
    assert {d.action for d in found.decisions} == {"block"}
    released = office.lift(found.entry.ban_id, "officer")
    assert len(released.released) == 5
    office.catalogue.remove([("", f"copy-{n}") for n in range(1, 5)])
    assert [d.listing_id for d in place(office).decisions] == ["copy-5"]


def test_another_process_sees_a_ban_and_takes_over_the_index(office_at, here):
    """Two offices over one store and folder stand for two workers; the second only reads."""
    first, second = office_at(here), office_at(here)
    copy = Listing(id="n", title="gift", images=[data(cropped(picture(1)))])
    assert not second.photos.index.writes
    ban = place(first).entry
    second.desk._looked = -1e9
    assert second.decider.decide([copy])[0].action == "block"
    first.close()
    other = place(second, id="b2", images=[data(picture(9))]).entry
    assert second.photos.index.writes and second.photos.index.has(
        [key_of(ban.ban_id, 0), key_of(other.ban_id, 0)]
    )


def test_a_lost_index_is_made_again_from_the_store(office_at, here):
    first = office_at(here, "one")
    ban = place(first).entry
    second = office_at(here, "two")
    assert second.photos.index.keys() == {key_of(ban.ban_id, 0), key_of(ban.ban_id, 1)}
    with reading(second.store.engine) as connection:
        assert read_places(connection) == [(ban.ban_id, 0), (ban.ban_id, 1)]


def test_photos_of_another_encoder_are_read_again(office_at, here, eyes, monkeypatch):
    first = office_at(here, "one")
    monkeypatch.setattr(BannedPhotos, "_record", _by_another_encoder(BannedPhotos._record))
    ban = place(first).entry
    monkeypatch.undo()
    second = office_at(here, "two")
    assert second.photos.index.has([key_of(ban.ban_id, 0)])
    copy = Listing(id="n", title="gift", images=[data(cropped(picture(1)))])
    assert second.decider.decide([copy])[0].action == "block"


def _by_another_encoder(record):
    from dataclasses import replace

    return lambda self, photo: replace(record(self, photo), made_by="0" * 64, entry=b"\xff not ours")


def test_an_index_of_another_encoder_is_made_anew(tmp_path, eyes):
    from features.encoding import EncoderIdentity
    from features.similarity import SimilarityIndex

    path = tmp_path / "banned.index"
    SimilarityIndex(path, EncoderIdentity("other", "1" * 64, 8), write=True).close()
    index = SharedIndex(path, eyes.identity)
    assert index.claim() and len(index) == 0
    index.close()


def test_entries_are_packed_without_loss(eyes):
    from features.image_match import photo_entry

    (photo,) = eyes.look(Listing(id="x", title="t", images=[data(picture(4))])).photos
    entry = photo_entry("k", photo.features)
    again = unpacked("k", packed(entry))
    assert again.key == "k" and again.payload == entry.payload
    for name in ("vectors", "hashes", "words"):
        np.testing.assert_array_equal(getattr(again, name), getattr(entry, name))
    with pytest.raises(ValueError, match="recipe"):
        unpacked("k", b"\xffxx")


def test_the_audit_knows_the_photos(office_at, store_url):
    from serving.audit.verification import verify
    from serving.store.migrations.guards import _MESSAGE

    office = office_at(store_url)
    place(office)
    assert verify(office.store).intact
    with pytest.raises(Exception, match=_MESSAGE), office.store.engine.begin() as connection:
        connection.execute(schema.metadata.tables["ban_photos"].delete())
    with office.store.engine.begin() as connection:
        row = {
            "seq": 1,
            "position": 9,
            "ban_id": "x",
            "digest": b"",
            "picture": b"",
            "entry": b"",
            "made_by": "",
        }
        connection.execute(schema.metadata.tables["ban_photos"].insert(), row)
    report = verify(office.store)
    assert [p.where.split(" of ")[0] for p in report.problems] == ["photos"]


def test_over_http(office_at, here, client_of):
    from serving.store import StoreSink

    office = office_at(here)
    client = client_of(sink=StoreSink(office.store), store=office.store, bans=office)
    answer = client.post("/v1/bans", json={"listing": item()}).json()
    path = answer["ban"]["images"][0]
    shown = client.get(path)
    assert shown.status_code == 200 and shown.headers["content-type"] == "image/jpeg"
    assert shown.content[:2] == b"\xff\xd8"
    assert client.get(path.rpartition("/")[0] + "/7").status_code == 404
    copy = {"id": "n", "title": "gift", "images": [data(cropped(picture(1)))]}
    scored = client.post("/v1/score", json=copy).json()
    assert scored["action"] == "block" and scored["matches"][0]["photos"][0]["verified"]
    with reading(office.store.engine) as connection:
        kept = connection.execute(schema.images.select()).mappings().all()
    assert [row["position"] for row in kept] == [0] and bytes(kept[0]["content"])[:2] == b"\xff\xd8"
    client.post("/v1/score", json={"id": "fine", "title": "gift", "images": [data(branded(30))]})
    with reading(office.store.engine) as connection:
        assert len(connection.execute(schema.images.select()).all()) == 1, (
            "photos of what is allowed are not kept"
        )
    stored = client.get(f"/v1/decisions/{scored['decision_id']}").json()
    assert stored["decision"]["matches"] == scored["matches"]


def test_serving_starts_without_the_packages_for_photos(tmp_path):
    code = textwrap.dedent("""
        import importlib.util, sys
        real = importlib.util.find_spec
        importlib.util.find_spec = lambda name, package=None: None if name in ("cv2", "PIL") else real(name, package)
        sys.modules["cv2"] = sys.modules["PIL"] = None
        from serving.bans.photos import missing_packages, open_eyes
        assert missing_packages() == ("cv2", "PIL"), missing_packages()
        assert open_eyes() is None
        import serving.app, serving.bans.office
        assert not any(name.startswith(("onnx", "torch")) for name in sys.modules if sys.modules[name])
    """)
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=Path(__file__).parents[2], capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr


def test_a_note_says_what_to_do():
    assert isinstance(NOT_INSTALLED, PhotoNote) and "pip install" in NOT_INSTALLED.detail
