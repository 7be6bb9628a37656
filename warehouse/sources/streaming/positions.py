"""Where reading goes on: the next offset of each partition, as the lake has it."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING

from warehouse.errors import LakeBusyError
from warehouse.sources.recorded import Pulled

if TYPE_CHECKING:
    import duckdb

#: Files of the last day are looked at for the newest: the clocks of a team's machines differ by less.
_NEWEST = """
    with of_topic as (
        select cursor_to, loaded_at from raw.files where source = $1 and entity = $2 and pulled_from = $3
    ),
    ends as (
        select unnest(map_entries(cast(cast(cursor_to as json) as map(varchar, bigint)))) as ended from of_topic
        where loaded_at >= (select max(loaded_at) from of_topic) - interval 1 day
    )
    select cast(ended.key as integer), max(ended.value) from ends group by all order by all
"""


def positions(con: "duckdb.DuckDBPyConnection", source: str, entity: str, address: str) -> dict[int, int]:
    """The next offset of each partition of which the lake has messages; each file has those of all before it."""
    return dict(con.execute(_NEWEST, [source, entity, address]).fetchall())


@dataclass(frozen=True)
class Offsets:
    """The origin of a batch. ``began``: by partition, where the lake said that reading goes on; None: the beginning.

    ``ended``: the offsets after its last messages.
    """

    address: str
    read_at: datetime
    began: Mapping[int, int | None]
    ended: Mapping[int, int]

    def settled(self, con: "duckdb.DuckDBPyConnection", source: str, entity: str) -> Pulled:
        """What ``raw.files`` gets; raises LakeBusyError if another process loaded messages of these partitions."""
        found = positions(con, source, entity, self.address)
        moved = [partition for partition, began in self.began.items() if found.get(partition) != began]
        if moved:
            raise LakeBusyError(
                f"one process loads a partition of {self.address}: another loaded messages of the partitions "
                f"{', '.join(map(str, moved))} meanwhile; nothing of this batch was loaded. Reading goes on after them"
            )
        return Pulled(
            pulled_from=self.address,
            pulled_at=self.read_at,
            cursor_column="offset",
            cursor_from=_text({partition: found.get(partition, 0) for partition in self.began}),
            cursor_to=_text({**found, **self.ended}),
            row_key=None,
        )


def _text(offsets: Mapping[int, int]) -> str:
    return json.dumps({str(partition): offsets[partition] for partition in sorted(offsets)})
