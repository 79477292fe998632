"""``parkade serve``: what the signalling, media and web processes share, and how each of them is started.

The supervisor holds the SIP sockets, so a phone that calls while signalling is started again waits in the kernel and is not
refused; the same with the HTTP socket and browsers. Signalling is forked from it: everything is imported already, so it serves
again at once. Media is a program of its own that outlives both for ``LINGER_S``; whoever serves the same data directory next
finds it and goes on with it. A spare one, with everything imported, waits for the death of the one that serves. The web process
is a program of its own too. It begins when phones can call and holds up nothing, and ends with the supervisor.

In ``DATA/run``: ``supervisor.pid``, ``signalling.pid``, ``media.pid``, ``web.pid`` (a number each), ``*.lock`` (held by the
process of that name), ``media.sock``, ``signalling.sock``, ``media.state``, ``sip-port`` and ``http-port`` (the ports chosen
when 0 was asked for).
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import logging
import os
import signal
import socket
import subprocess
import sys
import time
import traceback
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Final

from parkade import __version__, logs
from parkade.base.errors import ParkadeError
from parkade.config import Settings, texts
from parkade.edge.sockets import bound
from parkade.supervisor import Child, Started, Supervisor

log = logging.getLogger("parkade")

LINGER_S: Final = 60
HANDOVER_S: Final = 3.0
BIND_TRIES: Final = 20
SIGNALLING_END_S: Final = 10.0
WEB_END_S: Final = 5.0
MEDIA_END_S: Final = 5.0


class CannotListenError(ParkadeError):
    """A port that is taken, or an address that is not ours."""


class AlreadyServedError(ParkadeError):
    """Another ``serve`` has this data directory."""


def serve(settings: Settings, first_start: Callable[[], None]) -> int:
    """Run the server until it is told to stop; gives the exit status. ``first_start`` prepares the database.

    :raises ParkadeError: it cannot start.
    """
    logs.set_up(settings.log_level, settings.log_format)
    logging.getLogger("alembic").setLevel(logging.WARNING)
    if settings.database is not None:
        log.info("database: %s", settings.database)
    place = _Place(settings.data)
    with contextlib.ExitStack() as cleanup:
        place.claim(cleanup)
        server = _Server(settings, place, cleanup)
        return server.run(first_start)


class _Place:
    """The directory ``DATA/run``."""

    def __init__(self, data: Path) -> None:
        self.data = data.absolute()
        self.run = self.data / "run"
        self.held = -1
        """The lock of the supervisor."""

    def claim(self, cleanup: contextlib.ExitStack) -> None:
        """Make the directories and be the only supervisor, or say who is."""
        try:
            self.data.mkdir(mode=0o700, parents=True, exist_ok=True)
            self.run.mkdir(mode=0o700, exist_ok=True)
            lock = self.lock("supervisor")
        except OSError as error:
            reason = "it is a file" if isinstance(error, FileExistsError) else (error.strerror or str(error)).lower()
            raise ParkadeError(f"data directory {self.data}: {reason}") from None
        if lock is None:
            raise AlreadyServedError(
                f"data directory {self.data}: another server uses it (process {self.pid_of('supervisor') or 'unknown'})"
            )
        self.held = lock
        cleanup.callback(os.close, lock)
        self.write_pid("supervisor", os.getpid())

    def lock(self, name: str) -> int | None:
        """A descriptor that holds the lock ``name`` until every copy of it is closed, or None if somebody holds it."""
        fd = os.open(self.run / f"{name}.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(fd)
            return None
        except BaseException:
            os.close(fd)
            raise
        return fd

    def wait_for_lock(self, name: str, seconds: float) -> int | None:
        """``lock``, waiting until whoever holds it ends."""
        until = time.monotonic() + seconds
        while (fd := self.lock(name)) is None and time.monotonic() < until:
            time.sleep(0.005)
        return fd

    def write_pid(self, name: str, pid: int) -> None:
        """Note the process ``name``."""
        self.write(f"{name}.pid", str(pid))

    def pid_of(self, name: str) -> int:
        """The process ``name``, 0 if unknown."""
        return self.number(f"{name}.pid")

    def number(self, name: str) -> int:
        """A number that was written, 0 if there is none."""
        try:
            return int((self.run / name).read_text())
        except (OSError, ValueError):
            return 0

    def write(self, name: str, text: str) -> None:
        """Replace a file at once, so that nobody reads half of it. A disk that takes nothing does not stop the server."""
        path, new = self.run / name, self.run / f".{name}.new"
        try:
            new.write_text(text + "\n")
            new.replace(path)
        except OSError as error:
            with contextlib.suppress(OSError):
                new.unlink(missing_ok=True)
            if not _overwritten(path, text + "\n"):
                log.error("%s cannot be written: %s; the server goes on", path, _reason(error))
                with contextlib.suppress(OSError):
                    path.unlink(missing_ok=True)  # nothing is better than the number of another process

    def running(self, name: str, program: bytes) -> int:
        """The process ``name`` if it still is one whose command line has ``program`` in it, else 0."""
        pid = self.pid_of(name)
        with contextlib.suppress(OSError):
            if pid > 0 and program in Path(f"/proc/{pid}/cmdline").read_bytes():
                return pid
        return 0


@contextlib.contextmanager
def nobody_serves(data: Path) -> Iterator[None]:
    """Meanwhile no server can start with ``data``.

    :raises AlreadyServedError: one runs.
    """
    with contextlib.ExitStack() as cleanup:
        _Place(data).claim(cleanup)
        yield


class _Server:
    """One run of the supervisor."""

    def __init__(self, settings: Settings, place: _Place, cleanup: contextlib.ExitStack) -> None:
        self._settings = settings
        self._place = place
        self._sockets: tuple[socket.socket, socket.socket]
        self._http: socket.socket
        self._cleanup = cleanup
        # Signalling and web read their end until we are gone.
        self._life, self._held = os.pipe()
        self._spare: _Spare | None = None
        self._media = Child("media", self._start_media, MEDIA_END_S)
        self._signalling = Child("signalling", self._start_signalling, settings.drain_seconds + SIGNALLING_END_S)
        self._web = Child("web", self._start_web, WEB_END_S, vital=False)
        # The API answers, and takes the last events, until the conversations are over.
        children = [self._media, self._web, self._signalling]
        self._supervisor = Supervisor(children, self._note_pids, self._say_ready, self._make_spare)

    def run(self, first_start: Callable[[], None]) -> int:
        self._end_former("signalling", b"parkade")
        self._end_former("web", b"parkade.web")
        udp, tcp = bind(self._settings.host, self._settings.sip_port, self._place.number("sip-port"))
        self._sockets = (udp, tcp)
        self._http = bind_http(self._settings.host, self._settings.http_port, self._place.number("http-port"))
        for sock in (udp, tcp, self._http):
            self._cleanup.enter_context(contextlib.closing(sock))
        for name, chosen, sock in (("sip", self._settings.sip_port, udp), ("http", self._settings.http_port, self._http)):
            if not chosen:
                self._place.write(f"{name}-port", str(sock.getsockname()[1]))
        try:
            self._supervisor.start(self._media)  # it gets ready while we import and look at the database
            first_start()
            import parkade.app  # noqa: F401 - what signalling needs is imported before it is forked

            return self._supervisor.run()
        except BaseException:
            self._supervisor.end_all()
            raise
        finally:
            if self._spare is not None:
                self._spare.end()

    def _end_former(self, name: str, program: bytes) -> None:
        """That of a supervisor which was killed: it ends by itself when it notices."""
        lock = self._place.wait_for_lock(name, HANDOVER_S)
        if lock is None:
            log.error("the %s process of a former server does not end: killed", name)
            if pid := self._place.running(name, program):
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
            lock = self._place.wait_for_lock(name, HANDOVER_S)
        if lock is not None:
            os.close(lock)

    # Media

    def _start_media(self) -> Started:
        wanted = self._media_wanted()
        lock = self._place.lock("media")
        if lock is None:
            adopted = self._adopt_media(wanted)
            if adopted is not None:
                return adopted
            lock = self._place.wait_for_lock("media", HANDOVER_S)
        spare, self._spare = self._spare, None
        try:
            pid = spare.take_its_turn(lock) if spare is not None and lock is not None else 0
            if not pid:
                process = self._popen_media(wanted, [] if lock is None else [lock])
                process.returncode = 0  # it is waited for by the supervisor, and by nobody else
                pid = process.pid
        finally:
            if lock is not None:
                os.close(lock)
        self._place.write("media.json", json.dumps([__version__, *wanted]))
        self._place.write_pid("media", pid)
        return Started(pid)

    def _popen_media(self, arguments: list[str], kept_open: list[int]) -> subprocess.Popen[bytes]:
        return subprocess.Popen(  # noqa: S603 - our own program
            [sys.executable, "-m", "parkade.media", *arguments],
            cwd=self._place.run,  # the path of a unix socket may have 107 bytes and no more
            stdin=subprocess.DEVNULL,
            stdout=2,
            env=_environment(),
            process_group=0,  # Ctrl-C in a terminal is for us
            pass_fds=kept_open,
        )

    def _make_spare(self) -> None:
        """Start a media process that waits for the death of the one that serves: starting Python takes longest."""
        if self._spare is not None:
            if self._spare.lives:
                return
            self._spare.end()
        ours, its = socket.socketpair()
        with its:
            try:
                process = self._popen_media([*self._media_wanted(), "--spare", str(its.fileno())], [its.fileno()])
            except OSError as error:  # it will be started when it is needed
                log.warning("no spare media process: %s", error)
                ours.close()
                return
        self._spare = _Spare(process, ours)

    def _media_wanted(self) -> list[str]:
        settings = self._settings
        wanted = ["--socket", "media.sock", "--state", "media.state", "--linger", str(LINGER_S), "--host", settings.host]
        wanted += ["--rtp-ports", str(settings.rtp_ports), "--log-level", settings.log_level]
        wanted += ["--log-format", settings.log_format]
        if settings.sounds is not None:
            wanted += ["--sounds", str(settings.sounds.absolute())]
        return wanted

    def _adopt_media(self, wanted: list[str]) -> Started | None:
        """The media process that another supervisor has left, if it is what we would start; else its end."""
        pid = self._place.running("media", b"parkade.media")
        if not pid:
            return None
        try:
            running = json.loads((self._place.run / "media.json").read_text())
        except (OSError, ValueError):
            running = None
        if running == [__version__, *wanted]:
            log.info("the media process %d of the former server goes on", pid)
            return Started(pid, ours=False)
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGTERM)
        return None

    # Signalling

    def _start_signalling(self) -> Started:
        ready, say_ready = os.pipe()
        lock = self._place.lock("signalling")
        try:
            pid = os.fork()
        except OSError:
            for fd in (ready, say_ready, lock):
                if fd is not None:
                    os.close(fd)
            raise
        if pid == 0:
            status = 1
            try:
                os.close(self._held)
                os.close(ready)
                status = self._be_signalling(say_ready)
            except BaseException as error:  # noqa: BLE001 - it ends here, and must not unwind into the supervisor
                _explain(error)
            finally:
                logging.shutdown()
                with contextlib.suppress(OSError):
                    sys.stderr.flush()
                os._exit(status)
        os.close(say_ready)
        if lock is not None:
            os.close(lock)
        return Started(pid, ready)

    def _be_signalling(self, say_ready: int) -> int:
        from parkade.app import Given, run_signalling

        os.setpgid(0, 0)
        os.close(self._place.held)
        self._http.close()
        if self._spare is not None:
            self._spare.leave()
        signal.set_wakeup_fd(-1)
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, signal.SIG_DFL)
        udp, tcp = self._sockets
        folder = os.open(self._place.run, os.O_RDONLY | os.O_DIRECTORY)
        run = Path(f"/proc/self/fd/{folder}")
        given = Given(udp, tcp, run / "media.sock", run / "signalling.sock", self._life, lambda: _say(say_ready))
        return run_signalling(self._settings, given)

    # Web

    def _start_web(self) -> Started:
        ready, say_ready = os.pipe()
        settings, tell_settings = os.pipe()
        lock = self._place.lock("web")
        given = {"http": self._http.fileno(), "settings": settings, "life": self._life, "ready": say_ready}
        passed = [*given.values(), *([] if lock is None else [lock])]
        try:
            # The settings may hold a password, and everybody can read a command line.
            os.write(tell_settings, json.dumps(texts(self._settings_elsewhere())).encode())
            process = subprocess.Popen(  # noqa: S603 - our own program
                [sys.executable, "-m", "parkade.web", *(word for name, fd in given.items() for word in (f"--{name}", str(fd)))],
                cwd=self._place.run,  # as for media
                stdin=subprocess.DEVNULL,
                stdout=2,
                env=_environment(),
                process_group=0,
                pass_fds=passed,
            )
        except BaseException:
            os.close(ready)
            raise
        finally:
            for fd in (say_ready, settings, tell_settings, *([] if lock is None else [lock])):
                os.close(fd)
        process.returncode = 0  # it is waited for by the supervisor
        return Started(process.pid, ready)

    def _settings_elsewhere(self) -> Settings:
        """Those of a process with another working directory."""
        sounds = self._settings.sounds
        return replace(self._settings, data=self._place.data, sounds=None if sounds is None else sounds.absolute())

    # What others may read

    def _note_pids(self) -> None:
        for child in (self._media, self._signalling, self._web):
            if child.runs and child.pid != self._place.pid_of(child.name):
                self._place.write_pid(child.name, child.pid)

    def _say_ready(self) -> None:
        ports = {"sip": self._sockets[0].getsockname()[1], "http": self._http.getsockname()[1]}
        pids = {
            "supervisor": os.getpid(),
            "signalling": self._signalling.pid,
            "media": self._media.pid,
            "web": self._web.pid if self._web.runs else 0,
        }
        print(json.dumps({"ready": True, **ports, "rtp": str(self._settings.rtp_ports), "pids": pids}), flush=True)  # noqa: T201
        _notify_systemd("READY=1")


class _Spare:
    """A media process that has started and waits for its turn. It ends when our end of its socket is closed everywhere."""

    def __init__(self, process: subprocess.Popen[bytes], turn: socket.socket) -> None:
        self._process = process
        self._turn = turn

    @property
    def lives(self) -> bool:
        """Whether it could take its turn."""
        return self._process.poll() is None

    def take_its_turn(self, lock: int) -> int:
        """Let it serve, holding ``lock``: its number, or 0 if it is no more."""
        if self.lives:
            try:
                socket.send_fds(self._turn, [b"!"], [lock])
            except OSError as error:
                log.warning("the spare media process does not hear: %s", error)
            else:
                self._turn.close()
                self._process.returncode = 0  # from now on it is waited for by the supervisor
                return self._process.pid
        self.end()
        return 0

    def leave(self) -> None:
        """It is no longer ours to call, but another process's."""
        self._turn.close()

    def end(self) -> None:
        """End it."""
        self._turn.close()
        self._process.kill()
        self._process.wait()


def bind(host: str, port: int, before: int = 0) -> tuple[socket.socket, socket.socket]:
    """UDP and TCP on one port; for port 0 on ``before`` (that of the former start) or on one that is free for both.

    :raises CannotListenError: it cannot be.
    """
    if before and not port:
        with contextlib.suppress(CannotListenError):
            return bind(host, before)
    for attempt in range(BIND_TRIES):
        try:
            udp = bound(socket.SOCK_DGRAM, host, port)
        except OSError as error:
            raise CannotListenError(f"cannot listen on {host} port {port} (UDP): {_reason(error)}") from None
        chosen = int(udp.getsockname()[1])
        try:
            return udp, bound(socket.SOCK_STREAM, host, chosen)
        except OSError as error:
            udp.close()
            if port or attempt == BIND_TRIES - 1:
                raise CannotListenError(f"cannot listen on {host} port {chosen} (TCP): {_reason(error)}") from None
    raise AssertionError("unreachable")


def bind_http(host: str, port: int, before: int = 0) -> socket.socket:
    """TCP for browsers and programs; for port 0 on ``before``, or on a free one.

    :raises CannotListenError: it cannot be.
    """
    if before and not port:
        with contextlib.suppress(CannotListenError):
            return bind_http(host, before)
    try:
        return bound(socket.SOCK_STREAM, host, port)
    except OSError as error:
        raise CannotListenError(f"cannot listen on {host} port {port} (HTTP): {_reason(error)}") from None


def _reason(error: OSError) -> str:
    return os.strerror(error.errno).lower() if error.errno else str(error)


def _overwritten(path: Path, text: str) -> bool:
    """Write into the file that is there, which needs no room on the disk; whether it could be done."""
    try:
        file = os.open(path, os.O_WRONLY | os.O_CLOEXEC)
    except OSError:
        return False
    try:
        data = text.encode()
        written = os.pwrite(file, data, 0) == len(data)
        os.ftruncate(file, len(data))
        return written
    except OSError:
        return False
    finally:
        os.close(file)


def _say(fd: int) -> None:
    os.write(fd, b"!")
    os.close(fd)


def _notify_systemd(state: str) -> None:
    """Tell systemd (``Type=notify``), where it wants to be told."""
    address = os.environ.get("NOTIFY_SOCKET", "")
    if address.startswith(("/", "@")):
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sock, contextlib.suppress(OSError):
            sock.sendto(state.encode(), address.replace("@", "\0", 1) if address[0] == "@" else address)


def _explain(error: BaseException) -> None:
    if isinstance(error, ParkadeError):
        print(f"parkade: {error}", file=sys.stderr)  # noqa: T201
    else:
        traceback.print_exception(error)


def _environment() -> dict[str, str]:
    """Ours, with the place of this very package, so that the child runs the same code, installed or not."""
    here = str(Path(__file__).resolve().parents[1])
    return {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, (here, os.environ.get("PYTHONPATH"))))}
