"""The tables of `docs/node.md`, made from the node itself: `python -m centernet_ros.ros.reference`.

What a program cannot know, a sentence about each entry, stands here beside the entry's name; a
name without an entry is an error, and so is an entry without a sentence.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import TypeVar

Entry = TypeVar("Entry")


class UntoldError(ValueError):
    """What is told and what there is differ; the message names what."""


def described(
    what: str, entries: Mapping[str, Entry], texts: Mapping[str, str]
) -> list[tuple[str, Entry, str]]:
    """Entries with their sentences, in the order of the sentences.

    Args:
        what: the entries are, for the error.
        entries: found in the code, by name.
        texts: a sentence for each name.

    Raises:
        UntoldError: An entry has no sentence, or a sentence no entry.
    """
    if differing := set(entries) ^ set(texts):
        raise UntoldError(f"{what} without a sentence or no longer there: {sorted(differing)}")
    return [(name, entries[name], text) for name, text in texts.items()]


def table(titles: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A Markdown table."""
    lines = [titles, ["---"] * len(titles), *rows]
    return "\n".join("| " + " | ".join(_cell(cell) for cell in line) + " |" for line in lines)


def _cell(text: str) -> str:
    return text.replace("|", r"\|").replace("\n", " ")
