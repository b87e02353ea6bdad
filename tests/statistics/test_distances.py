from __future__ import annotations

import numpy as np
import pytest
from scipy import sparse

from sktransfer.exceptions import InvalidInputError
from sktransfer.statistics import proxy_a_distance


@pytest.fixture
def draw():
    return np.random.default_rng(0).normal


def test_one_domain_twice_is_near(draw):
    assert proxy_a_distance(draw(size=(400, 3)), draw(size=(400, 3))) < 0.3


def test_domains_apart_are_at_two(draw):
    far = draw(8.0, size=(60, 3))
    assert proxy_a_distance(draw(size=(60, 3)), far, random_state=0) == 2


def test_it_grows_with_the_shift(draw):
    here = draw(size=(300, 3))
    found = [
        proxy_a_distance(here, draw(shift, size=(300, 3)), random_state=0)
        for shift in (0, 0.5, 1, 2)
    ]
    assert found == sorted(found)


def test_the_larger_domain_does_not_help_guessing(draw):
    assert proxy_a_distance(draw(size=(900, 2)), draw(size=(100, 2))) < 0.5


def test_the_unit_of_a_feature_does_not_matter(draw):
    here, there = draw(size=(50, 2)), draw(1.0, size=(50, 2))
    units = np.array([1e-6, 1e6])
    found = proxy_a_distance(here * units, there * units, random_state=0)
    assert found == pytest.approx(proxy_a_distance(here, there, random_state=0))


def test_sparse_features_stay_sparse(draw):
    here = sparse.random(80, 500, 0.02, random_state=0, format="csr")
    there = sparse.random(80, 500, 0.02, random_state=1, format="csr")
    assert 0 <= proxy_a_distance(here, there, random_state=0) <= 2


def test_the_same_seed_gives_the_same(draw):
    here, there = draw(size=(90, 2)), draw(0.5, size=(40, 2))
    found = {proxy_a_distance(here, there, random_state=3) for _ in range(2)}
    assert len(found) == 1


def test_features_of_two_featurizers_are_refused(draw):
    with pytest.raises(InvalidInputError, match="3 columns and target_features 2"):
        proxy_a_distance(draw(size=(5, 3)), draw(size=(5, 2)))


def test_a_single_row_is_refused(draw):
    with pytest.raises(InvalidInputError, match="the source has 1 rows"):
        proxy_a_distance(draw(size=(1, 3)), draw(size=(5, 3)))
