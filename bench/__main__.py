"""`python -m bench`: the command line from a checkout that is not installed."""

from bench.cli import run_as_script

if __name__ == "__main__":
    run_as_script()
