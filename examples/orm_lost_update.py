"""A lost update through an ORM: two sessions read the same row and write what they have computed from it.

It needs SQLAlchemy, psycopg and a PostgreSQL server, whose address is in ``DATABASE_URL``. What SQLAlchemy's own code
shares between threads is not the question here: ``frontrun explore --trust 'sqlalchemy*' python orm_lost_update.py``.
"""

import os
import threading

from sqlalchemy import create_engine
from sqlalchemy.orm import DeclarativeBase, Mapped, Session, mapped_column

engine = create_engine(os.environ["DATABASE_URL"].replace("postgresql:", "postgresql+psycopg:"))


class Base(DeclarativeBase):
    pass


class Account(Base):
    __tablename__ = "orm_account"

    id: Mapped[int] = mapped_column(primary_key=True)
    balance: Mapped[int]


def deposit(amount: int) -> None:
    with Session(engine) as session:
        account = session.get_one(Account, 1)
        account.balance += amount
        session.commit()


def main() -> None:
    Base.metadata.drop_all(engine)
    Base.metadata.create_all(engine)
    with Session(engine) as session:
        session.add(Account(id=1, balance=0))
        session.commit()
    threads = [threading.Thread(target=deposit, args=(amount,)) for amount in (10, 20)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    with Session(engine) as session:
        balance = session.get_one(Account, 1).balance
    assert balance == 30, f"a deposit was lost: the balance is {balance}"


if __name__ == "__main__":
    main()
