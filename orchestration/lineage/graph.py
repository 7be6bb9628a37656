"""Which assets each step of a run writes and reads, remembered when the definitions are loaded."""

from collections.abc import Mapping
from dataclasses import dataclass, field

import dagster as dg

#: An asset's key as OpenLineage and people name it, such as ``features.ftr_application_v2``.
Name = str


@dataclass(frozen=True)
class StepGraph:
    """``writes``: step → its assets; ``reads``: asset → the assets that it is made of."""

    writes: Mapping[str, tuple[Name, ...]] = field(default_factory=dict)
    reads: Mapping[Name, tuple[Name, ...]] = field(default_factory=dict)

    @classmethod
    def of(cls, definitions: dg.Definitions) -> "StepGraph":
        """The graph of these definitions' assets."""
        steps = [each for each in definitions.assets or () if isinstance(each, dg.AssetsDefinition)]
        steps = [each for each in steps if each.is_executable]
        return cls(
            writes={each.op.name: tuple(sorted(map(name_of, each.keys))) for each in steps},
            reads={
                name_of(key): tuple(sorted(name_of(dep) for dep in deps if dep != key))
                for each in steps
                for key, deps in each.asset_deps.items()
            },
        )


def name_of(key: dg.AssetKey) -> Name:
    """The asset's name."""
    return ".".join(key.path)


_remembered = StepGraph()


def remember(definitions: dg.Definitions) -> None:
    """Keep the graph of the definitions that this process runs."""
    global _remembered  # noqa: PLW0603 - a run's process loads its definitions once
    _remembered = StepGraph.of(definitions)


def remembered() -> StepGraph:
    """The graph last remembered; an empty one before."""
    return _remembered
