"""The sample's made-up past results, in the shapes of ``training.records``."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from typing import Any


def past_results(past: Mapping[str, Sequence[Sequence[Any]]]) -> list[dict[str, Any]]:
    """Lay out the made-up past results.

    Parameters
    ----------
    past
        What ``past_results.yaml`` holds: rows of ``laboratory``, ``recall`` and ``inspection``.

    Returns
    -------
    list of dict
        The lines that ``training.sources`` reads under the name ``sample``: the fields of the type in
        ``training.records``, ``record`` (which type) and ``made_up``, always True.
    """
    makers = {
        "laboratory": ("lab_result", _lab),
        "recall": ("recall", _recall),
        "inspection": ("inspection_round", _round),
    }
    rows = []
    for part, (kind, make) in makers.items():
        for number, row in enumerate(past[part], start=1):
            head = {"record": kind, "made_up": True, "source": "sample"}
            rows.append({**head, "native_id": f"made-up-{kind}-{number:03d}", **make(row)})
    return rows


def _lab(row: Sequence[Any]) -> dict[str, Any]:
    day, laboratory, program, name, group, country, analyte, hazard, comparator, value, unit, failed = row
    return {
        "date": day.isoformat(),
        "product_name": name,
        "analyte": analyte,
        "hazard": hazard,
        "value": value,
        "unit": unit,
        "comparator": comparator,
        "product_type": group,
        "sample_id": "made-up-" + hashlib.sha256(name.encode()).hexdigest()[:8],
        "country": country,
        "laboratory": laboratory,
        "program": program,
        "failed": failed,
    }


def _recall(row: Sequence[Any]) -> dict[str, Any]:
    day, kind, regulator, names, country, hazards, terms, description = row
    return {
        "date": day.isoformat(),
        "product_names": names,
        "hazards": hazards,
        "hazard_terms": terms,
        "description": description,
        "countries": [country],
        "regulator": regulator,
        "kind": kind,
    }


def _round(row: Sequence[Any]) -> dict[str, Any]:
    day, agency, platforms, group, korean, tested, failed, leaf, hazards = row
    return {
        "agency": agency,
        "date": day.isoformat(),
        "platforms": platforms,
        "group_name": group,
        "group_name_ko": korean,
        "n_tested": tested,
        "n_failed": failed,
        "leaf": leaf,
        "hazard_text": hazards,
    }
