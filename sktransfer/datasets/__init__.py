"""Reviews to try things on: fetched, or bundled with the package."""

from sktransfer.datasets.archives import get_data_home
from sktransfer.datasets.loading import fetch_reviews, load_mini_reviews

__all__ = ["fetch_reviews", "get_data_home", "load_mini_reviews"]
