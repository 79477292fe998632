"""Every id that the code can raise is in the catalogue, with texts in both languages, a status, and a place on the page."""

from __future__ import annotations

import ast
import string
from collections.abc import Iterator
from pathlib import Path

import parkade
from parkade.api.catalogue import catalogue
from parkade.api.statuses import STATUS
from tools.make_api_pages import pages

CODE = Path(parkade.__file__).parent


def _trees() -> Iterator[tuple[Path, ast.Module]]:
    for path in sorted(CODE.rglob("*.py")):
        yield path, ast.parse(path.read_text("utf-8"))


def made_in_the_code() -> dict[str, str]:
    """Where each ``Refusal(…)`` of the code is made, by its id."""
    found: dict[str, str] = {}
    for path, tree in _trees():
        for node in ast.walk(tree):
            if isinstance(node, ast.Call) and _name(node.func) == "Refusal":
                where = f"{path.relative_to(CODE)}:{node.lineno}"
                assert node.args, f"{where}: without an id"
                assert isinstance(node.args[0], ast.Constant), f"{where}: an id that is not written there"
                id_ = str(node.args[0].value)
                assert id_ not in found, f"{id_} is made at {found[id_]} and at {where}"
                found[id_] = where
    return found


def _name(node: ast.expr) -> str:
    return node.id if isinstance(node, ast.Name) else node.attr if isinstance(node, ast.Attribute) else ""


def test_the_catalogue_has_every_id_that_the_code_can_raise() -> None:
    assert sorted(made_in_the_code()) == list(catalogue())


def test_no_error_is_answered_past_the_catalogue() -> None:
    """``error_id`` is written in one place, from a refusal."""
    for path, tree in _trees():
        for node in ast.walk(tree):
            if isinstance(node, ast.Dict):
                for key, value in zip(node.keys, node.values, strict=True):
                    if isinstance(key, ast.Constant) and key.value == "error_id":
                        assert not isinstance(value, ast.Constant), f"{path}:{node.lineno}"
            if isinstance(node, ast.Call) and _name(node.func) == "HTTPException":
                (status,) = node.args
                assert isinstance(status, ast.Constant), f"{path}:{node.lineno}: an answer without an id"
                assert status.value in (400, 413), f"{path}:{node.lineno}: an answer without an id"


def test_every_error_has_its_texts_in_both_languages() -> None:
    for refusal in catalogue().values():
        for text in (refusal.en, refusal.vi, refusal.what_to_do, refusal.what_to_do_vi):
            assert text.strip(), refusal.id
            assert text[-1] in ".!?", f"{refusal.id}: {text}"
        assert _blanks(refusal.en).issuperset(_blanks(refusal.vi) - {"level_vi", "wanted_vi"}), refusal.id
        assert refusal.en != refusal.vi
        assert refusal.what_to_do != refusal.what_to_do_vi


def _blanks(text: str) -> set[str]:
    return {name for _, name, _, _ in string.Formatter().parse(text) if name}


def test_every_error_has_a_status() -> None:
    assert sorted(STATUS) == list(catalogue())


def test_the_pages_say_what_the_code_says() -> None:
    for path, text in pages().items():
        assert path.read_text("utf-8") == text, f"{path.name}: run tools/make_api_pages.py"
