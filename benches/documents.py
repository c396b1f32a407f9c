"""The documents and messages that the benchmarks encode and decode: several shapes of each size.

Everything is made from a seed, so that two runs measure the same bytes.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from functools import partial
from typing import Any

import orjson

Document = dict[str, Any]
Make = Callable[[int], Any]

VARIANTS = 4

_WORDS = (  # noqa: SIM905 - a list of words is easier to read as a sentence
    "remember dentist appointment tomorrow morning kilometres weather garden music reminder station "
    "coffee library schedule project meeting answer question machine memory language between percent"
).split()
_QUOTED = ("“yes”", "it’s", "café", "—", "naïve", "…", "résumé", "Ñandú", "8 °C", "‘maybe’")
_CJK = "記憶整理今日天気予定会議質問回答機械学習音楽図書館珈琲庭園明日午前歯科医院電話番号距離計算百分率言語"
_AGENTS = ("NLUAgent", "KnowledgeBase", "Responder", "MemoryOrchestratorService")


def small(seed: int) -> Document:
    """About 95 bytes: a status, a counter, an acknowledgement."""
    pick = random.Random(seed)
    shapes: list[Document] = [
        {
            "ok": True,
            "agent": pick.choice(_AGENTS)[:9],
            "seq": pick.randrange(10**6),
            "load": round(pick.random(), 4),
            "note": "ready",
            "peers": [1, 2, 3],
            "up": None,
        },
        {
            "id": f"task-{pick.randrange(10**8):08d}",
            "state": "running",
            "tries": 2,
            "due": 1763817000.25,
            "tags": ["a", "b"],
        },
        {
            "topic": "speech.final",
            "text": "what is 15 percent of 2,340?",
            "confidence": 0.93,
            "final": True,
            "n": seed,
        },
        {
            "name": "counter",
            "labels": {"agent": "Responder", "method": "say"},
            "value": pick.randrange(10**9),
            "at": 1.5,
        },
    ]
    return shapes[seed % len(shapes)]


def envelope(seed: int) -> Document:
    """About 590 bytes: a call with its addresses, its trace and a few arguments."""
    pick = random.Random(seed)
    agent = _AGENTS[seed % len(_AGENTS)]
    document: Document = {
        "id": f"{pick.getrandbits(64):016x}",
        "kind": "request",
        "source": {"machine": "mainpc", "host": "mainpc/language", "agent": "RequestCoordinator"},
        "target": {"machine": "pc2", "host": "pc2/memory", "agent": agent, "method": "search"},
        "trace": {"id": f"{pick.getrandbits(128):032x}", "span": f"{pick.getrandbits(64):016x}"},
        "deadline_ms": pick.randrange(100, 30_000),
        "priority": pick.randrange(256),
        "retries": [0, 1, 2],
        "args": {
            "query": " ".join(pick.choices(_WORDS, k=10)),
            "limit": 10,
            "threshold": round(pick.random(), 3),
            "exact": False,
            "session": None,
            "weights": [round(pick.random(), 4) for _ in range(4)],
        },
    }
    missing = 590 - len(orjson.dumps(document))
    document["args"]["query"] += " " + "x" * max(0, missing - 1)
    return document


def chat(seed: int, phrase: Callable[[random.Random], str], size_bytes: int = 20_000) -> Document:
    """A conversation of about `size_bytes`, its messages made by `phrase`."""
    pick = random.Random(seed)
    messages: list[Document] = []
    document: Document = {"model": "local-7b", "stream": False, "messages": messages}
    while len(orjson.dumps(document)) < size_bytes:
        messages.append(
            {
                "role": "assistant" if len(messages) % 2 else "user",
                "at": round(1763817000 + pick.random() * 1000, 3),
                "content": phrase(pick),
            }
        )
    document["last"] = {"agent": "Responder", "tokens": pick.randrange(4000)}
    return document


def chats() -> dict[str, Make]:
    """Conversations of 20 kB by what they are written in."""
    return {
        name: partial(chat, phrase=phrase)
        for name, phrase in (("ASCII", ascii_phrase), ("mixed", mixed_phrase), ("CJK", cjk_phrase))
    }


def variants(make: Make) -> list[Any]:
    """A few documents of one kind."""
    return [make(seed) for seed in range(VARIANTS)]


def ascii_phrase(pick: random.Random) -> str:
    """English with line breaks and quotation marks to escape."""
    lines = [" ".join(pick.choices(_WORDS, k=12)) for _ in range(pick.randrange(2, 9))]
    return "\n".join(lines) + ' "said" so.'


def mixed_phrase(pick: random.Random) -> str:
    """English with typographic quotation marks, accents and dashes."""
    words = [
        pick.choice(_QUOTED) if pick.random() < 0.15 else pick.choice(_WORDS)
        for _ in range(pick.randrange(20, 90))
    ]
    return " ".join(words)


def cjk_phrase(pick: random.Random) -> str:
    """Japanese, with a little punctuation."""
    return "".join(pick.choices(_CJK, k=pick.randrange(40, 160))) + "。"


def plain_phrase(pick: random.Random) -> str:
    """English on one line, with nothing to escape."""
    return " ".join(pick.choices(_WORDS, k=pick.randrange(20, 90)))


def accented_phrase(pick: random.Random) -> str:
    """Latin letters with accents, none of which needs more than a byte in memory."""
    words = (*_WORDS, "été", "Übung", "niño", "garçon", "größer", "naïf")
    return " ".join(pick.choices(words, k=pick.randrange(20, 90)))


def emoji_phrase(pick: random.Random) -> str:
    """English with emoji, whose characters need four bytes."""
    return " ".join(pick.choices((*_WORDS, "😀", "👍🏽", "—"), k=pick.randrange(20, 90)))


def cjk_latin_phrase(pick: random.Random) -> str:
    """Japanese with English words and numbers in it, and line breaks."""
    parts = (_CJK[place : place + 9] for place in range(0, 45, 5))
    return "".join(pick.choices((*parts, "GPU", " 15 %", "\n"), k=pick.randrange(8, 24)))


def readings() -> dict[str, list[Document]]:
    """Conversations of 20 kB as they are read: several kinds of text under each name."""
    kinds = {
        "ASCII": (ascii_phrase, plain_phrase),
        "mixed": (mixed_phrase, accented_phrase, emoji_phrase),
        "CJK": (cjk_phrase, cjk_latin_phrase),
    }
    return {
        name: [chat(seed, phrase) for seed, phrase in enumerate(phrases * 2)]
        for name, phrases in kinds.items()
    }


def float_texts(seed: int) -> bytes:
    """3072 floats as text: in full, short, with the digits of a float32, or with exponents."""
    values = floats(seed)
    shapes: tuple[Callable[[float], str], ...] = (
        repr,
        lambda value: repr(round(value, 4)),
        lambda value: f"{value:.9g}" if abs(value) >= 1e-4 else f"{value:.9f}",
        lambda value: f"{value:.12e}",
    )
    return f"[{','.join(map(shapes[seed % len(shapes)], values))}]".encode()


def strange(seed: int) -> bytes:
    """About 590 bytes whose 24 keys are like no other document's."""
    pick = random.Random(seed)
    return orjson.dumps({f"{pick.getrandbits(40):x}": pick.randrange(10**6) for _ in range(24)})


def before_fields(size_bytes: int) -> list[bytes]:
    """Documents of different kinds with two fields, `agent` and `tokens` of `last`, behind all else."""
    last = {"agent": "Responder", "tokens": 1234}
    texts = [
        orjson.dumps(chat(seed, phrase, size_bytes))
        for seed, phrase in enumerate((ascii_phrase, mixed_phrase, cjk_phrase))
    ]
    nested = [{"trace": envelope(seed), "path": [[[]], {}, [1, 2, [3]]]} for seed in range(400)]
    texts.append(orjson.dumps({"calls": nested[: size_bytes // 640], "last": last}))
    numbers = [floats(seed, 128) for seed in range(100)]
    texts.append(orjson.dumps({"embeddings": numbers[: size_bytes // 2500], "last": last}))
    inner = [orjson.dumps(small(seed)).decode() for seed in range(4000)]
    texts.append(orjson.dumps({"arguments": inner[: size_bytes // 110], "last": last}))
    return texts


def floats(seed: int, count: int = 3072) -> list[float]:
    """An embedding: doubles at full precision, of both signs."""
    pick = random.Random(seed)
    return [pick.gauss(0.0, 0.5) for _ in range(count)]


def message(seed: int, size_bytes: int = 256) -> Document:
    """A dict whose JSON text has exactly `size_bytes` bytes: what the messaging rows send."""
    pick = random.Random(seed)
    document: Document = {
        "question": " ".join(pick.choices(_WORDS, k=8)),
        "session": f"{pick.getrandbits(64):016x}",
        "turn": pick.randrange(10, 100),
        "confidence": 0.87,
        "tags": ["speech", "final"],
        "filler": "",
    }
    document["filler"] = "x" * (size_bytes - len(orjson.dumps(document)))
    return document


def private_keys(value: Any) -> Any:
    """The same document with keys that no other document shares and that are not interned."""
    if isinstance(value, dict):
        return {"".join([key[:1], key[1:]]): private_keys(item) for key, item in value.items()}
    if isinstance(value, list):
        return [private_keys(item) for item in value]
    return value
