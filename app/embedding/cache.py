"""A cache of vectors for texts that are embedded again, for example in another project.

The key of a vector is a hash of its text and model. The vector is encrypted with a stream of bits
derived from the text, so only somebody who has the text can read it: once a prompt is erased, what
a cache still has of it is noise.
"""

import hashlib
import threading
from collections import OrderedDict
from collections.abc import Mapping, Sequence
from typing import Final, Protocol, cast

import numpy as np
import redis
from numpy.typing import NDArray
from redis.backoff import NoBackoff
from redis.retry import Retry

from app.embedding.encoder import Encoder
from app.embedding.unit import to_bytes
from app.storage.redis_patience import RETRY_SECONDS, RedisPatience

_STORED: Final = np.dtype("<f2")
_ENTRY_OVERHEAD_BYTES: Final = 300
"""What Python needs for an entry beside its vector and key, roughly."""
_PREFIX: Final = b"annotation-budget:embedding:"
_ANSWER_SECONDS: Final = 0.5


class Cache(Protocol):
    """Bytes by key. It may drop anything at any time, and never raises."""

    def find(self, keys: Sequence[bytes]) -> list[bytes | None]:
        """The entry of each key; None where there is none."""

    def keep(self, entries: Mapping[bytes, bytes]) -> None:
        """Store these entries."""


class CachedEncoder:
    """An encoder that calls the model only for texts whose vectors are not in the cache.

    A cached vector has the accuracy of float16; stored in the database, its bytes are the same.
    """

    def __init__(self, encoder: Encoder, cache: Cache) -> None:
        self._encoder = encoder
        self._cache = cache

    @property
    def name(self) -> str:
        """The model's."""
        return self._encoder.name

    @property
    def dimensions(self) -> int:
        """The model's."""
        return self._encoder.dimensions

    def encode(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """Unit vectors ``(texts, dimensions)`` in the order of ``texts``."""
        vectors = np.empty((len(texts), self.dimensions), dtype=np.float32)
        ciphers = [_Cipher(self.name, text, self.dimensions) for text in texts]
        missing: list[int] = []
        for place, found in enumerate(self._cache.find([cipher.key for cipher in ciphers])):
            if found is not None and len(found) == self.dimensions * _STORED.itemsize:
                vectors[place] = ciphers[place].decrypt(found)
            else:
                missing.append(place)
        if missing:
            vectors[missing] = self._encoder.encode([texts[place] for place in missing])
            self._cache.keep(
                {ciphers[place].key: ciphers[place].encrypt(vectors[place]) for place in missing}
            )
        return vectors


class _Cipher:
    """Encrypts and decrypts the vector of one text."""

    def __init__(self, model: str, text: str, dimensions: int) -> None:
        self._secret = f"{model}\0{text}".encode("utf-8", "surrogatepass")
        self._size = dimensions * _STORED.itemsize

    @property
    def key(self) -> bytes:
        """The key of the vector in the cache."""
        return _PREFIX + hashlib.sha256(self._secret).digest()

    def encrypt(self, vector: NDArray[np.float32]) -> bytes:
        """The vector, ``(dimensions,)``, as it is cached."""
        return (np.frombuffer(to_bytes(vector), np.uint8) ^ self._bits()).tobytes()

    def decrypt(self, kept: bytes) -> NDArray[np.float32]:
        """The vector, ``(dimensions,)``, of a cached entry."""
        plain = np.frombuffer(kept, np.uint8) ^ self._bits()
        return plain.view(_STORED).astype(np.float32)

    def _bits(self) -> NDArray[np.uint8]:
        drawn = hashlib.shake_256(b"veil\0" + self._secret).digest(self._size)
        return np.frombuffer(drawn, np.uint8)


class MemoryCache:
    """The most recently used entries, in this process, limited in bytes."""

    def __init__(self, limit_bytes: int) -> None:
        self._limit_bytes = limit_bytes
        self._bytes = 0
        self._entries: OrderedDict[bytes, bytes] = OrderedDict()
        self._lock = threading.Lock()

    def find(self, keys: Sequence[bytes]) -> list[bytes | None]:
        """The entry of each key; None where there is none."""
        with self._lock:
            for key in keys:
                if key in self._entries:
                    self._entries.move_to_end(key)
            return [self._entries.get(key) for key in keys]

    def keep(self, entries: Mapping[bytes, bytes]) -> None:
        """Store these entries, and drop the least recently used."""
        with self._lock:
            for key, entry in entries.items():
                self._forget(key, self._entries.pop(key, None))
                self._entries[key] = entry
                self._bytes += _size(key, entry)
            while self._bytes > self._limit_bytes:
                self._forget(*self._entries.popitem(last=False))

    def _forget(self, key: bytes, entry: bytes | None) -> None:
        if entry is not None:
            self._bytes -= _size(key, entry)


def _size(key: bytes, entry: bytes) -> int:
    return len(key) + len(entry) + _ENTRY_OVERHEAD_BYTES


class RedisCache:
    """Entries that all embedders share, for some seconds each. While Redis is down, it is empty."""

    def __init__(
        self, redis_url: str, seconds: int, *, retry_seconds: float = RETRY_SECONDS
    ) -> None:
        self._seconds = seconds
        self._patience = RedisPatience("embedding cache", retry_seconds)
        self._redis = redis.Redis.from_url(
            redis_url,
            socket_timeout=_ANSWER_SECONDS,
            socket_connect_timeout=_ANSWER_SECONDS,
            retry=Retry(NoBackoff(), 0),
        )

    def find(self, keys: Sequence[bytes]) -> list[bytes | None]:
        """The entry of each key; None where there is none."""
        if keys and self._patience.may_ask():
            try:
                found = cast("list[bytes | None]", self._redis.mget(list(keys)))
            except (redis.RedisError, OSError) as error:
                self._patience.failed(error)
            else:
                self._patience.answered()
                return found
        return [None] * len(keys)

    def keep(self, entries: Mapping[bytes, bytes]) -> None:
        """Store these entries, if Redis is there."""
        if not entries or not self._patience.may_ask():
            return
        try:
            with self._redis.pipeline(transaction=False) as pipeline:
                for key, entry in entries.items():
                    pipeline.set(key, entry, ex=self._seconds)
                pipeline.execute()
        except (redis.RedisError, OSError) as error:
            self._patience.failed(error)
        else:
            self._patience.answered()

    def close(self) -> None:
        """Close the connection."""
        self._redis.close()
