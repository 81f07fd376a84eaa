"""What anybody in product safety expects of the starter bundle, in three languages."""

from __future__ import annotations

import numpy as np
import pytest

from features.schema import parse_listing
from serving.settings import STARTER
from training.bundle import Bundle


@pytest.fixture(scope="module")
def starter():
    return Bundle.load(STARTER)


def score(starter, *titles):
    return starter.score([parse_listing({"id": str(i), "title": title}) for i, title in enumerate(titles)])


def top(starter, title, n):
    scores = score(starter, title)
    return [starter.taxonomy.codes[k] for k in np.argsort(-scores.p[0])[:n]]


# (hazards that must stand among the first n, n, titles in three languages)
EXPECTED = [
    ({"phthalates"}, 2, ["soft vinyl squeeze animal bath toys for baby", "유아 목욕놀이 말랑말랑 비닐 동물 장난감", "婴儿 洗澡 软胶 捏捏 动物 玩具"]),
    ({"lead", "cadmium", "phthalates"}, 4, ["girls princess charm bracelet and ring set", "여아 공주 참 팔찌 반지 세트", "女童 公主 手链 戒指 套装"]),
    ({"impact_protection"}, 1, ["full face motorcycle helmet", "풀페이스 오토바이 헬멧", "摩托车 全盔 头盔"]),
    ({"magnet_ingestion"}, 1, ["magnetic ball desk toy 216 pieces", "자석 구슬 216개 피젯 장난감", "巴克球 磁力球 216颗 玩具"]),
    ({"fire", "electric_shock"}, 3, ["USB wall charger adapter fast charging", "USB 충전기 고속 어댑터", "USB 充电器 快充 插头"]),
    ({"biocides"}, 2, ["fluffy slime kit for kids", "어린이 슬라임 만들기 세트", "儿童 史莱姆 套装"]),
    ({"optical_radiation"}, 1, ["high power green laser pointer pen", "고출력 초록 레이저 포인터", "大功率 绿光 激光笔"]),
    ({"covert_camera"}, 1, ["desk clock with 1080P wifi lens, records while you are away", "탁상시계형 카메라 1080P 와이파이 원격 보기", "台钟 摄像头 1080P 远程 查看"]),
]  # fmt: skip


@pytest.mark.parametrize(
    ("hazards", "n", "title"), [(hazards, n, title) for hazards, n, titles in EXPECTED for title in titles]
)
def test_the_expected_hazards_come_first(starter, hazards, n, title):
    assert hazards <= set(top(starter, title, n))


HARMLESS = [
    "hardcover novel",
    "남성 면 반팔 티셔츠",
    "不锈钢 汤勺",
    "제주 감귤 5kg",
    "office paper A4 500 sheets",
]


def test_ordinary_goods_rank_below_risky_ones(starter):
    risky = [title for _, _, titles in EXPECTED[:-1] for title in titles]
    scores = score(starter, *risky, *HARMLESS)
    laboratory = starter.taxonomy.laboratory_mask
    worst = scores.p[:, laboratory].max(axis=1)
    assert worst[: len(risky)].min() > worst[len(risky) :].max()


@pytest.mark.parametrize(
    "title",
    [
        "toy camera for kids wooden",
        "spy camera detector anti hidden camera finder",
        "baby monitor with camera and night vision",
        "몰카 탐지기 휴대용",
        "차량용 블랙박스 전후방 카메라",
        "防偷拍 探测器",
        "wall clock silent 30 cm",
    ],
)
def test_ordinary_cameras_detectors_and_clocks_are_no_covert_cameras(starter, title):
    column = starter.taxonomy.index("covert_camera")
    assert score(starter, title).p[0, column] < starter.manifest.operating_points["review"]["covert_camera"]


@pytest.mark.parametrize(
    ("plain", "dressed"),
    [
        ("magnetic ball desk toy", "🔥2026 NEW🔥 magnetic ball desk toy FREE SHIPPING hot sale"),
        ("오토바이 헬멧", "[무료배송] 오토바이 헬멧 신상 특가"),
        ("充电器 快充", "包邮 现货 充电器 快充 厂家直销"),
    ],
)
def test_selling_noise_changes_little(starter, plain, dressed):
    scores = score(starter, plain, dressed)
    assert np.abs(np.log(scores.p[0] + 1e-4) - np.log(scores.p[1] + 1e-4)).max() < 1.0


@pytest.mark.parametrize(
    ("plain", "hidden"),
    [
        ("magnetic balls toy", "m a g n e t i c  b a l l s toy"),
        ("magnetic balls toy", "magn\u200betic ba\u200blls toy"),
        ("몰래카메라 시계", "몰.래.카.메.라 시계"),
        ("오토바이 헬멧", "오토바이 ㅎㅔㄹㅁㅔㅅ"),
        ("spy camera pen", "sp1 c4mera pen"),
    ],
)
def test_evasive_spelling_does_not_lower_the_score(starter, plain, hidden):
    scores = score(starter, plain, hidden)
    first = int(np.argmax(scores.p[0]))
    assert scores.p[1, first] >= 0.8 * scores.p[0, first]
