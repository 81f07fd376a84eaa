"""Settings in YAML held against a model: one way to read them, one way to say what is wrong."""

from __future__ import annotations

from collections.abc import Callable
from importlib.resources.abc import Traversable
from pathlib import Path
from typing import TypeVar

import yaml
from pydantic import BaseModel, ValidationError

_Model = TypeVar("_Model", bound=BaseModel)


def read_as(model: type[_Model], source: Path | Traversable, error: Callable[[str], Exception]) -> _Model:
    """Read a file.

    Parameters
    ----------
    model
        What the file must hold.
    source
        A file, or one of a package.
    error
        Made from the message and raised: it names the file, and every wrong entry.
    """
    try:
        return model.model_validate(yaml.safe_load(source.read_text(encoding="utf-8")))
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as cause:
        raise error(f"{source}: expected a YAML file in UTF-8, got: {cause}") from None
    except ValidationError as cause:
        wrong = (
            f"{'.'.join(map(str, one['loc'])) or 'file'}: {one['msg']}"
            for one in cause.errors(include_url=False)
        )
        raise error(f"{source}: {'; '.join(wrong)}") from None
