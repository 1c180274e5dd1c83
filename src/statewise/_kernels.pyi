"""The C++ extension; csrc/module.cpp says what the arguments are."""

_Place = tuple[int, int, int]
_Sizes = tuple[int, int, int]

def instruction_sets() -> list[str]: ...
def linear_scan_float32(
    instruction_set: str,
    threads: int,
    shape: _Sizes,
    decay: _Place,
    drive: _Place,
    initial: _Place,
    reset: _Place,
    states: _Place,
    final: _Place,
) -> None: ...
def linear_scan_float64(
    instruction_set: str,
    threads: int,
    shape: _Sizes,
    decay: _Place,
    drive: _Place,
    initial: _Place,
    reset: _Place,
    states: _Place,
    final: _Place,
) -> None: ...
def linear_scan_backward_float32(
    instruction_set: str,
    threads: int,
    shape: _Sizes,
    decay: _Place,
    states: _Place,
    initial: _Place,
    reset: _Place,
    grad_states: _Place,
    grad_final: _Place,
    grad_decay: _Place,
    grad_drive: _Place,
    grad_initial: _Place,
) -> None: ...
def linear_scan_backward_float64(
    instruction_set: str,
    threads: int,
    shape: _Sizes,
    decay: _Place,
    states: _Place,
    initial: _Place,
    reset: _Place,
    grad_states: _Place,
    grad_final: _Place,
    grad_decay: _Place,
    grad_drive: _Place,
    grad_initial: _Place,
) -> None: ...
