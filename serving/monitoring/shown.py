"""The alarms of the last monitoring report, where Prometheus sees them."""

from __future__ import annotations

import logging
from collections import Counter
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from serving.metrics import Metrics
    from serving.store import Store

log = logging.getLogger("serving.monitoring")


def show_alarms(store: Store, metrics: Metrics) -> None:
    """Count the alarms of the last report by rule; the metrics stay as they were while the store does not answer."""
    from serving.store.engine import reading
    from serving.store.errors import StoreError
    from serving.store.watching import last_report

    try:
        with reading(store.engine) as connection:
            found = last_report(connection, "monitor")
    except StoreError:
        log.warning("alarms not read: the store does not answer")
        return
    if found is not None:
        metrics.show_alarms(Counter(alarm["rule"] for alarm in found[1]["alarms"]))
