"""The laws of a module: its weights can be kept, it can be copied and parametrised, and it runs in bfloat16.

Each takes the mixer and raises AssertionError where it is broken.
"""

import copy
import pickle
import sys

import torch
from safetensors.torch import load, save
from torch import Tensor, nn
from torch.nn.utils.parametrizations import orthogonal, weight_norm

from statewise.core.state import leaves
from statewise.mixers import Mixer
from statewise.testing.compare import assert_close, assert_same_bits
from statewise.testing.runs import assert_same_run, gradients, inputs_of, later_state, stepped


def weights_come_back(mixer: Mixer) -> None:
    """The state_dict, through the bytes of safetensors, makes another mixer's outputs these."""
    other = copy.deepcopy(mixer)
    with torch.no_grad():
        for tensor in other.state_dict().values():
            tensor.zero_()
    kept = load(save({name: tensor.contiguous() for name, tensor in mixer.state_dict().items()}))
    other.load_state_dict(kept)
    assert_same_outputs("after load_state_dict", other, mixer)


def copies_are_equal(mixer: Mixer) -> None:
    """`copy.deepcopy` gives equal outputs and shares nothing; so does pickling, as to a spawned process.

    Pickling asks nothing of a class that other processes cannot import.
    """
    twin = copy.deepcopy(mixer)
    assert_same_outputs("of the copy", twin, mixer)
    addresses = {tensor.data_ptr() for tensor in tensors_of(mixer)}
    shared = [tensor for tensor in tensors_of(twin) if tensor.numel() and tensor.data_ptr() in addresses]
    assert not shared, "the copy shares memory"
    if can_be_imported(type(mixer)):
        assert_same_outputs("of the unpickled", pickle.loads(pickle.dumps(mixer)), mixer)


def assert_same_outputs(name: str, one: Mixer, other: Mixer) -> None:
    """Two mixers give the same bits over time, and in the step after."""
    with torch.no_grad():
        x = inputs_of(other)
        (y, state), (expected, expected_state) = one(x), other(x)
        assert_same_bits(f"outputs {name}", y, expected)
        assert_same_bits(f"a step {name}", one.step(x[:, 0], state)[0], other.step(x[:, 0], expected_state)[0])


def tensors_of(mixer: Mixer) -> list[Tensor]:
    """Parameters and buffers."""
    return [*mixer.parameters(), *mixer.buffers()]


def can_be_imported(cls: type) -> bool:
    """Whether `cls` is what its module has under its name: what pickling needs."""
    return getattr(sys.modules.get(cls.__module__), cls.__qualname__, None) is cls


def parametrisations_work(mixer: Mixer) -> None:
    """With torch's weight_norm on every linear map, or orthogonal on one, `forward` and `step` agree as before.

    Asks nothing of a mixer without `nn.Linear`.
    """
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        halved, normed, turned = (copy.deepcopy(mixer) for _ in range(3))
        maps = [name for name, module in mixer.named_modules() if isinstance(module, nn.Linear) and has_norms(module)]
        if not maps:
            return
        x = inputs_of(mixer)
        for name in maps:
            weight_norm(normed.get_submodule(name))
        assert_close("outputs under weight_norm", normed(x)[0], mixer(x)[0])
        with torch.no_grad():
            for name in maps:
                normed.get_parameter(f"{name}.parametrizations.weight.original0").mul_(0.5)
                halved.get_parameter(f"{name}.weight").mul_(0.5)
        assert_close("outputs under weight_norm at half the norm", normed(x)[0], halved(x)[0])
        assert_forms_agree(normed)
        orthogonal(turned.get_submodule(maps[0]))
        assert_forms_agree(turned)


def has_norms(module: nn.Linear) -> bool:
    """Whether no row is zero: weight_norm divides by their norms."""
    return bool(module.weight.any(1).all())


def assert_forms_agree(mixer: Mixer) -> None:
    """`forward` is `step` by `step`, in outputs, final state and gradients."""
    x, state = inputs_of(mixer), later_state(mixer)
    assert_same_run(mixer, x, state, mixer(x, state), stepped(mixer, x, state))


def bfloat16_is_near_float32(mixer: Mixer) -> None:
    """Outputs, steps and gradients in bfloat16 are, but for rounding, those of the same weights in float32."""
    narrow = copy.deepcopy(mixer).to(torch.bfloat16)
    wide = copy.deepcopy(narrow).float()
    x = inputs_of(narrow)
    x_wide = x.detach().float().requires_grad_()
    (y, final), (expected, expected_final) = narrow(x), wide(x_wide)
    assert y.dtype == torch.bfloat16, f"outputs are {y.dtype}"
    assert_close("outputs", y, expected)
    assert_close("steps", stepped(narrow, x, narrow.initial_state(len(x)))[0], expected)
    for i, (one, other) in enumerate(zip(leaves(final), leaves(expected_final), strict=True)):
        assert_close(f"final[{i}]", one, other, dtype=torch.bfloat16)
    expected_grads = gradients(wide, expected.to(y.dtype), (), x_wide, ())
    for name, grad in gradients(narrow, y, (), x, ()).items():
        assert_close(f"gradient of {name}", grad, expected_grads[name], dtype=torch.bfloat16)


def autocast_is_near_float32(mixer: Mixer) -> None:
    """Under torch.autocast to bfloat16 outputs and steps are, but for rounding, those in float32; gradients are finite.

    How near gradients are is for `bfloat16_is_near_float32`: here a product rounded on the way may be scaled up later.
    """
    # Weights and inputs that bfloat16 holds: what autocast rounds is then what is computed, not what is given.
    wide = copy.deepcopy(mixer).to(torch.bfloat16).float()
    x, x_cast = (inputs_of(wide).detach().bfloat16().float().requires_grad_() for _ in range(2))
    expected, state = wide(x)
    with torch.autocast(x.device.type, torch.bfloat16):
        y, state_cast = wide(x_cast)
        steps, _ = stepped(wide, x_cast, wide.initial_state(len(x)))
        after, _ = wide.step(x_cast[:, 0], state_cast)
    assert_close("outputs under autocast", y, expected, dtype=torch.bfloat16)
    assert_close("steps under autocast", steps, expected, dtype=torch.bfloat16)
    assert_close("a step after them", after, wide.step(x[:, 0], state)[0], dtype=torch.bfloat16)
    for name, grad in gradients(wide, y, (), x_cast, ()).items():
        assert bool(grad.isfinite().all()), f"gradient of {name} under autocast is not finite"
