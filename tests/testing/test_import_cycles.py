"""Circles of imports are found, and there is none in the product that nobody has allowed."""

from __future__ import annotations

from pathlib import Path

from tools.import_cycles import ALLOWED, circles_in, imports_of

SRC = Path(__file__).parent.parent.parent / "src" / "parkade"


def test_the_product_has_no_circle_but_those_with_a_reason() -> None:
    assert [circle for circle in circles_in(imports_of(SRC)) if frozenset(circle) not in ALLOWED] == []


def test_circles_are_found_whoever_follows_the_import(tmp_path: Path) -> None:
    room = tmp_path / "room"
    room.mkdir()
    (room / "__init__.py").write_text("")
    (room / "a.py").write_text("from room.b import x\n")
    (room / "b.py").write_text("from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    from room import c\n")
    (room / "c.py").write_text("def f() -> None:\n    import room.a\n")
    (room / "d.py").write_text("from room import a\n")
    assert circles_in(imports_of(room)) == [["room.a", "room.b", "room.c"]]
