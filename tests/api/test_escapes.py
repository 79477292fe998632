"""Half characters in JSON are found, however the body is cut into pieces."""

from __future__ import annotations

import json
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from parkade.api.escapes import Escapes

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(st.characters(), max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(st.characters(), max_size=4), inner, max_size=3),
    max_leaves=6,
)


def lone(body: bytes, cuts: list[int]) -> bool:
    escapes = Escapes()
    places = [0, *sorted(cut % (len(body) + 1) for cut in cuts), len(body)]
    for start, end in pairwise(places):
        escapes.feed(body[start:end])
    return escapes.lone


@given(JSON, st.lists(st.integers(0, 1000), max_size=4))
def test_it_is_what_cannot_be_written_as_utf_8(value: object, cuts: list[int]) -> None:
    body = json.dumps([value]).encode()
    try:
        json.dumps(json.loads(body), ensure_ascii=False).encode()
    except UnicodeEncodeError:
        assert lone(body, cuts)
    else:
        assert not lone(body, cuts)


@pytest.mark.parametrize(
    ("body", "found"),
    [
        (rb'["\ud83d\ude00"]', False),
        (rb'["\\ud800"]', False),
        (rb'["\\\ud800"]', True),
        (rb'["\ud800\n\udc00"]', True),
        (rb'["\udc00\ud800"]', True),
        (rb'["\ud800x"]', True),
        (rb'["\ud800"]', True),
    ],
)
def test_examples(body: bytes, found: bool) -> None:
    assert lone(body, []) is found
    assert lone(body, list(range(len(body)))) is found
