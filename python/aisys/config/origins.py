"""Where a value comes from, and the tree that remembers it for every value."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

Scalar = str | int | float | bool | None
KeyPath = tuple[str, ...]

_KINDS = {dict: "a map", list: "a list", str: "a text", bool: "true or false", type(None): "null"}

LAYER_DEFAULT = "default"
LAYER_BASE = "base"
LAYER_FLEET = "fleet"
LAYER_ENV = "env"
LAYER_MACHINE = "machine"
LAYER_VARIABLE = "variable"
LAYER_OVERRIDE = "override"
LAYERS = (
    LAYER_DEFAULT,
    LAYER_BASE,
    LAYER_FLEET,
    LAYER_ENV,
    LAYER_MACHINE,
    LAYER_VARIABLE,
    LAYER_OVERRIDE,
)


@dataclass(frozen=True, slots=True)
class Origin:
    """The place that set a value.

    Attributes:
        layer: `default`, `base`, `fleet`, `env`, `machine`, `variable` or `override`, lowest first.
        file: the absolute path of the file, or "" when the value is from no file.
        line: 1-based line in the file, 0 without one.
        column: 1-based column in the file, 0 without one.
        name: the environment variable or the overridden path, for layers without a file.
    """

    layer: str
    file: str = ""
    line: int = 0
    column: int = 0
    name: str = ""

    @property
    def where(self) -> str:
        """The place as people read it: `config/fleet.yaml:12:7`, `$AISYS_PORT_OFFSET`, `--set`."""
        if self.file:
            return f"{short_path(self.file)}:{self.line}:{self.column}"
        if self.layer == LAYER_VARIABLE:
            return f"${self.name}"
        if self.layer == LAYER_OVERRIDE:
            return "--set"
        return "built-in default"

    def __str__(self) -> str:
        return self.where


DEFAULT_ORIGIN = Origin(LAYER_DEFAULT)


class Node:
    """A value with its place. Never changed once a tree is built.

    Attributes:
        value: a scalar, a dict of nodes by key, or a list of nodes.
        origin: where the value starts.
        key: where the key that holds the value starts; the same as `origin` for list items.
    """

    __slots__ = ("key", "origin", "value")

    def __init__(
        self,
        value: Scalar | dict[str, Node] | list[Node],
        origin: Origin,
        key: Origin | None = None,
    ) -> None:
        self.value = value
        self.origin = origin
        self.key = key or origin

    def children(self) -> dict[str, Node]:
        """The entries of a map, the items of a list by index, nothing for a scalar."""
        if isinstance(self.value, dict):
            return self.value
        if isinstance(self.value, list):
            return {str(index): item for index, item in enumerate(self.value)}
        return {}

    def find(self, path: Sequence[str | int]) -> Node | None:
        """The node at a path, or None."""
        node: Node | None = self
        for part in path:
            if node is None:
                return None
            node = node.children().get(str(part))
        return node

    def lookup(self, path: str) -> Node | None:
        """The node at a dotted path; a key that holds dots itself is found too."""
        children = self.children()
        if path in children:
            return children[path]
        dot = path.find(".")
        while dot >= 0:
            child = children.get(path[:dot])
            found = child.lookup(path[dot + 1 :]) if child is not None else None
            if found is not None:
                return found
            dot = path.find(".", dot + 1)
        return None

    def nearest(self, path: Sequence[str | int]) -> Node:
        """The node at a path, or the deepest one that exists on the way to it."""
        node = self
        for part in path:
            child = node.children().get(str(part))
            if child is None:
                break
            node = child
        return node

    def plain(self) -> object:
        """The value without places: dicts, lists and scalars."""
        if isinstance(self.value, dict):
            return {key: child.plain() for key, child in self.value.items()}
        if isinstance(self.value, list):
            return [child.plain() for child in self.value]
        return self.value

    def leaves(self, prefix: KeyPath = ()) -> Iterator[tuple[KeyPath, Node]]:
        """Every scalar, list and empty map below, with its path."""
        if isinstance(self.value, dict) and self.value:
            for key, child in self.value.items():
                yield from child.leaves((*prefix, key))
        else:
            yield prefix, self


def node_of(value: object, origin: Origin) -> Node:
    """Build a tree from a plain value; every node gets the same origin.

    Raises:
        TypeError: the value holds something that configuration cannot.
    """
    if isinstance(value, Mapping):
        return Node({str(key): node_of(child, origin) for key, child in value.items()}, origin)
    if isinstance(value, (list, tuple)):
        return Node([node_of(child, origin) for child in value], origin)
    if value is None or isinstance(value, (str, int, float, bool)):
        return Node(value, origin)
    raise TypeError(f"a {type(value).__name__} cannot be a setting")


def split_path(path: str | Sequence[str]) -> KeyPath:
    """A path as a tuple, from `a.b.c` or from a sequence (for keys that hold a dot)."""
    if isinstance(path, str):
        return tuple(path.split(".")) if path else ()
    return tuple(path)


def dotted(path: Sequence[str | int]) -> str:
    """A path as people read it; keys that do not print are quoted."""
    parts = (str(part) for part in path)
    return ".".join(part if part.isprintable() else repr(part) for part in parts)


def short_path(file: str | Path) -> str:
    """A path relative to the working directory when it lies below it, else as it is."""
    text = os.fspath(file)
    try:
        base = str(Path.cwd())
    except OSError:  # the working directory was removed
        return text
    return text[len(base) + 1 :] if text.startswith(base.rstrip("/") + "/") else text


def kind_of(value: object) -> str:
    """What a value is, for messages: `a map`, `a text`, `a number`."""
    return _KINDS.get(type(value), "a number")
