"""Record the peer's answers to `answers/*.txt`, and ours where they differ on purpose.

    python tests/config/record_answers.py --peer "docker buildx bake" [TOPIC]...

Writes `answers/TOPIC.json`. A case whose answers differ without saying why is named, and the exit code is 1.
"""

from __future__ import annotations

import argparse
import json
import os
import shlex
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[1]))

from support.answers import FOLDER, Case, answer, cases, differences


def run(command: list[str], case: Case) -> dict[str, Any]:
    """What a command answers to a case, run in a fresh folder with no other environment."""
    with tempfile.TemporaryDirectory() as top:
        work, home = Path(top) / "work", Path(top) / "home"
        work.mkdir()
        home.mkdir()
        case.write(work)
        env = {"PATH": os.environ["PATH"], "HOME": "/home/user", **case.env}
        done = subprocess.run([*command, *case.argv], cwd=work, env=env, capture_output=True, text=True, check=False)
        return answer(done.returncode, done.stdout, done.stderr)


def main() -> int:
    parser = argparse.ArgumentParser(description="Record the peer's answers.")
    parser.add_argument("--peer", required=True, type=shlex.split, help="what stands for `docker buildx bake`")
    parser.add_argument("--ours", default=["bakery", "build"], type=shlex.split)
    parser.add_argument("topics", nargs="*", default=sorted(path.stem for path in FOLDER.glob("*.txt")))
    options = parser.parse_args()
    unexplained = 0
    for topic in options.topics:
        found = {}
        for case in cases(topic):
            peer, ours = run(options.peer, case), run(options.ours, case)
            found[case.name] = {"peer": peer}
            if case.differs:
                found[case.name]["ours"] = ours
            problems = differences(peer, ours)
            if bool(problems) != bool(case.differs):
                unexplained += 1
                print(f"{topic}: {case.name}: {problems or 'does not differ any more'}", file=sys.stderr)
        text = json.dumps(found, indent=1, ensure_ascii=False, sort_keys=True)
        (FOLDER / f"{topic}.json").write_text(text + "\n", encoding="utf-8")
    return 1 if unexplained else 0


if __name__ == "__main__":
    sys.exit(main())
