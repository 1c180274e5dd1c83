"""Search in text by BM25: the passage of the context that shares most, and rarest, words with the query."""

from collections.abc import Sequence

from statewise.core.errors import SearchError, UsageError
from statewise.core.optional import require
from statewise.search.words import Words


class PassageTool:
    """The best passage of the context, by BM25 (Lucene's variant, k1 = 1.5, b = 0.75).

    words      how ids are written
    ends       the character that ends a passage
    most       ids of a passage that are handed back: its first ones

    Words of text are runs of letters and digits, case folded. O(context) for each call: the index is made anew, as the
    context has grown. Needs the extra `search`, else a MissingExtraError.

    Source: Robertson, Zaragoza, "The Probabilistic Relevance Framework: BM25 and Beyond", 2009, through bm25s.
    """

    bounded = True

    def __init__(self, words: Words, *, ends: str = "\n", most: int = 256) -> None:
        require("bm25s", extra="search", purpose="search for passages")
        if len(ends) != 1 or most < 1:
            raise UsageError(
                f"PassageTool: ends is {ends!r} and most is {most}; they must be one character and at least 1"
            )
        self.words = words
        self.ends = ends
        self.most = most

    def __call__(self, query: Sequence[int], context: Sequence[int]) -> list[int]:
        """The passage's ids. A SearchError where no passage shares a word with the query."""
        bm25s = require("bm25s", extra="search", purpose="search for passages")
        parts = self.words.text(context).split(self.ends)
        passages = [part.removeprefix(self.words.separator) for part in parts if part.strip()]
        split = {"stopwords": None, "token_pattern": r"(?u)\w+", "show_progress": False}
        asked = bm25s.tokenize(self.words.text(query), return_ids=False, **split)[0]
        written = bm25s.tokenize(passages, return_ids=False, **split) if passages else []
        if not set(asked) & {word for passage in written for word in passage}:
            raise SearchError("no passage shares a word with the query")
        index = bm25s.BM25()
        index.index(written, show_progress=False)
        # Of equal scores the last passage wins: what was written last holds.
        scores = index.get_scores([word for word in dict.fromkeys(asked) if word in index.vocab_dict])
        best = max(range(len(passages)), key=lambda place: (scores[place], place))
        return self.words.ids(passages[best])[: self.most]
