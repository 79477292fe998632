"""A change of one account is the size of that account, and leaves the same as loading everything would."""

from __future__ import annotations

from dataclasses import replace
from random import Random

from hypothesis import given, settings
from hypothesis import strategies as st

from parkade.base.ids import Ids
from parkade.calls.directory import Account, Device, Directory, Owner
from parkade.sip.message.flow import Flow
from parkade.switch.gate import Gate
from parkade.switch.guesses import GuessLimits
from parkade.switch.inputs import AccountLoaded
from parkade.switch.secrets import DeviceSecret
from parkade.switch.switch import Switch
from parkade.testing.world import SERVER, SimWorld
from tests.switch.test_registrar import register

SLUGS = ["a", "b", "c"]
SECRET = DeviceSecret("0", "1")


def an_account(slug: str, people: list[int], addresses: list[int]) -> tuple[Account, dict[str, Device]]:
    owners = {str(n): Owner(str(n), f"Person {n}", licensed=n % 3 != 0, devices=(f"{slug}-{n}",)) for n in people}
    devices = {f"{slug}-{n}": Device(f"{slug}-{n}", slug, str(n)) for n in people}
    devices |= {f"{slug}-gw{n}": Device(f"{slug}-gw{n}", slug, "", address=f"192.0.2.{n}") for n in addresses}
    return Account(slug, slug, owners=owners), devices


CHANGES = st.lists(
    st.tuples(
        st.sampled_from(SLUGS),
        st.booleans(),
        st.lists(st.integers(0, 5), unique=True),
        st.lists(st.integers(0, 3), unique=True, max_size=2),
    ),
    max_size=12,
)


@settings(max_examples=200, deadline=None)
@given(CHANGES)
def test_account_by_account_comes_to_the_same_as_all_at_once(
    changes: list[tuple[str, bool, list[int], list[int]]],
) -> None:
    """Addresses are told apart by account, because two accounts with one address overwrite each other either way."""
    switch = Switch(Directory(), {}, Ids(Random(1).randbytes), lambda _: SERVER)
    accounts: dict[str, Account] = {}
    devices: dict[str, Device] = {}
    for slug, removed, people, addresses in changes:
        offset = 10 * (SLUGS.index(slug) + 1)
        account, its = an_account(slug, people, [] if removed else [offset + n for n in addresses])
        its = {} if removed else its
        devices = {id_: device for id_, device in devices.items() if device.account != slug} | its
        accounts.pop(slug, None)
        if not removed:
            accounts[slug] = account
        secrets = dict.fromkeys(its, SECRET)
        switch.tell(AccountLoaded(slug, None if removed else account, its, secrets), 0.0)
    secrets, ids = dict.fromkeys(devices, SECRET), Ids(Random(1).randbytes)
    whole = Gate(Directory(accounts, devices), secrets, ids, GuessLimits(), lambda *_: False)
    gate = switch._gate
    assert switch._directory == Directory(accounts, devices)
    assert gate._devices == whole._devices
    assert gate._secrets == whole._secrets
    assert gate._by_address == whole._by_address
    assert gate._of_account == whole._of_account


def test_a_change_of_one_account_leaves_the_calls_of_the_others_and_forgets_who_is_gone() -> None:
    world = SimWorld()
    world.account("acme", {"101": "Alice", "102": "Bob"})
    world.account("zeta", {"101": "Zoe", "102": "Zack"})
    alice, bob, zoe, zack = (world.phone(name) for name in ("acme-101", "acme-102", "zeta-101", "zeta-102"))
    call = alice.call("102")
    world.run(0.1)
    bob.answer()
    world.run(0.1)
    zeta = world.directory.accounts["zeta"]
    owners = {"101": zeta.owners["101"]}
    left = {"zeta-101": world.directory.devices["zeta-101"]}
    world.tell(AccountLoaded("zeta", replace(zeta, owners=owners), left, dict(world._secrets)))
    world.run(0.1)
    assert call.hears(bob)
    assert world.switch.counts()["bindings"] == 3
    gone = zoe.call("102")
    world.run(6)
    assert gone.refused == 404
    zack.register()
    world.run(1)
    assert not zack.registered
    world.tell(AccountLoaded("zeta", None, {}, {}))
    zoe.register()
    world.run(1)
    assert not zoe.registered
    call.hang_up()
    world.run(1)
    assert world.switch.counts()["bindings"] == 2


def test_a_flow_that_is_lost_costs_what_was_on_it() -> None:
    """Ten thousand registrations elsewhere are not looked at."""
    world = SimWorld()
    registrar = world.switch._registrar
    for n in range(200):
        request = register(f"<sip:d@192.0.2.1:{1000 + n}>", call_id=f"c{n}")
        registrar.register(f"d{n}", request, Flow("TCP", "192.0.2.1", 1000 + n, n + 1), 0.0)
    assert len(registrar._on_flow) == 200
    for n in range(200):
        registrar.flow_lost(Flow("TCP", "192.0.2.1", 1000 + n, n + 1))
        assert len(registrar) == 199 - n
    assert not registrar._on_flow
    assert not registrar._bindings


def test_a_device_that_moves_to_another_account_is_that_ones_in_either_order() -> None:
    """An import that moves it changes two accounts, which are loaded one after the other."""
    before = {"x": Device("x", "zeta", "101")}
    after = {"x": Device("x", "acme", "201")}
    zeta = Account("zeta", "Zeta", owners={"101": Owner("101", "Zoe", devices=("x",))})
    acme = Account("acme", "Acme", owners={"201": Owner("201", "Ann", devices=("x",))})
    old, new = DeviceSecret("0", "1"), DeviceSecret("2", "3")
    moved = AccountLoaded("acme", acme, after, {"x": new})
    left = AccountLoaded("zeta", replace(zeta, owners={}), {}, {})
    for order in ((moved, left), (left, moved)):
        switch = Switch(Directory(), {}, Ids(Random(1).randbytes), lambda _: SERVER)
        switch.tell(AccountLoaded("zeta", zeta, before, {"x": old}), 0.0)
        for given_ in order:
            switch.tell(given_, 1.0)
        assert switch._directory.devices == after
        assert switch._gate._devices == after
        assert switch._gate._secrets == {"x": new}
        assert switch._gate._of_account == {"acme": {"x"}}
        switch.tell(AccountLoaded("acme", None, {}, {}), 2.0)
        switch.tell(left, 3.0)
        assert switch._gate._devices == {}
