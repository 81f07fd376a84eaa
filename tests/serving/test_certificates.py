from __future__ import annotations

import pytest

from features.certification import Register
from features.schema import parse_listing
from serving.policy.certificates import KcCheck

REGISTER = Register.of([("CB061R1234-5678", "적합"), ("CB061R9999-0001", "인증취소")])


def findings(group="toys", register=REGISTER, **fields):
    listing = parse_listing({"id": "a", "title": "블록 놀이", "market": "KR"} | fields)
    return KcCheck(register)(listing, group, "under_14")


def claim(number):
    return {"certificates": [{"kind": "KC", "number": number}]}


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ({}, "missing"),
        (claim("CB061R1234-5678"), "ok"),
        (claim("cb061r9999-0001"), "cancelled"),
        (claim("CB061R0000-0000"), "unregistered"),
        (claim("12-34"), "malformed"),
        ({"attributes": {"KC 인증번호": "CB061R9999-0001"}}, "cancelled"),
        ({"attributes": {"안전인증": "CB061R1234-5678"}}, "ok"),
        ({"attributes": {"색상": "CB061R9999-0001"}}, "missing"),
        ({"description": "인증받은 제품입니다 (CB061R1234-5678)"}, "ok"),
        ({"title": "블록 놀이 CB061R9999-0001"}, "cancelled"),
    ],
)
def test_findings(fields, expected):
    assert expected in findings(**fields)


def test_another_market_has_another_law():
    assert findings(market="US") == frozenset()


def test_goods_without_numbers_miss_none():
    assert "missing" not in findings(group="cosmetics")
