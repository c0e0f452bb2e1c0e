"""What `bakery` does not import, and what it puts there instead."""

from __future__ import annotations

import inspect
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bakery.cli import deferrals

DEFERRED = ("trio", "inspect", "gettext", "platform", "urllib.parse", "ipaddress", "shutil")

PRINT = """
import sys
from bakery.cli import main
sys.argv = ["bakery", "build", "--print"]
main.defer_rare_imports()
code = main.command()
loaded = [name for name in %r if "__getattr__" not in vars(sys.modules[name])]
print(code, loaded, "_hashlib" in sys.modules, file=sys.stderr)
"""


def test_printing_a_definition_loads_none_of_them(tmp_path: Path) -> None:
    (tmp_path / "docker-bake.hcl").write_text('target "default" { tags = [md5("x"), sha1("x"), sha256("x")] }\n')
    done = subprocess.run(
        [sys.executable, "-c", PRINT % (DEFERRED,)], cwd=tmp_path, capture_output=True, text=True, check=True
    )
    assert '"9dd4e461268c8034f5c8564e155c67a6"' in done.stdout
    assert done.stderr == "0 [] False\n"


@given(st.text(st.sampled_from("ab \t\n")))
def test_help_is_cleaned_as_inspect_does_it(text: str) -> None:
    assert deferrals._cleandoc(text) == inspect.cleandoc(text)


def test_a_stand_in_gives_way_to_the_module() -> None:
    script = (
        "from bakery.cli.deferrals import defer_rare_imports as defer; defer()\n"
        "import inspect, platform, gettext, urllib.parse, sys\n"
        "from pathlib import Path\n"
        "print(Path('/a b').as_uri(), urllib.parse.quote('ä'), platform.system(), gettext.gettext('x'))\n"
        "version = platform.python_version() == sys.version.split()[0]\n"
        "print(inspect.isclass(int), inspect.cleandoc.__module__, version)\n"
        "print(platform.system.__module__)\n"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout == "file:///a%20b %C3%A4 Linux x\nTrue inspect True\nplatform\n"


@pytest.mark.parametrize(("count", "said"), [(0, "files"), (1, "file"), (2, "files")])
def test_messages_stay_as_they_are(count: int, said: str) -> None:
    assert deferrals._untranslated("a message") == "a message"
    assert deferrals._untranslated_count("file", "files", count) == said
