"""Which values a parameter may have: a helper of the labelers, not a plugin."""


def demand(parameters: object, *conditions: tuple[str, bool, str]) -> None:
    """Raise a ValueError for the first (name, fits, wanted) whose parameter does not fit."""
    for name, fits, wanted in conditions:
        if not fits:
            raise ValueError(f"{name} must be {wanted}, got {getattr(parameters, name)}")
