"""What the processes of `statewise bench decode` do: build models, ours or those of transformers, and measure them."""

from collections.abc import Sequence
from importlib.util import find_spec

import torch

from statewise.studies.decode.contenders import OURS, Contender
from statewise.studies.decode.decoder import Decodes, OurDecoder
from statewise.studies.decode.measuring import Place, reached, time_generate, time_rounds, weigh
from statewise.studies.environment import peak_memory, watch_memory
from statewise.studies.measurement import Numbers

if find_spec("transformers") is not None:
    # Here and not where it is used: the server that forks the processes imports it once for all of them.
    from statewise.hf import decoding as hf_decoding


def decoder_of(contender: Contender) -> Decodes:
    """The model, with random weights."""
    if contender.architecture == OURS:
        return OurDecoder(contender.config)
    hf_decoding.quiet()
    return hf_decoding.their_decoder(contender.architecture, contender.config)


@torch.inference_mode()
def weigh_model(contender: Contender, batch: int, positions: Sequence[int], limit: int) -> Numbers:
    """One model under one batch at every position, ascending; see `weigh`."""
    decoder = decoder_of(contender)
    # What is set up once, by the first tokens that are read, is none of the context's cost.
    decoder.step(*decoder.read(torch.zeros(1, 2, dtype=torch.int64)))
    watch_memory()
    held, grows = peak_memory(), contender.kind != "recurrent"
    return {
        "cells": [
            weigh(decoder, grows=grows, batch=batch, position=position, limit=limit, held=held)
            for position in positions
        ]
    }


@torch.inference_mode()
def time_batch(batch: int, cells: Sequence[tuple[Contender, int, int]], rounds: int) -> Numbers:
    """Seconds of every contender at every position, (contender, position, limit): `time_rounds` and `time_generate`."""
    decoders = {contender.label: decoder_of(contender) for contender, _, _ in cells}
    places = []
    for contender, position, limit in cells:
        decoder, grows = decoders[contender.label], contender.kind != "recurrent"
        state, _ = reached(decoder, grows=grows, batch=batch, position=position, limit=limit)
        places.append(Place(contender.label, position, decoder, state))
    shortest = min(position for _, position, _ in cells)
    return {
        "rounds": time_rounds(places, batch=batch, rounds=rounds),
        "generated": time_generate(decoders, batch=batch, position=shortest, rounds=rounds),
    }
