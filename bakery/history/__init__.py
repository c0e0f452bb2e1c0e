"""The builds that were: each recorded while it goes, and read again by `history`, `report` and `explain`.

    ROOT/builds/ID/
      facts.json     what was known when it began: command, targets, bake files, git, machine; no values of variables
      events.jsonl   what the engine told, one JSON array a line, in the order it came (see `lines`)
      logs.jsonl     what steps wrote, the beginning and the end of each where it was much
      result.json    how it ended; not there while a build goes, or if its process died

While a process writes a build it holds a lock on `events.jsonl`. Nothing here asks for more than the state folder, so a
build can be copied from one machine to another and still be read.

`recorder` writes, `shelf` finds (`Shelf(root).open("last")`), `record` has what is found (`RecordedBuild`).
"""
