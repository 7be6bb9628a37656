"""Erase a person's reference rows from model bundles, and update the checksums.

All copies of a bundle (candidate, published, in MLflow) lose the same rows, so they stay equal.
"""

import hashlib
import json
import shutil
from collections.abc import Callable, Collection, Mapping
from pathlib import Path

from ml.bundle.bundle import MANIFEST, REFERENCE_SAMPLE, REFERENCE_SCORES, load_bundle, sha256_of
from ml.registry.registered_version import note_changed_bundle
from warehouse.files.drafts import remove_abandoned
from warehouse.files.replacing import put_in_place, replace_file
from warehouse.settings import Settings
from warehouse.team import object_store, push, restore

_DRAFT, _OLD = ".erasing", ".erased"


def erase_from_bundles(
    settings: Settings, application_ids: Collection[str], *, rename: Callable[[str], str] | None
) -> dict[str, str]:
    """Remove or rename applications in every bundle of the home; digest before → after, for each changed bundle.

    What the model learned stays: only a new training makes it forget.
    """
    roots = (settings.bundles, settings.candidates, settings.walk_forward, settings.mlflow_artifacts)
    changed = {}
    restore(settings, settings.bundles)
    for root in roots:
        _end_interrupted(root)
    for manifest in sorted(path for root in roots for path in root.glob(f"**/{MANIFEST}")):
        before = sha256_of(manifest)
        if _erase_from_bundle(settings, manifest.parent, frozenset(application_ids), rename):
            changed[before] = sha256_of(manifest)
    for model in settings.mlflow_artifacts.glob("**/MLmodel") if changed else ():
        text = model.read_text()
        for before, after in changed.items():
            text = text.replace(before, after)
        model.write_text(text)
    if changed:
        push(settings, settings.bundles)
        _erase_from_object_store(settings, changed)
    return changed


def _erase_from_object_store(settings: Settings, changed: Mapping[str, str]) -> None:
    """Replace a team's copies of changed bundles, which MLflow keeps in the object store."""
    place = settings.beside_lake.get("mlflow")
    if place is None:
        return
    now = {sha256_of(manifest): manifest.parent for manifest in settings.bundles.glob(f"**/{MANIFEST}")}
    client = object_store.client()

    def content(bucket: str, key: str) -> bytes:
        found: bytes = client.get_object(Bucket=bucket, Key=key)["Body"].read()
        return found

    for bucket, key in list(object_store.objects_below(client, place)):
        if key.endswith("/MLmodel"):
            text = before = content(bucket, key)
            for old, new in changed.items():
                text = text.replace(old.encode(), new.encode())
            if text != before:
                client.put_object(Bucket=bucket, Key=key, Body=text)
        if key.endswith(f"/{MANIFEST}"):
            directory = now.get(changed.get(hashlib.sha256(content(bucket, key)).hexdigest(), ""))
            for path in sorted(directory.iterdir()) if directory is not None else ():
                client.put_object(Bucket=bucket, Key=f"{key.removesuffix(MANIFEST)}{path.name}", Body=path.read_bytes())


def _end_interrupted(root: Path) -> None:
    """Restore or remove what a killed erasure or publisher left beside a bundle."""
    for old in sorted(root.glob(f"**/.*{_OLD}")):
        directory = old.with_name(old.name[1:].removesuffix(_OLD))
        if directory.exists():
            shutil.rmtree(old)
        else:
            old.rename(directory)
    for draft in sorted(root.glob(f"**/.*{_DRAFT}")):
        shutil.rmtree(draft)
    for directory in {draft.parent for draft in root.glob("**/.*")}:
        remove_abandoned(directory)


def _erase_from_bundle(
    settings: Settings, directory: Path, application_ids: frozenset[str], rename: Callable[[str], str] | None
) -> bool:
    draft, old = (directory.with_name(f".{directory.name}{which}") for which in (_DRAFT, _OLD))
    if not any(_names_any(directory / name, application_ids) for name in (REFERENCE_SAMPLE, REFERENCE_SCORES)):
        return False
    shutil.copytree(directory, draft)
    for name in (REFERENCE_SAMPLE, REFERENCE_SCORES):
        _rewrite(draft / name, application_ids, rename)
    manifest = json.loads((draft / MANIFEST).read_text())
    manifest["files"] = {name: sha256_of(draft / name) for name in manifest["files"]}
    replace_file(draft / MANIFEST, json.dumps(manifest, indent=1, ensure_ascii=False) + "\n", mode=0o400)
    # recorded first: a bundle whose digest is not recorded is not served
    note_changed_bundle(settings, before=sha256_of(directory / MANIFEST), after=load_bundle(draft).digest)
    # two renames: one cannot replace a directory that is not empty
    directory.rename(old)
    draft.rename(directory)
    shutil.rmtree(old)
    return True


def _names_any(path: Path, application_ids: frozenset[str]) -> bool:
    import pyarrow.parquet as pq

    ids = pq.read_table(path, columns=["application_id"])["application_id"]
    return not application_ids.isdisjoint(ids.to_pylist())


def _rewrite(path: Path, application_ids: frozenset[str], rename: Callable[[str], str] | None) -> None:
    import pyarrow as pa
    import pyarrow.compute as pc
    import pyarrow.parquet as pq

    rows = pq.read_table(path)
    place = rows.schema.get_field_index("application_id")
    if rename is None:
        rows = rows.filter(pc.invert(pc.is_in(rows.column(place), pa.array(sorted(application_ids)))))
    else:
        ids = [rename(name) if name in application_ids else name for name in rows.column(place).to_pylist()]
        rows = rows.set_column(place, rows.schema.field(place), pa.array(ids, rows.schema.field(place).type))
    draft = path.with_name(f".{path.name}.new")
    pq.write_table(rows, draft)
    put_in_place(draft, path, mode=0o400)
