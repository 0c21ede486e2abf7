"""Check the ranges of a plugin's parameters."""


def demand(parameters: object, *conditions: tuple[str, bool, str]) -> None:
    """Raise ValueError for the first (name, is_met, requirement) that does not fit."""
    for name, is_met, requirement in conditions:
        if not is_met:
            raise ValueError(f"{name} must be {requirement}, got {getattr(parameters, name)}")
