"""Redis that is away is asked now and then, by one at a time, and told of once."""

import structlog

from app.storage.redis_patience import RedisPatience


def test_after_a_failure_nobody_asks_for_a_while_and_its_return_is_told() -> None:
    with structlog.testing.capture_logs() as told:
        patience = RedisPatience("tests", retry_seconds=3600)
        assert patience.may_ask()
        patience.answered()
        for _ in range(3):
            patience.failed(ConnectionError("redis://:a-password@host"))
        assert not patience.may_ask()
        patience.answered()
        assert patience.may_ask()
    assert [line["log_level"] for line in told] == ["warning", "info"]
    assert "a-password" not in str(told)


def test_when_the_wait_is_over_one_tries_for_all() -> None:
    patience = RedisPatience("tests", retry_seconds=3600)
    patience.failed(TimeoutError())
    patience._retry_at = 0.0
    assert patience.may_ask()
    assert not patience.may_ask()
