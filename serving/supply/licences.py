"""Under which licences the parts are used: packages, models, data.

A package's licence is what its own metadata says, as an SPDX expression; where that says nothing usable, what
`licences.yaml` says with its source. Models and data stand there too.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import cache
from importlib import metadata, resources
from typing import Annotated, Any, Literal

import yaml
from packaging.requirements import Requirement
from pydantic import BaseModel, ConfigDict, Field

PACKAGE = "listing-risk"
UNKNOWN = "unknown"
TOOLS = frozenset({"dev", "fuzz"})
"""Extras that bring tools of those who work on the project; they are no part of what is given away."""
_CLASSIFIERS = {
    "Apache Software License": "Apache-2.0",
    "BSD License": "BSD-3-Clause",
    "MIT License": "MIT",
    "ISC License (ISCL)": "ISC",
    "Mozilla Public License 2.0 (MPL 2.0)": "MPL-2.0",
    "Python Software Foundation License": "PSF-2.0",
    "Historical Permission Notice and Disclaimer (HPND)": "HPND",
    "GNU Lesser General Public License v3 (LGPLv3)": "LGPL-3.0-only",
    "GNU General Public License v2 (GPLv2)": "GPL-2.0-only",
    "GNU General Public License v3 (GPLv3)": "GPL-3.0-only",
}
_WORDS = {
    "apache 2.0": "Apache-2.0",
    "apache license 2.0": "Apache-2.0",
    "apache 2.0 license": "Apache-2.0",
    "3-clause bsd license": "BSD-3-Clause",
    "bsd 3-clause license": "BSD-3-Clause",
    "mit license": "MIT",
    "gplv2": "GPL-2.0-only",
}
_SPDX = re.compile(r"[A-Za-z0-9.+-]+( (AND|OR|WITH) [A-Za-z0-9.+()-]+)*")


class _Known(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)

    licence: str
    source: str


class _Part(_Known):
    name: str
    package: str = ""
    used: str = ""


class LicenceFile(BaseModel):
    """What `licences.yaml` says."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    allowed: Annotated[dict[str, str], Field(min_length=1)]
    packages: dict[str, _Known]
    models: tuple[_Part, ...]
    data: tuple[_Part, ...]


@dataclass(frozen=True, slots=True)
class Licensed:
    """A part and its licence.

    Attributes
    ----------
    kind
        ``package``, ``model`` or ``data``.
    licence
        An SPDX expression; `UNKNOWN` where nothing says it.
    source
        Where it was read.
    allowed
        Whether it may be used.
    """

    kind: Literal["package", "model", "data"]
    name: str
    version: str
    licence: str
    source: str
    allowed: bool

    def to_json(self) -> dict[str, str | bool]:
        """Return JSON values."""
        return asdict(self)


@cache
def licence_file() -> LicenceFile:
    """Read `licences.yaml`."""
    text = resources.files("serving.supply").joinpath("licences.yaml").read_text("utf-8")
    return LicenceFile.model_validate(yaml.safe_load(text))


def is_allowed(expression: str, allowed: Iterable[str]) -> bool:
    """Whether an SPDX expression permits use: one side of every OR, both of every AND.

    Parameters
    ----------
    allowed
        Identifiers of licences and exceptions.
    """
    from license_expression import ExpressionError

    names = set(allowed)
    try:
        tree = _spdx().parse(expression)
    except ExpressionError:
        return False
    return tree is not None and _permits(tree, names)


@cache
def _spdx() -> Any:
    from license_expression import get_spdx_licensing

    return get_spdx_licensing()


def _permits(tree: object, names: set[str]) -> bool:
    operator = getattr(tree, "operator", "").strip()
    if operator:
        sides = [_permits(side, names) for side in getattr(tree, "args")]  # noqa: B009 - the library has no types
        return any(sides) if operator == "OR" else all(sides)
    licence, exception = getattr(tree, "license_symbol", None), getattr(tree, "exception_symbol", None)
    if licence is not None and exception is not None:
        return licence.key in names and exception.key in names
    return getattr(tree, "key", "") in names


def closure(
    requirements: Iterable[str], installed: Callable[[str], metadata.Distribution | None] | None = None
) -> dict[str, metadata.Distribution]:
    """Return every installed package that requirements lead to, by normalised name.

    Parameters
    ----------
    requirements
        Such as ``httpx>=0.27`` or ``uvicorn[standard]``.
    installed
        Finds a package; by default in this environment.
    """
    find = installed or _find
    found: dict[str, metadata.Distribution] = {}
    done: set[tuple[str, str]] = set()
    waiting = [(Requirement(text), "") for text in requirements]
    while waiting:
        wanted, extra = waiting.pop()
        name = normal(wanted.name)
        if wanted.marker is not None and not wanted.marker.evaluate({"extra": extra}):
            continue
        distribution = found.get(name) or find(name)
        if distribution is None:
            continue
        found[name] = distribution
        for inner in ("", *wanted.extras):
            if (name, inner) not in done:
                done.add((name, inner))
                waiting += ((Requirement(text), inner) for text in distribution.requires or ())
    return found


def normal(name: str) -> str:
    """Return a package's name as all write it."""
    return re.sub(r"[-_.]+", "-", name).lower()


def _find(name: str) -> metadata.Distribution | None:
    try:
        return metadata.distribution(name)
    except metadata.PackageNotFoundError:
        return None


def shipped_requirements() -> list[str]:
    """Return the requirement of this package with every extra but those of its developers."""
    extras = metadata.metadata(PACKAGE).get_all("Provides-Extra") or []
    return [f"{PACKAGE}[{','.join(sorted(set(extras) - TOOLS))}]"]


def licence_of(package: metadata.Distribution, known: Mapping[str, _Known]) -> _Known:
    """Say a package's licence and where it was read."""
    said = package.metadata
    name = normal(said["Name"])
    if name in known:
        return known[name]
    expression = _first(package, "License-Expression")
    if expression:
        return _Known(licence=expression, source="License-Expression")
    words = _first(package, "License")
    if words.lower() in _WORDS:
        return _Known(licence=_WORDS[words.lower()], source="License")
    if _SPDX.fullmatch(words) and words.upper() not in {"BSD", "UNKNOWN", "PSFL", "DUAL"}:
        return _Known(licence=words, source="License")
    classifiers = [
        c.split(" :: ")[-1] for c in said.get_all("Classifier") or [] if c.startswith("License ::")
    ]
    names = [_CLASSIFIERS[one] for one in classifiers if one in _CLASSIFIERS]
    if names:
        return _Known(licence=" OR ".join(dict.fromkeys(names)), source="classifier")
    return _Known(licence=UNKNOWN, source="its metadata says none")


def _first(package: metadata.Distribution, field: str) -> str:
    return (package.metadata.get_all(field) or [""])[0].strip()


def licences(
    requirements: Sequence[str] | None = None, file: LicenceFile | None = None
) -> tuple[Licensed, ...]:
    """List the licences of packages, models and data.

    Parameters
    ----------
    requirements
        From which packages are followed; by default this package with every extra that is no developer's.
    file
        `licence_file` by default.
    """
    file = file or licence_file()
    rows: list[Licensed] = []
    for name, package in sorted(closure(requirements or shipped_requirements()).items()):
        one = licence_of(package, file.packages)
        good = is_allowed(one.licence, file.allowed)
        rows.append(Licensed("package", name, package.version, one.licence, one.source, good))
    parts: tuple[tuple[Literal["model", "data"], tuple[_Part, ...]], ...] = (
        ("model", file.models),
        ("data", file.data),
    )
    for kind, listed in parts:
        for part in listed:
            good = part.licence in file.allowed
            rows.append(Licensed(kind, part.name, part.package, part.licence, part.source, good))
    return tuple(rows)
