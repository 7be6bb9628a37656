"""The page of the portfolio: vintages, roll rates, approvals and losses, concentration."""

from collections.abc import Mapping, Sequence
from datetime import date

from ml.figures.forms import written
from ml.figures.shapes import Bars, Cell, Figure, Heat, HeatRow, Line, Lines, Missing, Table, Values
from ml.pages.document import Section
from ml.pages.reading import Row, Tables, by_month, months_of, names_of

#: A vintage's curve is drawn while at least this share of its loans is observed: later months are of its oldest alone.
MIN_OBSERVED = 0.5
_STATES = ("current", "1", "2", "3", "4_or_more", "unknown")
_NEXT_STATES = (*_STATES, "defaulted", "repaid", "no_statement")
#: What is drawn of the roll rates by month: from one state to a worse one.
_WORSE = (("current", "1"), ("1", "2"), ("2", "3"), ("3", "4_or_more"), ("4_or_more", "defaulted"))
_DIMENSIONS = {"purpose": "Purpose", "region": "Region", "term": "Term in months", "band": "Risk band"}
_MOST_SEGMENTS = 12
#: Curves that can still be told apart.
_MOST_VINTAGES = 48
_LOSS_MONTHS = 12


def portfolio_sections(tables: Tables, version: Row | None, profit: Section) -> list[Section]:
    """All sections, with the profit curve before the concentration; without a version those that need none."""
    return [
        Section(
            "vintages",
            "Vintages",
            _vintages(tables.rows(_VINTAGES), tables.source),
            "One line for each month of decision, coloured by year: the cumulative share of its loans by months on "
            f"book. A line ends where fewer than {MIN_OBSERVED:.0%} of its loans are observed that long. Each point is "
            "of the loans observed for that long, so that a line can fall where those drop out that were not.",
        ),
        Section("roll-rates", "Roll rates", _roll_rates(tables.rows(_ROLL_RATES))),
        Section(
            "approvals",
            "Approvals and losses",
            _approvals(tables.rows(_APPROVALS, **version) if version else [], tables.source),
            "Decisions of the version in service, those on past applications included. Losses are of decisions "
            "with mature labels: expected by the probabilities, and realised by the outcomes.",
        ),
        profit,
        Section("concentration", "Concentration", _concentration(tables.rows(_CONCENTRATION), tables.source)),
    ]


def portfolio_summary(tables: Tables) -> str:
    """One sentence about the newest month of applications."""
    rows = tables.rows(_NEWEST)
    if not rows:
        return "Nothing was built yet."
    newest = rows[0]
    return f"{newest['month']:%Y-%m}: {newest['n_applications']:,} applications, {written(newest['amount'], 'amount')}."


def _vintages(rows: Sequence[Row], source: str) -> list[Figure]:
    if not rows:
        return [
            Missing(
                "There is no vintage: the lender's loans have no dates, or no outcome is known yet. Once new outcomes "
                "are there, this loads and shows them:",
                f"loanlake run {source} FILES",
            )
        ]
    every = sorted({row["vintage"] for row in rows})
    vintages = every[-_MOST_VINTAGES:]
    left_out = f"The newest {_MOST_VINTAGES} of {len(every)} vintages." if len(every) > _MOST_VINTAGES else ""
    months = list(range(1, max(row["months_on_book"] for row in rows) + 1))
    by_place = {(row["vintage"], row["months_on_book"]): row for row in rows}
    figures: list[Figure] = [
        _curves("default_share", ("Defaulted", left_out), by_place, vintages, months),
        _curves("loss_share", ("Lost, of the amount lent", left_out), by_place, vintages, months),
    ]
    shown = [month for month in (3, 6, 9, 12, 18, 24, 36, 48, 60) if month <= months[-1]]
    levels = _levels([row["default_share"] for row in rows if row["months_on_book"] in shown])
    heat_rows = [
        HeatRow(f"{vintage:%Y-%m}", [_vintage_cell(by_place.get((vintage, month)), levels) for month in shown])
        for vintage in reversed(vintages)
        if any((vintage, month) in by_place for month in shown)
    ]
    if heat_rows:
        figures.append(
            Heat(
                name="vintage-map",
                title="Defaulted by vintage and months on book",
                about="Newest vintage first; a darker cell is a higher share.",
                columns=[str(month) for month in shown],
                row_title="Vintage",
                rows=heat_rows,
            )
        )
    return figures


def _curves(
    column: str,
    told: tuple[str, str],
    rows: Mapping[tuple[date, int], Row],
    vintages: Sequence[date],
    months: Sequence[int],
) -> Lines:
    years = sorted({vintage.year for vintage in vintages})
    return Lines(
        name=f"vintage-{column.replace('_', '-')}",
        title=told[0],
        about=told[1],
        places=[str(month) for month in months],
        place_title="Months on book",
        form="share",
        from_zero=True,
        lines=[
            Line(
                name=f"{vintage:%Y-%m}",
                values=[rows[vintage, month][column] if (vintage, month) in rows else None for month in months],
                tone=(years[-1] - vintage.year) % 8,
            )
            for vintage in vintages
        ],
    )


def _vintage_cell(row: Row | None, levels: Sequence[float]) -> Cell | None:
    if row is None:
        return None
    share = row["default_share"]
    about = f"{row['n_defaults']:,} of {row['n_observed']:,} loans"
    return Cell(written(share, "share"), sum(share > level for level in levels), about)


def _levels(shares: Sequence[float]) -> tuple[float, float]:
    """Shares that a third and two thirds of the cells do not exceed."""
    ordered = sorted(shares) or [0.0]
    return ordered[len(ordered) // 3], ordered[2 * len(ordered) // 3]


def _roll_rates(rows: Sequence[Row]) -> list[Figure]:
    if not rows:
        return [Missing("There is no roll rate: no monthly statement of this lender's borrowers was loaded.")]
    months = months_of(rows)
    recent = [row for row in rows if row["month"] in months[-12:]]
    counts: dict[tuple[str, str], int] = {}
    for row in recent:
        place = row["from_state"], row["to_state"]
        counts[place] = counts.get(place, 0) + row["n_borrowers"]
    from_states = [state for state in _STATES if any(place[0] == state for place in counts)]
    to_states = [state for state in _NEXT_STATES if any(place[1] == state for place in counts)]
    totals = {state: sum(n for (begun, _), n in counts.items() if begun == state) for state in from_states}
    matrix = Heat(
        name="roll-matrix",
        title=f"Where borrowers were a month later, {months[-12:][0]:%Y-%m} to {months[-1]:%Y-%m}",
        about="Rows: months past due at the end of a month. Each row adds up to 100 %.",
        columns=[_state(state) for state in to_states],
        row_title="From",
        rows=[
            HeatRow(_state(begun), [_roll_cell(counts.get((begun, ended), 0), totals[begun]) for ended in to_states])
            for begun in from_states
        ],
    )
    lines = [
        Line(
            name=f"{_state(begun)} → {_state(ended)}",
            values=_flow(rows, months, begun, ended),
            tone=tone,
        )
        for tone, (begun, ended) in enumerate(_WORSE)
    ]
    over_time = Lines(
        name="roll-months",
        title="Borrowers who went one state further",
        about="Share of the borrowers in the first state of a month.",
        places=names_of(months),
        form="share",
        from_zero=True,
        lines=[line for line in lines if any(line.values)],
    )
    return [over_time, matrix]


def _flow(rows: Sequence[Row], months: Sequence[date], begun: str, ended: str) -> Values:
    """The share that went from one state to the other; 0 if none of some borrowers did, None if there were none."""
    present = {row["month"] for row in rows if row["from_state"] == begun}
    went = {
        row["month"]: row["borrower_share"] for row in rows if (row["from_state"], row["to_state"]) == (begun, ended)
    }
    return [went.get(month, 0.0) if month in present else None for month in months]


def _roll_cell(n: int, total: int) -> Cell:
    share = n / total
    return Cell(
        written(share, "share") if n else "0", 2 if share >= 0.5 else 1 if share >= 0.1 else 0, f"{n:,} of {total:,}"
    )


def _state(state: str) -> str:
    words = {"4_or_more": "4 or more", "no_statement": "no statement"}
    return words.get(state, state)


def _approvals(rows: Sequence[Row], source: str) -> list[Figure]:
    if not rows:
        return [Missing("The version in service has no decisions.", f"loanlake run {source}")]
    months = months_of(rows)
    mature = [row for row in rows if row["n_mature"]]
    referred = any(row["refer_rate"] for row in rows)
    figures: list[Figure] = [
        Lines(
            name="approval-rate",
            title="Approval rate",
            places=names_of(months),
            form="share",
            lines=[
                Line(name="approved", values=by_month(rows, months, "approval_rate")),
                *([Line(name="referred", values=by_month(rows, months, "refer_rate"), tone=6)] if referred else []),
            ],
        ),
        Lines(
            name="losses",
            title="Loss, expected and realised",
            about="Sums by month of decision, in the lender's currency, of all applications with a mature label.",
            places=names_of(months),
            form="amount",
            from_zero=True,
            lines=[
                Line(name="expected", values=by_month(mature, months, "expected_loss")),
                Line(name="realised", values=by_month(mature, months, "realised_loss"), kind="points", tone=1),
            ],
        ),
    ]
    newest = rows[-_LOSS_MONTHS:]
    figures.append(
        Table(
            name="approval-counts",
            title="The newest months",
            header=["Month", "Decisions", "Approved", "Mature", "Defaults", "Expected loss", "Realised loss"],
            rows=[
                [
                    f"{row['month']:%Y-%m}",
                    f"{row['n_decisions']:,}",
                    written(row["approval_rate"], "share"),
                    f"{row['n_mature']:,}",
                    f"{row['n_defaults']:,}" if row["n_mature"] else "–",
                    written(row["expected_loss"], "amount"),
                    written(row["realised_loss"], "amount"),
                ]
                for row in reversed(newest)
            ],
        )
    )
    return figures


def _concentration(rows: Sequence[Row], source: str) -> list[Figure]:
    if not rows:
        return [Missing("There is no application.", f"loanlake run {source}")]
    months = months_of(rows)
    present = [name for name in _DIMENSIONS if any(row["dimension"] == name for row in rows)]
    figures: list[Figure] = [
        Lines(
            name="herfindahl",
            title="Herfindahl index",
            about="Sum of the squared shares of the amount: 1 if all loans are alike.",
            places=names_of(months),
            form="index",
            from_zero=True,
            lines=[
                Line(
                    name=_DIMENSIONS[name].lower(),
                    values=by_month(_known(rows, name), months, "herfindahl_index"),
                    tone=tone,
                )
                for tone, name in enumerate(present)
            ],
        )
    ]
    newest = [row for row in rows if row["month"] == months[-1]]
    return figures + [_segments(name, newest, months[-1]) for name in present]


def _known(rows: Sequence[Row], dimension: str) -> list[Row]:
    """The rows of a dimension in months where it is known: bands are not before the first decision of a model."""
    of_dimension = [row for row in rows if row["dimension"] == dimension]
    known = {row["month"] for row in of_dimension if row["segment"] != "unknown"}
    return [row for row in of_dimension if row["month"] in known]


def _segments(dimension: str, rows: Sequence[Row], month: date) -> Bars:
    ordered = sorted((row for row in rows if row["dimension"] == dimension), key=lambda row: -row["n_applications"])
    left_out = len(ordered) - _MOST_SEGMENTS
    return Bars(
        name=f"segments-{dimension}",
        title=f"{_DIMENSIONS[dimension]}, {month:%Y-%m}",
        about=f"The {left_out} smallest values are left out." if left_out > 0 else "",
        names=[row["segment"].replace("_", " ") for row in ordered[:_MOST_SEGMENTS]],
        name_title=_DIMENSIONS[dimension],
        form="share",
        lines=[
            Line(name="of applications", values=[row["application_share"] for row in ordered[:_MOST_SEGMENTS]], tone=5),
            Line(name="of the amount", values=[row["amount_share"] for row in ordered[:_MOST_SEGMENTS]], tone=0),
        ],
    )


_VINTAGES = f"""
select vintage, months_on_book, n_observed, n_defaults, default_share, loss_share
from portfolio.vintages
where source = $source and vintage <= $until::date and unobserved_share <= {1 - MIN_OBSERVED} and n_observed > 0
order by vintage, months_on_book
"""
_ROLL_RATES = """
select month, from_state, to_state, n_borrowers, borrower_share
from portfolio.roll_rates where source = $source and month <= $until::date order by month
"""
_APPROVALS = """
select month, sum(n_decisions)::bigint as n_decisions, sum(n_mature)::bigint as n_mature,
    sum(n_defaults)::bigint as n_defaults, sum(n_approved)::double / sum(n_decisions) as approval_rate,
    sum(n_referred)::double / sum(n_decisions) as refer_rate, sum(expected_loss) as expected_loss,
    sum(realised_loss) as realised_loss
from portfolio.bands
where source = $source and model_name = $model_name and model_version = $model_version and month <= $until::date
group by month order by month
"""
_CONCENTRATION = """
select month, dimension, segment, n_applications, application_share, amount_share, herfindahl_index
from portfolio.concentration where source = $source and month <= $until::date order by month
"""
_NEWEST = """
select month, sum(n_applications)::bigint as n_applications, sum(requested_amount) as amount
from portfolio.concentration where source = $source and dimension = 'term' and month <= $until::date
group by month order by month desc limit 1
"""
