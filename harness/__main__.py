"""`python -m harness` is the command `harness`."""

from harness.cli.start import main

if __name__ == "__main__":
    main()
