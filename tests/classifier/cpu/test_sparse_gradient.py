import pytest
import torch
from torch import nn

from sktransfer.classifier.cpu.sparse_gradient import dense_gradients, sparse_gradient

IDS = torch.tensor([[1, 2, 2], [4, 0, 0]])


def gradient_of(embedding):
    embedding.zero_grad()
    embedding(IDS).sin().sum().backward()
    return embedding.weight.grad


@pytest.fixture
def embedding():
    return nn.Embedding(6, 3, padding_idx=0)


def test_the_gradient_is_the_same(embedding):
    expected = gradient_of(embedding).clone()
    with sparse_gradient(embedding):
        sparse = gradient_of(embedding)
        assert sparse.is_sparse
        dense_gradients(embedding.parameters())
        torch.testing.assert_close(embedding.weight.grad, expected)
    assert not gradient_of(embedding).is_sparse


def test_it_holds_each_row_once(embedding):
    with sparse_gradient(embedding):
        assert gradient_of(embedding).coalesce().indices().tolist() == [[1, 2, 4]]


def test_several_passes_add_up(embedding):
    once = gradient_of(embedding).clone()
    with sparse_gradient(embedding):
        embedding.zero_grad()
        for _ in range(2):
            embedding(IDS).sin().sum().backward()
        dense_gradients(embedding.parameters())
    torch.testing.assert_close(embedding.weight.grad, 2 * once)


@pytest.mark.parametrize("module", [None, nn.Linear(2, 2), nn.EmbeddingBag(4, 2)])
def test_other_modules_stay_as_they_are(module):
    before = dict(vars(module)) if module is not None else None
    with sparse_gradient(module):
        assert module is None or vars(module) == before


def test_a_table_that_rests_stays_as_it_is(embedding):
    embedding.requires_grad_(False)
    with sparse_gradient(embedding):
        assert not embedding.sparse


def test_a_table_elsewhere_than_on_a_cpu_stays_as_it_is():
    embedding = nn.Embedding(6, 3, device="meta")
    with sparse_gradient(embedding):
        assert not embedding.sparse
