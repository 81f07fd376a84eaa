"""The store: the one gate to the database.

Decisions, labels, bans, policies and models are written in commit groups, each on disk before it is acknowledged
and each chained into the audit record.
"""

from serving.store import account_tables as account_tables  # so that the metadata holds every table
from serving.store import desk_tables as desk_tables
from serving.store import photo_tables as photo_tables
from serving.store import shadow_tables as shadow_tables
from serving.store.decisions import ExpiredHold, QueueFilter, QueueItem, StoredDecision
from serving.store.engine import Durability
from serving.store.errors import (
    BusyError,
    ConflictError,
    InvalidRecordError,
    NotDurableError,
    NotFoundError,
    SchemaError,
    StoreError,
    StoreUnavailableError,
)
from serving.store.group import Recorded
from serving.store.records import (
    BanRecord,
    DecisionRecord,
    LabelRecord,
    ModelRecord,
    NoteRecord,
    OutboxEvent,
    Picture,
    PolicyRecord,
)
from serving.store.sink import StoreSink
from serving.store.store import Store
from serving.store.writer import WriterLimits, WriterState

__all__ = [
    "BanRecord",
    "BusyError",
    "ConflictError",
    "DecisionRecord",
    "Durability",
    "ExpiredHold",
    "InvalidRecordError",
    "LabelRecord",
    "ModelRecord",
    "NotDurableError",
    "NotFoundError",
    "NoteRecord",
    "OutboxEvent",
    "Picture",
    "PolicyRecord",
    "QueueFilter",
    "QueueItem",
    "Recorded",
    "SchemaError",
    "Store",
    "StoreError",
    "StoreSink",
    "StoreUnavailableError",
    "StoredDecision",
    "WriterLimits",
    "WriterState",
]
