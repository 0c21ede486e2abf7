"""Text embeddings by a local sentence-transformers model.

Source: Reimers and Gurevych 2019, Sentence-BERT.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, Literal

import numpy as np

from harness import DataError, Items, hookimpl
from harness_plugins.embedders import _checkpoint


@dataclass(frozen=True)
class SentenceTransformer:
    """Sentence-transformers vectors of the texts ``###role: content``.

    The model is a folder or a hub name.

    `pooling` is "model": all modules as the model was trained with, or "mean": its transformer alone and the mean over
    the tokens that are no padding, as the record took it. A conversation without a turn is the empty text, which has
    the vector of the model's start and end tokens. A plain text stays one: no chat template and no prompt of the
    model's own is put around it.
    """

    name: ClassVar[str] = "sentence_transformer"
    requires: ClassVar[tuple[str, ...]] = ("sentence_transformers", "transformers")
    extra: ClassVar[str] = "text"
    text_only: ClassVar[bool] = True

    model: Path | str
    revision: str = "main"  # of a hub name: branch, tag or commit
    max_length: int = 512  # tokens; the rest of a text is cut off
    batch: int = 64  # texts at a time
    pooling: Literal["model", "mean"] = "model"
    normalize: bool = True  # to unit length, also where the model itself does not
    prefix: str = ""  # before every text, such as "passage: "
    dtype: _checkpoint.Dtype = "float32"

    def __post_init__(self) -> None:
        for name in ("max_length", "batch"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} must be at least 1, got {getattr(self, name)}")

    def pinned(self) -> "SentenceTransformer":
        """Return this with the local commit.

        Raises DataError where the model is not there.
        """
        return _checkpoint.pin(self)

    def embed(self, items: Items, start: int) -> Iterator[np.ndarray]:
        """Yield (rows, d) float32 arrays.

        Raises DataError where the model cannot be loaded or is too short.
        """
        from torch.nn.functional import normalize

        model = _checkpoint.load_checked(self.model, self.revision, self._load)

        def vectors(_: int, texts: list[str]) -> np.ndarray:
            encoded = model.encode(
                texts,
                prompt=self.prefix,  # given, even if empty: else a model's default prompt would be taken
                batch_size=self.batch,
                show_progress_bar=False,
                convert_to_tensor=True,
            )
            encoded = encoded.float()
            return (normalize(encoded) if self.normalize else encoded).cpu().numpy()

        yield from _checkpoint.by_chunk(items.texts, start, vectors)

    def _load(self, folder: str) -> Any:
        import sentence_transformers as st
        import torch
        from sentence_transformers.sentence_transformer.modules import Pooling, Transformer
        from transformers.utils import logging

        logging.set_verbosity_error()
        logging.disable_progress_bar()
        model = st.SentenceTransformer(
            folder,
            device=_checkpoint.device(),
            local_files_only=True,
            trust_remote_code=False,
            model_kwargs={"dtype": getattr(torch, self.dtype)},
        )
        first = model[0]
        ways = getattr(first, "modality_config", {})
        if "text" in ways:
            ways.pop("message", None)  # else plain texts are wrapped as user turns where there is a chat template
        if self.pooling == "mean":
            if not isinstance(first, Transformer):
                raise DataError(f"{folder}: has no transformer whose tokens could be averaged; use 'pooling: model'")
            mean = Pooling(first.get_embedding_dimension(), "mean")
            model = st.SentenceTransformer(modules=[first, mean], device=_checkpoint.device())
        if isinstance(first, Transformer):
            positions = getattr(first.config, "max_position_embeddings", None) or self.max_length
            if self.max_length > positions:
                raise DataError(f"{folder}: takes {positions} tokens at most; set 'max_length: {positions}' or less")
            model.max_seq_length = self.max_length
        return model.eval()


@hookimpl
def harness_embedders():
    return [SentenceTransformer]
