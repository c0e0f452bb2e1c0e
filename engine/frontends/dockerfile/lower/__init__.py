"""From a parsed Dockerfile to definitions and image configs: one module for each noun.

`convert` goes through the steps for one platform; `stages` is the graph of stages; the other modules know one kind of
instruction, or one thing that instructions speak of.
"""
