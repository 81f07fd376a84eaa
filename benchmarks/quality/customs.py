"""Which import declarations to inspect: one ranking for fraud and for threats to public safety, learned on 2020."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np
import pandas as pd

from benchmarks.quality.baselines import boosted, logistic, shared_categories, tfidf
from benchmarks.quality.resample import at_budgets_draws, draw_counts, interval
from benchmarks.quality.task import Labels, Task, existing, figure
from benchmarks.results_file import LABELS, OURS, Row
from training.heads import sigmoid
from training.histories import Histories, crosses, pairs
from training.metrics import at_budget

TRAIN, TEST = "kcs-customs/df_syn_train_eng.csv.gz", "kcs-customs/df_syn_valid_eng.csv.gz"
# Most values of a column that the library takes as categories.
CATEGORIES = 254
BUDGETS = (0.01, 0.02, 0.05, 0.10)
NUMBERS = ("Tax Rate", "Net Mass", "Item Price")
DROPPED = ("Declaration ID", "Date", "Fraud", "Critical Fraud")
# Weight of the critical model in our one ranking, chosen on the last quarter of the training year:
# benchmarks/results/tuning_customs.json.
CRITICAL_WEIGHT = 7.0


@dataclass(frozen=True, slots=True, eq=False)
class Declarations:
    """Declarations in order of the file.

    Attributes
    ----------
    table
        Codes as text, amounts as numbers; no date and no identifier of the declaration.
    fraud, critical
        ndarrays of shape (n,), float64, 0 or 1.
    days
        ISO dates, shape (n,).
    """

    table: pd.DataFrame
    fraud: np.ndarray
    critical: np.ndarray
    days: np.ndarray

    def take(self, rows: np.ndarray) -> Declarations:
        """Return some of the rows."""
        return Declarations(
            self.table.iloc[rows].reset_index(drop=True),
            self.fraud[rows],
            self.critical[rows],
            self.days[rows],
        )


@cache
def read_part(data: Path, name: str) -> Declarations:
    """Read one of the two published files."""
    raw = pd.read_csv(data / name, dtype={"HS6 Code": str, "Office ID": str})
    table = raw.drop(columns=list(DROPPED))
    for column in table.columns:
        if column not in NUMBERS:
            table[column] = table[column].astype("string").fillna("")
    # A tariff code is a path: chapter and heading are coarser keys.
    code = table["HS6 Code"].str.zfill(6)
    table["Chapter"], table["Heading"] = code.str[:2], code.str[:4]
    table["Unit Price"] = raw["Item Price"] / raw["Net Mass"].clip(lower=0.01)
    return Declarations(
        table,
        (raw["Fraud"] == 1).to_numpy(np.float64),
        (raw["Critical Fraud"] == 2).to_numpy(np.float64),
        raw["Date"].to_numpy(str),
    )


def labels(data: Path) -> Labels:
    """Read the labels of the test part; ``critical`` marks the threats to public safety."""
    test = read_part(data, TEST)
    items = tuple(str(i) for i in range(len(test.fraud)))
    return Labels(items, ("",), test.fraud[:, None], {"critical": test.critical > 0})


def published(part: Declarations) -> pd.DataFrame:
    """The columns of the published bar: as they stand in the file."""
    return part.table.drop(columns=["Chapter", "Heading", "Unit Price"])


def native_boosted(train: pd.DataFrame, y: np.ndarray, test: pd.DataFrame) -> np.ndarray:
    """Return probabilities of the published kind of bar: trees that split on categories as they are.

    Columns with more values than the library takes as categories are identifiers of firms, which are left out (better
    so on the last quarter of the training year), and the tariff code, which is read as a number.
    """
    from sklearn.ensemble import HistGradientBoostingClassifier

    left, right = shared_categories(train, test)
    for name in list(left.columns):
        if isinstance(left[name].dtype, pd.CategoricalDtype) and len(left[name].cat.categories) > CATEGORIES:
            if name == "HS6 Code":
                left[name], right[name] = (pd.to_numeric(part[name]) for part in (train, test))
            else:
                left, right = left.drop(columns=name), right.drop(columns=name)
    model = HistGradientBoostingClassifier(categorical_features="from_dtype", max_iter=200, random_state=0)
    return np.asarray(model.fit(left, y).predict_proba(right))[:, 1]


@cache
def _boosted(data: Path, outcome: str) -> np.ndarray:
    train, test = read_part(data, TRAIN), read_part(data, TEST)
    y = train.fraud if outcome == "fraud" else train.critical
    return native_boosted(published(train), y, published(test))


def _random(data: Path) -> np.ndarray:
    return np.random.default_rng(0).random(len(read_part(data, TEST).fraud))


def _importer_history(data: Path, strength: float = 3.0) -> np.ndarray:
    """Past fraud rate of the importer and of the tariff code, each drawn toward the rate of all."""
    train, test = read_part(data, TRAIN), read_part(data, TEST)
    mean = train.fraud.mean()
    score = np.zeros(len(test.fraud))
    for column in ("Importer ID", "HS6 Code"):
        sums = pd.Series(train.fraud).groupby(train.table[column].to_numpy()).agg(["sum", "count"])
        rate = (sums["sum"] + strength * mean) / (sums["count"] + strength)
        score += test.table[column].map(rate).fillna(mean).to_numpy(np.float64)
    return score


def _tokens(part: Declarations) -> list[str]:
    columns = [column for column in part.table.columns if column not in (*NUMBERS, "Unit Price")]
    return [
        " ".join(f"c{i}_{value}" for i, value in enumerate(row))
        for row in part.table[columns].itertuples(index=False)
    ]


def _tokens_lr(data: Path) -> np.ndarray:
    train, test = read_part(data, TRAIN), read_part(data, TEST)
    left, right = tfidf(_tokens(train), _tokens(test), characters=False)
    return sigmoid(logistic(left, train.fraud[:, None], right, 10.0))[:, 0]


HISTORY_KEYS = (
    "Importer ID", "Seller ID", "Declarant ID", "HS6 Code", "Heading", "Chapter", "Country of Origin",
    "Country of Departure", "Office ID", "Courier ID", "Tax Type", "Import Type",
)  # fmt: skip


def with_histories(
    train: Declarations, test: Declarations, outcome: np.ndarray
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Add what past results of the same keys say; a training row is described by the other rows of its keys."""
    both = pd.concat([train.table, test.table], ignore_index=True)
    exact = {f"{name} exact": both[name].astype(str) for name in ("Net Mass", "Item Price")}
    columns = [*(both[name] for name in HISTORY_KEYS), *exact.values()]
    codes = np.column_stack([pd.factorize(column)[0] for column in columns])
    keys = pairs(codes.shape[1])
    histories = Histories(crosses(codes, keys), keys)
    rows = np.arange(len(outcome))
    histories.fit(rows, outcome, most=8)
    features = histories.features(rows, outcome, np.arange(len(both)))
    names = [f"history {i}" for i in range(features.shape[1])]
    wide = pd.concat([both, pd.DataFrame(features, columns=names)], axis=1)
    n = len(outcome)
    return wide.iloc[:n], wide.iloc[n:].reset_index(drop=True)


def our_parts(train: Declarations, test: Declarations) -> tuple[np.ndarray, np.ndarray]:
    """Return P(fraud) and P(critical) of the test part."""
    scores = []
    for outcome in (train.fraud, train.critical):
        left, right = with_histories(train, test, outcome)
        scores.append(boosted(left, outcome, right, trees=300))
    return scores[0], scores[1]


def _ours(data: Path) -> np.ndarray:
    fraud, critical = our_parts(read_part(data, TRAIN), read_part(data, TEST))
    return fraud + CRITICAL_WEIGHT * critical


def measure(truth: Labels, scores: Mapping[str, np.ndarray]) -> list[Row]:
    """Return precision for fraud and recall of critical rows at each budget, with our paired gains."""
    y, critical = truth.Y[:, 0], truth.parts["critical"].astype(float)
    n = len(y)
    counts = draw_counts(n)
    rows: list[Row | None] = []
    draws: dict[tuple[str, str], np.ndarray] = {}
    both = np.column_stack([y, critical])
    for system, S in scores.items():
        precisions, recalls = at_budgets_draws(both, S[:, 0], counts, BUDGETS)
        for budget, precision, recall in zip(BUDGETS, precisions[:, 0], recalls[:, 1], strict=True):
            at = f"{budget * 100:.0f}"
            draws[system, f"p_at_{at}"], draws[system, f"critical_recall_at_{at}"] = precision, recall
            p, r = at_budget(y, S[:, 0], budget)[0], at_budget(critical, S[:, 0], budget)[1]
            rows.append(figure(system, f"p_at_{at}", p, interval(precision), n))
            rows.append(figure(system, f"critical_recall_at_{at}", r, interval(recall), int(critical.sum())))
    rows += _gains(rows, draws)
    rows.append(figure(LABELS, "fraud", float(y.sum()), None, n, "rows"))
    rows.append(figure(LABELS, "critical", float(critical.sum()), None, n, "rows"))
    return existing(rows)


def _gains(rows: list[Row | None], draws: Mapping[tuple[str, str], np.ndarray]) -> list[Row | None]:
    found = {(row.system, row.metric): row for row in existing(rows)}
    gains: list[Row | None] = []
    for system, metric in draws:
        if (
            system != OURS
            and (OURS, metric) in draws
            and metric in ("p_at_5", "p_at_10", "critical_recall_at_5")
        ):
            ours = found[OURS, metric]
            spread = interval(draws[OURS, metric] - draws[system, metric])
            gain = ours.value - found[system, metric].value
            gains.append(figure(OURS, f"{metric}_over_{system}", gain, spread, ours.n or 0, "difference"))
    return gains


TASK = Task(
    name="customs",
    files=(TRAIN, TEST),
    labels=labels,
    systems={
        "random_order": lambda data: _random(data)[:, None],
        "importer_history": lambda data: _importer_history(data)[:, None],
        "attributes_lr": lambda data: _tokens_lr(data)[:, None],
        "gradient_boosting": lambda data: _boosted(data, "fraud")[:, None],
        "boosting_plus_3_critical": lambda d: (_boosted(d, "fraud") + 3 * _boosted(d, "critical"))[:, None],
        "boosting_plus_5_critical": lambda d: (_boosted(d, "fraud") + 5 * _boosted(d, "critical"))[:, None],
        OURS: lambda data: _ours(data)[:, None],
    },
    measure=measure,
    note="customs declarations of the first quarter of 2021",
)
