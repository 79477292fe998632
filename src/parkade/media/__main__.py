"""``python -m parkade.media --socket PATH --rtp-ports LOW-HIGH --host ADDR``: one media process."""

from __future__ import annotations

import argparse
import ipaddress
import logging
import re
import sys
from pathlib import Path

from parkade import logs
from parkade.media.plane import SILENCE_S
from parkade.media.process import MediaProcess, MediaSettings
from parkade.media.sounds import BUILT_IN


def port_range(text: str) -> tuple[int, int]:
    """``20000-29999``; ``0-0`` lets the kernel choose."""
    match = re.fullmatch(r"(\d{1,5})-(\d{1,5})", text)
    if match is None or not 0 <= int(match[1]) <= int(match[2]) <= 65535 or (int(match[1]) == 0) != (int(match[2]) == 0):
        raise argparse.ArgumentTypeError(f"{text!r} is no range of ports, as 20000-29999 is")
    return int(match[1]), int(match[2])


def address(text: str) -> str:
    """An IPv4 or IPv6 address to bind to."""
    try:
        return str(ipaddress.ip_address(text))
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r} is no IP address") from None


def main() -> int:
    """Run until told to end; 1 if it could not start."""
    parser = argparse.ArgumentParser(prog="python -m parkade.media", description="Parkade's media process")
    parser.add_argument("--socket", type=Path, required=True, help="unix socket to be made for signalling")
    parser.add_argument("--rtp-ports", type=port_range, required=True, metavar="LOW-HIGH")
    parser.add_argument("--host", type=address, required=True, help="address that RTP is bound to")
    parser.add_argument("--sounds", type=Path, default=BUILT_IN, help="folder with music/ and prompts/")
    parser.add_argument("--reserve", type=int, help="port pairs kept bound for new legs")
    parser.add_argument("--state", type=Path, help="file that tells a following process where the streams were")
    parser.add_argument(
        "--silence", type=float, default=SILENCE_S, metavar="S", help="report a leg that was silent for so long"
    )
    parser.add_argument("--spare", type=int, metavar="FD", help="get ready, then wait at this unix socket for one's turn")
    parser.add_argument("--log-level", choices=("debug", "info", "warning", "error"), default="info")
    parser.add_argument("--log-format", choices=logs.FORMATS, default="text")
    ending = parser.add_mutually_exclusive_group()
    ending.add_argument("--with-parent", action="store_true", help="end when standard input ends")
    ending.add_argument(
        "--linger", type=float, metavar="S", help="end after S seconds without signalling (never, if not given)"
    )
    wanted = parser.parse_args()
    logs.set_up(wanted.log_level, wanted.log_format)
    settings = MediaSettings(
        socket_path=wanted.socket,
        host=wanted.host,
        rtp_ports=wanted.rtp_ports,
        sounds=wanted.sounds,
        reserve=wanted.reserve,
        with_parent=wanted.with_parent,
        linger_s=wanted.linger,
        state=wanted.state,
        silence_s=wanted.silence,
        spare=wanted.spare,
    )
    try:
        process = MediaProcess(settings)
    except OSError as error:
        logging.getLogger("parkade.media").error("cannot start: %s", error)
        return 1
    process.run()
    return 0


if __name__ == "__main__":
    sys.exit(main())
