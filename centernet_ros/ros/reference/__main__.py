"""Writes the tables into `docs/node.md`, or says with `--check` whether they are up to date."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from centernet_ros.resources import CHECKOUT
from centernet_ros.ros.parameters import DEFAULTS, RULES
from centernet_ros.ros.reference import diagnostics, table, topics
from centernet_ros.ros.rules import AT_CONFIGURE, AT_START, RESTART_FREE, Rule

DOCUMENT = CHECKOUT / "docs" / "node.md"

TYPES = {bool: "bool", int: "integer", float: "double", str: "string"}
CHANGES = {RESTART_FREE: "always", AT_CONFIGURE: "unconfigured", AT_START: "never"}


def parameters() -> str:
    """All parameters of the node."""
    rows = (
        (
            f"`{name}`",
            _type(DEFAULTS[name]),
            f"`{json.dumps(DEFAULTS[name])}`",
            _allowed(rule),
            CHANGES[rule.changes],
            rule.description,
        )
        for name, rule in RULES.items()
    )
    return table(("parameter", "type", "default", "allowed", "changeable", "meaning"), rows)


def _type(default: object) -> str:
    return f"{TYPES[type(default[0])]} array" if isinstance(default, list) else TYPES[type(default)]


def _allowed(rule: Rule) -> str:
    if rule.limits is not None:
        return "{:g} to {:g}".format(*rule.limits)
    return rule.known


TABLES: Mapping[str, Callable[[], str]] = {
    "subscribed topics": topics.subscribed_topics,
    "published topics": topics.published_topics,
    "services": topics.services,
    "parameters": parameters,
    "diagnostic levels": diagnostics.levels,
    "values of the network": diagnostics.node_values,
    "values of a camera": diagnostics.camera_values,
}


def renewed(text: str) -> str:
    """A document with its tables as the code has them.

    Raises:
        ValueError: A place of a table is missing; the message says which.
    """
    for name, make in TABLES.items():
        begin, end = f"<!-- begin {name} -->\n", f"<!-- end {name} -->"
        head, began, rest = text.partition(begin)
        _, ended, tail = rest.partition(end)
        if not (began and ended):
            raise ValueError(f"the document has no {begin.strip()} with its {end}")
        text = f"{head}{begin}{make()}\n{end}{tail}"
    return text


def main(arguments: Sequence[str] | None = None) -> int:
    """Write the tables; with `--check`, exit status 1 where they are not up to date."""
    parser = argparse.ArgumentParser("python -m centernet_ros.ros.reference", description=__doc__)
    parser.add_argument("--check", action="store_true", help="write nothing")
    parser.add_argument("--document", type=Path, default=DOCUMENT, help="default: docs/node.md")
    args = parser.parse_args(arguments)
    before = args.document.read_text()
    after = renewed(before)
    if after == before:
        return 0
    if args.check:
        how = "run python -m centernet_ros.ros.reference"
        print(f"{args.document} is not what the code gives: {how}", file=sys.stderr)
        return 1
    args.document.write_text(after)
    return 0


if __name__ == "__main__":
    sys.exit(main())
