"""``loanlake policy advise``."""

from pathlib import Path

import click

from warehouse.cli import options
from warehouse.errors import SettingError
from warehouse.settings import Settings


@click.command()
@click.argument("source")
@click.option(
    "--cut-off", "asked", type=options.Number(0, 1, min_open=True), metavar="P", help="A cut-off to show as well."
)
@click.option("--by-amount", is_flag=True, help="Weigh each loan by its amount.  [default: all weigh the same]")
@click.option(
    "--to",
    type=click.Path(dir_okay=False, path_type=Path),
    help="Write the curve: FILE.png or FILE.csv.",
)
def advise(*, source: str, asked: float | None, by_amount: bool, to: Path | None) -> None:
    """Show what each cut-off would have earned on SOURCE's matured loans.

    Uses the decisions of the version in service that have a mature label; it learned from none of these loans. The
    prices are margin, loss_given_default, cost_of_capital and declined_good_cost of the lender's file
    (policy.cut_off). Shows for each cut-off the approval rate, revenue, loss, the cost of wrong decisions and the
    profit with an interval, then the cut-off that would have earned most. Changes nothing. For a cut-off asked for,
    and for one that the loans show to earn more, the last lines say how a person moves there.

    \b
        loanlake policy advise lending_club
        loanlake policy advise lending_club --cut-off 0.18 --to curve.png
    """
    from ml.policy_advice.advice_text import advice_lines, how_to_move
    from ml.policy_advice.curve import ProfitCurve
    from ml.policy_advice.decided_loans import read_decided_loans
    from ml.training.fitting import training_settings_of
    from warehouse.files.replacing import replace_file
    from warehouse.lenders.rules import read_lender

    if to is not None and to.suffix not in (".png", ".csv"):
        raise click.BadParameter(f"must end in .png or .csv: found {to.name}", param_hint="--to")
    rule = training_settings_of(read_lender(source)).cut_off
    loans = read_decided_loans(Settings.from_environment(), source)
    if by_amount and loans.amounts is None:
        raise SettingError(f"--by-amount needs the amount of every matured loan: some of {source} have none")
    curve = ProfitCurve(loans.probabilities, loans.defaulted, rule, amounts=loans.amounts if by_amount else None)
    best = curve.best(loans.policy.cut_off)
    click.echo("\n".join(advice_lines(loans, curve, best, asked=asked, by_amount=by_amount)))
    if to is not None:
        if to.suffix == ".png":
            from ml.policy_advice.picture import draw_curve

            replace_file(to, draw_curve(curve, in_force=loans.policy.cut_off, best=best.cut_off))
        else:
            columns = zip(*curve.drawn(), strict=True)
            rows = ["cut_off,profit,profit_low,profit_high", *(",".join(map(repr, map(float, row))) for row in columns)]
            replace_file(to, "\n".join(rows) + "\n")
        click.echo(f"written to {to}")
    # without evidence for a move, the answer does not say how to make it
    chosen = asked if asked is not None else best.cut_off if best.is_shown else None
    if chosen is not None and chosen != loans.policy.cut_off:
        click.echo("\n".join(["", *how_to_move(loans, chosen)]))
