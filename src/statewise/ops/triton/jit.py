"""The scans on a GPU, in Triton: one skeleton, into which a recurrence plugs its gates.

    h_t = a_t h_{t−1} + b_t        forwards
    c_{t−1} = a_t (g_t + c_t)      backwards, c_t the gradient of h_t from the steps after t

A program owns some channels of one sequence and walks along a segment of time. Where there are too few channels to
fill the chip there are many segments: a first kernel sums up what each does to a state that enters it (a product of
decays, and what came in on the way), a scan of these summaries gives the states that enter, and the same kernel then
writes. The inputs of the next step are asked for before those of this one are used, so that a step does not wait for
memory.

B batch, T time, D channels. Computed in float32 (float64 for float64).
The functions below run on the GPU; `__init__.py` launches them.
"""

import triton
import triton.language as tl

LINEAR, MIN_GRU, MIN_LSTM, MIN_LSTM_NORMALISED = (tl.constexpr(number) for number in range(4))
G, TANH, IDENTITY = (tl.constexpr(number) for number in range(3))


@triton.jit
def sigmoid(x):
    """σ(x), exact to the last places where it is tiny."""
    e = tl.exp(-tl.abs(x))
    return tl.where(x < 0, e, 1.0) / (1.0 + e)


@triton.jit
def activate(u, ACTIVATION: tl.constexpr):
    """(value, slope) of the candidate's activation."""
    if ACTIVATION == G:
        below = sigmoid(u)
        value = tl.where(u < 0, below, u + 0.5)
        slope = tl.where(u < 0, below * (1.0 - below), 1.0)
    elif ACTIVATION == TANH:
        # 2 σ(2u) − 1 cancels near 0; the series' next term, 62/2835 u⁹, is below 1e-17 of u there.
        square = u * u
        series = u * (1.0 + square * (-1.0 / 3.0 + square * (2.0 / 15.0 - square * 17.0 / 315.0)))
        value = tl.where(tl.abs(u) < 0.02, series, 2.0 * sigmoid(2.0 * u) - 1.0)
        slope = (1.0 - value) * (1.0 + value)
    else:
        value = u
        slope = u * 0.0 + 1.0
    return value, slope


@triton.jit
def gates(x0, x1, x2, RECURRENCE: tl.constexpr, ACTIVATION: tl.constexpr):
    """(decay, drive) from the inputs; x2 is read by minLSTM alone."""
    if RECURRENCE == LINEAR:
        decay, drive = x0, x1
    elif RECURRENCE == MIN_GRU:
        value, _ = activate(x1, ACTIVATION)
        decay, drive = sigmoid(-x0), sigmoid(x0) * value
    else:
        value, _ = activate(x2, ACTIVATION)
        decay, take = shares(x0, x1, RECURRENCE)
        drive = take * value
    return decay, drive


@triton.jit
def shares(forget, write, RECURRENCE: tl.constexpr):
    """(kept, written) of minLSTM. Both gates moved by one amount below −40 changes no share, and keeps their sum."""
    if RECURRENCE == MIN_LSTM_NORMALISED:
        shift = tl.minimum(tl.maximum(forget, write) + 40.0, 0.0)
        f, i = sigmoid(forget - shift), sigmoid(write - shift)
        kept, written = f / (f + i), i / (f + i)
    else:
        kept, written = sigmoid(forget), sigmoid(write)
    return kept, written


@triton.jit
def gates_gradient(x0, x1, x2, grad, previous, RECURRENCE: tl.constexpr, ACTIVATION: tl.constexpr):
    """The inputs' gradients from that of h_t and the value of h_{t−1}; csrc/min_*_scan.cpp has the derivations."""
    if RECURRENCE == LINEAR:
        on0, on1, on2 = grad * previous, grad, grad
    elif RECURRENCE == MIN_GRU:
        value, slope = activate(x1, ACTIVATION)
        open_, shut = sigmoid(x0), sigmoid(-x0)
        on0 = grad * (value - previous) * (open_ * shut)
        on1 = grad * open_ * slope
        on2 = on1
    else:
        value, slope = activate(x2, ACTIVATION)
        kept, written = shares(x0, x1, RECURRENCE)
        if RECURRENCE == MIN_LSTM_NORMALISED:
            on_odds = grad * (previous - value) * (kept * written)
            on0 = on_odds * sigmoid(-x0)
            on1 = -on_odds * sigmoid(-x1)
        else:
            on0 = grad * previous * (kept * sigmoid(-x0))
            on1 = grad * value * (written * sigmoid(-x1))
        on2 = grad * written * slope
    return on0, on1, on2


@triton.jit
def load_inputs(
    x0, x1, x2, sb0, st0, sb1, st1, sb2, st2, row, t, d, inside, RECURRENCE: tl.constexpr, NUMBER: tl.constexpr
):
    """Rows of the inputs at time t and channels d, 0 outside."""
    a = tl.load(x0 + row * sb0 + t * st0 + d, mask=inside, other=0.0).to(NUMBER)
    b = tl.load(x1 + row * sb1 + t * st1 + d, mask=inside, other=0.0).to(NUMBER)
    c = b
    if RECURRENCE >= MIN_LSTM:
        c = tl.load(x2 + row * sb2 + t * st2 + d, mask=inside, other=0.0).to(NUMBER)
    return a, b, c


@triton.jit
def forward_kernel(
    x0, x1, x2, entering, reset, states, final, products, cuts,
    sb0, st0, sb1, st1, sb2, st2, sbr, str_, length, channels, segment_length, segments,
    RECURRENCE: tl.constexpr, ACTIVATION: tl.constexpr, HAS_RESET: tl.constexpr, SUM_UP: tl.constexpr,
    NUMBER: tl.constexpr, BLOCK_D: tl.constexpr,
):  # fmt: skip
    """Segment program_id(2) of some channels: all states, or, to sum up, what the segment does to a state.

    entering  (B, segments, D) the state before each segment, not read where SUM_UP
    states    (B, T, D); where SUM_UP, the (B, segments, D) states at the segments' ends, from zeros
    final     (B, D); products (B, segments, D) and cuts, whether a sequence started, are written where SUM_UP
    """
    row, segment = tl.program_id(0).to(tl.int64), tl.program_id(2).to(tl.int64)
    d = tl.program_id(1).to(tl.int64) * BLOCK_D + tl.arange(0, BLOCK_D)
    inside = d < channels
    at_segment = (row * segments + segment) * channels + d
    begin = segment * segment_length
    end = tl.minimum(begin + segment_length, length)
    product = tl.full((BLOCK_D,), 1.0, NUMBER)
    cut = tl.zeros((BLOCK_D,), tl.int8)
    state = tl.zeros((BLOCK_D,), NUMBER)
    if not SUM_UP:
        state = tl.load(entering + at_segment, mask=inside, other=0.0).to(NUMBER)
    a, b, c = load_inputs(x0, x1, x2, sb0, st0, sb1, st1, sb2, st2, row, begin, d, inside, RECURRENCE, NUMBER)
    for t in range(begin, end):
        ahead = tl.minimum(t + 1, end - 1)
        next_a, next_b, next_c = load_inputs(
            x0, x1, x2, sb0, st0, sb1, st1, sb2, st2, row, ahead, d, inside, RECURRENCE, NUMBER
        )  # fmt: skip
        if HAS_RESET:
            starts = tl.load(reset + row * sbr + t * str_) != 0
            state = tl.where(starts, 0.0, state)
            product = tl.where(starts, 0.0, product)
            cut = tl.where(starts, 1, cut).to(tl.int8)
        decay, drive = gates(a, b, c, RECURRENCE, ACTIVATION)
        state = decay * state + drive
        if SUM_UP:
            product = decay * product
        else:
            tl.store(states + (row * length + t) * channels + d, state, mask=inside)
        a, b, c = next_a, next_b, next_c
    if SUM_UP:
        tl.store(states + at_segment, state, mask=inside)
        tl.store(products + at_segment, product, mask=inside)
        tl.store(cuts + at_segment, cut, mask=inside)
    else:
        tl.store(final + row * channels + d, state, mask=inside & (segment == segments - 1))


@triton.jit
def backward_kernel(
    x0, x1, x2, states, initial, reset, grad_states, entering, on0, on1, on2, on_initial, products, cuts,
    sb0, st0, sb1, st1, sb2, st2, sbr, str_, sbg, stg, sbo, sto, length, channels, segment_length, segments,
    RECURRENCE: tl.constexpr, ACTIVATION: tl.constexpr, HAS_RESET: tl.constexpr, SUM_UP: tl.constexpr,
    NUMBER: tl.constexpr, BLOCK_D: tl.constexpr,
):  # fmt: skip
    """Segment program_id(2) of some channels, counted from the end of time; the state is c_t.

    entering    (B, segments, D) c after each segment
    on0 … on2   the inputs' gradients (B, T, D), strides sbo, sto; where SUM_UP, on0 is the (B, segments, D) c before
                each segment, from zeros
    on_initial  (B, D); products and cuts as in `forward_kernel`
    """
    row, segment = tl.program_id(0).to(tl.int64), tl.program_id(2).to(tl.int64)
    d = tl.program_id(1).to(tl.int64) * BLOCK_D + tl.arange(0, BLOCK_D)
    inside = d < channels
    at_segment = (row * segments + segment) * channels + d
    begin = segment * segment_length
    end = tl.minimum(begin + segment_length, length)
    product = tl.full((BLOCK_D,), 1.0, NUMBER)
    cut = tl.zeros((BLOCK_D,), tl.int8)
    carry = tl.zeros((BLOCK_D,), NUMBER)
    if not SUM_UP:
        carry = tl.load(entering + at_segment, mask=inside, other=0.0).to(NUMBER)
    first = length - 1 - begin
    a, b, c = load_inputs(x0, x1, x2, sb0, st0, sb1, st1, sb2, st2, row, first, d, inside, RECURRENCE, NUMBER)
    incoming = tl.load(grad_states + row * sbg + first * stg + d, mask=inside, other=0.0).to(NUMBER)
    for step in range(begin, end):
        t = length - 1 - step
        ahead = tl.maximum(t - 1, length - end)
        next_a, next_b, next_c = load_inputs(
            x0, x1, x2, sb0, st0, sb1, st1, sb2, st2, row, ahead, d, inside, RECURRENCE, NUMBER
        )  # fmt: skip
        next_incoming = tl.load(grad_states + row * sbg + ahead * stg + d, mask=inside, other=0.0).to(NUMBER)
        decay, _ = gates(a, b, c, RECURRENCE, ACTIVATION)
        grad = incoming + carry
        carry = decay * grad
        product = decay * product
        if not SUM_UP:
            previous = tl.load(states + (row * length + t - 1) * channels + d, mask=inside & (t > 0), other=0.0)
            before = tl.load(initial + row * channels + d, mask=inside & (t == 0), other=0.0)
            previous = tl.where(t > 0, previous, before).to(NUMBER)
            if HAS_RESET:
                previous = tl.where(tl.load(reset + row * sbr + t * str_) != 0, 0.0, previous)
            g0, g1, g2 = gates_gradient(a, b, c, grad, previous, RECURRENCE, ACTIVATION)
            place = row * sbo + t * sto + d
            tl.store(on0 + place, g0, mask=inside)
            tl.store(on1 + place, g1, mask=inside)
            if RECURRENCE >= MIN_LSTM:
                tl.store(on2 + place, g2, mask=inside)
        if HAS_RESET:
            starts = tl.load(reset + row * sbr + t * str_) != 0
            carry = tl.where(starts, 0.0, carry)
            product = tl.where(starts, 0.0, product)
            cut = tl.where(starts, 1, cut).to(tl.int8)
        a, b, c, incoming = next_a, next_b, next_c, next_incoming
    if SUM_UP:
        tl.store(on0 + at_segment, carry, mask=inside)
        tl.store(products + at_segment, product, mask=inside)
        tl.store(cuts + at_segment, cut, mask=inside)
    else:
        tl.store(on_initial + row * channels + d, carry, mask=inside & (segment == segments - 1))


@triton.jit
def weigh(score, largest):
    """e^{score − largest}; 0 where the score is -inf, beside another -inf too."""
    return tl.where(score == float("-inf"), 0.0, tl.exp(score - largest))


@triton.jit
def softmax_kernel(
    score, value, initial_m, initial_d, initial_n, reset, outputs, maxima, denominators, final_n,
    sbs, sts, sbv, stv, sbr, str_, length, channels, heads,
    HAS_RESET: tl.constexpr, NUMBER: tl.constexpr, BLOCK_D: tl.constexpr,
):  # fmt: skip
    """Some channels of one sequence; each does its head's sums, and the head's first channel writes them."""
    row = tl.program_id(0).to(tl.int64)
    d = tl.program_id(1).to(tl.int64) * BLOCK_D + tl.arange(0, BLOCK_D)
    inside = d < channels
    per_head = channels // heads
    head = d // per_head
    writes = inside & (d % per_head == 0)
    largest = tl.load(initial_m + row * heads + head, mask=inside, other=0.0)
    denominator = tl.load(initial_d + row * heads + head, mask=inside, other=1.0)
    numerator = tl.load(initial_n + row * channels + d, mask=inside, other=0.0)
    for step in range(length):
        t = tl.full((), step, tl.int64)
        s = tl.load(score + row * sbs + t * sts + head, mask=inside, other=0.0).to(NUMBER)
        v = tl.load(value + row * sbv + t * stv + d, mask=inside, other=0.0).to(NUMBER)
        if HAS_RESET:
            starts = tl.load(reset + row * sbr + t * str_) != 0
            largest = tl.where(starts, float("-inf"), largest)
            denominator = tl.where(starts, 0.0, denominator)
            numerator = tl.where(starts, 0.0, numerator)
        # A NaN score makes every later largest score one.
        top = tl.maximum(largest, s, propagate_nan=tl.PropagateNan.ALL)
        old, fresh = weigh(largest, top), weigh(s, top)
        largest = top
        denominator = old * denominator + fresh
        numerator = old * numerator + fresh * v
        tl.store(outputs + (row * length + t) * channels + d, numerator / denominator, mask=inside)
        tl.store(maxima + (row * length + t) * heads + head, largest, mask=writes)
        tl.store(denominators + (row * length + t) * heads + head, denominator, mask=writes)
    tl.store(final_n + row * channels + d, numerator, mask=inside)
