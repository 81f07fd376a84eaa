"""Files as a newcomer has them: Korean and Chinese headers, another column order, another encoding; all invented."""

from __future__ import annotations

import csv
import random
from datetime import date, timedelta
from pathlib import Path

THEMES = (
    "바다", "숲속", "우주", "공룡", "토끼", "사자", "무지개", "별빛", "구름", "기차",
    "로봇", "요정", "해적", "나비", "고래", "펭귄", "여우", "곰돌이", "딸기", "레몬",
)  # fmt: skip
SHAPES = (
    "둥근", "납작한", "길쭉한", "작은", "커다란", "접이식", "투명", "반짝이",
    "파스텔", "원색", "줄무늬", "물방울", "체크", "꽃무늬", "캐릭터", "미니",
)  # fmt: skip
BAD = [
    "합금 목걸이",
    "금속 팔찌",
    "도금 귀걸이",
    "큐빅 반지",
    "비닐 인형",
    "말랑이 주물럭",
    "플라스틱 구슬 팔찌",
]
GOOD = ["원목 블록", "면 봉제인형", "종이 퍼즐", "나무 딸랑이", "천 그림책", "그림 카드", "색종이 묶음"]


def results(n: int = 320, seed: int = 0) -> list[dict[str, str]]:
    """Laboratory results in a Korean laboratory's columns; metal jewellery and soft plastic fail often."""
    rng, rows, seen = random.Random(seed), [], set()
    while len(rows) < n:
        bad = rng.random() < 0.45
        name = f"{rng.choice(THEMES)} {rng.choice(SHAPES)} {rng.choice(BAD if bad else GOOD)} {rng.choice(THEMES)} 세트"
        if name in seen:
            continue
        seen.add(name)
        failed = rng.random() < (0.62 if bad else 0.05)
        number = len(rows)
        rows.append(
            {
                "판정": "부적합" if failed else "적합",
                "시료번호": f"S-{number:04d}",
                "검사일": (date(2025, 1, 3) + timedelta(days=round(1.7 * number))).isoformat(),
                "검사항목": "납",
                "결과값(mg/kg)": f"{rng.uniform(150, 900) if failed else rng.uniform(1, 60):.1f}",
                "상품번호": f"L-{number:04d}",
                "상품명": name,
                "비고": "",
            }
        )
    return rows


def recalls(n: int = 60, seed: int = 1) -> list[dict[str, str]]:
    """Recalled goods in Chinese columns."""
    rng, rows = random.Random(seed), []
    goods = [("金属项链", "铅"), ("磁力珠玩具", "误吞磁铁"), ("充电器", "触电"), ("婴儿摇铃", "窒息")]
    looks = (
        "星空",
        "海洋",
        "森林",
        "彩虹",
        "恐龙",
        "公主",
        "熊猫",
        "兔子",
        "火车",
        "机器人",
        "蝴蝶",
        "草莓",
        "柠檬",
        "月亮",
        "城堡",
    )
    for number in range(n):
        thing, reason = goods[number % len(goods)]
        name = f"{looks[number // 4 % len(looks)]}{rng.choice('红蓝绿黄紫橙粉')}{thing}"
        day = (date(2024, 6, 1) + timedelta(days=9 * number)).isoformat()
        rows.append(
            {
                "召回原因": reason,
                "产品名称": name,
                "召回日期": day,
            }
        )
    return rows


def listings(n: int = 40) -> list[dict[str, str]]:
    """Listings in Korean columns."""
    rows = results(n, seed=9)
    return [
        {
            "판매가": "3,900원",
            "상품명": row["상품명"],
            "수정일": "2024-12-01T00:00:00Z",
            "상품코드": row["상품번호"],
        }
        for row in rows
    ]


def write(path: Path, rows: list[dict[str, str]], encoding: str = "utf-8") -> Path:
    """Write rows as CSV."""
    with path.open("w", encoding=encoding, newline="") as stream:
        out = csv.DictWriter(stream, rows[0])
        out.writeheader()
        out.writerows(rows)
    return path


def newcomer(folder: Path) -> None:
    """Fill a folder as a newcomer's."""
    write(folder / "검사결과.csv", results(), "cp949")
    write(folder / "召回.csv", recalls())
    write(folder / "상품목록.csv", listings())
