"""``deployment.json`` is replaced whole, remembers its way back, and is read however old it is."""

import json
import signal
import subprocess
import sys
import threading

import pytest

from ml.registry.deployment import read_deployment, read_history
from ml.rollout.promotion import rollback
from tests.model_factory import MODEL_NAME, SOURCE, publish_model, shared_bundle
from warehouse.errors import BundleError, SettingError

pytestmark = pytest.mark.usefixtures("aliases")

#: Killed when all files of the draft are written.
KILLED_PUBLISHER = """
import os, signal, sys
from pathlib import Path
from ml.bundle import bundle
from tests.model_factory import register_model
from warehouse.settings import Settings
bundle._rename = lambda *_: os.kill(os.getpid(), signal.SIGKILL)
register_model(Settings.from_environment(), bundle.load_bundle(Path(sys.argv[1])))
"""


def test_nothing_is_served_before_the_first_publication(home):
    assert read_deployment(home, SOURCE) is None


def test_what_was_published_is_served(home):
    published = publish_model(home, version=3)

    assert read_deployment(home, SOURCE) == published
    assert (published.source, published.model_name, published.model_version) == (SOURCE, MODEL_NAME, 3)
    assert published.bundle == f"bundles/{MODEL_NAME}/3"
    assert published.bundle_directory(home) == home.bundles / MODEL_NAME / "3"


def test_the_history_tells_every_change_oldest_first(home):
    publish_model(home, version=1)
    publish_model(home, version=2)
    rollback(home, SOURCE, by="someone")

    entries = [json.loads(line) for line in home.deployment_history(SOURCE).read_text().splitlines()]

    assert [(entry["action"], entry["model_version"]) for entry in entries] == [
        ("publish", 1),
        ("publish", 2),
        ("rollback", 1),
    ]


def test_half_a_line_of_the_history_is_left_out_and_replaced(home):
    """The disk filled while it was written: what is served was readable, and who approved what never again."""
    publish_model(home, version=1)
    with home.deployment_history(SOURCE).open("a") as history:
        history.write('{"action": "publish", "model_ver')

    before = [change.deployment.model_version for change in read_history(home, SOURCE)]
    publish_model(home, version=2)

    assert before == [1]
    assert [change.deployment.model_version for change in read_history(home, SOURCE)] == [1, 2]


def test_a_line_that_is_no_change_is_named(home):
    publish_model(home, version=1)
    with home.deployment_history(SOURCE).open("a") as history:
        history.write("{}\n")

    with pytest.raises(SettingError, match=r"history.jsonl:2 must hold one change of what is served"):
        read_history(home, SOURCE)


def test_what_a_killed_publisher_left_goes_with_the_next_publication(home):
    """A bundle's draft is as large as a bundle, and nothing else would ever take it away."""
    killed = subprocess.run([sys.executable, "-c", KILLED_PUBLISHER, str(shared_bundle().directory)], check=False)
    left = [path.name for path in (home.bundles / MODEL_NAME).iterdir()]

    publish_model(home, version=2)

    assert killed.returncode == -signal.SIGKILL
    assert len(left) == 1
    assert left[0].startswith(".1.")
    assert [path.name for path in (home.bundles / MODEL_NAME).iterdir()] == ["2"]


def test_a_reader_never_sees_half_a_deployment(home):
    """Prevents a torn read: a reader polls as fast as it can while versions are published."""
    publish_model(home, version=1)
    seen: set[int] = set()
    done = threading.Event()

    def poll() -> None:
        while not done.is_set():
            seen.add(read_deployment(home, SOURCE).model_version)

    reader = threading.Thread(target=poll)
    reader.start()
    for version in range(2, 12):
        publish_model(home, version=version)
    done.set()
    reader.join()

    assert seen <= set(range(1, 12))
    assert read_deployment(home, SOURCE).model_version == 11


@pytest.mark.parametrize("text", ["", "{}", "[]", '{"source": "simulated", "previous": null}'])
def test_an_unreadable_deployment_is_named_with_what_helps(home, text):
    publish_model(home, version=1)
    home.deployment(SOURCE).write_text(text)

    with pytest.raises(BundleError, match=r"deployment\.json must hold one deployment: .* or remove it and promote"):
        publish_model(home, version=2)

    home.deployment(SOURCE).unlink()
    assert publish_model(home, version=2).previous is None
