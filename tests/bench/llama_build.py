"""llama.cpp built for this machine, from the source that llama-cpp-python carries on PyPI."""

import os
import pathlib
import sys
import tarfile

from programs import Failure, run

LOGITS_SOURCE = pathlib.Path(__file__).resolve().parent / "llama_logits.cpp"
LIBRARIES = ("libllama.a", "libggml.a", "libggml-cpu.a", "libggml-base.a")


def build_llama(folder: pathlib.Path) -> str:
    """Builds llama-bench in the folder and returns its path."""
    program = folder / "build/bin/llama-bench"
    if program.exists():
        return str(program)
    folder.mkdir(parents=True, exist_ok=True)
    if not list(folder.glob("llama_cpp_python-*.tar.gz")):
        run([sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--no-binary", "llama-cpp-python",
             "--dest", str(folder), "llama-cpp-python"], 3600)
    archive = sorted(folder.glob("llama_cpp_python-*.tar.gz"))[-1]
    source = folder / archive.name[:-len(".tar.gz")] / "vendor/llama.cpp"
    if not source.exists():
        with tarfile.open(archive) as packed:
            packed.extractall(folder, filter="data") if hasattr(tarfile, "data_filter") else packed.extractall(folder)
    run(["cmake", "-S", str(source), "-B", str(folder / "build"), "-DCMAKE_BUILD_TYPE=Release", "-DGGML_NATIVE=ON",
         "-DBUILD_SHARED_LIBS=OFF", "-DLLAMA_BUILD_TESTS=OFF", "-DLLAMA_BUILD_EXAMPLES=OFF", "-DLLAMA_BUILD_SERVER=OFF",
         "-DLLAMA_BUILD_APP=OFF", "-DLLAMA_OPENSSL=OFF"], 3600)
    run(["cmake", "--build", str(folder / "build"), "--target", "llama-bench", "--parallel", str(os.cpu_count())], 7200)
    return str(program)


def build_logits(folder: pathlib.Path) -> str:
    """Builds llama_logits.cpp against the libraries that build_llama made, and returns the program's path."""
    sources = sorted(folder.glob("llama_cpp_python-*/vendor/llama.cpp"))
    if not sources:
        raise Failure(f"{folder}: the source of llama.cpp is not there any more")
    libraries = []
    for name in LIBRARIES:
        found = sorted((folder / "build/").rglob(name))
        if not found:
            raise Failure(f"{folder}/build: {name} is not there; remove the folder to have it built anew")
        libraries.append(found[0])
    program = folder / "llama_logits"
    if program.exists() and program.stat().st_mtime > max(path.stat().st_mtime for path in (LOGITS_SOURCE, *libraries)):
        return str(program)
    run([os.environ.get("CXX", "c++"), "-std=c++17", "-O2", str(LOGITS_SOURCE), "-o", str(program),
         "-I", str(sources[-1] / "include"), "-I", str(sources[-1] / "ggml/include"),
         "-Wl,--start-group", *map(str, libraries), "-Wl,--end-group", "-fopenmp", "-lpthread", "-ldl", "-lm"], 600)
    return str(program)
