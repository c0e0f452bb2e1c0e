"""Turns Markdown pages into HTML files with a list of all pages."""

import pathlib
import sys

import markdown

source, target = map(pathlib.Path, sys.argv[1:])
target.mkdir(exist_ok=True)
pages = sorted(source.glob("*.md"))
links = "".join(f'<li><a href="{p.stem}.html">{p.stem}</a></li>' for p in pages)
for page in pages:
    body = markdown.markdown(page.read_text())
    (target / f"{page.stem}.html").write_text(f"<!doctype html><meta charset=utf-8><ul>{links}</ul>{body}\n")
print(f"{len(pages)} pages")
