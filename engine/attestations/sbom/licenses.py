"""What packages say of their licences, as SPDX expressions (spdx.github.io/spdx-spec/v2.3, annexes A and D).

A document may only name licences of SPDX's list, or those that it explains itself. Here are the short names of the list
that packages use; any other word, such as `BSD`, becomes a `LicenseRef-BSD` of the document's own.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from itertools import accumulate, pairwise

_WORD = re.compile(r"[A-Za-z0-9][A-Za-z0-9.+-]*")
_FORM = re.compile(r"\(*W\)*(?: (?:AND|OR|WITH) \(*W\)*)*".replace("W", _WORD.pattern))
_OPERATORS = ("AND", "OR", "WITH")
_OWN = "LicenseRef-"
_GNU = ("GPL-1.0", "GPL-2.0", "GPL-3.0", "LGPL-2.0", "LGPL-2.1", "LGPL-3.0", "AGPL-3.0", "GFDL-1.2", "GFDL-1.3")

_LISTED = frozenset(
    """
    0BSD AFL-2.1 AFL-3.0 AGPL-1.0 Apache-1.0 Apache-1.1 Apache-2.0 APSL-2.0 Artistic-1.0 Artistic-1.0-Perl
    Artistic-2.0 Beerware BlueOak-1.0.0 BSD-1-Clause BSD-2-Clause BSD-2-Clause-Patent BSD-3-Clause BSD-3-Clause-Clear
    BSD-4-Clause BSD-4-Clause-UC BSD-Source-Code BSL-1.0 bzip2-1.0.6 CC-BY-3.0 CC-BY-4.0 CC-BY-SA-3.0
    CC-BY-SA-4.0 CC0-1.0 CDDL-1.0 CDDL-1.1 CECILL-2.1 CNRI-Python CPL-1.0 curl ECL-2.0 EFL-2.0 EPL-1.0 EPL-2.0
    EUPL-1.1 EUPL-1.2 FSFAP FSFUL FSFULLR FTL HPND ICU IJG ImageMagick Info-ZIP IPL-1.0 ISC JSON Libpng libpng-2.0
    libtiff LPPL-1.3c MirOS MIT MIT-0 MIT-CMU MPL-1.0 MPL-1.1 MPL-2.0 MS-PL MS-RL NAIST-2003 NCSA Net-SNMP NTP
    ODbL-1.0 OFL-1.1 OLDAP-2.8 OpenSSL OSL-3.0 PHP-3.01 PostgreSQL PSF-2.0 Python-2.0 Python-2.0.1 QPL-1.0 Ruby
    SGI-B-2.0 SISSL Sleepycat SMLNJ SSPL-1.0 TCL Unicode-3.0 Unicode-DFS-2015 Unicode-DFS-2016 Unlicense UPL-1.0
    Vim W3C WTFPL X11 XFree86-1.1 Xnet Zend-2.0 Zlib zlib-acknowledgement ZPL-2.0 ZPL-2.1
    """.split()  # noqa: SIM905
) | {f"{name}{end}" for name in _GNU for end in ("", "-only", "-or-later")}
_EXCEPTIONS = frozenset(
    """
    Autoconf-exception-2.0 Autoconf-exception-3.0 Bison-exception-2.2 Classpath-exception-2.0 Font-exception-2.0
    GCC-exception-2.0 GCC-exception-3.1 Libtool-exception Linux-syscall-note LLVM-exception OCaml-LGPL-linking-exception
    u-boot-exception-2.0
    """.split()  # noqa: SIM905
)


def expression(text: str) -> str:
    """What is said of a licence, as an expression; empty if it is none, such as a sentence."""
    if not _FORM.fullmatch(text) or not _balanced(text):
        return ""
    words = _WORD.findall(text)
    exceptions = {word for before, word in pairwise(words) if before == "WITH"}
    if not exceptions <= _EXCEPTIONS:
        return ""
    return _WORD.sub(lambda match: _name(match[0]), text)


def _balanced(text: str) -> bool:
    depths = list(accumulate((character == "(") - (character == ")") for character in text))
    return min(depths) >= 0 and depths[-1] == 0


def _name(word: str) -> str:
    if word in _OPERATORS or word in _EXCEPTIONS or word.removesuffix("+") in _LISTED:
        return word
    return _OWN + word.replace("+", "-or-later")


def explanations(expressions: Iterable[str]) -> Iterator[dict[str, str]]:
    """What a document must say of the licences in its expressions that are not of the list."""
    names = {name for text in expressions for name in _WORD.findall(text) if name.startswith(_OWN)}
    for name in sorted(names):
        said = name.removeprefix(_OWN)
        yield {"licenseId": name, "name": said, "extractedText": f"The package says {said} and no more."}
