"""Sources of past results: each reads one publisher's files into `training.records`."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from training.sources.base import NetworkSource, Source
from training.sources.cpsc import CpscRecalls, CpscSports, CpscToys
from training.sources.cpsc_api import CpscApi
from training.sources.inspections import InspectionRounds
from training.sources.jsonl import RecordFile
from training.sources.kats import KatsRecalls, KatsRegister
from training.sources.lab_generic import LabResults
from training.sources.nyc import NycMetals
from training.sources.parsing import SourceError
from training.sources.recall_generic import OwnRecalls
from training.sources.safety_gate import SafetyGate
from training.sources.web import OutsideError, SourceChangedError

_ALL: tuple[Source, ...] = (
    CpscRecalls(),
    CpscToys(),
    CpscSports(),
    CpscApi(),
    SafetyGate(),
    KatsRecalls(),
    KatsRegister(),
    NycMetals(),
    LabResults(),
    OwnRecalls(),
    InspectionRounds(),
    RecordFile("sample"),
    RecordFile("records"),
)
SOURCES: Mapping[str, Source] = MappingProxyType({source.name: source for source in _ALL})

__all__ = ["SOURCES", "NetworkSource", "OutsideError", "Source", "SourceChangedError", "SourceError"]
