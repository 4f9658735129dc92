"""``python -m gambeson``: the command line."""

import sys

from gambeson.cli import main

if __name__ == "__main__":
    sys.exit(main())
