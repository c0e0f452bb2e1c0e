"""The built-in functions of the bake language, loaded group by group on first use.

`BUILTINS` knows all names at once; the module that defines a function is imported when the function is first looked up.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from importlib import import_module
from typing import Final

from bakery.config.functions.function import ArgumentError, Function, FunctionError, Parameter

__all__ = ["BUILTINS", "ArgumentError", "Function", "FunctionError", "Parameter"]

GROUPS: Final[Mapping[str, str]] = {
    "collections": (
        "chunklist coalesce coalescelist compact concat contains distinct element flatten hasindex index indexof keys "
        "length lookup merge range reverselist slice sort values zipmap"
    ),
    "encoding": "base64decode base64encode byteslen bytesslice csvdecode jsondecode jsonencode urlencode",
    "evaluation": "can convert try",
    "formatting": "format formatlist",
    "hashes": "bcrypt md5 rsadecrypt sha1 sha256 sha512 uuidv4 uuidv5",
    "logic": "and equal greaterthan greaterthanorequalto lessthan lessthanorequalto not notequal or",
    "network": "cidrhost cidrnetmask cidrsubnet cidrsubnets",
    "numeric": ("absolute add ceil divide floor int log max min modulo multiply negate parseint pow signum subtract"),
    "paths": "basename dirname homedir",
    "regexes": "regex regex_replace regexall",
    "sets": "sethaselement setintersection setproduct setsubtract setsymmetricdifference setunion",
    "strings": (
        "chomp indent join lower replace reverse sanitize split strlen substr title trim trimprefix trimspace "
        "trimsuffix upper"
    ),
    "time": "formatdate formattimestamp timeadd timestamp unixtimestampparse",
    "versions": "semvercmp",
}
"""Which module of this package defines which functions."""


class _Builtins(Mapping[str, Function]):
    def __init__(self) -> None:
        self._module = {name: module for module, names in GROUPS.items() for name in names.split()}

    def __getitem__(self, name: str) -> Function:
        module = import_module(f"{__name__}.{self._module[name]}")
        function: Function = module.FUNCTIONS[name]
        return function

    def __contains__(self, name: object) -> bool:
        return name in self._module

    def __iter__(self) -> Iterator[str]:
        return iter(self._module)

    def __len__(self) -> int:
        return len(self._module)


BUILTINS: Final[Mapping[str, Function]] = _Builtins()
