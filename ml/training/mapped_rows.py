"""A training set larger than memory: columns in mapped files, as one data frame.

The operating system loads and evicts pages. Rows lie split by split, so a split is a slice without a copy; features are
float64, categories are codes, ids and other keys stay in Arrow.
"""

import shutil
import tempfile
import weakref
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from warehouse.errors import TrainingSetError

if TYPE_CHECKING:
    import pandas as pd
    import pyarrow as pa

_NO_CODE = -1


class MappedRows:
    """The frame and where each split lies in it; the files are deleted with the last reference."""

    def __init__(self, frame: "pd.DataFrame", bounds: Mapping[str, slice], directory: Path) -> None:
        self.frame = frame
        self.bounds = bounds
        self.directory = directory
        self._finalizer = weakref.finalize(self, shutil.rmtree, directory, ignore_errors=True)

    def rows(self, *splits: str) -> "pd.DataFrame":
        """The rows of a split, or of some that lie one after another, without a copy."""
        return self.frame.iloc[self.bounds[splits[0]].start : self.bounds[splits[-1]].stop]


def map_rows(
    batches: Iterable["pa.RecordBatch"],
    schema: "pa.Schema",
    *,
    n_by_split: Mapping[str, int],
    keys: Sequence[str],
    within: Path,
) -> MappedRows:
    """Write batches to files under ``within`` and map them; memory holds one batch.

    ``n_by_split``: rows of each split, in file order. ``keys``: columns that stay in Arrow; all others become numbers
    or category codes.
    """
    import pandas as pd

    within.mkdir(parents=True, exist_ok=True)
    directory = Path(tempfile.mkdtemp(prefix="training-rows-", dir=within))
    try:
        bounds, start = {}, 0
        for split, n in n_by_split.items():
            bounds[split] = slice(start, start + n)
            start += n
        writer = _Writer(directory, schema, [name for name in keys if name != "split"], bounds, n_rows=start)
        for batch in batches:
            writer.add(batch)
        frame = pd.DataFrame(writer.columns(schema.names), copy=False)
    except BaseException:
        shutil.rmtree(directory, ignore_errors=True)
        raise
    return MappedRows(frame, bounds, directory)


class _Writer:
    """Columns being filled: a mapped array each, and one Arrow file of keys for each split."""

    def __init__(
        self, directory: Path, schema: "pa.Schema", keys: Sequence[str], bounds: Mapping[str, slice], *, n_rows: int
    ) -> None:
        import pyarrow as pa

        self._directory, self._bounds, self._keys = directory, bounds, keys
        self._next = {split: place.start for split, place in bounds.items()}
        self._arrays: dict[str, NDArray[Any]] = {}
        self._codes: dict[str, dict[str, int]] = {}
        for field in schema:
            if field.name in keys or field.name == "split":
                continue
            is_text = pa.types.is_string(field.type) or pa.types.is_large_string(field.type)
            if is_text:
                self._codes[field.name] = {}
            path, data_type = directory / f"{len(self._arrays)}.column", np.int32 if is_text else np.float64
            self._arrays[field.name] = np.memmap(path, dtype=data_type, mode="w+", shape=(n_rows,))
        key_schema = pa.schema([schema.field(name) for name in keys])
        self._key_files = {split: pa.ipc.new_file(directory / f"{split}.arrow", key_schema) for split in bounds}

    def add(self, batch: "pa.RecordBatch") -> None:
        import pyarrow.compute as pc

        for split in self._bounds:
            part = batch.filter(pc.equal(batch["split"], split))
            if part.num_rows == 0:
                continue
            place = slice(self._next[split], self._next[split] + part.num_rows)
            self._next[split] = place.stop
            for name, array in self._arrays.items():
                values = part[name]
                array[place] = self._encoded(name, values) if name in self._codes else _numbers(values)
            self._key_files[split].write_batch(part.select(self._keys))

    def columns(self, names: Sequence[str]) -> dict[str, Any]:
        """Everything written, in the order of ``names``; nothing can be added after."""
        import pandas as pd
        import pyarrow as pa

        for file in self._key_files.values():
            file.close()
        n_missing = sum(place.stop - self._next[split] for split, place in self._bounds.items())
        if n_missing:
            raise TrainingSetError(f"a training set must hold the rows that were counted: {n_missing:,} were not read")
        mapped = [pa.memory_map(str(self._directory / f"{split}.arrow")) for split in self._bounds]
        keys = pa.concat_tables([pa.ipc.open_file(file).read_all() for file in mapped])
        found: dict[str, Any] = {}
        for name in names:
            if name == "split":
                sizes = [place.stop - place.start for place in self._bounds.values()]
                codes = np.repeat(np.arange(len(sizes), dtype=np.int8), sizes)
                found[name] = pd.Categorical.from_codes(codes, categories=pd.Index(list(self._bounds)))
            elif name in self._codes:
                categories = pd.Index(list(self._codes[name]))
                found[name] = pd.Categorical.from_codes(self._arrays[name], categories=categories)
            elif name in self._arrays:
                found[name] = self._arrays[name]
            elif pa.types.is_string(keys.schema.field(name).type):
                found[name] = pd.arrays.ArrowExtensionArray(keys[name])
            else:  # times and outcomes: eight bytes a row at most
                found[name] = keys[name].to_pandas()
        return found

    def _encoded(self, name: str, values: "pa.Array") -> NDArray[np.int32]:
        known = self._codes[name]
        dictionary = values.dictionary_encode()
        places = [known.setdefault(value, len(known)) for value in dictionary.dictionary.to_pylist()]
        lookup = np.array([*places, _NO_CODE], dtype=np.int32)
        indices = dictionary.indices.fill_null(len(places)).to_numpy(zero_copy_only=False)
        return np.asarray(lookup[indices])


def _numbers(values: "pa.Array") -> NDArray[np.float64]:
    import pyarrow as pa

    if pa.types.is_boolean(values.type):
        values = values.cast(pa.uint8())
    return np.asarray(values.cast(pa.float64()).to_numpy(zero_copy_only=False))
