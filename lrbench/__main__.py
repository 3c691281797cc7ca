"""`python -m lrbench`: the command line."""

from lrbench.cli import main

if __name__ == "__main__":
    main()
