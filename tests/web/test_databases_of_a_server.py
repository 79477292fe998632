"""A real server on either kind of database: backed up while callers come and go, restored elsewhere, its database away."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.databases import KINDS, nothing_in, of_kind, on_postgres, postgres, url_of
from tests.edge.served import PATIENCE_S, served, wait_for
from tests.web.gateway import DIRECTORY
from tests.web.test_web_process import T1_S, Api, calling, whole

PASSWORD = "hunter2"


def parkade(data: Path, *arguments: str | Path) -> subprocess.CompletedProcess[str]:
    """The command, with the database of ``data`` where it is."""
    command = [sys.executable, "-m", "parkade", arguments[0], "--data", data, *arguments[1:]]
    environ = {**os.environ, **database_of(data)}
    return subprocess.run(
        [*map(str, command)], capture_output=True, text=True, timeout=4 * PATIENCE_S, env=environ, check=False
    )


def database_of(data: Path) -> dict[str, str]:
    url = url_of(data)
    return {} if url is None else {"PARKADE_DATABASE": url.text.replace("parkade@", f"parkade:{PASSWORD}@")}


@pytest.fixture(params=KINDS)
def here(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Path]:
    """An installation with two accounts, whose gateways park every caller."""
    data = tmp_path / "here"
    (tmp_path / "directory.yaml").write_text(json.dumps(DIRECTORY))
    with of_kind(request.param, data):
        done = parkade(data, "import", tmp_path / "directory.yaml")
        assert done.returncode == 0, done.stderr
        yield data


@pytest.fixture(params=KINDS)
def there(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Path]:
    """A data directory that is yet to be made."""
    data = tmp_path / "there"
    with of_kind(request.param, data):
        nothing_in(data)
        yield data


def parks(api: Api) -> list[str]:
    """The calls in the history, newest first."""
    return [park["call_id"] for park in api.get("/api/v1/history/parks", limit="1000")["items"]]


def test_a_backup_of_a_running_server_goes_on_elsewhere(
    here: Path, there: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "backup"
    for name, value in database_of(here).items():
        monkeypatch.setenv(name, value)
    with served(here) as server:
        api = Api(server)
        with calling(server, 0.02) as waits:
            wait_for(lambda: len(waits) > 20, "no calls")
            done = parkade(here, "backup", file)
            assert done.returncode == 0, done.stderr
            assert f"in {file}: accounts 2, people 2, devices 4, parked calls of the past " in done.stdout
            until = len(waits) + 20
            wait_for(lambda: len(waits) > until, "calls do not go on")
        assert max(waits) < T1_S
        wait_for(lambda: len(parks(api)) == len(waits), "history is missing")
        everything = parks(api)
        api.http.close()
        refused = parkade(here, "restore", file)
        assert refused.returncode == 1
        assert "another server uses it" in refused.stderr
        assert len(refused.stderr.splitlines()) == 1
        assert server.stop() == 0
    monkeypatch.delenv("PARKADE_DATABASE", raising=False)
    for name, value in database_of(there).items():
        monkeypatch.setenv(name, value)
    done = parkade(there, "restore", file)
    assert done.returncode == 0, done.stderr
    assert "restored the backup of " in done.stdout
    with served(there) as server:
        api = Api(server)
        before = parks(api)
        assert 20 <= len(before) < len(everything)
        assert before == everything[-len(before) :]
        with calling(server) as waits:
            wait_for(lambda: len(waits) > 5, "no calls")
        wait_for(lambda: len(parks(api)) == len(before) + len(waits), "what happens after a restore is not in the history")
        api.http.close()
        assert server.stop() == 0
    log = (tmp_path / "serve.log").read_text()
    assert PASSWORD not in log + done.stdout + done.stderr
    assert "Traceback" not in log


def test_commands_find_the_database_and_show_no_password(here: Path) -> None:
    text = parkade(here, "export").stdout
    assert "slug: acme" in text.replace('"', "")
    assert parkade(here, "set-password", "nobody").returncode == 1
    found = parkade(here, "check", "--sip-port", "0", "--http-port", "0")
    url = url_of(here)
    assert f"{f'database {url}' if url else 'database'}: accounts 2, devices 4" in found.stdout
    assert PASSWORD not in found.stdout + found.stderr
    if url is not None:
        forgotten = [sys.executable, "-m", "parkade", "export", "--data", str(here)]
        said = subprocess.run(forgotten, capture_output=True, text=True, timeout=PATIENCE_S, check=False)
        assert (said.returncode, said.stdout) == (1, "")
        assert said.stderr.startswith(f"parkade: data directory {here}: its database is {url}: give its URL")


def test_a_database_that_is_away_costs_no_call_and_no_event(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    data = tmp_path / "data"
    (tmp_path / "directory.yaml").write_text(json.dumps(DIRECTORY))
    with on_postgres(data):
        assert parkade(data, "import", tmp_path / "directory.yaml").returncode == 0
        for name, value in database_of(data).items():
            monkeypatch.setenv(name, value)
        url = url_of(data)
        assert url is not None
        with served(data) as server:
            api = Api(server)
            with calling(server, 0.02) as waits:
                for away_s in (0.0, 3.0, 0.5):
                    until = len(waits) + 15
                    wait_for(lambda until=until: len(waits) > until, "calls do not go on")  # type: ignore[misc]
                    with postgres().away(url):
                        time.sleep(away_s)
                        if away_s > 1:
                            assert api.http.get("/api/v1/me").status_code == 503
                            assert api.http.get("/readyz").status_code == 503
            assert max(waits) < T1_S
            wait_for(lambda: api.http.get("/readyz").status_code == 200, "the database is not found again")
            wait_for(lambda: len(parks(api)) == len(waits), "history is missing")
            assert whole(api.events(), len(waits))
            api.http.close()
            assert server.ready["pids"]["signalling"] == server.pid("signalling")
            assert server.stop() == 0
    log = (tmp_path / "serve.log").read_text()
    assert PASSWORD not in log
    assert "Traceback" not in log
