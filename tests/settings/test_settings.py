"""bakery.toml and the user's settings: what they say, who comes first, and where a mistake stands."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from bakery.diagnostics import BakeryError
from bakery.settings import Settings, load_settings, project_folder
from engine.cache.export_policy import ExportPolicy, ExportRule, When
from engine.cache.policy import DiskSpace, Limits, Rule


def write(path: Path, text: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    return path


def user_env(tmp_path: Path, text: str = "") -> dict[str, str]:
    if text:
        write(tmp_path / "xdg" / "bakery" / "config.toml", text)
    return {"XDG_CONFIG_HOME": str(tmp_path / "xdg")}


def problems(tmp_path: Path, text: str) -> list[str]:
    write(tmp_path / "bakery.toml", text)
    with pytest.raises(BakeryError) as caught:
        load_settings(tmp_path, user_env(tmp_path))
    return [
        f"{d.span.start.line},{d.span.start.column}: {d.summary} [{d.hint}]" if d.span else f"?: {d.summary}"
        for d in caught.value.diagnostics
    ]


def test_without_files_nothing_is_set_and_no_reader_is_imported(tmp_path: Path) -> None:
    code = (
        "import sys; from pathlib import Path; from bakery.settings import *;"
        "from bakery.settings import Settings, load_settings;"
        f"assert load_settings(Path({str(tmp_path)!r}), {{'XDG_CONFIG_HOME': '/nowhere'}}) == Settings();"
        "assert 'tomllib' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_everything_that_can_be_set(tmp_path: Path) -> None:
    write(
        tmp_path / "bakery.toml",
        """
root = "cache"
runtime = "crun"
progress = "plain"
max-parallelism = 8
gc = false
gckeepduration = "60d"
reserved-space = 1000
max-used-space = "80%"
min-free-space = "2GB"

[[gcpolicy]]
filters = ["type==exec.cachemount,mutable", 'description~="pulled from"']
keep-duration = "1h30m"
max-used-space = "512MB"

[[gcpolicy]]
all = true

[history]
keep = 7
maxUsedSpace = "500MB"

[[cache-export]]
step = "*RUN npm*"
when = "slower"
seconds = 20
[[cache-export]]
when = "never"
""",
    )
    assert load_settings(tmp_path, user_env(tmp_path)) == Settings(
        root=tmp_path / "cache",
        runtime="crun",
        progress="plain",
        max_parallelism=8,
        gc=False,
        gc_keep_duration=60 * 86400.0,
        reserved_space=DiskSpace(1000),
        max_used_space=DiskSpace(percent=80),
        min_free_space=DiskSpace(2 << 30),
        gc_policy=(
            Rule(
                ("type==exec.cachemount,mutable", 'description~="pulled from"'),
                5400.0,
                Limits(max_used=DiskSpace(512 << 20)),
            ),
            Rule(all=True),
        ),
        history_keep=7,
        history_space=DiskSpace(500 << 20),
        cache_export=ExportPolicy((ExportRule("*RUN npm*", When.SLOWER, 20.0), ExportRule("*", When.NEVER))),
    )


def test_the_project_comes_before_the_user(tmp_path: Path) -> None:
    environ = user_env(tmp_path, 'runtime = "runc"\nmax-parallelism = 2\n')
    write(tmp_path / "bakery.toml", "max-parallelism = 3\n")
    settings = load_settings(tmp_path, environ)
    assert (settings.runtime, settings.max_parallelism) == ("runc", 3)
    assert load_settings(None, environ).max_parallelism == 2


def test_buildkits_own_spelling_is_understood(tmp_path: Path) -> None:
    write(
        tmp_path / "bakery.toml",
        'gckeepstorage = "1GB"\nmaxUsedSpace = "10%"\n[[gcpolicy]]\nkeepBytes = "1kb"\nkeepDuration = 60\n',
    )
    settings = load_settings(tmp_path, user_env(tmp_path))
    assert settings.reserved_space == DiskSpace(1 << 30)
    assert settings.max_used_space == DiskSpace(percent=10)
    assert settings.gc_policy == (Rule(keep_duration=60.0, limits=Limits(reserved=DiskSpace(1024))),)


def test_a_misspelled_setting_is_shown_with_its_line_and_what_was_meant(tmp_path: Path) -> None:
    assert problems(tmp_path, '# mine\nruntime = "crum"\n\nmax-paralelism = 3\n') == [
        '2,1: "crum" is none of native, bubblewrap, crun, runc [did you mean "crun"?]',
        '4,1: unknown setting "max-paralelism" [did you mean "max-parallelism"?]',
    ]


def test_a_project_may_set_one_of_the_limits_of_the_history_and_the_user_the_other(tmp_path: Path) -> None:
    environ = user_env(tmp_path, "[history]\nkeep = 5\nmax-used-space = 1000\n")
    write(tmp_path / "bakery.toml", '[history]\nmax-used-space = "1%"\n')
    settings = load_settings(tmp_path, environ)
    assert (settings.history_keep, settings.history_space) == (5, DiskSpace(percent=1))


def test_mistakes_within_tables_have_their_own_place(tmp_path: Path) -> None:
    text = '[[gcpolicy]]\nall = true\n[[gcpolicy]]\n  filter = ["x"]\n[history]\nmax-used-space = "much"\n'
    assert problems(tmp_path, text) == [
        '4,3: unknown setting "filter" [did you mean "filters"?]',
        '6,1: "much" is no size such as "512MB" or "10GB" []',
    ]


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        ("gc = 1", "true or false is wanted here"),
        ('gckeepduration = "soon"', '"soon" is no duration such as "48h", "1h30m" or "60d"'),
        ('max-used-space = "200%"', '"200%" is no share of the disk such as "20%"'),
        ('min-free-space = "much"', '"much" is no size such as "512MB" or "10GB"'),
        ("max-parallelism = true", "a whole number from 1 is wanted here"),
        ("max-parallelism = 0", "a whole number from 1 is wanted here"),
        ("jobs-per-target = 0", "a whole number from 1 is wanted here"),
        ("timeout = 0", "more than no time is wanted here"),
        ('step-timeout = "soon"', '"soon" is no duration such as "48h", "1h30m" or "60d"'),
        ("[gc]", "true or false is wanted here"),
        ("[gcpolicy]", "tables are wanted here"),
        ('gcpolicy = [{filters = ["colour==red"]}]', 'there is no field "colour" to filter by'),
        ('gcpolicy = [{filters = ["id~=("]}]', '"(" is no regular expression'),
        ('cache-export = [{when = "slower"}]', '"seconds" and when = "slower" belong together'),
        ("reserved-space = 1\nreservedSpace = 2", '"reservedSpace" sets what "reserved-space" has set'),
        ("jobs = 1\nmax-parallelism = 2", '"max-parallelism" sets what "jobs" has set'),
        ("gcpolicy = [{keep-bytes = 1, reserved-space = 2}]", '"reserved-space" sets what "keep-bytes" has set'),
        ('gcpolicy = [{filters = ["type==exec.cachemounts"]}]', 'there is no type "exec.cachemounts"'),
    ],
)
def test_values_that_make_no_sense_are_refused(tmp_path: Path, line: str, reason: str) -> None:
    (problem,) = problems(tmp_path, line + "\n")
    assert reason in problem
    assert not problem.startswith("?")


def test_broken_toml_is_shown_where_it_breaks(tmp_path: Path) -> None:
    write(tmp_path / "bakery.toml", "gc = true\nroot = \n")
    with pytest.raises(BakeryError) as caught:
        load_settings(tmp_path, user_env(tmp_path))
    (problem,) = caught.value.diagnostics
    assert str(problem) == f"{tmp_path}/bakery.toml:2,8-9: invalid TOML; Invalid value"


def test_a_project_may_not_choose_a_state_folder_outside_of_itself(tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to("/")
    for root in ("/srv/elsewhere", "../other", "link/srv"):
        assert "must lie within it" in problems(tmp_path, f'root = "{root}"\n')[0]
    environ = user_env(tmp_path, 'root = "/srv/elsewhere"\n')
    assert load_settings(None, environ).root == Path("/srv/elsewhere")


def test_a_project_may_not_set_registries(tmp_path: Path) -> None:
    assert "cannot be set by a project" in problems(tmp_path, '[registry."docker.io"]\nhttp = true\n')[0]
    environ = user_env(tmp_path, '[registry."docker.io"]\nmirrors = ["localhost:5000"]\n')
    assert load_settings(None, environ) == Settings()


def test_the_state_folder_by_flag_environment_and_settings(tmp_path: Path) -> None:
    settings = Settings(root=Path("/set"))
    assert settings.state_folder(Path("/flag"), {"BAKERY_ROOT": "/env"}) == Path("/flag")
    assert settings.state_folder(None, {}) == Path("/set")


def test_settings_lie_beside_the_first_bake_file_of_this_machine(tmp_path: Path) -> None:
    assert project_folder((), tmp_path) == tmp_path
    assert project_folder(("-", "https://example.org/x.hcl", "sub/docker-bake.hcl"), tmp_path) == tmp_path / "sub"


def test_a_file_that_cannot_be_read_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "bakery.toml").mkdir()
    with pytest.raises(BakeryError, match="cannot read the settings"):
        load_settings(tmp_path, user_env(tmp_path))
    os.rmdir(tmp_path / "bakery.toml")
    (tmp_path / "bakery.toml").write_bytes(b"\xff")
    with pytest.raises(BakeryError, match="not UTF-8"):
        load_settings(tmp_path, user_env(tmp_path))


def test_keys_in_a_text_of_several_lines_are_not_taken_for_keys(tmp_path: Path) -> None:
    text = 'runtime = """\nmax-paralelism = 1\n"""\nmax-paralelism = 1\n'
    assert problems(tmp_path, text)[1].startswith("4,1: unknown setting")
