"""Everything a model version was made of, by digest: enough to make it again, and to say what differs."""

from importlib.resources import files

from leverframe.core.digest import Digest, digest_bytes, digest_record
from leverframe.core.model import ModelSpec

RECIPE_PACKAGES = ("leverframe.core", "leverframe.training")
"""The code that turns questions with features into a bundle; a change of any other room cannot change the bytes of a model."""


def recipe_digest(spec: ModelSpec) -> Digest:
    """The digest of the recipe: the model spec and every source file of this room and of the core."""
    return digest_record({"spec": spec, "sources": source_digests()})


def source_digests() -> dict[str, Digest]:
    """Digest of every Python source file behind the recipe, by dotted path."""
    found: dict[str, Digest] = {}
    for package in RECIPE_PACKAGES:
        waiting = [(package, files(package))]
        while waiting:
            prefix, folder = waiting.pop()
            for entry in folder.iterdir():
                if entry.is_dir() and entry.name != "__pycache__":
                    waiting.append((f"{prefix}.{entry.name}", entry))
                elif entry.name.endswith(".py"):
                    found[f"{prefix}.{entry.name.removesuffix('.py')}"] = digest_bytes(entry.read_bytes())
    return found
