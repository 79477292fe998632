"""Digest authentication: the worked examples of the RFCs, both sides against each other, nonces and their replay guard."""

from __future__ import annotations

from dataclasses import replace

import pytest

from parkade.sip.message.digest import (
    ALGORITHMS,
    Challenge,
    Nonces,
    NonceState,
    answer_challenge,
    challenges,
    ha1,
    parse_challenge,
    parse_credentials,
    verify,
)
from parkade.sip.message.errors import SipError

NOW = 1_800_000_000.0
SECRETS = {algorithm: ha1("4021", "parkade", "open sesame", algorithm) for algorithm in ALGORITHMS}


def answered(challenge: str, method: str = "INVITE", uri: str = "sip:*801@pbx.example", body: bytes = b"", nc: int = 1) -> str:
    answer = answer_challenge([challenge], "4021", "open sesame", method, uri, "c0ffee", nc, body)
    assert answer is not None
    return answer


@pytest.mark.parametrize(
    ("algorithm", "response"),
    [
        ("MD5", "8ca523f5e9506fed4657c9700eebdbec"),
        ("SHA-256", "753927fa0e85d155564e2e272a28d1802ca10daf4496794697cf8db5856cb6c1"),
    ],
)
def test_the_example_of_rfc_7616_comes_out(algorithm: str, response: str) -> None:
    text = (
        'Digest username="Mufasa", realm="http-auth@example.org", uri="/dir/index.html", '
        f'algorithm={algorithm}, nonce="7ypf/xlj9XXwfDPEoM4URrv/xwf94BcCAzFZH4GiTo0v", nc=00000001, '
        'cnonce="f2/wE4q74E6zIJEtWaHKaf5wv/H5QzzpXusqGemxURZJ", qop=auth, '
        f'response="{response}", opaque="FQhe/qaU925kfnzjCev0ciny7QMkPqMAFRtzCUYo5tdS"'
    )
    credentials = parse_credentials(text)
    assert credentials is not None
    secret = {algorithm: ha1("Mufasa", "http-auth@example.org", "Circle of Life", algorithm)}
    assert verify(credentials, "GET", "/dir/index.html", b"", secret)
    assert not verify(credentials, "POST", "/dir/index.html", b"", secret)


def test_the_example_of_rfc_2617_comes_out_from_the_client_side() -> None:
    answer = answer_challenge(
        ['Digest realm="testrealm@host.com", qop="auth,auth-int", nonce="dcd98b7102dd2f0e8b11d0f600bfb0c093"'],
        "Mufasa",
        "Circle Of Life",
        "GET",
        "/dir/index.html",
        "0a4f113b",
    )
    assert answer is not None
    assert 'response="6629fae49393a05397450978507c4ef1"' in answer


@pytest.mark.parametrize("algorithm", ALGORITHMS)
@pytest.mark.parametrize("qop", [(), ("auth",), ("auth-int",), ("auth-int", "auth")])
def test_what_our_client_answers_our_server_believes(algorithm: str, qop: tuple[str, ...]) -> None:
    text = answered(str(Challenge("parkade", "n1", algorithm, qop, opaque="op")), body=b"v=0")
    credentials = parse_credentials(text)
    assert credentials is not None
    assert verify(credentials, "INVITE", "sip:*801@pbx.example", b"v=0", SECRETS)
    assert credentials.opaque == "op"
    assert not verify(replace(credentials, response="0" * 32), "INVITE", "sip:*801@pbx.example", b"v=0", SECRETS)
    changed_body = verify(credentials, "INVITE", "sip:*801@pbx.example", b"v=1", SECRETS)
    assert changed_body is not (credentials.qop == "auth-int")


def test_the_first_challenge_is_md5_because_old_phones_look_no_further() -> None:
    offered = [parse_challenge(text) for text in challenges("parkade", "n1", stale=True)]
    assert [(c.algorithm, c.stale, c.qop) for c in offered if c] == [("MD5", True, ("auth",)), ("SHA-256", True, ("auth",))]


def test_the_client_passes_over_challenges_it_cannot_answer() -> None:
    offered = [
        'Basic realm="x"',
        "Digest nonsense",
        'Digest realm="parkade", nonce="n", algorithm=SHA-512-256',
        'Digest realm="parkade", nonce="n", qop="token"',
    ]
    assert answer_challenge(offered, "4021", "open sesame", "REGISTER", "sip:pbx.example", "c") is None
    answer = answer_challenge(
        [*offered, *challenges("parkade", "n")], "4021", "open sesame", "REGISTER", "sip:pbx.example", "c"
    )
    assert answer is not None
    assert "algorithm=MD5" in answer


def test_quoting_habits_of_phones_make_no_difference() -> None:
    usual = answered(str(Challenge("parkade", "n1")))
    odd = usual.replace("algorithm=MD5", 'algorithm="md5"').replace("qop=auth", 'qop="auth"').replace(", ", ",")
    odd = odd.replace("Digest", "DIGEST").replace("nc=00000001", "nc = 00000001")
    assert parse_credentials(odd) == parse_credentials(usual)


def test_an_answer_for_one_number_is_worthless_for_another() -> None:
    credentials = parse_credentials(answered(str(Challenge("parkade", "n1"))))
    assert credentials is not None
    assert verify(credentials, "INVITE", "sip:%2A801@192.0.2.1:5060;transport=udp", b"", SECRETS)
    assert not verify(credentials, "INVITE", "sip:*802@pbx.example", b"", SECRETS)
    assert not verify(credentials, "INVITE", "tel:801", b"", SECRETS)


def test_a_quality_of_protection_without_its_counters_is_refused() -> None:
    credentials = parse_credentials(answered(str(Challenge("parkade", "n1"))))
    assert credentials is not None
    for broken in (
        replace(credentials, nc=None),
        replace(credentials, cnonce=None),
        replace(credentials, qop="other"),
        replace(credentials, algorithm="MD5-SESS"),
    ):
        assert not verify(broken, "INVITE", "sip:*801@pbx.example", b"", SECRETS)


def test_another_scheme_counts_as_no_credentials() -> None:
    assert parse_credentials("NeverHeardOfIt some-data=here") is None
    assert parse_challenge('Basic realm="x"') is None


@pytest.mark.parametrize("missing", ["username", "realm", "nonce", "uri", "response"])
def test_an_answer_with_a_part_missing_is_an_error(missing: str) -> None:
    text = answered(str(Challenge("parkade", "n1"))).replace(f"{missing}=", "x-gone=")
    with pytest.raises(SipError, match=missing):
        parse_credentials(text)


def test_a_nonce_is_fresh_then_stale_and_a_foreign_one_is_forged() -> None:
    nonces = Nonces(b"secret", lifetime_s=60)
    nonce = nonces.issue(NOW)
    assert nonces.check(nonce, NOW) is NonceState.FRESH
    assert nonces.check(nonce, NOW + 59) is NonceState.FRESH
    assert nonces.check(nonce, NOW + 61) is NonceState.STALE
    assert nonces.check(Nonces(b"other").issue(NOW), NOW) is NonceState.FORGED
    for forged in ("", ".", "0.0.0", nonce[:-1], "é" + nonce, "\udcff", nonce.replace(".", "..", 1)):
        assert nonces.check(forged, NOW) is NonceState.FORGED


def test_two_nonces_of_the_same_instant_differ() -> None:
    nonces = Nonces(b"secret")
    assert nonces.issue(NOW) != nonces.issue(NOW)


def test_each_count_of_a_nonce_is_good_once_and_may_come_late() -> None:
    nonces = Nonces(b"secret")
    nonce = nonces.issue(NOW)
    order = ["00000001", "00000003", "00000002", "00000040", "00000004"]
    assert [nonces.use(nonce, nc) for nc in order] == [True] * len(order)
    assert [nonces.use(nonce, nc) for nc in order] == [False] * len(order)
    assert nonces.use(nonce, "ffffffff")
    assert not nonces.use(nonce, "00000041"), "too late to know whether it was spent"


def test_a_nonce_without_counts_is_good_once() -> None:
    nonces = Nonces(b"secret")
    nonce = nonces.issue(NOW)
    assert nonces.use(nonce, None)
    assert not nonces.use(nonce, None)


@pytest.mark.parametrize("nc", ["", "1x", "000000001", "-1", "²"])
def test_a_count_that_is_no_hex_number_is_never_good(nc: str) -> None:
    nonces = Nonces(b"secret")
    assert not nonces.use(nonces.issue(NOW), nc)


def test_the_memory_of_used_nonces_is_bounded_and_forgetting_opens_no_door() -> None:
    nonces = Nonces(b"secret", limit=3)
    given = [nonces.issue(NOW) for _ in range(5)]
    assert all(nonces.use(nonce, "00000001") for nonce in given)
    assert len(nonces) == 3
    assert [nonces.check(nonce, NOW) for nonce in given] == [NonceState.STALE] * 2 + [NonceState.FRESH] * 3
    assert not nonces.use(given[4], "00000001")
