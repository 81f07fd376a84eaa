"""A user's own table of past results as a stream for the replay."""

from __future__ import annotations

import json

import pandas as pd
import pytest
from click.testing import CliRunner

from serving.commands.simulate import simulate
from training.own_history import HistoryError, read_history


@pytest.fixture
def table(tmp_path):
    path = tmp_path / "h.csv"
    pd.DataFrame(
        {
            "date": ["2026-01-15", "2026-01-01", "2026-01-09", "2026-01-02"] * 10,
            "seller": ["a", "b", "a", "c"] * 10,
            "units_sold": range(40),
            "failed": [1, 0, 1, 0] * 10,
            "serious": [1, 0, 0, 0] * 10,
        }
    ).to_csv(path, index=False)
    return path


def test_rows_come_in_order_of_time_and_weeks_count_from_the_first(table):
    stream, amount, history = read_history(table, "failed", "serious", "date", "units_sold", ("seller",))
    assert stream.goods.names == ("seller", "units_sold")
    assert (amount, history) == (0, (0,))
    assert stream.goods.week.tolist() == [0] * 20 + [1] * 10 + [2] * 10
    assert stream.failed.sum() == 20
    assert stream.critical.sum() == 10


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("nothing", None, "date", "units_sold", ("seller",)), "no column nothing"),
        (("units_sold", None, "date", "units_sold", ("seller",)), "expected 0 and 1"),
        (("failed", None, "seller", "units_sold", ("seller",)), "without a date"),
        (("failed", None, "date", "seller", ("seller",)), "expected numbers"),
    ],
)
def test_a_table_that_cannot_be_replayed_says_why(table, arguments, message):
    with pytest.raises(HistoryError, match=message):
        read_history(table, *arguments)


def test_the_command_writes_figures_and_curves(table, tmp_path):
    out = tmp_path / "out"
    arguments = [str(table), "--amount", "units_sold", "--by", "seller", "--budget", "0.5", "--seeds", "2"]
    arguments += ["--strategy", "random", "--strategy", "history", "-o", str(out)]
    found = CliRunner().invoke(simulate, arguments)
    assert found.exit_code == 0, found.output
    report = json.loads((out / "report.json").read_text())
    assert set(report["0.5"]) == {"random", "history"}
    assert (out / "curves-0.5.png").is_file()
    again = CliRunner().invoke(simulate, arguments)
    assert again.exit_code == 0
