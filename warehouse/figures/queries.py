"""What is shown of the lake at ``/metrics``: each metric's text, and the query that finds its values.

Each query is over small tables or the newest month. Labels have few values, known beforehand: lenders, model versions,
kinds of alerts, a lender's kinds of files.
"""

from collections.abc import Mapping
from dataclasses import dataclass

_VERSION = ("lender", "model", "version")
#: A month of fewer decisions with a mature label says little of losses; only a newer one without any such gives way.
_MIN_MATURE = 100


@dataclass(frozen=True)
class FigureQuery:
    """Metrics with the same labels, from one query.

    ``sql`` gives the ``labels``' columns, then one column for each of ``metrics`` (name → text), in this order. A null
    is not shown. ``reads``: the tables and views that must have been built. ``$kinds`` is the list of kinds of alerts.
    """

    labels: tuple[str, ...]
    metrics: Mapping[str, str]
    reads: tuple[str, ...]
    sql: str


_ALERTS = FigureQuery(
    labels=("lender", "kind", "severity", "state"),
    metrics={"loan_alerts": "Alerts about data and models by state; a lender that is empty stands for all lenders"},
    reads=("monitoring.alert_states",),
    # each combination has a series, if only of 0: Prometheus cannot tell a series that is missing from one of no alert
    sql="""
        with alerts as materialized (
            select alert_id, coalesce(source, '') as lender, kind, severity, state from monitoring.alert_states
        ),
        places as (
            select distinct source as lender, kind from raw.files, unnest($kinds::varchar[]) as kinds (kind)
            where kind <> 'contract'
            union all
            select '', 'contract'
            union
            select lender, kind from alerts
        )
        select places.lender, places.kind, severities.severity, states.state, count(alerts.alert_id)
        from places
        cross join (values ('low'), ('high')) as severities (severity)
        cross join (values ('open'), ('acknowledged'), ('resolved')) as states (state)
        left join alerts
            on alerts.lender = places.lender and alerts.kind = places.kind
            and alerts.severity = severities.severity and alerts.state = states.state
        group by all
    """,
)
_PERFORMANCE = FigureQuery(
    labels=(*_VERSION, "metric"),
    metrics={
        "loan_model_performance": "Figures of the newest judged month of mature decisions, else of the newest month",
        "loan_model_performance_limit": "What its figure is judged against: auc must not be lower, default_rate higher",
    },
    reads=("monitoring.model_performance",),
    sql="""
        with newest as (
            select * from monitoring.model_performance
            qualify row_number() over (
                partition by source, model_name, model_version
                order by auc_limit is not null or default_rate_limit is not null desc, month desc
            ) = 1
        )
        select source, model_name, model_version, unnest([
            {'metric': 'auc', 'value': auc, 'most': auc_limit},
            {'metric': 'ks', 'value': ks, 'most': null},
            {'metric': 'brier', 'value': brier, 'most': null},
            {'metric': 'default_rate', 'value': default_rate, 'most': default_rate_limit},
            {'metric': 'mean_probability', 'value': mean_probability, 'most': null}
        ], recursive := true)
        from newest
    """,
)
_PERFORMANCE_MONTH = FigureQuery(
    labels=_VERSION,
    metrics={
        "loan_model_performance_month_timestamp_seconds": "First day of that month of decisions",
        "loan_model_performance_decisions": "Decisions of that month with a mature label",
        "loan_model_performance_decayed": "Whether its performance is beyond a limit: 1 or 0",
    },
    reads=("monitoring.model_performance",),
    sql="""
        select source, model_name, model_version, epoch(month), n_mature, is_decayed::integer
        from monitoring.model_performance
        qualify row_number() over (
            partition by source, model_name, model_version
            order by auc_limit is not null or default_rate_limit is not null desc, month desc
        ) = 1
    """,
)
_ESTIMATES = FigureQuery(
    labels=(*_VERSION, "metric", "method"),
    metrics={
        "loan_model_estimate": "Performance of the newest month of decisions, estimated before labels are mature",
        "loan_model_estimate_low": "Lower end of the estimate's 95 % interval",
        "loan_model_estimate_high": "Upper end of the estimate's 95 % interval",
        "loan_model_estimate_limit": "What the estimate is judged against: auc must not be lower, default_rate higher",
        "loan_model_estimate_alarm": "Whether the estimate is beyond its limit: 1 or 0",
    },
    reads=("monitoring.performance_estimates",),
    sql="""
        select source, model_name, model_version, metric, method,
            estimated, low, high, estimated_limit, is_alarm::integer
        from monitoring.performance_estimates
        where metric in ('auc', 'ks', 'brier', 'default_rate')
        qualify month = max(month) over (partition by source, model_name, model_version)
    """,
)
_ESTIMATE_MONTH = FigureQuery(
    labels=_VERSION,
    metrics={"loan_model_estimate_month_timestamp_seconds": "First day of the newest month with an estimate"},
    reads=("monitoring.performance_estimates",),
    sql="""
        select source, model_name, model_version, epoch(max(month))
        from monitoring.performance_estimates
        where metric in ('auc', 'ks', 'brier', 'default_rate')
        group by all
    """,
)
_DEFAULTS_SO_FAR = FigureQuery(
    labels=_VERSION,
    metrics={
        "loan_model_defaults_so_far": "Defaults known by now of the newest month whose defaults are judged",
        "loan_model_defaults_so_far_expected": "Defaults that were expected of its loans by now",
        "loan_model_defaults_so_far_limit": "More defaults raise an alert",
        "loan_model_defaults_so_far_month_timestamp_seconds": "First day of that month of decisions",
    },
    reads=("monitoring.performance_estimates",),
    sql="""
        select source, model_name, model_version, true_value, estimated, estimated_limit, epoch(month)
        from monitoring.performance_estimates
        where metric = 'defaults_so_far' and estimated_limit is not null
        qualify month = max(month) over (partition by source, model_name, model_version)
    """,
)
_REACH = FigureQuery(
    labels=("lender", "kind"),
    metrics={
        "loan_data_newest_timestamp_seconds": "How far a kind of data reaches, by the times in the lender's files",
        "loan_data_rows": "Rows of a kind of data in the lake",
    },
    reads=("monitoring.freshness",),
    sql="""
        select source, unnest([
            {'kind': 'application', 'newest': epoch(newest_application_at), 'n': n_applications},
            {'kind': 'statement', 'newest': epoch(newest_statement_on::timestamp), 'n': n_statements},
            {'kind': 'label', 'newest': epoch(newest_label_decided_at), 'n': n_labels},
            {'kind': 'decision', 'newest': epoch(newest_decision_at), 'n': n_decisions}
        ], recursive := true)
        from monitoring.freshness
    """,
)
_LOADS = FigureQuery(
    labels=("lender",),
    metrics={
        "loan_data_load_timestamp_seconds": "When the newest of a lender's files was loaded",
        "loan_data_clock_timestamp_seconds": "The lender's own clock: the newest moment that its files tell of",
    },
    reads=("monitoring.freshness",),
    sql="select source, epoch(newest_load_at), epoch(clock_at) from monitoring.freshness",
)
_SET_ASIDE = FigureQuery(
    labels=("lender", "entity"),
    metrics={
        "loan_data_set_aside_rows": "Rows that could not be read, of files that no later one has replaced",
        "loan_data_set_aside_share": "The highest share of a file's rows that were set aside, among files not accepted",
        "loan_data_set_aside_share_limit": "Above this share nothing is trained on the lender's rows",
    },
    reads=("staging.rows_set_aside",),
    sql="""
        select source, entity, sum(n_set_aside),
            coalesce(max(set_aside_share) filter (where not is_accepted), 0), max(max_share)
        from staging.rows_set_aside
        where not is_replaced
        group by all
    """,
)
_DECIDED = FigureQuery(
    labels=("lender", "backfill"),
    metrics={
        "loan_portfolio_decisions": "Decisions of the newest month, of all model versions",
        "loan_portfolio_approval_rate": "Share of them that was approved",
        "loan_portfolio_referral_rate": "Share of them that was left to a person",
        "loan_portfolio_mean_probability": "Their mean probability of default",
        "loan_portfolio_month_timestamp_seconds": "First day of that month",
    },
    reads=("portfolio.bands",),
    sql="""
        select source, is_backfill::varchar, sum(n_decisions), sum(n_approved) / sum(n_decisions),
            sum(n_referred) / sum(n_decisions), sum(mean_probability * n_decisions) / sum(n_decisions),
            epoch(any_value(month))
        from (
            from portfolio.bands
            qualify month = max(month) over (partition by source, is_backfill)
        )
        group by all
    """,
)
_MATURED = FigureQuery(
    labels=("lender", "backfill"),
    metrics={
        "loan_portfolio_mature_decisions": "Decisions with a mature label in the newest month of at least 100 of them",
        "loan_portfolio_expected_default_rate": "Their mean probability of default",
        "loan_portfolio_default_rate": "Share of them that defaulted",
        "loan_portfolio_expected_loss_amount": "What they were expected to lose, in the lender's currency",
        "loan_portfolio_realised_loss_amount": "What they lost, in the lender's currency",
        "loan_portfolio_mature_month_timestamp_seconds": "First day of that month",
    },
    reads=("portfolio.bands",),
    sql=f"""
        with months as (
            select source, is_backfill, month, sum(n_mature) as n_mature, sum(expected_defaults) as expected_defaults,
                sum(n_defaults) as n_defaults, sum(expected_loss) as expected_loss, sum(realised_loss) as realised_loss
            from portfolio.bands
            group by all
            having sum(n_mature) > 0
        )
        select source, is_backfill::varchar, n_mature, expected_defaults / n_mature, n_defaults / n_mature,
            expected_loss, realised_loss, epoch(month)
        from months
        qualify row_number() over (
            partition by source, is_backfill order by n_mature >= {_MIN_MATURE} desc, month desc
        ) = 1
    """,
)

QUERIES = (
    _ALERTS,
    _PERFORMANCE,
    _PERFORMANCE_MONTH,
    _ESTIMATES,
    _ESTIMATE_MONTH,
    _DEFAULTS_SO_FAR,
    _REACH,
    _LOADS,
    _SET_ASIDE,
    _DECIDED,
    _MATURED,
)
