"""Locks of run folders and files."""

import subprocess
import sys
import threading

import pytest

from lattice_flows.io.files import RunError
from lattice_flows.io.locks import is_locked, lock_file, lock_folder

HOLD = """
import pathlib, sys, time
from lattice_flows.io.locks import lock_folder
lock_folder(pathlib.Path(sys.argv[1]))
print("held", flush=True)
time.sleep(600)
"""


def test_another_process_is_told_who_holds_it_until_that_one_is_killed(tmp_path):
    with subprocess.Popen([sys.executable, "-c", HOLD, str(tmp_path / "run")], stdout=subprocess.PIPE, text=True) as holder:
        try:
            assert holder.stdout.readline() == "held\n"
            for _ in range(2):
                with pytest.raises(RunError, match=rf"run is in use by process {holder.pid} on .*: wait until it has finished, or"):
                    lock_folder(tmp_path / "run")
            assert is_locked(tmp_path / "run")
        finally:
            holder.kill()
    assert not is_locked(tmp_path / "run") and not is_locked(tmp_path / "nowhere")
    with lock_folder(tmp_path / "run"):
        assert is_locked(tmp_path / "run")
    assert not is_locked(tmp_path / "run")


def test_it_is_held_as_often_as_it_was_taken(tmp_path):
    refused = []

    def in_another_thread():
        def take():
            try:
                lock_folder(tmp_path / "run").release()
                refused.append(False)
            except RunError:
                refused.append(True)

        thread = threading.Thread(target=take)
        thread.start()
        thread.join()

    with lock_folder(tmp_path / "run") as lock:
        with lock_folder(tmp_path / "run") as again:
            assert again is lock
        in_another_thread()
    in_another_thread()
    assert refused == [True, False]
    assert [path.name for path in (tmp_path / "run").iterdir()] == [".lock"]


def test_a_file_has_the_lock_of_its_run_folder_or_its_own(tmp_path):
    with lock_folder(tmp_path / "run") as lock:
        assert lock_file(tmp_path / "run" / "e.h5") is lock
        lock.release()
    with lock_file(tmp_path / "a.h5") as first, lock_file(tmp_path / "b.h5") as second:
        assert first is not second
    assert {path.name for path in tmp_path.iterdir()} == {"run", ".a.h5.lock", ".b.h5.lock"}


def test_a_folder_that_cannot_be_made_is_named(tmp_path):
    (tmp_path / "file").write_text("")
    for place in (tmp_path / "file" / "run", tmp_path / "file"):
        with pytest.raises(RunError, match=rf"cannot write {place}: "):
            lock_folder(place)
