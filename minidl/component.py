"""Configurable parts: receives a class with declared, typed fields, makes it a registered part.

Layers, losses, optimizers, datasets … are components. A component's dataclass fields are its
configuration and nothing else is: the same validation runs whether it is made in Python
(``Linear(units=10)``) or from a config (``{ type = "linear", units = 10 }``).
"""

from __future__ import annotations

import dataclasses
import functools
import types
import typing
from collections.abc import Callable, Mapping, Sequence
from typing import Any, ClassVar, TypeVar

from minidl import registry
from minidl.errors import ConfigError, PluginError, UnknownNameError, field_hint

C = TypeVar("C", bound="type[Component]")


@typing.dataclass_transform(eq_default=False, field_specifiers=(dataclasses.field,))
@dataclasses.dataclass(eq=False, repr=False)
class Component:
    """Base of every configurable part; see :func:`component`.

    Every subclass is made a dataclass, so a base that several parts share may have fields too.

    Attributes
    ----------
    common : tuple of str
        Fields that all parts of a kind have and few use: a config leaves them out at their
        default.
    """

    kind: ClassVar[str] = ""
    type_name: ClassVar[str] = ""
    common: ClassVar[tuple[str, ...]] = ()

    def __init_subclass__(cls, **options: Any) -> None:
        super().__init_subclass__(**options)
        dataclasses.dataclass(eq=False, repr=False)(cls)

    def __post_init__(self) -> None:
        given = {f.name: getattr(self, f.name) for f in config_fields(type(self))}
        for name, value in validate(type(self), given).items():
            object.__setattr__(self, name, value)
        try:
            self.check_fields()
        except ValueError as error:
            raise ConfigError(f"{self.kind} '{self.type_name}': {error}") from None

    def check_fields(self) -> None:
        """Raise ValueError where fields that are right each do not go together; override."""

    @classmethod
    def __get_pydantic_core_schema__(cls, source: Any, handler: Any) -> Any:
        from pydantic_core import core_schema

        return core_schema.with_info_plain_validator_function(
            lambda value, info: make(cls.kind, value),
            metadata={"minidl_kind": cls.kind},
            serialization=core_schema.plain_serializer_function_ser_schema(to_config),
        )

    @classmethod
    def __get_pydantic_json_schema__(cls, schema: Any, handler: Any) -> dict[str, Any]:
        return {"x-minidl-kind": cls.kind}

    def __repr__(self) -> str:
        fields = ", ".join(
            f"{f.name}={getattr(self, f.name)!r}"
            for f in config_fields(type(self))
            if getattr(self, f.name) != _default(f)
        )
        return f"{type(self).__name__}({fields})"


def component(kind: str, name: str) -> Callable[[C], C]:
    """Make the decorated class a component and register it under ``kind`` and ``name``.

    Its annotated class attributes become its fields; :data:`typing.ClassVar` ones, and those
    beginning with an underscore, do not.
    """

    def declare(cls: C) -> C:
        cls.kind = kind
        cls.type_name = name
        return registry.register(kind, name, cls)

    return declare


def config_fields(cls: type[Component]) -> list[dataclasses.Field[Any]]:
    """Return the declared fields of a component class, in order."""
    return [f for f in dataclasses.fields(cls) if f.init and not f.name.startswith("_")]


def make(kind: str, value: Any) -> Any:
    """Return a component of ``kind`` from itself, its name, or a table with ``type``.

    Raises
    ------
    pydantic.ValidationError, ValueError
        With the location of each problem inside ``value``; the config loader and
        :class:`Component` turn it into a ConfigError. What concerns the whole of ``value`` is a
        ``PydanticCustomError`` of type ``component_table``, ``component_missing_type``,
        ``component_type_name`` or ``component_unknown_type``.
    """
    if isinstance(value, Component) and value.kind == kind:
        return value
    if isinstance(value, str):
        value = {"type": value}
    if not isinstance(value, Mapping):
        article = "an" if kind[0] in "aeiou" else "a"
        raise _misfit("table", f"{article} {kind} is a name or a table with 'type', not {value!r}")
    if "type" not in value:
        raise _misfit("missing_type", f"this {kind} has no 'type'")
    if not isinstance(value["type"], str):
        raise _misfit("type_name", f"the 'type' of this {kind} is a string, not {value['type']!r}")
    try:
        cls = registry.get(kind, value["type"])
    except (UnknownNameError, PluginError) as error:
        raise _misfit("unknown_type", str(error)) from error
    options = {key: option for key, option in value.items() if key != "type"}
    return _construct(cls, schema_of(cls).model_validate(options))


def to_config(part: Component) -> dict[str, Any]:
    """Return the table that :func:`make` makes ``part`` from: its type and every field.

    Fields without a value are left out, and so are those of ``common`` at their default (what
    every layer has: ``name``, ``inputs``, ``repeat``, ``tie``).
    """
    table: dict[str, Any] = {"type": part.type_name}
    for f in config_fields(type(part)):
        value = getattr(part, f.name)
        if value is not None and not (f.name in part.common and value == _default(f)):
            table[f.name] = _plain(value)
    return table


@functools.cache
def schema_of(cls: type[Component]) -> Any:
    """Return the pydantic model of a component's fields: strict types, unknown keys refused."""
    import pydantic

    hints = typing.get_type_hints(cls, include_extras=True)
    fields: dict[str, Any] = {
        f.name: (_accept_lists(hints[f.name]), _pydantic_default(f)) for f in config_fields(cls)
    }
    config = pydantic.ConfigDict(
        extra="forbid",
        strict=True,
        validate_default=True,
        arbitrary_types_allowed=True,
        allow_inf_nan=False,
    )
    return pydantic.create_model(cls.__name__, __config__=config, **fields)


def validate(cls: type[Component], values: Mapping[str, Any]) -> dict[str, Any]:
    """Return ``values`` checked and converted by the declared fields of ``cls``.

    Raises
    ------
    ConfigError
        Naming every field that is wrong.
    """
    import pydantic

    try:
        checked = schema_of(cls).model_validate(dict(values))  # type: ignore[arg-type]
    except pydantic.ValidationError as error:
        raise ConfigError("\n".join(_problems(cls, values, error.errors()))) from None
    return {name: getattr(checked, name) for name in type(checked).model_fields}


def _misfit(code: str, message: str) -> ValueError:
    from pydantic_core import PydanticCustomError

    return PydanticCustomError(f"component_{code}", "{message}", {"message": message})


def _construct(cls: type[Component], checked: Any) -> Component:
    """Make an instance from values that are valid already, without validating them again."""
    part = cls.__new__(cls)
    for f in dataclasses.fields(cls):
        if f.name in type(checked).model_fields:
            object.__setattr__(part, f.name, getattr(checked, f.name))
        elif f.default_factory is not dataclasses.MISSING:
            object.__setattr__(part, f.name, f.default_factory())
        elif f.default is not dataclasses.MISSING:
            object.__setattr__(part, f.name, f.default)
    part.check_fields()
    return part


def _problems(
    cls: type[Component], values: Mapping[str, Any], details: Sequence[Mapping[str, Any]]
) -> list[str]:
    """Return a line for each field that is wrong; the alternatives of one field share theirs."""
    groups: dict[str, list[Mapping[str, Any]]] = {}
    for detail in details:
        groups.setdefault(_where(detail, values), []).append(detail)
    # what is wrong within a value tells more than that the value is of no other kind
    return [
        _problem(cls, where, group)
        for where, group in groups.items()
        if not any(other.startswith(f"{where}.") for other in groups)
    ]


def _where(detail: Mapping[str, Any], values: Any) -> str:
    """Return the path of a problem in ``values``, without the names of alternatives in it."""
    path = []
    for part in detail["loc"]:
        listed = isinstance(values, list | tuple) and isinstance(part, int) and part < len(values)
        if listed or (isinstance(values, Mapping) and part in values):
            values = values[part]
            path.append(str(part))
    if detail["type"] == "missing":
        path.append(str(detail["loc"][-1]))
    return ".".join(path)


def _problem(cls: type[Component], where: str, group: Sequence[Mapping[str, Any]]) -> str:
    problem = group[0]
    known = [f.name for f in config_fields(cls)]
    label = f"{cls.kind} '{cls.type_name}'" if cls.type_name else cls.__name__
    if problem["type"] == "extra_forbidden":
        return f"{label}: unknown field '{where}'{field_hint(where, known)}"
    if problem["type"] == "missing" and where in known:
        return f"{label}: missing field '{where}'"
    if problem["type"] == "missing":
        given = problem["input"]
        return f"{label}: {where.rpartition('.')[0]}: it must have more items, got {given!r}"
    if problem["type"] == "component_unknown_type":
        return f"{label}: {where}: {problem['msg']}"
    return f"{label}: {where}: {_wording(group)}, got {problem['input']!r}"


def _wording(group: Sequence[Mapping[str, Any]]) -> str:
    """Return what one value should be, of which pydantic said so for each alternative."""
    start = "Input should be "
    texts = list(dict.fromkeys(problem["msg"] for problem in group))
    nearest = [text for text in texts if not text.startswith(start)]
    if nearest:
        return nearest[0]
    return start + " or ".join(text.removeprefix(start) for text in texts)


def _accept_lists(hint: Any) -> Any:
    """Let tuples, wherever in ``hint`` they stand, take lists, which are all that TOML has."""
    import pydantic

    origin, inner = typing.get_origin(hint), typing.get_args(hint)
    if origin is typing.Annotated:
        return typing.Annotated[_accept_lists(inner[0]), *inner[1:]]
    if origin in (typing.Union, types.UnionType):
        return typing.Union[tuple(_accept_lists(option) for option in inner)]  # noqa: UP007
    if origin in (tuple, list, dict):
        hint = origin[tuple(part if part is ... else _accept_lists(part) for part in inner)]
    if hint is tuple or origin is tuple:
        convert = pydantic.BeforeValidator(lambda v: tuple(v) if isinstance(v, list) else v)
        return typing.Annotated[hint, convert]
    return hint


def _pydantic_default(f: dataclasses.Field[Any]) -> Any:
    import pydantic

    if f.default_factory is not dataclasses.MISSING:
        return pydantic.Field(default_factory=f.default_factory)
    return ... if f.default is dataclasses.MISSING else f.default


def _default(f: dataclasses.Field[Any]) -> Any:
    return f.default_factory() if f.default_factory is not dataclasses.MISSING else f.default


def _plain(value: Any) -> Any:
    if isinstance(value, Component):
        return to_config(value)
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    if isinstance(value, Mapping):
        return {key: _plain(item) for key, item in value.items()}
    return value
