"""``/openapi.json``: what it is, that it says which errors there are, and that nothing is answered that is not in it."""

from __future__ import annotations

from pathlib import Path

import pytest

from parkade.api.catalogue import catalogue
from tests.api.conftest import Office
from tests.api.probing import probe
from tests.api.served import served


@pytest.mark.asyncio
async def test_the_document_describes_every_error(office: Office) -> None:
    document = (await office.anybody.get("/openapi.json")).json()
    assert document["openapi"].startswith("3.1")
    assert document["components"]["schemas"]["Problem"]["properties"]["error_id"]["enum"] == list(catalogue())
    assert set(document["components"]["securitySchemes"]) == {"token", "session"}
    park = document["paths"]["/api/v1/calls/{call}/park"]["post"]["responses"]
    assert {"200", "400", "401", "403", "404", "409", "413", "422", "426", "429", "500", "503"} == park.keys()
    assert "`lot_full`" in park["409"]["description"]
    assert park["409"]["content"].keys() == {"application/problem+json"}
    names = [operation["operationId"] for path in document["paths"].values() for operation in path.values()]
    assert len(set(names)) == len(names)
    for path, item in document["paths"].items():
        for method, operation in item.items():
            assert operation.get("description"), f"{method} {path} says nothing of itself"
            assert operation["tags"], f"{method} {path}"
            for status, response in operation["responses"].items():
                assert response["description"], f"{method} {path} {status}"
                assert "HTTPValidationError" not in str(response)


def test_no_request_is_answered_by_a_mistake_or_by_what_is_not_described(office_data: Path) -> None:
    with served(office_data) as server:
        found = probe(server, 2)
    assert found.asked > 300
    assert not found.wrong, "\n".join(found.wrong)
