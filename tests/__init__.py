"""Tests, one folder a package; what they share lies beside this file."""
