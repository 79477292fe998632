"""The directory file as text: YAML in, a checked ``DirectoryFile`` out, and back. Every complaint names its line."""

from __future__ import annotations

import io
from collections.abc import Container, Iterator, Mapping, Sequence
from typing import NamedTuple, TypeAlias, get_args, get_origin

from pydantic import ValidationError
from pydantic_core import ErrorDetails
from ruamel.yaml import YAML
from ruamel.yaml.comments import CommentedMap, CommentedSeq
from ruamel.yaml.constructor import DuplicateKeyError
from ruamel.yaml.error import MarkedYAMLError, YAMLError
from ruamel.yaml.scalarstring import DoubleQuotedScalarString

from parkade.base.errors import ParkadeError
from parkade.store.directory_model import DirectoryFile, Model
from parkade.store.directory_rules import Where, problems

Plain: TypeAlias = "dict[str, Plain] | list[Plain] | str | int | float | bool | None"
_DEEPEST = 20
_MOST_VALUES = 1_000_000


class Complaint(NamedTuple):
    """``line`` counts from 1."""

    line: int
    reason: str


class DirectoryFileError(ParkadeError):
    """A directory file that cannot be imported: every complaint is ``FILE:LINE: reason``."""

    def __init__(self, name: str, complaints: list[Complaint]) -> None:
        self.name = name
        self.complaints = sorted(complaints)
        self.lines = [f"{name}:{line}: {reason}" for line, reason in self.complaints]
        more = f" (and {len(self.lines) - 1} more)" if len(self.lines) > 1 else ""
        super().__init__(self.lines[0] + more)


def read_directory_file(text: bytes, name: str) -> DirectoryFile:
    """Parse and check a directory file; ``name`` is what complaints call it.

    :raises DirectoryFileError: it is not YAML, or not a directory.
    """
    tree = _load(text, name)
    lines: dict[Where, int] = {}
    try:
        plain = _plain(tree, (), 1, lines)
    except ValueError as error:
        raise DirectoryFileError(name, [Complaint(1, str(error))]) from None
    if not isinstance(plain, dict):
        raise DirectoryFileError(name, [Complaint(1, "a mapping with the key accounts is wanted")])
    try:
        file = DirectoryFile.model_validate(plain)
    except ValidationError as error:
        raise DirectoryFileError(name, _explained(error, lines)) from None
    if found := [Complaint(_line(where, lines), f"{place(where)}: {reason}") for where, reason in problems(file)]:
        raise DirectoryFileError(name, found)
    return file


def write_directory_file(file: DirectoryFile) -> str:
    """The YAML text of ``file``; reading it gives ``file`` again."""
    yaml = YAML()
    yaml.width = 4096
    yaml.indent(mapping=2, sequence=4, offset=2)
    stream = io.StringIO()
    yaml.dump(_quoted(file.model_dump(exclude_none=True)), stream)
    return stream.getvalue()


def _load(text: bytes, name: str) -> object:
    yaml = YAML()
    try:
        return yaml.load(text.decode("utf-8-sig"))
    except UnicodeDecodeError as error:
        line = text.count(b"\n", 0, error.start) + 1
        raise DirectoryFileError(name, [Complaint(line, "not UTF-8 text")]) from None
    except DuplicateKeyError as error:
        line = error.problem_mark.line + 1 if error.problem_mark else 1
        raise DirectoryFileError(name, [Complaint(line, "this key is there twice")]) from None
    except MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        raise DirectoryFileError(name, [Complaint(mark.line + 1 if mark else 1, f"not YAML: {error.problem}")]) from None
    except RecursionError:
        raise DirectoryFileError(name, [Complaint(1, "not YAML: nested too deeply")]) from None
    except (YAMLError, ValueError) as error:
        reason = str(error).partition("\n")[0]
        raise DirectoryFileError(name, [Complaint(1, f"not YAML: {reason}")]) from None


def _plain(node: object, where: Where, line: int, lines: dict[Where, int]) -> Plain:
    """``node`` as plain Python values; ``lines`` learns the line of every value."""
    lines[where] = line
    if len(where) > _DEEPEST or len(lines) > _MOST_VALUES:
        raise ValueError("nested too deeply, or far too big")
    if isinstance(node, CommentedMap):
        return {str(key): _plain(node[key], (*where, str(key)), _line_in(node.lc.data, key, line), lines) for key in node}
    if isinstance(node, CommentedSeq):
        return [_plain(item, (*where, i), _line_in(node.lc.data, i, line), lines) for i, item in enumerate(node)]
    if isinstance(node, str):
        return str(node)
    if isinstance(node, bool) or node is None:
        return node
    if isinstance(node, int):
        return int(node)
    if isinstance(node, float):
        return float(node)
    return f"{type(node).__name__} {node}"


def _line_in(marks: Mapping[object, Sequence[int]] | None, key: object, otherwise: int) -> int:
    """Where an entry stands; what was merged in from elsewhere, or is tagged, has no mark of its own."""
    return marks[key][0] + 1 if marks and key in marks else otherwise


def _quoted(value: Plain) -> object:
    """Every text in quotes, so that no YAML reader takes an extension or a MAC address for a number."""
    if isinstance(value, dict):
        return {key: _quoted(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_quoted(item) for item in value]
    return DoubleQuotedScalarString(value) if isinstance(value, str) else value


def _line(where: Where, lines: dict[Where, int]) -> int:
    while where not in lines:
        where = where[:-1]
    return lines[where]


def place(where: Where) -> str:
    """``users[2].extension`` from the path of a value, without the account it is in."""
    if where[:1] == ("accounts",) and len(where) > 2:
        where = where[2:]
    text = ""
    for part in where:
        text += f"[{part}]" if isinstance(part, int) else f".{part}" if text else part
    return text or "file"


_REASONS = {
    "missing": "is missing",
    "string_type": "a text is wanted (write it in quotes)",
    "bool_type": "true or false is wanted",
    "int_type": "a whole number is wanted",
    "float_type": "a number is wanted",
    "list_type": "a list is wanted",
    "model_type": "a mapping is wanted",
    "dict_type": "a mapping is wanted",
    "greater_than": "must be more than {gt}",
    "greater_than_equal": "must be at least {ge}",
    "less_than_equal": "must be at most {le}",
    "literal_error": "must be one of {expected}",
}


def faults_of(error: ValidationError, tree: Plain) -> list[tuple[str, str]]:
    """What is wrong with a file that came as values (``tree``): the place of each fault, and the reason."""
    known = set(_places(tree, ()))
    return [(place(where), reason) for where, reason in _reasons(error, known).items()]


def _places(node: Plain, where: Where) -> Iterator[Where]:
    yield where
    children = node.items() if isinstance(node, dict) else enumerate(node) if isinstance(node, list) else ()
    for key, child in children:
        yield from _places(child, (*where, key))


def _explained(error: ValidationError, lines: dict[Where, int]) -> list[Complaint]:
    reasons = _reasons(error, lines)
    return [Complaint(_line(where, lines), f"{place(where)}: {reason}") for where, reason in reasons.items()]


def _reasons(error: ValidationError, places: Container[Where]) -> dict[Where, str]:
    """One reason for each place at fault. ``places`` are those of the file."""
    reasons: dict[Where, str] = {}
    for details in error.errors(include_url=False):
        # A union adds the name of the branch it tried to the path: cut where the file ends, but keep a missing key.
        where = tuple(details["loc"])
        known = next(where[:n] for n in range(len(where), -1, -1) if where[:n] in places)
        if details["type"] == "missing":
            known = where
        reason = _reason(details)
        if details["type"] == "float_type":
            reasons[known] = reason  # The other branch of the union said that a whole number is wanted.
        reasons.setdefault(known, reason)
    return reasons


def _reason(details: ErrorDetails) -> str:
    if details["type"] == "extra_forbidden":
        return "there is no such key here" + _near(details)
    if details["type"] == "value_error":
        return str(details["ctx"]["error"])
    if pattern := _REASONS.get(details["type"]):
        return pattern.format(**details.get("ctx", {}))
    return details["msg"].lower()


def _near(details: ErrorDetails) -> str:
    """Which keys there are at the place where an unknown one was found."""
    model: type[Model] | None = DirectoryFile
    for part in details["loc"][:-1]:
        if isinstance(part, str) and model is not None:
            field = model.model_fields.get(part)
            model = _model_in(field.annotation) if field else None
    return f" (there are: {', '.join(model.model_fields)})" if model else ""


def _model_in(annotation: object) -> type[Model] | None:
    """The model somewhere inside ``list[User] | None``."""
    if get_origin(annotation) is None and isinstance(annotation, type):
        return annotation if issubclass(annotation, Model) else None
    return next((model for argument in get_args(annotation) if (model := _model_in(argument))), None)
