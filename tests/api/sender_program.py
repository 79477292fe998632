"""A sender of webhooks as a process of its own, to be killed by a test: ``python -m tests.api.sender_program DATA [URL]``."""

from __future__ import annotations

import asyncio
import sys
import time
from pathlib import Path

from parkade.api.outside import Outside, networks
from parkade.api.webhook_sender import Patience, WebhookSender
from parkade.store.database_url import DatabaseUrl
from parkade.store.store import Store


async def main() -> None:
    database = DatabaseUrl.parse(sys.argv[2]) if len(sys.argv) > 2 else None
    async with await Store.open(Path(sys.argv[1]), database) as store:
        await WebhookSender(store, Outside(networks("127.0.0.1")), time.time, Patience(first_retry_s=0.05)).run()


if __name__ == "__main__":
    asyncio.run(main())
