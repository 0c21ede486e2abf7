"""A reward model in small: random weights that are always the same, byte-level words, a chat template."""

SPECIAL = ["<|bos|>", "<|pad|>", "<|start|>", "<|end|>", "<|eot|>"]
TEMPLATE = (
    "{{ bos_token }}{% for m in messages %}"
    "{% if m['role'] == 'tool' %}{{ raise_exception('no tools here') }}{% endif %}"
    "<|start|>{{ m['role'] }}<|end|>{{ m['content'] }}<|eot|>{% endfor %}"
)


def write_llama(folder, padding_side="right"):
    """Write a Llama of two layers, 32 wide, with a reward head, and its tokenizer, which adds a start token itself."""
    import torch
    from tokenizers import Tokenizer, models, pre_tokenizers, processors, trainers
    from transformers import LlamaConfig, LlamaForSequenceClassification, PreTrainedTokenizerFast
    from transformers.utils import logging

    logging.disable_progress_bar()
    words = Tokenizer(models.BPE())
    words.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    trainer = trainers.BpeTrainer(
        vocab_size=320,
        special_tokens=SPECIAL,
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    words.train_from_iterator(["It is so. user assistant sky word"] * 3, trainer)
    start = ("<|bos|>", words.token_to_id("<|bos|>"))
    words.post_processor = processors.TemplateProcessing(single="<|bos|> $A", special_tokens=[start])
    tokenizer = PreTrainedTokenizerFast(
        tokenizer_object=words,
        padding_side=padding_side,
        bos_token="<|bos|>",
        pad_token="<|pad|>",
        eos_token="<|eot|>",
        chat_template=TEMPLATE,
    )
    torch.manual_seed(0)
    config = LlamaConfig(
        vocab_size=words.get_vocab_size(),
        hidden_size=32,
        intermediate_size=64,
        num_hidden_layers=2,
        num_attention_heads=4,
        num_key_value_heads=2,
        num_labels=1,
        max_position_embeddings=4096,
        initializer_range=0.2,
        pad_token_id=words.token_to_id("<|pad|>"),
    )
    tokenizer.save_pretrained(folder)
    LlamaForSequenceClassification(config).save_pretrained(folder)
    return folder
