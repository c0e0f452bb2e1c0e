import errno
from pathlib import Path

from bakery.console import errors
from bakery.diagnostics import BakeryError, Diagnostic, Position, Severity, SourceFile, Span
from engine.errors import DefinitionError, ExitError, SourceError
from engine.llb import ops
from engine.llb.definition import Place

DOCKERFILE = b"FROM busybox\nWORKDIR /src\nCOPY . .\nRUN make \\\n  all\nCMD run\n"


def place(first: int, last: int) -> Place:
    range_ = ops.Range(ops.Position(first, 0), ops.Position(last, 0))
    return Place(ops.SourceInfo("Dockerfile", DOCKERFILE, "Dockerfile"), (range_,))


def span(text: str, line: int, start: int, end: int) -> Span:
    file = SourceFile("docker-bake.hcl", text)
    return Span(file, Position(line, start, 0), Position(line, end, 0))


def test_a_failed_step_shows_its_lines_in_the_dockerfile() -> None:
    error = ExitError("/bin/sh -c make all", 2, log=b"cc\nno rule\n", log_path=Path("logs/1"))
    error.at((place(4, 5),), "[2/2] RUN make")
    assert errors.render(error, ["app"]) == (
        "Dockerfile:4\n"
        "--------------------\n"
        "   2 |     WORKDIR /src\n"
        "   3 |     COPY . .\n"
        "   4 | >>> RUN make \\\n"
        "   5 | >>>   all\n"
        "   6 |     CMD run\n"
        "--------------------\n"
        'ERROR: target app: failed to solve: process "/bin/sh -c make all" did not complete successfully: '
        "exit code: 2\n"
        "full log: logs/1\n"
    )
    assert errors.step_error_tail(error) == "------\n > [2/2] RUN make:\ncc\nno rule\n------\n"


def test_an_error_of_several_targets_is_told_once() -> None:
    error = SourceError("busybox:9: not found", hint="check the name of the image")
    assert errors.render(error, ["a", "b"]) == (
        "ERROR: targets a, b: failed to solve: busybox:9: not found\nhint: check the name of the image\n"
    )


def test_a_problem_in_a_bake_file_has_its_place_the_others_and_the_hint() -> None:
    text = 'target "app" {\n  tag = ["x"]\n}\n'
    error = BakeryError(
        Diagnostic("Unsupported argument", 'no "tag" here', span(text, 2, 3, 6), hint="did you mean tags?"),
        Diagnostic("Another", "thing", span(text, 1, 1, 7)),
        Diagnostic("Unused", severity=Severity.WARNING),
    )
    assert errors.render(error) == (
        "WARNING: Unused\n"
        "docker-bake.hcl:2\n"
        "--------------------\n"
        '   1 |     target "app" {\n'
        '   2 | >>>   tag = ["x"]\n'
        "   3 |     }\n"
        "--------------------\n"
        'ERROR: docker-bake.hcl:2,3-6: Unsupported argument; no "tag" here, and 1 other diagnostic(s)\n'
        "also: docker-bake.hcl:1,1-7: Another; thing\n"
        "hint: did you mean tags?\n"
    )


def test_an_unexpected_exception_is_our_bug_and_leaves_a_file_not_a_traceback() -> None:
    written: list[BaseException] = []

    def report(error: BaseException) -> Path:
        written.append(error)
        return Path("crash.txt")

    error = KeyError("x")
    text = errors.render(error, ["app"], report)
    assert text == (
        "ERROR: target app: this is a bug in bakery (KeyError: 'x'); please report it with the file crash.txt\n"
    )
    assert written == [error]


def test_a_full_disk_is_no_bug() -> None:
    error = OSError(errno.ENOSPC, "No space left on device", "state.db")
    assert errors.render(error) == (
        "ERROR: state.db: No space left on device\n"
        "hint: free some space, for instance with `bakery prune`, or set BAKERY_ROOT to a folder on another disk\n"
    )


def test_in_a_group_the_errors_raised_on_purpose_speak() -> None:
    group = BaseExceptionGroup("", [ValueError("x"), ExceptionGroup("", [DefinitionError("no stage")])])
    assert errors.render(group) == "ERROR: no stage\n"


def test_exit_codes() -> None:
    class Usage(BakeryError):
        exit_code = 2

    assert errors.exit_code(DefinitionError("x")) == 1
    assert errors.exit_code(ValueError("x")) == 1
    assert errors.exit_code(Usage()) == 2
    assert errors.exit_code(BaseExceptionGroup("", [SourceError("x"), KeyboardInterrupt()])) == 130


def test_what_a_server_said_cannot_move_the_cursor() -> None:
    assert errors.render(SourceError("denied: \x1b[2Jgo away\nsecond line")) == "ERROR: denied: go away\nsecond line\n"
