"""Words of plans for people: why an item is in it, what its columns are called; Korean and English."""

from __future__ import annotations

from typing import Literal

Language = Literal["ko", "en"]
LANGUAGES: tuple[Language, ...] = ("ko", "en")

REASONS: dict[str, dict[Language, str]] = {
    "open_order": {
        "ko": "시험 결정이 이미 내려진 상품",
        "en": "a laboratory test had already been decided",
    },
    "harm": {
        "ko": "발견할 것으로 예상되는 위해가 큼",
        "en": "expected harm that a test finds",
    },
    "information": {
        "ko": "결과를 알기 어려워 시험으로 배우는 것이 많음",
        "en": "unsure result, so a test teaches much",
    },
    "drawn": {
        "ko": "정해진 확률로 무작위 추출됨",
        "en": "drawn at random with a known probability",
    },
    "overlap": {
        "ko": "시험기관 간 차이를 재기 위해 두 번째 기관에도 의뢰",
        "en": "sent to a second laboratory as well, to compare laboratories",
    },
}
ROLES: dict[str, dict[Language, str]] = {
    "ordered": {"ko": "시험 결정", "en": "ordered"},
    "certainty": {"ko": "확정 선정", "en": "certain"},
    "exploration": {"ko": "무작위 추출", "en": "drawn"},
    "overlap": {"ko": "기관 비교", "en": "overlap"},
}
OUTSIDE: dict[str, dict[Language, str]] = {
    "tested_recently": {"ko": "최근에 시험한 상품", "en": "goods tested lately"},
    "no_laboratory": {"ko": "시험할 수 있는 기관 없음", "en": "no laboratory with places left can test them"},
}
SHEET: dict[str, dict[Language, str]] = {
    "title": {"ko": "시험 의뢰서", "en": "Test order"},
    "period": {"ko": "기간", "en": "Period"},
    "laboratory": {"ko": "시험기관", "en": "Laboratory"},
    "made": {"ko": "작성일", "en": "Made on"},
    "due": {"ko": "결과 기한", "en": "Results due by"},
    "items": {"ko": "시료 수", "en": "Samples"},
    "cost": {"ko": "비용", "en": "Cost"},
    "made_up": {
        "ko": "주의: 예산, 단가, 수용 능력은 예시를 위해 지어낸 값입니다.",
        "en": "Note: budget, prices and capacities are made up for this example.",
    },
    "how": {
        "ko": "결과 파일에는 시료번호를 그대로 적어 주십시오. 불검출은 ND, 정량한계 미만은 <값 으로 적고 "
        "단위를 반드시 적어 주십시오.",
        "en": "Please repeat the sample numbers in your results. Write ND for not detected, <value below the limit of "
        "quantification, and always the unit.",
    },
    "sample_id": {"ko": "시료번호", "en": "sample_id"},
    "listing_id": {"ko": "상품번호", "en": "listing"},
    "marketplace": {"ko": "플랫폼", "en": "marketplace"},
    "product": {"ko": "상품명", "en": "product"},
    "hazards": {"ko": "위해요인", "en": "hazards"},
    "tests": {"ko": "시험항목", "en": "tests"},
    "url": {"ko": "사진", "en": "photo"},
    "sheet_orders": {"ko": "의뢰", "en": "order"},
    "sheet_results": {"ko": "결과", "en": "results"},
}
PAGE: dict[str, dict[Language, str]] = {
    "made_up": SHEET["made_up"],
    "heading": {"ko": "시료 선정 계획", "en": "Sampling plan"},
    "summary": {"ko": "요약", "en": "In short"},
    "spent": {"ko": "예산 사용", "en": "Money"},
    "items": {"ko": "시료", "en": "Items"},
    "harm": {"ko": "발견 예상 위해", "en": "Expected harm found"},
    "fails": {"ko": "예상 부적합 수", "en": "Expected fails"},
    "gap": {"ko": "최적값과의 차이(상한)", "en": "Gap to the optimum, at most"},
    "frame": {"ko": "모집단(상품 묶음)", "en": "Goods the plan speaks for"},
    "outside": {"ko": "모집단 밖", "en": "Outside"},
    "laboratories": {"ko": "시험기관별", "en": "By laboratory"},
    "roles": {"ko": "선정 방법별", "en": "By how chosen"},
    "categories": {"ko": "분류별", "en": "By category"},
    "hazards": {"ko": "위해요인별 시험 수", "en": "Tests by hazard"},
    "why": {"ko": "선정 이유", "en": "Why"},
    "propensity": {"ko": "선정 확률", "en": "Chance of being chosen"},
    "changes": {"ko": "지난 계획과 달라진 점", "en": "What changed since the last plan"},
    "entered": {"ko": "새로 선정", "en": "New"},
    "left": {"ko": "제외", "en": "Gone"},
    "shortfalls": {"ko": "채우지 못한 할당", "en": "Quotas not met"},
    "unplaced": {"ko": "자리가 없는 시험 결정", "en": "Ordered but without a place"},
    "list": {"ko": "시료 목록", "en": "All items"},
    "number": {"ko": "번호", "en": "No."},
    "listing": {"ko": "상품", "en": "Listing"},
    "laboratory": {"ko": "시험기관", "en": "Laboratory"},
    "tested_for": {"ko": "위해요인", "en": "Hazards"},
    "chosen": {"ko": "선정 방법", "en": "How chosen"},
    "p_fails": {"ko": "부적합 확률", "en": "P(fails)"},
    "cost": {"ko": "비용", "en": "Cost"},
    "capacity": {"ko": "수용 능력", "en": "Capacity"},
    "how_read": {
        "ko": "확정 선정된 상품은 예산 안에서 가장 큰 위해를 찾도록 최적화하여 골랐고, "
        "무작위 추출된 상품은 나머지 모든 상품 묶음에서 "
        "정해진 확률로 뽑았습니다. 이 확률이 있어야 시험하지 않은 상품까지 포함한 부적합률을 추정할 수 있습니다.",
        "en": "Certain items were chosen by an optimiser to find the most harm within the budget. Drawn "
        "items come from all other goods, each with a known probability; that is what lets failure rates be "
        "estimated for goods never tested.",
    },
}
CHANGES: dict[str, dict[Language, str]] = {
    "tested": {"ko": "지난 계획에서 시험함", "en": "was tested under the last plan"},
    "banned": {"ko": "판매 금지됨", "en": "was banned and is off sale"},
    "gone": {"ko": "더 이상 판매되지 않음", "en": "is no longer on sale"},
    "harm_down": {
        "ko": "예상 위해가 줄어 예산에 들지 못함",
        "en": "expected harm fell, so others are worth more",
    },
    "harm_up": {"ko": "예상 위해가 커짐", "en": "expected harm rose"},
    "freed": {"ko": "시험을 마친 상품의 자리가 비었음", "en": "takes a place that tested goods left"},
    "drawn": {"ko": "무작위 추출됨", "en": "drawn at random"},
    "not_drawn": {"ko": "이번에는 무작위로 뽑히지 않음", "en": "not drawn this time"},
    "open_order": {"ko": "새 시험 결정", "en": "a laboratory test was decided since"},
    "overlap": {"ko": "기관 비교용", "en": "compares laboratories"},
}


def word(table: dict[str, dict[Language, str]], code: str, language: Language) -> str:
    """Return the words of a code; the code itself where it has none."""
    found = table.get(code)
    return found[language] if found else code
