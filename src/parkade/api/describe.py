"""What ``/openapi.json`` says of errors: each endpoint names the refusals that are its own, the common ones are added here."""

from __future__ import annotations

from collections.abc import Mapping
from http import HTTPStatus
from typing import Any

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi
from pydantic import BaseModel

from parkade.api import refusals, v2_phone
from parkade.api.catalogue import catalogue
from parkade.api.problems import MEDIA_TYPE, FaultBody, Problem, ProblemBody
from parkade.api.statuses import status_of
from parkade.calls.refusals import Refusal

_CONTENT = {MEDIA_TYPE: {"schema": {"$ref": "#/components/schemas/Problem"}}}
_V2_CONTENT = {"application/json": {"schema": {"$ref": "#/components/schemas/V2Error"}}}
_ALWAYS = (refusals.BAD_REQUEST, refusals.INTERNAL_ERROR)
_OF_THE_API = (refusals.UPDATE_NEEDED, refusals.DATABASE_AWAY)
_SIGNED_IN = (
    refusals.NOT_SIGNED_IN,
    refusals.NOT_ALLOWED,
    refusals.SCOPE_MISSING,
    refusals.CROSS_SITE,
    refusals.TOO_MANY_REQUESTS,
)
_WITH_PARAMETERS = (refusals.INVALID_REQUEST,)
_WITH_ACCOUNT = (refusals.ACCOUNT_NEEDED, refusals.NOT_FOUND)
_WITH_BODY = (refusals.TOO_LARGE, refusals.INVALID_REQUEST)


def answers(*those: Refusal) -> dict[int | str, dict[str, Any]]:
    """``responses=answers(LOT_FULL, …)``: what an endpoint may answer beside what every one may."""
    by_status: dict[int, list[Refusal]] = {}
    for refusal in those:
        by_status.setdefault(status_of(refusal), []).append(refusal)
    return {
        status: {"description": _described(of_status), "content": _CONTENT} for status, of_status in sorted(by_status.items())
    }


def _described(those: list[Refusal]) -> str:
    return "; ".join(f"`{refusal.id}`: {refusal.en}" for refusal in those)


def describe(app: FastAPI) -> Mapping[str, Any]:
    """The OpenAPI document of ``app``, made once."""
    if app.openapi_schema is None:
        schema = get_openapi(title=app.title, version=app.version, description=app.description, routes=app.routes)
        for path, item in schema["paths"].items():
            for operation in item.values():
                _complete(operation, path)
        components = schema["components"]["schemas"]
        components["Problem"] = ProblemBody.model_json_schema(ref_template="#/components/schemas/{model}")
        components["Problem"].pop("$defs", None)
        components["Problem"]["properties"]["error_id"]["enum"] = list(catalogue())
        components["V2Error"] = v2_phone.ErrorBody.model_json_schema()
        components["FaultBody"] = FaultBody.model_json_schema()
        for unused in ("HTTPValidationError", "ValidationError"):
            components.pop(unused, None)
        app.openapi_schema = schema
    return app.openapi_schema


def _complete(operation: dict[str, Any], path: str) -> None:
    wanted = [*_ALWAYS]
    wanted += _OF_THE_API if path.startswith("/api/") else (refusals.DATABASE_AWAY,)
    if "security" in operation:
        wanted += _SIGNED_IN
    if "requestBody" in operation:
        wanted += _WITH_BODY
    elif "parameters" in operation:
        wanted += _WITH_PARAMETERS
    if any(parameter["name"] == "account" for parameter in operation.get("parameters", ())):
        wanted += _WITH_ACCOUNT
    elif "{" in path:
        wanted.append(refusals.NOT_FOUND)
    responses = operation["responses"]
    if path.startswith("/v2/"):
        responses.pop("422", None)
        for refusal in wanted:
            status = str(v2_phone.status_of(Problem(refusal)))
            responses.setdefault(status, {"description": HTTPStatus(int(status)).phrase, "content": _V2_CONTENT})
        return
    for refusal in wanted:
        there = responses.setdefault(str(status_of(refusal)), {"description": "", "content": _CONTENT})
        if f"`{refusal.id}`" not in there["description"]:
            there["description"] = "; ".join(part for part in (there["description"], _described([refusal])) if part)
    if "422" in responses and "HTTPValidationError" in str(responses["422"]):
        responses["422"] = {"description": _described([refusals.INVALID_REQUEST]), "content": _CONTENT}


def inlined(model: type[BaseModel]) -> dict[str, Any]:
    """The JSON schema of a model without references, for a body that is checked elsewhere."""
    schema = model.model_json_schema()
    inner = schema.pop("$defs", {})

    def resolved(node: Any) -> Any:
        if isinstance(node, dict):
            if "$ref" in node:
                return resolved(inner[str(node["$ref"]).rpartition("/")[2]])
            return {key: resolved(value) for key, value in node.items()}
        return [resolved(item) for item in node] if isinstance(node, list) else node

    found = resolved(schema)
    assert isinstance(found, dict)
    return found
