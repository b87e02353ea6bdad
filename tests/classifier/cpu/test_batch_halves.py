import threading

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from sktransfer.classifier.cpu.batch_halves import (
    cut_by_length,
    encode_batch,
    in_halves,
)
from sktransfer.classifier.cpu.dropout import Dropout
from sktransfer.classifier.data.rows import TokenInput
from sktransfer.classifier.network.transformer import TransformerBody

CPU = torch.device("cpu")
TEXTS = ["good", "", "bad film " * 9, "the plot is fine"] * 3 + ["awful"]


@pytest.fixture(params=[1, 2, 5])
def n_threads(request):
    before = torch.get_num_threads()
    torch.set_num_threads(request.param)
    yield request.param
    torch.set_num_threads(before)


@pytest.fixture
def two_threads():
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    yield
    torch.set_num_threads(before)


def body_and_tokens(encoder):
    """A body all of which learns, and a batch for it."""
    encoder.fit(TEXTS)
    body = TransformerBody(encoder.checkpoint_, pooling=encoder.pooling_).train()
    body.let_learn(body.parameters())
    rows = TokenInput(encoder).rows(TEXTS)
    return body, rows.batch(np.arange(len(TEXTS)))


def gradients(body, tokens, seed=0):
    """Features of a batch, and the gradient of each parameter."""
    body.zero_grad()
    torch.manual_seed(seed)
    features = body(**tokens)
    features.sin().sum().backward()
    found = {
        n: p.grad.clone() for n, p in body.named_parameters() if p.grad is not None
    }
    return features.detach(), found


@given(st.lists(st.integers(1, 300), min_size=4, max_size=40))
def test_each_row_is_in_one_part_and_fits_there(lengths):
    order, halves = cut_by_length(torch.tensor(lengths))
    assert len(halves) == 2
    parts = [part for half in halves for part in half]
    assert torch.equal(torch.cat([rows for rows, _ in parts]), order)
    assert sorted(order.tolist()) == list(range(len(lengths)))
    for rows, longest in parts:
        assert longest == max(lengths[row] for row in rows)


def test_halves_cost_about_the_same():
    _, (short, long) = cut_by_length(torch.tensor([10] * 9 + [30] * 3))
    assert [len(rows) for rows, _ in short] == [9]
    assert [len(rows) for rows, _ in long] == [3]


def test_a_half_is_cut_where_that_saves_much_padding():
    _, (short, _) = cut_by_length(torch.tensor([5] * 6 + [60] * 6 + [70] * 6))
    assert [longest for _, longest in short] == [5, 60]


class TestABody:
    def test_it_gives_what_it_gives_at_once(self, bert, n_threads):
        body, tokens = body_and_tokens(bert())
        body.eval()
        whole, expected = gradients(body, tokens)
        with in_halves(CPU):
            for _ in range(2):  # the first batch that learns runs on one thread
                found, both = gradients(body, tokens)
                torch.testing.assert_close(found, whole)
                torch.testing.assert_close(both, expected)
            with torch.inference_mode():
                torch.testing.assert_close(body(**tokens), whole)

    def test_threads_and_their_number_do_not_change_the_masks(self, bert):
        body, tokens = body_and_tokens(bert())
        before, found = torch.get_num_threads(), []
        try:
            for n in (1, 2, 2):
                torch.set_num_threads(n)
                with in_halves(CPU):
                    gradients(body, tokens)
                    found.append(gradients(body, tokens, seed=7))
        finally:
            torch.set_num_threads(before)
        torch.testing.assert_close(found[1], found[0])
        assert torch.equal(found[2][0], found[1][0])
        for name, grad in found[2][1].items():
            assert torch.equal(grad, found[1][1][name])

    def test_another_seed_draws_other_masks(self, bert, n_threads):
        body, tokens = body_and_tokens(bert())
        with in_halves(CPU):
            first, _ = gradients(body, tokens)
            assert not torch.equal(gradients(body, tokens, seed=1)[0], first)

    def test_prediction_leaves_the_global_generator_alone(self, bert, two_threads):
        body, tokens = body_and_tokens(bert())
        body.eval()
        before = torch.get_rng_state()
        with in_halves(CPU), torch.inference_mode():
            body(**tokens)
        assert torch.equal(torch.get_rng_state(), before)


class TestThreads:
    @property
    def inputs(self):
        return {"states": torch.ones(6, 3), "attention_mask": torch.ones(6, 3).long()}

    def seen(self, n_batches=3):
        """Threads that each of some batches ran on."""
        seen = []

        def encode(states, attention_mask):
            seen[-1].add(threading.get_ident())
            return self.module(states)

        with in_halves(CPU):
            for _ in range(n_batches):
                seen.append(set())
                encode_batch(encode, self.inputs).sum().backward()
        return seen

    def test_the_first_batch_tells_whether_there_may_be_two(self, two_threads):
        self.module = nn.Sequential(nn.Linear(3, 2), Dropout(0.5))
        here = {threading.get_ident()}
        first, *others = self.seen()
        assert first == here
        assert not any(threads & here for threads in others)

    def test_what_draws_for_itself_is_not_divided(self, two_threads):
        self.module = nn.Sequential(nn.Linear(3, 2), nn.Dropout(0.5))
        assert self.seen() == [{threading.get_ident()}] * 3

    def test_they_compute_with_half_of_the_cores(self):
        before, seen = torch.get_num_threads(), []

        def encode(states, attention_mask):
            seen.append(torch.get_num_threads())
            return states

        try:
            torch.set_num_threads(6)
            with in_halves(CPU), torch.no_grad():
                encode_batch(encode, self.inputs)
            assert seen == [3, 3]
            assert torch.get_num_threads() == 6
        finally:
            torch.set_num_threads(before)

    @pytest.mark.parametrize("part", ["forward", "backward"])
    def test_an_error_in_a_half_is_the_callers(self, two_threads, part):
        class Broken(torch.autograd.Function):
            @staticmethod
            def forward(ctx, x):
                if part == "forward":
                    raise MemoryError("no room")
                return x * 1

            @staticmethod
            def backward(ctx, grad):
                raise MemoryError("no room")

        def encode(states, attention_mask):
            return Broken.apply(states.requires_grad_())

        with in_halves(CPU), pytest.raises(MemoryError, match="no room"):
            encode_batch(encode, self.inputs).sum().backward()
        assert torch.get_num_threads() == 2

    def test_a_gpu_gets_its_batches_whole(self, two_threads):
        shapes = []

        def encode(states, attention_mask):
            shapes.append(len(states))
            return states

        with in_halves(torch.device("cuda")):
            encode_batch(encode, self.inputs)
        assert shapes == [6]

    def test_a_few_rows_are_not_divided(self, two_threads):
        shapes = []

        def encode(states, attention_mask):
            shapes.append(len(states))
            return states

        with in_halves(CPU):
            encode_batch(encode, {k: v[:3] for k, v in self.inputs.items()})
        assert shapes == [3]
