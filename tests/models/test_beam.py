"""Beam search against every sequence there is, greedy decoding, and transformers' search."""

import itertools

import pytest
import torch

from statewise.core.errors import UsageError
from statewise.models import EncoderDecoder, beam_search
from statewise.models.encoder_decoder import BEGIN, END, PAD, within_sentences

VOCABULARY, LONGEST = 4, 3


@pytest.fixture(scope="module", params=["attention", "state"])
def model(request):
    torch.manual_seed(0)
    model = EncoderDecoder(vocabulary=VOCABULARY, width=8, stack="gru", bridge=request.param).double().eval()
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.mul_(4)
    return model


SOURCE = torch.tensor([[3, 3, END, PAD], [1, 3, 1, END], [END, PAD, PAD, PAD]])


def searched(model, source=SOURCE, *, longest=LONGEST, **settings):
    longest = torch.full((len(source),), longest)
    start = model.read(source)
    return beam_search(model.step, start, longest, begin=BEGIN, end=END, reorder=within_sentences, **settings)


@torch.no_grad()
def log_probabilities(model, source, sequences):
    length = max(len(source), *map(len, sequences))
    pairs = torch.zeros(len(sequences), length, 2, dtype=torch.int64)
    pairs[:, : len(source), 0] = source
    for row, written in enumerate(sequences):
        pairs[row, : len(written), 1] = torch.tensor([BEGIN, *written[:-1]])
    logs = model(pairs)[0].log_softmax(-1)
    return [
        sum(logs[row, place, token].item() for place, token in enumerate(written))
        for row, written in enumerate(sequences)
    ]


@pytest.mark.parametrize("penalty", [0.0, 0.6, 1.0])
def test_with_enough_beams_every_sequence_is_found_in_order(model, penalty):
    found = searched(model, beams=VOCABULARY**LONGEST, penalty=penalty)
    tokens = [token for token in range(VOCABULARY) if token != END]
    for row, hypotheses in enumerate(found):
        written = [one for length in range(LONGEST + 1) for one in itertools.product(tokens, repeat=length)]
        whole = [[*one, END] if len(one) < LONGEST else list(one) for one in written]
        logs = log_probabilities(model, SOURCE[row], whole)
        scores = [log / len(each) ** penalty for log, each in zip(logs, whole, strict=True)]
        every = sorted(zip(scores, written, strict=True), reverse=True)
        assert [each.tokens for each in hypotheses] == [one for _, one in every]
        torch.testing.assert_close([each.score for each in hypotheses], [score for score, _ in every])


def test_one_beam_is_greedy(model):
    found = searched(model, longest=12, beams=1)
    for row, (hypothesis,) in enumerate(found):
        state, token, written = model.read(SOURCE[row : row + 1]), torch.tensor([BEGIN]), []
        while len(written) < 12:
            logits, state = model.step(token, state)
            token = logits.argmax(-1)
            if token.item() == END:
                break
            written.append(token.item())
        assert hypothesis.tokens == tuple(written)
        assert hypothesis.ended == (len(written) < 12)


@pytest.mark.parametrize("beams", [1, 2, 3, 7])
def test_a_sentence_alone_is_translated_as_in_a_batch(model, beams):
    together = searched(model, longest=9, beams=beams)
    for row in range(len(SOURCE)):
        (alone,) = searched(model, SOURCE[row : row + 1], longest=9, beams=beams)
        assert [each.tokens for each in alone] == [each.tokens for each in together[row]]
        torch.testing.assert_close([each.score for each in alone], [each.score for each in together[row]])


def test_more_beams_find_no_worse(model):
    few, many = (searched(model, longest=8, beams=beams, penalty=0.0) for beams in (1, VOCABULARY**4))
    assert all(best[0].score >= greedy[0].score for best, greedy in zip(many, few, strict=True))


def test_each_sentence_has_its_own_longest_length(model):
    longest = torch.tensor([1, 5, 2])
    found = beam_search(model.step, model.read(SOURCE), longest, begin=BEGIN, end=END, beams=3)
    for most, hypotheses in zip(longest.tolist(), found, strict=True):
        assert 1 <= len(hypotheses) <= 3
        assert all(len(each.tokens) + each.ended <= most for each in hypotheses)


@pytest.mark.parametrize("penalty", [0.0, 1.0, 2.0])
def test_the_search_finds_what_transformers_finds(penalty):
    transformers = pytest.importorskip("transformers")
    torch.manual_seed(1)
    config = transformers.LlamaConfig(
        vocab_size=9, hidden_size=16, intermediate_size=16, num_hidden_layers=1, num_attention_heads=2,
        bos_token_id=BEGIN, eos_token_id=END, pad_token_id=PAD, initializer_range=1.0,
    )  # fmt: skip
    theirs = transformers.LlamaForCausalLM(config).double().eval()
    prompt = torch.full((1, 1), BEGIN)
    wanted = theirs.generate(
        prompt, num_beams=4, num_return_sequences=4, max_new_tokens=7, length_penalty=penalty, early_stopping=False,
        do_sample=False, output_scores=True, return_dict_in_generate=True,
    )  # fmt: skip

    def advance(token, so_far):
        read = torch.cat([so_far, token[:, None]], 1)
        return theirs(read).logits[:, -1], read

    (found,) = beam_search(advance, prompt[:, :0], torch.tensor([7]), begin=BEGIN, end=END, beams=4, penalty=penalty)
    texts = [[token for token in row[1:].tolist() if token not in (PAD, END)] for row in wanted.sequences]
    assert list(found[0].tokens) == texts[0]
    torch.testing.assert_close(found[0].score, wanted.sequences_scores[0].item(), rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize(("beams", "penalty"), [(0, 1.0), (2, -1.0), (2, float("nan"))])
def test_what_cannot_be_searched_is_refused(model, beams, penalty):
    with pytest.raises(UsageError, match=f"beams is {beams} and penalty is {penalty}"):
        searched(model, beams=beams, penalty=penalty)
