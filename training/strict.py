"""Frozen dataclasses from plain values, strictly: every key known, every value of its type."""

from __future__ import annotations

import dataclasses
import math
import types
import typing
from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import Any, TypeVar

import yaml

Config = TypeVar("Config")


class ConfigError(ValueError):
    """A configuration that cannot be used; the message names the key."""


def check(condition: bool, message: str) -> None:
    """Refuse a configuration.

    Raises:
        ConfigError: The condition does not hold.
    """
    if not condition:
        raise ConfigError(message)


def check_known(key: str, value: str, known: Sequence[str]) -> None:
    """Refuse a value that is none of the known ones."""
    check(value in known, f"{key}: {value!r} is not one of {', '.join(known)}")


def check_positive(key: str, value: float) -> None:
    """Refuse zero and numbers below."""
    check(value > 0, f"{key}: {value} is not positive")


def check_not_negative(key: str, value: float) -> None:
    """Refuse numbers below zero."""
    check(value >= 0, f"{key}: {value} is negative")


def read_yaml(text: str) -> Any:
    """Plain values from YAML.

    Raises:
        ConfigError: It is no YAML, or a key stands in it twice; the message names the line.
    """
    try:
        return yaml.load(text, _Loader)
    except (yaml.YAMLError, ValueError) as error:
        raise ConfigError(" ".join(str(error).split())) from None


class _Loader(yaml.SafeLoader):
    """Plain values alone; of a key that stands there twice YAML would take the last silently."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        lines: dict[Any, int] = {}
        for key_node, _ in node.value:
            key, line = key_node.value, key_node.start_mark.line + 1
            if isinstance(key, str) and key in lines:
                raise ConfigError(f"key {key} stands in line {lines[key]} and in line {line}")
            if isinstance(key, str):
                lines[key] = line
        return dict(super().construct_mapping(node, deep))


def build(cls: type[Config], values: Mapping[str, Any], prefix: str = "") -> Config:
    """A dataclass from plain values.

    A field `kind` chooses among dataclasses: a field of a union takes the one whose own `KIND`
    equals it.

    Args:
        cls: the dataclass.
        values: a value for each key; what is left out keeps its default.
        prefix: section and dot, for messages.

    Raises:
        ConfigError: A key is unknown or missing, or a value has another type.
    """
    hints = {f.name: h for f, h in zip(_fields(cls), _hints(cls), strict=True)}
    for key in values:
        known = ", ".join(hints)
        check(key in hints, f"unknown key {prefix}{key}; known: {known}")
    for field in _fields(cls):
        given = field.name in values or field.default is not dataclasses.MISSING
        given = given or field.default_factory is not dataclasses.MISSING
        check(given, f"{prefix}{field.name}: missing")
    kind = values.get("kind", getattr(cls, "kind", None))
    return cls(
        **{
            key: _convert(_of_kind(hints[key], kind, prefix), value, prefix + key)
            for key, value in values.items()
        }
    )


def override(values: dict[str, Any], text: str) -> None:
    """Apply `section.key=value` to nested plain values, in place; no value is the empty text.

    Raises:
        ConfigError: The text has another form or is no YAML, or a section is a plain value.
    """
    key, separator, value = text.partition("=")
    check(bool(separator), f"--set {text!r}: expected section.key=value")
    *sections, last = key.split(".")
    for section in sections:
        values = values.setdefault(section, {})
        check(isinstance(values, dict), f"--set {text!r}: {section} is not a section")
    try:
        values[last] = read_yaml(value) if value else ""
    except ConfigError as error:
        raise ConfigError(f"--set {text!r}: {error}") from None


def _fields(cls: type) -> tuple[dataclasses.Field[Any], ...]:
    return dataclasses.fields(cls)


def _hints(cls: type) -> list[Any]:
    hints = typing.get_type_hints(cls)
    return [hints[field.name] for field in _fields(cls)]


def _of_kind(hint: Any, kind: Any, prefix: str) -> Any:
    """The member of a union of dataclasses that a kind chooses; other hints as they are."""
    if not isinstance(hint, types.UnionType):
        return hint
    members = {member.KIND: member for member in typing.get_args(hint)}
    check(kind in members, f"{prefix}kind: {kind!r} is not one of {', '.join(members)}")
    return members[kind]


def _convert(hint: Any, value: Any, name: str) -> Any:
    """A YAML value as the type of its field."""
    if dataclasses.is_dataclass(hint):
        check(isinstance(value, Mapping), f"{name}: expected a section, found {value!r}")
        return build(typing.cast(type, hint), value, f"{name}.")
    if typing.get_origin(hint) is tuple:
        items = typing.get_args(hint)
        many = items[-1] is Ellipsis
        fits = isinstance(value, list) and (many or len(value) == len(items))
        check(fits, f"{name}: expected a list of {'any' if many else len(items)}, found {value!r}")
        kinds = [items[0]] * len(value) if many else items
        return tuple(_convert(kind, item, name) for kind, item in zip(kinds, value, strict=True))
    # YAML reads 5e-4 as text and 1 as an integer where a number is meant.
    if hint is float and isinstance(value, (int, str)) and not isinstance(value, bool):
        with suppress(ValueError):
            value = float(value)
    if isinstance(value, float):
        check(math.isfinite(value), f"{name}: {value} is no finite number")
    fits = isinstance(value, hint) and (hint is bool or not isinstance(value, bool))
    check(fits, f"{name}: expected {getattr(hint, '__name__', hint)}, found {value!r}")
    return value
