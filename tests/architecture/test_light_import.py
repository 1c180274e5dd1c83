"""What `import statewise` may cost."""

import subprocess
import sys

OPTIONAL = ["triton", "fla", "transformers", "ray", "duckdb", "matplotlib", "jinja2", "re2", "bm25s", "pytest"]
OPTIONAL += ["tensorboard", "tokenizers", "datasets", "pyarrow"]


def loaded_after(statement: str) -> set[str]:
    program = f"import torch, sys; before = set(sys.modules); {statement}; print('\\n'.join(set(sys.modules) - before))"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    return {name.partition(".")[0] for name in done.stdout.split()}


def test_importing_loads_no_optional_package_beyond_torchs_own():
    loaded = loaded_after("import statewise")
    assert "statewise" in loaded
    assert not loaded & set(OPTIONAL)


def test_importing_opens_no_connection_and_no_file_for_writing():
    program = (
        "import sys, torch\n"
        "def hook(event, args):\n"
        "    assert not event.startswith('socket.'), event\n"
        "    if event == 'open' and isinstance(args[1], str): assert not set(args[1]) & set('wax+'), args\n"
        "sys.dont_write_bytecode = True\n"
        "sys.addaudithook(hook)\n"
        "import statewise\n"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
