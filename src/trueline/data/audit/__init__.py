"""The audit of training data: what is wrong with a file of preferences or labels, line by line.

One check a file, each a pure function from rows to a :class:`~.finding.Check`. What needs a judge or the
measures' items (toxic answers, leaks into evaluation) gets their scores and texts as arguments:
``trueline.studies.auditing`` puts it together.
"""
