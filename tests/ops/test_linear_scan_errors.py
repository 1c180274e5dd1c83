"""What the front door says when its arguments do not fit: where, what was got, what was needed, what to do."""

import re

import pytest
import torch

from statewise.core.errors import UsageError
from statewise.ops import linear_scan

WHOLE = torch.zeros(8, 512, 256)
DOOR = torch.zeros(2, 3, 4)


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
    ("arguments", "options", "parts"),
    [
        ((DOOR, [1.0]), {}, ["linear_scan: drive is a list", "torch.Tensor"]),
        ((DOOR[:1], DOOR), {}, ["decay  (1, 3, 4)", "drive  (2, 3, 4)", "drive.expand_as(decay)"]),
        ((DOOR[0], DOOR[0]), {}, ["decay  (3, 4)", "drive.unsqueeze(0)"]),
        ((DOOR, DOOR, DOOR), {}, ["initial must have the shape (B, D)", "initial  (2, 3, 4)", "needed   (2, 4)"]),
        ((DOOR, DOOR, DOOR[0, 0]), {}, ["initial  (4,)", "initial.expand(B, D)"]),
        ((DOOR, DOOR.double()), {}, ["decay  float32", "drive  float64", ".to(dtype)"]),
        ((DOOR, DOOR, DOOR[:, 0].bfloat16()), {}, ["drive    float32", "initial  bfloat16"]),
        ((DOOR.long(), DOOR.long()), {}, ["floating-point dtype", "decay  int64"]),
        ((DOOR, DOOR.to("meta")), {}, ["same device", "decay  cpu", "drive  meta", ".to(device)"]),
        ((DOOR, DOOR), {"reset": torch.zeros(2, 3)}, ["reset must be bool", "float32 (2, 3)", "reset != 0"]),
        ((DOOR, DOOR), {"reset": torch.zeros(3, 2, dtype=torch.bool)}, ["reset   (3, 2)", "needed  (2, 3)"]),
        ((DOOR, DOOR), {"reset": [True]}, ["reset is a list"]),
        ((DOOR, DOOR), {"kernel": "cpu-portabel"}, ["unknown kernel of linear_scan 'cpu-portabel'", "cpu-portable"]),
        ((DOOR.half(), DOOR.half()), {"kernel": "cpu"}, ["'cpu' does not take float16 on cpu", 'kernel="reference"']),
        ((DOOR.cfloat(), DOOR.cfloat()), {"kernel": "cpu-portable"}, ["does not take complex64 on cpu"]),
        ((DOOR.to("meta"), DOOR.to("meta")), {"kernel": "cpu"}, ["'cpu' does not take float32 on meta"]),
    ],
)
def test_names_values_and_ways_out(arguments, options, parts):
    with pytest.raises(UsageError) as caught:
        linear_scan(*arguments, **options)
    for part in parts:
        assert re.search(re.escape(part), str(caught.value)), f"{part!r} is not in:\n{caught.value}"
