"""`typing.TypedDict` in annotations, on Pythons where pydantic cannot read it.

Before Python 3.12 a typed dictionary of the standard library does not remember its bases, so
pydantic accepts only that of `typing_extensions`. Authors should not have to know: the same shape
is made anew here.
"""

from __future__ import annotations

import functools
import sys
import types
import typing
from typing import Any, NotRequired

import typing_extensions

_NEEDED = sys.version_info < (3, 12)
_make_typed_dict: Any = typing_extensions.TypedDict


def portable(annotation: Any) -> Any:
    """The annotation with every typed dictionary in a form that pydantic reads."""
    if not _NEEDED:
        return annotation
    if isinstance(annotation, type) and type(annotation).__module__ == "typing":
        return _rebuilt(annotation) if typing.is_typeddict(annotation) else annotation
    arguments = typing.get_args(annotation)
    if not arguments or typing.get_origin(annotation) is typing.Literal:
        return annotation
    changed = tuple(portable(argument) for argument in arguments)
    if changed == arguments:
        return annotation
    if isinstance(annotation, types.UnionType):
        return functools.reduce(lambda left, right: left | right, changed)
    return (
        annotation.copy_with(changed)
        if hasattr(annotation, "copy_with")
        else _same(annotation, changed)
    )


def _same(annotation: Any, arguments: tuple[Any, ...]) -> Any:
    return typing.get_origin(annotation)[arguments]


@functools.cache
def _rebuilt(cls: type) -> Any:
    """Keys, types and which keys are required, under the same name."""
    required: frozenset[str] = getattr(cls, "__required_keys__", frozenset())
    fields = {
        key: portable(hint) if key in required else NotRequired[portable(hint)]
        for key, hint in typing.get_type_hints(cls).items()
    }
    return _make_typed_dict(cls.__name__, fields)
