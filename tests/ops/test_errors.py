"""What the front doors say when arguments do not fit: where, what was got, what was needed, what to do."""

import re

import pytest
import torch

from ops.scans import FORMS, GATED, RECURRENCES, by, draw
from statewise.core.errors import UsageError
from statewise.ops import SoftmaxState, linear_scan, min_gru_scan, min_gru_scan_packed, min_lstm_scan, softmax_scan
from statewise.ops import min_lstm_scan_packed as lstm_packed

WHOLE = torch.zeros(8, 512, 256)
X = torch.zeros(2, 3, 4)
FLAGS = torch.zeros(2, 3, dtype=torch.bool)
HEADS = torch.zeros(2, 3, 2)
STATE = SoftmaxState(torch.zeros(2, 2), torch.zeros(2, 2), torch.zeros(2, 4))


def test_the_message_shows_both_shapes_and_the_way_out():
    with pytest.raises(UsageError) as caught:
        linear_scan(WHOLE, WHOLE.transpose(1, 2))
    assert str(caught.value) == (
        "linear_scan: decay and drive must have the same shape (B, T, D).\n"
        "  decay  (8, 512, 256)\n"
        "  drive  (8, 256, 512)\n"
        "Time is axis 1. If drive is channels-first, pass drive.transpose(1, 2)."
    )


@pytest.mark.parametrize(
    ("call", "parts"),
    [
        (lambda: linear_scan(X, [1.0]), ["linear_scan: drive is a list", "torch.Tensor"]),
        (lambda: linear_scan(X[:1], X), ["decay  (1, 3, 4)", "drive  (2, 3, 4)", "drive.expand_as(decay)"]),
        (lambda: linear_scan(X[0], X[0]), ["decay  (3, 4)", "drive.unsqueeze(0)"]),
        (lambda: linear_scan(X, X, X), ["initial must have the shape (B, D)", "initial  (2, 3, 4)", "needed   (2, 4)"]),
        (lambda: linear_scan(X, X, X[0, 0]), ["initial  (4,)", "initial.expand(B, D)"]),
        (lambda: linear_scan(X, X.double()), ["decay  float32", "drive  float64", ".to(dtype)"]),
        (lambda: linear_scan(X, X, X[:, 0].bfloat16()), ["drive    float32", "initial  bfloat16"]),
        (lambda: linear_scan(X.long(), X.long()), ["same floating-point dtype", "decay  int64"]),
        (lambda: linear_scan(X, X.cfloat()), ["drive  complex64"]),
        (lambda: linear_scan(X, X.to("meta")), ["same device", "decay  cpu", "drive  meta", ".to(device)"]),
        (lambda: linear_scan(X.half(), X.half(), kernel="cpu"), ["does not take float16 on cpu", 'kernel="reference"']),
        (lambda: min_gru_scan(X, X[:, :2]), ["min_gru_scan: gate and candidate must", "gate       (2, 3, 4)"]),
        (lambda: min_gru_scan(X, X, X), ["min_gru_scan: initial must have the shape (B, D)"]),
        (lambda: min_gru_scan(X, X.double()), ["real floating-point", "gate       float32", "candidate  float64"]),
        (lambda: min_gru_scan(X.cfloat(), X.cfloat()), ["min_gru_scan", "real floating-point", "gate       complex64"]),
        (lambda: min_gru_scan(X.int(), X.int()), ["min_gru_scan", "gate       int32"]),
        (lambda: min_gru_scan(X, X.to("meta")), ["same device", "candidate  meta"]),
        (lambda: min_gru_scan(X, X, activation="relu"), ["min_gru_scan: activation is 'relu'", "g, tanh, identity"]),
        (lambda: min_gru_scan(X, 1), ["min_gru_scan: candidate is a int"]),
        (lambda: min_lstm_scan(X, X, X[..., :2]), ["forget and input and candidate must", "candidate  (2, 3, 2)"]),
        (lambda: min_lstm_scan(X, X, X, activation="G"), ["min_lstm_scan: activation is 'G'"]),
        (lambda: min_lstm_scan(X, X.cfloat(), X), ["min_lstm_scan", "input      complex64"]),
        (lambda: min_gru_scan_packed(X[..., :3]), ["pre must be (B, T, 2·D), gate, candidate", "(2, 3, 3)"]),
        (lambda: min_gru_scan_packed(X[0]), ["pre must be (B, T, 2·D)", "pre  (3, 4)"]),
        (lambda: min_gru_scan_packed(X, X[:, 0]), ["min_gru_scan_packed: initial must", "needed   (2, 2)"]),
        (lambda: min_gru_scan_packed("x"), ["min_gru_scan_packed: pre is a str"]),
        (lambda: min_gru_scan_packed(X.cfloat()), ["min_gru_scan_packed", "pre  complex64"]),
        (lambda: min_gru_scan_packed(X, activation=""), ["min_gru_scan_packed: activation is ''"]),
        (lambda: lstm_packed(X), ["min_lstm_scan_packed: pre must be (B, T, 3·D), forget, input", "(2, 3, 4)"]),
        (lambda: lstm_packed(X.long()[..., :3]), ["min_lstm_scan_packed", "pre  int64"]),
        (lambda: softmax_scan(X[..., :3], X), ["score must be (B, T, H)", "H a divisor of D", "(2, 3, 3)"]),
        (lambda: softmax_scan(X[..., :0], X), ["score  (2, 3, 0)"]),
        (lambda: softmax_scan(HEADS, X[..., :0]), ["value  (2, 3, 0)"]),
        (lambda: softmax_scan(X[..., 0], X), ["score  (2, 3)", "score.unsqueeze(-1)"]),
        (lambda: softmax_scan(HEADS[:, :2], X), ["score  (2, 2, 2)", "value  (2, 3, 4)", "Time is axis 1"]),
        (lambda: softmax_scan(HEADS.double(), X), ["softmax_scan: score and value must", "score  float64"]),
        (lambda: softmax_scan(HEADS.cfloat(), X.cfloat()), ["softmax_scan", "real floating-point"]),
        (lambda: softmax_scan(HEADS.long(), X.long()), ["softmax_scan", "score  int64"]),
        (lambda: softmax_scan(HEADS, X.to("meta")), ["softmax_scan", "same device", "value  meta"]),
        (lambda: softmax_scan(HEADS, [X]), ["softmax_scan: value is a list"]),
        (lambda: softmax_scan(HEADS, X, STATE._replace(numerator=STATE.largest)),
         ["initial.numerator must have the shape (B, D)", "(2, 2)", "needed             (2, 4)"]),
        (lambda: softmax_scan(HEADS, X, STATE._replace(largest=torch.zeros(2, 1))),
         ["initial.largest must have the shape (B, H)", "that an earlier call returned"]),
        (lambda: softmax_scan(HEADS, X, STATE._replace(denominator=None)), ["softmax_scan: denominator is a NoneType"]),
        (lambda: softmax_scan(HEADS.bfloat16(), X.bfloat16(), STATE._replace(largest=STATE.largest.bfloat16())),
         ["initial state must be torch.float32 beside values of torch.bfloat16", "largest torch.bfloat16"]),
        (lambda: softmax_scan(HEADS.double(), X.double(), STATE), ["must be torch.float64", "numerator torch.float32"]),
    ],
)  # fmt: skip
def test_names_values_and_ways_out(call, parts):
    with pytest.raises(UsageError) as caught:
        call()
    for part in parts:
        assert part in str(caught.value), f"{part!r} is not in:\n{caught.value}"


@pytest.mark.parametrize("name", FORMS)
@pytest.mark.parametrize(
    ("reset", "parts"),
    [
        (FLAGS.float(), ["reset must be bool", "float32 (2, 3)", "reset != 0"]),
        (FLAGS[:, :2], ["reset   (2, 2)", "needed  (2, 3)"]),
        (FLAGS.to("meta"), ["must be on the same device", "meta"]),
        ([True], ["reset is a list"]),
    ],
    ids=["float", "short", "elsewhere", "list"],
)
def test_every_door_checks_its_resets(name, reset, parts):
    scan = draw(name, 2, 3, 4)._replace(reset=reset)
    with pytest.raises(UsageError, match=re.escape(name.split()[0].rstrip(","))) as caught:
        RECURRENCES[name](scan)
    for part in parts:
        assert part in str(caught.value), f"{part!r} is not in:\n{caught.value}"


@pytest.mark.parametrize("name", FORMS)
def test_every_door_checks_its_kernel(name):
    scan = draw(name, 2, 3, 4, dtype=torch.float32)
    with pytest.raises(UsageError, match=r"unknown kernel of .*_scan.* 'cpu-portabel'.*cpu-portable"):
        by(name, "cpu-portabel")(*scan)
    half, meta = (scan.map(change) for change in (torch.Tensor.half, lambda each: each.to("meta")))
    if "softmax" in name:
        half = half._replace(initial=None)
    for kernel in ("cpu", "cpu-portable"):
        with pytest.raises(UsageError, match=f"'{kernel}' does not take float16 on cpu"):
            by(name, kernel)(*half)
        with pytest.raises(UsageError, match=f"'{kernel}' does not take float32 on meta"):
            by(name, kernel)(*meta)


@pytest.mark.parametrize("name", FORMS)
def test_triton_without_its_interpreter_refuses_the_cpu(name, monkeypatch):
    pytest.importorskip("triton", reason="triton is published for Linux only")
    monkeypatch.delenv("TRITON_INTERPRET", raising=False)
    with pytest.raises(UsageError, match=r"'triton' does not take float32 on cpu\.\n.*on a GPU; on the CPU with"):
        by(name, "triton")(*draw(name, 2, 3, 4, dtype=torch.float32))


@pytest.mark.parametrize("name", FORMS)
def test_triton_that_is_not_installed_names_its_extra(name, monkeypatch):
    monkeypatch.setattr("importlib.util.find_spec", lambda _: None)
    monkeypatch.setitem(__import__("sys").modules, "triton", None)
    with pytest.raises(UsageError, match=r"statewise\[gpu\]"):
        by(name, "triton")(*draw(name, 2, 3, 4, dtype=torch.float32))


def test_triton_refuses_complex_numbers():
    pytest.importorskip("triton", reason="triton is published for Linux only")
    with pytest.raises(UsageError, match="'triton' does not take complex64"):
        linear_scan(X.cfloat(), X.cfloat(), kernel="triton")


def test_no_error_is_raised_for_what_fits():
    for name in (*FORMS, *GATED):
        outputs, *_ = by(name, None)(*draw(name, 2, 3, 4, dtype=torch.float16, initial="softmax" not in name))
        assert (outputs.shape, outputs.dtype) == ((2, 3, 4), torch.float16)
