"""Projects made by chance, and changes to them: what a seed gives it gives again."""

from __future__ import annotations

import os
import random
import shutil
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

FOLDERS = ("d0", "d1", "d2")
NAMES = ("f0", "f1", "f2", "q.tmp", "sub/g0", "sub/g1", "sub/deep/h", "a b", "ü")
IGNORED = ("*.tmp", "sub", "f1", "**/g*", "!sub/g0", "sub/deep", "a b", "# nothing", "d*", "f[01]")
BASE = "base"


@dataclass
class RandomProject:
    """Folders with files, Dockerfiles and a bake file, in which anything may change."""

    folder: Path
    seed: int
    targets: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.rng = random.Random(self.seed)
        for folder in FOLDERS:
            for name in NAMES:
                self._write(f"{folder}/{name}", self._content())
            os.symlink(self.rng.choice(NAMES), self.folder / folder / "link")
            self._ignore(folder)
        self._write(".env", "FROM_ENV=0\n")
        self._write("variables.hcl", self._variables())
        for number in range(6):
            self._target(f"t{number}")
        self._bake()

    def change(self) -> str:
        """Changes one to three things; says what."""
        kinds: list[Callable[[], str]] = [
            self._edit,
            self._edit,
            self._edit,
            self._create,
            self._delete,
            self._rename,
            self._swap,
            self._make_executable,
            self._relink,
            self._file_to_link,
            self._file_to_folder,
            self._empty,
            self._change_ignored,
            self._change_dockerfile,
            self._change_variables,
            self._change_env,
            self._change_target,
            self._nothing_that_counts,
        ]
        return "; ".join(self.rng.choice(kinds)() for _ in range(self.rng.choice((1, 1, 1, 2, 3))))

    def _edit(self) -> str:
        return self._on_a_file("edit", lambda path: path.write_text(self._content()))

    def _empty(self) -> str:
        return self._on_a_file("empty", lambda path: path.write_text(""))

    def _make_executable(self) -> str:
        return self._on_a_file("mode", lambda path: path.chmod(path.stat().st_mode ^ 0o111))

    def _delete(self) -> str:
        return self._on_a_file("delete", lambda path: path.unlink())

    def _file_to_link(self) -> str:
        def turn(path: Path) -> None:
            path.unlink()
            path.symlink_to(self.rng.choice(("f0", "../d1/f0", "nowhere", "sub")))

        return self._on_a_file("into a link", turn)

    def _file_to_folder(self) -> str:
        def turn(path: Path) -> None:
            path.unlink()
            path.mkdir()
            (path / "inside").write_text(self._content())

        return self._on_a_file("into a folder", turn)

    def _create(self) -> str:
        name = f"{self.rng.choice(FOLDERS)}/{self.rng.choice(('new', 'f9', 'sub/new', 'other/new', 'n.tmp', 'sub/gx'))}"
        if not (self.folder / name).parent.is_dir() and (self.folder / name).parent.exists():
            return "nothing"
        self._write(name, self._content())
        return f"create {name}"

    def _rename(self) -> str:
        def rename(path: Path) -> None:
            goal = self.folder / self.rng.choice(FOLDERS) / self.rng.choice(("f1", "moved", "f9"))
            if not goal.is_dir():
                path.rename(goal)

        return self._on_a_file("rename", rename)

    def _swap(self) -> str:
        def swap(path: Path) -> None:
            other = self.rng.choice(self._files())
            one, two = path.read_bytes(), other.read_bytes()
            path.write_bytes(two)
            other.write_bytes(one)

        return self._on_a_file("swap", swap)

    def _relink(self) -> str:
        link = self.folder / self.rng.choice(FOLDERS) / "link"
        link.unlink(missing_ok=True)
        link.symlink_to(self.rng.choice(NAMES))
        return f"relink {link.parent.name}"

    def _change_ignored(self) -> str:
        folder = self.rng.choice(FOLDERS)
        self._ignore(folder)
        return f"ignore {folder}"

    def _change_dockerfile(self) -> str:
        name = self.rng.choice(self.targets)
        self._dockerfile(name)
        return f"Dockerfile {name}"

    def _change_variables(self) -> str:
        self._write("variables.hcl", self._variables())
        return "variables"

    def _change_env(self) -> str:
        self._write(".env", f"FROM_ENV={self.rng.randrange(3)}\n")
        return ".env"

    def _change_target(self) -> str:
        name = self.rng.choice(self.targets)
        self._settings[name] = self._attributes(name)
        self._bake()
        return f"target {name}"

    def _nothing_that_counts(self) -> str:
        self._write("README", self._content())
        for path in self._files():
            os.utime(path, (1, 1))
        return "nothing that counts"

    def _target(self, name: str) -> None:
        self.targets.append(name)
        self._dockerfile(name)
        self._settings = {**getattr(self, "_settings", {}), name: self._attributes(name)}

    def _attributes(self, name: str) -> str:
        """A target's own attributes. It links to one before it or to none."""
        earlier = self.targets[: self.targets.index(name)]
        linked = self.rng.choice(earlier) if earlier and self.rng.random() < 0.4 else ""
        before = f"target:{linked}" if linked else f"./{self.rng.choice(FOLDERS)}"
        more = self.rng.choice(("", "  labels = { which = WHICH }\n", '  target = "last"\n'))
        return (
            f'  context = "{self.rng.choice(FOLDERS)}"\n'
            f'  dockerfile = "../docker/{name}.Dockerfile"\n'
            f'  contexts = {{ before = "{before}", other = "{self.rng.choice(FOLDERS)}", '
            f'base = "oci-layout://{BASE}" }}\n'
            f"  args = {{ WHICH = WHICH, FROM_ENV = FROM_ENV, OWN = {self.rng.randrange(2)} }}\n{more}"
        )

    def _dockerfile(self, name: str) -> None:
        choice = self.rng.choice
        start = choice(("FROM scratch", "FROM scratch", "FROM base"))
        lines = [f"{start} AS first", choice(("COPY f0 /start", "COPY . /", "COPY --from=before . /before"))]
        lines += [f"{start} AS last", "ARG WHICH", "ARG FROM_ENV", "ARG OWN=0"]
        steps = (
            "COPY f0 /f0",
            "COPY f* /glob/",
            "COPY sub /sub",
            "COPY sub/g0 f2 /two/",
            "COPY . /all/",
            "COPY --exclude=*.tmp --exclude=sub . /most/",
            "COPY --parents sub/*/h /",
            "COPY --chmod=600 f2 /mode",
            "COPY link /link",
            '["a b"]',
            "ADD f1 /added",
            "COPY --link f2 /linked",
            "COPY --from=other f1 /other",
            "COPY --from=other sub/ /other-sub/",
            "COPY --from=before . /before",
            "COPY --from=first . /first",
            "COPY f$WHICH /which",
            "COPY f${FROM_ENV} /env",
            "LABEL own=$OWN",
            "ENV which=$WHICH",
            "WORKDIR /w$OWN",
            "COPY <<EOF /text\nwhich $WHICH\nEOF",
        )
        lines += [choice(steps).replace('["a b"]', 'COPY ["a b", "/space"]') for _ in range(self.rng.randint(1, 3))]
        if start == "FROM base":
            bound = choice(
                ("source=f0,target=/m", "source=sub,target=/m", "target=/m", "from=other,source=f1,target=/m")
            )
            lines.append(f"RUN --mount=type=bind,{bound} cat /m/g0 /m 2>/dev/null > /seen; true")
        self._write(f"docker/{name}.Dockerfile", "\n".join(lines) + "\n")

    def _bake(self) -> None:
        blocks = [f'target "{name}" {{\n{self._settings[name]}}}\n' for name in self.targets]
        listed = ", ".join(f'"{name}"' for name in self.targets)
        self._write("docker-bake.hcl", f'group "default" {{ targets = [{listed}] }}\n' + "".join(blocks))

    def _variables(self) -> str:
        which = self.rng.randrange(3)
        return f'variable "WHICH" {{ default = "{which}" }}\nvariable "FROM_ENV" {{ default = "0" }}\n'

    def _ignore(self, folder: str) -> None:
        lines = self.rng.sample(IGNORED, self.rng.choice((0, 0, 1, 2)))
        self._write(f"{folder}/.dockerignore", "".join(f"{line}\n" for line in lines))

    def _on_a_file(self, what: str, do: Callable[[Path], object]) -> str:
        path = self.rng.choice(self._files())
        do(path)
        return f"{what} {path.relative_to(self.folder)}"

    def _files(self) -> list[Path]:
        found = (path for folder in FOLDERS for path in sorted((self.folder / folder).rglob("*")))
        return [path for path in found if path.is_file() and not path.is_symlink() and path.name != ".dockerignore"]

    def _content(self) -> str:
        return f"{self.rng.randrange(3)}\n"

    def _write(self, name: str, text: str) -> None:
        path = self.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        if path.is_symlink() or path.is_dir():
            shutil.rmtree(path) if path.is_dir() and not path.is_symlink() else path.unlink()
        path.write_text(text)
