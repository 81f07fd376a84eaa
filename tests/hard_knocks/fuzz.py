"""Fuzz one target guided by coverage: ``python fuzz.py TARGET CORPUS [libFuzzer options]``."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path

import atheris

ROOT = Path(__file__).parents[2]


def main() -> None:
    """Import what is fuzzed with counters in its branches, and begin."""
    target, corpus = sys.argv[1], Path(sys.argv[2])
    sys.path.insert(0, str(ROOT))
    with atheris.instrument_imports(include=["features", "serving.labs", "serving.http", "serving.policy"]):
        spec = importlib.util.spec_from_file_location("fuzzed", Path(__file__).with_name("fuzzed.py"))
        assert spec and spec.loader
        fuzzed = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(fuzzed)
        for number, seed in enumerate(fuzzed.seeds(corpus)[target]):
            fuzzed.TARGETS[target](seed)  # what is imported inside is imported here, with its counters
            (corpus / f"seed-{number}").write_bytes(seed)
    (corpus / "a.parquet").unlink(missing_ok=True)
    atheris.Setup([sys.argv[0], *sys.argv[3:], str(corpus)], fuzzed.TARGETS[target])
    atheris.Fuzz()


if __name__ == "__main__":
    main()
