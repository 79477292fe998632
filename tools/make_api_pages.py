"""Writes the pages that follow from the code of the API: ``docs/errors.md`` (every error), ``docs/api-roles.md`` (rights).

``python tools/make_api_pages.py`` writes them; a test compares them with what it would write.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

from fastapi import FastAPI
from fastapi.dependencies.models import Dependant
from fastapi.routing import iter_route_contexts

from parkade.api.app import make_app
from parkade.api.auth import RIGHT_OF, Reach, Right, signed_in
from parkade.api.catalogue import catalogue
from parkade.api.principal import Role
from parkade.api.services import Services
from parkade.api.statuses import STATUS

DOCS = Path(__file__).parents[1] / "docs"
WORDS = {
    Reach.NONE: "–",
    Reach.OWN: "own",
    Reach.SITE: "site",
    Reach.ACCOUNT: "account",
    Reach.INSTALLATION: "all",
}


class Endpoint(NamedTuple):
    """``right`` is what it asks for; None with ``signed_in``: any right will do; else it is for everybody."""

    method: str
    path: str
    right: Right | None
    signed_in: bool

    def reach(self, role: Role) -> str:
        """What the table says of a role."""
        if self.right is not None:
            return WORDS[self.right.of_role(role)]
        return "yes"


def endpoints(app: FastAPI) -> list[Endpoint]:
    """Every endpoint of ``app`` that ``/openapi.json`` describes, with the right that it asks for."""
    found = [endpoint for route in iter_route_contexts(app.routes) for endpoint in _of_route(route)]
    return sorted(found, key=lambda one: (one.path, one.method))


def _of_route(route: Any) -> Iterator[Endpoint]:
    dependant = getattr(route, "dependant", None)
    if not isinstance(dependant, Dependant) or not getattr(route, "include_in_schema", False):
        return
    calls = list(_calls(dependant))
    rights = list({RIGHT_OF[call].what: RIGHT_OF[call] for call in calls if call in RIGHT_OF}.values())
    assert len(rights) <= 1, f"{route.path} asks for {len(rights)} rights"
    for method in route.methods or ():
        yield Endpoint(method, route.path, rights[0] if rights else None, signed_in in calls)


def _calls(dependant: Dependant) -> Iterator[Any]:
    yield dependant.call
    for inner in dependant.dependencies:
        yield from _calls(inner)


def errors_page() -> str:
    """``docs/errors.md``."""
    lines = [
        "# Errors",
        "",
        "Every refusal has an id that never changes. The API answers with it as `error_id` (`GET /api/v1/errors` has all),",
        "phones find it in `Warning: 399 parkade` and `Reason`. `{name}`, `{code}` and the like stand for what it is about.",
        "Written by `tools/make_api_pages.py`.",
        "",
        "| error | HTTP | English | what to do | Tiếng Việt | cần làm gì |",
        "|---|---|---|---|---|---|",
    ]
    for refusal in catalogue().values():
        texts = (refusal.en, refusal.what_to_do, refusal.vi, refusal.what_to_do_vi)
        lines.append(f'| <a id="{refusal.id}"></a>`{refusal.id}` | {STATUS[refusal.id]} | {" | ".join(map(_cell, texts))} |')
    return "\n".join(lines) + "\n"


def _cell(text: str) -> str:
    return text.replace("|", "\\|")


def roles_page(app: FastAPI) -> str:
    """``docs/api-roles.md``."""
    roles = list(Role)
    lines = [
        "# Who may do what with the API",
        "",
        "Written by `tools/make_api_pages.py` from the rights in `api/auth.py`; a test asks every endpoint in every role.",
        "`own`: what is one's own; `site`, `account`: what belongs to it; `all`: everything, `?account=` says where; `–`: 403.",
        "What is beyond one's reach is 404 if one may not see it, else 403. A token may be limited to scopes beside its role.",
        "Another account is always 404.",
        "",
        f"| endpoint | scope | {' | '.join(role.replace('_', ' ') for role in roles)} |",
        f"|---|---|{'---|' * len(roles)}",
    ]
    for one in endpoints(app):
        scope = f"`{one.right.scope}`" if one.right else "" if one.signed_in else "everybody"
        lines.append(f"| `{one.method} {one.path}` | {scope} | {' | '.join(one.reach(role) for role in roles)} |")
    return "\n".join(lines) + "\n"


def pages() -> dict[Path, str]:
    """What each page must be."""
    services: Any = None
    app = make_app(Services(services, services, lambda: 0.0))
    return {DOCS / "errors.md": errors_page(), DOCS / "api-roles.md": roles_page(app)}


if __name__ == "__main__":
    for path, text in pages().items():
        path.write_text(text)
