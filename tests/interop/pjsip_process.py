"""One PJSIP phone, run as a process of its own because PJSIP's state is process-wide.

Commands come as JSON lines on standard input, ``{"id": 1, "do": "dial", …}``; events leave as JSON lines on what was standard
output (PJSIP itself prints there, so it is given a log file instead). Every SIP message sent or received is an event. What a
call hears is appended to ``heard-<call>.raw`` in the working directory: 8000 Hz, 16 bit, mono, little endian, from the start
of its media, silence included. Not a general soft phone: one account, one tone for a voice, no sound card.
"""

from __future__ import annotations

import itertools
import json
import os
import random
import re
import select
import sys
import time
import traceback
from pathlib import Path
from typing import IO

import pjsua2 as pj

RATE_HZ = 8000
FRAME_US = 20_000
GOODBYE_S = 1.0
INVALID_NOW = 70013
"""PJ_EINVALIDOP."""
MESSAGE = re.compile(r"(RX|TX) \d+ bytes [^\n]*?(?:from|to) (\S+ \S+):\n(.*)\n--end msg--", re.DOTALL)
STATES = {
    pj.PJSIP_INV_STATE_NULL: "null",
    pj.PJSIP_INV_STATE_CALLING: "calling",
    pj.PJSIP_INV_STATE_INCOMING: "incoming",
    pj.PJSIP_INV_STATE_EARLY: "early",
    pj.PJSIP_INV_STATE_CONNECTING: "connecting",
    pj.PJSIP_INV_STATE_CONFIRMED: "confirmed",
    pj.PJSIP_INV_STATE_DISCONNECTED: "disconnected",
}
MEDIA = {
    pj.PJSUA_CALL_MEDIA_NONE: "none",
    pj.PJSUA_CALL_MEDIA_ACTIVE: "active",
    pj.PJSUA_CALL_MEDIA_LOCAL_HOLD: "local_hold",
    pj.PJSUA_CALL_MEDIA_REMOTE_HOLD: "remote_hold",
    pj.PJSUA_CALL_MEDIA_ERROR: "error",
}


def without_events(sdp: str) -> str:
    """The SDP of a phone that knows no telephone-event."""
    found = re.search(r"a=rtpmap:(\d+) telephone-event", sdp)
    if not found:
        return sdp
    number = found[1]
    lines = [line for line in sdp.split("\r\n") if not line.startswith((f"a=rtpmap:{number} ", f"a=fmtp:{number} "))]
    return "\r\n".join(line.removesuffix(f" {number}") if line.startswith("m=audio") else line for line in lines)


class Events:
    """Where events are written: a descriptor of its own, away from PJSIP's printing."""

    def __init__(self) -> None:
        self._out = os.fdopen(os.dup(1), "w", buffering=1, encoding="utf-8")
        quiet = os.open(os.devnull, os.O_WRONLY)
        os.dup2(quiet, 1)

    def tell(self, event: str, **values: object) -> None:
        self._out.write(json.dumps({"event": event, "at": time.monotonic(), **values}) + "\n")


class MessageLog(pj.LogWriter):  # type: ignore[misc]
    """PJSIP's log: kept in a file, and searched for SIP messages."""

    def __init__(self, events: Events, log: IO[str]) -> None:
        pj.LogWriter.__init__(self)
        self._events = events
        self._log = log

    def write(self, entry: pj.LogEntry) -> None:
        text = entry.msg
        self._log.write(text + "\n")
        found = MESSAGE.search(text)
        if found:
            way, peer, message = found.groups()
            self._events.tell("message", way=way.lower(), peer=peer, text=message)


class Ear(pj.AudioMediaPort):  # type: ignore[misc]
    """Appends every frame of a call to a file."""

    def __init__(self, path: Path) -> None:
        pj.AudioMediaPort.__init__(self)
        wanted = pj.MediaFormatAudio()
        wanted.init(pj.PJMEDIA_FORMAT_PCM, RATE_HZ, 1, FRAME_US, 16)
        self._file = path.open("ab", buffering=0)
        self.createPort(path.stem, wanted)

    def onFrameReceived(self, frame: pj.MediaFrame) -> None:  # noqa: N802 (PJSIP's name)
        if frame.type == pj.PJMEDIA_FRAME_TYPE_AUDIO and frame.size:
            self._file.write(bytes(frame.buf)[: frame.size])
        else:
            self._file.write(bytes(2 * RATE_HZ * FRAME_US // 1_000_000))


class PhoneCall(pj.Call):  # type: ignore[misc]
    """One call; tells its changes and joins its audio to the mouth and to an ear."""

    def __init__(self, phone: Phone, call_id: int = pj.PJSUA_INVALID_ID) -> None:
        pj.Call.__init__(self, phone.account, call_id)
        self._phone = phone
        self._ear: Ear | None = None
        self.number = phone.adopt(self)

    def onCallState(self, _: pj.OnCallStateParam) -> None:  # noqa: N802
        info = self.getInfo()
        self._phone.events.tell(
            "state",
            call=self.number,
            state=STATES[info.state],
            code=int(info.lastStatusCode),
            reason=info.lastReason,
            remote=info.remoteUri,
            sip_call_id=info.callIdString,
        )
        if info.state == pj.PJSIP_INV_STATE_DISCONNECTED:
            self._phone.forget(self.number)

    def onCallMediaState(self, _: pj.OnCallMediaStateParam) -> None:  # noqa: N802
        info = self.getInfo()
        for media in info.media:
            if media.type != pj.PJMEDIA_TYPE_AUDIO:
                continue
            self._phone.events.tell("media", call=self.number, media=MEDIA[media.status], dir=int(media.dir))
            if media.status in (pj.PJSUA_CALL_MEDIA_ACTIVE, pj.PJSUA_CALL_MEDIA_REMOTE_HOLD):
                self._join(self.getAudioMedia(media.index))

    def _join(self, audio: pj.AudioMedia) -> None:
        if self._ear is None:
            self._ear = Ear(self._phone.workdir / f"heard-{self.number}.raw")
        audio.startTransmit(self._ear)
        self._phone.mouth.startTransmit(audio)
        self._phone.fingers.startTransmit(audio)

    def onCallSdpCreated(self, created: pj.OnCallSdpCreatedParam) -> None:  # noqa: N802
        if self._phone.options.get("telephone_event") == "no":
            created.sdp.wholeSdp = without_events(created.sdp.wholeSdp)

    def onCallTransferStatus(self, status: pj.OnCallTransferStatusParam) -> None:  # noqa: N802
        self._phone.events.tell(
            "transfer", call=self.number, code=int(status.statusCode), reason=status.reason, final=bool(status.finalNotify)
        )

    def onDtmfDigit(self, digit: pj.OnDtmfDigitParam) -> None:  # noqa: N802
        self._phone.events.tell("digit", call=self.number, digit=digit.digit)


class PhoneAccount(pj.Account):  # type: ignore[misc]
    """The one account of the phone."""

    def __init__(self, phone: Phone) -> None:
        pj.Account.__init__(self)
        self._phone = phone

    def onRegState(self, state: pj.OnRegStateParam) -> None:  # noqa: N802
        self._phone.events.tell("registration", code=int(state.code), reason=state.reason, expiration=state.expiration)

    def onIncomingCall(self, incoming: pj.OnIncomingCallParam) -> None:  # noqa: N802
        call = PhoneCall(self._phone, incoming.callId)
        info = call.getInfo()
        self._phone.events.tell("incoming", call=call.number, remote=info.remoteUri, sip_call_id=info.callIdString)


class Phone:
    """Endpoint, account, calls; one method per command."""

    def __init__(self, events: Events, options: dict[str, str]) -> None:
        self.events = events
        self.options = options
        self.workdir = Path(options["workdir"])
        self.calls: dict[int, PhoneCall] = {}
        self._numbers = itertools.count(1)
        self._gone: list[PhoneCall] = []
        self._resume_tone_at: float | None = None
        self.endpoint = pj.Endpoint()
        self.endpoint.libCreate()
        self._log = (self.workdir / "pjsip.log").open("w", buffering=1, encoding="utf-8", errors="replace")
        self._writer = MessageLog(events, self._log)
        self._start_library()
        self.account = PhoneAccount(self)
        self._start_account()
        self.mouth = pj.ToneGenerator()
        self.mouth.createToneGenerator(RATE_HZ)
        self.fingers = pj.ToneGenerator()
        self.fingers.createToneGenerator(RATE_HZ)
        self._tone()
        events.tell("ready")

    def _start_library(self) -> None:
        config = pj.EpConfig()
        config.uaConfig.threadCnt = 0
        config.uaConfig.mainThreadOnly = True
        config.uaConfig.maxCalls = 8
        config.uaConfig.userAgent = f"PJSIP {self.endpoint.libVersion().full}"
        config.logConfig.level = int(self.options.get("log_level", "4"))
        config.logConfig.consoleLevel = config.logConfig.level
        config.logConfig.msgLogging = 1
        config.logConfig.writer = self._writer
        media = config.medConfig
        media.clockRate = media.sndClockRate = RATE_HZ
        media.channelCount = 1
        media.audioFramePtime = FRAME_US // 1000
        media.noVad = True
        media.ecTailLen = 0
        self.endpoint.libInit(config)
        self._writer.this.disown()
        transport = pj.TransportConfig()
        transport.port = 0
        transport.boundAddress = transport.publicAddress = "127.0.0.1"
        kind = pj.PJSIP_TRANSPORT_TCP if self.options["transport"] == "tcp" else pj.PJSIP_TRANSPORT_UDP
        transport_id = self.endpoint.transportCreate(kind, transport)
        self.endpoint.audDevManager().setNullDev()
        self.endpoint.libStart()
        wanted = self.options["codecs"].split(",")
        for codec in self.endpoint.codecEnum2():
            name = codec.codecId.split("/")[0]
            priority = 255 - wanted.index(name) if name in wanted else 0
            self.endpoint.codecSetPriority(codec.codecId, priority)
        address = self.endpoint.transportGetInfo(transport_id).localName
        self.address = f"{address};transport=tcp" if self.options["transport"] == "tcp" else address
        self.events.tell("listening", address=self.address)

    def _start_account(self) -> None:
        options = self.options
        config = pj.AccountConfig()
        config.mediaConfig.transportConfig.boundAddress = "127.0.0.1"
        # A port of its own, so that nothing meant for another phone is heard by this one.
        config.mediaConfig.transportConfig.port = random.randrange(4000, 19000, 100)
        config.mediaConfig.transportConfig.publicAddress = "127.0.0.1"
        if "registrar" in options:
            config.idUri = f'"{options["name"]}" <sip:{options["username"]}@{options["domain"]}>'
            suffix = ";transport=tcp" if options["transport"] == "tcp" else ""
            config.regConfig.registrarUri = f"sip:{options['registrar']}{suffix}"
            config.regConfig.registerOnAdd = False
            config.regConfig.timeoutSec = int(options.get("expires_s", "300"))
            config.regConfig.retryIntervalSec = 0
            config.sipConfig.proxies.append(f"sip:{options['registrar']};lr{suffix}")
            config.sipConfig.authCreds.append(pj.AuthCredInfo("digest", "*", options["username"], 0, options["password"]))
        else:
            config.idUri = f'"{options["name"]}" <sip:{options["username"]}@{self.address}>'
        if options.get("session_timer_s"):
            config.callConfig.timerUse = pj.PJSUA_SIP_TIMER_ALWAYS
            config.callConfig.timerSessExpiresSec = int(options["session_timer_s"])
        if options.get("reliable") == "yes":
            config.callConfig.prackUse = pj.PJSUA_100REL_MANDATORY
        if options.get("hold") == "c0":
            config.callConfig.holdType = pj.PJSUA_CALL_HOLD_TYPE_RFC2543
        self.account.create(config)

    def _tone(self) -> None:
        tone = pj.ToneDesc()
        tone.freq1 = int(self.options["tone_hz"])
        tone.freq2 = 0
        tone.on_msec = 1000
        tone.off_msec = 0
        tone.volume = 6000
        tones = pj.ToneDescVector()
        tones.append(tone)
        self.mouth.play(tones, True)

    def adopt(self, call: PhoneCall) -> int:
        """The number by which the other side knows the call; PJSIP's own are used again."""
        number = next(self._numbers)
        self.calls[number] = call
        return number

    def forget(self, number: int) -> None:
        gone = self.calls.pop(number, None)
        if gone is not None:
            self._gone.append(gone)  # not freed within its own callback

    # Commands. Each returns what the reply carries.

    def do_register(self, on: bool) -> None:
        self.account.setRegistration(on)

    def do_dial(self, target: str) -> int:
        call = PhoneCall(self)
        try:
            call.makeCall(target, self._op())
        except pj.Error:
            self.forget(call.number)
            raise
        return call.number

    def do_answer(self, call: int, code: int) -> None:
        self.calls[call].answer(self._op(code))

    def do_hangup(self, call: int, code: int) -> None:
        self.calls[call].hangup(self._op(code))

    def do_hold(self, call: int) -> None:
        self.calls[call].setHold(self._op())

    def do_resume(self, call: int) -> None:
        prm = self._op()
        prm.opt.flag = pj.PJSUA_CALL_UNHOLD
        self.calls[call].reinvite(prm)

    def do_reinvite(self, call: int) -> None:
        # PJSIP refuses while its last re-INVITE, or one of the other side's, has no answer yet.
        for tries_left in reversed(range(50)):
            try:
                self.calls[call].reinvite(self._op())
                return
            except pj.Error as error:
                if error.status != INVALID_NOW or not tries_left:
                    raise
                self.endpoint.libHandleEvents(50)

    def do_transfer(self, call: int, target: str, referred_by: bool) -> None:
        prm = self._op()
        if referred_by:
            header = pj.SipHeader()
            header.hName = "Referred-By"
            header.hValue = f"<sip:{self.options['username']}@{self.options.get('domain', '127.0.0.1')}>"
            prm.txOption.headers.append(header)
        self.calls[call].xfer(target, prm)

    def do_transfer_replacing(self, call: int, other: int) -> None:
        self.calls[call].xferReplaces(self.calls[other], self._op())

    def do_press(self, call: int, digits: str, how: str) -> None:
        if how == "inband":
            wanted = pj.ToneDigitVector()
            for key in digits:
                digit = pj.ToneDigit()
                digit.digit = key
                digit.on_msec, digit.off_msec, digit.volume = 120, 120, 8000
                wanted.append(digit)
            self.mouth.stop()
            self.fingers.playDigits(wanted)
            self._resume_tone_at = time.monotonic() + 0.3 * len(digits)
            return
        prm = pj.CallSendDtmfParam()
        prm.digits = digits
        prm.duration = 120
        prm.method = pj.PJSUA_DTMF_METHOD_RFC2833 if how == "rfc4733" else pj.PJSUA_DTMF_METHOD_SIP_INFO
        self.calls[call].sendDtmf(prm)

    def do_end(self) -> None:
        self.endpoint.hangupAllCalls()
        until = time.monotonic() + GOODBYE_S
        while self.calls and time.monotonic() < until:
            self.endpoint.libHandleEvents(5)
        for _ in range(4):
            self.endpoint.libHandleEvents(5)  # the answers to the last BYEs
        raise SystemExit

    @staticmethod
    def _op(code: int = 0) -> pj.CallOpParam:
        prm = pj.CallOpParam(True)
        prm.opt.audioCount = 1
        prm.opt.videoCount = 0
        if code:
            prm.statusCode = code
        return prm

    def run(self) -> None:
        """Serves commands and SIP until ``end`` or the end of standard input."""
        pending = b""
        while True:
            self.endpoint.libHandleEvents(5)
            self._gone.clear()
            if self._resume_tone_at is not None and time.monotonic() > self._resume_tone_at:
                self._resume_tone_at = None
                self._tone()
            if select.select([0], [], [], 0)[0]:
                received = os.read(0, 65536)
                if not received:
                    return
                *lines, pending = (pending + received).split(b"\n")
                for line in lines:
                    self._obey(json.loads(line))

    def _obey(self, command: dict[str, object]) -> None:
        number, verb = command.pop("id"), command.pop("do")
        try:
            result = getattr(self, f"do_{verb}")(**command)
        except (pj.Error, KeyError) as problem:
            why = problem.info() if isinstance(problem, pj.Error) else repr(problem)
            self.events.tell("reply", id=number, error=why)
        else:
            self.events.tell("reply", id=number, result=result)


def main() -> None:
    events = Events()
    try:
        phone = Phone(events, json.loads(sys.argv[1]))
        phone.run()
    except SystemExit:
        pass
    except Exception:  # noqa: BLE001 (whatever it was, the test wants to read it)
        events.tell("crash", text=traceback.format_exc())
    # Without PJSIP's orderly shutdown, which waits seconds for unregistration: the tests hang up and unregister by themselves.
    os._exit(0)


if __name__ == "__main__":
    main()
