"""A tiny random chat model as a transformers folder, and little data for it."""

import torch
from tokenizers import Tokenizer, models, pre_tokenizers
from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

from trueline.core.messages import chat
from trueline.data.preferences import Demonstration, PreferencePair

WORDS = ["<pad>", "<eos>", "<bos>", "<unk>", "<user>", "<bot>", "<sys>", *(f"w{i}" for i in range(34))]
TEMPLATE = (
    "{{ bos_token }}{% for m in messages %}"
    "{% if m['role'] == 'assistant' %}<bot> {{ m['content'] }} {{ eos_token }}"
    "{% elif m['role'] == 'system' %}<sys> {{ m['content'] }} {% else %}<user> {{ m['content'] }} {% endif %}"
    "{% endfor %}{% if add_generation_prompt %}<bot> {% endif %}"
)


def save(folder, dtype=torch.float32):
    raw = Tokenizer(models.WordLevel({word: i for i, word in enumerate(WORDS)}, unk_token="<unk>"))
    raw.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    tokenizer = PreTrainedTokenizerFast(
        tokenizer_object=raw, pad_token="<pad>", eos_token="<eos>", bos_token="<bos>", unk_token="<unk>"
    )
    tokenizer.chat_template = TEMPLATE
    torch.manual_seed(0)
    config = LlamaConfig(
        vocab_size=len(WORDS), hidden_size=32, intermediate_size=48, num_hidden_layers=2,
        num_attention_heads=4, max_position_embeddings=64, tie_word_embeddings=True, initializer_range=0.3,
        pad_token_id=0, eos_token_id=1, bos_token_id=2,
    )  # fmt: skip
    LlamaForCausalLM(config).to(dtype).save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


def pairs(n=12):
    return [
        PreferencePair(prompt=chat(f"w{i} w{i + 1}"), chosen="w30 w31", rejected=f"w{i + 2}")
        for i in range(n)
    ]


def demonstrations(n=12):
    return [Demonstration(prompt=chat(f"w{i} w{i + 1}"), answer="w30 w31") for i in range(n)]
