"""One fitted object in one folder: JSON, tensors and digests, and no pickle.

Above the bare files of `storage`, below the estimators, none of which it knows: each
part of the package says in its module `saving` how its own objects are taken apart and
put together again.
"""
