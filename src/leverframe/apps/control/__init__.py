"""The control API: every use case of the platform as one declared, permitted and described HTTP route.

Takes: HTTP requests.  Gives: JSON, one error shape, OpenAPI.  Never: a rule of the domain, or a route without a permission.
Start reading at: ``app.py`` (the whole), ``route.py`` (what a route declares), ``routes_release.py`` (an example).
"""
