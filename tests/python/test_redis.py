"""Redis as shared state: keys and fields, transactions, and waiting for keys, whoever parses the answers."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import redis
from frontrun.dpor import InterleavingResult, explore_dpor
from redis.connection import Connection
from redis.exceptions import WatchError

Thread = Callable[["Shop"], object]


class Shop:
    """Clients whose connections were made before the threads are there, one for each thread and one for looking."""

    def __init__(self, address: str, protocol: int, n: int) -> None:
        self.look, *self.clients = (self._client(address, protocol) for _ in range(n + 1))
        self.look.flushall()

    @staticmethod
    def _client(address: str, protocol: int) -> Any:
        client = redis.Redis.from_url(address, protocol=protocol, single_connection_client=True)
        client.ping()
        return client

    def number(self, key: str) -> int:
        return int(self.look.get(key) or 0)


@pytest.fixture(params=[2, 3])
def explore(request: pytest.FixtureRequest, redis_server: str) -> Callable[..., InterleavingResult]:
    def run(threads: list[Thread], holds: Callable[[Shop], bool] = lambda _: True) -> InterleavingResult:
        return explore_dpor(
            lambda: Shop(redis_server, request.param, len(threads)), threads, holds, stop_on_first=False
        )

    return run


Explore = Callable[..., InterleavingResult]


def command(number: int, *words: object) -> Thread:
    return lambda shop: shop.clients[number].execute_command(*words)


def get_then_set(number: int, key: str = "stock") -> Thread:
    def run(shop: Shop) -> None:
        client = shop.clients[number]
        client.set(key, int(client.get(key) or 0) + 1)

    return run


def verdict(result: InterleavingResult) -> tuple[str, int]:
    return result.verdict, result.num_explored


def test_a_lost_update_is_found(explore: Explore) -> None:
    result = explore([get_then_set(0), get_then_set(1)], lambda shop: shop.number("stock") == 2)
    # Four of six orders differ: both reads come first, and either write; or one thread is done before the other begins.
    assert (result.exhausted, verdict(result)) == (True, ("failed", 4)), result.explanation
    assert "the key stock" in result.explanation


def test_increments_lose_none(explore: Explore) -> None:
    result = explore([command(0, "INCR", "n"), command(1, "INCR", "n")], lambda shop: shop.number("n") == 2)
    assert verdict(result) == ("exhausted", 2), result.explanation


def test_different_keys_are_one_class(explore: Explore) -> None:
    result = explore([get_then_set(0, "a"), get_then_set(1, "b")])
    assert verdict(result) == ("exhausted", 1), result.explanation


def test_different_fields_of_a_key_are_one_class(explore: Explore) -> None:
    result = explore([command(0, "HSET", "h", "a", 1), command(1, "HSET", "h", "b", 1)])
    assert verdict(result) == ("exhausted", 1), result.explanation


def test_a_key_is_in_conflict_with_its_fields(explore: Explore) -> None:
    result = explore([command(0, "HSET", "h", "a", 1), command(1, "HGETALL", "h")])
    assert verdict(result) == ("exhausted", 2), result.explanation


def test_what_is_not_known_is_in_conflict_with_everything(explore: Explore) -> None:
    result = explore([command(0, "EVAL", "return 1", 0), command(1, "GET", "a")])
    assert verdict(result) == ("exhausted", 2), result.explanation


def test_a_transaction_is_one_step(explore: Explore) -> None:
    def both(shop: Shop) -> None:
        shop.clients[0].pipeline().incr("a").incr("b").execute()

    def look(shop: Shop) -> None:
        a, b = shop.clients[1].mget("a", "b")
        assert a == b

    assert verdict(explore([both, look])) == ("exhausted", 2)


def test_commands_that_are_sent_together_are_steps_of_their_own(explore: Explore) -> None:
    def both(shop: Shop) -> None:
        assert shop.clients[0].pipeline(transaction=False).incr("a").incr("b").execute() == [1, 1]

    def look(shop: Shop) -> None:
        a, b = shop.clients[1].mget("a", "b")
        assert a == b

    # Before, between, and after.
    result = explore([both, look])
    assert (result.exhausted, verdict(result)) == (True, ("failed", 3)), result.explanation


def test_a_watched_key_makes_a_transaction_fail_and_be_tried_again(explore: Explore) -> None:
    def increment(number: int) -> Thread:
        def run(shop: Shop) -> None:
            with shop.clients[number].pipeline() as pipe:
                while True:
                    try:
                        pipe.watch("n")
                        value = int(pipe.get("n") or 0)
                        pipe.multi()
                        pipe.set("n", value + 1)
                        pipe.execute()
                        return
                    except WatchError:
                        continue

        return run

    result = explore([increment(0), increment(1)], lambda shop: shop.number("n") == 2)
    assert (result.verdict, result.exhausted) == ("exhausted", True), result.explanation


def test_a_thread_waits_for_a_key(explore: Explore) -> None:
    def take(shop: Shop) -> None:
        assert list(shop.clients[0].blpop(["jobs"])) == [b"jobs", b"x"]

    result = explore([take, command(1, "RPUSH", "jobs", "x")])
    # Whether it has looked before there was something.
    assert verdict(result) == ("exhausted", 2), result.explanation


def test_waiting_for_a_key_that_nobody_makes_is_a_deadlock(explore: Explore) -> None:
    result = explore([command(0, "BLPOP", "jobs", 0), command(1, "RPUSH", "other", "x")])
    assert (result.verdict, result.failures[0].kind) == ("failed", "deadlock"), result.explanation


def test_a_wait_for_a_key_that_nobody_makes_is_given_up(explore: Explore) -> None:
    def take(shop: Shop) -> None:
        assert shop.clients[0].blpop(["jobs"], timeout=0.05) is None

    assert verdict(explore([take, command(1, "RPUSH", "other", "x")])) == ("exhausted", 1)


def test_the_parser_is_the_one_in_c(redis_server: str) -> None:
    assert "hiredis" in repr(Connection(host="127.0.0.1")._parser).lower()
