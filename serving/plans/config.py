"""What a sampling plan may spend, where and under which rules: ``plan.yaml``, read and checked."""

from __future__ import annotations

from collections.abc import Collection
from importlib import resources
from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from features.errors import UserError
from features.taxonomy import Taxonomy
from features.yaml_file import read_as

EXAMPLE = "plan.yaml"
Money = Annotated[int, Field(ge=0, le=10**12)]
Count = Annotated[int, Field(ge=0, le=10**6)]
Code = Annotated[str, Field(min_length=1, max_length=80)]


class PlanConfigError(UserError):
    """A plan configuration that cannot be used; names every wrong entry."""


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


class Budget(_Part):
    """Most that may be spent in the period, in money and in items."""

    money: Money
    items: Annotated[int, Field(ge=1, le=10**6)]


class Test(_Part):
    """One order position: a test that answers for one or several hazards, and its usual price."""

    names: dict[str, Annotated[str, Field(max_length=200)]] = {}
    hazards: Annotated[tuple[Code, ...], Field(min_length=1)]
    price: Money


class LaboratoryTerms(_Part):
    """What one laboratory takes and charges.

    Attributes
    ----------
    per_item
        Charge for each sample, whatever is tested.
    capacity
        Items it takes in the period.
    turnaround_days
        Days from order to result.
    prices
        Prices that differ from the test's usual one.
    hazards
        Hazards it is accredited for; None for those in ``laboratories.yaml``.
    """

    per_item: Money = 0
    capacity: Count
    turnaround_days: Annotated[int, Field(ge=0, le=1000)]
    prices: dict[Code, Money] = {}
    hazards: tuple[Code, ...] | None = None


class BestSellers(_Part):
    """At least so many of the best sellers of the category."""

    among: Annotated[int, Field(ge=1)]
    at_least: Annotated[int, Field(ge=1)]


class CategoryRule(_Part):
    """Quota of one category; ``name`` is the first part of a listing's category path."""

    name: str
    min: Count = 0
    max: Count | None = None
    best_sellers: BestSellers | None = None

    @model_validator(mode="after")
    def _ordered(self) -> Self:
        most = self.max if self.max is not None else 10**9
        if self.min > most:
            raise ValueError(f"got min {self.min} above max {self.max}")
        if self.best_sellers and self.best_sellers.at_least > min(self.best_sellers.among, most):
            raise ValueError("got best_sellers.at_least above `among` or `max`")
        return self


class Exploration(_Part):
    """The part drawn by chance, which keeps the plan from going blind and makes estimates possible.

    Attributes
    ----------
    share
        Of budget and capacity, reserved before anything else is planned.
    floor
        Lowest inclusion probability as a share of the mean one.
    coverage
        A laboratory may take a drawn item if it can answer for at least this share of its chance to fail.
    """

    share: Annotated[float, Field(gt=0, lt=1)] = 0.1
    floor: Annotated[float, Field(gt=0, le=1)] = 0.3
    coverage: Annotated[float, Field(gt=0, le=1)] = 0.8


class Solver(_Part):
    """How long and how exactly to optimise."""

    seconds: Annotated[float, Field(gt=0, le=3600)] = 30.0
    gap: Annotated[float, Field(ge=0, lt=1)] = 0.001


class PlanConfig(_Part):
    """A whole configuration.

    Attributes
    ----------
    needed_within_days
        Laboratories that take longer are left out; None for no limit.
    seller_cap
        Most items of one seller in the optimised part; None for no cap.
    repeat_after_days
        Goods tested within so many days are not tested again.
    information
        Weight of the value of information beside expected harm found.
    focus
        A focused panel tests the hazards that make up this share of an item's expected harm; 1 leaves only full panels.
    overlap
        Items that a second laboratory tests as well, to measure strictness.
    category_by
        ``path``: categories are the first part of the seller's own; ``group``: the widest product group recognised,
        which is named alike on every platform.
    made_up
        True where prices and capacities are invented; every sheet says so.
    """

    version: Annotated[int, Field(ge=1, le=1)]
    currency: Annotated[str, Field(pattern=r"^[A-Z]{3}$")] = "KRW"
    budget: Budget
    laboratories: Annotated[dict[Code, LaboratoryTerms], Field(min_length=1)]
    tests: Annotated[dict[Code, Test], Field(min_length=1)]
    categories: tuple[CategoryRule, ...] = ()
    seller_cap: Annotated[int, Field(ge=1)] | None = None
    repeat_after_days: Count = 90
    needed_within_days: Annotated[int, Field(ge=0)] | None = None
    information: Annotated[float, Field(ge=0)] = 0.1
    focus: Annotated[float, Field(gt=0, le=1)] = 0.9
    exploration: Exploration = Exploration()
    overlap: Count = 0
    category_by: Literal["path", "group"] = "path"
    solver: Solver = Solver()
    made_up: bool = False

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        for code, terms in self.laboratories.items():
            if unknown := set(terms.prices) - set(self.tests):
                raise ValueError(
                    f"laboratories.{code}.prices: got tests {sorted(unknown)} that `tests` lacks"
                )
        names = [rule.name for rule in self.categories]
        if len(set(names)) != len(names):
            raise ValueError("categories: got a category twice")
        return self


def check_hazards(config: PlanConfig, taxonomy: Taxonomy) -> None:
    """Check hazard and laboratory codes against the taxonomy.

    Raises
    ------
    PlanConfigError
        Naming unknown codes, or a laboratory without accreditation on record.
    """
    codes = set(taxonomy.codes)
    for name, test in config.tests.items():
        _known(f"tests.{name}.hazards", test.hazards, codes)
    for code, terms in config.laboratories.items():
        if terms.hazards is not None:
            _known(f"laboratories.{code}.hazards", terms.hazards, codes)
        elif code not in taxonomy.laboratories:
            raise PlanConfigError(
                f"laboratories.{code}: got no `hazards`, and the taxonomy knows only "
                f"{', '.join(taxonomy.laboratories)}; list the hazards it is accredited for"
            )


def _known(where: str, got: Collection[str], codes: Collection[str]) -> None:
    if unknown := sorted(set(got) - set(codes)):
        raise PlanConfigError(f"{where}: got {', '.join(unknown)}; expected codes of the taxonomy")


def read_plan_config(path: Path | None = None) -> PlanConfig:
    """Read a configuration; None for the example of the package.

    Raises
    ------
    PlanConfigError
        With every wrong entry, when it cannot be used.
    """
    return read_as(PlanConfig, path or resources.files("serving.plans") / EXAMPLE, PlanConfigError)
