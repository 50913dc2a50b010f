"""``lever demo``: the whole ring on real flights, through the same doors a team would use.

``project/`` is what a team writes; ``story.py`` lists the chapters, each told in a file of ``chapters/``; ``timeline.py`` prints them.
"""
