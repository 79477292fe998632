"""The SIP messages of one call: to be read, or as a file for Wireshark."""

from __future__ import annotations

from typing import Annotated, Literal

from fastapi import APIRouter, Depends, Query, Response
from fastapi.responses import PlainTextResponse
from pydantic import BaseModel, Field

from parkade.api import pcap, refusals
from parkade.api.auth import AccountSlug, allowed, may_see_trace
from parkade.api.models import Time, time
from parkade.api.principal import Principal
from parkade.api.problems import Problem
from parkade.api.services import Use
from parkade.edge.event_json import iso
from parkade.edge.trace import Message, call_id_of

router = APIRouter(tags=["calls"])
Administrator = Annotated[Principal, Depends(allowed(may_see_trace))]
_FILES = {
    "text/plain": {"schema": {"type": "string"}},
    pcap.MEDIA_TYPE: {"schema": {"type": "string", "format": "binary"}},
}


class MessageBody(BaseModel):
    """`from` and `to` are `host:port`. `sip_call_id` tells the call's dialogs apart."""

    at: Time
    direction: Literal["in", "out"]
    transport: str
    source: str = Field(alias="from")
    target: str = Field(alias="to")
    first_line: str
    sip_call_id: str
    text: str


class TraceBody(BaseModel):
    call_id: str
    messages: list[MessageBody]


@router.get("/calls/{call}/trace", responses={200: {"model": TraceBody, "content": _FILES}})
async def trace_of_call(
    call: str,
    who: Administrator,
    account: AccountSlug,
    use: Use,
    form: Annotated[Literal["json", "text", "pcap"], Query(alias="format", description="pcap: for Wireshark.")] = "json",
) -> Response:
    """The messages of a call that is going on or was a while ago (setting `trace-minutes`). Digests, keys of SRTP and pressed
    keys are crossed out.
    """
    messages = await use.signalling.trace(account, call)
    if messages is None:
        raise Problem(refusals.NOT_FOUND)
    match form:
        case "pcap":
            name = "".join(letter for letter in call if letter.isalnum())[:40]
            headers = {"Content-Disposition": f'attachment; filename="{name}.pcap"'}
            return Response(pcap.pcap(messages), media_type=pcap.MEDIA_TYPE, headers=headers)
        case "text":
            return PlainTextResponse("".join(_text(message) for message in messages))
        case _:
            body = TraceBody(call_id=call, messages=[_message(message) for message in messages])
            return Response(body.model_dump_json(by_alias=True), media_type="application/json")


def _message(message: Message) -> MessageBody:
    text = _readable(message.data)
    source, target = _ends(message)
    return MessageBody.model_validate(
        {
            "at": time(message.at),
            "direction": "in" if message.came else "out",
            "transport": message.transport,
            "from": source,
            "to": target,
            "first_line": text.partition("\n")[0].rstrip("\r"),
            "sip_call_id": _readable(call_id_of(message.data)),
            "text": text,
        }
    )


def _text(message: Message) -> str:
    source, target = _ends(message)
    rule = f"--- {iso(message.at)} {'in ' if message.came else 'out'} {message.transport} {source} -> {target} "
    return f"{rule:-<100}\n{_readable(message.data).replace(chr(13), '').rstrip()}\n\n"


def _ends(message: Message) -> tuple[str, str]:
    local, remote = _end(*message.local), _end(*message.remote)
    return (remote, local) if message.came else (local, remote)


def _end(host: str, port: int) -> str:
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def _readable(data: bytes) -> str:
    """UTF-8 as it is, and other bytes as ``\\xNN``."""
    return data.decode("utf-8", "backslashreplace")
