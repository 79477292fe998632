"""Callers that stay: SIPp scenarios whose calls last through crashes, and what they wrote down about each call.

Each call of a scenario asks in its dialog every few seconds whether the far end is still there, by OPTIONS and by re-INVITE in
turn, answers what the far end asks, and notes in a log, a line each: ``called NUMBER TIME``, ``up NUMBER CODE PORT TIME``,
``alive NUMBER TIME``,
``bye NUMBER TIME``, ``gone NUMBER TIME`` (481 in a dialog), ``deaf NUMBER TIME`` (no answer), ``refused NUMBER TIME``.
CODE is where the call is parked or was picked up, PORT that of the server's RTP, NUMBER the call's in its SIPp.

A scenario is made of the same parts for parked callers, callers that are talked to, and those who talk to them, so it is text
made here and no file.
"""

from __future__ import annotations

import re
import shutil
import subprocess
from collections import Counter, defaultdict
from dataclasses import dataclass, field
from pathlib import Path
from socket import AF_INET, SOCK_DGRAM, SOCK_STREAM, socket

_PATIENCE_S = 40.0
_TOLD = "[$code]"
_BUFFER_BYTES = 4 << 20

_SDP = """v=0
o=- [call_number] 1 IN IP4 127.0.0.1
s=-
c=IN IP4 127.0.0.1
t=0 0
m=audio [rtp_port] RTP/AVP 0 101
a=rtpmap:0 PCMU/8000
a=rtpmap:101 telephone-event/8000
a=fmtp:101 0-15
a=ptime:20"""


def _send(text: str, *, repeat: bool) -> str:
    retrans = ' retrans="500"' if repeat else ""
    return f"<send{retrans}><![CDATA[\n{text}\n\n]]></send>\n"


def _request(method: str, to: str, tag: str, body: str = "") -> str:
    """A request. The branch has the CSeq in it, because SIPp's own is the same each time a scenario passes a place."""
    first = method == "INVITE" and not tag
    lines = [
        f"{method} sip:{to}@[remote_ip]:[remote_port] SIP/2.0",
        f"Via: SIP/2.0/UDP [local_ip]:[local_port];branch=[branch]-[cseq]{method[0]}",
        "Max-Forwards: 70",
        'From: "[who] [call_number]" <sip:[call_number]@[local_ip]>;tag=c[call_number]',
        f"To: <sip:{to}@[remote_ip]>{tag}",
        f"Call-ID: {'pick-up///' if to == _TOLD else ''}[call_id]",
        f"CSeq: [cseq] {method}",
    ]
    if method != "ACK":
        lines.append("Contact: <sip:caller@[local_ip]:[local_port]>")
        lines.append("Allow: INVITE, ACK, CANCEL, BYE, OPTIONS")
    if body:
        lines.append("Content-Type: application/sdp")
    lines += ["Content-Length: [len]", "", *([body] if body else [])]
    return _send("\n".join(lines), repeat=first or method != "ACK")


def _answer(body: str = "") -> str:
    lines = ["SIP/2.0 200 OK", "[last_Via:]", "[last_From:]", "[last_To:]", "[last_Call-ID:]", "[last_CSeq:]"]
    lines.append("Contact: <sip:caller@[local_ip]:[local_port]>")
    if body:
        lines.append("Content-Type: application/sdp")
    lines += ["Content-Length: [len]", "", *([body] if body else [])]
    return _send("\n".join(lines), repeat=bool(body))


def _note(what: str) -> str:
    return f'<action><log message="{what} [call_number] [timestamp]"/></action>'


def _listening(onward: str, timeout_s: float, asked: bool) -> str:
    """What may come at any time. With ``asked`` an answer to our question is expected, and none is noted after the timeout."""
    late = f'timeout="{round(1000 * timeout_s)}" ontimeout="{onward}"'
    lines = [
        f'<recv request="INVITE" optional="true" {late} next="invited"/>',
        f'<recv request="OPTIONS" optional="true" {late} next="questioned"/>',
        f'<recv response="481" optional="true" {late} next="gone">{_note("gone")}</recv>',
        f'<recv response="100" optional="true" {late}/>',
        f'<recv response="491" optional="true" {late} next="wait1"/>',
        f'<recv response="500" optional="true" {late} next="wait1">{_note("refused")}</recv>',
        f'<recv response="503" optional="true" {late} next="wait1">{_note("refused")}</recv>',
    ]
    if not asked:
        # A 2xx that has come again, or the answer to a question that was crossed by one of theirs.
        which = '<ereg regexp="[A-Z]+" search_in="hdr" header="CSeq:" check_it="true" assign_to="method"/>'
        lines.append(f'<recv response="200" optional="true" {late} next="sort"><action>{which}</action></recv>')
        lines.append(f'<recv request="BYE" {late} next="bye">{_note("bye")}</recv>')
    else:
        lines.append(f'<recv request="BYE" optional="true" {late} next="bye">{_note("bye")}</recv>')
    return "\n".join(lines) + "\n"


def _scenario(to: str, ask_s: float, *, told_code: bool, hands_over: bool) -> str:
    """``told_code``: the code comes from another SIPp and is dialled, else the call is parked and told its code."""
    tag = "[peer_tag_param]"
    up = '<log message="up [call_number] [$code] [$port] [timestamp]"/>'
    port = '<ereg regexp="m=audio ([0-9]+)" search_in="body" check_it="true" assign_to="m,port"/>'
    code = '<ereg regexp="[*]?[0-9]+" search_in="hdr" header="X-Parkade-Park-Code:" check_it="true" assign_to="code"/>'
    if told_code:
        code = ""
    parts = ['<?xml version="1.0" encoding="ISO-8859-1"?>\n<scenario name="lasting">\n']
    if told_code:
        parts.append(
            '<recvCmd><action><ereg regexp="Code: *([*]?[0-9]+)" search_in="msg" check_it="true" assign_to="line,code"/>'
            '</action></recvCmd>\n<Reference variables="line"/>\n'
        )
    parts += [
        f"<nop>{_note('called')}</nop>\n",
        _request("INVITE", to, "", _SDP),
        *(f'<recv response="{status}" optional="true"/>\n' for status in (100, 180, 183)),
        f'<recv response="200"><action>{code}{port}{up}</action></recv>\n',
        '<Reference variables="m"/>\n',
        _request("ACK", to, tag),
    ]
    if hands_over:
        parts.append("<sendCmd><![CDATA[\nCall-ID: [call_id]\nCode: [$code]\n\n]]></sendCmd>\n")
    for number, method in ((1, "OPTIONS"), (2, "INVITE")):
        after = f' next="wait{3 - number}"' if method == "OPTIONS" else ""
        parts += [
            f'<label id="wait{number}"/>\n',
            _listening(f"ask{number}", ask_s, asked=False),
            f'<label id="ask{number}"/>\n',
            _request(method, to, tag, _SDP if method == "INVITE" else ""),
            _listening("deaf", _PATIENCE_S, asked=True),
            f'<recv response="200"{after}>{_note("alive")}</recv>\n',
        ]
    parts += [
        _request("ACK", to, tag),
        '<nop next="wait1"/>\n',
        '<label id="invited"/>\n',
        _answer(_SDP),
        '<recv request="ACK" timeout="8000" ontimeout="wait1" next="wait1"/>\n',
        '<label id="questioned"/>\n',
        _answer(),
        '<nop next="wait1"/>\n',
        '<label id="sort"/>\n<nop><action><strcmp assign_to="other" variable="method" value="INVITE"/>',
        '<test assign_to="again" variable="other" compare="equal" value="0"/></action></nop>\n',
        '<nop next="acknowledge" test="again"/>\n<nop next="wait1"/>\n',
        '<label id="acknowledge"/>\n',
        _request("ACK", to, tag).replace("CSeq: [cseq]", "CSeq: [last_cseq_number]"),
        '<nop next="wait1"/>\n',
        f'<label id="deaf"/>\n<nop next="wait1">{_note("deaf")}</nop>\n',
        f'<label id="bye"/>\n{_answer()}<label id="gone"/>\n<timewait milliseconds="4000"/>\n</scenario>\n',
    ]
    return "".join(parts)


@dataclass(slots=True)
class Noted:
    """One call as SIPp noted it. Times are seconds of UTC."""

    number: int
    code: str
    rtp_port: int
    called_at: float
    up_at: float
    alive_at: list[float] = field(default_factory=list)
    byes_at: list[float] = field(default_factory=list)
    troubles: Counter[str] = field(default_factory=Counter)

    @property
    def over(self) -> bool:
        """Whether the far end has hung up or no longer knows it."""
        return bool(self.byes_at) or bool(self.troubles["gone"])


_LINE = re.compile(r"(called|up|alive|bye|gone|deaf|refused) (\d+) (?:(\*?\d+) (\d+) )?\S+\s\S+\s(\d+\.\d+)")


class Callers:
    """One SIPp under way and its log. ``calls`` by number, as far as they were answered; ``read`` looks for news."""

    def __init__(self, folder: Path, name: str, process: subprocess.Popen[bytes]) -> None:
        self.process = process
        self.calls: dict[int, Noted] = {}
        self._called_at: dict[int, float] = {}
        self._log = folder / f"{name}.log"
        self._errors = folder / f"{name}.errors"
        self._at = 0
        self._rest = ""

    def read(self) -> None:
        """Take in what was noted since the last time."""
        if not self._log.exists():
            return
        with self._log.open(errors="replace") as log:
            log.seek(self._at)
            text = self._rest + log.read()
            self._at = log.tell()
        *lines, self._rest = text.split("\n")
        for line in lines:
            if found := _LINE.match(line):
                kind, number, code, port, at = found.groups()
                self._take(kind, int(number), code, port, float(at))

    def _take(self, kind: str, number: int, code: str | None, port: str | None, at: float) -> None:
        if kind == "up" and code and port:
            self.calls[number] = Noted(number, code, int(port), self._called_at.pop(number, at), at)
        elif kind == "called":
            self._called_at[number] = at
        elif (call := self.calls.get(number)) is None:
            return
        elif kind == "alive":
            call.alive_at.append(at)
        elif kind == "bye":
            call.byes_at.append(at)
        else:
            call.troubles[kind] += 1

    def errors(self) -> str:
        """What SIPp complained about, the last of it."""
        return self._errors.read_text(errors="replace")[-2000:] if self._errors.exists() else ""

    def stop(self) -> None:
        """End the process; its calls stay as they are."""
        self.process.kill()
        self.process.wait()


@dataclass(frozen=True, slots=True)
class Calling:
    """Starts SIPps against one server, all with their sound at ``rtp_port``, asking every ``ask_s``."""

    folder: Path
    server: tuple[str, int]
    rtp_port: int
    ask_s: float

    def parked(self, name: str, host: str, calls: int, calls_per_s: float) -> Callers:
        """``calls`` callers from the device at ``host``, whose calls are parked."""
        return self._sipp(
            name, host, _scenario("warehouse", self.ask_s, told_code=False, hands_over=False), calls, calls_per_s, []
        )

    def conversations(self, callers_host: str, retrievers_host: str, calls: int, calls_per_s: float) -> tuple[Callers, Callers]:
        """``calls`` callers that are parked and picked up at once; both ends."""
        link = f"127.0.0.1:{free_port(SOCK_STREAM, '127.0.0.1')}"
        talkers = self._sipp(
            "talkers",
            retrievers_host,
            _scenario(_TOLD, self.ask_s, told_code=True, hands_over=False),
            calls,
            calls_per_s,
            ["-3pcc", link],
        )
        _wait_for(talkers.process, link)
        callers = _scenario("warehouse", self.ask_s, told_code=False, hands_over=True)
        return self._sipp("talked-to", callers_host, callers, calls, calls_per_s, ["-3pcc", link]), talkers

    def _sipp(self, name: str, host: str, scenario: str, calls: int, calls_per_s: float, more: list[str]) -> Callers:
        if (program := shutil.which("sipp")) is None:
            raise SystemExit("SIPp is missing: install the package sip-tester (tools/setup.sh debian does)")
        file = self.folder / f"{name}.xml"
        file.write_text(scenario)
        command = [program, "{}:{}".format(*self.server), "-sf", str(file), "-i", host]
        command += [
            "-p",
            str(free_port(SOCK_DGRAM, host)),
            "-nostdin",
            "-m",
            str(calls),
            "-l",
            str(calls),
            "-r",
            str(calls_per_s),
        ]
        command += [
            "-key",
            "rtp_port",
            str(self.rtp_port),
            "-key",
            "who",
            name,
            "-buff_size",
            str(_BUFFER_BYTES),
            "-default_behaviors",
            "none",
        ]
        command += ["-trace_logs", "-log_file", str(self.folder / f"{name}.log")]
        command += ["-trace_err", "-error_file", str(self.folder / f"{name}.errors"), *more]
        process = subprocess.Popen(
            command, cwd=self.folder, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        return Callers(self.folder, name, process)


def free_port(kind: int, host: str) -> int:
    """A port of ``host`` that was free a moment ago."""
    with socket(AF_INET, kind) as probe:
        probe.bind((host, 0))
        return int(probe.getsockname()[1])


def by_rtp_port(*groups: Callers) -> dict[int, list[Noted]]:
    """Calls by the server's RTP port, in the order in which they came."""
    found: defaultdict[int, list[Noted]] = defaultdict(list)
    for group in groups:
        for call in group.calls.values():
            found[call.rtp_port].append(call)
    return found


def _wait_for(process: subprocess.Popen[bytes], link: str) -> None:
    """Until that SIPp listens for codes. It says so nowhere; the kernel does."""
    port = f":{int(link.rpartition(':')[2]):04X} "
    for _ in range(200):
        if any(port in line and " 0A " in line for line in Path("/proc/net/tcp").read_text().splitlines()):
            return
        try:
            process.wait(0.05)
        except subprocess.TimeoutExpired:
            continue
        break
    raise SystemExit("SIPp did not start as the one who picks up")
