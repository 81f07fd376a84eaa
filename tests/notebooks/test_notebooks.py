"""Notebooks run from top to bottom, define nothing, and are kept with their outputs."""

from __future__ import annotations

import ast
import logging
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    import nbformat

FOLDER = Path(__file__).parents[2] / "notebooks"
NOTEBOOKS = sorted(FOLDER.glob("*.ipynb"))
NEEDS_DATA = {"labels"}


@pytest.fixture(params=NOTEBOOKS, ids=lambda path: path.stem)
def path(request: pytest.FixtureRequest) -> Path:
    return request.param


def read(path: Path) -> nbformat.NotebookNode:
    import nbformat  # takes seconds to import

    return nbformat.read(path, as_version=4)


def code_cells(path: Path) -> list[nbformat.NotebookNode]:
    return [cell for cell in read(path).cells if cell.cell_type == "code"]


def test_it_defines_nothing_and_keeps_its_outputs(path):
    cells = code_cells(path)
    for cell in cells:
        for node in ast.walk(ast.parse(cell.source)):
            assert not isinstance(node, ast.FunctionDef | ast.ClassDef | ast.AsyncFunctionDef), cell.source
    assert all(cell.execution_count for cell in cells)
    assert sum("image/png" in output.get("data", {}) for cell in cells for output in cell.outputs) >= 2


def test_it_opens_with_its_question(path):
    first = read(path).cells[0]
    assert first.cell_type == "markdown" and first.source.startswith("# ")


def run_here(notebook: nbformat.NotebookNode) -> bool:
    """Run all cells in this process, which has imported most of it already; whether anything was shown."""
    import matplotlib.pyplot as plt
    from IPython.core.interactiveshell import InteractiveShell
    from IPython.utils.capture import capture_output
    from traitlets.config import Config

    shell = InteractiveShell.instance(config=Config({"HistoryManager": {"enabled": False}}))
    try:
        with capture_output() as shown:
            for cell in notebook.cells:
                if cell.cell_type == "code":
                    shell.run_cell(cell.source).raise_error()
        return bool(shown.stdout or shown.outputs)
    finally:
        plt.close("all")
        InteractiveShell.clear_instance()
        logging.disable(logging.NOTSET)  # a notebook may want quiet; the tests after it do not


def run_in_a_kernel(notebook: nbformat.NotebookNode) -> bool:
    """Run all cells as a reader does; whether anything was shown."""
    from nbclient import NotebookClient

    for cell in notebook.cells:
        if cell.cell_type == "code":
            cell.outputs = []
    NotebookClient(
        notebook, timeout=240, kernel_name="python3", resources={"metadata": {"path": str(FOLDER)}}
    ).execute()
    return any(cell.get("outputs") for cell in notebook.cells)


def test_it_runs(path, request, monkeypatch, tmp_path, long):
    if path.stem in NEEDS_DATA:
        monkeypatch.setenv("LISTING_RISK_DATA", str(request.getfixturevalue("data_dir")))
    monkeypatch.setenv("PYTHONPATH", str(FOLDER.parent))
    monkeypatch.setenv("MPLBACKEND", "Agg")
    monkeypatch.setenv("IPYTHONDIR", str(tmp_path))
    monkeypatch.chdir(FOLDER)
    assert (run_in_a_kernel if long else run_here)(read(path))
