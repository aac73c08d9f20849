"""A word tokenizer with a chat template whose assistant turn ends at the end token, and a codec over it."""

from tokenizers import Tokenizer, models, pre_tokenizers
from transformers import PreTrainedTokenizerFast

WORDS = ["<pad>", "<eos>", "<bos>", "<unk>", "<user>", "<bot>", *(f"w{i}" for i in range(35))]
TEMPLATE = (
    "{{ bos_token }}{% for m in messages %}{% if m['role'] == 'assistant' %}<bot> {{ m['content'] }} {{ eos_token }}"
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


class ChatCodec:
    """What training asks of a template."""

    def __init__(self, tokenizer):
        self.tokenizer = tokenizer

    def _tokens(self, messages, **options):
        return self.tokenizer.apply_chat_template(messages, tokenize=True, return_dict=False, **options)

    def prompt_tokens(self, prompt):
        return self._tokens(messages_of(prompt), add_generation_prompt=True)

    def whole_tokens(self, prompt, answer):
        return self._tokens([*messages_of(prompt), {"role": "assistant", "content": answer}])


def messages_of(prompt):
    return [{"role": m.role, "content": m.content} for m in prompt]
