"""`python -m harness.cli` is the command `harness`."""

from harness.cli.start import main

if __name__ == "__main__":
    main()
