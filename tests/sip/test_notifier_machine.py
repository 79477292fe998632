"""Whatever phones, lamps and crashes do: subscribers hear of every state in order, and in the end nothing is left.

The model knows what each subscription was told. Every NOTIFY of ours arrives; phones answer or refuse it, put it off, or say
nothing. What is written down is written after each step, as the switch does it.
"""

from __future__ import annotations

from dataclasses import dataclass

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from parkade.sip.message.message import Request, Response
from tests.sip.lamp import LampRig

LAMPS = ["desk", "hall"]
CALL = "call-1"


@dataclass(slots=True)
class Watch:
    """What a phone knows of one subscription: the dialog it is in, and what it was told."""

    call_id: str
    event: str
    lamp: str
    tag: str
    version: int = -1
    brightness: int = -1
    over: str = ""
    doubtful: bool = False
    """It has refused a NOTIFY, put one off, or let us wait too long: we may have given it up without another word."""


class Subscribers(RuleBasedStateMachine):
    """One user agent that tells of two lamps, many subscriptions of one phone, one of whose dialogs is a call's too."""

    def __init__(self) -> None:
        super().__init__()
        self.rig = LampRig()
        self.watches: list[Watch] = []
        self.waiting: list[Request] = []
        self.seqs: dict[str, int] = {}
        self.heard_seq: dict[str, int] = {}
        self.sent_at: dict[str, float] = {}
        self.count = 0
        self.brightness = 0
        self.is_prompt = False
        self.call_tag = ""
        self.call_is_up = False

    @initialize(with_call=st.booleans(), is_prompt=st.booleans())
    def begin(self, with_call: bool, is_prompt: bool) -> None:
        self.is_prompt = is_prompt
        if with_call:
            self.call_tag = self.rig.answered_call()
            self.seqs[CALL] = 1
            self.call_is_up = True
            self.hear()

    # What phones do

    @rule(lamp=st.sampled_from(LAMPS), expires=st.sampled_from(["0", "60", "300"]), in_call=st.booleans())
    def subscribe(self, lamp: str, expires: str, in_call: bool) -> None:
        self.count += 1
        in_call = in_call and self.call_is_up
        call_id = CALL if in_call else f"sub-{self.count}"
        event = f"lamp;id={self.count}"
        self.seqs[call_id] = self.seqs.get(call_id, 0) + 1
        tag = self.call_tag if in_call else ""
        self.watches.append(Watch(call_id, event, lamp, tag))
        self.rig.subscribe(lamp, self.seqs[call_id], expires=expires, event=event, to_tag=tag, call_id=call_id)
        self.hear()
        watch = self.watches[-1]
        assert watch.version == 0, "told at once"
        assert bool(watch.over) == (expires == "0")

    @precondition(lambda self: self.watches)
    @rule(data=st.data(), expires=st.sampled_from(["0", "60", "300", "5"]))
    def refresh(self, data: st.DataObject, expires: str) -> None:
        watch = data.draw(st.sampled_from(self.watches))
        self.seqs[watch.call_id] += 1
        if not any(s.event == watch.event for s in self.rig.us.ua.notifier.of_subscriber("phone")):
            # It is over. If its dialog lives on, by a call or another subscription, this begins a new one there.
            watch.version, watch.brightness, watch.over, watch.doubtful = -1, -1, "", False
            self.waiting = [notify for notify in self.waiting if self.watch_of(notify) is not watch]
        self.rig.subscribe(
            watch.lamp,
            self.seqs[watch.call_id],
            expires=expires,
            event=watch.event,
            to_tag=watch.tag,
            call_id=watch.call_id,
        )
        self.hear()
        watch.doubtful |= watch.version < 0

    @precondition(lambda self: self.waiting)
    @rule(data=st.data(), how=st.sampled_from(["200", "200", "200", "500", "503 later", "481", "404"]))
    def answer(self, data: st.DataObject, how: str) -> None:
        notify = data.draw(st.sampled_from(self.waiting))
        self.waiting.remove(notify)
        status, _, later = how.partition(" ")
        self.rig.reply(notify, int(status), extra="Retry-After: 7" if later else "")
        if how != "200":
            self.watch_of(notify).doubtful = True
        self.hear()

    @precondition(lambda self: self.call_is_up)
    @rule()
    def hang_up(self) -> None:
        self.seqs[CALL] += 1
        self.rig.ask("BYE", self.seqs[CALL], to_tag=self.call_tag, call_id=CALL)
        self.call_is_up = False
        self.hear()

    @rule(is_prompt=st.booleans())
    def change_manners(self, is_prompt: bool) -> None:
        """From now on the phone answers at once, or when it likes."""
        self.is_prompt = is_prompt
        self.hear()

    # What else happens

    @rule(lamp=st.sampled_from(LAMPS))
    def light(self, lamp: str) -> None:
        self.brightness += 1
        self.rig.light(lamp, self.brightness)
        self.hear()

    @rule(lamp=st.sampled_from(LAMPS))
    def break_down(self, lamp: str) -> None:
        self.rig.us.ua.notifier.changed("lamp", lamp, self.rig.now, over="noresource")
        self.hear()

    @rule(seconds=st.sampled_from([0.1, 1.0, 8.0, 40.0, 200.0]))
    def wait(self, seconds: float) -> None:
        self.rig.run(seconds)
        self.hear()
        for notify in self.waiting:
            if self.rig.now - self.sent_at[notify.top_via.branch or ""] > 31:
                self.watch_of(notify).doubtful = True

    @rule()
    def die(self) -> None:
        self.rig.die()
        self.waiting.clear()  # Whoever answers now answers nobody.
        self.hear()

    # What must hold

    def watch_of(self, notify: Request) -> Watch:
        event = notify.headers.get("Event")
        return next(watch for watch in self.watches if (watch.call_id, watch.event) == (notify.call_id, event))

    def hear(self) -> None:
        """The phone takes what was sent; we write down what has changed."""
        self.rig.write()
        self.rig.take()
        for message in self.rig.got:
            if isinstance(message, Response) and message.cseq.method == "SUBSCRIBE" and message.status == 200:
                for watch in self.watches:
                    if watch.call_id == message.call_id:
                        watch.tag = message.to.tag or ""
            if isinstance(message, Request) and message.method == "NOTIFY":
                branch = message.top_via.branch or ""
                if branch not in self.sent_at:
                    self.sent_at[branch] = self.rig.now
                    self.take(message)
        if self.is_prompt and self.waiting:
            self.rig.reply(self.waiting.pop(0), 200)
            self.hear()

    def take(self, notify: Request) -> None:
        seq, call_id = notify.cseq.number, notify.call_id
        assert seq > self.heard_seq.get(call_id, 0), "no number twice in a dialog, and rising"
        self.heard_seq[call_id] = seq
        watch = self.watch_of(notify)
        lamp, _, brightness, version = notify.body.decode().split()
        assert lamp == watch.lamp
        assert int(version[1:]) == watch.version + 1, "no version is lost or said twice"
        assert int(brightness) >= watch.brightness, "in order"
        assert not watch.over or watch.over == self.reason(notify), "an end is the end"
        watch.version += 1
        watch.brightness = int(brightness)
        watch.over = self.reason(notify)
        assert not any(self.watch_of(other) is watch for other in self.waiting), "one at a time"
        self.waiting.append(notify)

    @staticmethod
    def reason(notify: Request) -> str:
        state, _, reason = (notify.headers.get("Subscription-State") or "").partition(";reason=")
        return reason if state == "terminated" else ""

    @invariant()
    def whoever_lives_is_found(self) -> None:
        ua = self.rig.us.ua
        live = ua.notifier.of_subscriber("phone")
        assert sorted(s.id for lamp in LAMPS for s in ua.notifier.of_resource("lamp", lamp)) == sorted(s.id for s in live)
        for subscription in live:
            assert subscription in subscription.dialog.usages
            assert subscription.id in self.rig.journal
        assert all(usage_id in ua._usages for usage_id, _ in ua._timers._due), "no timer without its usage"
        assert set(self.rig.journal) == {s.id for s in live} | {s.id for s in self.rig.us.sessions[-1:] if self.call_is_up}

    def teardown(self) -> None:
        for lamp in LAMPS:
            self.light(lamp)
        for _ in range(60):
            while self.waiting:
                self.rig.reply(self.waiting.pop(), 200)
                self.hear()
            self.rig.run(0.3)
            self.hear()
            if not self.waiting:
                break
        self.rig.run(8)  # Whoever had put us off is told now.
        self.hear()
        live = {s.event: s for s in self.rig.us.ua.notifier.of_subscriber("phone")}
        for watch in self.watches:
            assert watch.event in live or watch.over or watch.doubtful, f"{watch} was forgotten"
            if watch.event in live and not watch.over:
                assert watch.brightness == self.rig.lamps.lit[watch.lamp], f"{watch} was not told"
        if self.call_is_up:
            self.hang_up()
        while self.waiting:
            self.rig.reply(self.waiting.pop(), 200)
            self.hear()
        self.rig.run(400)
        self.hear()
        self.rig.run(40)
        self.hear()
        assert len(self.rig.us.ua) == 0
        assert self.rig.us.ua.notifier.subscribers() == []
        assert self.rig.journal == {}


Subscribers.TestCase.settings = settings(max_examples=100, stateful_step_count=25, deadline=None)
TestSubscribers = Subscribers.TestCase
