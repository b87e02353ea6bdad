"""What a fitted object may hold, proved before anybody calls it.

A file's digest says that it is as somebody wrote it, not that its numbers fit together;
and compiled code follows a number wherever it leads. So each class that is made from a
file is in a table, with the type, shape and range of each attribute that a fit leaves.
What is in no table is not made.
"""
