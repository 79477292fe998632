"""Passwords: argon2id for people, digests for phones, random ones for a first start. None is ever kept as text."""

from __future__ import annotations

import hashlib
import secrets

from argon2 import PasswordHasher
from argon2.exceptions import Argon2Error, InvalidHashError

from parkade.switch.secrets import REALM, DeviceSecret

# 19 MiB and two passes on one lane, the first of OWASP's recommended settings: an import may have thousands to make.
_hasher = PasswordHasher(time_cost=2, memory_cost=19 * 1024, parallelism=1)


def hash_password(password: str) -> str:
    """An argon2id hash with its salt and costs in it; different each time."""
    return _hasher.hash(password)


def password_fits(password_hash: str | None, password: str) -> bool:
    """Whether ``password`` is the one ``password_hash`` was made from."""
    if password_hash is None:
        return False
    try:
        return _hasher.verify(password_hash, password)
    except (Argon2Error, InvalidHashError):
        return False


def device_secret(username: str, password: str) -> DeviceSecret:
    """The digests a device of that username proves itself by (:rfc:`7616` section 3.4.2)."""
    text = f"{username}:{REALM}:{password}".encode()
    return DeviceSecret(hashlib.md5(text, usedforsecurity=False).hexdigest(), hashlib.sha256(text).hexdigest())


def random_password() -> str:
    """Readable, 80 bits: ``kw7q-d2mz-xr4t-8hnp``."""
    letters = "abcdefghijkmnpqrstuvwxyz23456789"
    return "-".join("".join(secrets.choice(letters) for _ in range(4)) for _ in range(4))
