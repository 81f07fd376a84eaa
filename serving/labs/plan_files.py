"""The files of a plan in a folder: order sheets, pages that explain it, the plan itself."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

from serving.plans.file import frame_bytes
from serving.plans.page import plan_page
from serving.plans.sheets import sheet_files
from serving.plans.words import LANGUAGES

if TYPE_CHECKING:
    from serving.labs.loop import LabOffice
    from serving.plans.making import Made


def write_plan(made: Made, office: LabOffice, output: Path, changed: list[dict[str, Any]]) -> None:
    """Write every file of a plan; the folder is made."""
    output.mkdir(parents=True, exist_ok=True)
    body = made.body
    titles = {listing_id: listing.title for listing_id, listing in made.listings.items()}
    for earlier in office.book.plans:  # what left the catalogue is still named
        titles = office.titles(earlier) | titles
    for name, content in sheet_files(made.plan, made.listings, office.taxonomy).items():
        (output / name).write_bytes(content)
    for language in LANGUAGES:
        page = plan_page(body, office.taxonomy, titles, language, changed)
        (output / f"plan-{language}.html").write_text(page, encoding="utf-8")
    (output / "plan.json").write_text(json.dumps(body, ensure_ascii=False, indent=1), encoding="utf-8")
    (output / "frame.parquet").write_bytes(frame_bytes(made.plan))
