"""Keeps Python's search for reference cycles out of the way of loading millions of objects that stay."""

import gc
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def no_collection() -> Iterator[None]:
    """Do not look for cycles meanwhile, nor later among what was made: replay would take twice as long, and the first
    search afterwards would stop everything for a second. What is no longer referred to is freed all the same.
    """
    was = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        gc.freeze()
        if was:
            gc.enable()
