"""The ranges that settings of several families of trees share."""

from warehouse.errors import SettingError


def require_counts(settings: object, *names: str) -> None:
    """Raise SettingError unless each named setting is at least 1, or None where that stands for a default."""
    for name in names:
        value = getattr(settings, name)
        if value is not None and value < 1:
            raise SettingError(f"{name} must be at least 1: found {value}")


def require_shares(settings: object, *names: str) -> None:
    """Raise SettingError unless each named setting is above 0 and at most 1."""
    for name in names:
        if not 0 < getattr(settings, name) <= 1:
            raise SettingError(f"{name} must be within (0, 1]: found {getattr(settings, name)}")
