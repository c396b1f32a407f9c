"""Graphs of names: cycles, and waves in which things can start."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping


def components(graph: Mapping[str, Collection[str]]) -> list[list[str]]:
    """Strongly connected components, each after those it points to (Tarjan, without recursion).

    Edges to names that are no key of the graph are ignored.
    """
    index: dict[str, int] = {}
    low: dict[str, int] = {}
    waiting: list[str] = []
    on_stack: set[str] = set()
    found: list[list[str]] = []
    for start in graph:
        if start in index:
            continue
        work: list[tuple[str, Iterator[str]]] = []
        _enter(start, graph, index, low, waiting, on_stack, work)
        while work:
            node, edges = work[-1]
            for target in edges:
                if target not in graph:
                    continue
                if target not in index:
                    _enter(target, graph, index, low, waiting, on_stack, work)
                    break
                if target in on_stack:
                    low[node] = min(low[node], index[target])
            else:
                work.pop()
                if work:
                    parent = work[-1][0]
                    low[parent] = min(low[parent], low[node])
                if low[node] == index[node]:
                    found.append(_leave(node, waiting, on_stack))
    return found


def _enter(
    node: str,
    graph: Mapping[str, Collection[str]],
    index: dict[str, int],
    low: dict[str, int],
    waiting: list[str],
    on_stack: set[str],
    work: list[tuple[str, Iterator[str]]],
) -> None:
    index[node] = low[node] = len(index)
    waiting.append(node)
    on_stack.add(node)
    work.append((node, iter(graph[node])))


def _leave(node: str, waiting: list[str], on_stack: set[str]) -> list[str]:
    component: list[str] = []
    while True:
        member = waiting.pop()
        on_stack.discard(member)
        component.append(member)
        if member == node:
            return component[::-1]


def cycles(graph: Mapping[str, Collection[str]]) -> list[list[str]]:
    """One cycle of each knot, as the names along it; the last points to the first."""
    found = []
    for component in components(graph):
        first = component[0]
        if len(component) > 1 or first in graph[first]:
            found.append(_walk(first, graph, frozenset(component)))
    return found


def _walk(start: str, graph: Mapping[str, Collection[str]], inside: frozenset[str]) -> list[str]:
    """The shortest way from a name back to itself within its component."""
    came_from: dict[str, str] = {}
    queue = [start]
    for node in queue:
        for target in graph[node]:
            if target == start:
                path = [node]
                while path[-1] != start:
                    path.append(came_from[path[-1]])
                return path[::-1]
            if target in inside and target not in came_from:
                came_from[target] = node
                queue.append(target)
    return [start]


def waves(graph: Mapping[str, Collection[str]]) -> list[list[str]]:
    """Names in waves: each after all it points to; names of one knot share a wave."""
    level: dict[str, int] = {}
    result: list[list[str]] = []
    for component in components(graph):
        members = frozenset(component)
        below = [
            level[target]
            for node in component
            for target in graph[node]
            if target in level and target not in members
        ]
        number = 1 + max(below, default=-1)
        for node in component:
            level[node] = number
        while len(result) <= number:
            result.append([])
        result[number].extend(component)
    return result
