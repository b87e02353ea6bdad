"""Transfer learning for text, as scikit-learn estimators.

The public names below are imported on first use (SPEC 1), so that ``import sktransfer``
costs next to nothing and word vectors never load torch.
"""

import lazy_loader

__version__ = "0.1.0.dev0"

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
