"""C++ text as the checks need it: the same lines with comments and literals blanked out."""

import re

TOKEN = re.compile(
    r'R"(?P<delimiter>[^()\s\\]{0,16})\(.*?\)(?P=delimiter)"'  # raw string
    r'|"(?:\\.|[^"\\\n])*"'
    r"|(?<![0-9a-fA-F])'(?:\\.|[^'\\\n])+'"
    r"|//[^\n]*"
    r"|/\*.*?\*/",
    re.DOTALL)


def _blank(match):
    text = match.group(0)
    kept = '""' if text[0] in 'R"' else ("''" if text[0] == "'" else " ")
    return kept + "\n" * text.count("\n")


def code_only(text):
    """`text` without comments and without the contents of literals, line numbers kept."""
    return TOKEN.sub(_blank, text)


INCLUDE = re.compile(r'^\s*#\s*include\s*([<"])([^>"]+)[>"]')


def includes(text):
    """(line number, opening character, header) of each #include line."""
    found = []
    for number, line in enumerate(text.split("\n"), 1):
        match = INCLUDE.match(line)
        if match:
            found.append((number, match.group(1), match.group(2)))
    return found
