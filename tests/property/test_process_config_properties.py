"""Configurations of processes: what one side writes, the other reads, whatever it says."""

from __future__ import annotations

import json

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from testbed.runtime.config import ConfigError
from testbed.runtime.document import ProcessConfig
from tests.process_configs import PROCESSES, said_by

_EACH = pytest.mark.parametrize("kind", PROCESSES.values(), ids=lambda kind: kind.__name__)
_CHECKS = (HealthCheck.filter_too_much, HealthCheck.too_slow)  # good one by one is often not good together


@_EACH
@settings(max_examples=30, suppress_health_check=_CHECKS, deadline=None)
@given(data=st.data())
def test_what_is_written_is_read_back(kind: type[ProcessConfig], data: st.DataObject) -> None:
    config = data.draw(said_by(kind))
    document = json.loads(json.dumps(config.to_document()))
    assert kind.from_document(document) == config


@_EACH
@settings(max_examples=3, suppress_health_check=_CHECKS, deadline=None)
@given(data=st.data())
def test_a_key_that_nobody_knows_and_one_that_is_missing_are_named(
    kind: type[ProcessConfig], data: st.DataObject
) -> None:
    document = data.draw(said_by(kind)).to_document()
    with pytest.raises(ConfigError, match=r"^colour is not a known key"):
        kind.from_document({**document, "colour": "red"})
    del document["out_dir"]
    with pytest.raises(ConfigError, match=r"^out_dir is missing"):
        kind.from_document(document)
