"""What boards, history and programs are told, and where it goes: events into the log, replies to whoever asked."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable, Sequence

from parkade.calls.commands import Reply
from parkade.calls.effects import SlotChanged
from parkade.calls.events import Event
from parkade.edge.event_json import event_json
from parkade.edge.event_log import EventLog
from parkade.edge.pump import Told

events_log = logging.getLogger("parkade.events")


class Publisher:
    """``answer`` and ``news`` are set when there is somebody who asks: a reply for one, and the number of the last event.

    ``seen`` is told what happened.
    """

    def __init__(self, events: EventLog) -> None:
        self._events = events
        self.answer: Callable[[Reply], None] = _to_nobody
        self.news: Callable[[int], None] = _to_nobody
        self.seen: Callable[[Sequence[Event]], None] = _to_nobody

    def __call__(self, told: Sequence[Told]) -> None:
        """What was decided together. Events come first: whoever is answered can read what the answer stands on."""
        happened: list[Event] = []
        replies: list[Reply] = []
        for each in told:
            if isinstance(each, Reply):
                replies.append(each)
            elif not isinstance(each, SlotChanged):
                happened.append(each)
        if happened:
            self._events.write(happened)
            if events_log.isEnabledFor(logging.INFO):
                for event in happened:
                    events_log.info("%s", json.dumps(event_json(event), ensure_ascii=False))
            self.news(self._events.last)
            self.seen(happened)
        for reply in replies:
            self.answer(reply)


def _to_nobody(_: object) -> None:
    pass
