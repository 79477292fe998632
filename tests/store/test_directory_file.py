"""A directory file is read strictly, and every complaint names the line and the reason."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from parkade.calls.park_settings import EXPIRATION_MINUTES
from parkade.store.directory_file import DirectoryFileError, write_directory_file
from tests.store.directory_text import ACME, changed, complaints, line_of, read


def test_the_documented_example_is_right() -> None:
    account = read(ACME).accounts[0]
    assert [user.extension for user in account.users or ()] == ["101", "102"]
    assert account.feature_codes is not None
    assert account.feature_codes.park == "*800"


def test_writing_and_reading_again_gives_the_same() -> None:
    file = read(ACME)
    assert read(write_directory_file(file)) == file


ONE_WRONG_VALUE = [
    ('extension: "101"', "extension: 101", "a text is wanted (write it in quotes)"),
    ('extension: "101"', 'extension: "1"', "'1' is not an extension of 2 to 10 digits"),
    ("language: en", "language: fr", "must be one of 'vi' or 'en'"),
    ("multi_site: false", "multi_site: no", "true or false is wanted"),
    ("slug: acme", "slug: Acme!", "'Acme!' is not made of a-z, 0-9 and hyphens"),
    ('codes: "801-899"', 'codes: "899-801"', "not a range of codes"),
    ('codes: "801-899"', 'codes: "81-89"', "not a range of codes"),
    ('codes: "801-899"', 'codes: "801-1000000"', "not a range of codes"),
    ('codes: "801-899"', 'codes: "800-899"', "the parking codes 800-899 contain the park feature code *800"),
    ("expiration_period: 10", "expiration_period: 11", "11 is none of 1-10, 15, 20"),
    ("expiration_period: 10", "expiration_period: 2.5", "a whole number is wanted"),
    ("sequence: 1", "sequence: 2", "2 is none of 0, 1"),
    ("sequence: 1", "sequence: true", "a whole number is wanted"),
    ("action: 100", "action: 7", "7 is none of 0, 9, 50, 51, 100"),
    ("action: 100", "action: 50", "action 50 needs forward_to"),
    ("action: 100", "action: 51", "action 51 needs forward_to"),
    ("action: 100", 'action: 50, forward_to: "555"', "there is no extension 555"),
    ("reserve_seconds: 30", "reserve_seconds: 601", "must be at most 600"),
    ("reserve_seconds: 30", "expiration_seconds: 0", "must be more than 0"),
    ("reserve_seconds: 30", "reset: true", "reset is for the levels below the account"),
    ("site: Main", "site: Annexe", "there is no site Annexe"),
    ('members: ["110"]', 'members: ["111"]', "there is no user or common area with extension 111"),
    ('members: ["110"]', 'members: ["120"]', "there is no user or common area with extension 120"),
    ('members: ["110"]', 'members: ["110", "110"]', "member 110 is there twice"),
    ('extension: "130"', 'extension: "120"', "extension 120 is there twice"),
    ("username: acme-102", "username: acme-101", "device username acme-101 is there twice"),
    ("username: acme-102", 'username: "acme 102"', "not a username"),
    ('password: "sip-secret-102", ', "", "one of password, address, or ha1_md5 with ha1_sha256 is wanted"),
    ('password: "sip-secret-102"', 'password: "x", address: 127.0.0.1', "one of password, address"),
    ('password: "sip-secret-102"', f'ha1_md5: "{"0" * 32}"', "ha1_md5 and ha1_sha256 go together"),
    ('password: "sip-secret-102"', "address: gateway.test", "'gateway.test' is not an IP address"),
    ('mac: "80:5e:c0:00:00:02"', 'mac: "80:5e"', "'80:5e' is not a MAC address"),
    ("login: alice@acme.test", "login: admin@acme.test", "login admin@acme.test is there twice"),
    ('address: "127.0.0.1:5090"', 'address: "two words"', "'two words' is not HOST or HOST:PORT"),
    ('to: "101"', 'to: "199"', "there is no extension 199"),
    ('to: "park"', 'to: "park:700"', "700 is not a parking code of this account"),
    ('park_dtmf: "*5"', 'park_dtmf: "5"', "'5' is not a code that begins with * or #"),
    ('park_dtmf: "*5"', 'park_dtmf: "*800"', "two feature codes are the same"),
]


@pytest.mark.parametrize(("old", "new", "reason"), ONE_WRONG_VALUE)
def test_one_wrong_value_is_named_with_its_line(old: str, new: str, reason: str) -> None:
    text = changed(old, new)
    found = complaints(text)
    assert len(found) == 1, found
    line, said = found[0]
    assert reason in said
    assert line == ACME[: ACME.index(old)].count("\n") + 1


def test_an_unknown_key_is_named_together_with_the_known_ones() -> None:
    text = changed("name: Alice", "name: Alice\n        naem: Alise")
    (complaint,) = complaints(text)
    assert complaint[0] == line_of("naem", text)
    assert complaint[1].startswith("users[0].naem: there is no such key here (there are: extension, name,")


def test_a_missing_key_is_named_at_the_entry_that_lacks_it() -> None:
    text = changed("        name: Bob\n", "")
    assert complaints(text) == [(line_of('extension: "102"', text), "users[1].name: is missing")]


def test_every_complaint_is_given_and_the_error_itself_is_one_line() -> None:
    text = changed("expiration_period: 10", "expiration_period: 11", changed('extension: "101"', "extension: 101"))
    with pytest.raises(DirectoryFileError) as caught:
        read(text)
    assert len(caught.value.lines) == 2
    assert str(caught.value).startswith("acme.yaml:10: settings.call_park.expiration_period: 11 is none of")
    assert str(caught.value).endswith("(and 1 more)")


@pytest.mark.parametrize(
    ("text", "line", "reason"),
    [
        (b"", 1, "a mapping with the key accounts is wanted"),
        (b"- a\n", 1, "a mapping with the key accounts is wanted"),
        (b"accounts:\n  - name: \xff\n", 2, "not UTF-8 text"),
        (b"accounts: [\n", 2, "not YAML: expected the node content"),
        (b"accounts:\n  - slug: a\n    slug: b\n", 3, "this key is there twice"),
        (b"accounts: 3\n", 1, "accounts: a list is wanted"),
        (b"accounts: &a\n  - slug: *a\n", 2, "slug"),
        (b"accounts: &a [*a]\n", 1, "a mapping is wanted"),
        (b"accounts: " + 30 * b"[" + 30 * b"]", 1, "nested too deeply"),
        (b"[" * 1_000, 1, "not YAML"),
        (b"accounts: " + 3_000 * b"[" + 3_000 * b"]", 1, "not YAML: nested too deeply"),
        (b"a: !!python/object/apply:os.system [x]\n", 1, "there is no such key"),
    ],
)
def test_what_is_no_directory_at_all_is_refused_in_one_line(text: bytes, line: int, reason: str) -> None:
    found = complaints(text)
    assert any(at == line and reason in said for at, said in found), found


@pytest.mark.parametrize("minutes", sorted(EXPIRATION_MINUTES))
def test_every_allowed_expiration_is_accepted(minutes: int) -> None:
    assert complaints(changed("expiration_period: 10", f"expiration_period: {minutes}")) == []


def test_keys_that_only_later_versions_use_are_accepted_and_kept() -> None:
    later = (
        'locked: true, ring_back_seconds: 20, announce: "130", expiration_seconds: 2, '
        'chain: [{action: 100, seconds: 30}, {action: 50, to: "101", seconds: 20}, {action: 0, seconds: 1}]'
    )
    file = read(changed("reserve_seconds: 30", later))
    assert read(write_directory_file(file)) == file
    settings = file.accounts[0].settings
    assert settings is not None
    assert settings.call_park is not None
    assert settings.call_park.chain is not None
    assert [step.action for step in settings.call_park.chain] == [100, 50, 0]


def test_settings_may_stand_at_every_level() -> None:
    text = changed(
        'park: {codes: "801-899"}}',
        'park: {codes: "801-899"}, settings: {call_park: {expiration_period: 5}}}',
        changed("licensed: true", "settings: {call_park: {enable: false, reset: true}}"),
    )
    assert complaints(text) == []


def test_a_forward_target_of_the_account_serves_an_action_of_a_site() -> None:
    text = changed("sequence: 1", 'sequence: 1, forward_to: "102"')
    text = changed('codes: "801-899"}}', 'codes: "801-899"}, settings: {call_park: {call_not_picked_up_action: 50}}}', text)
    assert complaints(text) == []


def test_gateways_are_known_by_address_and_may_park_their_callers() -> None:
    text = changed("    ring_groups:", "    devices: [{username: gw-1, address: 127.0.0.1, to: 'park:805'}]\n    ring_groups:")
    (account,) = read(text).accounts
    assert account.devices is not None
    assert account.devices[0].to == "park:805"


def test_a_code_range_may_be_long() -> None:
    assert complaints(changed('codes: "801-899"', 'codes: "10001-30000"')) == []


@given(st.binary(max_size=200))
def test_garbage_is_refused_with_the_documented_error_on_one_line(garbage: bytes) -> None:
    assert all(line >= 1 and "\n" not in reason for line, reason in complaints(garbage))


@given(st.data())
def test_a_damaged_line_gives_complaints_on_lines_of_the_file(data: st.DataObject) -> None:
    lines = ACME.splitlines()
    index = data.draw(st.integers(0, len(lines) - 1))
    lines[index] = data.draw(st.text(max_size=20)) + lines[index][data.draw(st.integers(0, 40)) :]
    text = "\n".join(lines)
    assert all(1 <= line <= len(text.splitlines()) + 1 and "\n" not in reason for line, reason in complaints(text))
