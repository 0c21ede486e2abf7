"""How sure a number is: differences, ranks, intervals, curves."""
