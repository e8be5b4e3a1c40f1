"""``python -m replay`` is ``oms replay``."""

from oms.cli import main

if __name__ == "__main__":
    main("replay")
