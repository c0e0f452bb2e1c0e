"""Builds spread over the machines of a CI: `plan` says which jobs there are and in which order, `github` and `gitlab`
write it as a workflow (with jinja2, from the `.yml.j2` files), `matrix` as data for other programs.
"""
