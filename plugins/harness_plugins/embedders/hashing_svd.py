"""Latent semantic analysis: hashed n-grams, tf-idf, truncated SVD.

It needs no model and no network. It is fitted on all texts of the population and sees no label, so that it is the
same for every labeler and every split.

Source: Deerwester et al. 1990, Indexing by latent semantic analysis; Halko, Martinsson and Tropp 2011 for the
randomised SVD.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice
from typing import TYPE_CHECKING, ClassVar

import numpy as np

from harness import DataError, Items, hookimpl

if TYPE_CHECKING:
    from scipy.sparse import csr_matrix

PROJECTED_ROWS = 8_192  # rows at a time
# Scripts that write no blanks between words: Thai and Lao, Tibetan, Burmese, Khmer, kana and Han.
UNSPACED = (
    "\u0e01-\u0e4e\u0e81-\u0ece\u0edc-\u0edf\u0f40-\u0fbc\u1000-\u103f\u1050-\u108f\u1780-\u17d3"
    "\u3005-\u3007\u3041-\u309f\u30a1-\u30ff\u3105-\u312f\u31a0-\u31ff\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff"
    "\uff66-\uff9f\U00020000-\U0003ffff"
)
# Marks that belong to the letter before them: accents, points of Hebrew and Arabic, vowels of the scripts of India.
# Python's letters leave them out. Of the blocks of India it is all characters but the signs that end a sentence.
MARKS = (
    "\u0300-\u036f\u0483-\u0487\u0591-\u05bd\u05bf\u05c1\u05c2\u05c4\u05c5\u05c7\u0610-\u061a"
    "\u064b-\u065f\u0670\u06d6-\u06dc\u06df-\u06e4\u06e7\u06e8\u06ea-\u06ed\u0900-\u0963\u0971-\u0df3"
    "\u1ab0-\u1aff\u1dc0-\u1dff\u200c\u200d\u20d0-\u20f0\ufe00-\ufe0f\ufe20-\ufe2f"
)
SYMBOLS = "\u2600-\u27bf\U0001f000-\U0001faff"  # emoji and their like
# A character of the scripts without blanks, a symbol, or a word: a letter, then letters and marks.
TOKEN = rf"[{UNSPACED}{SYMBOLS}]|[^\W{UNSPACED}](?:[^\W{UNSPACED}]|[{MARKS}])*|<empty>"
MIN_LENGTH = 1e-6  # a projection shorter than this, of a text of length 1, is rounding error in float32


@dataclass(frozen=True)
class HashingSVD:
    """Unit vectors of `dim` columns from hashed word n-grams.

    Of scripts that write no blanks between words (Chinese, Japanese, Thai) each character counts as a word, and so does
    an emoji. A text without a word counts as the one token <empty>.
    """

    name: ClassVar[str] = "hashing_svd"
    resumable: ClassVar[bool] = False
    text_only: ClassVar[bool] = True

    dim: int = 256
    n_features: int = 2**18  # buckets of the hash
    ngram_max: int = 2  # words of the longest n-gram; the shortest has one
    seed: int = 0  # of the randomised SVD

    def __post_init__(self) -> None:
        for name in ("dim", "n_features", "ngram_max"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} must be at least 1, got {getattr(self, name)}")
        if self.dim > self.n_features:
            raise ValueError(f"dim must be at most n_features, got {self.dim} and {self.n_features}")
        if not 0 <= self.seed < 2**32:
            raise ValueError(f"seed must be in 0..2**32-1, got {self.seed}")

    def tokens(self, text: str) -> set[str]:
        """Return the distinct words of a text."""
        return set(re.findall(TOKEN, text.lower()))

    def embed(self, items: Items, start: int) -> Iterator[np.ndarray]:
        """Yield (rows, dim) float32 arrays.

        Raises DataError where the texts cannot give `dim` dimensions.
        """
        from sklearn.decomposition import TruncatedSVD
        from sklearn.feature_extraction.text import TfidfTransformer

        counts = self._counts(items)  # (N, buckets in use)
        most = min(counts.shape)
        if self.dim > most:
            raise DataError(
                f"{items.path}: {counts.shape[0]:,} texts with {counts.shape[1]:,} distinct n-grams cannot give "
                f"{self.dim:,} dimensions; set 'dim: {most}' or less"
            )
        weighted = TfidfTransformer(sublinear_tf=True).fit_transform(counts)
        svd = TruncatedSVD(self.dim, algorithm="randomized", random_state=self.seed)
        with np.errstate(divide="ignore", invalid="ignore"):  # its share of explained variance, where there is none
            projected = svd.fit_transform(weighted)  # (N, dim)
        length = np.linalg.norm(projected, axis=1, keepdims=True)
        # A text that shares nothing with the leading directions projects to nothing; all such texts are alike.
        lost = length[:, 0] < MIN_LENGTH
        projected[lost] = 1.0
        length[lost] = np.sqrt(self.dim)
        vectors = (projected / length).astype(np.float32)
        for low in range(start, len(vectors), PROJECTED_ROWS):
            yield vectors[low : low + PROJECTED_ROWS]

    def _counts(self, items: Items) -> "csr_matrix":
        import scipy.sparse
        from sklearn.feature_extraction.text import HashingVectorizer

        vectoriser = HashingVectorizer(
            n_features=self.n_features,
            ngram_range=(1, self.ngram_max),
            token_pattern=TOKEN,
            alternate_sign=False,
            norm=None,
            dtype=np.float32,
        )
        texts = (text if any(map(str.isalnum, text)) else "<empty>" for text in items.texts())
        parts = []
        while chunk := list(islice(texts, PROJECTED_ROWS)):
            parts.append(vectoriser.transform(chunk))
        if not parts:
            raise DataError(f"{items.path}: there is no text to embed")
        counts = scipy.sparse.vstack(parts, format="csr")
        used = np.bincount(counts.indices, minlength=self.n_features) > 0
        return counts[:, used]


@hookimpl
def harness_embedders():
    return [HashingSVD]
