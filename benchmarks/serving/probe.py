"""Our side of the measurement in process: ``python -m benchmarks.serving.probe BUNDLE LISTINGS`` on one core.

A process of its own, so that what it imports and how many threads it has is what serving has.
"""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path

import orjson

from features.schema import parse_listing
from serving.predictor import load_predictor
from serving.settings import Settings


def main(bundle: Path, listings: Path) -> None:
    """Print milliseconds of wall and processor time from the listing's JSON to the decision's."""
    predictor = load_predictor(Settings(bundle=bundle))
    wall, cpu = [], []
    for line in listings.read_bytes().splitlines():
        started, used = time.perf_counter(), time.process_time()
        listing = parse_listing(orjson.loads(line))
        orjson.dumps(predictor.decide([listing])[0].to_json())
        wall.append(1e3 * (time.perf_counter() - started))
        cpu.append(1e3 * (time.process_time() - used))
    print(json.dumps({"wall": wall, "cpu": cpu, "torch": "torch" in sys.modules}))


if __name__ == "__main__":
    main(*map(Path, sys.argv[1:3]))
