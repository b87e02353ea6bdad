"""Reviews to try things on: fetched, or bundled with the package."""

from sktransfer.datasets.loading import fetch_reviews, load_mini_reviews
from sktransfer.datasets.tables import get_data_home

__all__ = ["fetch_reviews", "get_data_home", "load_mini_reviews"]
