"""Promotion, two persons, rollback, history: every step a row, and none that must not be."""

from __future__ import annotations

import shutil

import pytest

from serving.models import promotion
from serving.models.promotion import PromotionError
from serving.settings import STARTER
from serving.store import Store
from training.manifest import read_manifest, write_manifest


@pytest.fixture(scope="module")
def shelf(tmp_path_factory):
    return tmp_path_factory.mktemp("shelf")


@pytest.fixture(scope="module")
def bundles(tmp_path_factory, shelf):
    made = []
    for name in ("one", "two", "three"):
        folder = tmp_path_factory.mktemp(name) / "bundle"
        shutil.copytree(STARTER, folder)
        write_manifest(folder, read_manifest(folder).model_copy(update={"name": name}))
        made.append(promotion.keep(folder, shelf))
    return made


@pytest.fixture
def store(store_url):
    with Store(store_url) as opened:
        yield opened


def go(store, kept, actor="ann", **more):
    return promotion.promote(store, kept, actor, **({"verdict": {"passed": True, "reasons": []}} | more))


def test_a_kept_bundle_outlives_what_happens_to_its_folder(tmp_path, shelf):
    folder = tmp_path / "bundle"
    shutil.copytree(STARTER, folder)
    (folder / "notes.txt").write_text("not part of it")
    kept = promotion.keep(folder, shelf)
    assert promotion.keep(folder, shelf) == kept
    shutil.rmtree(folder)
    assert read_manifest(kept.folder).digest == read_manifest(STARTER).digest
    assert not (kept.folder / "notes.txt").exists()


def test_promote_and_roll_back_and_what_is_remembered(store, bundles):
    one, two, three = bundles
    for kept in bundles:
        go(store, kept)
    champion = promotion.champion_of(store)
    assert (champion.version, champion.body["previous"]) == (three.version, two.version)
    assert promotion.roll_back(store, "bob", "worse").version == two.version
    # Going back once more does not land on what was just left.
    assert promotion.roll_back(store, "bob", "worse still").version == one.version
    assert promotion.roll_back(store, "bob", "named", to=three.version).version == three.version
    rows = promotion.events_of(store, promotion.CHAMPION)
    assert [row.actor for row in rows] == ["bob"] * 3 + ["ann"] * 3
    assert rows[0].body["why"] == "named"
    with pytest.raises(PromotionError, match="serves already"):
        go(store, three)
    with pytest.raises(PromotionError, match="never served before"):
        promotion.roll_back(store, "bob", "?", to="nobody+1")


def test_the_first_champion_goes_back_to_the_starter_bundle(store, bundles):
    with pytest.raises(PromotionError, match="Nothing was ever promoted"):
        promotion.roll_back(store, "bob", "?")
    go(store, bundles[0])
    assert promotion.roll_back(store, "bob", "?").version.startswith("starter+")


def test_two_persons(store, bundles):
    kept = bundles[0]
    assert go(store, kept, two_persons=True).status == promotion.PROPOSED
    assert promotion.champion_of(store) is None
    with pytest.raises(PromotionError, match="a second person"):
        promotion.agree(store, kept.version, "ann")
    done = promotion.agree(store, kept.version, "bob")
    assert (done.status, done.body["proposed_by"]) == (promotion.CHAMPION, "ann")
    with pytest.raises(PromotionError, match="no open proposal"):
        promotion.agree(store, kept.version, "carol")
    go(store, bundles[1], two_persons=True)
    promotion.withdraw(store, bundles[1].version, "ann", "not yet")
    with pytest.raises(PromotionError, match="no open proposal"):
        promotion.agree(store, bundles[1].version, "bob")


def test_the_gate_is_not_passed_over_in_silence(store, bundles):
    with pytest.raises(PromotionError, match=r"The gate refuses.*lead fell"):
        go(store, bundles[0], verdict={"passed": False, "reasons": ["lead fell"]})
    with pytest.raises(PromotionError, match="without a reason"):
        go(store, bundles[0], verdict=None)
    assert go(store, bundles[0], verdict=None, why="first start").body["why"] == "first start"
