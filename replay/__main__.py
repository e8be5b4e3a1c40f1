"""``python -m replay`` is ``oms replay``."""

import sys

from oms.cli import main

if __name__ == "__main__":
    sys.argv[1:1] = ["replay"]
    main()
