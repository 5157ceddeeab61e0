"""Builds the Python bindings of messages with ROS's own generators, without CMake and colcon.

Per package: .msg -> .idl -> type hash -> C structs -> type supports (introspection, Fast DDS,
dispatch) -> Python. All of it ends in one folder, `build/interfaces/<package>`: modules, libraries
and the extension. The libraries carry ROS's names, because ROS opens them by name; they find one
another beside themselves (rpath $ORIGIN) and ROS's own on LD_LIBRARY_PATH, as in any ROS process.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import importlib
import importlib.util
import io
import json
import os
import re
import shlex
import shutil
import subprocess
import sys
import sysconfig
import time
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
OUTPUT = ROOT / "build" / "interfaces"

# The only foreign packages that messages of this project may refer to, here and in CMakeLists.txt.
MESSAGE_PACKAGES = ("builtin_interfaces", "std_msgs", "geometry_msgs")
HEADER_PACKAGES = (
    "fastcdr",
    "rcutils",
    "rmw",
    "rosidl_dynamic_typesupport",
    "rosidl_runtime_c",
    "rosidl_runtime_cpp",
    "rosidl_typesupport_c",
    "rosidl_typesupport_fastrtps_c",
    "rosidl_typesupport_fastrtps_cpp",
    "rosidl_typesupport_interface",
    "rosidl_typesupport_introspection_c",
)
GENERATORS = (
    "rosidl_adapter",
    "rosidl_generator_c",
    "rosidl_generator_py",
    "rosidl_typesupport_c",
    "rosidl_typesupport_fastrtps_c",
    "rosidl_typesupport_introspection_c",
)
# In the order of linking: each library links those before it. Introspection is not optional:
# without it rmw refuses the type with a message about an invalid allocator.
LIBRARIES = (
    ("rosidl_generator_c", ("rosidl_runtime_c", "rcutils")),
    ("rosidl_typesupport_introspection_c", ("rosidl_typesupport_introspection_c",)),
    (
        "rosidl_typesupport_fastrtps_c",
        ("rosidl_typesupport_fastrtps_c", "rosidl_typesupport_fastrtps_cpp", "fastcdr", "rmw"),
    ),
    ("rosidl_typesupport_c", ("rosidl_typesupport_c",)),
    ("rosidl_generator_py", ()),
)


class BuildError(Exception):
    """What is missing or wrong, in one line."""


def ros_prefixes() -> list[Path]:
    """Folders that ROS is installed in: those of the sourced distribution, else the environment."""
    listed = os.environ.get("AMENT_PREFIX_PATH", "").split(os.pathsep)
    return [Path(entry) for entry in listed if entry] or [Path(sys.prefix)]


def in_prefixes(relative: str) -> Path:
    """The first existing file or folder `relative` of the prefixes of ROS."""
    for prefix in ros_prefixes():
        if (prefix / relative).exists():
            return prefix / relative
    raise BuildError(f"{relative} is in none of {', '.join(map(str, ros_prefixes()))}")


@dataclass
class Interfaces:
    """One package of messages and the folders it is built in."""

    name: str
    messages: list[Path]
    work: Path
    built: Path
    include: list[Path] = field(default_factory=list)

    def generate(self) -> None:
        """Write all C, C++ and Python sources into `work`."""
        from rosidl_adapter.msg import convert_msg_to_idl

        idl = self.work / "idl" / "msg"
        idl.mkdir(parents=True)
        for message in self.messages:
            convert_msg_to_idl(
                message.parents[1], self.name, message.relative_to(message.parents[1]), idl
            )
        self._hash_types()
        self._run("rosidl_generator_c", "generate_c")
        self._run("rosidl_typesupport_introspection_c", "generate_c")
        self._run("rosidl_typesupport_fastrtps_c", "generate_typesupport_fastrtps_c")
        implementations = ["rosidl_typesupport_introspection_c", "rosidl_typesupport_fastrtps_c"]
        self._run("rosidl_typesupport_c", "generate_c", implementations)
        self._run("rosidl_generator_py", "generate_py", ["rosidl_typesupport_c"])

    def _hash_types(self) -> None:
        """Write the type descriptions, whose hashes both ends of a topic compare."""
        # Humble has no type hashes yet.
        if importlib.util.find_spec("rosidl_generator_type_description") is None:
            return
        from rosidl_generator_type_description import generate_type_hash

        shares = {name: in_prefixes(f"share/{name}") for name in MESSAGE_PACKAGES}
        output = self.work / "types" / self.name
        arguments = self._arguments("types", output) | {
            "include_paths": [f"{name}:{share}" for name, share in shares.items()]
        }
        arguments.pop("type_description_tuples")
        generate_type_hash(self._write(arguments, "types"))

    def _run(self, generator: str, function: str, *extra: list[str]) -> None:
        """Call one generator; each has its own folder, as two write files of the same name."""
        output = self.work / generator / self.name
        (output / "msg" / "detail").mkdir(parents=True)
        resource = in_prefixes(f"share/{generator}/resource")
        arguments = self._arguments(generator, output) | {"template_dir": str(resource)}
        getattr(importlib.import_module(generator), function)(
            self._write(arguments, generator), *extra
        )
        for template in resource.glob("*visibility_control.h.in"):
            header = template.read_text().replace("@PROJECT_NAME_UPPER@", self.name.upper())
            header = header.replace("@PROJECT_NAME@", self.name)
            (output / "msg" / template.stem).write_text(header)
        self.include.append(output.parent)

    def _arguments(self, generator: str, output: Path) -> dict[str, object]:
        names = [message.stem for message in self.messages]
        types = self.work / "types" / self.name / "msg"
        return {
            "package_name": self.name,
            "output_dir": str(output),
            "idl_tuples": [f"{self.work}/idl:msg/{name}.idl" for name in names],
            "ros_interface_files": [str(message) for message in self.messages],
            "ros_interface_dependencies": [],
            "target_dependencies": [],
            "type_description_tuples": [
                f"msg/{name}.idl:{types / name}.json" for name in names if types.is_dir()
            ],
        }

    def _write(self, arguments: dict[str, object], generator: str) -> str:
        path = self.work / f"{generator}.json"
        path.write_text(json.dumps(arguments))
        return str(path)

    def compile(self) -> None:
        """Compile the generated sources and gather what Python needs in `built`."""
        import numpy as np

        roots = [prefix / "include" for prefix in ros_prefixes()]
        packages = [root / name for root in roots for name in HEADER_PACKAGES + MESSAGE_PACKAGES]
        python = Path(sysconfig.get_path("include"))
        include = self.include + roots + [path for path in packages if path.is_dir()]
        include += [python, Path(np.get_include())]
        jobs = [
            (source, include)
            for generator, _ in LIBRARIES
            for source in sorted((self.work / generator).rglob("*.c*"))
        ]
        with ThreadPoolExecutor(os.cpu_count()) as pool:
            list(pool.map(lambda job: compile_source(*job), jobs))

        self.built.mkdir(parents=True)
        python_sources = self.work / "rosidl_generator_py" / self.name
        shutil.copytree(
            python_sources / "msg",
            self.built / "msg",
            ignore=lambda _, names: [name for name in names if not name.endswith(".py")],
        )
        if (types := self.work / "types" / self.name / "msg").is_dir():
            shutil.copytree(types, self.built / "types")
        self._link()

    def _link(self) -> None:
        own: list[str] = []
        search = [f"-L{prefix / 'lib'}" for prefix in ros_prefixes()]
        for generator, needed in LIBRARIES:
            library = f"lib{self.name}__{generator}.so"
            foreign = [f"-l{name}" for name in needed]
            if generator != "rosidl_typesupport_c":
                foreign += [f"-l{package}__{generator}" for package in MESSAGE_PACKAGES]
            objects = (self.work / generator / self.name / "msg").rglob("*.o")
            link(self.built / library, objects, [*own, *search, *foreign])
            own.append(str(self.built / library))
        extension = f"{self.name}_s__rosidl_typesupport_c{sysconfig.get_config_var('EXT_SUFFIX')}"
        objects = (self.work / "rosidl_generator_py" / self.name).glob("*.o")
        link(self.built / extension, objects, own)


def compiler(variable: str, names: tuple[str, ...]) -> list[str]:
    """The compiler that the environment variable names, else the first of `names` that exists."""
    if named := shlex.split(os.environ.get(variable, "")):
        return named
    for name in names:
        if path := shutil.which(name):
            return [path]
    raise BuildError(f"no compiler ({', '.join(names)}) found: sudo apt install g++")


def run_tool(command: list[str]) -> None:
    result = subprocess.run(command, capture_output=True, text=True, check=False)
    if result.returncode:
        raise BuildError(f"{shlex.join(command)} failed:\n{result.stderr.strip()}")


def compile_source(source: Path, include: list[Path]) -> None:
    if source.suffix == ".c":
        command = [*compiler("CC", ("cc", "gcc", "clang")), "-std=gnu11"]
    else:
        command = [*compiler("CXX", ("c++", "g++", "clang++")), "-std=c++17"]
    paths = [f"-I{path}" for path in include]
    run_tool([*command, "-O1", "-fPIC", "-w", "-c", *paths, str(source), "-o", f"{source}.o"])


def link(target: Path, objects: Iterable[Path], libraries: list[str]) -> None:
    # --no-as-needed keeps the type supports loaded that are reached by name only; an RPATH (not
    # RUNPATH) also serves the libraries that these load in turn.
    flags = f"-Wl,--no-as-needed,--disable-new-dtags,-rpath,$ORIGIN,-soname,{target.name}"
    command = [*compiler("CXX", ("c++", "g++", "clang++")), "-shared", flags, "-o", str(target)]
    run_tool(command + [str(path) for path in sorted(objects)] + libraries)


def fingerprint(messages: list[Path]) -> str:
    """Changes with a definition, this script, the Python and the ROS that it is built for."""
    digest = hashlib.sha256(f"{sys.version}{sys.prefix}{ros_prefixes()}".encode())
    for path in [Path(__file__), *messages]:
        digest.update(path.name.encode() + path.read_bytes())
    return digest.hexdigest()


def check_definitions(name: str, messages: list[Path]) -> None:
    allowed = {*MESSAGE_PACKAGES, name}
    for message in messages:
        for package in re.findall(r"^\s*(\w+)/\w+", message.read_text(), flags=re.MULTILINE):
            if package not in allowed:
                raise BuildError(f"{message} refers to {package}; allowed: {sorted(allowed)}")


def build(name: str, folder: Path) -> None:
    """Build `folder`/msg/*.msg as the ROS package `name`, unless that is done and unchanged."""
    messages = sorted((folder / "msg").glob("*.msg"))
    check_definitions(name, messages)
    target, mark = OUTPUT / name, fingerprint(messages)
    recorded = target / "fingerprint"
    if recorded.is_file() and recorded.read_text() == mark:
        return
    print(f"  building {len(messages)} message(s) of {name} ...", end="", flush=True)
    start = time.monotonic()
    work = ROOT / "build" / "interface_sources" / name
    package = Interfaces(name, messages, work, built=work / "built")
    shutil.rmtree(work, ignore_errors=True)
    chatter = io.StringIO()
    try:
        with contextlib.redirect_stdout(chatter):
            package.generate()
        package.compile()
    except Exception:
        print(chatter.getvalue(), file=sys.stderr)
        raise
    (package.built / "fingerprint").write_text(mark)
    # Moved as a whole, so that an interrupted build is never taken for a finished one.
    shutil.rmtree(target, ignore_errors=True)
    target.parent.mkdir(parents=True, exist_ok=True)
    package.built.rename(target)
    print(f" {time.monotonic() - start:.1f} s", flush=True)


def check_generators() -> None:
    for generator in GENERATORS:
        if importlib.util.find_spec(generator) is None:
            package = f"ros-{os.environ.get('ROS_DISTRO', 'jazzy')}-rosidl-default-generators"
            raise BuildError(f"{generator} is missing: sudo apt install {package}")


def build_all() -> None:
    check_generators()
    (ROOT / "build").mkdir(exist_ok=True)
    with (ROOT / "build" / "interfaces.lock").open("w") as lock:
        # A second make in the same checkout waits, then finds the work done.
        fcntl.flock(lock, fcntl.LOCK_EX)
        if any((prefix / "share/vision_msgs/package.xml").is_file() for prefix in ros_prefixes()):
            shutil.rmtree(OUTPUT / "vision_msgs", ignore_errors=True)
        else:
            build("vision_msgs", ROOT / "standalone" / "vision_msgs")
        build("centernet_ros", ROOT)


def main() -> int:
    try:
        build_all()
    except BuildError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("interrupted; the next make goes on from here", file=sys.stderr)
        return 130
    return 0


if __name__ == "__main__":
    sys.exit(main())
