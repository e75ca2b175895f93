"""The built-in library, read once for all tests of a run: a second and more, each time."""

from functools import cache

from postel.rulefile.load import Loaded, load_rules


@cache
def built_in() -> Loaded:
    return load_rules()
