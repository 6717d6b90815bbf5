"""An ordinary pytest test of the cache in ``check_then_act.py``: it passes by luck."""

import threading

from check_then_act import Cache


def test_a_key_is_computed_once() -> None:
    cache = Cache()
    threads = [threading.Thread(target=cache.get, args=("primes",)) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert cache.computed == ["primes"]
