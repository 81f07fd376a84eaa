"""Bodies of the rooms' requests: read, parsed and held against a model."""

from __future__ import annotations

from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError
from starlette.requests import Request

from features.schema import FieldError
from serving.http.problems import WRONG_FIELDS, ProblemError
from serving.http.reading import check_type, parse_json, plain, read_body

BODY_MAX, SECONDS = 4_000_000, 10.0
_Model = TypeVar("_Model", bound=BaseModel)


async def body_of(
    request: Request, model: type[_Model], limit: int = BODY_MAX, seconds: float = SECONDS
) -> _Model:
    """Read a JSON body.

    Parameters
    ----------
    request, model
        What came, and what it must hold.
    limit, seconds
        Most bytes, and how long they may take.

    Raises
    ------
    ProblemError
        400 to 422, naming every wrong field.
    """
    check_type(request)
    return checked(model, plain(parse_json(await read_body(request, limit, seconds))))


def checked(model: type[_Model], raw: Any) -> _Model:
    """Hold parsed JSON against a model.

    Raises
    ------
    ProblemError
        422, naming every wrong field.
    """
    try:
        return model.model_validate(raw)
    except ValidationError as error:
        fields = tuple(
            FieldError(".".join(map(str, item["loc"])) or "(body)", item["msg"], type(item["input"]).__name__)
            for item in error.errors(include_url=False)
        )
        raise ProblemError(WRONG_FIELDS, f"{len(fields)} fields are wrong.", errors=fields) from None
