"""The HTTP and WebSocket face: REST, live events, webhooks. Runs in the web process (``web.py``)."""
