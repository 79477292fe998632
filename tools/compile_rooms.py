"""The product with its pure rooms compiled to C by mypyc: ``python tools/compile_rooms.py TARGET``.

``TARGET`` is a folder such as site-packages: what it has of parkade is replaced by a copy of ``src/parkade`` with a compiled
module beside each source file of ``ROOMS``. Python takes the compiled one. Nothing is compiled in ``src`` itself, where an
edited file would have no effect. Needs a C compiler, the headers of this Python, and what requirements/dev.txt installs.
"""

from __future__ import annotations

import argparse
import os
import shutil
import sys
import tempfile
from pathlib import Path

from mypyc.build import mypycify
from setuptools import Distribution
from setuptools.command.build_ext import build_ext

SOURCE = Path(__file__).resolve().parents[1] / "src"
ROOMS = ("base", "sip", "rtp", "calls", "switch")
AS_IT_IS = {"base/values.py"}
"""What reads one way for mypy and another for Python."""


def modules() -> list[str]:
    """What is compiled, relative to ``src``. Numpy's own loops are compiled already."""
    top = SOURCE / "parkade"
    rooms = [file for room in ROOMS for file in sorted((top / room).rglob("*.py")) if "import numpy" not in file.read_text()]
    names = [str(file.relative_to(top)) for file in rooms]
    return [f"parkade/{name}" for name in names if name not in AS_IT_IS]


def compile_into(target: Path, optimize: str) -> None:
    """Replace the package in ``target``. Raises what the compiler raises; the package is there only if all went well."""
    target.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=".parkade-", dir=target) as name:
        built = Path(name)
        shutil.copytree(SOURCE / "parkade", built / "parkade", ignore=shutil.ignore_patterns("__pycache__"))
        os.chdir(SOURCE)  # mypyc takes module names from paths
        with tempfile.TemporaryDirectory(prefix="parkade-c-") as work:
            extensions = mypycify(
                ["--config-file", str(SOURCE.parent / "pyproject.toml"), "--cache-dir", f"{work}/cache", *modules()],
                opt_level=optimize,
                debug_level="0",
                multi_file=True,
                target_dir=f"{work}/c",
            )
            command = build_ext(Distribution({"name": "parkade", "ext_modules": extensions}))
            command.build_lib, command.build_temp = str(built), f"{work}/o"
            command.ensure_finalized()
            command.run()
        for old in [target / "parkade", *target.glob("*__mypyc.*.so")]:
            shutil.rmtree(old) if old.is_dir() else old.unlink(missing_ok=True)
        for new in built.iterdir():
            new.rename(target / new.name)


def main() -> None:
    """Compile, and say so."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("target", type=Path)
    parser.add_argument("--optimize", default="3", choices="0123", help="the C compiler's level (default 3)")
    given = parser.parse_args()
    compile_into(given.target.resolve(), given.optimize)
    print(f"{len(modules())} modules compiled into {given.target}", file=sys.stderr)


if __name__ == "__main__":
    main()
