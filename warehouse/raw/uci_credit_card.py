"""UCI credit card: 30,000 accounts in Taiwan with six months of statements side by side (I-Cheng Yeh, CC BY 4.0)."""

from warehouse.raw.declaration import Source

ACCOUNTS = tuple(
    """
    id limit_bal sex education marriage age pay_0 pay_2 pay_3 pay_4 pay_5 pay_6 bill_amt1 bill_amt2 bill_amt3
    bill_amt4 bill_amt5 bill_amt6 pay_amt1 pay_amt2 pay_amt3 pay_amt4 pay_amt5 pay_amt6
    default_payment_next_month
    """.split()  # noqa: SIM905 - 25 names are read more easily as a paragraph than as a column
)

UCI_CREDIT_CARD = Source(
    name="uci_credit_card",
    title="UCI Default of Credit Card Clients",
    entities={"accounts": ACCOUNTS},
)
