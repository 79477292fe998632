"""What the settings of one level must have to do with everything else in the account. Pure; for files and for changes alike."""

from __future__ import annotations

from collections.abc import Container, Iterable, Iterator, Sequence
from dataclasses import replace
from typing import Any, NamedTuple

from parkade.calls.directory import Assignment
from parkade.calls.park_settings import AccountSays, Level, ParkSettings, Source, above, explain, resolve
from parkade.calls.refusals import FORWARD_TO_MISSING, NO_SUCH_EXTENSION, PARK_KEYS_NEED_SEQUENTIAL, RESET_AT_ACCOUNT, Refusal


class ParkKey(NamedTuple):
    """A BLF key for a parking code on a phone. ``where`` is whatever the asker finds it by."""

    where: Any
    device: str
    code: str


class PersonSays(NamedTuple):
    """Somebody: ``key`` is whatever the asker finds the person by, ``site`` and ``group`` are keys of ``AccountSays``."""

    key: Any
    level: Level
    site: Any = None
    group: Any = None
    park_keys: Sequence[ParkKey] = ()


class Fault(NamedTuple):
    """``level`` is where the setting ``key`` is said (a source, and the key of that site, group or person), ``refusal`` what is
    wrong with it. ``park_key`` is the key on a phone that it contradicts.
    """

    level: tuple[Source, Any]
    key: str
    refusal: Refusal
    park_key: ParkKey | None = None


def faults(
    says: AccountSays, people: Iterable[PersonSays], extensions: Container[str], named: Container[str]
) -> Iterator[Fault]:
    """Everything that is wrong. ``extensions`` can be forwarded to; ``named`` are the names that people have (extensions, ids).

    What a level comes to is judged together with what it inherits, and not at all if it is silenced. Sites are judged while
    multi-site is off too, so that it can be switched on.
    """
    if "reset" in says.account.says:
        yield Fault((Source.ACCOUNT, None), "reset", RESET_AT_ACCOUNT)
    levels: list[tuple[Any, Sequence[Level]]] = [(None, says.at_account())]
    levels += [(key, [says.account, replace(says.at_site(key)[1], off=False)]) for key in says.sites]
    levels += [(key, says.at_group(key)) for key in says.groups]
    for key, upwards in levels:
        yield from _level_faults(key, resolve(above(upwards)), upwards[-1], extensions, named)
    around: dict[tuple[Any, Any], ParkSettings] = {}
    for person in people:
        place = person.site, person.group
        if place not in around:
            around[place] = resolve(says.around(*place))
        yield from _level_faults(person.key, around[place], person.level, extensions, named)
        if person.park_keys and around[place].below(person.level).value("sequence") == Assignment.RANDOM:
            yield from _random_faults([*says.around(*place), person.level], person.park_keys)


def _level_faults(
    key: Any, inherited: ParkSettings, level: Level, extensions: Container[str], named: Container[str]
) -> Iterator[Fault]:
    where = level.source, key
    seen_by = level.says.get("visibility")
    if seen_by is not None and not isinstance(seen_by, str):
        for name in seen_by:
            if name not in named:
                yield Fault(where, "visibility", NO_SUCH_EXTENSION.with_(extension=name))
    if not level.says.keys() & {"call_not_picked_up_action", "forward_to"}:
        return
    holds = inherited.below(level)
    if holds is inherited:
        return
    action, target = holds.value("call_not_picked_up_action"), holds.value("forward_to")
    if action in (50, 51) and target is None:
        yield Fault(where, "call_not_picked_up_action", FORWARD_TO_MISSING.with_(action=str(action)))
    elif action == 50 and target not in extensions:
        said = "forward_to" if "forward_to" in level.says else "call_not_picked_up_action"
        yield Fault(where, said, NO_SUCH_EXTENSION.with_(extension=target))


def _random_faults(levels: Sequence[Level], park_keys: Sequence[ParkKey]) -> Iterator[Fault]:
    level = next(step.level for step in explain(levels, "sequence") if step.wins)
    english, vietnamese = level.words()
    for park_key in park_keys:
        refusal = PARK_KEYS_NEED_SEQUENTIAL.with_(
            device=park_key.device, code=park_key.code, level_en=english, level_vi=vietnamese
        )
        yield Fault((level.source, level.id), "sequence", refusal, park_key)
