"""Small models as a team might write them, well-meaning and not: MLflow's ``python_function`` flavour and nothing else."""

import sys
from pathlib import Path

from leverframe.core.model import IsolatedColumn, IsolatedRuntime
from leverframe.serving.runtimes.isolated.host import IsolatedModel
from leverframe.serving.runtimes.isolated.limits import Bounds

RUNTIME = IsolatedRuntime(
    columns=(IsolatedColumn(name="a"), IsolatedColumn(name="b")), loader="module", module="team_model", frame="columns"
)
# The first column says what the model shall do to its caller.
HOSTILE = """
import os, socket, subprocess, sys, threading, time
import numpy as np

def burn():
    while True:
        pass

def attempt(what):
    try:
        return what()
    except BaseException as error:
        return f"{type(error).__name__}"

class Model:
    def predict(self, table):
        a, b = table["a"], table["b"]
        order = int(b[0]) if a[0] == 666 else 0
        if order == 0: return a + b
        if order == 1: os._exit(7)
        if order == 2:
            while True: pass
        if order == 3: bytearray(10 * 1024**3)
        if order == 4: return np.full(len(a), np.nan)
        if order == 5: return np.zeros(len(a) + 1)
        if order == 6: return np.zeros((len(a), 2000))
        if order == 7: raise KeyError("no such thing")
        if order == 8: threading.Thread(target=burn, daemon=True).start()
        if order == 9: os.write(self.fd(), b"x" * 64)
        if order == 10:
            print("y" * 1_000_000)
            sys.stdout.flush()
        if order == 11:
            for n in range(300): open(f"{os.environ['TMPDIR']}/f{n}", "wb").write(b"z" * 1_000_000)
        return a + b

    def fd(self):
        import json
        return json.loads(sys.argv[1])["fd"]

def _load_pyfunc(path):
    return Model()
"""
REACHING_OUT = """
import ctypes, json, os, signal, socket, subprocess
import numpy as np

TARGETS = json.loads(open(__file__.replace("team_model.py", "targets.json")).read())

def connect(): socket.create_connection(("127.0.0.1", TARGETS["port"]), 1).close()
def connect_local():
    s = socket.socket(socket.AF_UNIX); s.connect(TARGETS["unix"])
def read_passwd(): open("/etc/passwd").read()
def read_key(): open(TARGETS["key"]).read()
def write_outside(): open(TARGETS["outside"], "w").write("here")
def overwrite_model(): open(__file__, "a").write("# changed")
def open_up_key(): os.chmod(TARGETS["key"], 0o777)
def rename_key(): os.rename(TARGETS["key"], TARGETS["key"] + "2")
def cut_key(): os.truncate(TARGETS["key"], 0)
def list_home(): os.listdir(os.path.dirname(TARGETS["key"]))
def fork():
    if os.fork() == 0: os._exit(0)
def run(): subprocess.run(["/bin/true"], check=True)
def kill_gateway(): os.kill(os.getppid(), signal.SIGKILL)
def read_gateway(): open(f"/proc/{os.getppid()}/environ", "rb").read()
def outlive(): assert ctypes.CDLL(None, use_errno=True).prctl(1, 0, 0, 0, 0) == 0
def shared_memory(): os.memfd_create("hidden")
def raise_limit():
    import resource
    resource.setrlimit(resource.RLIMIT_AS, (-1, -1))
def write_own(): open(os.path.join(os.environ["TMPDIR"], "mine"), "w").write("mine")
def secret(): os.environ["LEVER_SECRET"]

ATTEMPTS = [connect, connect_local, read_passwd, read_key, write_outside, overwrite_model, open_up_key, rename_key, cut_key, list_home,
            fork, run, kill_gateway, read_gateway, outlive, shared_memory, raise_limit, secret, write_own]

def works(attempt):
    try:
        attempt()
    except BaseException:
        return 0.0
    return 1.0

class Model:
    def predict(self, table):
        return np.array([[works(attempt) for attempt in ATTEMPTS]] * len(table["a"]))

def _load_pyfunc(path):
    return Model()
"""
ATTEMPTS = [name.strip() for name in REACHING_OUT.split("ATTEMPTS = [")[1].split("]")[0].split(",")]


def write_model(folder: Path, source: str) -> Path:
    """A model folder with one loader module."""
    folder.mkdir(parents=True)
    (folder / "team_model.py").write_text(source)
    return folder


def isolated(folder: Path, source: str, bounds: Bounds | None = None) -> IsolatedModel:
    """A model in the tests' own Python, not started."""
    model = write_model(folder / "model", source)
    own = folder / "own"
    own.mkdir()
    return IsolatedModel("team", RUNTIME, python=Path(sys.executable), model=model, folder=own, bounds=bounds)
