"""The built extension computes with vectors as wide as each instruction set has: a look at its machine code.

The extension has no symbols. A table in it names every kernel beside the address of its code; what that code calls,
or takes the address of, does the work.
"""

import bisect
import re
import shutil
import struct
import subprocess
import sys
from pathlib import Path

import pytest

from statewise import _kernels

pytestmark = pytest.mark.skipif(
    sys.platform != "linux" or "avx2" not in _kernels.instruction_sets() or not shutil.which("objdump"),
    reason="reads x86 machine code with objdump from binutils",
)

RELATIVE = 8
"""R_X86_64_RELATIVE: this place holds that address."""


class Machine:
    """Instructions and tables of a shared object."""

    def __init__(self, path):
        self.bytes = path.read_bytes()
        self.sections = self._sections()
        self.pointers = self._pointers()
        self.starts, self.ends = zip(*sorted(self._functions(path)), strict=True)
        self.addresses, self.lines = self._instructions(path)

    def _sections(self):
        (table,) = struct.unpack_from("<Q", self.bytes, 40)
        size, count = struct.unpack_from("<HH", self.bytes, 58)
        return [struct.unpack_from("<IIQQQQ", self.bytes, table + size * index) for index in range(count)]

    def _pointers(self):
        rela = [section for section in self.sections if section[1] == 4]
        entries = (
            struct.unpack_from("<QQq", self.bytes, at)
            for *_, start, size in rela
            for at in range(start, start + size, 24)
        )
        return {offset: address for offset, kind, address in entries if kind == RELATIVE}

    def _functions(self, path):
        frames = subprocess.run(["objdump", "--dwarf=frames", path], check=True, capture_output=True, text=True).stdout
        return [(int(a, 16), int(b, 16)) for a, b in re.findall(r"FDE .* pc=([0-9a-f]+)\.\.([0-9a-f]+)", frames)]

    def _instructions(self, path):
        command = ["objdump", "-d", "--no-show-raw-insn", path]
        listing = subprocess.run(command, check=True, capture_output=True, text=True).stdout
        found = [line.split(":", 1) for line in listing.splitlines() if line.startswith(" ") and ":\t" in line]
        return [int(address, 16) for address, _ in found], [text for _, text in found]

    def string(self, address):
        """The text at an address, empty where there is none."""
        for _, kind, flags, start, offset, size in self.sections:
            if kind == 1 and flags & 2 and start <= address < start + size:
                begin = offset + address - start
                return self.bytes[begin : self.bytes.index(b"\0", begin)].decode("ascii", "replace")
        return ""

    def kernels(self, name, dtype):
        """The code of a kernel in every instruction set, from the tables of csrc/problem.hpp."""
        wanted = (name, dtype)
        rows = [at for at in self.pointers if at + 8 in self.pointers and at + 24 in self.pointers]
        found = (at for at in rows if (self.string(self.pointers[at]), self.string(self.pointers[at + 8])) == wanted)
        return [self.pointers[at + 24] for at in found]

    def function(self, address):
        """The index of the function that holds an address, None where none does."""
        index = bisect.bisect_right(self.starts, address) - 1
        return index if index >= 0 and address < self.ends[index] else None

    def body(self, function):
        """The instructions of a function."""
        ends = (self.starts[function], self.ends[function])
        return self.lines[slice(*(bisect.bisect_left(self.addresses, end) for end in ends))]

    def reached(self, address):
        """The bodies of all functions that a kernel may run."""
        waiting, seen = [self.function(address)], set()
        while waiting:
            function = waiting.pop()
            if function is None or function in seen:
                continue
            seen.add(function)
            for line in self.body(function):
                target = re.match(r"\t(?:call|jmp|j[a-z]+)\w*\s+([0-9a-f]+)", line) or re.search(
                    r"lea .*# ([0-9a-f]+)", line
                )
                if target:
                    waiting.append(self.function(int(target[1], 16)))
        return [self.body(function) for function in seen]


@pytest.fixture(scope="module")
def machine():
    return Machine(Path(_kernels.__file__))


# What only the loop over channels does: gates divide, and everything multiplies. Each recurrence has three such loops,
# for whole sequences, for summaries of segments and for segments, in functions that run in parallel.
@pytest.mark.parametrize("number", [("float32", "ps"), ("float64", "pd")], ids=str)
@pytest.mark.parametrize(
    ("name", "operation"),
    [
        ("linear_scan", "mul"),
        ("linear_scan_backward", "mul"),
        ("min_gru_scan", "div"),
        ("min_gru_scan_backward", "div"),
        ("min_lstm_scan", "div"),
        ("min_lstm_scan_backward", "div"),
        ("softmax_scan", "mul"),
        ("softmax_scan_backward", "mul"),
    ],
)
def test_every_instruction_set_computes_in_its_own_vectors(name, operation, number, machine):
    dtype, suffix = number
    kernels = machine.kernels(name, dtype)
    widest = []
    for address in kernels:
        bodies = ["\n".join(body) for body in machine.reached(address)]
        counts = {
            register: sum(bool(re.search(rf"\tv?{operation}{suffix} .*%{register}mm", body)) for body in bodies)
            for register in "xyz"
        }
        widest.append(next((register for register in "zyx" if counts[register] >= 3), None))
    assert sorted(widest, key=str) == ["x", "y", "z"]
