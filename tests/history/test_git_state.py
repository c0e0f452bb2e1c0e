"""The commit of a work tree, compared with what git says of it."""

from pathlib import Path

import pytest
from support.git import git

from bakery.history.git_state import find_checkout, is_changed


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    folder = tmp_path / "repository"
    (folder / "sub").mkdir(parents=True)
    git(folder, "init", "-q")
    (folder / "sub" / "a").write_text("a")
    git(folder, "add", ".")
    git(folder, "commit", "-qm", "a")
    return folder


def test_a_commit_is_found_however_git_keeps_it(repository: Path, tmp_path: Path) -> None:
    commit = git(repository, "rev-parse", "HEAD")
    for prepare in (
        ["status"],
        ["pack-refs", "--all"],
        ["checkout", "-qb", "feature/x"],
        ["checkout", "-q", "--detach"],
    ):
        git(repository, *prepare)
        found = find_checkout(repository / "sub")
        assert found
        assert (found.commit, found.branch) == (commit, git(repository, "branch", "--show-current"))
        assert found.folder == repository


def test_a_linked_work_tree_has_a_branch_of_its_own(repository: Path, tmp_path: Path) -> None:
    git(repository, "worktree", "add", "-q", "-b", "other", str(tmp_path / "linked"))
    found = find_checkout(tmp_path / "linked")
    assert found
    assert (found.commit, found.branch) == (git(repository, "rev-parse", "HEAD"), "other")


def test_a_changed_work_tree_is_told_from_a_clean_one(repository: Path) -> None:
    found = find_checkout(repository)
    assert found
    assert is_changed(found) is False
    (repository / "new").write_text("")
    assert is_changed(found) is True


def test_outside_of_a_work_tree_there_is_nothing_to_say(tmp_path: Path) -> None:
    assert find_checkout(tmp_path) is None
    (tmp_path / ".git").write_text("gitdir: nowhere")
    assert find_checkout(tmp_path) is None
    (tmp_path / ".git").unlink()
    (tmp_path / ".git").mkdir()
    assert find_checkout(tmp_path) is None
