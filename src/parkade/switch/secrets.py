"""What a device proves itself by. The password itself is never kept, only what digest authentication needs."""

from __future__ import annotations

from dataclasses import dataclass

REALM = "parkade"
"""The one realm of every challenge; a digest is bound to it and to the device's username."""


@dataclass(frozen=True, slots=True)
class DeviceSecret:
    """H(username ":" realm ":" password) as lower-case hex, by MD5 and by SHA-256 (:rfc:`7616` section 3.4.2, :rfc:`8760`)."""

    ha1_md5: str
    ha1_sha256: str
