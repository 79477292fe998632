"""An INVITE that names unclearly, or not at all, the call it wants to take over (:rfc:`3891` section 3)."""

from __future__ import annotations

import pytest

from parkade.testing.world import SimWorld
from tests.switch.raw_phone import RawPhone

GOOD = "a;to-tag=b;from-tag=c"
SHAPES = [
    (["x"], 400),
    ([""], 400),
    ([";;;"], 400),
    (["a;to-tag=b"], 400),
    (["a b;to-tag=b;from-tag=c"], 400),
    ([GOOD, "d;to-tag=e;from-tag=f"], 400),
    ([GOOD, GOOD], 400),
    ([GOOD], 481),
    ([GOOD + ";early-only;x=y"], 481),
]


@pytest.mark.parametrize(("values", "status"), SHAPES, ids=str)
def test_it_gets_the_answer_of_the_rfc_and_leaves_nothing(values: list[str], status: int) -> None:
    world = SimWorld()
    world.account("acme", {"101": "Alice"})
    phone = RawPhone(world, "acme-101", "192.0.2.77")
    invite = phone.ask("INVITE", "*801", headers=[("Replaces", value) for value in values], body=phone.sdp)
    phone.acknowledge(invite)
    assert phone.statuses("INVITE")[-1] == status
    world.run(40)
    assert {kind: n for kind, n in world.switch.counts().items() if n and kind not in ("ports", "bindings")} == {}
