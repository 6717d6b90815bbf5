"""Two threads deposit into one account; a deposit reads, adds, and writes, so one of them can be lost.

An ordinary run passes: each thread is done before the next one starts.
"""

import threading


class Account:
    def __init__(self) -> None:
        self.balance = 0

    def deposit(self, amount: int) -> None:
        before = self.balance
        self.balance = round(before + amount, 2)


def main() -> None:
    account = Account()
    threads = [threading.Thread(target=account.deposit, args=(amount,)) for amount in (10, 20)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert account.balance == 30, f"a deposit was lost: the balance is {account.balance}"


if __name__ == "__main__":
    main()
