"""A whole installation in simulated time: the switch, a pretended media process, phones, and a network between them.

::

    world = SimWorld()
    world.account("acme", {"101": "Alice", "102": "Bob"})
    alice, bob = world.phone("acme-101"), world.phone("acme-102")
    call = alice.call("102")
    world.run(1)
    bob.answer()
    world.run(1)
    assert call.hears(bob)
    bob.refer("*800")
    world.run(2)
    assert call.hears("music")

A phone acts at once, and what it sends travels when time passes, so a story is: act, ``run``, look.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from json import dumps, loads

from parkade.base.clock import Instant
from parkade.base.journal import Drop, Json, Keep
from parkade.base.sound import Music, Peer, Sound, Spoken, Tone
from parkade.calls.commands import Command, Reply, Result, Wanted
from parkade.calls.directory import (
    Account,
    Device,
    Directory,
    FeatureCodes,
    Lot,
    Owner,
    OwnerKind,
    ParkPolicy,
    RingGroup,
    Trunk,
)
from parkade.calls.effects import SlotChanged
from parkade.calls.events import CallEvent, Event, Happening
from parkade.sip.message.digest import ha1
from parkade.sip.message.flow import CloseFlow, Flow, Send, SipEffect
from parkade.switch.inputs import (
    DirectoryLoaded,
    FlowLost,
    MediaReport,
    Note,
    Received,
    SessionOfCall,
    SwitchEffect,
    SwitchInput,
)
from parkade.switch.secrets import REALM, DeviceSecret
from parkade.switch.switch import Switch
from parkade.testing.fake_call import FakeCall
from parkade.testing.media import PORTS, FakeMedia, MediaLeg
from parkade.testing.net import FAIR, Address, Weather
from parkade.testing.phone import FakePhone
from parkade.testing.simulation import Simulation

SERVER = Address("198.51.100.1", 5060)
"""Where the switch is, and where its media legs seem to be."""


class SimWorld(Simulation):
    """``switch`` is the real one, ``media`` a pretended one, ``events`` everything the switch announced, ``replies`` its
    answers to commands by their ids.

    ``strict``: an exception that the switch has caught inside itself is raised here, so that no story passes over it.
    ``journal`` is what has been kept, by key: all that a crash leaves of the switch.
    """

    def __init__(self, seed: int = 0, weather: Weather = FAIR, ports: range = PORTS) -> None:
        """``ports`` are all that the media process has."""
        super().__init__(seed, weather)
        self.media = FakeMedia(ports)
        self.events: list[Event] = []
        self.notes: list[str] = []
        self.sessions: dict[str, list[str]] = {}
        """By call: the Call-IDs of all sessions that it has had."""
        self.replies: dict[str, Reply] = {}
        """By command (``ask``)."""
        self._asked = 0
        self.strict = True
        self.journal: dict[str, Json] = {}
        self.directory = Directory()
        self._secrets: dict[str, DeviceSecret] = {}
        self.switch = self.new_switch()
        self._phones: list[FakePhone] = []
        self._server = _Server(self)
        self.attach(SERVER, self._server)

    # Building it

    def account(
        self,
        slug: str,
        users: Mapping[str, str],
        *,
        common_areas: Mapping[str, str] | None = None,
        lot: tuple[int, int] = (801, 899),
        policy: ParkPolicy = ParkPolicy(),  # noqa: B008 - frozen
        language: str = "en",
        ring_groups: Sequence[RingGroup] = (),
        feature_codes: FeatureCodes = FeatureCodes(),  # noqa: B008 - frozen
    ) -> Account:
        """Create an account, or change it; each extension gets a device ``slug-extension`` and one lot serves all.

        ``users`` and ``common_areas`` are names by extension. For anything else ``load`` a changed directory.
        """
        people = [(ext, name, OwnerKind.USER) for ext, name in users.items()]
        places = [(ext, name, OwnerKind.COMMON_AREA) for ext, name in (common_areas or {}).items()]
        owners = {ext: Owner(ext, name, kind, language, devices=(f"{slug}-{ext}",)) for ext, name, kind in (*people, *places)}
        account = Account(
            slug,
            slug.title(),
            language,
            owners=owners,
            ring_groups={group.extension: group for group in ring_groups},
            lots={"": Lot("main", *lot, policy)},
            feature_codes=feature_codes,
        )
        others = {id_: device for id_, device in self.directory.devices.items() if device.account != slug}
        devices = {f"{slug}-{ext}": Device(f"{slug}-{ext}", slug, ext) for ext in owners}
        self.load(Directory({**self.directory.accounts, slug: account}, {**others, **devices}))
        return account

    def device(
        self, id_: str, account: str, extension: str, address: str | None = None, destination: str | None = None
    ) -> None:
        """Give an extension one more device, or the account a gateway."""
        device = Device(id_, account, extension, address=address, destination=destination)
        changed = self.directory.accounts[account]
        owner = changed.owners.get(extension)
        if owner is not None:
            owner = replace(owner, devices=(*owner.devices, id_))
            changed = replace(changed, owners={**changed.owners, extension: owner})
        accounts = {**self.directory.accounts, account: changed}
        self.load(Directory(accounts, {**self.directory.devices, id_: device}))

    def trunk(
        self, name: str, account: str, address: Address, inbound: Mapping[str, str] | None = None, number: str = ""
    ) -> Trunk:
        """Give an account a line to the telephone network; ``phone`` with its id plays the carrier."""
        changed = self.directory.accounts[account]
        trunk = Trunk(f"{account}/{name}", account, name, *address, number=number, inbound=inbound or {})
        changed = replace(changed, trunks={**changed.trunks, trunk.id: trunk})
        self.load(Directory({**self.directory.accounts, account: changed}, self.directory.devices))
        return trunk

    def load(self, directory: Directory) -> None:
        """Give the switch a new directory. Every device has the password ``secret of <id>``."""
        self.directory = directory
        for id_ in directory.devices:
            if id_ not in self._secrets:
                md5, sha256 = (ha1(id_, REALM, password_of(id_), algorithm) for algorithm in ("MD5", "SHA-256"))
                self._secrets[id_] = DeviceSecret(md5, sha256)
        self._server.tell(DirectoryLoaded(directory, dict(self._secrets)))

    def tell(self, given: SwitchInput) -> None:
        """Tell the switch something that comes neither from a phone nor from the media process."""
        self._server.tell(given)

    def ask(self, account: str, wanted: Wanted) -> str:
        """Have a command executed. Gives its id; the answer is in ``replies``, sooner or later."""
        self._asked += 1
        id_ = f"ask-{self._asked}"
        self.tell(Command(id_, account, wanted))
        return id_

    def answer_to(self, account: str, wanted: Wanted) -> Result:
        """The result of a command that is answered at once. Raises AssertionError if it is refused, or not."""
        reply = self.replies[self.ask(account, wanted)]
        assert reply.refusal is None, reply.refusal
        return reply.result

    def crash_signalling(self, down_s: float = 0.0) -> None:
        """The switch is killed; ``down_s`` later a new one goes on with what was kept. Media lives, and every stream breaks."""
        self._server.crash(down_s)

    def crash_signalling_after(self, effects: int | None, down_s: float = 0.0) -> None:
        """Have the switch killed as soon as it has performed so many effects more: the next one never happens.

        Effects happen as in the product: orders to media at once, then what is kept, then messages and events. None: never.
        """
        self._server.crash_after(effects, down_s)

    @property
    def is_up(self) -> bool:
        """Whether the switch is there, and not between a crash and its return."""
        return self._server.is_up

    def crash_media(self) -> None:
        """The media process is killed and another one is there at once."""
        self.media.restart()
        self._server.listen_to_media()

    def phone(
        self, device: str, *, transport: str = "UDP", nat: bool = False, password: str | None = None, register: bool = True
    ) -> FakePhone:
        """Plug in a phone for ``device`` and wait until it is registered.

        Behind ``nat`` it believes in a private address. Several phones may be of the same device.
        """
        number = len(self._phones) + 1
        address = self._device_address(device) or Address(f"192.0.2.{number}", 5060)
        known = self.directory.endpoint(device)
        phone = FakePhone(
            device,
            password_of(device) if password is None else password,
            address,
            Flow(transport, *SERVER),
            self,
            self.ids(),
            domain=f"{known.account if known else 'nowhere'}.example.com",
            private_host=f"10.0.0.{number}" if nat else None,
        )
        self._phones.append(phone)
        self.attach(address, phone)
        if register:
            phone.register()
            self.run_until(lambda: phone.registered, within_s=40.0)
        return phone

    def unplug(self, phone: FakePhone) -> None:
        """Cut the power of a phone: it says nothing more, and whoever calls it hears nothing of it."""
        self.detach(phone.address)
        self._phones.remove(phone)

    def signalling_died(self) -> None:
        """Called when signalling has been killed. For subclasses."""

    def signalling_is_back(self) -> None:
        """Called when signalling was started again and has restored what was kept. For subclasses."""

    @property
    def is_down(self) -> bool:
        """Whether there is no signalling just now."""
        return self._server.is_down

    # Looking at it

    def new_switch(self) -> Switch:
        """A switch that knows the directory and nothing else."""
        return Switch(self.directory, dict(self._secrets), self.ids(), lambda _: SERVER, traces=True)

    def break_streams(self) -> None:
        """Every connection to the server breaks."""
        for phone in self._phones:
            for flow in self.net.streams(phone.address):
                self.net.break_stream(flow, self.now)

    def event_types(self) -> list[type[CallEvent]]:
        """The classes of all events of calls so far, in order."""
        return [type(event) for event in self.call_events()]

    def call_events(self) -> list[CallEvent]:
        """All events of calls so far."""
        return [event for event in self.events if isinstance(event, CallEvent)]

    def hearing(self, call: FakeCall) -> str:
        """What a call hears, by the orders that the media process has and by what its phone has agreed to.

        Values as in ``FakeCall.hearing``.
        """
        return _Ears(self.media, self._phones).hearing(call)

    def press_in_rtp(self, call: FakeCall, keys: str) -> None:
        """Let the media process hear ``keys`` from a call; they are lost, as packets are, if nothing is open where they go."""
        agreed = call.negotiator.agreed
        leg = self.media.on_port(agreed.port) if agreed is not None and agreed.sends else None
        if leg is not None:
            self.media.press(leg.id, keys)
            self._server.listen_to_media()

    def assert_nothing_leaks(self, within_s: float = 120.0) -> None:
        """Check that all is given back once everybody has hung up: legs, dialogs, transactions, ports, timers, in both worlds.

        Raises AssertionError with what is left.
        """
        for phone in self._phones:
            assert not phone.live, f"{phone.name} has calls: {phone.live}"
        self.run_until_quiet(within_s)
        left = {kind: count for kind, count in self.switch.counts().items() if kind not in ("bindings", "ports") and count}
        assert not left, f"the switch still has {left}"
        assert not self.media.legs, f"media legs are still open: {[*self.media.legs]}"
        for phone in self._phones:
            assert phone.alive == 0, f"{phone.name} still has {phone.alive} things alive"

    def run_until_quiet(self, within_s: float) -> None:
        """As ``Simulation`` says; registrations may last."""
        self._server.of_calls = True
        try:
            super().run_until_quiet(within_s)
        finally:
            self._server.of_calls = False

    def settled(self) -> None:
        """Note what each call hears whenever something has happened."""
        ears = _Ears(self.media, self._phones)
        for leg in self.media.legs.values():
            if isinstance(leg.sound, Peer) and not leg.begun:
                leg.begun = ears.spell(leg.sound) != "silence"
        for phone in self._phones:
            for call in phone.live:
                hearing = ears.hearing(call)
                if not call.heard or call.heard[-1][1] != hearing:
                    call.heard.append((self.now, hearing))

    def _device_address(self, device: str) -> Address | None:
        known = self.directory.endpoint(device)
        if isinstance(known, Trunk):
            return Address(known.host, known.port)
        return Address(known.address, 5060) if known is not None and known.address else None


class _Ears:
    """Who hears what at one instant: the legs of the media process by where they send, the phones by where they send."""

    def __init__(self, media: FakeMedia, phones: Sequence[FakePhone]) -> None:
        self._legs = media.legs
        self._toward: dict[tuple[str, int], MediaLeg] = {}
        for leg in media.legs.values():
            if leg.described is not None:
                self._toward.setdefault((leg.described.address, leg.described.port), leg)
        self._talkers: dict[int, str] = {}
        for phone in phones:
            for call in phone.live:
                agreed = call.negotiator.agreed
                if agreed is not None and agreed.sends and agreed.address == SERVER.host:
                    self._talkers.setdefault(agreed.port, phone.name)

    def hearing(self, call: FakeCall) -> str:
        """As ``SimWorld.hearing``."""
        leg = self._toward.get((call.phone.host, call.rtp_port))
        agreed = call.negotiator.agreed
        if leg is None or leg.described is None or not leg.described.sends or agreed is None or not agreed.receives:
            return "silence"
        heard = self.spell(leg.sound)
        return self.spell(leg.before) if heard == "silence" and isinstance(leg.sound, Peer) and not leg.begun else heard

    def spell(self, sound: Sound) -> str:
        """A sound in the words of ``FakeCall.hearing``."""
        match sound:
            case Music():
                return "music"
            case Tone(name):
                return name
            case Spoken(phrases=phrases):
                return " ".join(phrases)
            case Peer(leg):
                return self._talker(self._legs[leg])
            case _:
                return "silence"

    def _talker(self, leg: MediaLeg) -> str:
        """Whose voice comes in on ``leg``: that of a phone that sends to it and is listened to."""
        if leg.described is None or not leg.described.receives:
            return "silence"
        return self._talkers.get(leg.port, "silence")


class _Server:
    """The switch and its media process as one machine on the network."""

    def __init__(self, world: SimWorld) -> None:
        self._world = world
        self._out: list[SipEffect] = []
        self.is_down = False
        self.of_calls = False
        """Whether registrations that will expire some day are nothing to wait for."""
        self._crash_after: int | None = None
        self._down_s = 0.0
        self.listen_to_media()

    def receive(self, flow: Flow, data: bytes, now: Instant) -> None:
        self.tell(Received(flow, data))

    def flow_lost(self, flow: Flow, now: Instant) -> None:
        self.tell(FlowLost(flow))

    def deadline(self) -> Instant | None:
        of_switch = None if self.is_down else self._world.switch.deadline(of_calls=self.of_calls)
        due = (of_switch, self._world.media.deadline())
        return min((at for at in due if at is not None), default=None)

    def wake(self, now: Instant) -> None:
        self._world.media.wake(now)
        self.listen_to_media()
        if not self.is_down:
            self._perform(self._world.switch.wake(now))

    def drain(self) -> list[SipEffect]:
        effects, self._out = self._out, []
        return effects

    def tell(self, given: SwitchInput) -> None:
        """One input and everything that follows, the media process's reports included. A switch that is down hears nothing."""
        if not self.is_down:
            self._perform(self._world.switch.tell(given, self._world.now))

    def listen_to_media(self) -> None:
        """Pass on what the media process has to say."""
        if self.is_down:
            return
        for report in self._world.media.drain():
            self.tell(MediaReport(report))

    # Crashes

    @property
    def is_up(self) -> bool:
        """Whether the switch is there."""
        return not self.is_down

    def crash_after(self, effects: int | None, down_s: float) -> None:
        """Crash when so many effects more have been performed."""
        self._crash_after, self._down_s = effects, down_s

    def crash(self, down_s: float) -> None:
        """The switch is gone with all that it knew; what it has sent is on its way."""
        self._crash_after = None
        self.is_down = True
        self._world.signalling_died()
        self._world.break_streams()
        if down_s > 0:
            self._world.after(down_s, self._restart)
        else:
            self._restart()

    def _restart(self) -> None:
        if not self.is_down:
            return
        world = self._world
        self.is_down = False
        world.switch = world.new_switch()
        # What is kept is plain JSON, and comes back as such.
        self._perform(world.switch.restore(loads(dumps(world.journal)), world.now))
        if not self.is_down:
            world.media.reconnect()
            self.listen_to_media()
        world.signalling_is_back()

    def _crashes_now(self) -> bool:
        if self._crash_after is None:
            return False
        self._crash_after -= 1
        return self._crash_after < 0

    def _perform(self, effects: Sequence[SwitchEffect]) -> None:
        for effect in sorted(effects, key=_when):
            if self._crashes_now():
                self.crash(self._down_s)
                return
            match effect:
                case Send() | CloseFlow():
                    self._out.append(effect)
                case Keep(key, value):
                    self._world.journal[key] = value
                case Drop(key):
                    self._world.journal.pop(key, None)
                case Happening():
                    self._world.events.append(effect)
                case Note(text, error):
                    if error is not None and self._world.strict:
                        raise error
                    self._world.notes.append(text)
                case Reply():
                    self._world.replies[effect.id] = effect
                case SessionOfCall(_, call, call_id):
                    self._world.sessions.setdefault(call, []).append(call_id)
                case SlotChanged():
                    pass
                case _:
                    self._world.media.perform(effect, self._world.now)
        self.listen_to_media()


def _when(effect: SwitchEffect) -> int:
    """Orders do not wait for what is kept; messages and events do."""
    match effect:
        case Keep() | Drop():
            return 1
        case Send() | CloseFlow() | Happening() | SlotChanged() | Reply() | SessionOfCall():
            return 2
        case _:
            return 0


def password_of(device: str) -> str:
    """The password of every device in a simulated world."""
    return f"secret of {device}"
