"""What of this machine's programs and packages can be used."""
import importlib
import pathlib
import shutil
import subprocess
import tempfile


def have(program):
    return shutil.which(program) is not None


def package(name):
    try:
        return importlib.import_module(name)
    except ImportError:
        return None


def pipe(data, *command):
    return subprocess.run(command, input=data, capture_output=True, check=True).stdout


def with_file(data, name, *command, out=None, keep=False):
    """Runs a command in a folder that holds `data` as file `name`; the content of `out`, or what it printed."""
    with tempfile.TemporaryDirectory() as folder:
        place = pathlib.Path(folder, name)
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_bytes(data)
        done = subprocess.run(command, cwd=folder, capture_output=True, check=True)
        return pathlib.Path(folder, out).read_bytes() if out else done.stdout
