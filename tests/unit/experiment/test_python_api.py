"""Scenarios from Python are those of files: the same keys, defaults, checks and one-line errors."""

from __future__ import annotations

import pytest

from testbed import experiment
from testbed.experiment.scenario import file as scenario_file
from testbed.experiment.scenario.file import ScenarioError
from tests.scenarios import EXAMPLES, small_document


def test_what_is_built_is_what_a_file_says() -> None:
    path = EXAMPLES / "first.yaml"
    assert experiment.build(**scenario_file.read(path)) == experiment.load(path) == scenario_file.load(path)
    assert experiment.load(str(path), seed=7).seed == 7


def test_what_is_changed_is_what_set_would_have_made_of_it() -> None:
    path, settings = EXAMPLES / "first.yaml", {"duration_s": 7, "instances.0.workers": 5}
    before = experiment.load(path)
    assert experiment.changed(before, settings) == scenario_file.load(path, settings)
    assert before == experiment.load(path)


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"polcy": "closest"}, "did you mean 'policy'"),
        ({"instances.99.workers": 1}, "no element '99'"),
        ({"duration_s": -1}, "duration_s"),
    ],
)
def test_errors_are_those_of_files(settings: dict[str, object], words: str) -> None:
    with pytest.raises(ScenarioError, match=words) as caught:
        experiment.changed(experiment.build(**small_document()), settings)
    assert "\n" not in str(caught.value)


def test_a_key_that_does_not_exist_is_no_attribute_either() -> None:
    with pytest.raises(ScenarioError, match="did you mean 'policy'"):
        experiment.build(**small_document(), polcy="closest")
    with pytest.raises(AttributeError, match="no attribute 'built'"):
        _ = experiment.built
