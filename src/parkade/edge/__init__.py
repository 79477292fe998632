"""Sockets, the clock and the loop: the only room where SIP meets asyncio."""
