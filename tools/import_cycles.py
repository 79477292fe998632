"""Refuses circles of imports between the modules of ``src/parkade``, also those that only the type checker follows.

Run ``python tools/import_cycles.py [ROOT]``; prints each circle and exits with 1 if there is one that is not allowed below.
An import of a package counts as an import of its ``__init__``; imports inside of functions count too.
"""

from __future__ import annotations

import ast
import sys
from collections.abc import Mapping
from pathlib import Path

ALLOWED: Mapping[frozenset[str], str] = {
    frozenset({"parkade.testing.fake_call", "parkade.testing.phone"}): "a phone has calls and a call has its phone",
    frozenset({"parkade.calls.state", "parkade.calls.call"}): "rules of stages take the state, which enters stages",
}
"""Circles that stay, by their modules, and why."""


def imports_of(root: Path) -> dict[str, set[str]]:
    """Every module below ``root``, a package, and which of them it imports."""
    files = {_name(root, path): path for path in sorted(root.rglob("*.py"))}
    return {name: _imported(ast.parse(path.read_text("utf-8")), set(files)) - {name} for name, path in files.items()}


def circles_in(graph: Mapping[str, set[str]]) -> list[list[str]]:
    """The groups of modules that import each other, directly or by way of others (Tarjan's strongly connected components)."""
    order: dict[str, int] = {}
    low: dict[str, int] = {}
    stack: list[str] = []
    found: list[list[str]] = []

    def visit(name: str) -> None:
        order[name] = low[name] = len(order)
        stack.append(name)
        for other in sorted(graph[name]):
            if other not in order:
                visit(other)
                low[name] = min(low[name], low[other])
            elif other in stack:
                low[name] = min(low[name], order[other])
        if low[name] == order[name]:
            group = stack[stack.index(name) :]
            del stack[stack.index(name) :]
            if len(group) > 1:
                found.append(sorted(group))

    sys.setrecursionlimit(max(sys.getrecursionlimit(), 10 * len(graph) + 1000))
    for name in sorted(graph):
        if name not in order:
            visit(name)
    return sorted(found)


def _name(root: Path, path: Path) -> str:
    parts = [root.name, *path.relative_to(root).with_suffix("").parts]
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def _imported(tree: ast.Module, known: set[str]) -> set[str]:
    found: set[str] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            found.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module is not None:
            # ``from a.b import c`` is the module a.b.c if there is one, else a name in a.b.
            found.update(deep if (deep := f"{node.module}.{alias.name}") in known else node.module for alias in node.names)
    return found & known


def main() -> int:
    """Print what is wrong; the exit status."""
    root = Path(sys.argv[1]) if len(sys.argv) > 1 else Path(__file__).parent.parent / "src" / "parkade"
    wrong = [circle for circle in circles_in(imports_of(root)) if frozenset(circle) not in ALLOWED]
    for circle in wrong:
        print(f"import circle: {', '.join(circle)}")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
