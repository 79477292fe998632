"""The sockets SIP listens on, made before there is a loop: whoever supervises keeps them while signalling is started again."""

from __future__ import annotations

import os
import socket

QUEUE_BYTES = 16 << 20
"""What the kernel may hold for us while we are busy or stopped: a small datagram counts for about 2.3 KiB there, so this is
more than a second of 5,000 messages a second."""
BACKLOG = 1024
_SO_RCVBUFFORCE = 33


def bound(kind: socket.SocketKind, host: str, port: int) -> socket.socket:
    """A socket on ``host`` and ``port``; ``::`` is IPv4 too. A stream socket listens. Raises ``OSError`` if it is taken."""
    wide = ":" in host
    sock = socket.socket(socket.AF_INET6 if wide else socket.AF_INET, kind)
    try:
        sock.setblocking(False)
        if wide:
            sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
        if kind is socket.SOCK_STREAM:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            sock.bind((host, port))
            sock.listen(BACKLOG)
        else:
            grow_receive_queue(sock)
            sock.bind((host, port))
    except BaseException:
        sock.close()
        raise
    return sock


def grow_receive_queue(sock: socket.socket) -> int:
    """Let the kernel hold ``QUEUE_BYTES`` for ``sock``, as root past ``net.core.rmem_max`` too; gives the bytes granted."""
    option = _SO_RCVBUFFORCE if os.geteuid() == 0 else socket.SO_RCVBUF
    try:
        sock.setsockopt(socket.SOL_SOCKET, option, QUEUE_BYTES)
    except OSError:  # root without the capability, as in a container
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, QUEUE_BYTES)
    # The kernel doubles what is asked, for its own needs, and says the double.
    return sock.getsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF) // 2
