"""The network that tests of the ingress share: built once for a module, for building it takes seconds."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.integration.ingress_network import IngressNetwork, built


@pytest.fixture(scope="module")
def ingress(tmp_path_factory: pytest.TempPathFactory) -> Iterator[IngressNetwork]:
    with built(tmp_path_factory.mktemp("ingress")) as ingress:
        yield ingress
