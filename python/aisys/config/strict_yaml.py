"""A strict YAML 1.2 reader: every value with its line and column, all problems at once.

PyYAML's C parser supplies events; this module builds the tree from them without recursion, because
PyYAML's own composer follows nesting on the C stack, lets the last of two equal keys win, and reads
YAML 1.1 (`no` as false, `12:30:45` and `012` as integers).
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from aisys.config.origins import Node, Origin, Scalar, dotted, short_path
from aisys.errors import Problem

if TYPE_CHECKING:
    import yaml

MAX_BYTES = 1024 * 1024
MAX_DEPTH = 32
MAX_NODES = 100_000
MAX_PROBLEMS = 100
_MAX_DIGITS = 20
_QUOTE = "Quote it if it is a text"

_NULL = frozenset(("", "~", "null", "Null", "NULL"))
_TRUE = frozenset(("true", "True", "TRUE"))
_FALSE = frozenset(("false", "False", "FALSE"))
_INT = re.compile(r"[-+]?[0-9]+\Z")
_LEADING_ZERO = re.compile(r"[-+]?0[0-9]+\Z")
_OCT_HEX = re.compile(r"0(?:o[0-7]+|x[0-9a-fA-F]+)\Z")
_FLOAT = re.compile(r"[-+]?(?:\.[0-9]+|[0-9]+(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?\Z")
_NOT_FINITE = re.compile(r"(?:[-+]?\.(?:inf|Inf|INF)|\.(?:nan|NaN|NAN))\Z")
_ESCAPES = str.maketrans(dict.fromkeys((*range(32), 127), "?"))


class ScalarError(ValueError):
    """A plain scalar that is refused.

    Attributes:
        what: what is wrong.
        remedy: what to write instead.
        likely: the value that was probably meant, so that reading can go on.
    """

    def __init__(self, what: str, remedy: str, likely: Scalar) -> None:
        super().__init__(f"{what}. {remedy}")
        self.what = what
        self.remedy = remedy
        self.likely = likely


@dataclass(slots=True)
class Parsed:
    """What a file gave.

    Attributes:
        root: the tree, None if the text could not be read to its end.
        problems: everything found.
    """

    root: Node | None
    problems: list[Problem] = field(default_factory=list)


def read_file(path: Path, layer: str) -> Parsed:
    """Read a file as one map. Problems are returned, nothing is raised."""
    shown = short_path(path)
    if path.exists() and not path.is_file():  # opening a pipe would wait for a writer
        return Parsed(None, [Problem(shown, "", "is not a file", "Put a file there")])
    try:
        with path.open("rb") as stream:
            data = stream.read(MAX_BYTES + 1)
    except OSError as error:
        what = f"cannot be read: {error.strerror or error}"
        return Parsed(None, [Problem(shown, "", what, "Check the path and its permissions")])
    if len(data) > MAX_BYTES:
        what = f"is larger than {MAX_BYTES} bytes"
        return Parsed(None, [Problem(shown, "", what, "Split it: settings can stay in overlays")])
    return parse_bytes(data, str(path), layer)


def parse_bytes(data: bytes, file: str, layer: str) -> Parsed:
    """Read one YAML document from bytes, which must be UTF-8 and hold one map (or nothing)."""
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        column = error.start - data.rfind(b"\n", 0, error.start)
        where = f"{short_path(file)}:{line}:{column}"
        return Parsed(None, [Problem(where, "", "is not UTF-8", "Save the file as UTF-8")])
    return parse_text(text, file, layer)


def parse_text(text: str, file: str, layer: str) -> Parsed:
    """Read one YAML document from a text. Problems are returned, nothing is raised."""
    import yaml

    builder = _Builder(file, layer)
    try:
        for event in yaml.parse(text, Loader=yaml.CSafeLoader):
            builder.take(event)
    except _TooMuchError:
        return Parsed(None, builder.problems)
    except yaml.MarkedYAMLError as error:
        builder.problems.append(_syntax_problem(error, file))
        return Parsed(None, builder.problems)
    except (yaml.YAMLError, UnicodeError) as error:
        builder.problems.append(_reader_problem(error, text, file))
        return Parsed(None, builder.problems)
    root = builder.root
    if root is None or root.value is None:
        root = Node({}, Origin(layer, file, 1, 1))
    if not isinstance(root.value, dict):
        what = "the file must hold a map of settings"
        problem = Problem(root.origin.where, "", what, "Start with `name: value` lines")
        builder.problems.append(problem)
        return Parsed(None, builder.problems)
    return Parsed(root, builder.problems)


def parse_scalar(text: str) -> Scalar:
    """The YAML 1.2 core value of a plain scalar, as environment variables and `--set a=b` give it.

    Raises:
        ScalarError: it is a number that people read in two ways, or one out of range.
    """
    if text in _NULL:
        return None
    if text in _TRUE:
        return True
    if text in _FALSE:
        return False
    if _LEADING_ZERO.match(text):
        number = int(_bounded(text))
        what = f"{_clip(text)!r} may be read as {number} or as octal"
        raise ScalarError(
            what, f"Write {number}, 0o{text.lstrip('+-0') or '0'}, or quote it", number
        )
    if _INT.match(text):
        return int(_bounded(text))
    if _OCT_HEX.match(text):
        return int(_bounded(text), 0)
    if _FLOAT.match(text):
        real = float(text)
        if math.isinf(real):
            raise ScalarError(f"{_clip(text)!r} is out of range", _QUOTE, text)
        return real
    if _NOT_FINITE.match(text):
        raise ScalarError(f"{text!r} is not a finite number", _QUOTE, text)
    return text


def _bounded(text: str) -> str:
    if len(text) > _MAX_DIGITS:
        raise ScalarError(f"{_clip(text)!r} has too many digits", _QUOTE, text)
    return text


def _clip(text: str) -> str:
    return text if len(text) <= 40 else text[:37] + "..."


class _TooMuchError(Exception):
    """Reading stops: the document is a bomb or has more problems than anybody reads."""


class _Open:
    """A collection that is being read."""

    __slots__ = ("anchor", "key", "key_origin", "node", "skip")

    def __init__(self, node: Node, anchor: str | None) -> None:
        self.node = node
        self.anchor = anchor
        self.key: str | None = None
        self.key_origin: Origin | None = None
        self.skip = False


class _Builder:
    """Builds the tree from parser events, on a stack of its own."""

    def __init__(self, file: str, layer: str) -> None:
        self._file = file
        self._layer = layer
        self.problems: list[Problem] = []
        self.root: Node | None = None
        self._stack: list[_Open] = []
        self._anchors: dict[str, tuple[Node, int]] = {}
        self._nodes = 0
        self._documents = 0

    def take(self, event: yaml.Event) -> None:
        import yaml

        if isinstance(event, yaml.ScalarEvent):
            self._scalar(event)
        elif isinstance(event, (yaml.MappingStartEvent, yaml.SequenceStartEvent)):
            self._start(event, {} if isinstance(event, yaml.MappingStartEvent) else [])
        elif isinstance(event, (yaml.MappingEndEvent, yaml.SequenceEndEvent)):
            self._end()
        elif isinstance(event, yaml.AliasEvent):
            self._alias(event)
        elif isinstance(event, yaml.DocumentStartEvent):
            self._documents += 1
            if self._documents > 1:
                self._problem(self._origin(event), "a second document", "Keep one document a file")
                raise _TooMuchError

    def _origin(self, event: yaml.Event) -> Origin:
        mark = event.start_mark
        if mark is None:  # the C parser always gives one
            return Origin(self._layer, self._file, 1, 1)
        return Origin(self._layer, self._file, mark.line + 1, mark.column + 1)

    def _path(self) -> list[str]:
        path = []
        for frame in self._stack:
            if isinstance(frame.node.value, list):
                path.append(str(len(frame.node.value)))
            elif frame.key is not None:
                path.append(frame.key)
        return path

    def _problem(self, origin: Origin, what: str, remedy: str) -> None:
        self.problems.append(Problem(origin.where, dotted(self._path()), what, remedy))
        if len(self.problems) >= MAX_PROBLEMS:
            raise _TooMuchError

    def _count(self, origin: Origin, nodes: int = 1) -> None:
        self._nodes += nodes
        if self._nodes > MAX_NODES:
            self._problem(origin, f"more than {MAX_NODES} values", "Split the file, avoid aliases")
            raise _TooMuchError

    def _refuse_tag(self, event: yaml.ScalarEvent | yaml.CollectionStartEvent) -> None:
        if event.tag is not None and event.tag != "!":
            tag = event.tag.replace("tag:yaml.org,2002:", "!!").translate(_ESCAPES)
            self._problem(self._origin(event), f"the tag {_clip(tag)} is refused", "Remove the tag")

    def _scalar(self, event: yaml.ScalarEvent) -> None:
        origin = self._origin(event)
        self._count(origin)
        self._refuse_tag(event)
        frame = self._stack[-1] if self._stack else None
        if frame is not None and isinstance(frame.node.value, dict) and frame.key is None:
            self._key(frame, event.value, origin)
            return
        value: Scalar = event.value
        if event.style in (None, "") and event.tag is None:
            try:
                value = parse_scalar(event.value)
            except ScalarError as error:
                self._problem(origin, error.what, error.remedy)
                value = error.likely
        self._place(Node(value, origin), event.anchor, 1)

    def _key(self, frame: _Open, key: str, origin: Origin) -> None:
        entries = frame.node.value
        frame.skip = False
        if isinstance(entries, dict) and key in entries:
            first = entries[key].key.line
            self._problem(
                origin,
                f"the key {_clip(key)!r} was set already on line {first}",
                "Keep one of the two",
            )
            frame.skip = True
        elif key in ("", "<<"):
            what = "an empty key" if not key else "the merge key << is not YAML 1.2"
            self._problem(origin, what, "Name the setting" if not key else "Repeat the entries")
            frame.skip = True
        frame.key = key
        frame.key_origin = origin

    def _start(self, event: yaml.CollectionStartEvent, value: dict[str, Node] | list[Node]) -> None:
        origin = self._origin(event)
        self._count(origin)
        self._refuse_tag(event)
        if len(self._stack) >= MAX_DEPTH:
            self._problem(origin, f"nested deeper than {MAX_DEPTH} levels", "Flatten the file")
            raise _TooMuchError
        frame = self._stack[-1] if self._stack else None
        if frame is not None and isinstance(frame.node.value, dict) and frame.key is None:
            self._problem(origin, "a collection cannot be a key", "Use a text as the key")
            raise _TooMuchError
        self._stack.append(_Open(Node(value, origin), event.anchor))

    def _end(self) -> None:
        frame = self._stack.pop()
        self._place(frame.node, frame.anchor, None)

    def _alias(self, event: yaml.AliasEvent) -> None:
        origin = self._origin(event)
        frame = self._stack[-1] if self._stack else None
        known = self._anchors.get(event.anchor or "")
        if known is None or (
            frame is not None and isinstance(frame.node.value, dict) and frame.key is None
        ):
            what = f"the alias *{_clip(event.anchor or '')} cannot be used here"
            self._problem(origin, what, "Write the value out")
            raise _TooMuchError
        node, height = known
        if len(self._stack) + height > MAX_DEPTH:
            self._problem(origin, f"nested deeper than {MAX_DEPTH} levels", "Avoid aliases")
            raise _TooMuchError
        self._place(self._copy(node, origin), None, None)

    def _copy(self, node: Node, origin: Origin) -> Node:
        """A copy, because an alias counts as often as it is used: that is what stops a bomb."""
        self._count(origin)
        if isinstance(node.value, dict):
            entries = {key: self._copy(child, origin) for key, child in node.value.items()}
            for key, child in entries.items():
                child.key = node.value[key].key
            return Node(entries, node.origin)
        if isinstance(node.value, list):
            return Node([self._copy(child, origin) for child in node.value], node.origin)
        return Node(node.value, node.origin)

    def _place(self, node: Node, anchor: str | None, height: int | None) -> None:
        if anchor is not None:
            self._anchors[anchor] = (node, height or _height(node))
        if not self._stack:
            self.root = node
            return
        frame = self._stack[-1]
        if isinstance(frame.node.value, list):
            frame.node.value.append(node)
        elif isinstance(frame.node.value, dict) and frame.key is not None:
            if not frame.skip:
                node.key = frame.key_origin or node.origin
                frame.node.value[frame.key] = node
            frame.key = None


def _height(node: Node) -> int:
    return 1 + max((_height(child) for child in node.children().values()), default=0)


def _syntax_problem(error: yaml.MarkedYAMLError, file: str) -> Problem:
    mark = error.problem_mark or error.context_mark
    place = f":{mark.line + 1}:{mark.column + 1}" if mark else ""
    what = str(error.problem or error.context or "is not YAML").translate(_ESCAPES)
    remedy = "Check the indentation, quotes and brackets here and on the line above"
    if "cannot start any token" in what:
        remedy = "Indent with spaces, not tabs, and quote texts that start with a special character"
    return Problem(short_path(file) + place, "", what, remedy)


def _reader_problem(error: Exception, text: str, file: str) -> Problem:
    position = getattr(error, "position", None)
    place = ""
    if isinstance(position, int):
        head = text.encode("utf-8", "surrogatepass")[:position].decode("utf-8", "replace")
        place = f":{head.count(chr(10)) + 1}:{len(head) - (head.rfind(chr(10)) + 1) + 1}"
    what = "a character that YAML does not allow"
    return Problem(short_path(file) + place, "", what, "Remove control characters")
