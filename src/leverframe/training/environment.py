"""The environment a model was made in: the interpreter and every installed distribution, as text that can be compared."""

import platform
from importlib.metadata import distributions

from leverframe.core.digest import Digest, digest_bytes


def environment_lock() -> str:
    """One line for the interpreter and machine, then ``name==version`` for each installed distribution, sorted."""
    installed = {(d.metadata["Name"] or "").lower().replace("_", "-"): d.version for d in distributions()}
    head = f"# python {platform.python_version()} {platform.system().lower()} {platform.machine()}"
    return "\n".join([head, *(f"{name}=={version}" for name, version in sorted(installed.items()) if name)]) + "\n"


def environment_digest(lock: str) -> Digest:
    """The name of an environment."""
    return digest_bytes(lock.encode())


def packages_of(lock: str) -> tuple[tuple[str, str], ...]:
    """(name, version) pairs of a lock text, in its order.

    >>> packages_of("# python 3.11\\nnumpy==2.0\\n")
    (('numpy', '2.0'),)
    """
    lines = (line for line in lock.splitlines() if line and not line.startswith("#"))
    return tuple((name, version) for name, _, version in (line.partition("==") for line in lines))


def environment_changes(before: str, after: str) -> tuple[str, ...]:
    """What differs between two environments, one sentence each.

    >>> environment_changes("# python 3.11\\na==1\\n", "# python 3.11\\na==2\\nb==1\\n")
    ('a 1 -> 2', 'b added (1)')
    """
    old, new = dict(packages_of(before)), dict(packages_of(after))
    heads = [text.splitlines()[0] if text else "" for text in (before, after)]
    changes = [f"{heads[0]} -> {heads[1]}"] if heads[0] != heads[1] else []
    for name in sorted(old.keys() | new.keys()):
        if name not in new:
            changes.append(f"{name} removed ({old[name]})")
        elif name not in old:
            changes.append(f"{name} added ({new[name]})")
        elif old[name] != new[name]:
            changes.append(f"{name} {old[name]} -> {new[name]}")
    return tuple(changes)
