"""One request, bounded in time and memory; and the same scoring for files and streams.

Takes  published routes, signed bundles, online features, requests.    Gives  answers, and a prediction log that adds up.
Never  the control database, a pickle, a client's path or URL.
Start reading at  ``walk/inference.py`` (a request's way), ``doors/door.py`` (how it comes in), ``routes/tables.py`` (what is served).
"""
