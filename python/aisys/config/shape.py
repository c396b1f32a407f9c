"""Questions about the shape of the configuration: which keys exist where, and of what type."""

from __future__ import annotations

import re
import types
from collections.abc import Iterator, Sequence
from functools import cache
from typing import Annotated, Any, Union, get_args, get_origin

from pydantic import BaseModel

from aisys.config.origins import KeyPath, Node
from aisys.config.secrets import Secret
from aisys.config.settings import ConfigFile, FleetSettings

ANYTHING = object()
_SECRET_KEY = re.compile(r"(?:^|_)(?:api_key|token|password|secret)\Z", re.IGNORECASE)


def _options(annotation: Any) -> list[Any]:
    """The types an annotation allows, without Annotated and Union around them."""
    origin = get_origin(annotation)
    if origin is Annotated:
        return _options(get_args(annotation)[0])
    if origin in (Union, types.UnionType):
        return [option for arg in get_args(annotation) for option in _options(arg)]
    return [annotation]


def types_at(path: Sequence[str], root: type[BaseModel] = ConfigFile) -> list[Any]:
    """The types a setting may have: `ANYTHING` in an agent's own settings, [] if it is unknown."""
    found: list[Any] = [root]
    for part in path:
        if ANYTHING in found:
            return [ANYTHING]
        found = [option for kind in found for option in _step(kind, part)]
    return found


def _step(kind: Any, part: str) -> list[Any]:
    if isinstance(kind, type) and issubclass(kind, BaseModel):
        known = kind.model_fields.get(part)
        return _options(known.annotation) if known is not None else []
    origin = get_origin(kind)
    if origin is dict:
        value = get_args(kind)[1]
        return [ANYTHING] if value is Any else _options(value)
    if origin is list and part.isdigit():
        return _options(get_args(kind)[0])
    return []


def keys_at(path: Sequence[str], root: type[BaseModel] = ConfigFile) -> list[str]:
    """The keys that a section may hold; [] where keys are free or there is no section."""
    return [
        name
        for kind in types_at(path, root)
        if isinstance(kind, type) and issubclass(kind, BaseModel)
        for name in kind.model_fields
    ]


def is_secret(path: Sequence[str]) -> bool:
    """Whether the setting holds a secret."""
    return Secret in types_at(path)


def holds_secret(path: Sequence[str]) -> bool:
    """Whether a value must not be shown: by its type, or in an agent's settings by its name."""
    if is_secret(path):
        return True
    return ANYTHING in types_at(path) and bool(path) and _SECRET_KEY.search(path[-1]) is not None


def masked(node: Node, path: Sequence[str]) -> Any:
    """The plain value of a tree with secrets replaced by stars; references stay readable."""
    if isinstance(node.value, dict):
        return {key: masked(child, (*path, key)) for key, child in node.value.items()}
    if isinstance(node.value, list):
        return [masked(child, path) for child in node.value]
    if node.value is not None and holds_secret(path):
        return str(Secret(str(node.value)))
    return node.value


def is_text(path: Sequence[str]) -> bool:
    """Whether the setting is a text whatever it looks like, so that `7` stays a text."""
    kinds = [kind for kind in types_at(path) if kind is not type(None)]
    return bool(kinds) and all(
        isinstance(kind, type) and issubclass(kind, (str, Secret)) for kind in kinds
    )


@cache
def setting_paths() -> dict[str, KeyPath]:
    """Every setting of the fleet by its name in the environment: `LLM_URL` is llm.url."""
    return {"_".join(path).upper(): path for path in _walk(FleetSettings, ())} | {"NAME": ("name",)}


def _walk(model: type[BaseModel], prefix: KeyPath) -> Iterator[KeyPath]:
    for name, known in model.model_fields.items():
        path = (*prefix, name)
        sections = [
            kind
            for kind in _options(known.annotation)
            if isinstance(kind, type) and issubclass(kind, BaseModel)
        ]
        if sections:
            for section in sections:
                yield from _walk(section, path)
        else:
            yield path
