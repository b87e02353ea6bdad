from .running import (
    check_text_estimator,
    parametrize_with_text_checks,
    text_checks_generator,
)

__all__ = [
    "check_text_estimator",
    "parametrize_with_text_checks",
    "text_checks_generator",
]
