"""What pages of the documentation refer to is there, and their indexes are complete."""

from __future__ import annotations

import json
import re
from functools import cache
from pathlib import Path

import jsonschema
import pytest
import yaml
from pydantic import BaseModel

from testbed.dyncast.policies import POLICIES
from testbed.experiment.scenario import composition
from testbed.experiment.study.study_keys import StudyKeys
from testbed.faas.placement.policies import POLICIES as PLACEMENT_POLICIES
from tests import floor_plan

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted(DOCS.glob("**/*.md"))]
DECISIONS = sorted(DOCS.glob("decisions/[0-9]*.md"))
EXAMPLES = sorted(DOCS.glob("examples/**/*.yaml"))
PROGRAMS = [*DOCS.glob("examples/*.ipynb"), *DOCS.glob("examples/python/*.py")]
LINK = re.compile(r"\]\(([^)#\s]+)")
FILE = re.compile(r"`((?:testbed|ryu_apps|traffic|topologies|tests|docs)/[\w/.-]+)(?:::\w+)?`")
PLACES = (
    "testbed/dyncast/policies/most_free.py",
    "testbed/emulation/links/tbf_link.py",
)  # that templates are copied to
ROW = re.compile(r"\| \[[^]]+\]\((?P<link>[^)]+)\) \| (?P<words>.+?) \|(?P<rest>.*)")
DECIDED = re.compile(r" \d{4}-\d\d-\d\d \| (in force|(amended|replaced) by \d{4}) \|")


def rows(index: Path) -> dict[str, re.Match[str]]:
    """Return the rows of an index by the file that they link to."""
    found = map(ROW.fullmatch, index.read_text(encoding="utf-8").splitlines())
    return {row["link"]: row for row in found if row}


@cache
def editor(schema: str) -> jsonschema.Draft202012Validator:
    """Return what checks documents as an editor does that reads a schema."""
    document = json.loads((DOCS / schema).read_text(encoding="utf-8"))
    jsonschema.Draft202012Validator.check_schema(document)
    return jsonschema.Draft202012Validator(document)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_links_lead_somewhere(page: Path) -> None:
    links = [link for link in LINK.findall(page.read_text(encoding="utf-8")) if "://" not in link]
    assert [link for link in links if not (page.parent / link).exists()] == []


def test_every_page_is_found_from_the_index_of_its_folder() -> None:
    folders = {page.parent for page in PAGES if page.parent.is_relative_to(DOCS)}
    for folder in folders:
        index = folder / "README.md"
        linked = {(folder / link).resolve() for link in LINK.findall(index.read_text(encoding="utf-8"))}
        inner = {below / "README.md" for below in folders if below.parent == folder}
        assert {page for page in folder.glob("*.md") if page != index} | inner <= linked, index


def test_every_decision_is_listed_with_its_title_date_and_status() -> None:
    listed = rows(DOCS / "decisions/README.md")
    assert list(listed) == [decision.name for decision in DECISIONS]
    assert [int(decision.name[:4]) for decision in DECISIONS] == [*range(1, len(DECISIONS) + 1)]
    for decision in DECISIONS:
        heading = decision.read_text(encoding="utf-8").splitlines()[0]
        row = listed[decision.name]
        assert re.fullmatch(rf"# 0*{int(decision.name[:4])}[.:] {re.escape(row['words'])}", heading)
        assert DECIDED.fullmatch(row["rest"]), row[0]


def test_every_policy_is_in_the_list_of_what_dyncast_does() -> None:
    page = (DOCS / "dyncast" / "README.md").read_text(encoding="utf-8")
    listed = page.partition("* **Policies**")[2].partition("* **Affinity**")[0]
    assert {name for name in POLICIES if f"`{name}`" not in listed} == set()


def test_every_placement_policy_has_a_row() -> None:
    page = (DOCS / "alto" / "placement.md").read_text(encoding="utf-8")
    assert {name for name in PLACEMENT_POLICIES if f"\n| `{name}` |" not in page} == set()


def test_every_example_is_listed_by_its_description_where_it_has_one() -> None:
    listed = rows(DOCS / "examples/README.md")
    assert {DOCS / "examples" / link for link in listed} == {*EXAMPLES, *PROGRAMS}
    for example in EXAMPLES:
        row = listed[str(example.relative_to(DOCS / "examples"))]
        assert row["words"] == yaml.safe_load(example.read_text(encoding="utf-8")).get("description", row["words"])


@pytest.mark.parametrize(
    ("keys", "page"), [(composition.schema(), "scenario.schema.json"), (StudyKeys, "study.schema.json")]
)
def test_the_schemas_that_editors_read_are_those_of_today(keys: type[BaseModel], page: str) -> None:
    option = "--study " if keys is StudyKeys else ""
    assert editor(page).schema == keys.model_json_schema(), f"write it again: ./dyncast schema {option}>docs/{page}"


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda path: str(path.relative_to(DOCS)))
def test_an_editor_finds_no_fault_with_an_example(example: Path) -> None:
    page = "study.schema.json" if example.parent.name == "studies" else "scenario.schema.json"
    editor(page).validate(yaml.safe_load(example.read_text(encoding="utf-8")))


def test_an_editor_marks_a_key_that_there_is_not() -> None:
    document = yaml.safe_load((DOCS / "examples/first.yaml").read_text(encoding="utf-8"))
    with pytest.raises(jsonschema.ValidationError, match="polcy"):
        editor("scenario.schema.json").validate({**document, "polcy": "closest"})


def test_pages_of_studies_are_listed_and_name_their_files() -> None:
    listed = (DOCS / "studies/README.md").read_text(encoding="utf-8")
    pages = [page for page in DOCS.glob("studies/*.md") if page.name != "README.md"]
    assert pages
    for page in pages:
        assert f"({page.name})" in listed
        assert f"../examples/studies/{page.stem}.yaml)" in page.read_text(encoding="utf-8")


def test_classes_that_the_glossary_names_are_there() -> None:
    named = set(re.findall(r"\(`([A-Z]\w+)`\)", (DOCS / "glossary.md").read_text(encoding="utf-8")))
    sources = "\n".join(path.read_text(encoding="utf-8") for path in ROOT.glob("testbed/**/*.py"))
    assert {name for name in named if not re.search(rf"^class {name}\b", sources, re.MULTILINE)} == set()


def test_the_floor_plan_has_every_room_as_it_is() -> None:
    page = floor_plan.PAGE.read_text(encoding="utf-8")
    drawn = page.split(floor_plan.BEGIN)[1].split(floor_plan.END)[0]
    assert drawn == floor_plan.plan(), "write it again: .venv/bin/python -m tests.floor_plan"


def test_every_room_says_what_it_is_and_stands_on_a_floor() -> None:
    rooms = [room for package in floor_plan.PACKAGES for room in floor_plan.rooms(ROOT / package)]
    assert all(floor_plan.line(room) for room in rooms)
    on_floors = {name for floor in floor_plan.floors() for name in floor.split(" | ")}
    testbed = {f"testbed.{room.name}" for room in rooms if room.parent.name == "testbed"}
    assert testbed | {"ryu_apps", "traffic", "topologies"} <= on_floors


def test_the_scenario_in_the_readme_is_the_first_example() -> None:
    shown = (ROOT / "README.md").read_text(encoding="utf-8").split("    # docs/examples/first.yaml\n")[1]
    example = (DOCS / "examples/first.yaml").read_text(encoding="utf-8").splitlines()
    assert [line.removeprefix("    ") for line in shown.splitlines()[: len(example)]] == example


def test_the_readme_leads_to_every_room_at_the_top() -> None:
    linked = set(LINK.findall((ROOT / "README.md").read_text(encoding="utf-8")))
    rooms = {room for package in floor_plan.PACKAGES for room in floor_plan.rooms(ROOT / package)}
    wanted = {str(room.relative_to(ROOT)) for room in rooms if room.parent in (ROOT, ROOT / "testbed")} - {"testbed"}
    assert wanted <= linked


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_files_that_a_page_names_are_there(page: Path) -> None:
    named = FILE.findall(page.read_text(encoding="utf-8"))
    found = [file for file in named if "NAME" not in file and file not in PLACES]
    assert [file for file in found if not (ROOT / file).exists()] == []
