"""The least cycles that the vector loops can take: their instructions, and how many of them a core can start.

The instructions are counted in the object files of the build, in the innermost loop that stores results
without bypassing the cache. How long a core needs for each kind, when none waits for another, is measured.
Of the kinds the slowest is the limit: no order of the instructions can be faster. Loads, stores, copies of
registers and integer registers cost nothing here.
"""

from __future__ import annotations

import ctypes
import re
import shutil
import subprocess
from collections.abc import Iterable, Iterator, Sequence
from functools import cache
from pathlib import Path

import numpy as np
from conditions import clock
from harness import take_turns, timed

BUILD = Path(__file__).parents[1] / "build"
ELEMENTS = {"float32": "float", "float64": "double", "float16": "float16", "bfloat16": "bfloat16"}
WIDTHS = {"x": 16, "y": 32, "z": 64}  # bytes, by the first letter of a vector register
REGISTERS = {"avx2": "y", "avx512": "z"}  # of the kernels whose loops can be counted
# Kinds of instructions, and of each the one that is measured. The last kind is every vector instruction.
KINDS = {
    "vdivps": "vdivps",
    "vdivpd": "vdivpd",
    r"v(mul|fn?m(add|sub)\w*)p[sd]": "vfmadd231ps",
    r"v(add|sub)p[sd]": "vaddps",
    r"v\w+": "vandps",
}
FREE = re.compile(r"vmov[au]p[sd]|vmovdq[au]\w*|vp?broadcast\w*|vzeroupper")
REPEATED, UNROLLED = 500, 96  # so that counting the repetitions takes no part

Instruction = tuple[int, str, str]  # address, mnemonic, operands


def disassembled(path: Path) -> dict[str, list[Instruction]]:
    """Return the instructions of every function in an object file, by its demangled name."""
    command = ["objdump", "-d", "-C", "--no-show-raw-insn", str(path)]
    functions: dict[str, list[Instruction]] = {}
    for line in subprocess.run(command, capture_output=True, text=True, check=True).stdout.splitlines():
        if head := re.match(r"[0-9a-f]+ <(.*)>:$", line):
            code = functions.setdefault(head[1], [])
        elif found := re.match(r" *([0-9a-f]+):\t(\S+) *([^#]*)", line):
            code.append((int(found[1], 16), found[2], found[3].strip()))
    return functions


def loops(code: Sequence[Instruction]) -> Iterator[list[Instruction]]:
    """Yield the innermost loops of a function: what lies between a jump backwards and its target."""
    spans = []
    for address, mnemonic, operands in code:
        target = re.match(r"[0-9a-f]+", operands)
        if mnemonic.startswith("j") and target and code[0][0] <= int(target[0], 16) <= address:
            spans.append((int(target[0], 16), address))
    for begin, end in spans:
        if not any(begin <= b and e < end for b, e in spans):
            yield [instruction for instruction in code if begin <= instruction[0] <= end]


def stored_bytes(loop: Sequence[Instruction]) -> int:
    """Return how many bytes of results a loop stores, not counting what it keeps on the stack."""
    total = 0
    for _, mnemonic, operands in loop:
        place = re.match(r"(?:\$\w+,)?%([xyz])mm\d+,.*\((?!%rsp|%rbp)", operands)
        if place and mnemonic.startswith(("vmova", "vmovu", "vmovdq")):
            total += WIDTHS[place[1]]
        elif place and mnemonic == "vcvtps2ph":
            total += WIDTHS[place[1]] // 2
    return total


def counts(loop: Sequence[Instruction]) -> dict[str, int]:
    """Return how many instructions of each kind a loop has."""
    mnemonics = [mnemonic for _, mnemonic, _ in loop if not FREE.fullmatch(mnemonic)]
    return {kind: sum(bool(re.fullmatch(kind, mnemonic)) for mnemonic in mnemonics) for kind in KINDS}


# Fills twelve registers again and again from the same two numbers, which are not round.
REPEAT = """
define void @repeat(i64 %n) {{
entry:
  call void asm sideeffect "movl $$0x3fb504f3, %eax; vmovd %eax, %xmm15; vpbroadcastd %xmm15, {fifteen}; \
vmovaps {fifteen}, {fourteen}", "{clobbered}"()
  br label %loop
loop:
  %i = phi i64 [0, %entry], [%next, %loop]
  call void asm sideeffect "{body}", "{clobbered}"()
  %next = add i64 %i, 1
  %more = icmp ult i64 %next, %n
  br i1 %more, label %loop, label %end
end:
  ret void
}}"""


@cache
def cycles_each(instruction: str, letter: str) -> float:
    """Measure how many cycles an instruction takes that waits for no other, on registers of a width."""
    from llvmlite import binding

    fourteen, fifteen = (f"%{letter}mm{number}" for number in (14, 15))
    body = "; ".join(f"{instruction} {fifteen}, {fourteen}, %{letter}mm{i % 12}" for i in range(UNROLLED))
    clobbered = ",".join(["~{eax}", *(f"~{{xmm{i}}}" for i in range(16))])
    source = REPEAT.format(fourteen=fourteen, fifteen=fifteen, body=body, clobbered=clobbered)
    binding.initialize_native_target()
    binding.initialize_native_asmprinter()
    binding.initialize_native_asmparser()
    features = binding.get_host_cpu_features().flatten()
    target = binding.Target.from_default_triple().create_target_machine(features=features)
    engine = binding.create_mcjit_compiler(binding.parse_assembly(source), target)
    engine.finalize_object()
    repeat = ctypes.CFUNCTYPE(None, ctypes.c_int64)(engine.get_function_address("repeat"))
    samples = take_turns([timed(lambda: repeat(REPEATED)), clock()], 15)
    return float(np.median(samples[:, 0] / samples[:, 1])) / (REPEATED * UNROLLED)


def limit(loop: Sequence[Instruction], letter: str) -> float:
    """Return the least cycles of a loop for 64 bytes of results."""
    slowest = max(count * cycles_each(KINDS[kind], letter) for kind, count in counts(loop).items())
    return slowest / (stored_bytes(loop) / 64)


def missing(kernels: str) -> str | None:
    """Say why the limits cannot be told here, or return None if they can."""
    if kernels not in REGISTERS:
        return f"loops of {kernels} are not counted"
    if not shutil.which("objdump"):
        return "objdump counts the instructions: apt-get install binutils"
    return None if objects(kernels) else f"no object files in {BUILD}"


def objects(kernels: str) -> list[Path]:
    """Return the object files of kernels in the build."""
    return sorted(BUILD.glob(f"*/CMakeFiles/{kernels}_kernels.dir/csrc/kernels.cpp.o"))


def limits(kernels: str, wanted: Iterable[tuple[str, str]]) -> dict[tuple[str, str], float]:
    """Return the least cycles for 64 bytes, for those of the wanted dtypes and functions that have a loop."""
    code = disassembled(objects(kernels)[-1])
    found = {}
    for dtype, function in wanted:
        struct = "".join(word.capitalize() for word in function.split("_"))
        loop = rf"Loop<.*::{struct}, (.*::)?{ELEMENTS[dtype]}, \d>"
        steps = r"(overlapped_steps|steps<\(.*Mode\)0, \(.*Access\)0>)"  # of ordinary values, in the caches
        run = re.compile(rf".*{loop}::{steps}\(.*")
        candidates = [
            loop
            for name in code
            if run.fullmatch(name)
            for loop in loops(code[name])
            if stored_bytes(loop) and all(mnemonic != "call" for _, mnemonic, _ in loop)
        ]
        if candidates:
            largest = max(candidates, key=lambda loop: list(counts(loop).values())[-1])
            found[dtype, function] = limit(largest, REGISTERS[kernels])
    return found
