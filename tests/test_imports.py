"""The directions of import: who may know of whom."""

import ast
import graphlib
import subprocess
import sys
from pathlib import Path

import pytest

from interpjax import dissection

PACKAGE = Path(__file__).parents[1] / "interpjax"
FILES = [path for path in PACKAGE.rglob("*.py") if "configs" not in path.relative_to(PACKAGE).parts]
# They know data, devices and tables.
DISSECTION_RIM = (
    *("dissect.py", "feeds.py", "network_feed.py", "array_feed.py"),
    *("result.py", "chance.py", "by_chance.py", "job.py", "__init__.py"),
)
CORE_LIBRARIES = {"jax", "numpy", "scipy", "jaxtyping"}
# They import none of the package but each other.
LEAVES = ("atomic", "errors", "imports", "json_files", "preprocessing", "progress", "stopping")
TORCH_USERS = [PACKAGE / "dissection" / "torch_network.py"]  # for modules that a user brings; imported in a function
UNPICKLER = PACKAGE / "models" / "weights" / "torch_pickle.py"  # a restricted one, which runs nothing


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
        own = name.startswith((f"interpjax.{room}", *(f"interpjax.{leaf}" for leaf in LEAVES)))
        optax = root == "optax" and path.name == "proximal_step.py"  # what it makes is an optax transform
        torch = root == "torch" and path in TORCH_USERS
        pandas = root == "pandas" and room == "dissection"  # for what people read
        assert own or optax or torch or pandas or root in CORE_LIBRARIES or root in sys.stdlib_module_names, (
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


def module_name(path: Path) -> str:
    parts = path.relative_to(PACKAGE.parent).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def imported_files(path: Path, modules: dict[str, Path]) -> set[Path]:
    """The files that a file imports, also inside of its functions, but those for a type checker alone."""
    tree = ast.parse(path.read_text())
    typing_only = {
        id(inner)
        for node in ast.walk(tree)
        if isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING"
        for inner in ast.walk(node)
    }
    found = set()
    for node in ast.walk(tree):
        if id(node) in typing_only:
            continue
        names = []
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            # A name of a package may be a file in it, or what the package's face takes from one.
            names = [f"{node.module}.{alias.name}" for alias in node.names]
            names = [name if name in modules else str(node.module) for name in names]
        found |= {modules[name] for name in names if name in modules}
    return found - {path}


def test_no_file_is_in_a_circle():
    """What a package's face hands on counts as an import of the face, which imports the files of its package."""
    modules = {module_name(path): path for path in FILES}
    graph = {path: imported_files(path, modules) for path in FILES}
    graph[PACKAGE / "__init__.py"] = set()  # it loads what is asked for when it is asked for
    for path, own in graph.items():  # the face of a file's own package is loaded before it, and needs no arrow
        graph[path] = {other for other in own if not (other.name == "__init__.py" and other.parent in path.parents)}
    try:
        list(graphlib.TopologicalSorter(graph).static_order())
    except graphlib.CycleError as error:
        circle = " -> ".join(str(path.relative_to(PACKAGE)) for path in error.args[1])
        raise AssertionError(f"files import each other: {circle}") from None


def test_configurations_are_read_in_their_own_rooms_alone():
    """What is below takes values."""
    users = {path.relative_to(PACKAGE).parts[0] for path in FILES if "ml_collections" in path.read_text()}
    many = {"running", "tables", "sweep.py"}  # of runs
    assert users == {"config", "prepare", "beginning.py", "commands", "experiment.py", "__main__.py"} | many


def test_files_that_load_others_by_name_are_known():
    """What they load is no import that the other tests see: the faces, and what a user names."""
    users = {str(path.relative_to(PACKAGE)) for path in FILES if "import_module" in path.read_text()}
    assert users == {"__init__.py", "dissection/__init__.py", "imports.py"}
    assert dissection.NAMES == {"from_workdir": "interpjax.experiment", "report": "interpjax.report.of_dissection"}


@pytest.mark.parametrize("leaf", LEAVES)
def test_leaves_import_none_of_the_package_but_each_other(leaf):
    for name in imports(PACKAGE / f"{leaf}.py"):
        assert not name.startswith("interpjax") or name.split(".")[1] in LEAVES, name


def test_regularizers_bring_no_library_of_the_other_rooms():
    code = "import sys, interpjax.regularizers; print(*{name.partition('.')[0] for name in sys.modules})"
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    loaded = set(result.stdout.split())
    assert not loaded & {"tensorflow_datasets", "grain", "orbax", "matplotlib", "cv2", "flax", "pandas", "tensorboardX"}
    assert {"jax", "optax"} <= loaded


@pytest.mark.parametrize("path", FILES, ids=lambda path: "/".join(path.relative_to(PACKAGE).parts))
def test_only_the_launcher_reads_flags_and_only_parallel_knows_devices(path):
    if path != PACKAGE / "__main__.py":
        assert not any(name.startswith("absl.flags") or name in ("absl.app", "absl.flags") for name in imports(path))
        assert "sys.argv" not in path.read_text()
    words = {
        "pmap": {"parallel.py"},
        "jax.distributed.initialize(": {"joining.py"},
        "device_count": {"parallel.py", "joining.py"},
        "process_index": {"parallel.py", "processes.py"},
        "process_count": {"parallel.py", "processes.py", "joining.py"},
    }
    for word, rooms in words.items():
        assert path.name in rooms or word not in path.read_text(), f"{path} speaks of {word}"


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
