"""Overlapping tables of one regulator: one recall is one label, and a title gives up its product."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from features.taxonomy import load_taxonomy
from training.config import Config
from training.dataset import load_dataset
from training.sources.cpsc import product_of_title

RECALLS = """recall_number,recall_date,product_types,manufacturers,descriptions,hazards,countries,upcs,recall_url
00991,2009-05-01,Toys,Acorn Works,Wooden rattle,Choking,China,,
"""
TOYS = """Title,Date,Summary,Recall Number,Recall URL,category_file
Wooden Rattles Recalled by Acorn Works Due to Choking Hazard,5/1/2009,A rattle.,991,,Toys_Misc
Acorn Works Recalls Pull Toys Due to Violation of Lead Paint Standard,6/1/2009,A toy.,992,,Toys_Misc
"""


@pytest.mark.parametrize(
    ("order", "kept"), [(("cpsc", "cpsc_toys"), "cpsc"), (("cpsc_toys", "cpsc"), "cpsc_toys")]
)
def test_a_recall_in_two_tables_is_kept_by_the_first(
    tmp_path: Path, order: tuple[str, str], kept: str
) -> None:
    (tmp_path / "cpsc.csv").write_text(RECALLS, encoding="utf-8")
    (tmp_path / "cpsc_toys.csv").write_text(TOYS, encoding="utf-8")
    config = Config.model_validate(
        {
            "name": "tables",
            "sources": [{"reader": name, "path": f"{name}.csv"} for name in order],
            "root_rate": 0.05,
            "root_rate_source": "made up",
        }
    )
    found = load_dataset(config, tmp_path, load_taxonomy())
    sources = {item.id.split(":")[1].lstrip("0"): item.source for item in found.recalls.items}
    assert sources == {"991": kept, "992": "cpsc_toys"}
    assert sum(count for reason, count in found.left_out.items() if "the same recall is in" in reason) == 1


@pytest.mark.parametrize(
    ("title", "product"),
    [
        ("CPSC, Acorn Works Announce Recall of Wooden Rattles", "Wooden Rattles"),
        ("Pull Toys Recalled by Acorn Works Due to Choking Hazard", "Pull Toys"),
        (
            "Acorn Works Recalls Toy Drums Due to Lead Poisoning Hazard; Sold Exclusively at Oak Stores",
            "Toy Drums",
        ),
        ("Serious Injury Prompts Oak Stores Recall of Magnet Sets", "Magnet Sets"),
        ("Ride-On Vehicles Recall to Repair", "Ride-On Vehicles"),
        ("Toy Jewelry Recall", "Toy Jewelry"),
        ("Something else", "Something else"),
    ],
)
def test_a_title_gives_up_its_product(title: str, product: str) -> None:
    assert product_of_title(title) == product


@given(st.text(min_size=1, max_size=3_000).filter(str.strip))
def test_any_title_gives_something_no_longer_than_itself(title: str) -> None:
    product = product_of_title(title)
    assert product
    assert len(product) <= len(title)
