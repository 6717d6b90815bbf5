"""A cache that looks for a key and then fills it: two threads can both find it missing and both do the work."""

import threading


class Cache:
    def __init__(self) -> None:
        self.entries: dict[str, list[int]] = {}
        self.computed: list[str] = []

    def get(self, key: str) -> list[int]:
        if key not in self.entries:
            self.computed.append(key)
            self.entries[key] = []
        return self.entries[key]


def main() -> None:
    cache = Cache()
    threads = [threading.Thread(target=lambda n=n: cache.get("primes").append(n)) for n in (2, 3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(cache.entries["primes"]) == [2, 3], f"a value was lost: {cache.entries}"


if __name__ == "__main__":
    main()
