"""A word tokenizer with a chat template whose assistant turn ends at the end token, and a codec over it."""

from tokenizers import Tokenizer, models, pre_tokenizers
from transformers import PreTrainedTokenizerFast

from trueline.models.encoding import Encoding
from trueline.models.templates import ChatTemplate
from trueline.training.codec import ChatCodec

WORDS = ["<pad>", "<eos>", "<bos>", "<unk>", "<user>", "<bot>", *(f"w{i}" for i in range(35))]
TEMPLATE = (
    "{{ bos_token }}{% for m in messages %}"
    "{% if m['role'] == 'assistant' %}<bot> {{ m['content'] }} {{ eos_token }}"
    "{% else %}<user> {{ m['content'] }} {% endif %}{% endfor %}"
    "{% if add_generation_prompt %}<bot> {% endif %}"
)


def tokenizer():
    raw = Tokenizer(models.WordLevel({word: i for i, word in enumerate(WORDS)}, unk_token="<unk>"))
    raw.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    made = PreTrainedTokenizerFast(
        tokenizer_object=raw, pad_token="<pad>", eos_token="<eos>", bos_token="<bos>", unk_token="<unk>"
    )
    made.chat_template = TEMPLATE
    return made


def codec():
    """How training reads this template."""
    words = tokenizer()
    return ChatCodec(Encoding(words, ChatTemplate(words), None), frozenset({words.eos_token_id}))


def messages_of(prompt):
    return [{"role": m.role, "content": m.content} for m in prompt]
