"""``python -m oms`` is ``oms``."""

from oms.cli import main

if __name__ == "__main__":
    main()
