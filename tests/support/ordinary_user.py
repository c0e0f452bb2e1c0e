"""An ordinary user of this machine who exists for the processes of a test only.

`/etc/passwd` and the files of sub-ids are covered by others in a mount namespace: the machine itself is left as it is.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from support.program import REPOSITORY

NAME, UID = "flour", 4321
FIRST_SUB_ID, SUB_IDS = 1_000_000, 65_536
_ENTER = f"""
for file in passwd group subuid subgid; do
    test -e /etc/$file || touch /etc/$file
    mount --bind "$0/etc/$file" /etc/$file || exit 99
done
exec setpriv --reuid {UID} --regid {UID} --clear-groups "$@"
"""


class OrdinaryUser:
    """Runs programs as the user; `folder` belongs to them."""

    def __init__(self, folder: Path, python: str) -> None:
        self._etc = folder / "etc"
        self.folder = folder / "home"
        self.python = python
        self.environ: dict[str, str] = {}
        """Further variables."""

    def command(self, *args: str) -> list[str]:
        """What to start, as root, to have it run as the user."""
        return ["unshare", "--mount", "sh", "-c", _ENTER, str(self._etc.parent), *args]

    def environment(self) -> dict[str, str]:
        """For Python programs with this repository and the packages of this process."""
        paths = os.pathsep.join([str(REPOSITORY), *(path for path in sys.path if "site-packages" in path)])
        kept = {"PATH": os.environ["PATH"], "PYTHONPATH": paths, "PYTHONDONTWRITEBYTECODE": "1", "NO_COLOR": "1"}
        return {
            **kept,
            "HOME": str(self.folder),
            "BAKERY_ROOT": str(self.folder / "root"),
            "TMPDIR": str(self.folder),
            **self.environ,
        }

    def run(self, *args: str) -> subprocess.CompletedProcess[str]:
        """Runs a program in the user's folder to its end."""
        command, environment = self.command(*args), self.environment()
        return subprocess.run(command, cwd=self.folder, env=environment, capture_output=True, text=True, timeout=600)

    def bakery(self, *args: str) -> subprocess.CompletedProcess[str]:
        """Runs `bakery`."""
        return self.run(self.python, "-m", "bakery.cli.main", *args)


@contextmanager
def ordinary_user(*, sub_ids: bool) -> Iterator[OrdinaryUser]:
    """A user with or without sub-ids. Skips the test where there cannot be one."""
    for program in ("newuidmap", "setpriv", "unshare"):
        if shutil.which(program) is None:
            pytest.skip(f"needs {program}")
    folder = Path(tempfile.mkdtemp(prefix="bakery-user-", dir="/var/tmp"))
    try:
        folder.chmod(0o755)
        (folder / "etc").mkdir()
        lines = {"passwd": f"{NAME}:x:{UID}:{UID}::{folder}/home:/bin/sh\n", "group": f"{NAME}:x:{UID}:\n"}
        ids = f"{NAME}:{FIRST_SUB_ID}:{SUB_IDS}\n" if sub_ids else ""
        for name in ("passwd", "group", "subuid", "subgid"):
            own = Path("/etc", name)
            text = own.read_text() if own.exists() and name in lines else ""
            (folder / "etc" / name).write_text(text + lines.get(name, ids))
        (folder / "home").mkdir()
        os.chown(folder / "home", UID, UID)
        user = OrdinaryUser(folder, "")
        user.python = _python(user)
        yield user
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _python(user: OrdinaryUser) -> str:
    """An interpreter of this version that the user may run: this process's may lie in a folder that only root sees."""
    version = f"python{sys.version_info.major}.{sys.version_info.minor}"
    for candidate in (sys.executable, f"/usr/bin/{version}", f"/usr/local/bin/{version}"):
        if Path(candidate).exists() and user.run(candidate, "-c", "import bakery, trio").returncode == 0:
            return candidate
    pytest.skip("an ordinary user may not run this Python, or not read this repository")
