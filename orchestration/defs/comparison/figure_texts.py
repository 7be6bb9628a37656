"""The figures of a comparison in words: what each means, and how it is written; for the page and the terminal."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from ml.comparison.figures import ModelFigures, verdict_of
from orchestration.lib.pages import figure

Text = Callable[[ModelFigures], str]


@dataclass(frozen=True)
class Figure:
    """A line of the page's table."""

    name: str
    meaning: str
    text: Text


def with_interval(value: float | None, low: float | None, high: float | None, form: str) -> str:
    """A figure and its 95 % interval, a dash for what is missing."""
    if value is None:
        return "–"
    return f"{value:{form}} ({figure(low, form)} to {figure(high, form)})"


def _auc(row: ModelFigures) -> str:
    return with_interval(row.auc, row.auc_low, row.auc_high, ".4f")


def difference(row: ModelFigures) -> str:
    """The paired difference of the AUC, and what it says."""
    if row.verdict is None:
        return "–"
    values = (row.auc_difference, row.auc_difference_low, row.auc_difference_high)
    return f"{with_interval(*values, '+.4f')}: {row.verdict}"


def _brier_difference(row: ModelFigures) -> str:
    values = (row.brier_difference, row.brier_difference_low, row.brier_difference_high)
    return with_interval(*values, "+.5f")


def _imbalance_difference(row: ModelFigures) -> str:
    values = (
        row.imbalance_auc_difference, row.imbalance_auc_difference_low, row.imbalance_auc_difference_high,
    )  # fmt: skip
    verdict = verdict_of(*values[1:])
    return "–" if verdict is None else f"{with_interval(*values, '+.4f')}: {verdict}"


def over_folds(name: str, form: str) -> Text:
    """Mean and spread of a figure over the folds."""

    def text(row: ModelFigures) -> str:
        middle, spread = getattr(row, f"{name}_fold_mean"), getattr(row, f"{name}_fold_spread")
        return "–" if middle is None else f"{middle:{form}} ± {figure(spread, form)}"

    return text


def _slope(row: ModelFigures) -> str:
    values = (row.gini_month_slope, row.gini_month_slope_low, row.gini_month_slope_high)
    return with_interval(*values, "+.4f")


def _size(row: ModelFigures) -> str:
    return "–" if row.model_bytes is None else f"{row.model_bytes / 1000:,.0f} kB"


def _plain(name: str, form: str) -> Text:
    return lambda row: figure(getattr(row, name), form)


#: By the question that they answer.
FIGURES: Mapping[str, tuple[Figure, ...]] = {
    "Who is riskier than whom?": (
        Figure("AUC", "How often a defaulted loan scores above a repaid one; 0.5 is chance.", _auc),
        Figure(
            "AUC difference",
            "Against the model named above, on the same loans, with its paired 95 % interval. An interval with 0 in it "
            "shows no gain.",
            difference,
        ),
        Figure("Gini", "2 × AUC − 1.", _plain("gini", ".4f")),
        Figure("KS", "Greatest gap between the shares of bad and good loans up to a score.", _plain("ks", ".4f")),
        Figure(
            "H-measure",
            "Share of the loss by wrong decisions that the ranking saves, if nobody knows what a mistake costs (Hand, "
            "2009).",
            _plain("h_measure", ".4f"),
        ),
    ),
    "Are the probabilities right?": (
        Figure("Brier score", "Mean squared error of the probability; lower is better.", _plain("brier", ".5f")),
        Figure("Brier difference", "Against the model named above; below 0 is better.", _brier_difference),
        Figure(
            "· reliability",
            "What calibrating the probabilities anew on these loans would gain; 0 is perfect. Brier = reliability − "
            "resolution + uncertainty.",
            _plain("brier_reliability", ".5f"),
        ),
        Figure(
            "· resolution", "What the order of the loans gains; higher is better.", _plain("brier_resolution", ".5f")
        ),
        Figure("· uncertainty", "The loans' own; the same for all models.", _plain("brier_uncertainty", ".5f")),
        Figure("Log loss", "Mean negative log likelihood; lower is better.", _plain("log_loss", ".4f")),
        Figure("ECE", "Mean gap between probability and default rate, over ten groups.", _plain("ece", ".4f")),
        Figure("ECE by chance", "What a perfect model would show on as many loans.", _plain("ece_by_chance", ".4f")),
        Figure("ECE before calibration", "Of the model's raw probabilities.", _plain("raw_ece", ".4f")),
        Figure("Mean before calibration", "To compare with the default rate.", _plain("raw_mean_probability", ".2%")),
        Figure("Mean probability", "To compare with the default rate.", _plain("mean_probability", ".2%")),
        Figure("Interval width", "Mean width of the probability's interval.", _plain("interval_width", ".4f")),
        Figure(
            "Interval coverage",
            "Share of ten groups by score whose default rate agrees with their intervals; 95 % or more of a calibrated "
            "model.",
            _plain("interval_coverage", ".0%"),
        ),
    ),
    "What do the decisions bring?": (
        Figure("Cut-off", "Declined from this probability on.", _plain("cut_off", ".2%")),
        Figure(
            "Declined", "Share of the test loans, those referred by their probability.", _plain("decline_rate", ".1%")
        ),
        Figure("Referred", "Share of the test loans that a person would decide.", _plain("refer_rate", ".1%")),
        Figure(
            "Profit per loan",
            "By the outcomes, the lender's margin and loss given default, as a share of the amount lent; each loan "
            "counts the same, a declined one brings 0. A referred one counts as its probability alone would decide.",
            _plain("profit_per_loan", "+.3%"),
        ),
    ),
    "Does it last?": (
        Figure(
            "PSI of the score",
            "Test scores against train scores; above 0.1 they have moved.",
            _plain("score_psi", ".3f"),
        ),
        Figure("Gini by month, mean", "Over the months of the test.", _plain("gini_month_mean", ".4f")),
        Figure("Gini, change a month", "By a fitted line, with its 95 % interval.", _slope),
        Figure(
            "Stability",
            "Mean Gini + 88 × its change a week, if it falls, − half of the scatter around the line (Home Credit, "
            "2024). A few months leave it mostly to chance.",
            _plain("stability", ".4f"),
        ),
    ),
    "What does it cost?": (
        Figure(
            "Training",
            "Seconds, with its baselines, on the machine that trained it.",
            _plain("training_seconds", ",.1f"),
        ),
        Figure("Model", "Size of its files.", _size),
        Figure(
            "A score",
            "Microseconds from features to decision, one loan at a time.",
            _plain("score_microseconds", ",.0f"),
        ),
        Figure("Its reasons", "Microseconds for one applicant's reasons.", _plain("reason_microseconds", ",.0f")),
    ),
}

#: On folds of all labelled rows: mean and standard deviation.
FOLDS: tuple[Figure, ...] = (
    Figure("AUC", "Mean ± standard deviation over the folds.", over_folds("auc", ".4f")),
    Figure("Gini", "", over_folds("gini", ".4f")),
    Figure("KS", "", over_folds("ks", ".4f")),
    Figure("H-measure", "", over_folds("h_measure", ".4f")),
    Figure("Brier score", "", over_folds("brier", ".5f")),
    Figure("Log loss", "", over_folds("log_loss", ".4f")),
    Figure("ECE", "Of smaller parts, so chance alone makes it larger.", over_folds("ece", ".4f")),
)

#: What balancing defaults and repaid loans among the rows to learn from brings.
IMBALANCE: tuple[Figure, ...] = (
    Figure("AUC", "On the test loans.", _auc),
    Figure(
        "AUC difference",
        "Against the same family without the setting, on the same loans, with its paired 95 % interval.",
        _imbalance_difference,
    ),
    Figure("ECE before calibration", "Of the raw probabilities, whose level is wrong.", _plain("raw_ece", ".4f")),
    Figure("Mean before calibration", "To compare with the default rate.", _plain("raw_mean_probability", ".2%")),
    Figure("ECE", "After calibration on tune rows, as served.", _plain("ece", ".4f")),
    Figure("Brier score", "As served; lower is better.", _plain("brier", ".5f")),
)

#: The terminal's columns: header → text.
TERMINAL: Mapping[str, Text] = {
    "model": lambda row: row.name,
    "AUC": _plain("auc", ".4f"),
    "difference": difference,
    "AUC, folds": over_folds("auc", ".4f"),
    "H": _plain("h_measure", ".4f"),
    "raw ECE": _plain("raw_ece", ".4f"),
    "ECE": _plain("ece", ".4f"),
    "Brier": _plain("brier", ".5f"),
    "profit": _plain("profit_per_loan", "+.3%"),
    "stability": _plain("stability", ".3f"),
    "seconds": _plain("training_seconds", ",.1f"),
    "µs/score": _plain("score_microseconds", ",.0f"),
}
