"""``parkade check``: looks at everything a server needs and says one line about each. Changes
nothing; a database of an earlier version is not opened, because that would bring it up to date."""

from __future__ import annotations

import asyncio
import ipaddress
import os
import resource
import shutil
import socket
import wave
from collections.abc import Iterator
from dataclasses import dataclass
from enum import Enum
from importlib.resources import files
from pathlib import Path

from parkade.base.errors import ParkadeError
from parkade.calls.directory import Directory
from parkade.config import PortRange, Settings
from parkade.edge.sockets import QUEUE_BYTES, grow_receive_queue
from parkade.store.database import is_older, prepare_directory
from parkade.store.database_url import DatabaseUrl
from parkade.store.store import Store

LANGUAGES = ("en", "vi")
SPOKEN_CODE = ("parked-at", "star", *"0123456789")
_FILES_PER_CALL = 4
_WANTED_FILES = 4096
_RTP_SAMPLES = 16
_LEAST_MIB, _WANTED_MIB = 8, 100


class Verdict(Enum):
    """What a line begins with."""

    OK = "ok"
    WARN = "warn"
    FAIL = "fail"


@dataclass(frozen=True, slots=True)
class Finding:
    """One line of the answer."""

    verdict: Verdict
    text: str


def examine(settings: Settings) -> list[Finding]:
    """Every finding, in the order a person would look."""
    sounds = settings.sounds or Path(str(files("parkade"))) / "media" / "sounds"
    server = _running_server(settings.data)
    return [
        *([Finding(Verdict.OK, f"server: process {server} serves this data directory now")] if server else ()),
        *_sip_port(settings.host, settings.sip_port, server),
        _http_port(settings.host, settings.http_port, server),
        _receive_queue(),
        *_rtp_ports(settings.host, settings.rtp_ports, server),
        *_advertised(settings),
        *_data(settings.data),
        *_database(settings.data, settings.database),
        *_disk(settings.data),
        Finding(Verdict.OK, "TLS: this version does not use it"),
        *_prompts(sounds / "prompts"),
        *_music(sounds / "music"),
        *_open_files(),
    ]


def _bind(kind: socket.SocketKind, host: str, port: int) -> str | None:
    """Why ``host:port`` cannot be bound, or None if it can."""
    with socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET, kind) as probe:
        if kind is socket.SOCK_STREAM:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError as error:
            return os.strerror(error.errno).lower() if error.errno else str(error)
    return None


def _running_server(data: Path) -> int:
    """The process that serves ``data`` now, 0 if none does."""
    try:
        pid = int((data / "run" / "supervisor.pid").read_text())
        return pid if b"parkade" in Path(f"/proc/{pid}/cmdline").read_bytes() else 0
    except (OSError, ValueError):
        return 0


def _sip_port(host: str, port: int, server: int) -> Iterator[Finding]:
    if port == 0:
        yield Finding(Verdict.OK, "SIP: a free port will be chosen")
        return
    for kind, name in ((socket.SOCK_DGRAM, "UDP"), (socket.SOCK_STREAM, "TCP")):
        why = _bind(kind, host, port)
        if why and server:
            yield Finding(Verdict.OK, f"SIP over {name}: {host} port {port} is in use, as it should be while the server runs")
            continue
        hint = "" if why is None else f": {why} (is another server running?)"
        yield Finding(Verdict.FAIL if why else Verdict.OK, f"SIP over {name}: {host} port {port}{hint}")


def _http_port(host: str, port: int, server: int) -> Finding:
    if port == 0:
        return Finding(Verdict.OK, "HTTP: a free port will be chosen")
    why = _bind(socket.SOCK_STREAM, host, port)
    if why and server:
        return Finding(Verdict.OK, f"HTTP: {host} port {port} is in use, as it should be while the server runs")
    hint = "" if why is None else f": {why} (is another server running?)"
    return Finding(Verdict.FAIL if why else Verdict.OK, f"HTTP: {host} port {port}{hint}")


def _receive_queue() -> Finding:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        granted = grow_receive_queue(probe)
    if granted < QUEUE_BYTES:
        # A small message counts for about 2.3 KiB in the kernel, of twice what is granted; a call is about nine of them.
        calls = 2 * granted // 2300 // 9
        return Finding(
            Verdict.WARN,
            f"SIP receive queue: {granted >> 10} KiB, so a pause of a second may lose messages from {calls} calls a second on; "
            f"set net.core.rmem_max to {QUEUE_BYTES}",
        )
    return Finding(Verdict.OK, f"SIP receive queue: {granted >> 20} MiB")


def _rtp_ports(host: str, ports: PortRange, server: int) -> Iterator[Finding]:
    step = max(2, (ports.last - ports.first) // _RTP_SAMPLES // 2 * 2)
    tried = range(ports.first, ports.last + 1, step)
    taken = [port for port in tried if _bind(socket.SOCK_DGRAM, host, port)]
    calls = (ports.last - ports.first + 1) // _FILES_PER_CALL
    if taken and server:
        yield Finding(Verdict.OK, f"RTP: ports {ports} on {host} are in use, as they should be while the server runs")
    elif len(taken) == len(tried):
        hint = "(another program has them?)"
        yield Finding(Verdict.FAIL, f"RTP: ports {ports} on {host}: none of {len(tried)} tried can be used {hint}")
    elif taken:
        hint = "(by another program?)"
        yield Finding(Verdict.WARN, f"RTP: ports {ports} on {host}: {len(taken)} of {len(tried)} tried are taken {hint}")
    else:
        yield Finding(Verdict.OK, f"RTP: ports {ports} on {host}, enough for {calls} calls at once")


def _advertised(settings: Settings) -> Iterator[Finding]:
    address = settings.advertise or settings.host
    if ipaddress.ip_address(address).is_unspecified:
        address = _own_address()
    if ipaddress.ip_address(address).is_loopback:
        yield Finding(Verdict.WARN, f"address: phones are told {address}, which only phones on this machine can reach")
    elif _bind(socket.SOCK_DGRAM, address, 0):
        yield Finding(Verdict.WARN, f"address: phones are told {address}, which is not this machine's (right behind NAT only)")
    else:
        yield Finding(Verdict.OK, f"address: phones are told {address}")


def _own_address() -> str:
    """The address that packets to the world would leave from; asking the routing table sends nothing."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect(("192.0.2.1", 9))
        except OSError:
            return "127.0.0.1"
        return str(probe.getsockname()[0])


def _data(data: Path) -> Iterator[Finding]:
    if not data.exists():
        parent = next(folder for folder in (data, *data.absolute().parents) if folder.exists())
        if not os.access(parent, os.W_OK | os.X_OK) or not parent.is_dir():
            yield Finding(Verdict.FAIL, f"data directory {data}: not there, and {parent} cannot be written")
        else:
            yield Finding(Verdict.WARN, f"data directory {data}: not there yet; serve or import makes it")
        return
    try:
        prepare_directory(data)
        if data.stat().st_mode & 0o077:
            hint = f"whoever can read the digests in it can register as a phone: chmod 700 {data}"
            yield Finding(Verdict.WARN, f"data directory {data}: can be written, and other users may enter it; {hint}")
        else:
            yield Finding(Verdict.OK, f"data directory {data}: can be written")
    except ParkadeError as error:
        yield Finding(Verdict.FAIL, str(error))


def _database(data: Path, url: DatabaseUrl | None) -> Iterator[Finding]:
    name = f"database {url}" if url else "database"
    try:
        if data.exists() and not data.is_dir():
            return
        older = asyncio.run(is_older(data, url))
        if older is None:
            yield Finding(Verdict.WARN, f"{name}: not there yet; serve or import makes it")
            return
        if older:
            hint = "serve or import brings it up to date; make a backup before, because there is no way back"
            yield Finding(Verdict.WARN, f"{name}: of an earlier version of Parkade; {hint}")
            return
        directory = asyncio.run(_directory(data, url))
    except ParkadeError as error:
        yield Finding(Verdict.FAIL, str(error))
        return
    verdict = Verdict.OK if directory.devices else Verdict.WARN
    yield Finding(verdict, f"{name}: accounts {len(directory.accounts)}, devices {len(directory.devices)}")


def _disk(data: Path) -> Iterator[Finding]:
    place = next(folder for folder in (data, *data.absolute().parents) if folder.exists())
    free_mib = shutil.disk_usage(place).free >> 20
    verdict = Verdict.FAIL if free_mib < _LEAST_MIB else Verdict.WARN if free_mib < _WANTED_MIB else Verdict.OK
    hint = "" if verdict is Verdict.OK else "; on a full disk nothing that changes survives a restart"
    yield Finding(verdict, f"disk: {free_mib} MiB free{hint}")


async def _directory(data: Path, url: DatabaseUrl | None) -> Directory:
    async with await Store.open(data, url, make=False) as store:
        directory, _ = await store.directory()
    return directory


def _unreadable(path: Path) -> str | None:
    try:
        with wave.open(str(path), "rb") as sound:
            return None if sound.getnframes() > 0 else f"{path} is empty"
    except (OSError, EOFError, wave.Error) as error:
        return f"{path}: {error}"


def _prompts(folder: Path) -> Iterator[Finding]:
    there = {language: {path.stem for path in (folder / language).glob("*.wav")} for language in LANGUAGES}
    wanted = set(SPOKEN_CODE).union(*there.values())
    for language in LANGUAGES:
        if missing := sorted(wanted - there[language]):
            yield Finding(Verdict.FAIL, f"prompts ({language}): missing {', '.join(missing)} in {folder / language}")
            continue
        bad = [why for stem in sorted(wanted) if (why := _unreadable(folder / language / f"{stem}.wav"))]
        yield (
            Finding(Verdict.FAIL, f"prompts ({language}): {bad[0]}")
            if bad
            else Finding(Verdict.OK, f"prompts ({language}): {len(wanted)} phrases")
        )


def _music(folder: Path) -> Iterator[Finding]:
    pieces = sorted(folder.glob("*.wav"))
    bad = [why for path in pieces if (why := _unreadable(path))]
    default = folder / "default.wav"
    if bad or default not in pieces:
        yield Finding(Verdict.FAIL, f"music: {bad[0] if bad else f'{default} is missing'}")
    else:
        yield Finding(Verdict.OK, f"music: {', '.join(path.stem for path in pieces)}")


def _open_files() -> Iterator[Finding]:
    limit, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    if limit == resource.RLIM_INFINITY:
        yield Finding(Verdict.OK, "open files: no limit")
        return
    verdict = Verdict.OK if limit >= _WANTED_FILES else Verdict.WARN
    yield Finding(verdict, f"open files: at most {limit}, enough for {limit // _FILES_PER_CALL} calls at once")
