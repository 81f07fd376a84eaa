"""Units of laboratory results, through pint. Quantities that differ are never converted into each other.

A share of the mass (mg/kg, ppm, %), a share of the volume, an amount per area, per area and week, and per volume of
extract are different quantities even where a unit library would cancel them to a bare number, so each has a dimension
of its own here.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from typing import Any

from features.errors import UserError

# Dimensions that must not cancel. One line each, as pint reads definitions.
_DEFINITIONS = """
mass_share = [mass_share]
ppm_mass = 1e-6 * mass_share
ppb_mass = 1e-9 * mass_share
percent_mass = 1e-2 * mass_share
dry_mass_share = [dry_mass_share]
ppm_dry = 1e-6 * dry_mass_share
volume_share = [volume_share]
percent_volume = 1e-2 * volume_share
ppm_volume = 1e-6 * volume_share
acidity = [acidity]
colony = [colony]
sound_level = [sound_level]
flux_index = [flux_index]
celsius_point = [celsius_point]
g_force = 9.80665 * meter / second ** 2
"""
# How laboratories write a unit, folded -> (quantity, pint unit).
_SPELLINGS: dict[str, tuple[str, str]] = {
    **dict.fromkeys(("mg/kg", "ppm", "ug/g"), ("mass share", "ppm_mass")),
    **dict.fromkeys(("ug/kg", "ppb"), ("mass share", "ppb_mass")),
    **dict.fromkeys(("%", "%w/w", "wt%", "w/w%", "%(w/w)", "mass%"), ("mass share", "percent_mass")),
    **dict.fromkeys(("mg/kg-dry", "mg/kgdry", "mg/kg(dry)"), ("dry mass share", "ppm_dry")),
    **dict.fromkeys(("%v/v", "vol%", "%(v/v)"), ("volume share", "percent_volume")),
    "ml/m3": ("volume share", "ppm_volume"),
    "mg/l": ("amount per volume", "milligram / liter"),
    "ug/l": ("amount per volume", "microgram / liter"),
    "ug/ml": ("amount per volume", "microgram / milliliter"),
    "mg/m3": ("amount in air", "milligram / meter ** 3"),
    "ug/m3": ("amount in air", "microgram / meter ** 3"),
    "mg/cm2": ("amount per area", "milligram / centimeter ** 2"),
    "ug/cm2": ("amount per area", "microgram / centimeter ** 2"),
    "mg/dm2": ("amount per area", "milligram / decimeter ** 2"),
    "ug/cm2/week": ("release", "microgram / centimeter ** 2 / week"),
    "ug/cm2week": ("release", "microgram / centimeter ** 2 / week"),
    "cfu/g": ("count", "colony / gram"),
    "cfu/ml": ("count in liquid", "colony / milliliter"),
    "ph": ("acidity", "acidity"),
    "db": ("sound level", "sound_level"),
    "db(a)": ("sound level", "sound_level"),
    "kg2mm2": ("flux index", "flux_index"),
    "degc": ("temperature", "celsius_point"),
    "°c": ("temperature", "celsius_point"),
    "℃": ("temperature", "celsius_point"),
    "m/s2": ("acceleration", "meter / second ** 2"),
    "g": ("acceleration", "g_force"),
    "kg": ("mass", "kilogram"),
    "mm": ("length", "millimeter"),
    "cm": ("length", "centimeter"),
    "in": ("length", "inch"),
    "ms": ("duration", "millisecond"),
    "s": ("duration", "second"),
    "j": ("energy", "joule"),
    "mw": ("power", "milliwatt"),
    "w": ("power", "watt"),
    "v": ("voltage", "volt"),
    "n": ("force", "newton"),
    "mohm": ("resistance", "megaohm"),
    "mω": ("resistance", "megaohm"),
    "ma": ("current", "milliampere"),
}
_FOLDS = str.maketrans(
    {"µ": "u", "μ": "u", "²": "2", "³": "3", "㎎": "mg", "㎏": "kg", "㎍": "ug", "㎠": "cm2", "㎤": "cm3"}
    | {"㎖": "ml", "ℓ": "l", "％": "%", "^": None, " ": None, "\u00a0": None}
)


class UnitError(UserError):
    """A unit that is not known, or one of another quantity than the limit's."""


@dataclass(frozen=True, slots=True)
class Unit:
    """A unit as read: its spelling, the quantity it measures and pint's name for it."""

    text: str
    quantity: str
    name: str


@cache
def _registry() -> Any:
    import pint

    registry = pint.UnitRegistry()
    registry.load_definitions(_DEFINITIONS.strip().splitlines())
    return registry


def unit_of(text: str) -> Unit:
    """Read a unit as laboratories write it.

    Raises
    ------
    UnitError
        When the unit is not known.

    Examples
    --------
    >>> unit_of("㎎/㎏").quantity, unit_of("µg/cm²").quantity
    ('mass share', 'amount per area')
    """
    found = _SPELLINGS.get(text.strip().translate(_FOLDS).casefold())
    if found is None:
        raise UnitError(
            f"got unit {text.strip()[:30]!r}; expected one such as mg/kg, ppm, %, ug/cm2, ug/cm2/week or mg/L"
        )
    return Unit(text.strip(), *found)


def convert(value: float, unit: Unit, wanted: Unit) -> float:
    """Convert a value, through pint.

    Raises
    ------
    UnitError
        When the two measure different quantities: a mass share says nothing of an amount per area.
    """
    if unit.quantity != wanted.quantity:
        raise UnitError(
            f"got {unit.text} ({unit.quantity}) where {wanted.text} ({wanted.quantity}) is expected; "
            "these are different quantities and are not converted"
        )
    if unit.name == wanted.name:
        return value
    return float(_registry().Quantity(value, unit.name).to(wanted.name).magnitude)
