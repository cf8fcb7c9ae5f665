"""Writes web/js/protocol.d.ts from broker/protocol.py, so that both say the same.

python -m tools.js_types [--check]
"""

from __future__ import annotations

import enum
import inspect
import sys
from pathlib import Path
from typing import Any

import msgspec
from msgspec import inspect as ms

from broker import protocol

TARGET = Path(__file__).resolve().parents[1] / "web" / "js" / "protocol.d.ts"
UNIONS = ("FromViewer", "FromConsole", "ToViewer", "ToConsole", "ChatFromPeer", "ChatToPeer")


def typescript() -> str:
    """The declarations of every message, part and enumeration."""
    blocks = ["// Generated from broker/protocol.py by tools/js_types.py."]
    for name, value in vars(protocol).items():
        if not inspect.isclass(value) or value.__module__ != protocol.__name__:
            continue
        if issubclass(value, enum.StrEnum):
            options = " | ".join(f'"{member.value}"' for member in value)
            blocks.append(f"export type {name} = {options};")
        elif issubclass(value, msgspec.Struct) and value is not protocol.Message:
            blocks.append(_interface(value))
    for name in UNIONS:
        parts = " | ".join(part.__name__ for part in _members(getattr(protocol, name)))
        blocks.append(f"export type {name} = {parts};")
    return "\n\n".join(blocks) + "\n"


def _members(union: Any) -> tuple[type, ...]:
    return getattr(union, "__args__", (union,))


def _interface(struct: type[msgspec.Struct]) -> str:
    info = ms.type_info(struct)
    assert isinstance(info, ms.StructType)
    lines = [f'  type: "{info.tag}";'] if info.tag_field else []
    lines += [
        f"  {field.encode_name}{'' if field.required else '?'}: {_type(field.type)};"
        for field in info.fields
    ]
    return "\n".join([f"export interface {struct.__name__} {{", *lines, "}"])


def _type(kind: ms.Type) -> str:
    match kind:
        case ms.StrType():
            return "string"
        case ms.IntType() | ms.FloatType():
            return "number"
        case ms.BoolType():
            return "boolean"
        case ms.NoneType():
            return "null"
        case ms.LiteralType(values):
            return " | ".join(f'"{value}"' for value in values)
        case ms.EnumType(cls) | ms.StructType(cls):
            return cls.__name__
        case ms.UnionType(types):
            return " | ".join(_type(part) for part in types)
        case ms.VarTupleType(item):
            return f"{_type(item)}[]"
    raise TypeError(f"no TypeScript for {kind}")


def main() -> int:
    """Write the file, or with --check say whether it is up to date."""
    text = typescript()
    if "--check" in sys.argv:
        return 0 if TARGET.read_text("utf-8") == text else 1
    TARGET.write_text(text, "utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
