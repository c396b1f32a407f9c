"""The models that a fleet can use: those built in, which have no weights, and those of an endpoint."""

from __future__ import annotations

from dataclasses import dataclass

from typing_extensions import TypedDict

__all__ = ["NEEDS_MODEL", "TASKS", "CatalogueEntry", "ModelInfo", "built_in"]

NEEDS_MODEL = "needs_model"
"""The status of a reply to what only a model could do."""

TASKS = ("generate", "embed", "transcribe", "speak", "translate", "describe_image")
"""What may be asked of a model."""


class ModelInfo(TypedDict):
    """A model as the catalogue shows it. `quality` tells rules from a language model."""

    model_id: str
    backend: str
    tasks: list[str]
    size_mb: int
    context_tokens: int
    loaded: bool
    idle_s: float | None
    quality: str
    uses: int
    failures: int


@dataclass(slots=True)
class CatalogueEntry:
    """One model of the catalogue."""

    model_id: str
    backend: str
    tasks: tuple[str, ...]
    quality: str
    context_tokens: int = 0
    size_mb: int = 0
    loaded: bool = True
    last_used: float | None = None
    uses: int = 0
    failures: int = 0

    def info(self, now: float) -> ModelInfo:
        """The entry for people, at a moment of the monotonic clock."""
        return ModelInfo(
            model_id=self.model_id,
            backend=self.backend,
            tasks=list(self.tasks),
            size_mb=self.size_mb,
            context_tokens=self.context_tokens,
            loaded=self.loaded,
            idle_s=None if self.last_used is None else round(now - self.last_used, 1),
            quality=self.quality,
            uses=self.uses,
            failures=self.failures,
        )


def built_in() -> list[CatalogueEntry]:
    """Fresh entries of what needs no weights."""
    return [CatalogueEntry("hashed-ngrams", "builtin", ("embed",), "rules")]
