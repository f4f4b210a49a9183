"""The theme ``persistence``: the portable store beside the ORMs, where a PostgreSQL answers."""

from __future__ import annotations

import os
import socket
from typing import Any
from urllib.parse import urlsplit

from harness import Effort, Row, Table, ratio_target, say

from kit.options import DatabaseURL

URL = os.environ.get("KIT_TEST_POSTGRES", "postgresql://postgres@127.0.0.1:5432/test")
LIMIT = 0.6


def measure(effort: Effort) -> Table:
    """Time units of work of the stores and of the ORMs, or note that there is no database."""
    rounds = effort.rounds // 2
    title = f"CPU time of a unit of work, median of {rounds} interleaved rounds"
    ours = ["kit_sqlalchemy", "kit_peewee"]
    if away := _away():
        return Table("persistence", title, "microseconds", ours, [], [away])
    say("persistence")
    rows = [_row(case, medians, ours) for case, medians in _medians(max(rounds, 1)).items()]
    for row in rows:
        if row.name.endswith("one by one"):
            continue  # the promise is for saving in one call
        peers = [name for name in row.medians if name not in ours]
        row.targets.extend(ratio_target(row, name, peer, LIMIT) for name in ours for peer in peers)
    return Table("persistence", title, "microseconds", ours, rows)


def _row(case: str, medians: dict[str, float], ours: list[str]) -> Row:
    ratios = {o: {name: medians[o] / value for name, value in medians.items()} for o in ours}
    return Row(case, medians, {}, ratios)


def _away() -> str:
    parts = urlsplit(URL)
    try:
        socket.create_connection((parts.hostname or "", parts.port or 5432), timeout=2).close()
    except OSError as error:
        place = f"{parts.hostname}:{parts.port or 5432}"
        return f"not measured: PostgreSQL does not answer at {place} ({error})"
    return ""


def _medians(rounds: int) -> dict[str, dict[str, float]]:
    import persistence as theme  # these import all ORMs, which may be missing where this is skipped
    from kit_peewee.persistence import PeeweeOptions, PeeweePersistence
    from kit_sqlalchemy.persistence import SQLAlchemyOptions, SQLAlchemyPersistence

    url = DatabaseURL(URL)
    ours: dict[str, Any] = {
        "kit_sqlalchemy": SQLAlchemyPersistence(SQLAlchemyOptions(url=url)),
        "kit_peewee": PeeweePersistence(PeeweeOptions(url=url)),
    }
    theme.fill(ours["kit_sqlalchemy"])
    competitors = {name: theme.store_cases(component) for name, component in ours.items()}
    competitors["SQLAlchemy ORM"] = theme.sqlalchemy_cases()
    competitors["Peewee"] = theme.peewee_cases()
    competitors["Django ORM"] = theme.django_cases()
    try:
        return theme.measure(competitors, rounds)
    finally:
        for component in ours.values():
            component.drop(list(theme.tables([theme.Contact]).values()))
            component.close()
