"""Why one expression cannot be compiled; binding turns it into an ExpressionError that names the column."""

from sqlglot import exp


class Refusal(Exception):
    """``reason``: what is wrong and, after a semicolon, what to write instead."""

    def __init__(self, expression: exp.Expr, reason: str) -> None:
        super().__init__(reason)
        self.expression = expression
        self.reason = reason
