"""`python -m autoft` is `autoft`."""

from autoft.cli import main

if __name__ == "__main__":
    main()
