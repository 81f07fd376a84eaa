"""The customs declarations as a stream of goods: ``kcs-customs``, train and valid in order of time."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd

from training.replay import Goods, Stream

FILES = ("kcs-customs/df_syn_train_eng.csv.gz", "kcs-customs/df_syn_valid_eng.csv.gz")
CODES = (
    "Office ID", "Process Type", "Import Type", "Import Use", "Payment Type", "Mode of Transport", "Declarant ID",
    "Importer ID", "Seller ID", "Courier ID", "HS6 Code", "Country of Departure", "Country of Origin", "Tax Type",
    "Country of Origin Indicator",
)  # fmt: skip
AMOUNTS = ("Item Price", "Net Mass", "Tax Rate")
HISTORY = ("Importer ID", "HS6 Code")
CROSSES = (
    ("HS6 Code", "Country of Origin"), ("Importer ID", "HS6 Code"), ("Declarant ID", "HS6 Code"),
    ("Seller ID", "HS6 Code"), ("HS6 Code", "Tax Type"), ("Declarant ID", "Country of Origin"),
    ("Heading", "Country of Departure"), ("Office ID", "HS6 Code"), ("HS6 Code", "Item Price exact"),
)  # fmt: skip
"""Keys by which past results are kept, besides every column with many kinds; chosen on seeds 0 and 1."""


def customs(folder: Path) -> Stream:
    """Read both files; weeks of seven days from the first day, a last week that is not whole left out."""
    table = pd.concat([pd.read_csv(folder / name) for name in FILES], ignore_index=True)
    days = (pd.to_datetime(table["Date"]) - pd.Timestamp(table["Date"].min())).dt.days.to_numpy()
    whole = days < (days.max() + 1) // 7 * 7
    table, days = table[whole], days[whole]
    order = np.argsort(days, kind="stable")
    table, days = table.iloc[order], days[order]
    hs6 = table["HS6 Code"].to_numpy()
    # A tariff code is a path: its chapter and heading are coarser keys; the digits let trees reach all codes.
    parts = {
        "Chapter": hs6 // 10_000,
        "Heading": hs6 // 100,
        "Digits 3-4": hs6 // 100 % 100,
        "Digits 5-6": hs6 % 100,
    }
    tenths = {
        f"{name} tenth": pd.qcut(table[name], 10, labels=False, duplicates="drop").to_numpy()
        for name in ("Item Price", "Net Mass")
    }
    # The same goods declared again have the same mass and value to the last digit, as a re-listing has the same photo.
    exact = {f"{name} exact": table[name].to_numpy() for name in ("Item Price", "Net Mass")}
    columns = {name: table[name].to_numpy() for name in CODES} | parts | tenths | exact
    codes = np.column_stack([pd.factorize(values, use_na_sentinel=False)[0] for values in columns.values()])
    return Stream(
        Goods(codes.astype(np.int64), table[list(AMOUNTS)].to_numpy(float), (*columns, *AMOUNTS), days // 7),
        table["Fraud"].to_numpy() == 1,
        table["Critical Fraud"].to_numpy() == 2,
    )
