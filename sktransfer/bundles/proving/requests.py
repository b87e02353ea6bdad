"""Which metadata an object asks for, such as sample weights, as plain values.

scikit-learn keeps the requests of `set_fit_request` and its like in an object of its
own, beside the owner that is shown in messages.
"""

from __future__ import annotations

from typing import Any

from sktransfer._compat import SIMPLE_METHODS, WARN, MetadataRequest
from sktransfer.exceptions import ModelFolderError

__all__ = ["REQUESTS", "are_requests", "put_requests", "take_requests"]

#: The attribute that holds the requests, where some were set.
REQUESTS = "_metadata_request"

Requests = dict[str, dict[str, bool | str | None]]


def take_requests(value: object) -> Requests | None:
    """Names that each method asks for; None where nothing was set."""
    found = vars(value).get(REQUESTS) if hasattr(value, "__dict__") else None
    if found is None:
        return None
    return {method: dict(getattr(found, method).requests) for method in SIMPLE_METHODS}


def put_requests(value: Any, requests: Any) -> None:
    """Have an object ask for what `take_requests` gave, perhaps forged."""
    if not _fit(requests):
        raise ModelFolderError(f"{requests!r:.80} are no requests of metadata.")
    # What the class asks for by itself, with the owner that this version names.
    made = value._get_metadata_request()
    for method in SIMPLE_METHODS:
        own = getattr(made, method).requests
        own.clear()
        own.update(requests.get(method, {}))
    setattr(value, REQUESTS, made)


def are_requests(found: object) -> bool:
    """Whether an attribute of that name is what scikit-learn keeps there."""
    if type(found) is not MetadataRequest:
        return False
    methods = {method: getattr(found, method, None) for method in SIMPLE_METHODS}
    return _fit({name: getattr(one, "requests", 0) for name, one in methods.items()})


def _fit(requests: object) -> bool:
    return type(requests) is dict and all(
        method in SIMPLE_METHODS
        and type(names) is dict
        and all(_is_name(name) and _is_alias(one) for name, one in names.items())
        for method, names in requests.items()
    )


def _is_name(name: object) -> bool:
    return type(name) is str and name.isidentifier()


def _is_alias(alias: object) -> bool:
    return alias is None or type(alias) is bool or alias == WARN or _is_name(alias)
