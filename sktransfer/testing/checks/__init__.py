"""The checks: functions that take a subject, grouped by what they ask.

A function whose name begins with ``check_`` is one, and the first line of its docstring
is what the documentation says of it.
"""
