"""A new hazard, product group, limit, names, laboratory and column map are data: no line of Python changes."""

from __future__ import annotations

import csv
import shutil
from datetime import date
from pathlib import Path

import pytest
import yaml

import features
from features.columns import ColumnMap
from features.reader import read_listings
from features.schema import parse_listing
from features.taxonomy import load_taxonomy
from serving.labs.columns import load_columns
from serving.policy.document import load_policy
from serving.predictor import Predictor
from training.bundle import Bundle
from training.config import Config
from training.pipeline import train

PACKAGED = Path(features.__file__).parent
TODAY = date(2026, 11, 22)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    made = tmp_path_factory.mktemp("data")
    for name in ("taxonomy.yaml", "laboratories.yaml", "product_groups.yaml", "limits.csv"):
        shutil.copy(PACKAGED / name, made / name)
    grow(made)
    return made


def grow(made):
    """Add one of each to the packaged data files, as a user would in an editor."""
    taxonomy = yaml.safe_load((made / "taxonomy.yaml").read_text("utf-8"))
    taxonomy["hazards"]["bisphenol_a"] = taxonomy["hazards"]["nickel"] | {
        "names": {"ko": "비스페놀 A", "en": "Bisphenol A", "zh": "双酚A", "ja": "ビスフェノールA"},
        "mask_terms": {"ko": ["비스페놀"], "en": ["bisphenol", "bpa"], "zh": ["双酚"]},
    }
    save(made / "taxonomy.yaml", taxonomy)
    groups = yaml.safe_load((made / "product_groups.yaml").read_text("utf-8"))
    groups["groups"]["nose_flutes"] = {
        "names": {"ko": "코피리", "en": "nose flutes", "zh": "鼻笛", "ja": "ノーズフルート"},
        "parent": "children_products", "audience": "under_3", "kc": "confirmation",
        "ko": "코 피리", "en": "nose flute", "zh": "鼻笛",
        "hazards": "bisphenol_a .8 assumption", "source": "made up for the test",
    }  # fmt: skip
    save(made / "product_groups.yaml", groups)
    laboratories = yaml.safe_load((made / "laboratories.yaml").read_text("utf-8"))
    laboratories["laboratories"]["NEWLAB"] = {
        "names": {"ko": "새시험소", "en": "New Lab", "zh": "新实验室"},
        "tests": ["bisphenol_a"], "mark": "assumption", "source": "made up for the test", "note": "",
    }  # fmt: skip
    save(made / "laboratories.yaml", laboratories)
    with (made / "limits.csv").open("a", encoding="utf-8", newline="") as stream:
        limit = ["t01", "JP", "nose_flutes", "", "bisphenol_a", "bisphenol A", "", "<=", "2.5", "", "mg/kg",
                 "made up for the test", "2024-01-01", "", "stated", "made up", "unverified", ""]  # fmt: skip
        csv.writer(stream, lineterminator="\n").writerow(limit)


def save(path, values):
    path.write_text(yaml.safe_dump(values, allow_unicode=True, sort_keys=False, width=10_000), "utf-8")


@pytest.fixture(scope="module")
def taxonomy(folder):
    return load_taxonomy(folder)


def test_hazard_group_limit_and_laboratory_are_read(taxonomy):
    assert taxonomy.codes[-1] == "bisphenol_a"
    assert taxonomy.hazard("bisphenol_a").names["ko"] == "비스페놀 A"
    assert taxonomy.hazard("bisphenol_a").names["ja"] == "ビスフェノールA"
    assert taxonomy.groups["nose_flutes"].parent == "children_products"
    assert taxonomy.groups["nose_flutes"].names["ja"] == "ノーズフルート"
    assert "NEWLAB" in taxonomy.laboratories
    (limit,) = [one for one in taxonomy.law.limits if one.jurisdiction == "JP"]
    assert limit.in_force(TODAY)
    assert limit.met_by(2.0)


def test_a_bundle_learns_the_new_hazard_and_decides_about_it(taxonomy, tmp_path):
    data = tmp_path / "past"
    data.mkdir()
    rows = [["product_name", "analyte", "hazard", "verdict", "date"]]
    for i in range(60):
        bad = i % 2 == 0
        name = f"{'투명 플라스틱 코피리' if bad else '스테인리스 코피리'} {chr(44032 + 40 * i)}무늬"
        rows.append([name, "BPA", "bisphenol_a", "fail" if bad else "pass", "2025-01-01"])
    with (data / "r.csv").open("w", encoding="utf-8", newline="") as stream:
        csv.writer(stream).writerows(rows)
    config = Config.model_validate(
        {
            "name": "japan", "sources": [{"reader": "lab_results", "path": "r.csv"}], "folds": 2,
            "lab": {"min_failed": 10}, "root_rate": 0.1, "root_rate_source": "made up",
        }
    )  # fmt: skip
    manifest = train(config, data, tmp_path / "bundle", taxonomy=taxonomy)
    assert manifest.hazards[-1] == "bisphenol_a"
    bundle = Bundle.load(tmp_path / "bundle", taxonomy)
    listing = parse_listing({"id": "1", "title": "투명 플라스틱 코피리 별무늬", "market": "JP"})
    decision = Predictor(bundle, load_policy()).decide([listing], explain="always")[0]
    cell = next(cell for cell in decision.hazards if cell.hazard == "bisphenol_a")
    assert decision.group == "nose_flutes"
    assert cell.p > 0.3
    assert cell.basis == "lab"


def test_a_marketplaces_and_a_laboratorys_columns(tmp_path):
    (tmp_path / "l.csv").write_text("商品名,価格,番号\nベビーカップ,980,7\n", "utf-8")
    columns = ColumnMap.parse("id=番号,title=商品名,price=価格,currency='JPY',market='JP'")
    (listing,) = list(read_listings(tmp_path / "l.csv", columns))
    assert (listing.id, listing.price, listing.market) == ("7", 980.0, "JP")
    packaged = yaml.safe_load((PACKAGED.parent / "serving" / "labs" / "labs_columns.yaml").read_text("utf-8"))
    packaged["laboratories"]["NEWLAB"] = {
        "columns": {"sample_id": ["検体"], "analyte": ["項目"], "value": ["値"]}
    }
    save(tmp_path / "labs.yaml", packaged)
    found = load_columns(tmp_path / "labs.yaml").places(["値", "項目", "検体"], "NEWLAB")
    assert found == {"value": 0, "analyte": 1, "sample_id": 2}
