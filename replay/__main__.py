"""``python -m replay`` is ``oms replay``."""

from replay.cli import replay

if __name__ == "__main__":
    replay()
