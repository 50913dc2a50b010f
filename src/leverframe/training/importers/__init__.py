"""Models made elsewhere, read as data.

Takes: a folder in another tool's model format.
Gives: what a bundle needs of it: signature, example rows, files, requirements, the folder's digest.
Never: a model loaded or unpickled here; a link followed; a file outside the folder.
Start reading at: ``mlflow.py``
"""
