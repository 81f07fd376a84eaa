"""Titles that offer a part, a case or a bag for other goods: "storage case for drone" is no drone.

What stands for the other goods is blanked, so that neither the product group nor the words of the view come from it.
Accessories that are goods of their own (chargers, batteries, lights) are not among these heads.
"""

from __future__ import annotations

import re
from collections.abc import Callable

from features.normalize import Normalized

_EN = (
    "case|cover|holder|stand|bag|pouch|strap|screw|bolt|washer|box|organizer|organiser|hook|hanger|mount|bracket|sticker|"
    "decal|film|protector|manual|guide|part|accessory|accessorie|label|tag|tray|rack|sleeve|skin|shelf|clip|poster|book|"
    "pattern|basket|bin|wrap|screen protector|knob|handle|cap|lid|spare"
)
_KO = (
    "나사|나사못|케이스|파우치|가방|커버|거치대|홀더|보관함|보관 케이스|정리함|수납함|수납장|스트랩|스티커|필름|부품|"
    "설명서|걸이|받침대|선반|상자|박스|브라켓|볼트|덮개|뚜껑|손잡이|액세서리|악세사리|보관백|백"
)
_ZH = (
    "螺丝|收纳包|收纳盒|收纳袋|收纳箱|收纳架|包|盒|袋|套|壳|罩|支架|挂钩|架|贴纸|贴膜|保护膜|说明书|配件|零件|绳|垫|"
    "盖|把手"
)
_FOR = (
    re.compile(
        rf"^(?P<head>.{{0,60}}?(?<![a-z])(?:{_EN})(?:e?s)?) (?:for|compatible with|to fit|fits) (?P<goods>.+)$"
    ),
    re.compile(rf"^(?P<goods>.{{2,}}?)(?:용|을 위한|를 위한) (?P<head>[^,|/]{{0,30}}?(?:{_KO}))$"),
    re.compile(rf"^(?P<goods>.{{2,}}?) ?(?:专用|适用) ?(?P<head>[^,|/]{{0,12}}?(?:{_ZH}))$"),
)
_HINT = re.compile(r" (?:for|compatible|to fit|fits) |용 |위한 |专用|适用")


def accessory_of(title: Normalized, names_goods: Callable[[str], bool]) -> Normalized | None:
    """Return the title without the goods that an accessory is for; None where it offers no accessory.

    Parameters
    ----------
    title
        Normalised.
    names_goods
        Whether a text names goods: "for kids" names none.
    """
    text = title.text
    if _HINT.search(text) is None:
        return None
    for pattern in _FOR:
        match = pattern.match(text)
        if match and names_goods(match["goods"]):
            start, end = match.span("goods")
            return Normalized(
                title.original, f"{text[:start]}{' ' * (end - start)}{text[end:]}", title.offsets
            )
    return None
