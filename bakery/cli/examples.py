"""Examples as they stand at the end of a verb's help, and in the manual."""

from __future__ import annotations

BUILD = """\b
Examples:
  bakery build                       the targets of the group "default"
  bakery build api web --push        two targets, their images pushed
  bakery build api --set api.args.VERSION=1.2
  bakery build --print               what would be built, as JSON
  bakery build --metadata-file m.json --junit report.xml
  bakery build --progress plain      lines instead of a live picture"""

CHECK = """\b
Examples:
  bakery check                       all targets of the bake files here
  bakery check api --fail-on warning
  bakery check --format github       annotations in a GitHub workflow"""

CI = """\b
Examples:
  bakery ci github -o .github/workflows/images.yml    a job for each target
  bakery ci github --affected --push -o .github/workflows/images.yml
  bakery ci gitlab -o .gitlab-ci.yml
  bakery ci github --install 'pip install "bakery-bake @ git+https://git.example.com/tools/bakery@COMMIT"'
  bakery ci json --base origin/main... all            for programs, and fromJSON"""

CONTEXT = """\b
Examples:
  bakery context ls api                  which files of the context are used
  bakery context ls api --format json    the same for programs"""

CONVERT = """\b
Examples:
  bakery convert -f compose.yaml > bakery.hcl      Compose to HCL
  bakery convert -f docker-bake.hcl --to json      HCL to JSON"""

DEBUG = """\b
Examples:
  bakery debug app              build app; a shell where a step fails
  bakery debug app/4            a shell in place of step 4, shown as [4/7]
  bakery debug "app/build 2"    in place of [build 2/5]
  bakery debug "app/npm ci"     in place of the step with that in its name"""

INSPECT = """\b
Examples:
  bakery inspect                 users, runtimes, platforms and folders
  bakery inspect --format json   for programs"""

FMT = """\b
Examples:
  bakery fmt                  lay out all *.hcl of this folder
  bakery fmt --check          in CI: change nothing, exit with 1 where something would
  bakery fmt - < bakery.hcl   from stdin to stdout"""

GRAPH = """\b
Examples:
  bakery graph                         targets, as bakery-graph.html
  bakery graph --llb api -o api.svg    the steps of one target
  bakery graph --format mermaid        for a Markdown page
  bakery graph --llb --format dot | dot -Tpdf > graph.pdf
  bakery graph --llb --build last~1    with the colours of another build"""

INIT = """\b
Examples:
  bakery init                 write bakery.hcl
  bakery init -o -            only show it"""

LLB = """\b
Examples:
  bakery llb api                                the graph of one target
  bakery llb api --format pb | buildctl build    solved by a BuildKit daemon"""

LS = """\b
Examples:
  bakery ls                   what can be built here
  bakery ls --format json     the same for programs
  bakery ls -f other.hcl      of another file"""

VERSION = """\b
Examples:
  bakery version              the version, Python and the system
  bakery version --format json"""
