"""Write the files of the worked examples: made-up loans, the same on every machine.

``python docs/examples/make_files.py several-files FOLDER``
"""

import csv
import math
import sys
from collections.abc import Iterator, Sequence
from datetime import date, timedelta
from pathlib import Path
from random import Random
from typing import Any

Rows = Iterator[Sequence[Any]]
SEED = 20_240_131
_JOBS = ("office", "sales", "self-employed", "manager", "professional", "other")
_PURPOSES = ("Auto", "Renovierung", "Umschuldung", "Urlaub", "Hochzeit")


def _defaults(random: Random, score: float) -> bool:
    return random.random() < 1 / (1 + math.exp(-score))


def _write(folder: Path, name: str, header: str, rows: Rows, *, separator: str = ",") -> None:
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / name).open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file, delimiter=separator, lineterminator="\n")
        writer.writerow(header.split())
        writer.writerows(rows)


def _euro(amount: float) -> str:
    """An amount as 1.234,50."""
    return f"{amount:,.2f}".translate(str.maketrans(",.", ".,"))


def several_files(folder: Path, *, n: int = 4_000) -> None:
    """A lender with borrowers who return: loans, their ends, and monthly statements, written the German way."""
    random, loans, ends, statements = Random(SEED), [], [], []
    n_loans_of, late_of = dict[int, int](), dict[int, int]()
    for number in range(1, n + 1):
        client = random.randint(1, n // 2)
        granted = date(2018, 1, 1) + timedelta(days=number * 2_000 // n)
        months, income = random.choice((12, 24)), random.lognormvariate(10.4, 0.4)
        amount, rate = round(random.uniform(1_000, 15_000), 2), round(random.uniform(4, 16), 2)
        score = -2.8 + 0.9 * late_of.get(client, 0) + (months == 24 and rate > 8)
        score += 2.2 * (rate > 10 and amount / income > 0.2)
        is_default = _defaults(random, score)
        ended = granted + timedelta(days=random.randint(120, 300) if is_default else 30 * months)
        loans.append(
            (
                f"V-{number:05}",
                f"K{client}",
                f"{granted:%d.%m.%Y}",
                _euro(amount),
                months,
                f"{rate:.2f}".replace(".", ","),
                random.choice(_PURPOSES),
                _euro(income / 12),
            )
        )
        if ended < date(2023, 12, 31):
            ends.append((f"V-{number:05}", "abgeschrieben" if is_default else "getilgt", f"{ended:%d.%m.%Y}"))
        n_loans_of[client] = n_loans_of.get(client, 0) + 1
        late_of[client] = late_of.get(client, 0) + is_default
        if n_loans_of[client] == 1:  # one statement a month of a client's first loan
            for month in range(1, 7):
                on = granted + timedelta(days=30 * month)
                days = 30 * max(0, month - 3) if is_default else random.choice((0, 0, 0, 0, 12))
                statements.append((f"K{client}", f"{on:%d.%m.%Y}", _euro(amount * (1 - month / months)), days))
    _write(
        folder,
        "kredite.csv",
        "Vertragsnummer Kunde Auszahlung Betrag Laufzeit Zinssatz Zweck Monatseinkommen",
        iter(loans),
    )
    _write(folder, "enden.csv", "Vertragsnummer Zustand Erledigt", iter(ends))
    _write(folder, "auszuege.csv", "Kunde Stichtag Saldo Verzugstage", iter(statements))


def outcome_without_a_date(folder: Path, *, n: int = 4_000) -> None:
    """A lender whose file says whether a loan defaulted, but not when."""

    def rows() -> Rows:
        random = Random(SEED)
        for number in range(1, n + 1):
            issued = date(2018, 1, 1) + timedelta(days=number * 1_800 // n)
            income, amount = random.lognormvariate(10.7, 0.4), random.uniform(1_000, 20_000)
            dti, score = random.uniform(0.02, 0.5), random.randint(480, 820)
            is_default = _defaults(random, -3.2 + 2.4 * (score < 620 and dti > 0.15) + 1.4 * (amount > 0.3 * income))
            yield (
                100_000 + number,
                f"{issued:%m/%d/%Y}",
                f"${amount:,.2f}",
                random.choice(("12 months", "24 months")),
                f"{income:.0f}",
                f"{100 * dti:.1f}%",
                score,
                random.choice(("RENT", "OWN", "MORTGAGE")),
                f"person{number}@example.com",
                int(is_default),
            )

    header = "loan_id issue_date loan_amount term income dti credit_score home_ownership email default"
    _write(folder, "loans.csv", header, rows())


def undated(folder: Path, *, n: int = 4_000) -> None:
    """A published table: no id, no date, no term; a status of 0 and 1 that its name does not explain."""

    def rows() -> Rows:
        random = Random(SEED)
        for _ in range(n):
            income, amount = random.lognormvariate(10.8, 0.4), random.randint(10, 300) * 100
            years, rate = random.randint(0, 20), random.uniform(5, 22)
            status = int(_defaults(random, -3.4 + 2.4 * (rate > 12 and amount > 0.2 * income) + (years < 3)))
            yield (
                f"{income:.0f}",
                random.choice(("RENT", "OWN", "MORTGAGE")),
                years,
                random.choice(("EDUCATION", "MEDICAL", "VENTURE", "PERSONAL")),
                amount,
                f"{rate:.2f}",
                f"{amount / income:.2f}",
                status,
            )

    header = "person_income person_home_ownership person_emp_length loan_intent loan_amnt loan_int_rate "
    _write(folder, "people.csv", header + "loan_percent_income loan_status", rows())


def own_columns(folder: Path, *, n: int = 4_000) -> None:
    """A lender on homes: what a property is worth, what is owed on it, the job, and payments that bounced."""
    random, loans, ends = Random(SEED), [], []
    statements, customers = dict[tuple[int, date], tuple[float, int]](), dict[int, tuple[int, int]]()
    for number in range(1, n + 1):
        customer = random.randint(1, n // 2)
        customers.setdefault(customer, (random.randint(1945, 1995), random.choice((1, 2, 2, 3, 4, 5))))
        granted = date(2017, 1, 1) + timedelta(days=number * 2_150 // n)
        worth, income = random.lognormvariate(12.1, 0.35), random.lognormvariate(10.9, 0.35)
        owed, amount = worth * random.uniform(0.1, 0.85), round(random.uniform(5_000, 60_000), -2)
        job, months = random.choice(_JOBS), random.choice((24, 36))
        n_bounced = 0
        for back in (1, 2, 3):  # the statements of the account, at the ends of the months before
            month = 12 * granted.year + granted.month - back
            on = date(month // 12, month % 12 + 1, 1) - timedelta(days=1)
            drawn = round(random.lognormvariate(7.5, 0.8), 2), random.choice((0, 0, 0, 0, 0, 0, 1, 2))
            n_bounced += statements.setdefault((customer, on), drawn)[1]
        score = -3.6 + 1.9 * (n_bounced >= 2) + 1.1 * (job in ("sales", "self-employed"))
        score += 2.2 * ((owed + amount) / worth > 0.85) + 0.9 * (amount / income > 0.8)
        is_default = _defaults(random, score)
        ended = granted + timedelta(days=random.randint(150, 500) if is_default else 30 * months)
        given = "" if random.random() < 0.03 else round(owed)
        loans.append(
            (f"H{number:05}", f"P{customer}", granted, amount, months, round(income), round(worth), given, job)
        )
        if ended < date(2022, 12, 31):
            ends.append((f"H{number:05}", "charged off" if is_default else "repaid", ended))
    _write(
        folder,
        "loans.csv",
        "loan_no customer_no decided_on loan_amount months annual_income property_value mortgage_due job",
        iter(loans),
    )
    _write(folder, "ends.csv", "loan_no status closed_on", iter(ends))
    rows = ((f"P{customer}", on, *drawn) for (customer, on), drawn in sorted(statements.items()))
    _write(folder, "statements.csv", "customer_no statement_on balance returned_payments", rows)
    people = ((f"P{customer}", *drawn) for customer, drawn in sorted(customers.items()))
    _write(folder, "customers.csv", "customer_no birth_year household_size", people)


EXAMPLES = {
    "several-files": several_files,
    "outcome-without-a-date": outcome_without_a_date,
    "undated": undated,
    "own-columns": own_columns,
}

if __name__ == "__main__":
    example, target = sys.argv[1:]
    EXAMPLES[example](Path(target))
