"""Back up a home to a folder or an object store, check a backup, and restore it into an empty home.

A backup is a manifest that names parts of files. Parts are named by their content, so that what did not change since an
earlier backup is not copied again. A backup exists once its manifest does, which is written last.
"""

__all__ = [
    "checking",
    "creating",
    "erased",
    "manifest",
    "options",
    "records",
    "repairing",
    "restoring",
    "servers",
    "store",
    "target",
]
