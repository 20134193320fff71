"""A text that comes again costs the model nothing, and an erased one leaves nothing to read."""

from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from app.embedding.cache import Cache, CachedEncoder, MemoryCache, RedisCache
from app.embedding.unit import normalise, to_bytes
from tests.support.redis_server import RedisServer, running_redis

DIMENSIONS = 8


class CountingEncoder:
    """Every text has a direction of its own; counts what it was asked."""

    def __init__(self, name: str = "model@1") -> None:
        self.name = name
        self.dimensions = DIMENSIONS
        self.asked: list[str] = []

    def encode(self, texts: Sequence[str]) -> NDArray[np.float32]:
        self.asked += texts
        seeds = [sum(text.encode()) for text in texts]
        return normalise([np.random.default_rng(s).standard_normal(DIMENSIONS) for s in seeds])


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RedisServer]:
    with running_redis(tmp_path_factory.mktemp("redis")) as started:
        yield started


@pytest.fixture
def shared(server: RedisServer) -> Iterator[RedisCache]:
    cache = RedisCache(server.url, 60)
    yield cache
    cache.close()
    with server.client() as client:
        client.flushall()


@pytest.fixture(params=["memory", "redis"])
def cache(request: pytest.FixtureRequest) -> Cache:
    if request.param == "memory":
        return MemoryCache(1_000_000)
    found: RedisCache = request.getfixturevalue("shared")
    return found


def stored(vectors: NDArray[np.float32]) -> list[bytes]:
    return [to_bytes(vector) for vector in vectors]


def test_a_text_that_comes_again_is_not_encoded_again_and_stored_as_the_same_bytes(
    cache: Cache,
) -> None:
    encoder = CountingEncoder()
    cached = CachedEncoder(encoder, cache)
    first = cached.encode(["one", "two", "ünï"])
    again = cached.encode(["new", "ünï", "one"])
    assert encoder.asked == ["one", "two", "ünï", "new"]
    assert stored(again[1:]) == stored(first[[2, 0]])
    assert stored(again[:1]) == stored(CountingEncoder().encode(["new"]))
    assert cached.encode([]).shape == (0, DIMENSIONS)


def test_vectors_of_two_models_never_mix(cache: Cache) -> None:
    CachedEncoder(CountingEncoder("model@1"), cache).encode(["one"])
    other = CountingEncoder("model@2")
    CachedEncoder(other, cache).encode(["one"])
    assert other.asked == ["one"]


def test_another_encoder_of_the_same_model_finds_what_one_has_kept(
    server: RedisServer, shared: RedisCache
) -> None:
    other = RedisCache(server.url, 60)
    encoders = [CountingEncoder(), CountingEncoder()]
    for encoder, cache in zip(encoders, (shared, other), strict=True):
        CachedEncoder(encoder, cache).encode(["shared by all"])
    other.close()
    assert [encoder.asked for encoder in encoders] == [["shared by all"], []]


def test_neither_a_text_nor_its_vector_can_be_read_in_redis(
    server: RedisServer, shared: RedisCache
) -> None:
    vector = CachedEncoder(CountingEncoder(), shared).encode(["a secret"])[0]
    with server.client() as client:
        (key,) = client.keys("*")
        kept = client.get(key)
        assert 0 < client.ttl(key) <= 60
    assert b"secret" not in key
    assert isinstance(kept, bytes)
    assert len(kept) == DIMENSIONS * 2
    seen = np.frombuffer(kept, "<f2")
    matching = np.isclose(seen, vector, atol=0.01)
    assert matching.sum() <= 1


def test_what_is_damaged_in_the_cache_is_encoded_again(
    server: RedisServer, shared: RedisCache
) -> None:
    encoder = CountingEncoder()
    cached = CachedEncoder(encoder, shared)
    cached.encode(["one"])
    with server.client() as client:
        client.set(client.keys("*")[0], b"odd")
    cached.encode(["one"])
    assert encoder.asked == ["one", "one"]


def test_memory_keeps_what_was_used_last_within_its_bytes() -> None:
    cache = MemoryCache(3 * (1 + 10 + 300))
    for key in (b"a", b"b", b"c"):
        cache.keep({key: b"0123456789"})
    cache.find([b"a"])
    cache.keep({b"d": b"0123456789"})
    assert [entry is not None for entry in cache.find([b"a", b"b", b"c", b"d"])] == [
        True,
        False,
        True,
        True,
    ]
    cache.keep({b"a": b"9876543210"})
    assert cache.find([b"a"]) == [b"9876543210"]
    cache.keep({b"x": b"0" * 5000})
    assert cache.find([b"a", b"x"]) == [None, None]


def test_without_redis_in_mid_run_the_model_does_the_work_and_redis_is_found_again(
    tmp_path: Path,
) -> None:
    encoder = CountingEncoder()
    with running_redis(tmp_path) as server:
        cache = RedisCache(server.url, 60, retry_seconds=0)
        cached = CachedEncoder(encoder, cache)
        before = cached.encode(["one"])
        server.kill()
        assert stored(cached.encode(["one"])) == stored(before)
        assert encoder.asked == ["one", "one"]
        server.start()
        cached.encode(["one"])
        cached.encode(["one"])
        assert encoder.asked == ["one", "one", "one"]
        cache.close()
