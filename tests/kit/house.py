"""The rules of the house, each a function over a source tree that gives its findings as sentences.

The tree is only read and parsed, never imported, so a rule can be tried on a tree that is wrong on purpose.
"""

from __future__ import annotations

import ast
import re
import sys
from collections.abc import Iterator
from pathlib import Path

PACKAGE = "shack_gateway"
TOP_LEVEL = {PACKAGE, "tests", "pyproject.toml", "shack-config.example.json", "README.md", "LICENSE"}
LEFTOVERS = re.compile(r"\.|__pycache__$|build$|dist$|demo-notes$|.*\.egg-info$")
"""What a build or a run leaves behind; none of it is committed."""

FLOORS = {
    "__init__": 0,
    "errors": 0.2,  # its tables are records
    "edits": 0,
    "lazy": 0,
    "record": 0,
    "slot": 0.5,  # the slot knows one of the errors
    "wire.splice": 0.5,  # a tool for JSON text that the whole first floor shares
    "wire": 1,
    "catalog": 1,
    "masking": 1,
    "config": 1,
    "pipeline": 2,
    "eras": 3,
    "core": 3,
    "pipes": 3,
    "log": 3,
    "children": 3,
    "resolve": 3,
    "config.servers": 3,
    "host": 4,
    "downstream": 4,
    "shell": 4,
    "resident": 3.5,
    "store": 4,
    "config.load": 4,
    "app": 5,
    "cli": 6,
    "__main__": 7,
    "demo": -1,
    "docs": -1,  # stand-alone: import nobody of the house, imported by nobody
}
PURE = (
    "edits", "errors", "lazy", "record", "slot", "wire", "catalog", "masking", "config.fields", "config.strays",
    "pipeline", "eras", "core",
)
WINDOWLESS = {
    "__future__",
    "abc",
    "base64",
    "binascii",
    "bisect",
    "codecs",
    "collections",
    "difflib",
    "enum",
    "fnmatch",
    "functools",
    "hashlib",
    "heapq",
    "hmac",
    "itertools",
    "json",
    "math",
    "ntpath",
    "operator",
    "posixpath",
    "re",
    "shlex",
    "string",
    "struct",
    "textwrap",
    "types",
    "typing",
    "unicodedata",
    "urllib.parse",
}
"""What of the standard library a pure room may import: values in, values out."""
HEAVY = {
    "argparse",
    "dataclasses",
    "http",
    "inspect",
    "logging",
    "pathlib",
    "secrets",
    "sqlite3",
    "ssl",
    "tempfile",
    "tomllib",
    "unittest",
    "urllib.request",
    "uuid",
    "xml",
}
"""Costs milliseconds of every start; nothing on the way to `serve` imports it (asyncio's own imports are its own)."""
POSIX_MODULES = {"fcntl", "grp", "posix", "pty", "pwd", "resource", "syslog", "termios", "tty"}
POSIX_NAMES = {
    "os": {
        "fork",
        "geteuid",
        "getpgid",
        "getuid",
        "killpg",
        "mkfifo",
        "pidfd_open",
        "set_blocking",
        "setsid",
        "waitid",
        "writev",
    },
    "signal": {
        "SIGCHLD",
        "SIGHUP",
        "SIGKILL",
        "SIGPIPE",
        "SIGQUIT",
        "SIGUSR1",
        "SIGUSR2",
        "pthread_sigmask",
        "setitimer",
    },
}
LONGEST_MODULE, LONGEST_FUNCTION = 450, 60


class Module:
    """One file: its dotted name below the package, its tree, and what of the house and of the world it imports."""

    def __init__(self, path: Path, root: Path) -> None:
        self.path = path.relative_to(root.parent).as_posix()
        parts = path.relative_to(root).with_suffix("").parts
        self.name = ".".join(parts[:-1] if len(parts) > 1 and parts[-1] == "__init__" else parts)
        self.is_package = path.name == "__init__.py"
        self.text = path.read_text(encoding="utf-8")
        self.tree = ast.parse(self.text)

    @property
    def folder(self) -> str:
        return self.name if self.is_package and self.name != "__init__" else self.name.rpartition(".")[0]

    @property
    def room(self) -> str:
        return self.name.partition(".")[0]

    def imports(self) -> Iterator[tuple[ast.stmt, str, str]]:
        """(statement, `house` or `world`, dotted name) of every import, wherever it stands; names of `from` joined."""
        for node in ast.walk(self.tree):
            if isinstance(node, ast.Import):
                for alias in node.names:
                    yield self._placed(node, alias.name)
            elif isinstance(node, ast.ImportFrom):
                base = node.module or ""
                if node.level:
                    above = [part for part in self.folder.split(".") if part]
                    above = above[: len(above) - (node.level - 1)]
                    base = ".".join([PACKAGE, *above, *([base] if base else [])])
                for alias in node.names:
                    yield self._placed(node, f"{base}.{alias.name}")

    @staticmethod
    def _placed(node: ast.stmt, name: str) -> tuple[ast.stmt, str, str]:
        if name == PACKAGE or name.startswith(PACKAGE + "."):
            return node, "house", name[len(PACKAGE) + 1 :]
        return node, "world", name


class House:
    """All modules of one package folder; `root` is the folder `shack_gateway`."""

    def __init__(self, root: Path) -> None:
        self.root = root
        paths = sorted(path for path in root.rglob("*.py") if "__pycache__" not in path.parts)
        self.modules = {module.name: module for module in (Module(path, root) for path in paths)}

    def resolve(self, name: str) -> str:
        """The module that a dotted import reaches: itself, or the one that defines its last part."""
        while name not in self.modules:
            name, dot, _ = name.rpartition(".")
            if not dot:
                return name if name in self.modules else "__init__"
        return name

    def edges(self, module: Module) -> Iterator[tuple[ast.stmt, str]]:
        for node, where, name in module.imports():
            if where == "house":
                yield node, self.resolve(name)


def floor(name: str) -> float | None:
    """The floor of a module, by its own name or its folder's."""
    while name not in FLOORS:
        name, dot, _ = name.rpartition(".")
        if not dot:
            return None
    return FLOORS[name]


def is_pure(name: str) -> bool:
    return any(name == room or name.startswith(room + ".") for room in PURE)


# --- imports ---------------------------------------------------------------------------------------------------------


def floors(house: House) -> list[str]:
    """A folder imports itself and lower floors only."""
    found = []
    for module in house.modules.values():
        own = floor(module.name)
        if own is None:
            found.append(f"{module.path} is on no floor: add it to FLOORS")
            continue
        for node, target in house.edges(module):
            other = floor(target)
            same_room = target.partition(".")[0] == module.room
            if other is None or (same_room and other <= own) or target == "__init__":
                continue
            if own == -1 or other == -1 or other >= own:
                found.append(f"{module.path}:{node.lineno} (floor {own}) imports {target} (floor {other})")
    return found


def pure_rooms(house: House) -> list[str]:
    """A pure room imports nothing of the outside world and opens nothing; it says `Pure.` in its first line."""
    found = []
    for module in house.modules.values():
        first = (ast.get_docstring(module.tree) or "").partition("\n")[0]
        says = first.endswith("Pure.") or "Pure:" in (ast.get_docstring(module.tree) or "").partition("\n\n")[0]
        if is_pure(module.name) and not says and not (module.is_package and len(module.tree.body) <= 2):
            found.append(f"{module.path} stands in a pure room and does not say `Pure.` in its first line")
        if not (is_pure(module.name) or says):
            continue
        for node, where, name in module.imports():
            if where == "world" and not _windowless(node, name):
                found.append(f"{module.path}:{node.lineno} is pure and imports {name}")
        for call in ast.walk(module.tree):
            if (
                isinstance(call, ast.Call)
                and isinstance(call.func, ast.Name)
                and call.func.id in ("open", "print", "input")
            ):
                found.append(f"{module.path}:{call.lineno} is pure and calls {call.func.id}()")
    return found


def _windowless(node: ast.stmt, name: str) -> bool:
    if name.startswith("pathlib."):
        return name.rpartition(".")[2].startswith("Pure")
    parts = name.split(".")
    return parts[0] in WINDOWLESS or ".".join(parts[:2]) in WINDOWLESS


def standard_library_only(house: House) -> list[str]:
    """Nothing has to be installed."""
    return [
        f"{module.path}:{node.lineno} imports {name}, which is not in the standard library"
        for module in house.modules.values()
        for node, where, name in module.imports()
        if where == "world" and name.partition(".")[0] not in sys.stdlib_module_names
    ]


def imports_at_the_top(house: House, allowed: dict[str, str] | None = None) -> list[str]:
    """No import hides in a function; `allowed` maps `path: name` to the reason."""
    found = []
    for module in house.modules.values():
        top = {id(node) for node in _outside_functions(module.tree)}
        for node, _, name in module.imports():
            if id(node) not in top and f"{module.path}: {name}" not in (allowed or {}):
                found.append(f"{module.path}:{node.lineno} imports {name} inside a function")
    return found


def _outside_functions(tree: ast.AST) -> Iterator[ast.AST]:
    for node in ast.iter_child_nodes(tree):
        yield node
        if not isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda)):
            yield from _outside_functions(node)


def no_cycles(house: House) -> list[str]:
    """No module reaches itself through its imports."""
    edges = {name: {target for _, target in house.edges(module)} - {name} for name, module in house.modules.items()}
    found = []
    for start in sorted(edges):
        trail, seen = [(start, [start])], set()
        while trail:
            name, path = trail.pop()
            for target in sorted(edges.get(name, ())):
                if target == start and min(path) == start:
                    found.append(" -> ".join([*path, start]))
                    trail = []
                    break
                if target not in seen:
                    seen.add(target)
                    trail.append((target, [*path, target]))
    return found


def light_start(house: House) -> list[str]:
    """What `serve` imports costs little."""
    ways, reached = ["app", *(name for name in ("cli.serve", "__main__") if name in house.modules)], set()
    ways += [name for name in house.modules if name.startswith("pipeline.stages.")]  # imported where they are used
    while ways:
        name = ways.pop()
        if name in reached or name not in house.modules:
            continue
        reached.add(name)
        top = {id(node) for node in _outside_functions(house.modules[name].tree)}
        ways.extend(target for node, target in house.edges(house.modules[name]) if id(node) in top)
        package = name.rpartition(".")[0]
        if package:
            ways.append(package)
    found = []
    for name in sorted(reached):
        top = {id(node) for node in _outside_functions(house.modules[name].tree)}
        for node, where, world in house.modules[name].imports():
            parts = world.split(".")
            heavy = parts[0] in HEAVY or ".".join(parts[:2]) in HEAVY
            if where == "world" and heavy and id(node) in top:
                found.append(f"{house.modules[name].path}:{node.lineno} is on the way to `serve` and imports {world}")
    return found


def any_platform(house: House) -> list[str]:
    """Every module can be imported on Windows: what only POSIX has is touched inside functions, or under a guard."""
    found = []
    for module in house.modules.values():
        for node in _unguarded(module.tree):
            if isinstance(node, ast.Import):
                names = [alias.name for alias in node.names]
            elif isinstance(node, ast.ImportFrom) and not node.level:
                names = [node.module or ""]
            else:
                names = []
            found.extend(
                f"{module.path}:{node.lineno} imports {name}, which Windows lacks"  # type: ignore[attr-defined]
                for name in names
                if name in POSIX_MODULES
            )
            named = isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name)
            if named and node.attr in POSIX_NAMES.get(node.value.id, ()):
                found.append(f"{module.path}:{node.lineno} needs {node.value.id}.{node.attr} to be imported")
    return found


def _unguarded(tree: ast.AST) -> Iterator[ast.AST]:
    for node in ast.iter_child_nodes(tree):
        if isinstance(node, (ast.If, ast.IfExp)) and re.search(r"platform|os\.name|hasattr", ast.unparse(node.test)):
            continue
        if isinstance(node, ast.Try) and any("ImportError" in ast.unparse(h.type) for h in node.handlers if h.type):
            continue
        yield node
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda)):
            for default in [*node.args.defaults, *(d for d in node.args.kw_defaults if d)]:
                yield default
                yield from _unguarded(default)
        else:
            yield from _unguarded(node)


# --- shape -----------------------------------------------------------------------------------------------------------


def docstrings(house: House) -> list[str]:
    """Every module says in its first line what it is for."""
    return [
        f"{module.path} has no docstring"
        for module in house.modules.values()
        if not (ast.get_docstring(module.tree) or "").strip()
    ]


def sizes(house: House) -> list[str]:
    """Modules and functions that can be read at one sitting."""
    found = [
        f"{module.path} has {lines} lines"
        for module in house.modules.values()
        if (lines := module.text.count("\n")) > LONGEST_MODULE
    ]
    for module in house.modules.values():
        for node in ast.walk(module.tree):
            if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
                lines = (node.end_lineno or node.lineno) - node.lineno + 1
                if lines > LONGEST_FUNCTION:
                    found.append(f"{module.path}:{node.lineno} {node.name} has {lines} lines")
    return found


def no_silent_catch(house: House) -> list[str]:
    """Nobody catches everything and says nothing."""
    found = []
    for module in house.modules.values():
        for node in ast.walk(module.tree):
            if not isinstance(node, ast.ExceptHandler):
                continue
            caught = "" if node.type is None else ast.unparse(node.type)
            everything = node.type is None or re.search(r"\bBaseException\b", caught)
            silent = all(isinstance(statement, (ast.Pass, ast.Continue)) for statement in node.body)
            if everything and not any(isinstance(inner, ast.Raise) for inner in ast.walk(node)):
                found.append(f"{module.path}:{node.lineno} catches everything, also what ends us")
            elif not everything and silent and re.search(r"\bException\b", caught):
                found.append(f"{module.path}:{node.lineno} catches Exception and says nothing")
    return found


def top_level(root: Path) -> list[str]:
    """The top level of the project is the fixed one. `root` is the project's folder."""
    names = {path.name for path in root.iterdir() if not LEFTOVERS.match(path.name)}
    return [f"{name} does not belong on the top level" for name in sorted(names - TOP_LEVEL)] + [
        f"{name} is missing from the top level" for name in sorted(TOP_LEVEL - names)
    ]


def typed(house: House) -> list[str]:
    return [] if (house.root / "py.typed").exists() else ["py.typed is missing"]


# --- stages and documentation ----------------------------------------------------------------------------------------


def stage_contract(house: House) -> list[str]:
    """A stage is one file and one line: in ORDER, with FIELDS, `build`, a docstring, a class with a name of its own."""
    found, listed, names = [], set(), {}
    table = house.modules.get("pipeline.stages")
    for node in ast.walk(table.tree) if table else ():
        if isinstance(node, (ast.Assign, ast.AnnAssign)) and "ORDER" in ast.unparse(node).partition("=")[0]:
            names_in = [leaf.id for leaf in ast.walk(node.value) if isinstance(leaf, ast.Name)] if node.value else []
            listed = {each.lower() for each in names_in}
    prefix = "pipeline.stages."
    files = {
        name[len(prefix) :]: module
        for name, module in house.modules.items()
        if name.startswith(prefix) and "." not in name[len(prefix) :]
    }
    found.extend(
        f"{table.path}: ORDER names {name}, and there is no such file" for name in listed - set(files) if table
    )
    for name, module in files.items():
        defined = {t.id for s in module.tree.body for t in _targets(s)}
        functions = {s.name: s for s in module.tree.body if isinstance(s, ast.FunctionDef)}
        stages = [
            s
            for s in module.tree.body
            if isinstance(s, ast.ClassDef) and any("Stage" in ast.unparse(b) for b in s.bases)
        ]
        private = name.startswith("_")
        if private:
            continue
        if name not in listed:
            found.append(f"{module.path} is not in ORDER")
        if "FIELDS" not in defined:
            found.append(f"{module.path} has no FIELDS")
        if "build" not in functions:
            found.append(f"{module.path} has no build")
        elif [a.arg for a in functions["build"].args.args] != ["settings", "ports"]:
            found.append(f"{module.path}: build does not take (settings, ports)")
        if not stages:
            found.append(f"{module.path} has no subclass of Stage")
        for stage in stages:
            own = next(
                (
                    s.value.value
                    for s in stage.body
                    if isinstance(s, (ast.Assign, ast.AnnAssign))
                    and any(t.id == "name" for t in _targets(s))
                    and isinstance(s.value, ast.Constant)
                ),
                None,
            )
            if own is None or own in names:
                found.append(f"{module.path}: {stage.name} has no name of its own")
            names[own] = stage.name
            if not ast.get_docstring(stage):
                found.append(f"{module.path}: {stage.name} does not say what it does")
    return found


def _targets(statement: ast.stmt) -> list[ast.Name]:
    if isinstance(statement, ast.Assign):
        return [t for t in statement.targets if isinstance(t, ast.Name)]
    if isinstance(statement, ast.AnnAssign) and isinstance(statement.target, ast.Name):
        return [statement.target]
    return []


def config_keys(house: House) -> list[str]:
    """Every key that a configuration may hold: the first argument of every `Field(...)`."""
    keys = set()
    for module in house.modules.values():
        for node in ast.walk(module.tree):
            if isinstance(node, ast.Call) and ast.unparse(node.func).rpartition(".")[2] == "Field":
                given = node.args[0] if node.args else next((k.value for k in node.keywords if k.arg == "key"), None)
                if isinstance(given, ast.Constant) and isinstance(given.value, str):
                    keys.add(given.value)
    return sorted(keys)


def cli_words(house: House) -> list[str]:
    """Every option and every command of the command line."""
    words = set()
    for module in house.modules.values():
        for node in ast.walk(module.tree) if module.room == "cli" else ():
            if isinstance(node, ast.Call) and node.args and isinstance(node.args[0], ast.Constant):
                row, word = ast.unparse(node.func), node.args[0].value
                if row in ("Option", "Command") and isinstance(word, str):
                    words.add(word if row == "Command" else f"--{word}")
    return sorted(words)


def failure_kinds(house: House) -> list[str]:
    """Every row of `errors.FAILURES`."""
    for node in house.modules["errors"].tree.body if "errors" in house.modules else ():
        if any(t.id == "FAILURES" for t in _targets(node)) and isinstance(node.value, ast.Dict):  # type: ignore[attr-defined]
            return [k.value for k in node.value.keys if isinstance(k, ast.Constant)]  # type: ignore[attr-defined, misc]
    return []


def _undocumented(house: House, words: list[str], page: str, what: str) -> list[str]:
    path = house.root / "docs" / page
    if not path.exists():
        return [f"docs/{page} is missing"] if words else []
    text = path.read_text(encoding="utf-8")
    marked = set(re.findall(r"`([^`\n]+)`", text))
    parts = {part for code in marked for part in re.split(r"[\s.=|,\[\]]+", code)} | marked
    return [f"docs/{page} does not say anything about the {what} `{word}`" for word in words if word not in parts]


def documented_keys(house: House) -> list[str]:
    return _undocumented(house, config_keys(house), "config.md", "key")


def documented_commands(house: House) -> list[str]:
    return _undocumented(house, cli_words(house), "commands.md", "command or option")


def documented_failures(house: House) -> list[str]:
    return _undocumented(house, failure_kinds(house), "errors.md", "failure")
