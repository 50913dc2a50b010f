"""The console: server-rendered pages that answer "is everything all right, what changed, what needs me?".

Takes: a browser's requests.  Gives: HTML with drawn SVG, working without JavaScript.
Never: inline scripts or styles, or a change without a form token.
Start reading at: ``console.py`` (the whole), ``pages.py`` (what each page shows), ``charts.py`` (what is drawn).
"""
