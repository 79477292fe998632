"""A setting has three spellings; the nearest to the person wins, and a bad value is traced to where it came from."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest

from parkade.config import SETTINGS, ConfigError, PortRange, Settings, resolve

DATA = {"data": "d"}


def test_the_table_and_the_settings_name_the_same_things() -> None:
    assert [setting.field for setting in SETTINGS] == [field.name for field in dataclasses.fields(Settings)]


def test_without_a_word_the_documented_defaults_hold() -> None:
    settings = resolve(DATA, {})
    assert (settings.host, settings.sip_port, settings.sips_port) == ("0.0.0.0", 5060, 5061)
    assert (settings.http_port, settings.https_port, settings.rtp_ports) == (8080, 8443, PortRange(20000, 29999))


def test_a_flag_beats_the_environment_which_beats_the_file_which_beats_the_default(tmp_path: Path) -> None:
    file = tmp_path / "parkade.toml"
    file.write_text('data = "from-file"\nsip-port = 1\nhttp_port = 2\nhttps-port = 3\nhost = "127.0.0.3"\n')
    environ = {"PARKADE_SIP_PORT": "11", "PARKADE_HTTP_PORT": "12", "PARKADE_CONFIG": str(file)}
    settings = resolve({"sip-port": "21"}, environ, defaults={"host": "127.0.0.9", "drain_seconds": 0})
    assert (settings.sip_port, settings.http_port, settings.https_port) == (21, 12, 3)
    assert (settings.data, settings.host, settings.drain_seconds) == (Path("from-file"), "127.0.0.3", 0)


def test_a_configuration_file_named_by_a_flag_beats_one_named_by_the_environment(tmp_path: Path) -> None:
    for name in ("one", "two"):
        (tmp_path / name).write_text(f'data = "{name}"\n')
    assert resolve({}, {"PARKADE_CONFIG": str(tmp_path / "one")}, tmp_path / "two").data == Path("two")


def test_every_setting_can_be_said_in_all_three_ways(tmp_path: Path) -> None:
    (tmp_path / "my-sounds").mkdir()
    said = {
        "data": "elsewhere",
        "database": "postgresql://parkade:secret@db.test/parkade?sslmode=require",
        "host": "::1",
        "advertise": "192.0.2.1",
        "sip-port": "1",
        "sips-port": "2",
        "http-port": "3",
        "https-port": "4",
        "rtp-ports": "30000-30099",
        "drain-seconds": "5",
        "sounds": str(tmp_path / "my-sounds"),
        "log-level": "debug",
        "journal": "off",
        "log-format": "json",
        "trace-minutes": "5",
        "trace-megabytes": "8",
        "webhook-private-targets": "10.0.0.0/8",
        "ban-after": "20",
        "ban-seconds": "60",
        "history-days": "90",
        "event-days": "7",
        "app-minimum-version": "6.0",
        "api-rate": "50",
    }
    assert set(said) == {setting.name for setting in SETTINGS}
    file = tmp_path / "all.toml"
    file.write_text("".join(f'{name} = "{value}"\n' for name, value in said.items()))
    by_variables = resolve({}, {f"PARKADE_{name.replace('-', '_').upper()}": value for name, value in said.items()})
    assert resolve(said, {}) == by_variables == resolve({}, {}, file)
    assert by_variables.rtp_ports == PortRange(30000, 30099)


@pytest.mark.parametrize(
    ("name", "value", "reason"),
    [
        ("sip-port", "65536", "is not a port (0-65535)"),
        ("sip-port", "-1", "is not a port"),
        ("sip-port", "٣", "is not a port"),
        ("host", "not an address", "is not an IP address"),
        ("advertise", "example.test", "is not an IP address"),
        ("rtp-ports", "20000", "is not a range of at least four ports"),
        ("rtp-ports", "20000-20002", "is not a range of at least four ports"),
        ("rtp-ports", "30000-20000", "is not a range of at least four ports"),
        ("sounds", "/no/such/folder", "is not a directory that can be read"),
        ("drain-seconds", "soon", "is not a number of seconds"),
        ("journal", "perhaps", "is neither on nor off"),
        ("log-level", "loud", "is none of debug, info, warning, error"),
        ("data", "", "is not a directory name"),
    ],
)
def test_a_bad_flag_is_named_with_what_it_said(name: str, value: str, reason: str) -> None:
    with pytest.raises(ConfigError) as caught:
        resolve({**DATA, name: value}, {})
    assert str(caught.value).startswith(f"--{name}: {value!r} {reason}")


def test_a_bad_variable_is_named() -> None:
    with pytest.raises(ConfigError, match=r"^PARKADE_HTTP_PORT: 'x' is not a port"):
        resolve(DATA, {"PARKADE_HTTP_PORT": "x"})


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("sip-port = 70000", "sip-port: '70000' is not a port"),
        ("sip_prt = 1", "sip_prt: there is no such key (known: advertise, api-rate, app-minimum-version,"),
        ("sip-port = true", "sip-port: a text or a whole number is wanted"),
        ("sip-port =", "not TOML"),
    ],
)
def test_a_bad_key_of_the_file_is_named_with_the_file(tmp_path: Path, text: str, reason: str) -> None:
    file = tmp_path / "bad.toml"
    file.write_text(text)
    with pytest.raises(ConfigError) as caught:
        resolve(DATA, {}, file)
    assert str(caught.value).startswith(f"{file}: {reason}")


def test_a_configuration_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"nowhere\.toml: no such file or directory"):
        resolve(DATA, {}, tmp_path / "nowhere.toml")


def test_a_missing_data_directory_says_every_way_to_give_one() -> None:
    with pytest.raises(ConfigError, match=r"give --data DIR, set PARKADE_DATA, or the key data"):
        resolve({}, {})


def test_the_password_of_a_database_is_in_nothing_that_is_shown() -> None:
    settings = resolve(DATA, {"PARKADE_DATABASE": "postgresql://parkade:hunter2@db.test/parkade"})
    assert settings.database is not None
    assert str(settings.database) == "postgresql://parkade@db.test/parkade"
    assert "hunter2" not in repr(settings)
    with pytest.raises(ConfigError) as caught:
        resolve(DATA | {"database": "mysql://parkade:hunter2@db.test/parkade"}, {})
    assert str(caught.value) == "--database: what is given is not a URL like postgresql://user@host/name"
