"""What one installation is told from outside: flags, ``PARKADE_…`` environment variables, keys of a TOML file.

One table, ``SETTINGS``, names every setting once; the command line, the environment and the file are three spellings of it.
A flag beats the environment, the environment beats the file, the file beats the default.
"""

from __future__ import annotations

import ipaddress
import re
import tomllib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from parkade.base.errors import ParkadeError
from parkade.logs import FORMATS
from parkade.store.database_url import DatabaseUrl


class ConfigError(ParkadeError):
    """A flag, variable or key with a bad value; the line names where the value came from."""


class PortRange(NamedTuple):
    """UDP ports from ``first`` to ``last``, both included."""

    first: int
    last: int

    def __str__(self) -> str:
        return f"{self.first}-{self.last}"


DEFAULT_RTP_PORTS = PortRange(20000, 29999)


@dataclass(frozen=True, slots=True)
class Settings:
    """What ``serve``, ``demo`` and ``check`` run with. A port of 0 means: choose a free one."""

    data: Path
    database: DatabaseUrl | None = None
    host: str = "0.0.0.0"
    advertise: str | None = None
    sip_port: int = 5060
    sips_port: int = 5061
    http_port: int = 8080
    https_port: int = 8443
    rtp_ports: PortRange = DEFAULT_RTP_PORTS
    drain_seconds: int = 30
    sounds: Path | None = None
    log_level: str = "info"
    log_format: str = "text"
    journal: str = "on"
    trace_minutes: int = 30
    trace_megabytes: int = 64
    webhook_private_targets: str = ""
    ban_after: int = 50
    ban_seconds: int = 900
    history_days: int = 365
    event_days: int = 30
    app_minimum_version: str = "5.1.3"
    api_rate: int = 300


Value = Path | str | int | PortRange | DatabaseUrl


def _directory(text: str) -> Path:
    if not text or "\0" in text:
        raise ValueError("is not a directory name")
    return Path(text)


def _there(text: str) -> Path:
    path = _directory(text)
    if not path.is_dir():
        raise ValueError("is not a directory that can be read")
    return path


def _address(text: str) -> str:
    try:
        return str(ipaddress.ip_address("127.0.0.1" if text == "localhost" else text.strip("[]")))
    except ValueError:
        raise ValueError("is not an IP address") from None


def _whole_number(text: str, low: int, high: int, what: str) -> int:
    if not (text.isascii() and text.isdigit() and len(text) <= 9 and low <= int(text) <= high):
        raise ValueError(f"is not {what} ({low}-{high})")
    return int(text)


def _port(text: str) -> int:
    return _whole_number(text, 0, 65535, "a port")


def _port_range(text: str) -> PortRange:
    first, dash, last = text.partition("-")
    try:
        ports = PortRange(_whole_number(first, 1024, 65535, "a port"), _whole_number(last, 1024, 65535, "a port"))
    except ValueError:
        ports = PortRange(0, 0)
    if not dash or ports.last - ports.first < 3:
        raise ValueError("is not a range of at least four ports between 1024 and 65535, like 20000-29999")
    return ports


def _seconds(text: str) -> int:
    return _whole_number(text, 0, 86400, "a number of seconds")


def _days(text: str) -> int:
    return _whole_number(text, 1, 36_500, "a number of days")


def _tries(text: str) -> int:
    return _whole_number(text, 1, 100_000, "a number of tries")


LOG_LEVELS = ("debug", "info", "warning", "error")


def _log_level(text: str) -> str:
    if text.lower() not in LOG_LEVELS:
        raise ValueError(f"is none of {', '.join(LOG_LEVELS)}")
    return text.lower()


def _log_format(text: str) -> str:
    if text.lower() not in FORMATS:
        raise ValueError(f"is none of {', '.join(FORMATS)}")
    return text.lower()


def _minutes(text: str) -> int:
    return _whole_number(text, 0, 1440, "a number of minutes")


def _megabytes(text: str) -> int:
    return _whole_number(text, 1, 4096, "a number of megabytes")


def _networks(text: str) -> str:
    try:
        return ",".join(str(ipaddress.ip_network(part.strip())) for part in text.split(",") if part.strip())
    except ValueError as error:
        raise ValueError(f"is not a list of networks like 10.0.0.0/8,192.168.1.5: {error}") from None


def _version(text: str) -> str:
    if not re.fullmatch(r"\d{1,9}(\.\d{1,9}){0,3}", text):
        raise ValueError("is not a version like 5.1.3")
    return text


def _rate(text: str) -> int:
    return _whole_number(text, 1, 1_000_000, "a number of requests")


def _on_off(text: str) -> str:
    if text.lower() not in {"on", "off"}:
        raise ValueError("is neither on nor off")
    return text.lower()


@dataclass(frozen=True, slots=True)
class Setting:
    """One row of the table: ``name`` as the flag spells it, ``parse`` text → value (ValueError says what is wrong).

    What was given for a ``secret`` one is not repeated in what is said about it.
    """

    name: str
    parse: Callable[[str], Value]
    metavar: str
    help: str
    secret: bool = False

    @property
    def field(self) -> str:
        """The attribute of ``Settings``."""
        return self.name.replace("-", "_")

    @property
    def variable(self) -> str:
        """The environment variable."""
        return f"PARKADE_{self.field.upper()}"


_LATER = "Accepted; this version does not listen there yet."

SETTINGS: tuple[Setting, ...] = (
    Setting("data", _directory, "DIR", "Data directory: the database and everything that outlives a restart."),
    Setting(
        "database",
        DatabaseUrl.parse,
        "URL",
        "PostgreSQL, like postgresql://user@host/name. Default: the file parkade.db in the data directory. "
        "Other users of this machine see flags: give a URL with a password by the environment or the file.",
        secret=True,
    ),
    Setting("host", _address, "IP", "Address to listen on. Default 0.0.0.0, for demo 127.0.0.1."),
    Setting("advertise", _address, "IP", "Address to tell phones. Default: the one packets to that phone leave from."),
    Setting("sip-port", _port, "PORT", "SIP over UDP and TCP. Default 5060, for demo a free one; 0 = a free one."),
    Setting("sips-port", _port, "PORT", f"SIP over TLS. {_LATER}"),
    Setting("http-port", _port, "PORT", "The API. Default 8080, for demo a free one; 0 = a free one."),
    Setting("https-port", _port, "PORT", f"Portal and API over TLS. {_LATER}"),
    Setting("rtp-ports", _port_range, "FIRST-LAST", "UDP ports for sound. Default 20000-29999."),
    Setting("drain-seconds", _seconds, "SECONDS", "How long SIGTERM waits for conversations to end. Default 30."),
    Setting("sounds", _there, "DIR", "Folder with music/ and prompts/ to use instead of the built-in sounds."),
    Setting("log-level", _log_level, "LEVEL", f"How much to log: {', '.join(LOG_LEVELS)}. Default info."),
    Setting("log-format", _log_format, "FORM", f"{' or '.join(FORMATS)} (one object a line). Default text."),
    Setting("journal", _on_off, "on|off", "off: nothing survives a restart; for measuring only. Default on."),
    Setting("trace-minutes", _minutes, "MINUTES", "How long SIP messages are kept to be looked at; 0: not at all. Default 30."),
    Setting("trace-megabytes", _megabytes, "MB", "The most memory for that. Default 64."),
    Setting(
        "webhook-private-targets",
        _networks,
        "NETWORKS",
        "Networks of your own that webhooks may be sent to, like 10.0.0.0/8,192.168.1.5. Default none.",
    ),
    Setting("ban-after", _tries, "TRIES", "How many wrong SIP passwords one source may send within ten minutes. Default 50."),
    Setting("ban-seconds", _seconds, "SECONDS", "For how long such a source is not listened to; 0: never. Default 900."),
    Setting("history-days", _days, "DAYS", "How long the history of parked calls is kept. Default 365."),
    Setting("event-days", _days, "DAYS", "How long events are kept for programs that were away. Default 30."),
    Setting("app-minimum-version", _version, "VERSION", "Apps that say an older version are asked to update. Default 5.1.3."),
    Setting("api-rate", _rate, "NUMBER", "Requests to the API a second for each token. Default 300."),
)
CONFIG_VARIABLE = "PARKADE_CONFIG"


def resolve(
    flags: Mapping[str, str | None],
    environ: Mapping[str, str],
    config: Path | None = None,
    defaults: Mapping[str, Value] | None = None,
) -> Settings:
    """The settings in force. ``flags`` are by setting name, None where not given; ``defaults``, by field, replace
    those of ``Settings``.

    :raises ConfigError: a value is bad, a key of the file is unknown, or ``data`` is given nowhere.
    """
    if config is None and environ.get(CONFIG_VARIABLE):
        config = Path(environ[CONFIG_VARIABLE])
    in_file = _read_file(config) if config else {}
    values: dict[str, Value] = dict(defaults or {})
    for setting in SETTINGS:
        for text, origin in (
            (flags.get(setting.name), f"--{setting.name}"),
            (environ.get(setting.variable) or None, setting.variable),
            (in_file.get(setting.name), f"{config}: {setting.name}"),
        ):
            if text is not None:
                values[setting.field] = _parse(setting, text, origin)
                break
    if "data" not in values:
        raise ConfigError("no data directory: give --data DIR, set PARKADE_DATA, or the key data of a configuration file")
    return Settings(**values)  # type: ignore[arg-type]


def texts(settings: Settings) -> dict[str, str]:
    """The settings as flags would spell them: ``resolve`` of it gives them back. Passwords are among them."""
    values = {setting.name: getattr(settings, setting.field) for setting in SETTINGS}
    return {name: str(getattr(value, "text", value)) for name, value in values.items() if value is not None}


def _parse(setting: Setting, text: str, origin: str) -> Value:
    try:
        return setting.parse(text)
    except ValueError as error:
        given = "what is given" if setting.secret else repr(text)
        raise ConfigError(f"{origin}: {given} {error}") from None


def _read_file(path: Path) -> dict[str, str]:
    try:
        table = tomllib.loads(path.read_text("utf-8"))
    except OSError as error:
        raise ConfigError(f"{path}: {(error.strerror or str(error)).lower()}") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path}: not TOML: {error}") from None
    known = {setting.name for setting in SETTINGS}
    texts: dict[str, str] = {}
    for key, value in table.items():
        name = key.replace("_", "-")
        if name not in known:
            raise ConfigError(f"{path}: {key}: there is no such key (known: {', '.join(sorted(known))})")
        if isinstance(value, bool) or not isinstance(value, str | int):
            raise ConfigError(f"{path}: {key}: a text or a whole number is wanted")
        texts[name] = str(value)
    return texts
