"""Kept values read back, and a dialog as such a value. Readers raise KeyError, TypeError or ValueError."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from parkade.base.clock import Instant
from parkade.base.journal import Json
from parkade.sip.message.flow import Flow
from parkade.sip.session.credentials import HeaderLines
from parkade.sip.session.dialog import Dialog


def dialog_value(dialog: Dialog) -> dict[str, Json]:
    """``dialog`` as a plain value, without its offers."""
    flow = dialog.flow
    value: dict[str, Json] = {
        "call_id": dialog.call_id,
        "local": dialog.local,
        "local_tag": dialog.local_tag,
        "remote": dialog.remote,
        "remote_tag": dialog.remote_tag,
        "target": dialog.target,
        "contact": dialog.contact,
        "local_seq": dialog.local_seq,
        "remote_seq": dialog.remote_seq,
        "flow": [flow.transport, flow.host, flow.port],
    }
    if dialog.routes:
        value["routes"] = [*dialog.routes]
    return value


def dialog_of(value: Mapping[str, Json]) -> Dialog:
    """The dialog that ``value`` is of. Its flow, if a stream, has yet to be opened anew."""
    remote_seq = value.get("remote_seq")
    return Dialog(
        call_id=text(value, "call_id"),
        local=text(value, "local"),
        local_tag=text(value, "local_tag"),
        remote=text(value, "remote"),
        remote_tag=text(value, "remote_tag"),
        target=text(value, "target"),
        routes=tuple([is_text(route) for route in items(value, "routes")]),
        contact=text(value, "contact"),
        flow=flow_of(value.get("flow")),
        local_seq=number(value, "local_seq"),
        remote_seq=None if remote_seq is None else is_number(remote_seq),
    )


def flow_of(value: Json | None) -> Flow:
    """A kept flow. A stream has yet to be opened anew."""
    transport, host, port = is_list(value)
    return Flow(is_text(transport), is_text(host), is_number(port))


def lines_value(headers: HeaderLines) -> list[Json]:
    """Header lines as a plain value."""
    return [[name, value] for name, value in headers]


def lines_of(item: Json | None) -> HeaderLines:
    """Header lines read back."""
    return [(is_text(name), is_text(value)) for name, value in map(is_list, is_list(item))]


def is_text(item: Json | None) -> str:
    """``item``, a text."""
    if not isinstance(item, str):
        raise TypeError("not a text")
    return item


def is_number(item: Json | None) -> int:
    """``item``, a whole number."""
    if not isinstance(item, int) or isinstance(item, bool):
        raise TypeError("not a number")
    return item


def is_time(item: Json | None) -> Instant:
    """``item``, an Instant."""
    if not isinstance(item, int | float) or isinstance(item, bool):
        raise TypeError("not a time")
    return float(item)


def is_list(item: Json | None) -> Sequence[Json]:
    """``item``, a list."""
    if isinstance(item, str) or not isinstance(item, Sequence):
        raise TypeError("not a list")
    return item


def text(value: Mapping[str, Json], name: str) -> str:
    """The text member ``name``."""
    return is_text(value[name])


def number(value: Mapping[str, Json], name: str) -> int:
    """The whole number ``name``."""
    return is_number(value[name])


def items(value: Mapping[str, Json], name: str) -> Sequence[Json]:
    """The list ``name``, empty if it is missing."""
    return is_list(value.get(name, ()))


def data_of(item: Json | None) -> bytes:
    """Bytes written as Latin-1."""
    return is_text(item).encode("latin-1")
