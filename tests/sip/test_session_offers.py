"""Every turn and every move of offer/answer."""

from __future__ import annotations

import pytest

from parkade.sip.session.offers import CLASH, TURNS, Move, OfferAnswer, Turn

TO_TURN = {
    Turn.NOBODY: (),
    Turn.THEM: (Move.WE_OFFER,),
    Turn.US: (Move.THEY_OFFER,),
}


@pytest.mark.parametrize("turn", Turn)
@pytest.mark.parametrize("move", Move)
def test_each_move_does_what_the_table_says_and_nothing_out_of_turn(turn: Turn, move: Move) -> None:
    offers = OfferAnswer()
    for step in TO_TURN[turn]:
        assert offers.move(step, b"open")
    before = (offers.turn, offers.local, offers.remote)
    moved = offers.move(move, b"new")
    assert moved is ((turn, move) in TURNS)
    if moved:
        assert offers.turn is TURNS[turn, move]
    else:
        assert (offers.turn, offers.local, offers.remote) == before


def test_a_dropped_offer_brings_back_what_was_agreed() -> None:
    offers = OfferAnswer()
    offers.move(Move.THEY_OFFER, b"theirs")
    offers.move(Move.WE_ANSWER, b"ours")
    offers.move(Move.WE_OFFER, b"ours 2")
    assert (offers.local, offers.remote) == (b"ours 2", b"theirs")
    offers.move(Move.DROPPED)
    assert (offers.local, offers.remote) == (b"ours", b"theirs")


def test_an_offer_that_clashes_gets_the_status_of_the_rfc() -> None:
    assert CLASH == {Turn.THEM: 491, Turn.US: 500}
