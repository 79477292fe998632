"""What becomes of an exception inside the switch, which would be our own fault: a note, and everything else goes on.

Not for what peers send: that is judged where it is read, and answered.
"""

from __future__ import annotations

from parkade.switch.inputs import Note


def mishap(what: object, error: Exception) -> Note:
    """The note about ``error``, which came while ``what`` (an input or an effect) was being worked on."""
    trace = error.__traceback__
    while trace is not None and trace.tb_next is not None:
        trace = trace.tb_next
    where = f"{trace.tb_frame.f_code.co_filename}:{trace.tb_lineno}" if trace is not None else "nowhere"
    return Note(f"internal error in {type(what).__name__} at {where}: {type(error).__name__}: {str(error)!a}", error)
