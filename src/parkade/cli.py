"""The command line: turns flags into ``Settings`` and calls the room that does the work.

A ``ParkadeError`` becomes one line on standard error: exit 2 for a bad flag, variable or configuration key, 1 for the rest.
"""

from __future__ import annotations

import asyncio
import functools
import inspect
import os
import sys
import tempfile
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Annotated

import typer

from parkade import __version__
from parkade.base.errors import ParkadeError
from parkade.config import CONFIG_VARIABLE, SETTINGS, ConfigError, Setting, Settings, Value, resolve

app = typer.Typer(
    add_completion=False,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
    help="Parkade: a business phone system built around call park. Every flag is also a key of a TOML file (--config) "
    "and an environment variable PARKADE_…",
)


def main() -> None:
    """The ``parkade`` command."""
    app()


def _with_settings(
    *names: str, defaults: Mapping[str, Value] | None = None
) -> Callable[[Callable[..., int]], Callable[..., None]]:
    """Give a command a flag for each of the settings ``names`` (all of them if none are named).

    The command's own parameters come first; it is handed the resolved ``Settings`` as ``settings``, and returns its exit code.
    """
    offered = [setting for setting in SETTINGS if not names or setting.name in names]

    def decorate(command: Callable[..., int]) -> Callable[..., None]:
        own = [p for p in inspect.signature(command, eval_str=True).parameters.values() if p.name != "settings"]

        @functools.wraps(command)
        def run(**given: object) -> None:
            config = given.pop("config")
            texts = {setting.name: given.pop(setting.field) for setting in offered}
            flags = {name: text if isinstance(text, str) else None for name, text in texts.items()}
            path = config if isinstance(config, Path) else None
            raise typer.Exit(_explained(lambda: command(settings=resolve(flags, os.environ, path, defaults), **given)))

        parameters = [*own, *(_parameter(setting) for setting in offered), _CONFIG]
        run.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
        run.__annotations__ = {parameter.name: parameter.annotation for parameter in parameters}
        return run

    return decorate


def _parameter(setting: Setting) -> inspect.Parameter:
    option = typer.Option(f"--{setting.name}", metavar=setting.metavar, help=setting.help, show_default=False)
    return inspect.Parameter(
        setting.field, inspect.Parameter.KEYWORD_ONLY, default=None, annotation=Annotated[str | None, option]
    )


_CONFIG = inspect.Parameter(
    "config",
    inspect.Parameter.KEYWORD_ONLY,
    default=None,
    annotation=Annotated[
        Path | None,
        typer.Option(
            "--config", metavar="FILE", help=f"TOML file with these settings. Or {CONFIG_VARIABLE}.", show_default=False
        ),
    ],
)


def _explained(work: Callable[[], int]) -> int:
    """What ``work`` returns, or the exit code of an error after one line about it."""
    try:
        return work()
    except ParkadeError as error:
        for line in getattr(error, "lines", [str(error)]):
            _note(f"parkade: {line}")
        return 2 if isinstance(error, ConfigError) else 1
    except KeyboardInterrupt:
        return 130
    except BrokenPipeError:
        # Whoever read our output has gone; keep the interpreter from complaining about it at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    except OSError as error:
        _note(f"parkade: {error.filename or 'system'}: {(error.strerror or str(error)).lower()}")
        return 1


def _note(line: str) -> None:
    """Something for people, kept apart from the output that programs read."""
    typer.echo(line, err=True)


@app.callback(invoke_without_command=True)
def _top(version: Annotated[bool, typer.Option("--version", help="Print the version.")] = False) -> None:
    if version:
        typer.echo(f"parkade {__version__}")
        raise typer.Exit


_TEMPORARY = Path("(a temporary directory)")
_DEMO_DEFAULTS: dict[str, Value] = {
    "data": _TEMPORARY,
    "host": "127.0.0.1",
    "sip_port": 0,
    "sips_port": 0,
    "http_port": 0,
    "https_port": 0,
}


@app.command()
@_with_settings(defaults=_DEMO_DEFAULTS)
def demo(
    settings: Settings,
    *,
    once: Annotated[bool, typer.Option("--once", help="Stop after the call: exit 0 if every step worked, else 1.")] = False,
) -> int:
    """Start everything, let simulated phones make, park and retrieve a call, and say what each of them heard.

    Without --data it leaves nothing behind.
    """
    from parkade.demo import run

    if settings.data != _TEMPORARY:
        return run(settings, once)
    with tempfile.TemporaryDirectory(prefix="parkade-demo-") as folder:
        return run(replace(settings, data=Path(folder)), once)


@app.command()
@_with_settings()
def serve(settings: Settings) -> int:
    """Run the server until SIGTERM or Ctrl-C.

    The first start makes the data directory and an administrator, whose password is printed once, on standard error. When
    the server is ready it prints one line of JSON: {"ready": true, "sip": 5060, …}. Parked callers outlive it: the next start
    with the same data directory goes on with them.
    """
    from parkade.serve import serve as run

    def first_start() -> None:
        from parkade.store.logins import ADMINISTRATOR
        from parkade.store.store import Store

        async def work() -> str | None:
            async with await Store.open(settings.data, settings.database) as store:
                return await store.first_start()

        if password := asyncio.run(work()):
            _note(f"First start in {settings.data}. Administrator: {ADMINISTRATOR}  password: {password}  (shown only now)")

    return run(settings, first_start)


@app.command("import")
@_with_settings("data", "database")
def import_(
    settings: Settings,
    file: Annotated[Path, typer.Argument(metavar="FILE.yaml", help="The directory file; - is standard input.")],
) -> int:
    """Make accounts, sites, people, phones, lots and trunks what a directory file says, and say what changed.

    The file is complete for each account it names: what it leaves out there is removed. Accounts it does not name stay as
    they are. A bad file changes nothing; a running server follows within seconds.
    """
    from parkade.store.directory_file import read_directory_file
    from parkade.store.directory_import import Change
    from parkade.store.store import Store

    name = "standard input" if str(file) == "-" else str(file)
    try:
        text = sys.stdin.buffer.read() if str(file) == "-" else file.read_bytes()
    except OSError as error:
        raise ParkadeError(f"{name}: {(error.strerror or str(error)).lower()}") from None
    directory = read_directory_file(text, name)

    async def work() -> list[Change]:
        async with await Store.open(settings.data, settings.database) as store:
            return await store.import_directory(directory)

    changes = asyncio.run(work())
    for change in changes:
        typer.echo(change)
    counts = Counter(change.verb for change in changes)
    typer.echo(
        ", ".join(f"{counts[verb]} {verb}" for verb in ("created", "updated", "removed")) if changes else "nothing to change"
    )
    return 0


@app.command()
@_with_settings("data", "database")
def export(settings: Settings) -> int:
    """Write the directory file to standard output; importing it again changes nothing.

    Passwords are not known any more: digests and hashes take their place.
    """
    from parkade.store.directory_file import write_directory_file
    from parkade.store.store import Store

    async def work() -> str:
        async with await Store.open(settings.data, settings.database, make=False) as store:
            return write_directory_file(await store.export_directory())

    typer.echo(asyncio.run(work()), nl=False)
    return 0


@app.command()
@_with_settings()
def check(settings: Settings) -> int:
    """See whether a server could run with these settings: a line each, exit 1 if something is wrong."""
    from rich.console import Console
    from rich.text import Text

    from parkade.check import Verdict, examine

    findings = examine(settings)
    console = Console(soft_wrap=True, highlight=False)
    styles = {Verdict.OK: "green", Verdict.WARN: "yellow", Verdict.FAIL: "bold red"}
    for finding in findings:
        console.print(Text.assemble((f"{finding.verdict.value:<5}", styles[finding.verdict]), finding.text))
    return 1 if any(finding.verdict is Verdict.FAIL for finding in findings) else 0


@app.command("set-password")
@_with_settings("data", "database")
def set_password(
    settings: Settings,
    user: Annotated[str, typer.Argument(metavar="USER", help="A login, or the username of a device.")],
) -> int:
    """Set the password of a person who logs in, or of a phone. Asks for it, or reads one line of standard input."""
    from parkade.store.store import Store

    if sys.stdin.isatty():
        password = str(typer.prompt("New password", hide_input=True, confirmation_prompt=True))
    else:
        password = sys.stdin.readline().rstrip("\r\n")
    if not password:
        raise ParkadeError("an empty password is not allowed; nothing was changed")

    async def work() -> str:
        async with await Store.open(settings.data, settings.database, make=False) as store:
            return await store.set_password(user, password)

    typer.echo(f"New password set for {asyncio.run(work())}.")
    return 0


@app.command()
@_with_settings("data", "database")
def backup(
    settings: Settings,
    file: Annotated[Path, typer.Argument(metavar="FILE", help="Where the backup goes.")],
) -> int:
    """Write the whole installation into one file: database, sounds, voicemail. The server may run meanwhile.

    The file is as secret as the database. It can be restored into SQLite or PostgreSQL, whichever it came from.
    """
    from parkade.store.backup import backup as work

    summary = asyncio.run(work(settings.data, settings.database, file))
    typer.echo(f"backup of {summary.made_at} in {file}: {summary}")
    return 0


@app.command()
@_with_settings("data", "database")
def restore(
    settings: Settings,
    file: Annotated[Path, typer.Argument(metavar="FILE", help="A file that `backup` has written.")],
) -> int:
    """Put a backup in place of the installation, all of it or nothing. The server must not run.

    What was there is written to a backup in the data directory first.
    """
    from parkade.serve import nobody_serves
    from parkade.store.backup import BackupFile
    from parkade.store.backup import restore as work

    with BackupFile.open(file) as looked_at, nobody_serves(settings.data):
        kept = asyncio.run(work(settings.data, settings.database, looked_at))
        if kept is not None:
            typer.echo(f"what was there before is in {kept}")
        typer.echo(f"restored the backup of {looked_at.summary.made_at}: {looked_at.summary}")
    return 0
