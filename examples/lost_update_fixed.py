"""The account of ``lost_update.py`` with a lock around the deposit: no execution loses one."""

import threading


class Account:
    def __init__(self) -> None:
        self.balance = 0
        self.lock = threading.Lock()

    def deposit(self, amount: int) -> None:
        with self.lock:
            self.balance = self.balance + amount


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
