from __future__ import annotations

import pytest

from tests.quantize.voice.tiny import Exports


@pytest.fixture(scope="session")
def exports(tmp_path_factory: pytest.TempPathFactory) -> Exports:
    return Exports(tmp_path_factory.mktemp("voice_exports"))
