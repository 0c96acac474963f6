#!/usr/bin/python3
"""Makes docs/api-reference.md of the comments in the .proto files.

    proto/reference.py           compares: exit status 1, and the first lines that differ
    proto/reference.py --write   writes the page

Needs protoc and Debian's python3-protobuf."""

import difflib
import os
import re
import subprocess
import sys
import tempfile

from google.protobuf import descriptor_pb2

HERE = os.path.dirname(os.path.abspath(__file__))
PAGE = os.path.join(os.path.dirname(HERE), "docs", "api-reference.md")
HEAD = """# API reference

Made from `proto/kezek/v1` by `proto/reference.py --write`; a test compares the two. What all calls
have in common (signing in, errors, pages, watching) is in [api.md](api.md).
"""
# Numbers of fields in descriptor.proto, which are the steps of a comment's path.
MESSAGES, ENUMS, SERVICES = 4, 5, 6
FIELDS, VALUES, METHODS = 2, 2, 2
NESTED, NESTED_ENUMS = 3, 4
SCALARS = {kind.number: kind.name.removeprefix("TYPE_").lower()
           for kind in descriptor_pb2.FieldDescriptorProto.DESCRIPTOR.enum_types_by_name[
               "Type"].values}


def described():
    """Every file of the package, with its comments."""
    names = sorted(os.path.join("kezek/v1", name) for name in os.listdir(f"{HERE}/kezek/v1")
                   if name.endswith(".proto"))
    with tempfile.NamedTemporaryFile() as out:
        subprocess.run(["protoc", "-I", HERE, "--include_source_info",
                        f"--descriptor_set_out={out.name}", *names], check=True)
        return descriptor_pb2.FileDescriptorSet.FromString(out.read()).file


class File:
    """One .proto file's comments by path, and the text made of them."""

    def __init__(self, file):
        self.file = file
        self.comments = {tuple(place.path): place.leading_comments or place.trailing_comments
                         for place in file.source_code_info.location}

    def comment(self, *path):
        """The comment as one paragraph; what looks like an HTML tag is kept from being one."""
        text = re.sub(r"\s+", " ", self.comments.get(path, "")).strip()
        return text.replace("<", "&lt;")

    def cell(self, *path):
        return self.comment(*path).replace("|", "\\|")

    def services(self):
        for number, service in enumerate(self.file.service):
            yield f"\n## {service.name}\n\n{self.comment(SERVICES, number)}\n"
            for index, rpc in enumerate(service.method):
                yield (f"\n### {service.name}.{rpc.name}\n\n"
                       f"{link(rpc.input_type)} → {'stream of ' * rpc.server_streaming}"
                       f"{link(rpc.output_type)}\n\n"
                       f"{self.comment(SERVICES, number, METHODS, index)}\n")

    def messages(self):
        for number, message in enumerate(self.file.message_type):
            yield from self.message(message, message.name, (MESSAGES, number))
        for number, enum in enumerate(self.file.enum_type):
            yield from self.enum(enum, enum.name, (ENUMS, number))

    def message(self, message, name, path):
        yield f"\n### {name}\n\n{self.comment(*path)}\n"
        maps = {nested.name: nested for nested in message.nested_type if nested.options.map_entry}
        if message.field:
            yield "\n| field | type | meaning |\n| --- | --- | --- |\n"
        for index, field in enumerate(message.field):
            yield (f"| `{field.name}` | {shape(field, maps)} | "
                   f"{self.cell(*path, FIELDS, index)} |\n")
        for index, nested in enumerate(message.nested_type):
            if nested.name not in maps:
                yield from self.message(nested, f"{name}.{nested.name}", (*path, NESTED, index))
        for index, enum in enumerate(message.enum_type):
            yield from self.enum(enum, f"{name}.{enum.name}", (*path, NESTED_ENUMS, index))

    def enum(self, enum, name, path):
        yield f"\n### {name}\n\n{self.comment(*path)}\n\n| value | meaning |\n| --- | --- |\n"
        for index, value in enumerate(enum.value):
            yield f"| `{value.name}` | {self.cell(*path, VALUES, index)} |\n"


def link(type_name):
    name = type_name.removeprefix(".kezek.v1.")
    return f"[{name}](#{name.lower().replace('.', '')})"


def shape(field, maps):
    """The type of a field as a reader writes it."""
    entry = maps.get(field.type_name.rsplit(".", 1)[-1])
    if entry:
        return f"map of {shape(entry.field[0], {})} to {shape(entry.field[1], {})}"
    name = link(field.type_name) if field.type_name else SCALARS[field.type]
    if field.label == descriptor_pb2.FieldDescriptorProto.LABEL_REPEATED:
        return f"list of {name}"
    return f"optional {name}" if field.proto3_optional else name


def page():
    files = [File(file) for file in described()]
    parts = [HEAD]
    for file in files:
        parts += file.services()
    for file in files:
        parts.append(f"\n## {os.path.basename(file.file.name)}\n")
        parts += file.messages()
    return "".join(parts)


def main(arguments):
    wanted = page()
    if arguments == ["--write"]:
        with open(PAGE, "w", encoding="utf-8") as out:
            out.write(wanted)
        return 0
    if arguments:
        sys.exit(__doc__)
    with open(PAGE, encoding="utf-8") as file:
        found = file.read()
    different = list(difflib.unified_diff(found.splitlines(), wanted.splitlines(), PAGE,
                                          "proto", lineterm="", n=1))
    for line in different[:40]:
        print(line)
    if different:
        print("the page is not what the protos say: proto/reference.py --write")
    return 1 if different else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
