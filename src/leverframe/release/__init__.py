"""Which version answers whom.

Takes: a registered version, a plan, approvals, what was answered and what turned out true.
Gives: routes, verdicts, a stage log.
Never: a promotion on missing or inconclusive data.
Start reading at: ``machine.py``
"""
