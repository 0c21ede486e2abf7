"""Check the ranges of a plugin's parameters."""


def demand(parameters: object, *conditions: tuple[str, bool, str]) -> None:
    """Raise ValueError for the first condition that is not met.

    A condition is (name of the parameter, is_met, requirement).
    """
    for name, is_met, requirement in conditions:
        if not is_met:
            raise ValueError(f"{name} must be {requirement}, got {getattr(parameters, name)}")
