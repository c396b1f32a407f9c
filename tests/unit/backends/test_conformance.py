"""Memory and file keep the contract of a backend."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from aisys.backends import Backend, FileBackend, MemoryBackend
from support.backend_conformance import BackendConformance


class TestMemory(BackendConformance):
    @pytest.fixture
    def backend(self) -> Backend:
        return MemoryBackend()


class TestFile(BackendConformance):
    @pytest.fixture
    async def backend(self, tmp_path: Path) -> AsyncIterator[Backend]:
        backend = FileBackend(tmp_path / "state", durability="process")
        await backend.open()
        yield backend
        await backend.close()
