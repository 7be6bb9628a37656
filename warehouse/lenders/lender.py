"""Everything that one lender may set for itself: the keys of its file, with their defaults and requirements."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from typing import Annotated, Literal

from msgspec import Meta

from warehouse.lenders.connections import ConnectionSettings, PullEvery, PullSettings, require_known_connections
from warehouse.lenders.family_names import FAMILIES_IN_WORDS
from warehouse.lenders.files import FileSettings
from warehouse.lenders.keys import Key
from warehouse.lenders.streams import DecisionTopic, StreamSettings, require_known_brokers

PublishMode = Literal["auto", "never", "always"]
Segment = Literal["purpose", "region"]
Imbalance = Literal["none", "class_weights", "smote"]
_Months = Annotated[int, Meta(ge=1, le=600)]
_Lag = Annotated[int, Meta(ge=0, le=600)]
_Share = Annotated[float, Meta(gt=0, lt=1)]
_Positive = Annotated[float, Meta(gt=0)]
_Text = Annotated[str, Meta(pattern=r"\S")]
_A_MONTH = "a whole number of months, 1 to 600"


@dataclass(frozen=True)
class LabelSettings:
    """When a loan counts as defaulted, and when its label is complete."""

    window_months: Annotated[
        _Months | None,
        Key(f"{_A_MONTH}, or null", "A default counts within this time after the decision; null: the loan's life."),
    ] = None
    outcome_lag_months: Annotated[
        _Lag,
        Key(
            "a whole number of months, 0 to 600",
            "How long after the loan's life its vintage's last outcomes may become known.",
        ),
    ] = 5
    window_lag_months: Annotated[
        _Lag, Key("a whole number of months, 0 to 600", "The same after a window of `window_months`.")
    ] = 1


@dataclass(frozen=True)
class SplitSettings:
    """Which labels train, tune and test."""

    by: Annotated[
        Literal["time", "hash"],
        Key("time or hash", "time: the last months are test, those before them tune. hash: a random split."),
    ] = "time"
    tune_months: Annotated[
        _Months, Key(_A_MONTH, "The months before test that tune has; of no effect on a random split.")
    ] = 6
    test_months: Annotated[
        _Months, Key(_A_MONTH, "The last months of mature decisions, which test has; of no effect on a random split.")
    ] = 6
    min_rows: Annotated[
        Annotated[int, Meta(ge=1)],
        Key(
            "a whole number, at least 1",
            "Tune and test reach further back, or have more of a random split, until they hold this many labels.",
        ),
    ] = 500
    min_defaults: Annotated[
        Annotated[int, Meta(ge=1)],
        Key("a whole number, at least 1", "The same for defaults."),
    ] = 50
    max_share: Annotated[
        Annotated[float, Meta(gt=0, lt=0.5)],
        Key("a number above 0 and below 0.5", "Neither holds more than this share of all labels."),
    ] = 0.34


@dataclass(frozen=True)
class ModelSettings:
    """What kind of model is trained."""

    family: Annotated[
        _Text | None,
        Key(
            "auto or the name of a model family",
            f"A family of `ml/families/catalogue.py`: {FAMILIES_IN_WORDS}. auto, "
            "also if not set, trains the first two and takes the one with the lower log loss on tune rows.",
        ),
    ] = None
    settings: Mapping[
        str,
        Annotated[
            int | float | str | tuple[str, ...],
            Key(
                "a number, a text or a list of texts",
                "A setting of the family, such as max_depth of xgboost, l2 of logistic, or members and method of "
                "ensemble; of auto: of xgboost.",
            ),
        ],
    ] = field(default_factory=dict)
    refit: Annotated[
        bool,
        Key(
            "true or false",
            "Whether the model learns again from train and tune rows, once tune rows have decided the number of trees, "
            "the family, the calibration and the cut-off.",
        ),
    ] = True
    half_life_months: Annotated[
        _Positive | None,
        Key(
            "a number above 0, or null",
            "A loan weighs half as much with each this many months before the newest one; null: all weigh the same, "
            "as loans without dates do.",
        ),
    ] = 24.0
    imbalance: Annotated[
        Imbalance,
        Key(
            "one of none, class_weights, smote",
            "Whether defaults, which are rare, count as much as repaid loans among the rows that a model learns from: "
            "by their weights, or by invented rows (SMOTE; needs `loanlake[resampling]`). Tune and test rows stay as "
            "they are.",
        ),
    ] = "none"
    calibration: Annotated[
        Literal["platt", "beta", "isotonic", "auto"] | None,
        Key("one of platt, beta, isotonic, auto", "How scores become probabilities: `ml/training/fitting.py`."),
    ] = None


@dataclass(frozen=True)
class CutOffSettings:
    """How the cut-off is found; a key that is not given has the default of ``ml/training/policy.py``."""

    rule: Annotated[
        Literal["expected_profit", "approval_rate", "fixed"] | None,
        Key("one of expected_profit, approval_rate, fixed", "How the cut-off is found."),
    ] = None
    margin: Annotated[
        _Positive | None, Key("a number above 0", "What a good loan earns over its life, of the amount lent.")
    ] = None
    loss_given_default: Annotated[
        _Positive | None, Key("a number above 0", "What a bad loan loses, of the amount lent.")
    ] = None
    cost_of_capital: Annotated[
        Annotated[float, Meta(ge=0)] | None,
        Key("a number, at least 0", "What the money of each loan costs over its life, of the amount lent; not set: 0."),
    ] = None
    declined_good_cost: Annotated[
        Annotated[float, Meta(ge=0)] | None,
        Key(
            "a number, at least 0",
            "What declining a good customer costs besides the margin that is not earned, of the amount; not set: 0.",
        ),
    ] = None
    approval_rate: Annotated[
        _Share | None, Key("a number between 0 and 1", "The share to approve, for the rule approval_rate.")
    ] = None
    probability: Annotated[
        _Share | None, Key("a number between 0 and 1", "The cut-off itself, for the rule fixed.")
    ] = None


@dataclass(frozen=True)
class PolicySettings:
    """From probabilities to decisions."""

    cut_off: Annotated[CutOffSettings, Key("keys of the cut-off", "How the cut-off is found.")] = field(
        default_factory=CutOffSettings
    )
    refer_width: Annotated[
        Annotated[float, Meta(ge=0, lt=1)] | None,
        Key(
            "a number from 0, below 1, or null",
            "An application is referred to a person where the interval of its probability has the cut-off inside and "
            "is wider than this; null: none is.",
        ),
    ] = None
    bands: Mapping[
        str,
        Annotated[
            Annotated[float, Meta(gt=0, le=1)],
            Key("a number above 0, at most 1", "Upper bound of the band's probabilities; rising, and the last is 1."),
        ],
    ] = field(default_factory=dict)

    def __post_init__(self) -> None:
        uppers = list(self.bands.values())
        if uppers and (uppers[-1] != 1 or any(high <= low for low, high in pairwise(uppers))):
            raise ValueError(f"bands must have rising upper bounds that end at 1: found {uppers}")


@dataclass(frozen=True)
class RetrainSettings:
    """Rules of alerts and of training again that a lender can set; the others are in ``ml/monitoring/limits.py``."""

    f1_below: Annotated[
        _Share | None,
        Key(
            "a number between 0 and 1, or null",
            "The sensor performance_decayed also trains where F1 of the declines, on the mature decisions of the "
            "newest month, is below this; null: no such rule. Where few loans default no model reaches a high F1: the "
            "reason of the training then says so.",
        ),
    ] = None
    score_ks_above: Annotated[
        _Share | None,
        Key(
            "a number between 0 and 1, or null",
            "A month's scores have drifted, too, where their Kolmogorov-Smirnov distance from those of the training "
            "rows is above this and above sampling noise; null: by PSI alone.",
        ),
    ] = 0.1
    feature_ks_above: Annotated[
        _Share | None,
        Key(
            "a number between 0 and 1, or null",
            "The same for each numeric feature that is not a cohort's; null: by PSI alone.",
        ),
    ] = None
    auc_drop_above: Annotated[
        _Share | None,
        Key(
            "a number between 0 and 1, or null",
            "A model has decayed, too, where a month's AUC is lower than in its test by more than this share, and the "
            "month's 95 % interval lies below the test's AUC; null: by the interval of the test alone.",
        ),
    ] = 0.05


@dataclass(frozen=True)
class CohortSettings:
    """Default rates of segments, which are features."""

    segments: Annotated[
        tuple[Segment, ...],
        Key("a list of purpose, region", "Segments whose default rate is a feature, beside the whole lender's."),
    ] = ("purpose", "region")
    months: Annotated[_Months, Key(_A_MONTH, "Outcomes known in this time before the decision count.")] = 12
    smoothing: Annotated[
        Annotated[float, Meta(ge=0)],
        Key("a number, at least 0", "A segment's rate is as if this many outcomes of the whole lender were added."),
    ] = 50


@dataclass(frozen=True)
class RequestSettings:
    """What a score request must hold."""

    required: Annotated[
        tuple[_Text, ...],
        Key("a list of fields such as [annual_income]", "Fields that every application must give."),
    ] = ()
    optional: Annotated[
        tuple[_Text, ...],
        Key(
            "a list of fields such as [term_months]",
            "Fields that the contract requires, and this lender does not have.",
        ),
    ] = ()

    def __post_init__(self) -> None:
        both = sorted(set(self.required) & set(self.optional))
        if both:
            raise ValueError(f"optional must not name fields that are required: found {', '.join(both)}")


@dataclass(frozen=True)
class MovedLimit:
    """A gate's limit for this lender (a number, or two for a range), and why."""

    limit: Annotated[float | tuple[float, float], Key("a number, or two in brackets", "The limit for this lender.")]
    reason: Annotated[_Text, Key("say why the limit is moved", "Why; shown wherever the limit applies.")]


@dataclass(frozen=True)
class PublishSetting:
    """What runs do with a model that passed its gates; ``by`` and ``reason``: who chose ``always``, and why."""

    mode: Annotated[
        PublishMode,
        Key("one of auto, never, always", "What a run does with a model that passed: `ml/judging/publication.py`."),
    ] = "auto"
    reason: Annotated[str, Key("a text", "Why.")] = ""
    by: Annotated[str, Key("a name", "The person whose word `always` is.")] = ""

    def __post_init__(self) -> None:
        if self.mode == "always":
            if not self.by.strip():
                raise ValueError(f"by must name the person whose word `always` is: found {self.by!r}")
            if not self.reason.strip():
                raise ValueError(f"reason must say why: found {self.reason!r}")


@dataclass(frozen=True)
class SetAsideSettings:
    """How many rows of a file may be set aside."""

    max_share: Annotated[
        Annotated[float, Meta(ge=0, le=1)],
        Key("a number from 0 to 1", "A file with a larger share of its rows set aside waits for a person."),
    ] = 0.2
    accepted_files: Annotated[
        tuple[_Text, ...],
        Key("a list of files such as [loans/2024-03.csv]", "Files whose loss is accepted, as entity/file."),
    ] = ()


_Range = Annotated[
    tuple[float, float],
    Key("two numbers in brackets, low and high", "Lowest and highest value of a core column for this lender."),
]


@dataclass(frozen=True)
class Lender:
    """A lender's settings; ``path``: their file, which may not exist."""

    path: Path
    title: Annotated[str, Key("a text", "The lender's name, for people.")] = ""
    dates: Annotated[
        Literal["known", "none"],
        Key("known or none", "none: the files hold no decision dates, so that every split is random."),
    ] = "known"
    label: LabelSettings = field(default_factory=LabelSettings)
    split: SplitSettings = field(default_factory=SplitSettings)
    model: ModelSettings = field(default_factory=ModelSettings)
    policy: PolicySettings = field(default_factory=PolicySettings)
    retrain: RetrainSettings = field(default_factory=RetrainSettings)
    cohort: CohortSettings = field(default_factory=CohortSettings)
    request: RequestSettings = field(default_factory=RequestSettings)
    reasons: Mapping[
        str,
        Annotated[_Text, Key("a text for the applicant", "A feature's reason text for this lender.")],
    ] = field(default_factory=dict)
    gates: Mapping[str, MovedLimit] = field(default_factory=dict)
    honest_features: Mapping[
        str,
        Annotated[_Text, Key("say why the feature is honest", "A feature that looks like a leak, and why it is not.")],
    ] = field(default_factory=dict)
    publish: PublishSetting | None = None
    files: Mapping[str, FileSettings] = field(default_factory=dict)
    connections: Mapping[str, ConnectionSettings] = field(default_factory=dict)
    pulls: Mapping[str, PullSettings] = field(default_factory=dict)
    streams: Mapping[str, StreamSettings] = field(default_factory=dict)
    decisions_to: DecisionTopic | None = None
    pull_every: Annotated[
        PullEvery | None,
        Key(
            "one of 15 minutes, hour, day",
            "How often Dagster's schedule `pull_<lender>` pulls and builds what follows; each refresh pulls, too.",
        ),
    ] = None
    set_aside: SetAsideSettings = field(default_factory=SetAsideSettings)
    limits: Mapping[str, _Range] = field(default_factory=dict)

    @property
    def name(self) -> str:
        """The lender, as its rows name it: the name of its file."""
        return self.path.stem

    def __post_init__(self) -> None:
        require_known_connections(self.connections, self.pulls)
        require_known_brokers(self.connections, self.pulls, self.streams, self.decisions_to)
        if self.pull_every is not None and not self.pulls:
            raise ValueError("pulls must be given for pull_every: found none")
        for name, (low, high) in self.limits.items():
            if not low <= high:
                raise ValueError(f"limits.{name} must be two numbers, the lower one first: found [{low:g}, {high:g}]")
