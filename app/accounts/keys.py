"""Keys: random, shown once, kept as hashes."""

import hashlib
import secrets

_PREFIX = "ab_"


def new_key() -> str:
    """A key of 256 random bits."""
    return _PREFIX + secrets.token_urlsafe(32)


def hash_key(key: str) -> bytes:
    """What is stored of a key. A random key needs no salt and no slow hash."""
    return hashlib.sha256(key.encode("utf-8", "surrogateescape")).digest()
