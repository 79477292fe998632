"""The root of Parkade's own exceptions.

ParkadeError
├── sip.errors.SipError         a message or header that is not SIP (carries the status it deserves)
├── rtp.sdp.SdpError            a session description that is none, or offers nothing we speak
├── store.directory_file.DirectoryFileError   a directory file that cannot be imported (line and reason)
├── base.journal.KeptError     a value kept for a restart that cannot be read
└── config.ConfigError          a flag, variable or configuration key with a bad value
"""


class ParkadeError(Exception):
    """Something that Parkade can explain in one line: ``str(error)`` is that line."""
