"""Query strings and form bodies."""

from __future__ import annotations

from urllib.parse import unquote_plus


def split_form(text: str) -> list[tuple[str, str]]:
    """Split a query string or form body into decoded pairs, in order."""
    pairs: list[tuple[str, str]] = []
    for part in text.split("&"):
        if part:
            name, _, value = part.partition("=")
            pairs.append((unquote_plus(name), unquote_plus(value)))
    return pairs
