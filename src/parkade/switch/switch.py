"""The whole product without its sockets: SIP in, SIP and media orders out.

Told bytes, media reports and a new directory; answers with effects. Everything inside happens at once: one input, all
that follows from it, then the next. Call control never sees a message and SIP never sees a lot; this room translates.

Limits of this version: one process; no event packages yet but that of transfers, so SUBSCRIBE is answered 489.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from parkade.base.clock import Instant
from parkade.base.ids import Ids
from parkade.base.journal import Drop, Json, Keep
from parkade.base.timers import Timers
from parkade.calls import refusals
from parkade.calls.commands import CallDetail, Command, LiftBan, ListBanned, ListRegistered, Registered, Reply
from parkade.calls.control import CallControl
from parkade.calls.directory import Device, Directory, Endpoint, Trunk
from parkade.calls.effects import Effect
from parkade.calls.events import DeviceRegistered, DevicesResumed, DeviceUnregistered, SourceBanned
from parkade.calls.identity import Identity
from parkade.calls.inputs import Cause, DirectoryChanged, Input, LegArrived, LegEnded
from parkade.calls.refusals import Refusal
from parkade.calls.route import SlotCode, route
from parkade.rtp.offer_answer import NotAcceptable
from parkade.rtp.orders import (
    Inventory,
    KeyHeard,
    LegClosed,
    LegFailed,
    LegSilent,
    LegState,
    PortsExhausted,
    PortsReady,
    PromptEnded,
    Recorded,
    Report,
)
from parkade.rtp.sdp import SdpError
from parkade.sip.message.errors import SipError
from parkade.sip.message.flow import Flow
from parkade.sip.message.grammar import readable
from parkade.sip.message.headers import Replaces, parse_replaces
from parkade.sip.message.message import Request, make_response
from parkade.sip.session.capabilities import ACCEPT_LINE, ALLOW_LINE, SUPPORTED_LINE
from parkade.sip.session.session import Session
from parkade.sip.session.subscription import Subscription
from parkade.sip.session.ua import UserAgent
from parkade.sip.session.usage import Usage
from parkade.sip.transaction.layer import ServerTransaction
from parkade.switch.address import dialled_of, name_of, number_of
from parkade.switch.contact import Phone, read_contact
from parkade.switch.flows import LostFlows
from parkade.switch.gate import Gate, Unknown
from parkade.switch.guesses import GuessLimits
from parkade.switch.inputs import (
    AccountLoaded,
    DirectoryLoaded,
    Drain,
    FlowLost,
    HangUp,
    MediaReport,
    Note,
    Received,
    SessionOfCall,
    SwitchEffect,
    SwitchInput,
)
from parkade.switch.keeping import Keeping
from parkade.switch.leg import Attempt, PhoneLeg, Wiring
from parkade.switch.legs import Legs
from parkade.switch.mishaps import mishap
from parkade.switch.ports import AnnouncedPorts
from parkade.switch.registrar import Answer, Registrar
from parkade.switch.secrets import DeviceSecret
from parkade.switch.statuses import BAD_DESCRIPTION, BAD_REPLACES, DRAINING, refusal_headers, status_of
from parkade.switch.subscriptions import PhonePackage, Subscriptions
from parkade.switch.transfers import Transfers

NOTE_AGAIN_S = 60.0
MAX_NOTED_HOSTS = 1000


class _RefusedError(Exception):
    """An INVITE that gets no further than this room."""

    def __init__(self, refusal: Refusal) -> None:
        super().__init__(refusal.id)
        self.refusal = refusal


class Switch:
    """A pure machine with three verbs: ``tell``, ``deadline``, ``wake``."""

    def __init__(
        self,
        directory: Directory,
        secrets: Mapping[str, DeviceSecret],
        ids: Ids,
        advertise: Callable[[Flow], tuple[str, int]],
        *,
        keeps: bool = True,
        packages: Sequence[PhonePackage] = (),
        traces: bool = False,
        limits: GuessLimits = GuessLimits(),  # noqa: B008 - frozen
    ) -> None:
        """``advertise`` gives the host and SIP port under which the peer of a flow reaches us.

        ``keeps``: give ``Keep`` and ``Drop``, so that a later ``restore`` can go on. ``packages``: what phones may
        subscribe to. ``traces``: give ``SessionOfCall``. ``limits``: how often somebody may guess at passwords.
        """
        self._out: list[SwitchEffect] = []
        self._inputs: deque[Input] = deque()
        self._ids = ids
        self._devices = dict(directory.devices)
        """Those of the directory in force, changed in place: a copy of ten thousand takes long."""
        self._directory = Directory(directory.accounts, self._devices)
        self._draining = False
        self._inventory: dict[str, int] | None = None
        self._noted: dict[str, Instant] = {}
        self._ports = AnnouncedPorts()
        self._control = CallControl(self._directory, ids)
        self._registrar = Registrar()
        self._gate = Gate(directory, secrets, ids, limits, self._registrar.is_registered_on)
        self._registered: dict[str, tuple[str, str]] = {}
        """Devices that were told to be registered, with their accounts and extensions."""
        self._lost = LostFlows()
        self._identified: Endpoint | None = None
        self._ua = UserAgent(self, ids, advertise, admit=self._let_in, keeps=keeps, packages=packages)
        self._subscriptions = Subscriptions(self._ua.notifier, packages)
        self._transfers = Transfers(self._ua.notifier, self._leg_by_dialog)
        self._wiring = Wiring(
            out=self._out,
            inputs=self._inputs,
            ids=ids,
            ports=self._ports,
            advertise=advertise,
            referred=self._transfers.asked,
            find=self._find_leg,
            gone=self._leg_gone,
            remind=self._remind_leg,
            traces=traces,
        )
        self._legs = Legs(self._ua, self._registrar, self._wiring, self._transfers, self._endpoint)
        self._keeping = Keeping(self._ua, self._registrar, self._legs, self._wiring) if keeps else None
        self._timers: tuple[Timers[Any], ...] = (*self._ua.timers, self._control.timers, self._legs.timers)
        self._all_timers: tuple[Timers[Any], ...] = (*self._timers, self._registrar.timers)

    # The three verbs

    def tell(self, given: SwitchInput, now: Instant) -> list[SwitchEffect]:
        """One input and everything that follows from it. Raises nothing, whatever peers send: a fault of ours is noted."""
        try:
            self._take(given, now)
        except Exception as error:  # noqa: BLE001 - what was decided before the fault must still be done
            self._out.append(mishap(given, error))
        return self._settle(now)

    def _take(self, given: SwitchInput, now: Instant) -> None:
        match given:
            case Received(flow, data):
                error = self._ua.receive(flow, data, now)
                if error is not None:
                    self._note_garbage(flow, error, now)
            case MediaReport(report):
                self._heard_from_media(report, now)
            case FlowLost(flow):
                self._flow_lost(flow, now)
            case DirectoryLoaded():
                self._load(given, now)
            case AccountLoaded():
                self._load_account(given, now)
            case Command(command=ListRegistered()):
                self._out.append(Reply(given.id, self._list_registered(given.account, now)))
            case Command(command=ListBanned()):
                self._out.append(Reply(given.id, self._gate.guesses.banned(now)))
            case Command(command=LiftBan(source)):
                self._gate.guesses.lift(source)
                self._out.append(Reply(given.id))
            case Command():
                self._inputs.append(given)
            case Drain():
                self._draining = True
            case HangUp():
                self._legs.hang_up(now)

    def restore(self, kept: Mapping[str, Json], now: Instant) -> list[SwitchEffect]:
        """Go on where the last process stopped; told once, before anything else. ``kept`` is all that was kept, by key.

        Media is ordered nothing before it has said what it has (``Inventory``). Raises nothing: what cannot be read is noted.
        """
        assert self._keeping is not None
        self._wiring.in_sync = False
        try:
            drops, lost = self._keeping.restore(kept, now)
            self._out += drops
            for id_ in self._registrar.devices():
                if id_ not in self._directory.devices:
                    self._registrar.forget(id_)
            for id_ in self._ua.notifier.subscribers():
                if id_ not in self._directory.devices:
                    self._subscriptions.end(id_, now)
            self._resume_registrations(now)
            self._perform(self._control.restore(kept, now, lost), now)
            self._transfers.unknown_to(self._control.transfers(), now)
            known = self._control.legs()
            self._inputs.extend(
                [LegEnded(id_, established=False, cause=Cause.LOST) for id_ in known if self._legs.get(id_) is None]
            )
            for leg in self._legs.all():
                if leg.id not in known and leg.session is not None:
                    leg.session.end(now)
        except Exception as error:  # noqa: BLE001 - what could be restored goes on
            self._out.append(mishap(self, error))
        return self._settle(now)

    def deadline(self, *, of_calls: bool = False) -> Instant | None:
        """When ``wake`` wants to be called next; ``of_calls``: not counting registrations, which wait to expire all day."""
        earliest = self._ports.deadline()
        for timers in self._timers if of_calls else self._all_timers:
            at = timers.next
            if at is not None and (earliest is None or at < earliest):
                earliest = at
        if self._keeping is not None:
            at = self._keeping.deadline()
            if at is not None and (earliest is None or at < earliest):
                earliest = at
        return earliest

    def wake(self, now: Instant) -> list[SwitchEffect]:
        """Perform everything that is due at ``now``. Raises nothing, like ``tell``."""
        for due in (self._ua.wake, self._legs.wake, self._wake_control, self._ports.serve, self._registrar.wake):
            try:
                due(now)
            except Exception as error:  # noqa: BLE001 - the others' time has come too
                self._out.append(mishap(due, error))
        return self._settle(now)

    def _wake_control(self, now: Instant) -> None:
        self._perform(self._control.wake(now), now)

    def details(self) -> list[CallDetail]:
        """Every call there is, as programs see it, whichever account it is of."""
        return self._control.details()

    def registered(self, now: Instant) -> set[str]:
        """Every device that can be called."""
        return {id_ for id_ in self._registrar.devices() if self._registrar.bindings(id_, now)}

    def counts(self) -> dict[str, int]:
        """What is alive, by kind; all but ``bindings`` and ``ports`` are zero when nobody calls."""
        return {
            "legs": len(self._legs),
            "sip": len(self._ua),
            "calls": len(self._control),
            "parked": self._control.parked,
            "transfers": len(self._transfers),
            "bindings": len(self._registrar),
            "ports": len(self._ports),
            "waiting": self._ports.waiting,
        }

    def sip_call_ids(self, account: str, call: str) -> list[str] | None:
        """The Call-IDs of the sessions that a call of the account has now; None if there is no such call."""
        known = self._control.legs_of(account, call)
        if known is None:
            return None
        return [call_id for leg in known if (there := self._legs.get(leg)) is not None for call_id in there.call_ids()]

    def _note_garbage(self, flow: Flow, error: SipError, now: Instant) -> None:
        # Whoever sends garbage sends a lot of it: one line a minute and host, and a bound on hosts.
        if now < self._noted.get(flow.host, now):
            return
        if len(self._noted) >= MAX_NOTED_HOSTS:
            self._noted.clear()
        self._noted[flow.host] = now + NOTE_AGAIN_S
        self._out.append(Note(f"{flow.host}:{flow.port} sent what is no SIP: {str(error)!r}"))

    def _settle(self, now: Instant) -> list[SwitchEffect]:
        while self._inputs:
            given = self._inputs.popleft()
            try:
                self._perform(self._control.tell(given, now), now)
            except Exception as error:  # noqa: BLE001 - the inputs after it are about other calls
                self._out.append(mishap(given, error))
        if self._wiring.began:
            self._say_what_began()
        if self._registrar.news:
            self._tell_registrations(now)
        if self._gate.guesses.news:
            self._tell_guesses(now)
        # Media first: a phone must find its leg ready when the answer reaches it. What is kept comes before what promises it,
        # and calls before legs: what a leg may tell its phone after a crash is only what its call knows too.
        changes: Sequence[Keep | Drop] = self._keeping.changes(now) if self._keeping is not None else ()
        effects: list[SwitchEffect] = [*self._out, *changes, *self._ua.out]
        self._out.clear()
        self._ua.out.clear()
        return effects

    def _say_what_began(self) -> None:
        for leg, call_id in self._wiring.began:
            if (where := self._control.call_of(leg)) is not None:
                self._out.append(SessionOfCall(*where, call_id))
        self._wiring.began.clear()

    def _perform(self, effects: list[Effect], now: Instant) -> None:
        for effect in effects:
            self._legs.perform(effect, now)

    # What the user agent hands up (AgentOwner)

    def _let_in(self, request: Request, flow: Flow, now: Instant) -> Answer | None:
        """Asked before anything is kept for a request: an INVITE of nobody we know gets its challenge, and nothing more."""
        if request.method != "INVITE":
            return None
        try:
            endpoint = self._gate.identify(request, flow, now)
        except Exception as error:  # noqa: BLE001 - the sender gets an answer
            self._out.append(mishap(request, error))
            return 500, []
        if isinstance(endpoint, Unknown):
            return endpoint.status, endpoint.headers
        self._identified = endpoint
        return None

    def on_invite(self, session: Session, now: Instant) -> None:
        """A new call."""
        try:
            self._invited(session, now)
        except Exception as error:  # noqa: BLE001 - the caller gets an answer, and no session is left without an owner
            self._out.append(mishap(session.request, error))
            session.reject(500, now=now)

    def _invited(self, session: Session, now: Instant) -> None:
        endpoint, self._identified = self._identified, None
        assert endpoint is not None, "whoever is not identified is not let in"
        if self._ports.are_coming and not self._draining:
            # Nobody is refused for want of a port that exists; the phone is told 100 Trying meanwhile.
            self._ports.wait(lambda at: self._begin(endpoint, session, at), now)
        else:
            self._begin(endpoint, session, now)

    def _begin(self, endpoint: Endpoint, session: Session, now: Instant) -> None:
        if not session.is_unanswered:
            return  # The caller gave up while waiting for a port.
        if self._directory.endpoint(endpoint.id) is None:
            session.reject(403, now=now)  # It was removed meanwhile.
            return
        caller = self._outside_caller(endpoint, session)
        leg = PhoneLeg(
            self._ids.token(), endpoint.id, endpoint.account, self._wiring, dialled_of(session.request), session, caller is None
        )
        try:
            replaced, early_only = self._replaced(session.request, endpoint)
            self._admit(leg)
        except _RefusedError as error:
            leg.release()
            refusal = error.refusal
            self._out.append(Note(f"{endpoint.id} could not call {leg.dialled!r}: {refusal.id}: {refusal.en}"))
            session.reject(status_of(refusal), headers=refusal_headers(refusal), now=now)
            return
        except Exception:
            leg.release()
            raise
        session.handler, session.data = leg, leg.id
        leg.phone = self._phone_of(endpoint, session, now)
        self._legs.add(leg)
        self._wiring.session_began(leg.id, session)
        self._inputs.append(LegArrived(leg.id, endpoint.id, leg.dialled, replaced.id if replaced else None, caller, early_only))

    def _phone_of(self, endpoint: Endpoint, session: Session, now: Instant) -> Phone | None:
        """Which phone calls: by its registration on this flow, else by its Contact alone."""
        contacts = [contact for value in session.request.headers.all("Contact") if (contact := read_contact(value)) is not None]
        if not contacts:
            return None
        calling = Phone(contacts[0].uri, contacts[0].param("+sip.instance") or None)
        bindings = self._registrar.bindings(endpoint.id, now)
        registered = next((b.phone for b in bindings if b.flow == session.flow and b.phone.is_same(calling)), None)
        return calling._replace(call_id=registered.call_id) if registered is not None else calling

    def _dials_a_code(self, leg: PhoneLeg) -> bool:
        """Whether it may be a call to somebody who is parked: that one is not new, and would wait for nobody otherwise."""
        account = self._directory.accounts.get(leg.account)
        return account is not None and isinstance(route(account, leg.dialled), SlotCode)

    def _admit(self, leg: PhoneLeg) -> None:
        if self._draining and not self._dials_a_code(leg):
            raise _RefusedError(DRAINING)
        if not len(self._ports):
            raise _RefusedError(refusals.NO_CAPACITY)
        try:
            leg.consider_offer()
        except NotAcceptable:
            raise _RefusedError(refusals.INCOMPATIBLE) from None
        except SdpError:
            raise _RefusedError(BAD_DESCRIPTION) from None

    def _replaced(self, request: Request, endpoint: Endpoint) -> tuple[PhoneLeg | None, bool]:
        """The leg that an INVITE with Replaces is to take the place of, and whether only if it still rings (:rfc:`3891`)."""
        values = request.headers.all("Replaces")
        if not values:
            return None, False
        try:
            (value,) = values  # More than one get 400, like one that cannot be read (section 3).
            replaces = parse_replaces(value)
        except (SipError, ValueError):
            raise _RefusedError(BAD_REPLACES) from None
        replaced = self._leg_by_dialog(replaces)
        if replaced is None or replaced.account != endpoint.account:
            raise _RefusedError(refusals.NO_SUCH_CALL)
        return replaced, replaces.early_only

    def on_request(self, tx: ServerTransaction, now: Instant) -> None:
        """A request outside of any dialog that is not an INVITE."""
        request = tx.request
        if request.method == "OPTIONS":
            # Unauthenticated on purpose: phones use it as a keepalive, and it says nothing that a 401 would not.
            tx.respond(make_response(request, 200, to_tag=tx.to_tag, headers=_CAPABILITIES), now)
            return
        try:
            answer = self._answer_to(request, tx, now)
        except SipError:
            raise
        except Exception as error:  # noqa: BLE001 - the sender gets an answer
            self._out.append(mishap(request, error))
            answer = 500, []
        if answer is not None:
            status, headers = answer
            tx.respond(make_response(request, status, to_tag=tx.to_tag, headers=headers), now)

    def on_subscribe(self, tx: ServerTransaction, beside: Usage, now: Instant) -> None:
        """A phone asks for a subscription in the dialog of a call, or of another subscription, that it has."""
        device_id = ""
        if isinstance(beside, Subscription):
            device_id = beside.subscriber
        elif isinstance(beside, Session) and isinstance(beside.handler, PhoneLeg):
            device_id = beside.handler.endpoint
        device = self._directory.devices.get(device_id)
        if device is None:
            tx.respond(make_response(tx.request, 403, to_tag=tx.to_tag), now)
            return
        try:
            self._subscriptions.asked(device, tx, now)
        except SipError:
            raise
        except Exception as error:  # noqa: BLE001 - the sender gets an answer
            self._out.append(mishap(tx.request, error))
            tx.respond(make_response(tx.request, 500, to_tag=tx.to_tag), now)

    def _answer_to(self, request: Request, tx: ServerTransaction, now: Instant) -> Answer | None:
        device = self._gate.identify(request, tx.flow, now)
        if isinstance(device, Unknown):
            return device.status, device.headers
        if isinstance(device, Trunk):
            return 403, []  # From a carrier come calls, and nothing else.
        if request.method == "REGISTER":
            return self._register(device, tx, now)
        if request.method == "SUBSCRIBE":
            self._subscriptions.asked(device, tx, now)
            return None
        if request.method == "REFER":
            return 403, []
        return 405, [ALLOW_LINE]

    def _register(self, device: Device, tx: ServerTransaction, now: Instant) -> Answer:
        owner = self._directory.owner_of(device)
        if owner is not None and not owner.licensed:
            return status_of(refusals.NOT_LICENSED), refusal_headers(refusals.NOT_LICENSED, owner.language)
        answer = self._registrar.register(device.id, tx.request, tx.flow, now)
        self._gate.guesses.registered(device.id, tx.flow.host, now)
        legs, is_told = self._legs.of_endpoint(device.id), bool(self._ua.notifier.of_subscriber(device.id))
        if legs or is_told:
            for binding in self._registrar.refreshed(device.id, tx.request, now):
                if is_told:
                    self._subscriptions.reconnect(device.id, binding, self._lost, now)
                for leg in legs:
                    leg.reconnect(binding, self._lost)
        return answer

    def _tell_guesses(self, now: Instant) -> None:
        """Who is not listened to any more."""
        for shut in self._gate.guesses.news:
            name = readable(shut.name)
            for_whom = "anybody" if shut.banned else repr(name)
            wrong = f"{shut.guesses} wrong passwords, the last for {name!r}"
            self._out.append(Note(f"{shut.source} is not listened to as {for_whom} for a while: {wrong}"))
            if shut.banned:
                self._out.append(SourceBanned(self._ids.token(), now, "", shut.source, shut.guesses, shut.until, name))
        self._gate.guesses.news.clear()

    def _tell_registrations(self, now: Instant) -> None:
        """Which devices have come and gone."""
        news = dict(self._registrar.news)
        self._registrar.news.clear()
        for id_, why in news.items():
            told = self._registered.get(id_)
            if told is None:
                self._tell_registered(id_, now)
            elif not self._registrar.is_registered(id_):
                del self._registered[id_]
                account, extension = told
                self._out.append(DeviceUnregistered(self._ids.token(), now, account, id_, extension, why))

    def _tell_registered(self, id_: str, now: Instant) -> None:
        bindings, device = self._registrar.bindings(id_, now), self._directory.devices.get(id_)
        if not bindings or device is None:
            return
        self._registered[id_] = device.account, device.extension
        last = bindings[-1]
        transport, address, user_agent = last.flow.transport, last.flow.host, last.user_agent
        account, extension = device.account, device.extension
        self._out.append(DeviceRegistered(self._ids.token(), now, account, id_, extension, transport, address, user_agent))

    def _resume_registrations(self, now: Instant) -> None:
        """After a restart: which devices are registered, by account."""
        self._registrar.news.clear()
        there: dict[str, list[str]] = {slug: [] for slug in self._directory.accounts}
        for id_ in self._registrar.devices():
            device = self._directory.devices[id_]
            self._registered[id_] = device.account, device.extension
            there[device.account].append(id_)
        for account, devices in there.items():
            self._out.append(DevicesResumed(self._ids.token(), now, account, tuple(sorted(devices))))

    def _list_registered(self, account: str, now: Instant) -> tuple[Registered, ...]:
        found: list[Registered] = []
        for id_ in sorted(self._gate.devices_of(account)):
            if bindings := self._registrar.bindings(id_, now):
                last = bindings[-1]
                flow, until = last.flow, max([b.expires_at for b in bindings])
                found.append(Registered(id_, len(bindings), flow.transport, flow.host, last.user_agent, until))
        return tuple(found)

    def _outside_caller(self, endpoint: Endpoint, session: Session) -> Identity | None:
        """What a gateway or trunk says of its caller; a person's identity comes from the directory, never from a header."""
        if self._directory.owner_of(endpoint) is not None:
            return None
        from_ = session.request.from_
        return Identity(name_of(from_), number_of(from_))

    # Media, flows, directory

    def _heard_from_media(self, report: Report, now: Instant) -> None:
        match report:
            case PortsReady(ports):
                self._ports.add(ports)
                self._ports.serve(now)
            case PortsExhausted():
                self._ports.exhausted = True
                self._ports.serve(now)
            case KeyHeard(id_, key):
                if (found := self._legs.get(id_)) is not None:
                    found.key_came(key, "rtp", now)
            case PromptEnded(leg, prompt):
                self._legs.prompt_ended(leg, prompt, now)
            case Inventory(legs, complete):
                self._take_stock(legs, complete=complete)
            case LegSilent(leg):
                self._legs.silent(leg, now)
            case LegFailed(leg, port):
                self._legs.port_lost(leg, port, now)
            case LegClosed() | Recorded():
                pass

    def _take_stock(self, legs: tuple[LegState, ...], *, complete: bool) -> None:
        """The first thing on a connection to media: what it has; what it will announce is all that is free."""
        if self._inventory is None:
            self._inventory = {}
            self._ports.clear()
        self._inventory.update({state.leg: state.port for state in legs})
        if complete:
            there, self._inventory = self._inventory, None
            self._legs.reconcile(there)

    def _flow_lost(self, flow: Flow, now: Instant) -> None:
        self._registrar.flow_lost(flow)
        self._lost.add(flow, now)
        self._ua.flow_lost(flow, now)

    def _load(self, given: DirectoryLoaded, now: Instant) -> None:
        self._devices = dict(given.directory.devices)
        self._directory = Directory(given.directory.accounts, self._devices)
        self._gate.load(given.directory, given.secrets)
        self._changed({*self._registrar.devices(), *self._ua.notifier.subscribers()}, now)

    def _load_account(self, given: AccountLoaded, now: Instant) -> None:
        """Costs what the account costs."""
        accounts = dict(self._directory.accounts)
        its = given.devices if given.account is not None else {}
        trunks = given.account.trunks.values() if given.account is not None else ()
        had = self._gate.load_account(given.slug, its, given.secrets, trunks)
        for id_ in had:
            device = self._devices.get(id_)
            if device is not None and device.account == given.slug:  # else another account has it by now, or had it
                self._devices.pop(id_)
        for id_ in its:
            if id_ in self._devices:  # it was another account's: the phones that have registered are still that one's
                self._forget(id_, now)
        self._devices.update(its)
        accounts.pop(given.slug, None)
        if given.account is not None:
            accounts[given.slug] = given.account
        self._directory = Directory(accounts, self._devices)
        self._changed(had, now)

    def _changed(self, devices: Iterable[str], now: Instant) -> None:
        """These devices may be gone, or their owners' licences."""
        for id_ in devices:
            device = self._directory.devices.get(id_)
            owner = self._directory.owner_of(device) if device else None
            if device is None or (owner is not None and not owner.licensed):
                self._forget(id_, now)
        self._inputs.append(DirectoryChanged(self._directory))

    def _forget(self, device: str, now: Instant) -> None:
        """Whoever has registered as ``device``, or watches something, does so no more."""
        self._registrar.forget(device)
        self._subscriptions.end(device, now)

    # Look-ups

    def _find_leg(self, leg: str) -> PhoneLeg | None:
        return self._legs.get(leg)

    def _remind_leg(self, leg: PhoneLeg, at: Instant) -> None:
        self._legs.remind(leg, at)

    def _leg_gone(self, leg: PhoneLeg) -> None:
        self._legs.gone(leg)

    def _leg_by_dialog(self, replaces: Replaces) -> PhoneLeg | None:
        session = self._ua.session_by_dialog(replaces.call_id, replaces.to_tag, replaces.from_tag)
        handler = session.handler if session is not None else None
        if isinstance(handler, Attempt):
            return handler.leg
        return handler if isinstance(handler, PhoneLeg) else None

    def _endpoint(self, id_: str) -> Endpoint | None:
        return self._directory.endpoint(id_)


_CAPABILITIES = (ALLOW_LINE, ACCEPT_LINE, SUPPORTED_LINE)
