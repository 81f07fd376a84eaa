"""What the rows of every history have, however the store keeps them."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any, Protocol


class HistoryRow(Protocol):
    """A row of a history that is folded into what is known now."""

    @property
    def body(self) -> Mapping[str, Any]:
        """The rest."""
        ...

    @property
    def actor(self) -> str:
        """Who."""
        ...

    @property
    def at(self) -> datetime:
        """When, UTC."""
        ...
