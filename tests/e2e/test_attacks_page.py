"""docs/attacks.md says what the tests of the attacks hold the gate to."""

from __future__ import annotations

from importlib import import_module

from attack_table import MODULES, PAGE, page


def test_the_page_is_the_tables() -> None:
    """It is what `python tests/e2e/attack_table.py` writes."""
    assert PAGE.read_text("utf-8") == page()


def test_every_line_has_a_name_of_its_own() -> None:
    """What was seen is kept by name."""
    for name in MODULES:
        names = [attack.name for table in import_module(f"test_attacks_{name}").TABLES.values() for attack in table]
        assert len(set(names)) == len(names)
