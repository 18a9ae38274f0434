"""`dyncast schema`: every key of the files that one writes, every column of the tables that one gets."""

from __future__ import annotations

import json
from typing import Annotated

import typer

from testbed.terminal import console as terminal


def schema(
    of_study: Annotated[bool, typer.Option("--study", help="That of study files.")] = False,
    of_tables: Annotated[bool, typer.Option("--tables", help="The tables of a run, as Markdown.")] = False,
) -> None:
    """Print the JSON Schema of scenario files, or of study files, with every key described; or what tables hold.

    \b
    Examples:
      dyncast schema > scenario.schema.json
      dyncast schema --study
      dyncast schema --tables
    """
    if of_tables:
        from testbed.records import documentation

        terminal.document(documentation.as_markdown())
        return
    from testbed.experiment.scenario import composition
    from testbed.experiment.study.study_keys import StudyKeys

    keys = StudyKeys if of_study else composition.schema()
    terminal.document(json.dumps(keys.model_json_schema(), indent=2) + "\n")
