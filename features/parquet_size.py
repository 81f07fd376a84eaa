"""How large rows of a Parquet file become, found out before they do.

A dictionary page holds a value once however many rows repeat it: twelve kilobytes can stand for gigabytes. So columns
where that could be are read as dictionaries, measured batch by batch, and only then unpacked.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from features.errors import UserError

if TYPE_CHECKING:
    import pyarrow as pa

UNPACKED_MAX = 256_000_000
"""Bytes of text that the rows read at once may unpack to; a row of a feed has some thousands."""


class UnpackedError(UserError):
    """Rows that unpack to more than a machine should hold."""


def doubtful_columns(metadata: Any, rows: int) -> list[str]:
    """Return the text columns of which ``rows`` rows could unpack to more than `UNPACKED_MAX`, by their leaf paths.

    Parameters
    ----------
    metadata
        ``pyarrow.parquet.FileMetaData``.
    rows
        Read at once.
    """
    groups = map(metadata.row_group, range(metadata.num_row_groups))
    # No value is longer than all of its group, in which a repeated one stands once. What is said of single columns is
    # not asked for: where a hostile file leaves it out, pyarrow ends the process.
    if not any(group.total_byte_size * min(rows, group.num_rows) > UNPACKED_MAX for group in groups):
        return []
    columns = map(metadata.schema.column, range(metadata.num_columns))
    return [column.path for column in columns if column.physical_type == "BYTE_ARRAY"]


def unpacked(batch: pa.RecordBatch, schema: pa.Schema) -> pa.RecordBatch:
    """Return a batch in its file's own types, after its size was measured.

    Raises
    ------
    UnpackedError
        When its text would take more than `UNPACKED_MAX` bytes.
    """
    size = sum(text_bytes(column) for column in batch.columns)
    if size > UNPACKED_MAX:
        raise UnpackedError(
            f"got {batch.num_rows:,} rows that unpack to {size:,} bytes of text, expected at most {UNPACKED_MAX:,}: "
            "a value is far too long, or the file is made to exhaust memory"
        )
    return batch if batch.schema.equals(schema) else batch.cast(schema)


def text_bytes(array: Any) -> int:
    """Count the bytes of text in an Arrow array once it is unpacked, parts inside it too."""
    import pyarrow as pa
    import pyarrow.compute as pc

    kind = array.type
    if pa.types.is_dictionary(kind):
        if not len(array.dictionary) or pa.types.is_nested(kind.value_type):
            return array.nbytes
        lengths = pc.call_function("binary_length", [array.dictionary.cast(pa.large_binary())])
        return pc.call_function("sum", [lengths.take(array.indices)]).as_py() or 0
    if pa.types.is_struct(kind):
        return sum(text_bytes(part) for part in array.flatten())
    if pa.types.is_map(kind):
        return text_bytes(array.keys) + text_bytes(array.items)
    if pa.types.is_list(kind) or pa.types.is_large_list(kind):
        return text_bytes(array.flatten())
    return array.nbytes
