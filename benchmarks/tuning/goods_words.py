"""Write the words of goods that disguised spellings are read as: ``python -m benchmarks.tuning.goods_words``.

Latin words: those of our own word lists, and words that stand in two US recall names or more up to 2009 (facts of a
regulator; the words alone). Korean and Chinese: the terms of our own lists. Sounds of Chinese characters come from the
kept library ``pypinyin``, which nothing needs afterwards. Writes ``features/goods_words.txt`` and
``features/han_sounds.txt``.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Iterator
from pathlib import Path

import click
import yaml

from benchmarks.quality.hazard_type import read_recalls
from features.words import english_words, known_words

HERE = Path(__file__).resolve().parents[2] / "features"
# A word that other characters are read as must be one that everybody writes the same.
LEAST_LATIN, SEEN = 4, 2
_WORD = re.compile("[a-z]+")
_CJK = re.compile("[가-힣]+|[\u4e00-\u9fff]+")
_HEAD = """# Words of goods that a disguised spelling may be read as; made by benchmarks/tuning/goods_words.py.
"""


def _lists() -> Iterator[str]:
    """Yield every term of our own lists: product groups, expectations, covert cameras."""
    groups = yaml.safe_load((HERE / "product_groups.yaml").read_text("utf-8"))["groups"]
    for group in groups.values():
        for language in ("ko", "en", "zh"):
            for term in str(group.get(language, "") or "").split(","):
                if not term.strip().startswith(("&", "@")):
                    yield term.strip().strip("?|")
    for terms in yaml.safe_load((HERE / "hazard_expectations.yaml").read_text("utf-8")).values():
        yield from map(str, terms)
    covert = yaml.safe_load((HERE / "covert_camera.yaml").read_text("utf-8"))["groups"]
    for group in covert.values():
        if group["weight"] > 0 or group.get("if_concealed") is not None:
            for terms in group["terms"].values():
                yield from map(str, terms)


def _recalled(data: Path) -> Iterable[str]:
    """Return words of several recall names of the training years."""
    seen: Counter[str] = Counter()
    for recall in read_recalls(data)[0]:
        seen.update(set(_WORD.findall(recall.name.lower())))
    plain = english_words()
    return [
        word for word, count in seen.items() if count >= SEEN and (word in plain or word.rstrip("s") in plain)
    ]


def _written(words: Iterable[str]) -> str:
    lines: list[str] = []
    line = ""
    for word in sorted(words):
        if len(line) + len(word) > 118:
            lines.append(line)
            line = ""
        line = f"{line} {word}".strip()
    return "\n".join([*lines, line]) + "\n"


@click.command()
@click.option(
    "--data",
    type=click.Path(path_type=Path, exists=True, file_okay=False),
    envvar="LISTING_RISK_DATA",
    required=True,
)
def main(data: Path) -> None:
    """Write both files."""
    from pypinyin import Style, lazy_pinyin

    terms = [term.lower() for term in _lists()]
    latin = {word for term in terms if not _CJK.search(term) for word in _WORD.findall(term)}
    latin = {word for word in latin if word in english_words() or word in known_words()} | set(
        _recalled(data)
    )
    latin |= {f"{word}s" for word in latin if f"{word}s" in english_words()}
    # A blank that belongs into a term is kept as "_": there it is no disguise.
    cjk = {
        term.replace(" ", "_") for term in terms if _CJK.fullmatch(term.replace(" ", "")) and len(term) >= 2
    }
    text = _HEAD + _written(w for w in latin if len(w) >= LEAST_LATIN) + _written(cjk)
    (HERE / "goods_words.txt").write_text(text, encoding="utf-8")
    sounds: dict[str, list[str]] = {}
    for code in range(0x4E00, 0x9FA6):
        char = chr(code)
        try:
            char.encode("gb2312")
        except UnicodeEncodeError:
            continue
        sounds.setdefault(lazy_pinyin(char, style=Style.NORMAL)[0], []).append(char)
    lines = [f"{sound} {''.join(chars)}" for sound, chars in sorted(sounds.items()) if sound.isascii()]
    head = "# Chinese characters by sound, without tones, from pypinyin (MIT); made by benchmarks/tuning.\n"
    (HERE / "han_sounds.txt").write_text(head + "\n".join(lines) + "\n", encoding="utf-8")
    click.echo(
        f"{len(latin):,} Latin words, {len(cjk):,} Korean and Chinese terms, {len(lines):,} sounds", err=True
    )


if __name__ == "__main__":
    main()
