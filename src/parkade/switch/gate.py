"""Who is calling: the device or trunk behind a request, by digest credentials or by source address.

Nothing else in a request says who someone is. Unknown names and wrong passwords get the same answer, computed with the
same effort: a fresh challenge. Whoever guesses too often gets it without any effort (``guesses.py``).

A nonce is good at the address that it was given to. An answer to another nonce (too old, from before a restart, given to
another address) is not looked at: its sender gets a new one, ``stale``, so that a phone tries again by itself. So each password
that is tried costs its sender a nonce that has reached it, and what nobody looks at tells nothing.

A source address speaks for its device only as long as the request claims to be nobody else: many phones may sit behind the
address of a gateway. A request with credentials, however wrong, or whose From names another device is challenged; a REGISTER
has to name exactly the device of its address.

From the address of a trunk come only calls, from anybody: its From may say what it likes. Over UDP the port counts too; of
several trunks at one address that one is meant which knows the number that is called.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import lru_cache

from parkade.base.clock import Instant
from parkade.base.ids import Ids
from parkade.calls.directory import Device, Directory, Endpoint, Trunk
from parkade.sip.message.digest import Credentials, Nonces, NonceState, challenges, parse_credentials, verify
from parkade.sip.message.errors import SipError
from parkade.sip.message.flow import Flow
from parkade.sip.message.grammar import unescape
from parkade.sip.message.headers import NameAddr
from parkade.sip.message.message import Request
from parkade.switch.address import dialled_of
from parkade.switch.guesses import Guesses, GuessLimits
from parkade.switch.secrets import REALM, DeviceSecret

NONCE_LIFETIME_S = 3600.0

MD5_ONLY = ("baresip v0.", "baresip v1.")
"""How the User-Agent of phones begins that give up when any challenge names an algorithm they lack: they get MD5 alone."""


@dataclass(frozen=True, slots=True)
class Unknown:
    """Not (yet) identified: answer ``status`` with ``headers``."""

    status: int
    headers: list[tuple[str, str]]


class Gate:
    """Identifies devices and trunks. ``guesses`` are those that were wrong."""

    def __init__(
        self,
        directory: Directory,
        secrets: Mapping[str, DeviceSecret],
        ids: Ids,
        limits: GuessLimits,
        is_registered_on: Callable[[str, Flow], bool],
    ) -> None:
        """``is_registered_on``: whether a device has registered on a flow, and still is."""
        self.guesses = Guesses(limits)
        self._is_registered_on = is_registered_on
        self._nonces = Nonces(bytes.fromhex(ids.token(32)), NONCE_LIFETIME_S)
        # What a name nobody has is checked against, so that it takes as long as one that somebody has.
        self._decoy = DeviceSecret(ids.token(16), ids.token(32))
        self.load(directory, secrets)

    def load(self, directory: Directory, secrets: Mapping[str, DeviceSecret]) -> None:
        """From now on these devices and trunks exist."""
        self._devices: dict[str, Device] = dict(directory.devices)
        self._secrets: dict[str, DeviceSecret] = dict(secrets)
        self._by_address = {d.address: d for d in directory.devices.values() if d.address is not None}
        self._of_account: dict[str, set[str]] = {}
        for device in directory.devices.values():
            self._of_account.setdefault(device.account, set()).add(device.id)
        self._trunks: dict[str, list[Trunk]] = {}
        self._trunks_of: dict[str, list[Trunk]] = {}
        for account in directory.accounts.values():
            self._add_trunks(account.trunks.values())

    def load_account(
        self, slug: str, devices: Mapping[str, Device], secrets: Mapping[str, DeviceSecret], trunks: Iterable[Trunk] = ()
    ) -> set[str]:
        """From now on the account has these devices and trunks; gives the devices it had. The others' stay as they are."""
        for trunk in self._trunks_of.pop(slug, ()):
            self._trunks[trunk.host].remove(trunk)
            if not self._trunks[trunk.host]:
                del self._trunks[trunk.host]
        self._add_trunks(trunks)
        had = self._of_account.pop(slug, set())
        for id_ in had:
            device = self._devices.get(id_)
            if device is None or device.account != slug:
                continue  # another account has it by now, or had it
            self._devices.pop(id_)
            self._secrets.pop(id_, None)
            if device.address is not None and self._by_address.get(device.address) is device:
                del self._by_address[device.address]
        if devices:
            self._of_account[slug] = set(devices)
        self._devices.update(devices)
        self._secrets.update({id_: secret for id_, secret in secrets.items() if id_ in devices})
        self._by_address.update({d.address: d for d in devices.values() if d.address is not None})
        return had

    def devices_of(self, slug: str) -> Iterable[str]:
        """The devices of an account, in no order."""
        return self._of_account.get(slug, ())

    def _add_trunks(self, trunks: Iterable[Trunk]) -> None:
        for trunk in trunks:
            self._trunks.setdefault(trunk.host, []).append(trunk)
            self._trunks_of.setdefault(trunk.account, []).append(trunk)

    def identify(self, request: Request, flow: Flow, now: Instant) -> Endpoint | Unknown:
        """The device or trunk that sent ``request``, or what to answer instead."""
        shown = request.headers.all("Authorization")
        if shown:
            ours = next((c for c in map(_credentials, shown) if c is not None and c.realm == REALM), None)
            return self._check(ours, request, flow, now) if ours is not None else self._challenge(request, flow, now)
        trunk = self._trunk(request, flow) if flow.host in self._trunks else None
        if trunk is not None:
            return trunk
        device = self._by_address.get(flow.host)
        if device is None or "Proxy-Authorization" in request.headers or not self._speaks_for(device, request):
            return self._challenge(request, flow, now)
        return device

    def _trunk(self, request: Request, flow: Flow) -> Trunk | None:
        there = [trunk for trunk in self._trunks[flow.host] if flow.reliable or trunk.port == flow.port]
        if request.method != "INVITE" or not there:
            return None
        dialled = dialled_of(request)
        return next((trunk for trunk in there if dialled in trunk.inbound), there[0])

    def _speaks_for(self, device: Device, request: Request) -> bool:
        """Whether ``request``, from the address of ``device``, claims to be nobody else."""
        if request.method == "REGISTER":
            return _name_in(request.from_) == _name_in(request.to) == device.id
        name = _name_in(request.from_)
        return name == device.id or name not in self._devices

    def _check(self, credentials: Credentials, request: Request, flow: Flow, now: Instant) -> Device | Unknown:
        name = credentials.username
        if self._nonces.check(credentials.nonce, now, flow.host) is not NonceState.FRESH:
            return self._challenge(request, flow, now, stale=True)
        if not self.guesses.listens(name, flow.host, now) and not self._is_registered_on(name, flow):
            return self._challenge(request, flow, now)
        device = self._devices.get(name)
        secret = (self._secrets.get(device.id) if device else None) or self._decoy
        by_algorithm = {"MD5": secret.ha1_md5, "SHA-256": secret.ha1_sha256}
        genuine = verify(credentials, request.method, request.uri, request.body, by_algorithm)
        if device is None or not genuine:
            self.guesses.wrong(name, flow.host, now)
            return self._challenge(request, flow, now)
        if not self._nonces.use(credentials.nonce, credentials.nc, flow.host):
            return self._challenge(request, flow, now, stale=True)
        return device

    def _challenge(self, request: Request, flow: Flow, now: Instant, *, stale: bool = False) -> Unknown:
        lines = challenges(REALM, self._nonces.issue(now, flow.host), stale=stale)
        if (request.headers.get("User-Agent") or "").startswith(MD5_ONLY):
            lines = lines[:1]
        return Unknown(401, [("WWW-Authenticate", line) for line in lines])


def _credentials(text: str) -> Credentials | None:
    try:
        return parse_credentials(text)
    except SipError:
        return None


def _name_in(party: NameAddr) -> str:
    """Whom a From or To names, without the parameters that may stand in a user part; also in a URI that is none of ours."""
    return (_known_user if len(party.uri) <= _REMEMBERED_LENGTH else _user)(party.uri)


def _user(uri: str) -> str:
    user, at, _ = uri.partition(":")[2].partition("@")
    if not at and uri[:4].lower() != "tel:":
        return ""
    return unescape(user.partition(";")[0].partition(":")[0])


_REMEMBERED_LENGTH = 200
_known_user = lru_cache(maxsize=1024)(_user)
