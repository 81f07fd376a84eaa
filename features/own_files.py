"""Where data files are read from: a team's own folder wins, file by file, over those of the package.

The folder is named by the environment, so that the command line, the service and every process they start read the
same one.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path

from features.errors import UserError

VARIABLE = "LISTING_RISK_TAXONOMY"
_ROOT = Path(__file__).resolve().parents[1]
FILES: Mapping[str, Path] = {
    name: _ROOT / place / name
    for name, place in {
        "taxonomy.yaml": "features",
        "product_groups.yaml": "features",
        "limits.csv": "features",
        "laboratories.yaml": "features",
        "hazard_expectations.yaml": "features",
        "column_maps.yaml": "features",
        "certification.yaml": "features",
        "labs_columns.yaml": "serving/labs",
    }.items()
}
"""Name -> the package's own file, for every file that a team may replace."""


class OwnFilesError(UserError):
    """A folder of own data files that cannot be used."""


def own_folder(environ: Mapping[str, str] | None = None) -> Path | None:
    """Return the folder that the environment names, None where it names none.

    Raises
    ------
    OwnFilesError
        When it is no folder, or holds none of `FILES`.
    """
    named = (os.environ if environ is None else environ).get(VARIABLE, "").strip()
    return checked_folder(Path(named)) if named else None


def checked_folder(folder: Path) -> Path:
    """Return a folder of own data files, made absolute; one that is in order is looked at once.

    Raises
    ------
    OwnFilesError
        When it is no folder, or holds none of `FILES`.
    """
    return _checked(folder.absolute())


@lru_cache(maxsize=4)
def _checked(folder: Path) -> Path:
    if not folder.is_dir():
        raise OwnFilesError(f"Got taxonomy folder {folder}; expected one that exists.")
    if not any((folder / name).is_file() for name in FILES):
        raise OwnFilesError(
            f"Got taxonomy folder {folder}, which holds none of {', '.join(FILES)}. "
            "Make one with `listing-risk taxonomy copy FOLDER` and change it."
        )
    return folder


def data_file(name: str, folder: Path | None = None) -> Path:
    """Return which file to read: ``folder``'s, else that of the environment's folder, else the package's.

    Parameters
    ----------
    name
        One of `FILES`.
    folder
        Asked first; None asks the folder that the environment names.
    """
    own = own_folder() if folder is None else folder
    mine = own / name if own else None
    return mine if mine and mine.is_file() else FILES[name]
