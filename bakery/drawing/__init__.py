"""Pictures of what is built: targets with their links, or stages and steps.

`targets` and `steps` make a `Drawing` (a networkx graph with words for its nodes), `outcomes` colours it by a recorded
build, `layout` gives each node its place, and `svg`, `page`, `dot`, `mermaid` and `data` write it.
"""
