"""Orders and reports survive the unix socket, and nothing else is taken for one."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from parkade.base.sound import Music, Peer, Playlist, Silence, Spoken, Tone
from parkade.media.wire import (
    WireError,
    order_from_line,
    order_to_line,
    report_from_line,
    report_to_line,
)
from parkade.rtp.orders import (
    CloseLeg,
    Describe,
    Hear,
    Inventory,
    KeyHeard,
    LegClosed,
    LegFailed,
    LegSilent,
    LegState,
    OpenLeg,
    Order,
    PortsExhausted,
    PortsReady,
    PromptEnded,
    Record,
    Recorded,
    Report,
    StopRecording,
)

parts = st.one_of(
    st.builds(Music, st.text()),
    st.builds(Tone, st.text()),
    st.builds(Spoken, st.text(), st.sampled_from(["en", "vi"]), st.lists(st.text()).map(tuple)),
)
sounds = st.one_of(
    st.builds(Silence),
    st.builds(Peer, st.text()),
    parts,
    st.builds(Playlist, st.lists(parts, min_size=1).map(tuple)),
)
ports = st.integers(0, 65535)
orders = st.one_of(
    st.builds(OpenLeg, st.text(), ports),
    st.builds(Hear, st.text(), sounds),
    st.builds(CloseLeg, st.text()),
    st.builds(Record, st.text(), st.text(), st.floats(0, 1e6), st.integers(0, 60)),
    st.builds(StopRecording, st.text()),
    st.builds(
        Describe,
        leg=st.text(),
        address=st.text(),
        port=ports,
        rtcp_port=ports,
        codec=st.sampled_from(["PCMU", "PCMA"]),
        payload_type=st.sampled_from([0, 8, 96]),
        dtmf_payload_type=st.none() | st.integers(96, 127),
        ptime_ms=st.sampled_from([10, 20, 30, 40, 60]),
        sends=st.booleans(),
        receives=st.booleans(),
        listen_for_tones=st.booleans(),
        dtmf_also=st.none() | st.integers(96, 127),
    ),
)
counts = st.integers(0, 2**40)
reports = st.one_of(
    st.builds(PortsReady, st.lists(ports).map(tuple)),
    st.builds(KeyHeard, st.text(), st.sampled_from("0123456789*#ABCD")),
    st.builds(PromptEnded, st.text(), st.text()),
    st.builds(PortsExhausted),
    st.builds(LegSilent, st.text(), st.floats(0, 1e6)),
    st.builds(LegFailed, st.text(), ports),
    st.builds(Recorded, st.text(), st.text(), st.floats(0, 1e6), st.sampled_from(["max", "silence", "stopped"])),
    st.builds(
        Inventory,
        st.lists(
            st.builds(
                LegState,
                leg=st.text(),
                port=ports,
                ssrc=st.integers(0, 2**32 - 1),
                sequence=st.integers(0, 2**16 - 1),
                timestamp=st.integers(0, 2**32 - 1),
                source=st.none() | st.tuples(st.text(), ports),
                sound=sounds,
            )
        ).map(tuple),
        st.booleans(),
    ),
    st.builds(LegClosed, st.text(), counts, counts, counts, counts, counts),
)


@given(orders)
def test_an_order_is_read_as_it_was_written_and_is_one_line(order: Order) -> None:
    line = order_to_line(order)
    assert line.endswith(b"\n")
    assert line.count(b"\n") == 1
    assert order_from_line(line) == order


@given(reports)
def test_a_report_is_read_as_it_was_written_and_is_one_line(report: Report) -> None:
    line = report_to_line(report)
    assert line.endswith(b"\n")
    assert line.count(b"\n") == 1
    assert report_from_line(line) == report


@given(st.binary())
def test_arbitrary_bytes_are_an_order_or_a_wire_error_and_nothing_else(line: bytes) -> None:
    for read in (order_from_line, report_from_line):
        with pytest.raises(WireError):
            read(line)


@pytest.mark.parametrize(
    "line",
    [
        b"",
        b"[]",
        b"{}",
        b"[" * 100_000,
        b'[["open"],"a",20000]',
        b'["open","a",true]',
        b'["open","a","20000"]',
        b'["open","a"]',
        b'["open","a",20000] 1',
        b'["dance","a"]',
        b'["hear","a"]',
        b'["hear","a","opera"]',
        b'["hear","a","music"]',
        b'["hear","a","music",null]',
        b'["hear","a","spoken","p","en",[1]]',
        b'["hear","a","playlist",[]]',
        b'["hear","a","playlist",[["peer","b"]]]',
        b'["hear","a","playlist",[["playlist",[["music","m"]]]]]',
        b'["hear","a","playlist",["music"]]',
        b'["record","a","file",60]',
        b'["describe","a","192.0.2.1"]',
        b'["describe","a","192.0.2.1",4000,4001,"PCMU",0,true,20,true,true,false,null]',
        b'["describe","a","192.0.2.1",4000,4001,null,0,101,20,true,true,false,null]',
        b'["describe","a","192.0.2.1",4000,4001,"PCMU",0,101,20,true,true,false,"96"]',
        b'["describe","a","192.0.2.1",4000,4001,"PCMU",0,101,20,true,true,false]',
    ],
)
def test_a_line_that_is_no_order_is_refused(line: bytes) -> None:
    with pytest.raises(WireError):
        order_from_line(line)


@pytest.mark.parametrize(
    "line",
    [
        b'["inventory",[["leg"]],true]',
        b'["inventory",[7],true]',
        b'["inventory",[["leg","a",20000,1,2,3,["192.0.2.1"],["silence"]]],true]',
        b'["inventory",[["leg","a",20000,1,2,3,null,["opera"]]],true]',
        b'["inventory",[]]',
        b'["silent","a","long"]',
        b'["failed","a"]',
    ],
)
def test_a_line_that_is_no_report_is_refused(line: bytes) -> None:
    with pytest.raises(WireError):
        report_from_line(line)


def test_members_from_a_later_version_are_ignored() -> None:
    assert order_from_line(b'["close","a","because",["of","you"]]') == CloseLeg("a")
    assert order_from_line(b'["hear","a","music","default","loudly"]') == Hear("a", Music("default"))
    assert report_from_line(b'["key","a","#",120]') == KeyHeard("a", "#")


def test_the_jitter_of_a_leg_arrives() -> None:
    report = report_from_line(report_to_line(LegClosed("a", 1, 2, 3, 4, 5)))
    assert isinstance(report, LegClosed)
    assert report.jitter == 5
