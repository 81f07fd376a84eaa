"""A user's own blocked or recalled goods, as CSV, TSV, JSONL or Parquet: positives only.

The columns are documented in docs/formats/recalls.schema.json.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from features.rows import Form
from features.taxonomy import load_taxonomy
from training.records import Recall, Record, Reject
from training.sources.base import raw_text
from training.sources.own import own_rows
from training.sources.parsing import KOREAN_DATES, SourceError, clean, parse_date

REQUIRED = ("product_name", "hazards")
OPTIONAL = ("recall_id", "date", "product_type", "maker", "country", "regulator", "url", "description")
_SEPARATORS = re.compile(r"[|;,/·、，]")


@dataclass(frozen=True, slots=True)
class OwnRecalls:
    """One row a recalled, blocked or complained-of product and the hazards it was named for.

    ``hazards`` holds taxonomy codes or words in Korean, English or Chinese, several parted by ``|``, ``;`` or ``,``.
    """

    name: str = "own_recalls"
    form: Form = field(default_factory=Form)
    columns: Mapping[str, str] = field(default_factory=dict)
    hazards: tuple[str, ...] = ()

    def read(self, path: Path) -> Iterator[Record | Reject]:
        """Yield recalls; see `training.sources.base.Source`."""
        checked = False
        for row in own_rows(path, self.form, self.columns):
            values = {str(key).strip().lower().replace(" ", "_"): value for key, value in row.values.items()}
            if values and not checked:
                _check(values, path)
                checked = True
            try:
                if row.problem:
                    raise ValueError(row.problem)
                yield self._recall(values)
            except ValueError as error:
                yield Reject(self.name, row.line, str(error), row.raw or raw_text(row.values))

    def _recall(self, row: Mapping[str, Any]) -> Recall:
        product, said = clean(row.get("product_name")), clean(row.get("hazards"))
        if not product:
            raise ValueError("no product_name")
        number = clean(row.get("recall_id")) or _made_id(product, said)
        makers = (clean(row.get("maker")),) if clean(row.get("maker")) else ()
        return Recall(
            source=self.name,
            native_id=number,
            date=parse_date(row.get("date"), KOREAN_DATES),
            product_names=(product,),
            hazards=named_hazards(said, self.hazards),
            hazard_terms=(said,) if said else (),
            description=clean(row.get("description")),
            product_types=(clean(row.get("product_type")),) if clean(row.get("product_type")) else (),
            manufacturers=makers,
            countries=(clean(row.get("country")),) if clean(row.get("country")) else (),
            regulator=clean(row.get("regulator")),
            url=clean(row.get("url")),
        )


def named_hazards(text: str, codes: tuple[str, ...] = ()) -> frozenset[str]:
    """Return the taxonomy codes that a cell names, by code or in words.

    Raises
    ------
    ValueError
        When it names something and nothing of it is known.
    """
    taxonomy = load_taxonomy()
    codes = codes or taxonomy.codes
    parts = [part.strip() for part in _SEPARATORS.split(text) if part.strip()]
    found = {part for part in parts if part in codes}
    rest = " | ".join(part for part in parts if part not in codes)
    found |= set(taxonomy.named_in(rest).hazards) if rest else set()
    if parts and not found:
        raise ValueError(
            f"hazards {text[:60]!r} name no known hazard: write taxonomy codes such as lead|choking"
        )
    return frozenset(found)


def _made_id(product: str, said: str) -> str:
    return "row-" + hashlib.sha256(f"{product}\0{said}".encode()).hexdigest()[:16]


def _check(values: Mapping[str, Any], path: Path) -> None:
    missing = [name for name in REQUIRED if name not in values]
    unknown = [name for name in values if name not in (*REQUIRED, *OPTIONAL)]
    if missing or unknown:
        what = [f"missing {', '.join(missing)}"] if missing else []
        what += [f"unknown {', '.join(unknown)}"] if unknown else []
        raise SourceError(
            f"{path.name}: {'; '.join(what)}. Expected {', '.join(REQUIRED)} and any of {', '.join(OPTIONAL)}; "
            "see docs/formats/recalls.schema.json"
        )
