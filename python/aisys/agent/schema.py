"""Arguments and results held against the annotations by pydantic, and carried over a wire.

One `TypeAdapter` per method, built at first use: a typed dictionary of the parameters. On the wire
the arguments are one JSON object, which pydantic reads and checks in a single pass in Rust. Only
methods whose annotations leave room for binary data (bytes, arrays, or no annotation at all) go
through the attachment format.
"""

from __future__ import annotations

import functools
import typing
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NotRequired

from pydantic import ConfigDict, PydanticSchemaGenerationError, TypeAdapter, ValidationError
from pydantic_core import ErrorDetails
from typing_extensions import TypedDict

from aisys.agent.plain import is_plain
from aisys.agent.ports import Buffer
from aisys.agent.suggest import did_you_mean
from aisys.agent.typed_dicts import portable
from aisys.agent.wire import decode_any, encode_any
from aisys.errors import ArgumentError, ResultError

_MAX_SHOWN = 60
_make_typed_dict: Any = TypedDict  # called with names that only run time knows
_CONFIG = ConfigDict(extra="forbid", arbitrary_types_allowed=True)
_RESULT_CONFIG = ConfigDict(arbitrary_types_allowed=True)


@dataclass(frozen=True, slots=True)
class Parameter:
    """One parameter of a method.

    Attributes:
        annotation: its evaluated type; `Any` when there is none.
        required: whether the caller must give it.
        default: what the function uses otherwise.
    """

    name: str
    annotation: Any
    required: bool
    default: Any = None


class ArgumentSchema:
    """The parameters of one method as a checkable, transportable whole.

    Args:
        method: `Agent.method`, for messages.
        parameters: in the order of the signature.
    """

    def __init__(self, method: str, parameters: Sequence[Parameter]) -> None:
        self.method = method
        self.parameters = tuple(parameters)
        self.names = tuple(parameter.name for parameter in parameters)

    @functools.cached_property
    def adapter(self) -> TypeAdapter[dict[str, Any]]:
        """The pydantic adapter; it costs a millisecond to build and waits for the first call."""
        fields = {
            parameter.name: portable(parameter.annotation)
            if parameter.required
            else NotRequired[portable(parameter.annotation)]
            for parameter in self.parameters
        }
        shape: Any = _make_typed_dict(self.method.replace(".", "_"), fields)
        shape.__pydantic_config__ = _CONFIG
        return _adapter(shape, self.method, None)

    @functools.cached_property
    def check(self) -> Any:
        """The bare validator: a call saves the adapter's own Python frame."""
        return self.adapter.validator.validate_python

    @functools.cached_property
    def check_json(self) -> Any:
        """The bare validator of JSON text."""
        return self.adapter.validator.validate_json

    @functools.cached_property
    def plain(self) -> bool:
        """Whether no argument can hold binary data."""
        return all(is_plain(parameter.annotation) for parameter in self.parameters)

    def bind(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> dict[str, Any]:
        """Positional and named arguments as one dictionary.

        Raises:
            ArgumentError: too many arguments, or one given twice.
        """
        if not args:
            return kwargs
        if len(args) > len(self.names):
            problem = f"takes {len(self.names)} arguments, {len(args)} were given"
            raise ArgumentError(f"{self.method}: {problem}", method=self.method, problems=[problem])
        bound = dict(zip(self.names, args, strict=False))
        twice = bound.keys() & kwargs.keys()
        if twice:
            problems = [f"{name}: given twice" for name in sorted(twice)]
            raise self._error(problems)
        bound.update(kwargs)
        return bound

    def validate(self, arguments: Mapping[str, Any]) -> dict[str, Any]:
        """Check and convert the arguments.

        Raises:
            ArgumentError: they do not fit; every problem is named.
        """
        try:
            return typing.cast("dict[str, Any]", self.check(arguments))
        except ValidationError as error:
            raise self._error(list(self._problems(error))) from None

    def encode(self, arguments: dict[str, Any]) -> tuple[bytes, list[Buffer]]:
        """Validated arguments as they travel."""
        if self.plain:
            return self.adapter.dump_json(arguments), []
        return encode_any(arguments)

    def decode(self, body: bytes, attachments: Sequence[Buffer]) -> dict[str, Any]:
        """Arguments as they arrived, checked and converted.

        Raises:
            ArgumentError: they do not fit, or are no JSON object.
        """
        try:
            if attachments:
                return typing.cast("dict[str, Any]", self.check(decode_any(body, attachments)))
            arguments: dict[str, Any] = self.check_json(body or b"{}")
            return arguments
        except ValidationError as error:
            raise self._error(list(self._problems(error))) from None
        except ValueError as error:
            raise self._error([f"the arguments cannot be read: {error}"]) from None

    def _error(self, problems: list[str]) -> ArgumentError:
        text = "; ".join(problems)
        return ArgumentError(f"{self.method}: {text}", method=self.method, problems=problems)

    def _problems(self, error: ValidationError) -> Iterable[str]:
        for detail in error.errors(include_url=False, include_context=False):
            name = str(detail["loc"][0]) if detail["loc"] else ""
            if detail["type"] == "missing" and len(detail["loc"]) == 1:
                yield f"{name}: is missing"
            elif detail["type"] == "extra_forbidden" and len(detail["loc"]) == 1:
                yield f"{name}: unknown argument{did_you_mean(name, self.names)}"
            else:
                yield describe_problem(detail)


class ResultSchema:
    """The result of one method, or the items of its stream.

    Args:
        method: `Agent.method`, for messages.
        annotation: the evaluated return type; `Any` when there is none.
    """

    def __init__(self, method: str, annotation: Any) -> None:
        self.method = method
        self.annotation = annotation

    @functools.cached_property
    def adapter(self) -> TypeAdapter[Any]:
        """The pydantic adapter, built at first use."""
        return _adapter(portable(self.annotation), self.method, _RESULT_CONFIG)

    @functools.cached_property
    def check(self) -> Any:
        """The bare validator."""
        return self.adapter.validator.validate_python

    @functools.cached_property
    def write_json(self) -> Any:
        """The bare serialiser, for results without binary data; None for the others."""
        return self.adapter.serializer.to_json if self.plain else None

    @functools.cached_property
    def plain(self) -> bool:
        """Whether no result can hold binary data."""
        return is_plain(self.annotation)

    def validate(self, value: Any) -> Any:
        """Check and convert a result.

        Raises:
            ResultError: the handler returned something its annotation does not allow.
        """
        try:
            return self.check(value)
        except ValidationError as error:
            raise self._error(error) from None

    def encode(self, value: Any) -> tuple[bytes, list[Buffer]]:
        """A validated result as it travels."""
        write_json = self.write_json
        if write_json is not None:
            return write_json(value), []
        return encode_any(value)

    def decode(self, body: bytes, attachments: Sequence[Buffer]) -> Any:
        """A result as it arrived, checked and converted.

        Raises:
            ResultError: it does not fit the annotation known here.
        """
        try:
            if attachments:
                return self.check(decode_any(body, attachments))
            return self.adapter.validate_json(body or b"null")
        except ValidationError as error:
            raise self._error(error) from None

    def _error(self, error: ValidationError) -> ResultError:
        details = error.errors(include_url=False, include_context=False)
        problems = [describe_problem(detail, root="result") for detail in details]
        text = "; ".join(problems)
        return ResultError(f"{self.method}: {text}", method=self.method, problems=problems)


def describe_problem(detail: ErrorDetails, root: str = "") -> str:
    """One pydantic error as `field: what is wrong (got int 5)`."""
    place = ".".join(str(part) for part in detail["loc"]) or root
    message = f"{detail['msg']} (got {_shown(detail.get('input'))})"
    return f"{place}: {message}" if place else message


def _shown(value: Any) -> str:
    text = repr(value)
    if len(text) > _MAX_SHOWN:
        text = f"{text[:_MAX_SHOWN]}…"
    return f"{type(value).__name__} {text}" if value is not None else "None"


def _adapter(shape: Any, method: str, config: ConfigDict | None) -> TypeAdapter[Any]:
    try:
        return TypeAdapter(shape, config=config)
    except PydanticSchemaGenerationError as error:
        raise TypeError(f"{method}: pydantic cannot check an annotation: {error}") from error
    except Exception as error:
        if "type-config-not-supported" not in str(error) and config is None:
            raise
        # Models and dataclasses carry a configuration of their own and refuse a second one.
        return TypeAdapter(shape)
