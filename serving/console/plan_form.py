"""The form that makes a sampling plan: looked at first, recorded on a second press."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from pydantic import ValidationError
from starlette.datastructures import FormData, UploadFile
from starlette.requests import Request

from features.columns import named_maps
from serving.doors import Doors
from serving.http.problems import TOO_LARGE, WRONG_FIELDS, ProblemError
from serving.labs.api import LISTINGS_MAX
from serving.labs.files import SIZE_MAX
from serving.labs.loop import LabOffice
from serving.plans.catalogue import CatalogueRead, live_catalogue, read_catalogue
from serving.plans.config import PlanConfig, PlanConfigError, read_plan_config
from serving.plans.making import Made, make_plan, next_period, usual_seed
from serving.plans.types import PlanError

_CONFIG_MAX = 200_000
_PERIOD_MAX = 40


@dataclass(frozen=True, slots=True)
class Sent:
    """A form as it was filled in.

    Attributes
    ----------
    money, items
        The budget; None for that of the configuration.
    catalogue, config
        Name and content of uploaded files; None for the live catalogue, and for the packaged configuration.
    record
        Whether the plan is to be kept, or only shown.
    """

    period: str
    money: int | None
    items: int | None
    columns: str
    catalogue: tuple[str, bytes] | None
    config: bytes | None
    record: bool


async def read_form(request: Request) -> Sent:
    """Read the form.

    Raises
    ------
    ProblemError
        413 or 422, saying which field.
    """
    length = request.headers.get("content-length", "")
    if not length.isascii() or not length.isdigit() or int(length) > SIZE_MAX + _CONFIG_MAX + 100_000:
        raise ProblemError(TOO_LARGE, f"The catalogue may have {SIZE_MAX:,} bytes at most.")
    async with request.form(max_files=2, max_fields=8) as form:
        return Sent(
            _period(form),
            _whole(form, "money"),
            _whole(form, "items"),
            str(form.get("columns", ""))[:40],
            await _file(form, "catalogue", SIZE_MAX),
            (await _file(form, "config", _CONFIG_MAX) or ("", None))[1],
            form.get("act") == "record",
        )


def _period(form: FormData) -> str:
    period = str(form.get("period", "")).strip()
    if not period:
        return next_period(datetime.now(UTC).date())
    if len(period) > _PERIOD_MAX or not all(c.isascii() and (c.isalnum() or c in "-_.") for c in period):
        raise ProblemError(
            WRONG_FIELDS, f"period: got {period[:60]!r}; expected letters, digits and - _ . such as 2026-12."
        )
    return period


def _whole(form: FormData, name: str) -> int | None:
    text = str(form.get(name, "")).replace(",", "").strip()
    if not text:
        return None
    if not text.isascii() or not text.isdigit() or len(text) > 12:
        raise ProblemError(WRONG_FIELDS, f"{name}: got {text[:20]!r}; expected a whole number.")
    return int(text)


async def _file(form: FormData, name: str, most: int) -> tuple[str, bytes] | None:
    upload = form.get(name)
    if not isinstance(upload, UploadFile) or not upload.filename:
        return None
    content = await upload.read(most + 1)
    if len(content) > most:
        raise ProblemError(TOO_LARGE, f"{name}: a file may have {most:,} bytes at most.")
    return upload.filename.replace("\\", "/").rpartition("/")[2][-100:], content


def config_of(sent: Sent) -> PlanConfig:
    """Return the configuration with the budget that was asked for.

    Raises
    ------
    PlanConfigError
    """
    config = read_plan_config() if sent.config is None else _config(sent.config)
    changed = {
        name: value for name, value in (("money", sent.money), ("items", sent.items)) if value is not None
    }
    if not changed:
        return config
    try:
        budget = config.budget.model_validate(config.budget.model_dump() | changed)
    except ValidationError as error:
        raise PlanConfigError(f"budget: {error.errors(include_url=False)[0]['msg']}") from None
    return config.model_copy(update={"budget": budget})


def _config(content: bytes) -> PlanConfig:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "plan.yaml"
        path.write_bytes(content)
        return read_plan_config(path)


def listings_of(sent: Sent, office: LabOffice) -> CatalogueRead:
    """Return what is to be planned: the uploaded catalogue, or the live listings of the store.

    Raises
    ------
    PlanError, ReadError
    """
    if sent.catalogue is None:
        return live_catalogue(office.store, LISTINGS_MAX)
    name, content = sent.catalogue
    with tempfile.TemporaryDirectory() as folder:
        # The name is the sender's: only its suffix, which tells the format, is taken over.
        path = Path(folder) / f"catalogue{''.join(Path(name).suffixes[-2:])[:12]}"
        path.write_bytes(content)
        found = read_catalogue(path, sent.columns or None)
    if not 0 < len(found.listings) <= LISTINGS_MAX:
        raise PlanError(
            f"got {len(found.listings):,} listings in {name!r} ({found.rejected:,} rows could not be read); expected 1 "
            f"to {LISTINGS_MAX:,}"
        )
    return found


def plan_from(sent: Sent, office: LabOffice, doors: Doors, actor: str) -> Made:
    """Make the plan, and record it where that was asked for.

    Raises
    ------
    PlanError, PlanConfigError, ReadError, LabError
    """
    config, found = config_of(sent), listings_of(sent, office)
    made = make_plan(
        found.listings, doors.engine().predictor, doors.bans().desk.bank.reader, config, office.past_tests(),
        period=sent.period, today=datetime.now(UTC).date(), seed=usual_seed(sent.period, office.taxonomy),
    )  # fmt: skip
    if sent.record:
        office.keep_plan(made.plan, made.scored, actor)
    return made


def form_context(store_listings: int) -> Mapping[str, Any]:
    """Return what the form shows before it is filled in."""
    config = read_plan_config()
    return {
        "period": next_period(datetime.now(UTC).date()),
        "money": config.budget.money,
        "items": config.budget.items,
        "currency": config.currency,
        "live": store_listings,
        "maps": sorted(named_maps()),
    }
