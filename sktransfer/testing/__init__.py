"""The contract of text estimators, as checks that any package can run.

scikit-learn's own suite leaves an estimator that reads texts after its first check.
This one goes on. It needs scikit-learn, numpy and scipy, and nothing else of this
package.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
