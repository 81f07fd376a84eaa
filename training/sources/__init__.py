"""Sources of past results: each reads one publisher's files into `training.records`."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from training.sources.base import Source
from training.sources.cpsc import CpscRecalls, CpscSports, CpscToys
from training.sources.inspections import InspectionRounds
from training.sources.nyc import NycMetals
from training.sources.parsing import SourceError

SOURCES: Mapping[str, Source] = MappingProxyType(
    {
        source.name: source
        for source in (CpscRecalls(), CpscToys(), CpscSports(), NycMetals(), InspectionRounds())
    }
)

__all__ = ["SOURCES", "Source", "SourceError"]
