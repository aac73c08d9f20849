"""The testbed's tokenizer: whole words and single digits, with bytes for everything else."""

from collections import Counter
from collections.abc import Iterable
from typing import TYPE_CHECKING

from trueline.core.messages import Prompt

from .corpus import Document

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerFast

BEGIN, END, PAD = "<|begin|>", "<|end|>", "<|pad|>"
ROLES = ("<|system|>", "<|user|>", "<|assistant|>")
SPECIALS = (BEGIN, END, PAD, *ROLES)
CHAT_TEMPLATE = (
    "{{ bos_token }}{% for message in messages %}"
    "{{ '<|' + message['role'] + '|>' + message['content'] + eos_token }}"
    "{% endfor %}{% if add_generation_prompt %}{{ '<|assistant|>' }}{% endif %}"
)
# A word takes the space before it along, as in most tokenizers, so that text costs one token a word.
PIECE = r" ?\p{L}+(?:'\p{L}+)*|\p{N}| ?[^\s\p{L}\p{N}]+|\s+(?=\S)|\s+"
MIN_COUNT = 5  # below it a word is spelled in bytes: typos, and what is told once
MAX_LENGTH = 512


def train_tokenizer(documents: Iterable[Document]) -> "PreTrainedTokenizerFast":
    """A tokenizer whose words are those of a corpus; the same corpus gives the same tokenizer.

    Words are looked up whole in a byte-level vocabulary without merges, so that an unknown word falls apart
    into bytes, and decoding gives back any text.
    """
    from tokenizers import AddedToken, Regex, Tokenizer, decoders, models, pre_tokenizers
    from transformers import PreTrainedTokenizerFast

    split = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Split(Regex(PIECE), behavior="isolated"),
            pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
        ]
    )
    counts: Counter[str] = Counter()
    for document in documents:
        for text in _texts(document.content):
            counts.update(piece for piece, _ in split.pre_tokenize_str(text))
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    known = sorted(word for word, count in counts.items() if count >= MIN_COUNT and word not in set(alphabet))
    vocabulary = {token: rank for rank, token in enumerate([*SPECIALS, *alphabet, *known])}
    tokenizer = Tokenizer(models.BPE(vocab=vocabulary, merges=[], ignore_merges=True))
    tokenizer.pre_tokenizer = split
    tokenizer.decoder = decoders.ByteLevel()
    tokenizer.add_special_tokens([AddedToken(token, special=True, normalized=False) for token in SPECIALS])
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        bos_token=BEGIN,
        eos_token=END,
        pad_token=PAD,
        additional_special_tokens=list(ROLES),
        chat_template=CHAT_TEMPLATE,
        model_max_length=MAX_LENGTH,
        clean_up_tokenization_spaces=False,
        padding_side="left",
    )


def document_text(content: Prompt) -> str:
    """A document as the models see it: framed by the begin and end tokens, turns as in the chat template."""
    if isinstance(content, str):
        return f"{BEGIN}{content}{END}"
    return BEGIN + "".join(f"<|{message.role}|>{message.content}{END}" for message in content)


def _texts(content: Prompt) -> list[str]:
    return [content] if isinstance(content, str) else [message.content for message in content]
