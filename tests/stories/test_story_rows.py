"""No requirement without a story: the rows that hold by now, and where each is shown."""

from __future__ import annotations

import re
from pathlib import Path

ROWS = {
    "S1": "nothing of one account is visible or reachable from another",
    "S3": "without a licence nobody registers, parks or picks up, and is told why",
    "S4": "common-area phones",
    "S5": "all devices of a person ring; each has credentials of its own; nothing else says who somebody is",
    "S10": "the system picks the code",
    "S12": "a desk phone hears the code",
    "S13": "keys park, of phone users only",
    "S14": "music at once, and the other party's phone is asked nothing",
    "S15": "either side, inbound and internal, without registering again",
    "B16A": "blind transfer",
    "B16B": "attended transfer",
    "B16C": "feature code over a held call",
    "B16D": "keys",
    "B16E": "orbit parameter",
    "B17": "a named code; an occupied one is refused and nobody is joined",
    "S20": "hold music",
    "S22": "who hangs up frees the code",
    "S30": "dial the code and be connected at once",
    "S32": "park again or transfer after picking up",
    "S33": "the code is kept for a while",
    "B34": "the caller's name in the first answer",
    "B35": "one winner; specific refusals",
    "S41-100": "ring-back to all devices of the parker",
    "S41-9": "disconnect after an apology",
    "S43": "the old code is no longer valid",
}


def test_every_row_has_a_story_and_every_story_a_known_row() -> None:
    told = {
        row
        for path in Path(__file__).parent.glob("test_*.py")
        for row in re.findall(r"mark\.spec\(\"([^\"]+)", path.read_text())
    }
    assert told == set(ROWS)
