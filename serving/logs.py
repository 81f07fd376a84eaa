"""Log lines as JSON. What a seller or a client wrote never enters them."""

from __future__ import annotations

import json
import logging
import traceback
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, TextIO

import orjson

LOGGER = "serving"
_EXTRA = "event_fields"


class JsonFormatter(logging.Formatter):
    """One JSON object a line: time, level, logger, event and its fields; never an exception's message."""

    def format(self, record: logging.LogRecord) -> str:
        """Return the line."""
        line: dict[str, Any] = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "event": record.getMessage(),
            **getattr(record, _EXTRA, {}),
        }
        if record.exc_info and record.exc_info[1]:
            line["error"] = frames(record.exc_info[1])
        try:
            return orjson.dumps(line, default=str).decode()
        except TypeError:  # half a character, or a number that no JSON reader would take
            return json.dumps(line, ensure_ascii=False, default=str)


def event(logger: logging.Logger, level: int, name: str, fields: Mapping[str, Any]) -> None:
    """Log an event with its fields.

    Errors go in as `frames`, never as ``exc_info``: another handler would print their messages.
    """
    logger.log(level, name, extra={_EXTRA: dict(fields)})


def frames(error: BaseException) -> list[str]:
    """Return the error's type and where it was raised, cause first, without any message.

    Messages of errors quote what they choked on, which may be a seller's words.
    """
    lines: list[str] = []
    step: BaseException | None = error
    while step is not None and len(lines) < 100:
        lines.append(type(step).__qualname__)
        lines += [
            f"  {Path(frame.filename).name}:{frame.lineno} {frame.name}"
            for frame in traceback.extract_tb(step.__traceback__)
        ]
        step = step.__cause__ or step.__context__
    return lines


def configure(stream: TextIO) -> None:
    """Send the service's log lines to a stream, once, whatever the server around it set up."""
    logger = logging.getLogger(LOGGER)
    if any(isinstance(handler.formatter, JsonFormatter) for handler in logger.handlers):
        return
    handler = logging.StreamHandler(stream)
    handler.setFormatter(JsonFormatter())
    logger.addHandler(handler)
    logger.setLevel(logging.INFO)
    logger.propagate = False
