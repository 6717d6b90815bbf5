"""Two transfers in opposite directions take the two accounts' locks in opposite order: both can wait for ever."""

import threading


class Account:
    def __init__(self, balance: int) -> None:
        self.balance = balance
        self.lock = threading.Lock()


def transfer(source: Account, target: Account, amount: int) -> None:
    with source.lock, target.lock:
        source.balance -= amount
        target.balance += amount


def main() -> None:
    alice, bob = Account(100), Account(100)
    threads = [
        threading.Thread(target=transfer, args=(alice, bob, 10), name="alice-to-bob"),
        threading.Thread(target=transfer, args=(bob, alice, 20), name="bob-to-alice"),
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert alice.balance + bob.balance == 200


if __name__ == "__main__":
    main()
