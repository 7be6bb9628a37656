"""When each version served, by the history of what is served."""

from ml.pages.models import service_rows
from ml.registry.deployment import Challenger, Change, Deployment


def _served(version: int, challenger: int | None = None, mode: str = "shadow") -> Deployment:
    return Deployment(
        source="bank",
        model_name="model",
        model_version=version,
        feature_version="v1",
        bundle="",
        published_at="",
        published_by="ann",
        challenger=None if challenger is None else Challenger(mode, None, _served(challenger)),  # type: ignore[arg-type]
    )


def _change(at: str, deployment: Deployment) -> Change:
    return Change(action="publish", at=at, by="ann", deployment=deployment)


def test_a_version_serves_until_the_next_and_again_after_a_rollback() -> None:
    history = [_change("01", _served(1)), _change("02", _served(2)), _change("03", _served(1))]

    first, second = service_rows(history)

    assert [(span.start, span.end) for span in first.spans] == [("01", "02"), ("03", None)]
    assert [(span.start, span.end, span.role) for span in second.spans] == [("02", "03", "champion")]


def test_a_shadow_that_is_promoted_has_a_span_of_each_role() -> None:
    history = [_change("01", _served(1)), _change("02", _served(1, challenger=2)), _change("03", _served(2))]

    first, second = service_rows(history)

    assert [(span.start, span.end) for span in first.spans] == [("01", "03")]
    assert [(span.start, span.end, span.role) for span in second.spans] == [
        ("02", "03", "shadow"),
        ("03", None, "champion"),
    ]
