import threading
from concurrent.futures import ThreadPoolExecutor

import pytest
import torch

from sktransfer.encoders.compute import devices
from sktransfer.encoders.compute.devices import (
    count_cores,
    limited_cores,
    on_one_core,
    threads_with_cores,
)


@pytest.fixture(autouse=True)
def three_cores():
    before = torch.get_num_threads()
    torch.set_num_threads(3)
    yield
    torch.set_num_threads(before)


def of_a_new_thread(ask=torch.get_num_threads):
    with ThreadPoolExecutor(1) as pool:
        return pool.submit(ask).result()


class TestLimitedCores:
    def test_they_are_this_threads_alone(self):
        with limited_cores(2):
            assert torch.get_num_threads() == 2
            assert of_a_new_thread() == 3
        assert torch.get_num_threads() == 3
        assert of_a_new_thread() == 3

    def test_an_interrupt_gives_them_back(self):
        with pytest.raises(KeyboardInterrupt), limited_cores(1):
            raise KeyboardInterrupt
        assert torch.get_num_threads() == of_a_new_thread() == 3

    def test_threads_that_leave_in_the_order_in_which_they_came_lose_none(self):
        first_is_in, second_is_in, first_is_out = (threading.Event() for _ in range(3))

        def first():
            with limited_cores(1):
                first_is_in.set()
                assert second_is_in.wait(10)
            first_is_out.set()
            return torch.get_num_threads()

        def second():
            assert first_is_in.wait(10)
            with limited_cores(1):
                second_is_in.set()
                assert first_is_out.wait(10)
            return torch.get_num_threads()

        with ThreadPoolExecutor(2) as pool:
            both = [pool.submit(first), pool.submit(second)]
            assert [one.result() for one in both] == [3, 3]
        assert of_a_new_thread() == 3

    def test_a_number_for_threads_to_come_that_is_set_meanwhile_stays(self):
        with limited_cores(1):
            of_a_new_thread(lambda: torch.set_num_threads(2))
        assert torch.get_num_threads() == 3
        assert of_a_new_thread() == 2


class TestThreadsWithCores:
    def test_each_has_them_and_nobody_else(self):
        with threads_with_cores(2, 2) as pool:
            both = threading.Barrier(2)

            def look():
                both.wait(10)
                return torch.get_num_threads()

            seen = [pool.submit(look) for _ in range(2)]
            assert [one.result() for one in seen] == [2, 2]
            assert torch.get_num_threads() == of_a_new_thread() == 3

    def test_whoever_asks_meanwhile_waits(self, monkeypatch):
        # Threads with fewer cores are being made; another one begins.
        set_cores, seen, threads = torch.set_num_threads, [], []

        def set_slowly(n_cores):
            set_cores(n_cores)
            if not threads:
                ask = threading.Thread(target=lambda: seen.append(count_cores()))
                threads.append(ask)
                ask.start()
                ask.join(0.05)

        monkeypatch.setattr(torch, "set_num_threads", set_slowly)
        with threads_with_cores(1, 1):
            pass
        threads[0].join()
        assert seen == [3]


class TestOnOneCore:
    def test_it_computes_with_one_core_and_changes_nobodys(self):
        found = on_one_core(
            lambda: (torch.get_num_threads(), threading.get_ident(), of_a_new_thread())
        )
        assert found[0] == 1
        assert found[1] != threading.get_ident()
        assert found[2] == torch.get_num_threads() == of_a_new_thread() == 3

    def test_who_has_one_core_computes_at_once(self):
        torch.set_num_threads(1)
        assert on_one_core(threading.get_ident) == threading.get_ident()

    def test_it_may_be_called_within(self):
        assert on_one_core(lambda: on_one_core(torch.get_num_threads)) == 1

    def test_errors_come_back(self):
        with pytest.raises(ZeroDivisionError):
            on_one_core(lambda: 1 / 0)
        assert on_one_core(torch.get_num_threads) == 1

    def test_a_thread_that_could_not_be_set_up_is_tried_again(self, monkeypatch):
        def fail(n_cores):
            raise RuntimeError("can't start new thread")

        monkeypatch.setattr(devices, "_alone", devices._Alone())
        with monkeypatch.context() as patch:
            patch.setattr(devices, "_set_cores", fail)
            with pytest.raises(RuntimeError, match="can't start"):
                on_one_core(torch.get_num_threads)
        assert on_one_core(torch.get_num_threads) == 1
