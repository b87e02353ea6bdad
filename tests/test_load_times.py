"""What is loaded once is told apart from what is done with it."""

import threading
import time

from sktransfer.load_times import loading, noting_loads


def load(what, seconds=0.0):
    with loading(what):
        time.sleep(seconds)


class TestNoting:
    def test_what_was_loaded_before_is_told_with_what_it_took_then(self):
        with noting_loads() as first:
            load("x", 0.02)
        with noting_loads() as second:
            load("x")
        assert first.spent >= 0.02
        assert second.spent < 0.02
        assert second.used == first.used
        assert first.used["x"] >= 0.02

    def test_what_is_loaded_inside_belongs_to_the_whole(self):
        with noting_loads() as loads, loading("whole"):
            load("part", 0.01)
        assert list(loads.used) == ["whole"]
        assert loads.spent >= 0.01

    def test_another_threads_loads_are_its_own(self):
        with noting_loads() as loads:
            thread = threading.Thread(target=load, args=("theirs",))
            thread.start()
            thread.join()
        assert loads.used == {}

    def test_an_error_leaves_nothing_open(self):
        with noting_loads() as loads:
            try:
                with loading("broken"):
                    raise OSError
            except OSError:
                pass
            load("whole")
        assert "whole" in loads.used
