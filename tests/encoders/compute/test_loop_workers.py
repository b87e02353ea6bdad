import threading

import pytest
import torch

from sktransfer.encoders.compute.loop import do_each


@pytest.mark.parametrize("n_workers", [1, 2, 5])
def test_each_item_is_done_once(n_workers):
    done = []
    assert do_each(lambda item: done.append(item) is None, range(50), n_workers) == []
    assert sorted(done) == list(range(50))


@pytest.mark.parametrize("n_workers", [1, 3])
def test_what_could_not_be_done_is_left(n_workers):
    left = do_each(lambda item: item != 3, range(20), n_workers)
    assert 3 in left
    assert not {0, 1, 2} & set(left)


@pytest.mark.parametrize("n_workers", [1, 3])
def test_errors_come_back_to_the_caller(n_workers):
    def fail(item):
        raise ValueError(f"item {item}")

    with pytest.raises(ValueError, match="item"):
        do_each(fail, range(20), n_workers)


def test_threads_compute_with_one_core_each_and_leave_the_setting_alone():
    before, seen = torch.get_num_threads(), []
    torch.set_num_threads(3)
    try:
        both = threading.Barrier(2)

        def look(item):
            both.wait(10)
            seen.append((torch.get_num_threads(), torch.is_inference_mode_enabled()))
            return True

        do_each(look, range(2), 2)
        assert seen == [(1, True)] * 2
        assert torch.get_num_threads() == 3
        inherited = []
        thread = threading.Thread(
            target=lambda: inherited.append(torch.get_num_threads())
        )
        thread.start()
        thread.join()
        assert inherited == [3]
    finally:
        torch.set_num_threads(before)
