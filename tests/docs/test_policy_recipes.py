"""Every recipe of the policy cookbook is a rule that fits the default policy and the starter bundle."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import yaml

from features.taxonomy import load_taxonomy
from serving.policy.binding import bind
from serving.policy.document import ConditionPart, parse_policy
from serving.settings import STARTER
from training.bundle import Bundle

PAGE = (Path(__file__).parents[2] / "docs" / "policy.md").read_text("utf-8")
RECIPES = [yaml.safe_load(block)[0] for block in re.findall(r"```yaml\n(.*?)```", PAGE, re.S)]


@pytest.fixture(scope="module")
def points():
    return Bundle.load(STARTER).manifest.operating_points


@pytest.mark.parametrize("recipe", RECIPES, ids=lambda recipe: recipe["id"])
def test_the_recipe_is_a_rule(recipe, points):
    text = yaml.safe_dump({"version": "test", "on_expiry": "review", "rules": [recipe]}, allow_unicode=True)
    bound = bind(parse_policy(text), points, load_taxonomy())
    assert [rule.id for rule in bound.rules] == [recipe["id"]]


def test_every_condition_is_in_the_table():
    named = set(re.findall(r"`(\w+)`", PAGE.split("## Conditions")[1]))
    assert {field.alias or name for name, field in ConditionPart.model_fields.items()} <= named
