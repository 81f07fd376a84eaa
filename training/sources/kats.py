"""Korean recalls of the Korean Agency for Technology and Standards (SafetyKorea), as JSON and as a register.

Traps: the key goes into the header ``AuthKey``, never into the address; a condition the service does not know
returns the whole register; the list call never carries pictures; one row may come as an object. The licence of
the data was not found.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal

from features.certification import parse_numbers
from features.rows import Form
from training.records import Recall, Record, Reject
from training.sources.base import need_fields, parse_json, raw_text, read_table
from training.sources.hazards import hazards_in
from training.sources.parsing import (
    KOREAN_DATES,
    SourceError,
    clean,
    listed,
    open_bytes,
    parse_date,
    split,
)
from training.sources.web import MEBIBYTE, OutsideError, Page, SourceChangedError, Web

REGULATOR = "KR KATS"
_CALLS = {"domestic": "recall/recallList.json", "overseas": "recall/fRecallList.json"}
_IDS = {"domestic": "recallUid", "overseas": "fRecallUid"}
_MOST_ROWS = 200_000


@dataclass(frozen=True, slots=True)
class KatsRecalls:
    """SafetyKorea's recall lists: ``domestic`` ones by Korean order, ``overseas`` ones by other authorities.

    Parameters
    ----------
    key
        The service key (``AuthKey``); needed to fetch, not to read a saved answer.
    """

    name: str = "kats"
    base: str = "https://www.safetykorea.kr/openapi/api/"
    key: str = ""

    def read(self, path: Path) -> Iterator[Record | Reject]:
        """Yield the recalls of a saved answer; see `training.sources.base.Source`."""
        yield from self._rows(open_bytes(path), path.name)

    def fetch_iter(self, web: Web, state: Mapping[str, str]) -> Iterator[Page]:
        """Ask for both lists whole: the service has no paging and no cursor."""
        if not self.key:
            raise SourceError(
                "kats: no service key; apply at safetykorea.kr and give it with --key or KATS_KEY"
            )
        for call, path in _CALLS.items():
            # Only condition keys that the documentation lists are ever sent.
            params = {"conditionKey": "all", "conditionValue": ""}
            headers = {"AuthKey": self.key}
            body = web.get(
                f"{self.base}{path}", "json", params=params, headers=headers, max_bytes=96 * MEBIBYTE
            )
            if body is not None:
                list(self._unwrap(body, path))
                yield Page(
                    self.name, call, f"{self.base}{path}", body, datetime.now(UTC), {**state, call: "done"}
                )

    def parse(self, page: Page) -> Iterator[Record | Reject]:
        """Read one list."""
        yield from self._rows(page.body, page.url)

    @staticmethod
    def _unwrap(body: bytes, what: str) -> list[Any]:
        answer = parse_json(body, what)
        if isinstance(answer, list):
            return answer
        code = str(answer.get("resultCode", ""))
        if code == "2004":
            return []
        if code in ("4000", "4001"):
            raise OutsideError(
                f"{what}: refused ({code} {clean(answer.get('resultMsg'))}): check the key and this address"
            )
        if code != "2000":
            raise SourceChangedError(
                f"{what}: got resultCode {code or 'none'}, expected 2000; it has {', '.join(answer)}"
            )
        rows = listed(answer.get("resultData"))
        if len(rows) > _MOST_ROWS:
            raise SourceChangedError(
                f"{what}: {len(rows):,} rows: an unknown condition returns the whole register"
            )
        return rows

    def _rows(self, body: bytes, what: str) -> Iterator[Record | Reject]:
        rows = self._unwrap(body, what)
        objects = [row for row in rows if isinstance(row, dict)]
        call: Literal["domestic", "overseas"] = (
            "overseas" if any("fRecallUid" in row for row in objects) else "domestic"
        )
        need_fields(objects, (_IDS[call], "recallProductName", "publishDate"), what)
        for place, row in enumerate(rows, start=1):
            try:
                if not isinstance(row, dict):
                    raise ValueError(f"got a JSON {type(row).__name__}, expected an object")
                yield self._recall(row, call)
            except ValueError as error:
                yield Reject(self.name, place, str(error), raw_text(row))

    def _recall(self, row: Mapping[str, Any], call: str) -> Recall:
        number, product = clean(row.get(_IDS[call])), clean(row.get("recallProductName"))
        models = split(row.get("recallModelName"), ",")
        names = tuple(dict.fromkeys(name for name in (product, *models) if name))
        if not number or not names:
            raise ValueError(f"no {_IDS[call]}" if not number else "no product or model name")
        harm = clean(row.get("harmDscr")) or clean(row.get("violateDscr"))
        hazards, words = hazards_in(f"{harm} . {clean(row.get('accidentCaseDscr'))}")
        agency = clean(row.get("recallPblshOrgnName")) or clean(row.get("recallPblshCntryName"))
        maker = (
            clean(row.get("makerName")),
            clean(row.get("recallCmpnyName")),
            clean(row.get("recallBrandName")),
        )
        country = clean(row.get("makerCntryName")) or clean(row.get("makingCntryName")).split(">")[-1].strip()
        files = (item.get("imageUrl") for item in listed(row.get("recallFiles")) if isinstance(item, dict))
        return Recall(
            source=self.name,
            native_id=number if call == "domestic" else f"F{number}",
            date=parse_date(row.get("publishDate"), KOREAN_DATES),
            product_names=names,
            hazards=hazards,
            hazard_terms=words,
            description=clean(row.get("recallProductDscr")) or harm,
            product_types=split(clean(row.get("productItemName")) or clean(row.get("categoryName")), ">"),
            manufacturers=tuple(dict.fromkeys(part for part in maker if part)),
            countries=(country,) if country else (),
            regulator=REGULATOR
            if call == "domestic"
            else f"{agency or 'overseas authority'} via {REGULATOR}",
            url=clean(row.get("recallUrl")) or clean(row.get("recallurl")),
            images=tuple(clean(url) for url in files if clean(url)) or split(row.get("imageUrl"), ","),
            certificates=kc_numbers(row.get("certNum")),
        )


@dataclass(frozen=True, slots=True)
class KatsRegister:
    """A tab-separated extract of the recall register without quoting: type, KC number, model as sold.

    Positives without a reason: the hazard set is empty, which means that none was named.
    """

    name: str = "kr_register"

    def read(self, path: Path) -> Iterator[Record | Reject]:
        """Yield recalls; see `training.sources.base.Source`."""
        required = ("recalluid", "publishdate", "recallproductname", "recallmodelname")
        yield from read_table(self.name, path, required, self._recall, Form(quoted=False))

    def _recall(self, row: Mapping[str, str]) -> Recall:
        number, kind, model = (
            clean(row[key]) for key in ("recalluid", "recallproductname", "recallmodelname")
        )
        if not number or not (kind or model):
            raise ValueError("no recallUid" if not number else "no product or model name")
        return Recall(
            source=self.name,
            native_id=number,
            date=parse_date(row["publishdate"], KOREAN_DATES),
            product_names=(model or kind,),
            hazards=frozenset(),
            product_types=(kind,) if kind else (),
            regulator=REGULATOR,
            certificates=kc_numbers(row.get("certnum")),
        )


def kc_numbers(text: Any) -> tuple[str, ...]:
    """KC numbers in a field as people write them: lower case, several, with words in brackets."""
    return tuple(dict.fromkeys(found.number for found in parse_numbers(clean(text))))
