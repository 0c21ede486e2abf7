"""Hidden states of a local language model with a chat template."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, Literal

import numpy as np

from harness import DataError, Items, hookimpl
from harness_plugins.embedders import _checkpoint

Turns = list[tuple[str, str]]


@dataclass(frozen=True)
class RewardModel:
    """Last hidden layer of a transformers checkpoint, one row each.

    The conversation is written in the checkpoint's chat template.

    `pooling` takes the state of the last token that is no padding, which a reward head would read, or the mean over
    all tokens; the head itself is not used. `max_length` cuts as the checkpoint's tokenizer does, usually at the end.
    A conversation without a turn counts as one empty assistant turn, as an empty text in a column of strings does.
    """

    name: ClassVar[str] = "reward_model"
    requires: ClassVar[tuple[str, ...]] = ("transformers",)
    extra: ClassVar[str] = "text"
    text_only: ClassVar[bool] = True

    model: Path | str
    revision: str = "main"  # of a hub name: branch, tag or commit
    max_length: int = 2_048  # tokens
    batch: int = 16  # conversations at a time
    pooling: Literal["last", "mean"] = "last"
    dtype: _checkpoint.Dtype = "bfloat16"

    def __post_init__(self) -> None:
        for name in ("max_length", "batch"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} must be at least 1, got {getattr(self, name)}")

    def pinned(self) -> "RewardModel":
        """Return this with the local commit.

        Raises DataError where the model is not there.
        """
        return _checkpoint.pin(self)

    def embed(self, items: Items, start: int) -> Iterator[np.ndarray]:
        """Yield (rows, d) float32 arrays.

        Raises DataError where the checkpoint cannot be loaded or has no chat template, and with the row's id where the
        template refuses a conversation or leaves no token of it.
        """
        tokenizer, model = _checkpoint.load_checked(self.model, self.revision, self._load)
        if tokenizer.chat_template is None:
            raise DataError(
                f"model {str(self.model)!r} has no chat template, which says how a conversation is written down for "
                "it; take a chat or reward model, or the embedder sentence_transformer"
            )

        def vectors(at: int, conversations: list[Turns]) -> np.ndarray:
            texts = [self._rendered(tokenizer, turns, items, at + i) for i, turns in enumerate(conversations)]
            # The template has written the special tokens: a second start token would change every state.
            options = {"truncation": True, "max_length": self.max_length, "verbose": False}
            tokens = tokenizer(texts, add_special_tokens=False, **options)["input_ids"]
            for i, given in enumerate(tokens):
                if not given:
                    raise DataError(
                        f"{items.path}: the conversation of id {items.ids[at + i]} has no token; leave it out"
                    )
            return self._states(model, tokens, tokenizer.pad_token_id or 0)

        yield from _checkpoint.by_chunk(items.conversations, start, vectors)

    def _rendered(self, tokenizer: Any, turns: Turns, items: Items, row: int) -> str:
        from jinja2 import TemplateError

        messages = [{"role": role, "content": content} for role, content in turns or [("assistant", "")]]
        try:
            return tokenizer.apply_chat_template(messages, tokenize=False)
        except (TemplateError, TypeError) as error:
            roles = ", ".join(role for role, _ in turns) or "none"
            raise DataError(
                f"{items.path}: the chat template of {str(self.model)!r} refuses the conversation of id "
                f"{items.ids[row]} (turns: {roles}): {error}"
            ) from error

    def _states(self, model: Any, tokens: list[list[int]], pad: int) -> np.ndarray:
        """Return (rows, d) pooled states, the rows in the order given."""
        import torch

        order, parts = [], []
        for positions in _checkpoint.by_length([len(given) for given in tokens], self.batch):
            ids, mask = _checkpoint.pad_tokens([tokens[i] for i in positions], pad)
            ids, mask = ids.to(model.device), mask.to(model.device)
            with torch.inference_mode():
                states = model(input_ids=ids, attention_mask=mask).last_hidden_state
                parts.append(_checkpoint.pool_states(states, mask, self.pooling).cpu().numpy())
            order.append(positions)
        vectors = np.concatenate(parts)
        return vectors[np.argsort(np.concatenate(order))]

    def _load(self, folder: str) -> tuple[Any, Any]:
        import torch
        from transformers import AutoModel, AutoTokenizer
        from transformers.utils import logging

        logging.set_verbosity_error()
        logging.disable_progress_bar()
        options = {"local_files_only": True, "trust_remote_code": False}
        tokenizer = AutoTokenizer.from_pretrained(folder, **options)
        dtype = getattr(torch, self.dtype)
        model, report = AutoModel.from_pretrained(folder, dtype=dtype, output_loading_info=True, **options)
        absent = sorted(key for key in report["missing_keys"] if not key.startswith("pooler."))
        if absent:
            raise DataError(f"{folder}: lacks {len(absent)} of the model's weights, {absent[0]} among them")
        model.config.use_cache = False
        return tokenizer, model.eval().to(_checkpoint.device())


@hookimpl
def harness_embedders():
    return [RewardModel]
