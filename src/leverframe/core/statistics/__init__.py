"""Statistics as pages: a sentence, parameters, the formula, a reference, an example that runs.

Takes: numbers and arrays.
Gives: intervals, confidence sequences, histograms and distances.
Never: I/O, randomness without a seed, a decision about a release.
Start reading at: ``margins.py`` (what a release asks), ``sequential.py`` (why it may look at any moment)
"""
