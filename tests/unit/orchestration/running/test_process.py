"""The process of a run, before it has a run."""

from pathlib import Path

from orchestration.running.process import RunProcess


def test_a_process_without_an_order_ends_with_its_context() -> None:
    """A run that was refused would leave it behind."""
    with RunProcess() as process:
        pass

    assert process.child.poll() is not None


def test_what_a_process_said_before_it_knew_its_log_is_kept(tmp_path: Path) -> None:
    with RunProcess() as process:
        process.child.kill()
        process.child.wait()
        process._said.write(b"ImportError: no module")
        process.order({})
        process.keep_last_words(tmp_path / "run.log")

    assert (tmp_path / "run.log").read_bytes().endswith(b"ImportError: no module")
