"""Every task that is answered step by step, in settings and sizes that differ."""

from statewise.search import ChainOfThought, Retrieval
from statewise.tasks import AssociativeRecall, CGramRetrieval, Counting, IndexLookup, IsTree
from statewise.tasks.needle import Needle

TASKS = [
    (IsTree(), (4, 5, 8, 16)),
    (IsTree(names=20), (4, 7, 20)),
    (IndexLookup(alphabet=3), (1, 2, 9, 40)),
    (IndexLookup(), (12,)),
    (AssociativeRecall(keys=12, values=3), (1, 2, 12)),
    (AssociativeRecall(), (20,)),
    (CGramRetrieval(alphabet=3), (2, 3, 20)),
    (CGramRetrieval(alphabet=2, gram=4), (4, 17)),
    (Counting(), (1, 2, 9, 30)),
    (Counting(alphabet=2, threshold=3), (1, 4, 12)),
    (Needle(), (80, 200)),
]
FORMATS = (ChainOfThought, Retrieval)
CASES = [(task, size) for task, sizes in TASKS for size in sizes]
