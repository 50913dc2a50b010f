"""An auditor's walk: the pack of a real release, checked by a Python that has nothing of ours; then forged in every way that is cheap."""

import json
import shutil
import subprocess
import sys
import zipfile
from io import BytesIO
from pathlib import Path

import pytest
from tests.whole_program import WholeProgram

from leverframe.apps.evidence import verify
from leverframe.core.digest import canonical_json, digest_bytes
from leverframe.governance.signing import SigningKey, load_or_create


@pytest.fixture(scope="module")
def pack(running: WholeProgram, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path, Path]:
    """The unpacked folder, the public key, and the folder of the installation's keys."""
    olga = running.person("olga")
    release = olga.release.list()[0].id
    folder = tmp_path_factory.mktemp("pack") / "evidence"
    zipfile.ZipFile(BytesIO(olga.audit.evidence(release))).extractall(folder)
    keys = running.home / "keys"
    return folder, keys / "signing.pub", keys


def check(folder: Path, key: Path, *more: str) -> subprocess.CompletedProcess[str]:
    """Run the pack's own verifier: isolated, without site packages."""
    command = [sys.executable, "-I", "-S", str(folder / "verify.py"), "--key", str(key), *more]
    return subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)


def test_it_holds_for_whoever_has_python_and_the_key(pack):
    folder, key, _ = pack
    done = check(folder, key)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "approved by" in done.stdout
    assert "are linked by hashes and end at a signed checkpoint" in done.stdout
    assert "bundle signed, its evidence is its own" in done.stdout


def test_another_key_does_not(pack, tmp_path):
    other = tmp_path / "other.pub"
    other.write_bytes(SigningKey.generate().public_pem)
    assert check(pack[0], other).returncode == 1


def _names(folder: Path) -> list[str]:
    return sorted(
        str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file() and path.name not in ("verify.py", "README.txt")
    )


def test_a_changed_or_missing_file_is_always_found(pack, tmp_path):
    folder, key, _ = pack
    public = verify.public_key(key.read_bytes())
    for name in _names(folder):
        for change in ("flip", "remove"):
            copy = tmp_path / f"{name.replace('/', '-')}-{change}"
            shutil.copytree(folder, copy)
            data = bytearray((copy / name).read_bytes())
            if change == "remove":
                (copy / name).unlink()
            else:
                data[len(data) // 2] ^= 1
                (copy / name).write_bytes(data)
            with pytest.raises((verify.Broken, ValueError)):
                verify.verify(copy, public)
            shutil.rmtree(copy)


def _forge(folder: Path, keys: Path, change) -> Path:
    """What somebody with the signing key could do: change files and sign a new list."""
    files = {name: (folder / name).read_bytes() for name in _names(folder) if name != "pack.dsse"}
    change(files)
    for name, data in files.items():
        (folder / name).write_bytes(data)
    listing = {"release": "r", "made_at_us": 1, "files": {name: digest_bytes(data) for name, data in files.items()}}
    (folder / "pack.dsse").write_bytes(load_or_create(keys).sign(verify.PACK_TYPE, canonical_json(listing)))
    return folder


def _other_author(files):
    plan = json.loads(files["plan.json"])
    files["plan.json"] = canonical_json(plan | {"author": "somebody else"})


def _other_entry(files):
    lines = files["audit.jsonl"].splitlines()
    lines[1] = canonical_json(json.loads(lines[1]) | {"actor": "somebody else"})
    files["audit.jsonl"] = b"\n".join(lines)


def _entry_cut(files):
    lines = files["audit.jsonl"].splitlines()
    del lines[1]
    files["audit.jsonl"] = b"\n".join(lines)


def _no_approvals(files):
    release = json.loads(files["release.json"])
    files["release.json"] = canonical_json(release | {"state": "watching"})


@pytest.mark.parametrize("change", [_other_author, _other_entry, _entry_cut, _no_approvals])
def test_records_that_the_chain_does_not_name_are_found_even_when_the_list_is_signed_anew(pack, tmp_path, change):
    """The list's signature alone proves little: the platform itself could sign another. The chain and its checkpoint are what binds."""
    folder, key, keys = pack
    copy = tmp_path / "copy"
    shutil.copytree(folder, copy)
    public = verify.public_key(key.read_bytes())
    verify.verify(_forge(copy, keys, lambda files: None), public)
    with pytest.raises(verify.Broken):
        verify.verify(_forge(copy, keys, change), public)


def test_a_witness_finds_a_rewritten_chain(pack, tmp_path):
    folder, key, keys = pack
    last = json.loads((folder / "audit.jsonl").read_bytes().splitlines()[-1])
    noted = tmp_path / "noted.dsse"
    for hash, code in ((last["hash"], 0), ("f" * 64, 1)):
        noted.write_bytes(load_or_create(keys).sign(verify.CHECKPOINT_TYPE, canonical_json({"seq": last["seq"], "hash": hash, "at_us": 1})))
        assert check(folder, key, "--witness", str(noted)).returncode == code
