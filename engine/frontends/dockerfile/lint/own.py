"""Checks of ADD and COPY that the peer does not make: what it accepts in silence, and users search long for."""

from __future__ import annotations

import os
from functools import lru_cache
from pathlib import Path

from engine.frontends.dockerfile import localfile
from engine.frontends.dockerfile.dockerignore import BadPattern, IgnoreMatcher
from engine.frontends.dockerfile.instructions import Add, CopyFiles, Transfer
from engine.frontends.dockerfile.lint import rules
from engine.frontends.dockerfile.lint.report import Report
from engine.frontends.dockerfile.lower.contexts import Context
from engine.patterns import PatternError, glob, has_wildcard

_MAX_ENTRIES = 10_000  # in a context that is larger, a wildcard gets the benefit of the doubt


def check(
    report: Report,
    context: Context,
    instruction: Add | CopyFiles,
    transfer: Transfer,
    dest: str,
    *,
    from_context: bool,
) -> None:
    """All checks of one instruction."""
    keyword = instruction.keyword.upper()
    if transfer.link and transfer.chmod:
        detail = f"{keyword} --link has no effect together with --chmod"
        report.add(rules.LINK_WITH_CHMOD, instruction, detail, focus="--link")
    several = len(transfer.sources) + len(transfer.documents) > 1
    wild = [source for source in transfer.sources if has_wildcard(source)]
    if several and not dest.endswith(("/", "/.")) and not wild:
        detail = f'"{transfer.dest}" does not end in "/": each source that is a file replaces the one before'
        report.add(rules.SEVERAL_SOURCES_ONE_FILE, instruction, detail, focus=instruction.transfer.dest)
    if not from_context or context.local is None:
        return
    for source in wild:
        if "://" not in source and not _matches(context.local.path, source, context.ignored):
            detail = f'"{source}" matches nothing in the context, so {keyword} does nothing for it'
            report.add(rules.WILDCARD_MATCHES_NOTHING, instruction, detail, focus=source)


def _matches(root: Path, pattern: str, ignored: tuple[str, ...]) -> bool:
    """Whether a wildcard matches something that the context offers; true where that is not easily known."""
    parts = [part for part in pattern.replace("/./", "/").split("/") if part not in ("", ".")]
    if ".." in parts or "**" in parts:
        return True
    try:
        matcher = _matcher(ignored)
        return _any_below(root, "", parts, matcher, [_MAX_ENTRIES])
    except (OSError, PatternError, BadPattern):
        return True


@lru_cache(maxsize=16)
def _matcher(ignored: tuple[str, ...]) -> IgnoreMatcher:
    return IgnoreMatcher.of(ignored)


def _any_below(root: Path, folder: str, parts: list[str], matcher: IgnoreMatcher, left: list[int]) -> bool:
    first, rest = parts[0], parts[1:]
    wanted = glob(first)
    for name in os.listdir(localfile.inside(root, folder)):
        left[0] -= 1
        if left[0] < 0:
            return True
        if wanted.fullmatch(name) is None:
            continue
        path = f"{folder}/{name}" if folder else name
        if not rest:
            if not matcher.excluded(path) or _holds_exception(root, path, matcher):
                return True
        elif localfile.inside(root, path).is_dir() and _any_below(root, path, rest, matcher, left):
            return True
    return False


def _holds_exception(root: Path, path: str, matcher: IgnoreMatcher) -> bool:
    """Whether something in a folder that is left out may be taken in again."""
    return matcher.has_exceptions and localfile.inside(root, path).is_dir()
