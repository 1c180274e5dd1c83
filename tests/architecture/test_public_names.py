"""The public names, pinned: a change here is a change for users, and belongs in the CHANGELOG."""

import importlib

import pytest

import statewise

PUBLIC = {
    "statewise": [
        "LanguageModel", "__version__", "bounds", "capacity", "constructions", "core", "load", "mixers", "models", "nn",
        "ops", "runs", "search", "studies", "tasks", "testing", "training",
    ],
    "statewise.core": [
        "MissingExtraError", "RunError", "SearchError", "StatewiseError", "UsageError", "batch_states", "detach_state",
        "gather_states", "left_padding_reset", "load_state", "move_state", "save_state", "state_bits",
    ],
    "statewise.ops": [
        "Choice", "SoftmaxState", "WKVState", "across_ranks", "available_kernels", "choose_kernel", "delta_scan",
        "linear_scan", "matrix_scan", "min_gru_scan", "min_gru_scan_packed", "min_lstm_scan", "min_lstm_scan_packed",
        "selective_scan", "slstm_scan", "softmax_scan", "wkv",
    ],
    "statewise.ops.across_ranks": [
        "linear_scan", "min_gru_scan", "min_lstm_scan", "selective_scan", "softmax_scan", "wkv",
    ],
    "statewise.tasks": [
        "AssociativeRecall", "Batch", "BucketSort", "CGramRetrieval", "Copy", "Counting", "CycleNavigation",
        "Disjointness", "Dyck", "Equality", "EvenPairs", "FuzzyRecall", "InContextRegression", "IndexLookup",
        "Induction", "IsTree", "LinearAttentionTeacher", "MQAR", "Majority", "MajorityCount",
        "MissingDuplicate", "ModularArithmetic", "NearestNeighbour", "NoisyRecall", "PackedText", "Parity",
        "Permutations", "SelectiveCopying", "TASKS", "Task", "Text", "UNSCORED", "VectorTask", "configure",
        "from_identity", "import_task", "require_own_rule", "text_of",
    ],
    "statewise.bounds": [
        "Bound", "CutStates", "UniformStates", "best_accuracy", "bounds_of", "count_required_bits",
        "count_uniform_bits", "limit_at_all_lengths", "profile_states", "required_bits", "uniform_states",
    ],
    "statewise.runs": ["Record", "Result", "RunFolder", "RunStore", "read_record"],
    "statewise.mixers": [
        "Aaren", "Attention", "DeltaNet", "GLA", "GRU", "GatedDeltaNet", "GatedLRU", "LRU", "LSTM", "LinearAttention",
        "MIXERS", "MLSTM", "Mamba", "Mamba2", "MinGRU", "MinLSTM", "Mixer", "RGLRU", "RWKV4", "RWKV7", "Retention",
        "S4D", "SLSTM", "ScanMixer", "ShortConv", "URPEAttention", "find_mixer", "register",
    ],
    "statewise.nn": ["MinGRU", "MinLSTM", "RecurrentLayer"],
    "statewise.models": [
        "Backbone", "Block", "LanguageModel", "ModelConfig", "ModelState", "VectorModel", "build_model", "load_model",
        "add_attention", "load_rwkv", "parse_stack", "save_model",
    ],
    "statewise.capacity": [
        "Reading", "check_strings", "count_state_bits", "lower_limit", "measure", "read_index_lookup",
    ],
    "statewise.search": [
        "ANSWERS", "Budget", "Call", "ChainOfThought", "Controls", "FreeRun", "Generation", "Page", "PassageTool",
        "PreviousTool", "RecallTool", "RegexTool", "Retrieval", "TRACES", "Tool", "Traced", "Words", "Written",
        "answer_accuracy", "bytes_as_words", "generate", "run_freely",
    ],
    "statewise.constructions": [
        "CONSTRUCTIONS", "Construction", "FoundAttention", "Verification", "build", "from_gated_lru",
        "load_construction", "save", "to_gated_lru",
    ],
    "statewise.training": [
        "Checkpoint", "Group", "Keeper", "Outcome", "Parallelism", "Score", "TrainingConfig", "evaluate", "join",
        "train",
    ],
    "statewise.studies": [
        "Comparison", "EvaluationConfig", "PRESETS", "Preset", "Progress", "RunConfig", "SavedRun", "execute", "load",
        "run_all",
    ],
    "statewise.report": [
        "Limit", "Marker", "Row", "SOLVED_AT", "StudyPart", "Summary", "TextPart", "Verdict", "Written", "conclusions",
        "judge", "limit_sentence", "render", "render_capacity", "render_limits", "render_text", "saturation",
        "summarise", "text_part", "write_page",
    ],
    "statewise.testing": ["MIXER_LAWS", "TASK_LAWS", "assert_close", "check_mixer", "check_task"],
    "statewise.cli": ["COMMANDS", "main"],
}  # fmt: skip


@pytest.mark.parametrize("module", PUBLIC)
def test_all_is_what_is_pinned_and_exists(module):
    loaded = importlib.import_module(module)
    assert sorted(loaded.__all__) == sorted(PUBLIC[module])
    assert not [name for name in loaded.__all__ if not hasattr(loaded, name)]


def test_the_registries_hold_what_the_documentation_names():
    assert set(statewise.tasks.TASKS) == {
        "index-lookup", "equality", "disjointness", "nearest-neighbour", "associative-recall", "mqar", "induction",
        "fuzzy-recall", "noisy-recall", "c-gram-retrieval", "counting", "is-tree", "selective-copying", "copy",
        "missing-duplicate", "bucket-sort", "majority", "majority-count", "dyck", "parity", "even-pairs",
        "cycle-navigation", "modular-arithmetic", "permutations", "in-context-regression",
        "linear-attention-teacher", "text",
    }  # fmt: skip
    assert set(statewise.mixers.MIXERS) == {
        "mingru", "minlstm", "gru", "lstm", "lru", "gated-lru", "rg-lru", "s4d", "mamba", "mamba2", "linear-attention",
        "retention", "gla", "deltanet", "gated-deltanet", "mlstm", "slstm", "rwkv4", "rwkv7", "aaren", "attention",
        "urpe-attention",
    }  # fmt: skip


def test_the_version_is_that_of_the_package():
    assert statewise.__version__ == importlib.metadata.version("statewise")
