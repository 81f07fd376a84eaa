"""The covert-camera detector: what it finds, what it lets pass, and what it says of it."""

import csv
import gzip
from pathlib import Path

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from features.covert import CovertCameraDetector
from features.covert_weights import CovertWeights
from features.schema import Listing


@pytest.fixture(scope="module")
def detector() -> CovertCameraDetector:
    return CovertCameraDetector()


@pytest.mark.parametrize(
    "title",
    [
        "wall clock with 1080p wifi camera",
        "Toaster camera 1080P",
        "냄비 카메라 1080P 녹화",
        "抱枕摄像头 高清录像",
        "HD pen camera video recorder 32GB",
        "USB charger camera 1080P motion detection loop recording",
        "Alarm Clock 1080P HD WiFi remote view motion detection night vision",
        "Power bank with built-in 1080P camera",
        "Car key fob DVR 720p video recorder",
        "picture frame 1080p video recording motion activated",
        "Desk lamp 4K lens, watch on your phone",
        "mini spy cam wifi",
        "시계형 카메라 고화질 녹화",
        "볼펜 카메라 1080P 메모리 지원",
        "화재감지기형 와이파이 카메라 실시간 원격",
        "초소형 카메라 무선 와이파이 야간 촬영",
        "USB 메모리형 캠코더 녹화",
        "차키 카메라 동영상 촬영",
        "텀블러 1080p 와이파이 실시간 원격",
        "充电器 摄像头 高清 远程",
        "打火机 摄像 高清 录像",
        "车钥匙 录像 1080P 移动侦测",
        "隐形摄像头 微型 无线",
        "香薰机 1080P镜头 手机查看",
        "reloj camara espia 1080p",
    ],
)
def test_finds_covert_cameras(detector: CovertCameraDetector, title: str) -> None:
    assert detector.score_text(title).probability >= 0.5


@pytest.mark.parametrize(
    "title",
    [
        "wall clock silent 12 inch",
        "camera wall clock vintage decor",
        "spy camera detector RF bug finder",
        "webcam cover slide privacy",
        "kids toy camera 1080P with 32GB card",
        "dash cam 1080P mirror recorder",
        "baby monitor with camera night vision 1080P",
        "video doorbell camera wifi 1080P",
        "CCTV dome camera 1080P outdoor night vision",
        "security camera outdoor 1080P wifi",
        "camera battery charger NP-FW50",
        "USB charger for camera",
        "camera lens cleaning pen",
        "pen drawing tablet 4K monitor",
        "smart watch with camera remote control",
        "spy pen invisible ink kids",
        "invisible bra hidden zipper",
        "wifi smart clock weather station hd display",
        "digital photo frame wifi 1080P touch screen",
        "HD vision sunglasses night driving",
        "4K HDMI adapter usb c hub",
        "Fake security camera dummy dome",
        "HD mirror wall sticker",
        "몰카 탐지기 렌즈 탐지",
        "몰카 방지 카드 휴대용",
        "어린이 디지털 카메라 장난감 1080P",
        "차량용 블랙박스 2채널 와이파이",
        "홈캠 실내 카메라 300만 화소 와이파이 회전형",
        "캠핑 의자 초소형 휴대용",
        "카메라 충전기 배터리 세트",
        "보이스 레코더 볼펜 녹음기",
        "디지털 액자 와이파이 고화질",
        "反偷拍探测器 摄像头探测",
        "儿童相机 高清 拍照玩具",
        "手机支架 充电器 高清",
    ],
)
def test_lets_ordinary_goods_pass(detector: CovertCameraDetector, title: str) -> None:
    assert detector.score_text(title).probability < 0.5


def test_the_description_can_give_a_plain_title_away(detector: CovertCameraDetector) -> None:
    plain = Listing(id="1", title="USB wall charger, white")
    told = plain.model_copy(update={"attributes": {"Function": "4K lens with motion recording to card"}})
    assert detector.score_listing(plain).probability < 0.1
    score = detector.score_listing(told)
    assert score.probability >= 0.5
    assert "attributes.Function" in {e.field for e in score.evidence}


def test_a_description_that_mentions_cameras_clears_nobody_and_accuses_nobody(
    detector: CovertCameraDetector,
) -> None:
    strap = Listing(
        id="1", title="Leather wrist strap", description="Holds any camera. Great for video and photo."
    )
    clock = Listing(
        id="2", title="Wall clock 1080p wifi camera", description="Works with iPhone, tablet and laptop."
    )
    assert detector.score_listing(strap).probability < 0.1
    assert detector.score_listing(clock).probability >= 0.5


def test_evidence_quotes_the_seller(detector: CovertCameraDetector) -> None:
    title = "탁상시계 ㅁㅗㄹㅋㅏ 1080P"
    score = detector.score_text(title)
    assert score.probability >= 0.5
    assert "ㅁㅗㄹㅋㅏ" in {e.text for e in score.evidence}
    for item in score.evidence:
        assert title[item.start : item.end] == item.text
    weights = [abs(e.weight) for e in score.evidence]
    assert weights == sorted(weights, reverse=True)


def test_concealment_never_lowers_the_score(detector: CovertCameraDetector) -> None:
    for title in ("wall clock camera", "dash cam 1080p", "ip camera wifi", "pen 1080p video"):
        for word in ("hidden", "spy", "covert"):
            assert (
                detector.score_text(f"{word} {title}").probability >= detector.score_text(title).probability
            )


_WORDS = "wall clock camera 1080p hidden wifi pen for toy | , x 시계 카메라 렌즈 摄像头"
_SHARED = CovertCameraDetector()


@settings(max_examples=100, deadline=None)
@given(st.lists(st.sampled_from(_WORDS.split(" ")), max_size=12))
def test_every_text_has_a_probability(words: list[str]) -> None:
    score = _SHARED.score_text(" ".join(words))
    assert 0.0 < score.probability < 1.0
    telling = {"camera", "카메라", "摄像头", "1080p", "hidden", "렌즈", "clock", "pen", "시계"}
    assert telling & set(words) or not score.evidence


def test_a_rule_over_an_unknown_group_is_refused() -> None:
    raw = _raw()
    raw["rules"][0]["all"] = ["cammera"]
    with pytest.raises(ValueError, match="cammera"):
        CovertWeights(raw)


def test_a_term_the_quick_look_would_miss_is_refused() -> None:
    raw = _raw()
    raw["groups"]["explicit"]["terms"]["en"].append("zzz unheard of")
    with pytest.raises(ValueError, match="zzz"):
        CovertWeights(raw)


def _raw() -> dict:
    return yaml.safe_load((Path(__file__).parents[2] / "features" / "covert_camera.yaml").read_text("utf-8"))


@pytest.mark.data
def test_few_false_alarms_on_real_listings(data_dir: Path, detector: CovertCameraDetector) -> None:
    """Marketplaces took their covert cameras down before these were gathered, so nearly every alarm is false."""
    flagged = total = 0
    for name, column in (("amazon_in", "name"), ("coupang_kr", "productName"), ("1688_zh", "title_zh")):
        with gzip.open(data_dir / "listings" / f"{name}.csv.gz", "rt", encoding="utf-8") as file:
            for row in csv.DictReader(file):
                total += 1
                flagged += detector.score_text(row[column][:1000]).probability >= 0.5
    assert total > 12_000
    assert flagged <= total * 0.005


@pytest.mark.parametrize(
    "title",
    [
        "Replacement strap for spy camera watch",
        "Travel pouch for hidden camera clock",
        "스파이 카메라용 교체 배터리",
        "몰래카메라 시계 보관 파우치",
        "间谍摄像机专用电池",
        "隐形摄像头收纳包",
        "Detector for hidden cameras",
        "몰카 찾는 렌즈 스캐너",
    ],
)
def test_parts_cases_and_detectors_pass(detector: CovertCameraDetector, title: str) -> None:
    assert detector.score_text(title).probability < 0.35


def test_a_camera_that_calls_itself_an_accessory_is_still_found(detector: CovertCameraDetector) -> None:
    title = "Case for spy camera clock 1080P wifi live view night vision"
    assert detector.score_text(title).probability >= 0.5
