"""`python -m lrbench.cli` is `lrbench`."""

from lrbench.cli import app

if __name__ == "__main__":
    app()
