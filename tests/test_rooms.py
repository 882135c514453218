"""The tree tells how the data flows: a stage has one name, and a room of that name on each floor."""

from __future__ import annotations

from pathlib import Path

import airflow_mlops
from airflow_mlops.core.step import STAGES

PACKAGE = Path(airflow_mlops.__file__).parent
TESTS = Path(__file__).parent

SHARED = {"stats", "wording", "observability"}
"""Rooms of the core that serve several stages."""

FLAT = {"specs", "operators"}
"""Folders that users import from, one module for each stage."""

MOST_MODULES = 15

VALUES_ALONE = {"core/monitoring/drift_report", "core/monitoring/performance_report"}
"""Modules that only declare values, which ``tests/core/test_values.py`` puts to the test all alike."""


def _rooms(floor: str) -> set[str]:
    return {folder.name for folder in (PACKAGE / floor).iterdir() if (folder / "__init__.py").is_file()}


def test_every_room_of_the_steps_is_a_stage():
    assert _rooms("steps")
    assert _rooms("steps") <= {*STAGES}


def test_every_room_of_the_core_is_a_stage_or_shared_by_stages():
    assert _rooms("core") == {*STAGES, *SHARED}


def test_no_folder_is_crowded():
    folders = [folder for folder in PACKAGE.rglob("*") if (folder / "__init__.py").is_file()]
    assert len(folders) > 50
    crowded = {}
    for folder in folders:
        n_modules = len([file for file in folder.glob("*.py") if file.name != "__init__.py"])
        if n_modules > MOST_MODULES and folder.relative_to(PACKAGE).as_posix() not in FLAT:
            crowded[folder.name] = n_modules
    assert crowded == {}


def test_every_room_says_what_is_in_it():
    silent = [file for file in PACKAGE.rglob("__init__.py") if not file.read_text().startswith('"""')]
    assert silent == []


def _modules(floor: str) -> list[str]:
    """Return the public modules of a floor's rooms, as paths without their endings."""
    found = [file.relative_to(PACKAGE).with_suffix("").as_posix() for file in (PACKAGE / floor).rglob("*.py")]
    return sorted(path for path in found if not path.rpartition("/")[2].startswith("_"))


def test_every_module_of_the_core_has_tests_of_its_name():
    """So that whoever changes one finds them. Private modules are tested through the public ones of their room."""
    modules = set(_modules("core"))
    assert len(modules) > 60
    without = {
        path for path in modules if not (TESTS / "/test_".join(path.rsplit("/", 1))).with_suffix(".py").is_file()
    }
    assert without == VALUES_ALONE


def test_every_room_of_the_steps_and_adapters_has_tests():
    """Their tests have the names of what is done there, which takes several modules of a room together."""
    rooms = {path.rpartition("/")[0] for floor in ("adapters", "steps") for path in _modules(floor)}
    assert len(rooms) > 30
    assert [room for room in sorted(rooms) if not list((TESTS / room).glob("test_*.py"))] == []


def test_tests_stand_in_the_rooms_of_what_they_test():
    """Whoever changes a room finds its tests under the same path."""
    floors = ("adapters", "core", "steps")
    rooms = {
        folder.relative_to(TESTS).as_posix()
        for floor in floors
        for folder in (TESTS / floor).rglob("*")
        if (folder / "__init__.py").is_file()
    }
    assert len(rooms) > 30
    assert [room for room in sorted(rooms) if not (PACKAGE / room).is_dir()] == []
