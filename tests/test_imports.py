"""The directions of import: who may know of whom."""

import ast
import sys
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parents[1] / "interpjax"
FILES = [path for path in PACKAGE.rglob("*.py") if "configs" not in path.relative_to(PACKAGE).parts]
DISSECTION_RIM = ("dissect.py", "run.py", "feeds.py", "result.py", "__init__.py")  # they know data, devices and tables
CORE_LIBRARIES = {"jax", "numpy", "jaxtyping"}
# For modules and files that a user brings; imported in a function.
TORCH_USERS = [PACKAGE / "dissection" / "networks.py", PACKAGE / "models" / "weight_files.py"]
UNPICKLER = PACKAGE / "models" / "torch_pickle.py"  # a restricted one, which runs nothing


def imports(path: Path) -> set[str]:
    found = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: relative import"
            found |= {f"{node.module}.{alias.name}" for alias in node.names}
    return found


def is_core(path: Path) -> bool:
    room = path.relative_to(PACKAGE).parts[0]
    return room == "regularizers" or (room == "dissection" and path.name not in DISSECTION_RIM)


@pytest.mark.parametrize("path", [path for path in FILES if is_core(path)], ids=lambda path: path.stem)
def test_core_imports_arrays_and_itself_only(path):
    room = path.relative_to(PACKAGE).parts[0]
    for name in imports(path):
        root = name.partition(".")[0]
        own = name.startswith(f"interpjax.{room}")
        optax = root == "optax" and path.name == "proximal_step.py"  # what it makes is an optax transform
        torch = root == "torch" and path in TORCH_USERS
        assert own or optax or torch or root in CORE_LIBRARIES or root in sys.stdlib_module_names, (
            f"{path} imports {name}"
        )


@pytest.mark.parametrize(
    ("room", "forbidden"),
    [
        ("models", ("interpjax.data", "interpjax.training", "interpjax.dissection", "interpjax.experiment")),
        ("training", ("interpjax.dissection", "interpjax.experiment", "interpjax.report")),
        ("dissection", ("interpjax.training", "interpjax.models", "interpjax.experiment", "interpjax.report")),
        ("data", ("interpjax.training", "interpjax.models", "interpjax.dissection", "interpjax.experiment")),
    ],
)
def test_rooms_do_not_look_the_wrong_way(room, forbidden):
    for path in (PACKAGE / room).rglob("*.py"):
        for name in imports(path):
            assert not name.startswith(forbidden), f"{path} imports {name}"


@pytest.mark.parametrize("path", FILES, ids=lambda path: "/".join(path.relative_to(PACKAGE).parts))
def test_only_the_launcher_reads_flags_and_only_parallel_knows_devices(path):
    assert not any(name.startswith("absl.flags") or name in ("absl.app", "sys.argv") for name in imports(path))
    if path.name != "parallel.py":
        for word in ("pmap", "jax.distributed", "device_count", "process_index", "process_count"):
            assert word not in path.read_text(), f"{path} speaks of {word}"


@pytest.mark.parametrize("name", ["tensorflow", "clu", "pickle"])
def test_no_file_imports(name):
    for path in set(FILES) - ({UNPICKLER} if name == "pickle" else set()):
        assert name not in {found.partition(".")[0] for found in imports(path)}, path


def test_torch_is_optional_and_known_to_few():
    users = [path for path in FILES if "torch" in {name.partition(".")[0] for name in imports(path)}]
    assert sorted(users) == TORCH_USERS
    for path in users:
        outside = ast.Module([node for node in ast.parse(path.read_text()).body if not is_function(node)], [])
        assert "import torch" not in ast.unparse(outside)


def is_function(node: ast.AST) -> bool:
    return isinstance(node, ast.FunctionDef)


def test_orbax_is_known_to_checkpoint_alone():
    users = [path.name for path in FILES if any(name.startswith("orbax") for name in imports(path))]
    assert users == ["checkpoint.py"]
